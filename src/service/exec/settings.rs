//! The settings of commands: their paths, their limits, their user.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::reactor::processes::{Access, ProcessLimits};
use crate::service::authenticator::Authenticator;
use crate::service::exec::counts::{Counts, ProcessCounts};

/// The settings of commands, for all workers.
#[derive(Clone, Debug)]
pub struct ExecSettings {
    /// The commands, and their paths. Of several that fit a path the longest counts.
    pub mounts: Vec<ExecMount>,
    /// Every upgrade is for a command: there is no presence.
    pub alone: bool,
    /// A page to try commands by, in the place of an answer that says how they are reached.
    pub console: bool,
    /// Origins whose pages may run commands, as a browser writes them, beside the server's own.
    pub origins: Vec<String>,
    /// Authenticates clients, where that is asked for.
    pub authenticator: Authenticator,
    /// Output and messages are bytes, and not lines.
    pub binary: bool,
    /// The errors that a process prints are for its client, and not for the log.
    pub errors_to_client: bool,
    /// The longest line.
    pub message_bytes_max: usize,
    /// Limits on processes at once.
    pub processes: ProcessCounts,
    /// Processes now.
    pub counts: Arc<Counts>,
    /// Limits on each process.
    pub limits: ProcessLimits,
    /// How long a process may take; `None`: as long as its client stays.
    pub time: Option<Duration>,
    /// The user and the group that processes run as; `None`: the server's.
    pub user: Option<(u32, u32)>,
    /// Their working directory; `None`: the server's.
    pub directory: Option<Vec<u8>>,
    /// Variables of every process's environment.
    pub environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// Time that a process has to end by itself beyond what it always has, in milliseconds.
    pub patience_millis: u32,
    /// The guard that starts processes; `None`: there is none, and nothing is started.
    pub access: Option<Access>,
}

/// Something that is served below a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExecMount {
    /// The path: `/` alone, or without a slash at its end.
    pub path: String,
    /// The commands there.
    pub target: Target,
}

/// The commands below a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// One.
    Program(Program),
    /// The programs of a directory, by their paths in it.
    Directory(BTreeMap<String, Program>),
}

/// A program and its arguments.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Program {
    /// Its path.
    pub path: Vec<u8>,
    /// Its arguments.
    pub arguments: Vec<Vec<u8>>,
}

/// The command of a path, and how the path is divided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found<'s> {
    /// The program.
    pub program: &'s Program,
    /// The part of the path that names it.
    pub script_name: String,
    /// The rest of the path.
    pub path_info: String,
}

impl ExecSettings {
    /// No commands.
    #[must_use]
    pub fn none() -> ExecSettings {
        let processes = ProcessCounts::default();
        ExecSettings {
            mounts: Vec::new(),
            alone: false,
            console: false,
            origins: Vec::new(),
            authenticator: Authenticator::default(),
            binary: false,
            errors_to_client: false,
            message_bytes_max: 1 << 20,
            processes,
            counts: Counts::new(processes),
            limits: ProcessLimits::default(),
            time: None,
            user: None,
            directory: None,
            environment: Vec::new(),
            patience_millis: 0,
            access: None,
        }
    }

    /// Whether a path, percent-decoded, belongs to commands, whether or not there is one.
    #[must_use]
    pub fn is_path(&self, path: &str) -> bool {
        self.mount_of(path).is_some()
    }

    /// The command of a path.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Found<'_>> {
        let mount = self.mount_of(path)?;
        let rest = path.strip_prefix(&mount.path).unwrap_or_default();
        match &mount.target {
            Target::Program(program) => {
                let (script_name, path_info) = if mount.path == "/" {
                    // As websocketd has it for a command alone: the whole path is for the command.
                    ("/".to_owned(), path.to_owned())
                } else {
                    (mount.path.clone(), rest.to_owned())
                };
                Some(Found { program, script_name, path_info })
            }
            Target::Directory(programs) => {
                let rest = rest.trim_start_matches('/');
                let base = mount.path.trim_end_matches('/');
                let ends = rest.match_indices('/').map(|(at, _)| at).chain([rest.len()]);
                ends.filter_map(|end| Some((end, programs.get(&rest[..end])?))).next().map(
                    |(end, program)| Found {
                        program,
                        script_name: format!("{base}/{}", &rest[..end]),
                        path_info: rest[end..].to_owned(),
                    },
                )
            }
        }
    }

    fn mount_of(&self, path: &str) -> Option<&ExecMount> {
        let fits = |mount: &&ExecMount| {
            let rest = path.strip_prefix(&mount.path);
            mount.path == "/" || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.mounts.iter().filter(fits).max_by_key(|mount| mount.path.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(path: &str) -> Program {
        Program { path: path.into(), arguments: Vec::new() }
    }

    #[test]
    fn a_path_is_divided_as_websocketd_divides_it() {
        let programs = ["count.sh", "deep/er.sh"].map(|name| (name.to_owned(), program(name)));
        let settings = ExecSettings {
            mounts: vec![
                ExecMount { path: "/bin".into(), target: Target::Directory(programs.into()) },
                ExecMount { path: "/cat".into(), target: Target::Program(program("cat")) },
                ExecMount { path: "/cat/nip".into(), target: Target::Program(program("nip")) },
            ],
            ..ExecSettings::none()
        };
        for (path, found) in [
            ("/bin/count.sh", Some(("count.sh", "/bin/count.sh", ""))),
            ("/bin/count.sh/a/b", Some(("count.sh", "/bin/count.sh", "/a/b"))),
            ("/bin/deep/er.sh/x", Some(("deep/er.sh", "/bin/deep/er.sh", "/x"))),
            ("/bin/deep", None),
            ("/bin", None),
            ("/bin/../count.sh", None),
            ("/binary", None),
            ("/cat", Some(("cat", "/cat", ""))),
            ("/cat/7", Some(("cat", "/cat", "/7"))),
            ("/cat/nip/7", Some(("nip", "/cat/nip", "/7"))),
            ("/", None),
        ] {
            let divided = settings.find(path);
            let divided = divided.as_ref().map(|found| {
                let name = std::str::from_utf8(&found.program.path).unwrap();
                (name, found.script_name.as_str(), found.path_info.as_str())
            });
            assert_eq!(divided, found, "{path}");
        }
        assert!(settings.is_path("/bin/nothing") && !settings.is_path("/ws"));
        let target = Target::Program(program("all"));
        let settings =
            ExecSettings { mounts: vec![ExecMount { path: "/".into(), target }], ..ExecSettings::none() };
        let found = settings.find("/any/where").unwrap();
        assert_eq!((found.script_name.as_str(), found.path_info.as_str()), ("/", "/any/where"));
    }
}
