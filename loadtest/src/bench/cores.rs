//! Which core the server has to itself, and which ones put on the load.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Cores of this process, parted. A child is put on its cores by moving the thread that starts it there and back: it
/// inherits them, so there is no moment at which it runs elsewhere.
pub struct Cores {
    all: CpuSet,
    server: CpuSet,
    load: CpuSet,
    /// Numbers, for the report.
    names: (usize, Vec<usize>),
}

impl Cores {
    /// The first core for the server, all others for the load. An error where there is but one.
    pub fn two() -> io::Result<Cores> {
        let all = sched_getaffinity(None)?;
        let usable: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core)).collect();
        let (server, load) = usable.split_first().filter(|(_, load)| !load.is_empty()).ok_or_else(|| {
            io::Error::other("one core alone: the load would measure itself, two are needed")
        })?;
        Ok(Cores { all, server: set_of(&[*server]), load: set_of(load), names: (*server, load.to_vec()) })
    }

    pub fn on_server<T>(&self, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.on(&self.server, start)
    }

    pub fn on_load<T>(&self, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.on(&self.load, start)
    }

    fn on<T>(&self, cores: &CpuSet, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        sched_setaffinity(None, cores)?;
        let started = start();
        sched_setaffinity(None, &self.all)?;
        started
    }

    /// How they are parted, in a sentence.
    pub fn describe(&self) -> String {
        let (server, load) = &self.names;
        let load: Vec<String> = load.iter().map(ToString::to_string).collect();
        format!("The server is pinned to core {server}, the load to {}.", load.join(", "))
    }
}

fn set_of(cores: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    set
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_child_begins_on_its_cores_and_the_parent_gets_its_own_back() {
        let before = sched_getaffinity(None).expect("this thread exists");
        let Ok(cores) = Cores::two() else { return };
        let allowed = || {
            let output = Command::new("grep").args(["Cpus_allowed_list", "/proc/self/status"]).output()?;
            Ok(String::from_utf8_lossy(&output.stdout)
                .split_whitespace()
                .last()
                .unwrap_or_default()
                .to_owned())
        };
        assert_eq!(cores.on_server(allowed).expect("grep is everywhere"), cores.names.0.to_string());
        assert_ne!(cores.on_load(allowed).expect("grep is everywhere"), cores.names.0.to_string());
        assert_eq!(sched_getaffinity(None).expect("this thread exists"), before);
    }
}
