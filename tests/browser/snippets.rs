//! The documents' blocks for browsers, whole: a page as a file of somebody's own, on a server that is not this one, and lines as
//! they are pasted into a console.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use super::alone;
use super::chromium::{Browser, found};
use super::server::Server;
use crate::face::documents::{blocks, documents};

/// Each block in the order of the documents, and what is so when it has worked.
const WORKS: [(&str, &str, &str); 6] = [
    ("README.md", "html", "document.querySelector('#here')?.innerText === 'anna is online'"),
    (
        "src/manual/history.md",
        "html",
        "document.querySelector('#talk').innerText.includes('anna: Good morning')",
    ),
    (
        "src/manual/history.md",
        "js",
        "logged.some((line) => line.includes('\"event\":\"say\"') && line.includes('255'))",
    ),
    (
        "src/manual/pages.md",
        "html",
        "document.title === '1 here' && logged.some((line) => line.includes('Good morning'))",
    ),
    (
        "src/manual/pages.md",
        "js",
        "['\"state\":\"online\"', '\"state\":\"offline\"'].every((part) => logged.some((line) => line.includes('\"user\":\"ben\"') && line.includes(part)))",
    ),
    (
        "src/manual/tokens.md",
        "js",
        "logged.some((line) => line.includes('\"event\":\"welcome\"') && line.includes('anna'))",
    ),
];

/// What the page says is kept, and questions to the person are answered.
const HEARS: &str = "<!doctype html><meta charset=\"utf-8\"><script>\n\
    const logged = [];\n\
    console.log = (...said) => logged.push(said.map((one) => typeof one === 'string' ? one : JSON.stringify(one)).join(' '));\n\
    window.prompt = () => 'TOKEN';\n\
    </script>\n";

#[test]
fn every_block_for_a_browser_works_whole() {
    let Some(chromium) = found("every block for a browser works whole") else { return };
    let _alone = alone();
    let secret = std::env::temp_dir().join(format!("rollcall-{}-snippets", std::process::id()));
    let _ = fs::remove_file(&secret);
    let file = secret.to_str().unwrap();
    let rollcall = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_rollcall")).args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    rollcall(&["token", "--new-secret", file]);
    let token = rollcall(&["token", "--user", "anna", "--token-secret-file", file]);
    let browser = Browser::start(&chromium, "snippets");
    let mut works = WORKS.iter();
    for (name, text) in documents() {
        let for_browsers = |kind: &str| ["html", "js"].contains(&kind);
        for block in blocks(&text).iter().filter(|block| for_browsers(&block.kind) && block.not_run.is_none())
        {
            let (document, kind, condition) =
                works.next().unwrap_or_else(|| panic!("{name}: what does it do?"));
            assert_eq!((*document, *kind), (&*name, &*block.kind));
            let flags: &[&str] = match &*name {
                "src/manual/tokens.md" => &["--token-secret-file", file],
                "src/manual/history.md" => &["--history", "lobby=100"],
                _ => &[],
            };
            let server = Server::start(flags);
            let placed = block.text.replace("127.0.0.1:8080", &server.address.to_string());
            let hears = HEARS.replace("TOKEN", &token);
            let page = if *kind == "html" { format!("{hears}{placed}") } else { hears };
            let tab = browser.open(&format!("http://{}/", elsewhere(page)));
            if *kind == "js" {
                // As a whole: a block that throws is no block to paste.
                assert!(tab.try_eval(&format!("{placed}\n;true")).is_some(), "{name}: {placed}");
            }
            tab.until(condition);
            assert_eq!(tab.complaints(), Vec::<String>::new(), "{name}");
            tab.close();
        }
    }
    assert!(works.next().is_none(), "a block is gone");
    let _ = fs::remove_file(&secret);
}

/// A server of somebody else's, which has this one page.
fn elsewhere(page: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap_or(0);
            let is_page = request[..read].starts_with(b"GET / ");
            let (status, body) = if is_page { ("200 OK", &*page) } else { ("204 No Content", "") };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    address
}
