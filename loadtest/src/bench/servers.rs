//! The servers that are compared. A peer is a line or ten of a table here and a folder under `loadtest/peers`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use crate::bench::Subject;
use crate::child::{self, Launch, succeed};
use crate::comparison::{BARE, OURS};

/// What a row needs of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Every message comes back.
    Echo,
    /// Connections are held, or opened and closed.
    Connections,
    /// Every message goes to all members, who all speak.
    Chat,
    /// The same, and one speaks.
    FanOut,
}

/// A server, as it is declared.
#[derive(Debug)]
pub struct Server {
    /// Its short name in reports.
    pub name: &'static str,
    /// Its folder under `loadtest/peers`; empty where it needs none.
    folder: &'static str,
    /// How it comes to be there, and starts.
    form: Form,
    /// What it says when it is ready.
    ready: &'static str,
    /// How it is spoken to.
    adapter: Adapter,
}

/// How a server is built and started; `--listen ADDRESS` ends each command.
#[derive(Debug)]
enum Form {
    Ours,
    Bare,
    /// A binary of the workspace in its folder, by its name.
    Cargo,
    /// A package of npm, whose version is shown, and the command. A word of it that names a file of the folder stands for that
    /// file; `*` in it for the first folder that fits.
    Npm {
        package: &'static str,
        start: &'static [&'static str],
    },
}

/// Where a server offers a service, and flags of the load that speaks to it.
#[derive(Debug)]
struct Adapter {
    /// `None`: it echoes nothing, and its connections are others than a WebSocket's.
    echo: Option<&'static str>,
    room: (&'static str, &'static [&'static str]),
}

/// A WebSocket server of a few lines: every path echoes, and under `/chat` everybody hears everybody.
const PLAIN: Adapter = Adapter { echo: Some("/echo"), room: ("/chat", &["--protocol", "broadcast"]) };
const LISTENS: &str = "listening on ";

/// All servers, ours and the limit first.
pub const SERVERS: [Server; 7] = [
    Server {
        name: OURS,
        folder: "",
        form: Form::Ours,
        ready: "",
        adapter: Adapter { echo: Some("/echo"), room: ("/ws", &["--protocol", "rollcall"]) },
    },
    Server { name: BARE, folder: "", form: Form::Bare, ready: LISTENS, adapter: PLAIN },
    Server {
        name: "bun",
        folder: "bun",
        // Its program is in the package of the platform: npm's link to it is made by a script that may be forbidden.
        form: Form::Npm { package: "bun", start: &["node_modules/@oven/*/bin/bun", "server.js"] },
        ready: LISTENS,
        adapter: PLAIN,
    },
    Server {
        name: "ws",
        folder: "node",
        form: Form::Npm { package: "ws", start: &["node", "server.js"] },
        ready: LISTENS,
        adapter: PLAIN,
    },
    Server {
        name: "socket.io",
        folder: "socketio",
        form: Form::Npm { package: "socket.io", start: &["node", "server.js"] },
        ready: LISTENS,
        adapter: Adapter {
            echo: None,
            room: ("/socket.io/?EIO=4&transport=websocket", &["--protocol", "socketio"]),
        },
    },
    Server { name: "fastwebsockets", folder: "rust", form: Form::Cargo, ready: LISTENS, adapter: PLAIN },
    Server { name: "tokio-tungstenite", folder: "rust", form: Form::Cargo, ready: LISTENS, adapter: PLAIN },
];

pub fn named(name: &str) -> Option<&'static Server> {
    SERVERS.iter().find(|server| server.name == name)
}

pub fn peers() -> impl Iterator<Item = &'static str> {
    SERVERS.iter().map(|server| server.name).filter(|name| ![OURS, BARE].contains(name))
}

/// Where programs are.
#[derive(Clone, Debug)]
pub struct Places {
    /// `loadtest/peers` of the repository.
    peers: PathBuf,
    /// A built rollcall, where one takes part.
    ours: PathBuf,
}

impl Places {
    /// Finds the repository; `ours` is where a rollcall is.
    pub fn find(ours: PathBuf) -> io::Result<Places> {
        let lost = || io::Error::other("loadtest/peers is nowhere above: run this in the repository");
        Ok(Places { peers: child::repository().ok_or_else(lost)?.join("loadtest/peers"), ours })
    }
}

impl Server {
    /// Makes it ready to be started, unless it is. Says on standard error what it does.
    pub fn build(&self, places: &Places) -> io::Result<()> {
        let folder = places.peers.join(self.folder);
        match self.form {
            Form::Ours | Form::Bare => Ok(()),
            Form::Cargo if is_newer(&self.binary(places), &folder.join("Cargo.lock")) => Ok(()),
            Form::Cargo => {
                let flags = ["build", "--release", "--locked", "--target-dir", "target", "--bin", self.name];
                succeed(Command::new("cargo").args(flags).current_dir(folder))
            }
            Form::Npm { package, .. } if folder.join("node_modules").join(package).is_dir() => Ok(()),
            Form::Npm { .. } => {
                succeed(Command::new("npm").args(["ci", "--ignore-scripts"]).current_dir(folder))
            }
        }
    }

    fn binary(&self, places: &Places) -> PathBuf {
        places.peers.join(self.folder).join("target/release").join(self.name)
    }

    /// Whether it takes part where a service is measured, by so many workers. The bare loop sends each message at once, and so
    /// not at the least that a chat can cost; its workers know nothing of each other. Peers have one.
    pub fn offers(&self, service: Service, workers: Option<usize>) -> bool {
        let several = workers.is_some_and(|workers| workers > 1);
        let room = matches!(service, Service::Chat | Service::FanOut);
        match self.form {
            Form::Ours => true,
            Form::Bare => service != Service::Chat && !(service == Service::FanOut && several),
            _ => workers.is_none() && (room || self.adapter.echo.is_some()),
        }
    }

    /// Its part in a row that needs a service.
    pub fn subject(&self, places: &Places, service: Service, workers: Option<usize>) -> io::Result<Subject> {
        let workers = workers.unwrap_or(1).to_string();
        let mut server: Vec<OsString> = match self.form {
            // In lockstep chat every member speaks as fast as it can.
            Form::Ours => {
                let flags = ["--workers", &workers, "--max-commands-per-second", "1000000"];
                [places.ours.clone().into()].into_iter().chain(flags.map(Into::into)).collect()
            }
            Form::Bare => {
                let fan_out = (service == Service::FanOut).then_some("--fan-out");
                let flags = ["bare", "--workers", &workers].into_iter().chain(fan_out);
                [std::env::current_exe()?.into()].into_iter().chain(flags.map(Into::into)).collect()
            }
            Form::Cargo => vec![self.binary(places).into()],
            Form::Npm { start, .. } => {
                let folder = places.peers.join(self.folder);
                start.iter().map(|word| file_or_word(&folder, word)).collect::<io::Result<_>>()?
            }
        };
        server.push("--listen".into());
        let (path, flags) = match (service, self.adapter.echo) {
            (Service::Echo | Service::Connections, Some(path)) => (path, &[][..]),
            _ => self.adapter.room,
        };
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let launch = Launch { name: self.name, words: server, ready: self.ready, ..Launch::default() };
        Ok(Subject { launch, path, flags })
    }

    /// Its version, as far as its own files tell.
    pub fn version(&self, places: &Places) -> Option<String> {
        let folder = places.peers.join(self.folder);
        let pinned = |text: &str| text.trim_start_matches('=').to_owned();
        match self.form {
            Form::Ours => Some(env!("CARGO_PKG_VERSION").to_owned()),
            Form::Bare => None,
            Form::Npm { package, .. } => {
                let manifest = fs::read_to_string(folder.join("package.json")).ok()?;
                let manifest: serde_json::Value = serde_json::from_str(&manifest).ok()?;
                manifest["dependencies"][package].as_str().map(pinned)
            }
            Form::Cargo => {
                let manifest = fs::read_to_string(folder.join("Cargo.toml")).ok()?;
                manifest_version(&manifest, self.name).as_deref().map(pinned)
            }
        }
    }
}

/// Whether a program is there that was made after its lock file.
fn is_newer(program: &Path, lock: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    changed(program).zip(changed(lock)).is_some_and(|(made, pinned)| made > pinned)
}

/// A word of a command; the path of the file in a folder that it names, if there is one. `*` stands for the first folder that fits.
fn file_or_word(folder: &Path, word: &str) -> io::Result<OsString> {
    let Some((above, below)) = word.split_once("/*/") else {
        let file = folder.join(word);
        return Ok(if file.is_file() { file.into() } else { word.into() });
    };
    let fits = fs::read_dir(folder.join(above))?.flatten().map(|entry| entry.path().join(below));
    let mut found: Vec<PathBuf> = fits.filter(|file| file.is_file()).collect();
    // Where a C library of each kind is installed, the plain one comes first.
    found.sort();
    let none = || {
        io::Error::other(format!("{}: npm has installed none for this platform", folder.join(word).display()))
    };
    found.into_iter().next().map(OsString::from).ok_or_else(none)
}

/// The version that a Cargo manifest asks for: `name = { version = "=1.2.3" … }`.
fn manifest_version(manifest: &str, name: &str) -> Option<String> {
    let line = manifest.lines().find(|line| line.starts_with(&format!("{name} = ")))?;
    line.split('"')
        .find(|part| part.trim_start_matches('=').starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places::find("rollcall".into()).expect("tests run in the repository")
    }

    #[test]
    fn a_manifest_tells_what_is_pinned() {
        let manifest =
            "[dependencies]\nbytes = \"=1.2.3\"\nx = { version = \"=0.10.0\", features = [\"a\"] }\n";
        assert_eq!(manifest_version(manifest, "x").as_deref(), Some("=0.10.0"));
        assert_eq!(manifest_version(manifest, "bytes").as_deref(), Some("=1.2.3"));
        assert_eq!(manifest_version(manifest, "y"), None);
    }

    #[test]
    fn every_peer_knows_its_version_and_is_locked() {
        let places = places();
        for name in peers() {
            let server = named(name).expect("it is declared");
            let version = server.version(&places).unwrap_or_default();
            assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{name}: {version}");
            let lock = if matches!(server.form, Form::Cargo) { "Cargo.lock" } else { "package-lock.json" };
            assert!(places.peers.join(server.folder).join(lock).is_file(), "{name}");
        }
    }

    #[test]
    fn the_bare_loop_takes_part_where_it_does_the_least() {
        let bare = named(BARE).expect("it is declared");
        for (service, workers, takes_part) in [
            (Service::Echo, None, true),
            (Service::Echo, Some(2), true),
            (Service::FanOut, None, true),
            (Service::FanOut, Some(1), true),
            (Service::FanOut, Some(2), false),
            (Service::Chat, None, false),
        ] {
            assert_eq!(bare.offers(service, workers), takes_part, "{service:?} {workers:?}");
        }
        let subject = bare.subject(&places(), Service::FanOut, None).expect("nothing is asked of it");
        assert!(subject.path == "/chat" && subject.launch.words.contains(&"--fan-out".into()));
    }

    #[test]
    fn a_peer_takes_part_with_one_worker_in_what_it_can() {
        let socketio = named("socket.io").expect("it is declared");
        assert!(socketio.offers(Service::Chat, None) && !socketio.offers(Service::Echo, None));
        let bun = named("bun").expect("it is declared");
        assert!(bun.offers(Service::Connections, None) && !bun.offers(Service::Echo, Some(1)));
    }
}
