//! Files by which programs of the same user find a running server: each server that made its own API key leaves one, with the
//! key and with where it listens.
//!
//! The directory and the files belong to one user and only that user can read them. A server holds a lock on its file for as
//! long as it runs, so that a file that a dead server has left is known by its free lock, whatever process has its number now.

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Debug, Formatter, Write as _};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::limits::RUNTIME_FILE_BYTES_MAX;

/// The ending of the files' names.
const SUFFIX: &str = ".key";

/// The file of a running server; it goes with this value.
#[derive(Debug)]
pub struct RuntimeFile {
    path: PathBuf,
    /// Locked until it is dropped.
    _lock: File,
}

impl RuntimeFile {
    /// Leaves a file in `directory`, which is made where it is missing, and removes those of dead servers there.
    ///
    /// # Errors
    /// The directory belongs to somebody else, others may write to it, it is a symbolic link, or as `mkdir(2)`, `open(2)` and
    /// `rename(2)`.
    pub fn create(directory: &Path, key: &str, listening: &[String]) -> io::Result<RuntimeFile> {
        make(directory)?;
        running_in(directory);
        let process = std::process::id();
        // A server in another container may have our number.
        let mut names = (0_u32..).map(|nth| directory.join(format!("{process}-{nth}{SUFFIX}")));
        let path = names.find(|path| !path.exists()).expect("there are numbers enough");
        let unfinished = path.with_extension("new");
        let _ = fs::remove_file(&unfinished);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.lock()?;
        let mut text = format!("pid {process}\n");
        for place in listening {
            // Writing to a String can't fail.
            let _ = writeln!(text, "listen {place}");
        }
        let _ = writeln!(text, "key {key}");
        file.write_all(text.as_bytes())?;
        // Under its own name it is whole, and locked.
        fs::rename(&unfinished, &path)?;
        Ok(RuntimeFile { path, _lock: file })
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RuntimeFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A server that runs, as its file says.
#[derive(Clone, PartialEq, Eq)]
pub struct Running {
    /// Its process.
    pub process: u32,
    /// The addresses that it listens on: `127.0.0.1:8080`, `unix:/run/rollcall.sock`.
    pub listening: Vec<String>,
    /// The key of its API.
    pub key: String,
}

impl Running {
    fn parse(text: &str) -> Option<Running> {
        let mut running = Running { process: 0, listening: Vec::new(), key: String::new() };
        for (name, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            match name {
                "pid" => running.process = value.parse().ok()?,
                "listen" => running.listening.push(value.to_owned()),
                "key" => value.clone_into(&mut running.key),
                // A later version may say more.
                _ => {}
            }
        }
        (!running.key.is_empty()).then_some(running)
    }

    /// Whether it listens at a place: a port, `HOST:PORT`, a URL of either, or `unix:/PATH`.
    #[must_use]
    pub fn listens_at(&self, place: &str) -> bool {
        let place = match place.split_once("://") {
            Some((scheme, rest)) if scheme != "unix" => rest.split('/').next().unwrap_or_default(),
            _ => place,
        };
        let place = place.replace("localhost:", "127.0.0.1:");
        let wanted = place.parse::<SocketAddr>().ok();
        let port = place.parse::<u16>().ok();
        self.listening.iter().any(|listening| {
            let address = listening.parse::<SocketAddr>().ok();
            let everywhere = || {
                let both = address.zip(wanted);
                both.is_some_and(|(at, wanted)| at.ip().is_unspecified() && at.port() == wanted.port())
            };
            let is_port = || port.is_some() && address.map(|at| at.port()) == port;
            *listening == place || is_port() || everywhere()
        })
    }
}

impl Debug for Running {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("process", &self.process).field("listening", &self.listening).finish()
    }
}

/// The directories in which servers leave their files, the one for a new server of this user first. `variable` reads the
/// environment; `user` is the effective user.
///
/// `$RUNTIME_DIRECTORY` alone where it is set (by systemd's `RuntimeDirectory=`, or by who wants no other), else
/// `$XDG_RUNTIME_DIR/rollcall`, else `/run/rollcall` for root and `/tmp/rollcall-UID` for anybody else. Of these the later ones are
/// looked at too, and `/run/rollcall` always: the shell that asks has not the environment of the service.
pub fn directories(variable: impl Fn(&str) -> Option<OsString>, user: u32) -> Vec<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    // systemd separates several by colons.
    let systemd = set("RUNTIME_DIRECTORY").and_then(|value| {
        let text = value.into_string().ok()?;
        text.split(':').next().map(PathBuf::from).filter(|directory| directory.is_absolute())
    });
    if let Some(directory) = systemd {
        return vec![directory];
    }
    let session = set("XDG_RUNTIME_DIR").map(|value| PathBuf::from(value).join("rollcall"));
    let own = (user != 0).then(|| PathBuf::from(format!("/tmp/rollcall-{user}")));
    let system = PathBuf::from("/run/rollcall");
    let mut all: Vec<PathBuf> = Vec::new();
    for directory in session.into_iter().chain(own).chain([system]) {
        if directory.is_absolute() && !all.contains(&directory) {
            all.push(directory);
        }
    }
    all
}

/// The same for this process.
#[must_use]
pub fn directories_here() -> Vec<PathBuf> {
    directories(|name| std::env::var_os(name), user())
}

/// The servers of this user that run and made their own key, in the order of their numbers. For root also those of other
/// users, where their files are in a directory that root looks at.
#[must_use]
pub fn running() -> Vec<Running> {
    let mut all: Vec<Running> =
        directories_here().iter().flat_map(|directory| running_in(directory)).collect();
    all.sort_by_key(|running| running.process);
    all
}

/// The servers whose files are in a directory. Files of dead servers are removed.
fn running_in(directory: &Path) -> Vec<Running> {
    if !fs::symlink_metadata(directory).is_ok_and(|metadata| metadata.is_dir() && is_trusted(metadata.uid()))
    {
        return Vec::new();
    }
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let files = paths.filter(|path| path.file_name().and_then(OsStr::to_str).is_some_and(is_ours));
    files.filter_map(|path| read(&path)).collect()
}

/// Whether a file may be one of a server, by its name: two numbers and [`SUFFIX`]. Others may keep keys of their own there.
fn is_ours(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = name.strip_suffix(SUFFIX).and_then(|stem| stem.split_once('-'));
    numbers.is_some_and(|(process, serial)| is_number(process) && is_number(serial))
}

/// A file of a running server. One whose lock is free is removed: its server is gone.
fn read(path: &Path) -> Option<Running> {
    // Neither a link nor a pipe may stand in for it.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || !is_trusted(metadata.uid()) || metadata.mode() & 0o022 != 0 {
        return None;
    }
    // Shared, so that two that look at the same time don't take each other for the server.
    let is_free = file.try_lock_shared().is_ok();
    let mut text = String::new();
    (&file).take(RUNTIME_FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    let running = Running::parse(&text)?;
    if is_free {
        // Only what this user's servers have left.
        if metadata.uid() == user() {
            let _ = fs::remove_file(path);
        }
        return None;
    }
    Some(running)
}

/// Makes the directory, or looks at whose the one that is there is.
fn make(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let metadata = fs::symlink_metadata(directory)?;
    let wrong = |what: &str| Err(io::Error::new(ErrorKind::PermissionDenied, what.to_owned()));
    if !metadata.is_dir() {
        return wrong("it is no directory");
    }
    if metadata.uid() != user() {
        return wrong("it belongs to another user");
    }
    if metadata.mode() & 0o022 != 0 {
        return wrong("others may write to it");
    }
    Ok(())
}

/// Whether a user's word is taken: our own, and for root anybody's in the directories that root looks at.
fn is_trusted(owner: u32) -> bool {
    let user = user();
    owner == user || user == 0
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// A directory of a test, that is gone when the test is over.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Directory {
            let path = std::env::temp_dir().join(format!("rollcall-runtime-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Directory(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_running_server_is_found_and_its_file_goes_with_it() {
        let top = Directory::new("life");
        let directory = top.0.join("made");
        let places = ["127.0.0.1:8080".to_owned(), "unix:/run/a b.sock".to_owned()];
        let file = RuntimeFile::create(&directory, "the-key", &places).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&directory), mode(file.path())), (0o700, 0o600));
        let found = running_in(&directory);
        let process = std::process::id();
        assert_eq!(found, [Running { process, listening: places.to_vec(), key: "the-key".to_owned() }]);
        assert!(!format!("{found:?}").contains("the-key"));
        let path = file.path().to_owned();
        drop(file);
        assert!(!path.exists() && running_in(&directory).is_empty());
    }

    #[test]
    fn a_server_is_known_by_port_address_and_url() {
        let listening = ["127.0.0.1:8080", "0.0.0.0:9090", "[::1]:7070", "unix:/run/a.sock"];
        let listening = listening.map(str::to_owned).to_vec();
        let running = Running { process: 1, listening, key: "k".to_owned() };
        for place in [
            "8080",
            "127.0.0.1:8080",
            "ws://localhost:8080/ws",
            "http://10.0.0.1:9090",
            "[::1]:7070",
            "unix:/run/a.sock",
        ] {
            assert!(running.listens_at(place), "{place}");
        }
        for place in ["80", "", "127.0.0.2:8080", "unix:/run/b.sock", "unix:/run/a", "[::]:7070"] {
            assert!(!running.listens_at(place), "{place}");
        }
    }

    #[test]
    fn what_a_dead_server_left_is_removed() {
        let top = Directory::new("dead");
        let left = top.0.join("4711-0.key");
        fs::write(&left, "pid 4711\nlisten 127.0.0.1:1\nkey old\n").unwrap();
        assert!(running_in(&top.0).is_empty());
        assert!(!left.exists());
        fs::write(&left, "pid 4711\nkey old\n").unwrap();
        let others = ["tls.key", "4711-0-a.key", "1-2.key"].map(|name| top.0.join(name));
        others.iter().for_each(|other| fs::write(other, "-----BEGIN PRIVATE KEY-----").unwrap());
        let _file = RuntimeFile::create(&top.0, "new", &[]).unwrap();
        assert!(!left.exists());
        assert!(others.iter().all(|other| other.exists()), "they are somebody's");
    }

    #[test]
    fn a_directory_that_is_not_ours_alone_is_refused() {
        let top = Directory::new("foreign");
        let (target, link, file) = (top.0.join("target"), top.0.join("link"), top.0.join("file"));
        fs::create_dir(&target).unwrap();
        symlink(&target, &link).unwrap();
        fs::write(&file, "").unwrap();
        let refusal = |directory: &Path| RuntimeFile::create(directory, "k", &[]).unwrap_err().to_string();
        assert_eq!(refusal(&link), "it is no directory");
        assert_eq!(refusal(&file), "it is no directory");
        fs::set_permissions(&target, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(refusal(&target), "others may write to it");
        assert!(running_in(&link).is_empty());
    }

    #[test]
    fn links_and_files_that_others_may_write_are_not_read() {
        let top = Directory::new("links");
        let elsewhere = top.0.join("elsewhere");
        fs::write(&elsewhere, "pid 1\nkey forged\n").unwrap();
        let held = File::open(&elsewhere).unwrap();
        held.lock().unwrap();
        symlink(&elsewhere, top.0.join("1-0.key")).unwrap();
        assert!(running_in(&top.0).is_empty());
        fs::rename(&elsewhere, top.0.join("2-0.key")).unwrap();
        assert_eq!(running_in(&top.0).len(), 1);
        fs::set_permissions(top.0.join("2-0.key"), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(running_in(&top.0).is_empty());
    }

    #[test]
    fn the_directory_is_the_systems_the_sessions_or_our_own() {
        let directories = |variables: &[(&str, &str)], user| {
            let value = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, v)| (*v).into());
            let all = directories(value, user);
            all.into_iter().map(|path| path.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(directories(&[], 1000), ["/tmp/rollcall-1000", "/run/rollcall"]);
        assert_eq!(directories(&[], 0), ["/run/rollcall"]);
        assert_eq!(
            directories(&[("XDG_RUNTIME_DIR", "/run/user/7")], 7),
            ["/run/user/7/rollcall", "/tmp/rollcall-7", "/run/rollcall"]
        );
        let both = [("RUNTIME_DIRECTORY", "/run/a:/run/b"), ("XDG_RUNTIME_DIR", "/run/user/7")];
        assert_eq!(directories(&both, 7), ["/run/a"]);
        let relative = [("RUNTIME_DIRECTORY", "here"), ("XDG_RUNTIME_DIR", "here")];
        assert_eq!(directories(&relative, 7), ["/tmp/rollcall-7", "/run/rollcall"]);
        assert_eq!(directories(&[("RUNTIME_DIRECTORY", "/run/rollcall")], 0), ["/run/rollcall"]);
    }
}
