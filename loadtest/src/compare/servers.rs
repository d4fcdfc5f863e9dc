//! The servers that are compared: how each is built, started on its core, and ended.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cores::Cores;
use super::rows::{Plan, Service};
use crate::child::{Child, succeed};
use crate::comparison::{BARE, OURS};

/// A server that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// This repository's.
    #[value(skip)]
    Ours,
    /// `loadtest bare`.
    #[value(skip)]
    Bare,
    /// Bun (uWebSockets)
    Bun,
    /// Node's ws
    Ws,
    /// fastwebsockets on tokio
    Fastwebsockets,
    /// tokio-tungstenite with an 8 KiB read buffer
    TokioTungstenite,
}

impl Kind {
    /// Its short name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ours => OURS,
            Kind::Bare => BARE,
            Kind::Bun => "bun",
            Kind::Ws => "ws",
            Kind::Fastwebsockets => "fastwebsockets",
            Kind::TokioTungstenite => "tokio-tungstenite",
        }
    }

    /// Makes it ready to be started. Says on standard error what it does.
    pub fn build(self, places: &Places) -> io::Result<()> {
        match self {
            Kind::Bare => Ok(()),
            Kind::Ours if places.ours.is_some() => Ok(()),
            Kind::Ours => crate::child::build_rollcall(&places.root),
            Kind::Fastwebsockets | Kind::TokioTungstenite => {
                let folder = places.peer("rust");
                let mut command = Command::new("cargo");
                command.args([
                    "build",
                    "--release",
                    "--locked",
                    "--bin",
                    self.name(),
                    "--target-dir",
                    "target",
                ]);
                succeed(command.current_dir(folder))
            }
            Kind::Ws | Kind::Bun => {
                let folder = places.peer(if self == Kind::Ws { "node" } else { "bun" });
                if folder.join("node_modules").join(self.name()).is_dir() {
                    return Ok(());
                }
                succeed(Command::new("npm").args(["ci", "--ignore-scripts"]).current_dir(folder))
            }
        }
    }

    /// The program and its arguments up to the address. Peers have one thread, whatever the plan says.
    fn command(self, places: &Places, plan: &Plan) -> io::Result<Vec<OsString>> {
        let workers = plan.workers.unwrap_or(1).to_string();
        let words: Vec<OsString> = match self {
            Kind::Ours => {
                let built = places.program();
                // In lockstep chat every member speaks as fast as it can.
                let flags = ["--workers", &workers, "--max-commands-per-second", "1000000", "--listen"];
                [built.into()].into_iter().chain(flags.map(Into::into)).collect()
            }
            Kind::Bare => {
                let mode = (plan.service == Service::FanOut).then_some("--fan-out");
                let flags = ["bare", "--workers", &workers].into_iter().chain(mode).chain(["--listen"]);
                [std::env::current_exe()?.into()].into_iter().chain(flags.map(Into::into)).collect()
            }
            Kind::Ws => vec!["node".into(), places.peer("node").join("server.js").into(), "--listen".into()],
            Kind::Bun => {
                let folder = places.peer("bun");
                vec![bun(&folder)?.into(), folder.join("server.js").into(), "--listen".into()]
            }
            Kind::Fastwebsockets | Kind::TokioTungstenite => {
                let built = places.peer("rust").join("target/release").join(self.name());
                vec![built.into(), "--listen".into()]
            }
        };
        Ok(words)
    }

    /// Its version, as far as its own files tell.
    pub fn version(self, places: &Places) -> Option<String> {
        let pinned = |text: String| text.trim_start_matches('=').to_owned();
        match self {
            Kind::Ours => Some(env!("CARGO_PKG_VERSION").to_owned()),
            Kind::Bare => None,
            Kind::Ws | Kind::Bun => {
                let folder = places.peer(if self == Kind::Ws { "node" } else { "bun" });
                let package = fs::read_to_string(folder.join("package.json")).ok()?;
                let package: serde_json::Value = serde_json::from_str(&package).ok()?;
                package["dependencies"][self.name()].as_str().map(|version| pinned(version.to_owned()))
            }
            Kind::Fastwebsockets | Kind::TokioTungstenite => {
                let manifest = fs::read_to_string(places.peer("rust").join("Cargo.toml")).ok()?;
                manifest_version(&manifest, self.name()).map(pinned)
            }
        }
    }
}

/// The version that a Cargo manifest asks for: `name = { version = "=1.2.3" … }`.
fn manifest_version(manifest: &str, name: &str) -> Option<String> {
    let line = manifest.lines().find(|line| line.starts_with(&format!("{name} = ")))?;
    line.split('"')
        .find(|part| part.trim_start_matches('=').starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
}

/// Bun's program, in the package of the platform: npm's link to it is made by a script that may be forbidden.
fn bun(folder: &Path) -> io::Result<PathBuf> {
    let packages = fs::read_dir(folder.join("node_modules/@oven"))?;
    let programs = packages.flatten().map(|package| package.path().join("bin/bun"));
    let mut found: Vec<PathBuf> = programs.filter(|program| program.is_file()).collect();
    // Where a C library of each kind is installed, the plain one comes first.
    found.sort();
    found
        .into_iter()
        .next()
        .ok_or_else(|| io::Error::other("npm has installed no program for Bun on this platform"))
}

/// Where things are.
#[derive(Clone, Debug)]
pub struct Places {
    /// The repository.
    pub root: PathBuf,
    /// A built rollcall, where it is not to be built.
    pub ours: Option<PathBuf>,
}

impl Places {
    /// Looks upwards for the repository, from the working folder and from this program.
    pub fn find(ours: Option<PathBuf>) -> io::Result<Places> {
        let starts = [std::env::current_dir()?, std::env::current_exe()?];
        let mut folders = starts.iter().flat_map(|start| start.ancestors());
        let root = folders.find(|folder| folder.join("loadtest/peers/rust/Cargo.toml").is_file());
        let root = root
            .ok_or_else(|| io::Error::other("loadtest/peers is nowhere above: run this in the repository"))?;
        Ok(Places { root: root.to_owned(), ours })
    }

    /// The built rollcall.
    pub fn program(&self) -> PathBuf {
        self.ours.clone().unwrap_or_else(|| self.target_dir().join("release/rollcall"))
    }

    fn peer(&self, folder: &str) -> PathBuf {
        self.root.join("loadtest/peers").join(folder)
    }

    fn target_dir(&self) -> PathBuf {
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), PathBuf::from)
    }
}

/// A server that runs; it is ended when this is dropped.
#[derive(Debug)]
pub struct Server(Child);

impl Server {
    /// Starts it and waits until it accepts: on its core, or where the plan names workers on all.
    pub fn start(kind: Kind, places: &Places, cores: &Cores, plan: &Plan) -> io::Result<Server> {
        let words = kind.command(places, plan)?;
        let start = |command: &mut Command| match plan.workers {
            None => cores.on_server(|| command.spawn()),
            Some(_) => command.spawn(),
        };
        Child::start(kind.name(), &words, start).map(Server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.0.pid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_tells_what_is_pinned() {
        let manifest =
            "[dependencies]\nbytes = \"=1.2.3\"\nx = { version = \"=0.10.0\", features = [\"a\"] }\n";
        assert_eq!(manifest_version(manifest, "x").as_deref(), Some("=0.10.0"));
        assert_eq!(manifest_version(manifest, "bytes").as_deref(), Some("=1.2.3"));
        assert_eq!(manifest_version(manifest, "y"), None);
    }

    #[test]
    fn every_peer_knows_its_version() {
        let places = Places::find(None).expect("tests run in the repository");
        for kind in [Kind::Bun, Kind::Ws, Kind::Fastwebsockets, Kind::TokioTungstenite] {
            let version = kind.version(&places).unwrap_or_default();
            assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{}: {version}", kind.name());
        }
    }
}
