//! SIGHUP: the settings are read again from where they were read, and what can change while the server runs does. Nobody
//! is dropped for it. What can't change yet is named, so that nobody believes it has.

use crate::cli::flags::{CliFlags, read};
use crate::cli::log::Level;
use crate::config::{Settings, Sources, exposed};

/// Settings that change at once; all others need a restart.
const LIVE: [&str; 16] = [
    "log-level",
    "max-connections",
    "max-connections-per-address",
    "max-handshakes-per-address",
    "max-connections-per-user",
    "max-commands-per-second",
    "max-memory",
    "max-backlog",
    "max-data",
    "max-message",
    "max-frame",
    "max-fragments",
    "max-header",
    "message-timeout",
    "handshake-timeout",
    "close-timeout",
];

/// Puts limits that were read again in the place of those that run; an error is a line, and then none has changed.
pub(super) type SetLimits = Box<dyn Fn(&Settings) -> Result<(), String> + Send>;

/// The sources and handles with which settings are read again.
pub(super) struct Reload {
    flags: CliFlags,
    running: Sources,
    level: Level,
    keys: Box<dyn Fn() + Send>,
    limits: SetLimits,
}

impl Reload {
    /// The server runs by `running`, which was read with these flags. `keys` reads the files with keys and certificates
    /// again.
    pub(super) fn new(
        (flags, running): (CliFlags, Sources),
        level: Level,
        keys: Box<dyn Fn() + Send>,
        limits: SetLimits,
    ) -> Reload {
        Reload { flags, running, level, keys, limits }
    }

    /// Reads and applies. What can't be read or does not hold together changes nothing.
    pub(super) fn reload(&mut self) {
        (self.keys)();
        match self.try_reload() {
            Ok(line) => tracing::info!("{line}"),
            Err(line) => tracing::error!("settings not reloaded, the server goes on as before: {line}"),
        }
    }

    fn try_reload(&mut self) -> Result<String, String> {
        let sources = read(self.flags.clone()).map_err(|failure| failure.line)?;
        let settings = Settings::resolve(&sources)?;
        for warning in sources.warnings.iter().chain(&exposed::warnings(&settings, &sources)) {
            tracing::warn!("{warning}");
        }
        (self.limits)(&settings)?;
        let changed = self.running.changes(&sources);
        self.level.set(settings.log_level);
        self.running.follow(&sources, &LIVE);
        Ok(told(&changed))
    }
}

/// Describes the changes in a line.
fn told(changed: &[String]) -> String {
    let (live, later): (Vec<&str>, Vec<&str>) =
        changed.iter().map(String::as_str).partition(|key| LIVE.contains(key));
    let mut line = match &live[..] {
        [] => "settings reloaded: nothing changes".to_owned(),
        live => format!("settings reloaded: {}", live.join(", ")),
    };
    if !later.is_empty() {
        line.push_str(&format!("; a restart is needed for {}", later.join(", ")));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_restart_is_named() {
        let told = |keys: &[&str]| told(&keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
        assert_eq!(told(&[]), "settings reloaded: nothing changes");
        assert_eq!(told(&["log-level"]), "settings reloaded: log-level");
        assert_eq!(
            told(&["drain", "log-level", "max-memory", "workers"]),
            "settings reloaded: log-level, max-memory; a restart is needed for drain, workers"
        );
    }
}
