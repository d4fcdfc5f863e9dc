//! Every code block of the documents, run as a newcomer would paste it: the lines of a document in their order, in one empty
//! folder, with `rollcall` in the PATH. A server that a line starts runs until the document starts another one, or ends.
//!
//! A block's kind says who runs it. One that can't be run says why behind `not-run:`, and these are counted here.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// Blocks that are not run, by document.
const NOT_RUN: [(&str, usize); 6] = [
    ("README.md", 2),
    ("loadtest/README.md", 1),
    ("src/manual/capacity.md", 1),
    ("src/manual/pages.md", 1),
    ("src/manual/streams.md", 1),
    ("tests/README.md", 1),
];

/// A fenced block of a document.
pub(crate) struct Block {
    pub(crate) kind: String,
    pub(crate) not_run: Option<String>,
    pub(crate) text: String,
}

/// The documents that are read by newcomers, by their place in the repository.
pub(crate) fn documents() -> Vec<(String, String)> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> =
        ["README.md", "loadtest/README.md", "tests/README.md"].map(|file| top.join(file)).into();
    let manual = fs::read_dir(top.join("src/manual")).unwrap().map(|entry| entry.unwrap().path());
    files.extend(manual.filter(|file| file.extension().is_some_and(|ending| ending == "md")));
    files.sort();
    let name = |file: &Path| file.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
    files.iter().map(|file| (name(file), fs::read_to_string(file).unwrap())).collect()
}

/// The blocks of a document, in order.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let (kind, not_run) =
            info.split_once(" not-run: ").map_or((info, None), |(kind, why)| (kind, Some(why)));
        let text = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
        found.push(Block { kind: kind.to_owned(), not_run: not_run.map(str::to_owned), text });
    }
    found
}

/// A newcomer at a terminal.
struct Terminal {
    folder: PathBuf,
    server: Option<Child>,
    /// Ports as the document has them, and as they are.
    ports: BTreeMap<String, String>,
    address: Option<SocketAddr>,
    /// What the last lines printed.
    printed: String,
    /// Clients that the document's sentences ask for.
    clients: Vec<WebSocket<MaybeTlsStream<TcpStream>>>,
}

impl Terminal {
    fn open(name: &str) -> Terminal {
        let id = std::process::id();
        let folder = std::env::temp_dir().join(format!("rollcall-{id}-{}", name.replace(['/', '.'], "-")));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        fs::DirBuilder::new().mode(0o700).create(folder.join("run")).unwrap();
        // A refusal is a failure, and shows what it says.
        fs::write(folder.join(".curlrc"), "silent\nshow-error\nfail-with-body\nmax-time = 60\n").unwrap();
        let (server, address) = (None, None);
        Terminal {
            folder,
            server,
            ports: BTreeMap::new(),
            address,
            printed: String::new(),
            clients: Vec::new(),
        }
    }

    /// The text with places that a test may use.
    fn placed(&self, text: &str) -> String {
        let folder = self.folder.to_str().unwrap();
        let mut placed =
            text.replace("/tmp/", &format!("{folder}/")).replace("/etc/", &format!("{folder}/etc/"));
        for (written, port) in &self.ports {
            placed = placed.replace(&format!(":{written}"), &format!(":{port}"));
        }
        placed
    }

    fn shell(&self, line: &str) -> Command {
        let bin = Path::new(env!("CARGO_BIN_EXE_rollcall")).parent().unwrap().to_str().unwrap();
        let path = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", line]).current_dir(&self.folder);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ROLLCALL_"))
        {
            command.env_remove(name);
        }
        command.env("RUNTIME_DIRECTORY", self.folder.join("run")).env_remove("JOURNAL_STREAM");
        command.env("PATH", path).env("HOME", &self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&mut self, lines: &str) {
        let output = self.shell(&self.placed(lines)).output().unwrap();
        self.printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{lines}{}\n{said}", self.printed);
    }

    /// Looks at what has no end for a moment, then presses Ctrl-C.
    fn watch(&mut self, line: &str) {
        let output = self.shell(&format!("timeout 3 {}", self.placed(line))).output().unwrap();
        assert!(output.status.code() == Some(124) && !output.stdout.is_empty(), "{line}{output:?}");
    }

    /// Starts a server in place of the one that runs, on ports that are free.
    fn serve(&mut self, line: &str) {
        self.end();
        let mut written: Vec<String> = Vec::new();
        let mut free = line.to_owned();
        for before in ["127.0.0.1:", "--port="] {
            let mut parts = free.split(before);
            let mut replaced = parts.next().unwrap().to_owned();
            for part in parts {
                let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
                written.push(part[..digits].to_owned());
                replaced = format!("{replaced}{before}0{}", &part[digits..]);
            }
            free = replaced;
        }
        self.ports.clear();
        let mut command = self.shell(&format!("exec {}", self.placed(&free)));
        let mut child = command.env("ROLLCALL_LISTEN", "127.0.0.1:0").stderr(Stdio::null()).spawn().unwrap();
        let mut screen = String::new();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        while !screen.contains("Ctrl-C") {
            assert_ne!(reader.read_line(&mut screen).unwrap(), 0, "{line} does not start: {screen}");
        }
        self.server = Some(child);
        let listening = screen.lines().filter_map(|line| line.trim_start().strip_prefix("listening"));
        let address = |line: &str| line.split("://").nth(1)?.split('/').next()?.parse().ok();
        let addresses: Vec<SocketAddr> = listening.filter_map(address).collect();
        self.address = addresses.first().copied();
        if written.is_empty() {
            written.push("8080".to_owned());
        }
        let ports = addresses.iter().map(|address| address.port().to_string());
        self.ports = written.into_iter().zip(ports).filter(|(written, _)| written != "0").collect();
    }

    /// Ctrl-C, twice.
    fn end(&mut self) {
        self.clients.clear();
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// A client at `/ws` with this query, in the room.
    fn come(&mut self, query: &str, room: &str) {
        let url = format!("ws://{}/ws?{query}", self.address.unwrap());
        let (mut client, _) = tungstenite::connect(url).unwrap();
        let join = format!(r#"{{"seq":1,"cmd":"join","params":{{"room":"{room}"}}}}"#);
        client.send(Message::text(join)).unwrap();
        while !client.read().unwrap().to_text().unwrap().contains("\"code\":200") {}
        self.clients.push(client);
    }

    /// Does what the sentences above a block ask for.
    fn prepare(&mut self, block: &str) {
        if block.contains("/rooms/lobby") {
            self.come("user=anna", "lobby");
        } else if block.contains("/users/student-ben/disconnect") {
            let token = self.printed.lines().nth(1).unwrap().to_owned();
            self.come(&format!("token={token}"), "support.1");
        }
    }

    fn paste(&mut self, block: &str) {
        self.prepare(block);
        let is_server = |line: &str| {
            let mut words = line.split(' ');
            words.next() == Some("rollcall")
                && words.next().is_none_or(|word| word.starts_with("--") || word == "exec")
        };
        let (lines, server) = match block.trim_end().rsplit_once('\n') {
            Some((lines, last)) if is_server(last) => (lines, Some(last)),
            None if is_server(block.trim_end()) => ("", Some(block.trim_end())),
            _ => (block, None),
        };
        if block.starts_with("curl -N ") {
            return self.watch(block);
        }
        assert!(!lines.lines().any(is_server), "nothing behind a server is ever reached: {block}");
        self.run(lines);
        if let Some(server) = server {
            self.serve(server);
        }
    }

    /// A file of settings is good, wherever the document wants it.
    fn settings(&mut self, text: &str) {
        let text = self.placed(text);
        for folder in [self.folder.clone(), self.folder.join("etc/rollcall")] {
            if folder.is_dir() {
                fs::write(folder.join("rollcall.toml"), &text).unwrap();
            }
        }
        self.run("rollcall config check --config rollcall.toml\n");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.end();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Pastes every block of a document.
fn read_through(name: &str, text: &str) {
    let mut terminal = Terminal::open(name);
    for block in blocks(text).into_iter().filter(|block| block.not_run.is_none()) {
        match &*block.kind {
            "sh" => terminal.paste(&block.text),
            "toml" => terminal.settings(&block.text),
            "ini" => {
                let start = block
                    .text
                    .lines()
                    .find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/rollcall "));
                terminal.run(&format!("rollcall config check {}\n", start.expect("it starts the server")));
            }
            "json" => {
                for line in block.text.lines() {
                    serde_json::from_str::<serde_json::Value>(line)
                        .unwrap_or_else(|error| panic!("{line}: {error}"));
                }
            }
            // By the doc tests; in Chromium; by the proxies themselves; and what a program prints is no line to paste.
            "rust,no_run" | "html" | "js" | "nginx" | "haproxy" | "text" => {}
            other => panic!("{name}: nobody runs a block of {other:?}"),
        }
    }
}

#[test]
fn every_block_works_as_it_is_pasted() {
    std::thread::scope(|scope| {
        let (documents, halves) = (documents(), 2);
        for half in 0..halves {
            let mine: Vec<(String, String)> = documents.iter().skip(half).step_by(halves).cloned().collect();
            scope.spawn(move || mine.iter().for_each(|(name, text)| read_through(name, text)));
        }
    });
}

#[test]
fn blocks_that_are_not_run_are_few_and_say_why() {
    let mut found = Vec::new();
    for (name, text) in documents() {
        let left_out: Vec<Block> =
            blocks(&text).into_iter().filter(|block| block.not_run.is_some()).collect();
        assert!(
            left_out.iter().all(|block| block.not_run.as_ref().is_some_and(|why| why.len() > 10)),
            "{name}"
        );
        if !left_out.is_empty() {
            found.push((name, left_out.len()));
        }
    }
    let wanted: Vec<(String, usize)> = NOT_RUN.map(|(name, count)| (name.to_owned(), count)).into();
    assert_eq!(found, wanted);
}

#[test]
fn the_readme_is_one_screen_and_says_which_rust_builds_it() {
    let readme = include_str!("../../README.md");
    assert!(readme.len() <= 10_000, "{} bytes", readme.len());
    let version = include_str!("../../Cargo.toml")
        .split("rust-version = \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert!(readme.contains(&format!("Rust {version} or newer")));
}
