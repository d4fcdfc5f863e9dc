//! How many connections fit, with how many workers, and which limit says so.
//!
//! A connection is one descriptor. `RLIMIT_NOFILE` counts descriptors per table, so that workers with tables of their
//! own hold that many each; with a shared table they hold that many together. `SO_REUSEPORT` spreads clients over the
//! workers by a hash, not evenly: 3 % of private tables stay free, so that the fullest one has room when all is held.

use crate::limits::{REFUSED_CONNECTIONS_MAX, WORKERS_MAX};
use crate::reactor::FdTables;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::settings::{CONNECTIONS_MAX, Settings};
use super::units::grouped;

/// The machine's resources.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    /// Descriptors that one table may hold.
    pub(crate) descriptors: usize,
}

/// The capacity of the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Capacity {
    pub(crate) workers: usize,
    pub(crate) private: bool,
    pub(crate) max_connections: usize,
    /// The most that they could be, with these workers.
    pub(crate) most: usize,
    /// The limit's name, in words.
    pub(crate) reason: String,
}

/// Descriptors of a table that are no connections: standard streams, log, signals, what a library opens, and the
/// connections beyond the bound that are held to be refused. A worker's own come on top.
const DESCRIPTORS_RESERVED: usize = 64 + REFUSED_CONNECTIONS_MAX;
/// Of a hundred descriptors in private tables, so many are counted on.
const SPREAD_PERCENT: usize = 97;

impl Machine {
    /// Raises the limit on descriptors as far as it goes, and says what there is.
    pub(crate) fn here() -> Machine {
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        let current = match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit.maximum,
            Err(_) => limit.current,
        };
        let descriptors = current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        Machine {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            descriptors: descriptors.min(CONNECTIONS_MAX),
        }
    }
}

impl Capacity {
    /// The capacity under `settings` on `machine`.
    ///
    /// # Errors
    /// The connections asked for don't fit: one line that says what to change.
    pub(crate) fn plan(settings: &Settings, machine: Machine) -> Result<Capacity, String> {
        // A Unix socket has a second descriptor, from before the workers had tables.
        let unix = settings.endpoints.iter().filter(|endpoint| endpoint.address().is_none()).count();
        let listeners = settings.endpoints.len() + unix;
        let budget = DescriptorBudget { machine, tables: settings.reactor.fd_tables, listeners };
        let workers = match (settings.workers, settings.max_connections) {
            (Some(workers), _) => workers,
            (None, None) => budget.cores(),
            (None, Some(asked)) => budget.workers_for(asked).unwrap_or(budget.cores()),
        };
        let (held, private) = (budget.connections(workers), budget.is_private(workers));
        let (max_connections, reason) = match settings.max_connections {
            Some(asked) if asked > held => return Err(budget.too_many(asked, workers)),
            Some(asked) => (asked, format!("as set; descriptors would allow {}", grouped(held as u64))),
            None if held == 0 => return Err(budget.none_fits(workers)),
            None => (held, budget.reason(workers)),
        };
        Ok(Capacity { workers, private, max_connections, most: held, reason })
    }

    /// The bound on connections when `--max-connections` was read again, with the workers that run.
    ///
    /// # Errors
    /// They don't hold so many: one line.
    pub(crate) fn again(&self, asked: Option<usize>) -> Result<usize, String> {
        let most = self.most;
        let asked = asked.unwrap_or(most);
        if asked <= most {
            return Ok(asked);
        }
        let [asked, most, workers] = [asked, most, self.workers].map(|number| grouped(number as u64));
        Err(format!(
            "--max-connections {asked} is more than {most}, which the {workers} workers that run can hold; more takes a restart"
        ))
    }
}

#[derive(Clone, Copy)]
struct DescriptorBudget {
    machine: Machine,
    tables: FdTables,
    listeners: usize,
}

impl DescriptorBudget {
    fn cores(self) -> usize {
        self.machine.cores.clamp(1, WORKERS_MAX)
    }

    fn is_private(self, workers: usize) -> bool {
        match self.tables {
            FdTables::Private => true,
            FdTables::Shared => false,
            FdTables::Auto => workers > 1,
        }
    }

    /// Connections that fit with so many workers.
    fn connections(self, workers: usize) -> usize {
        // Each worker has a poll and its listeners; the eventfds, one a worker, stand in every table.
        let own = 1 + self.listeners;
        let held = if self.is_private(workers) {
            let table = self.machine.descriptors.saturating_sub(DESCRIPTORS_RESERVED + workers + own);
            let all = table * workers;
            if workers > 1 { all / 100 * SPREAD_PERCENT } else { all }
        } else {
            self.machine.descriptors.saturating_sub(DESCRIPTORS_RESERVED + workers * (1 + own))
        };
        held.min(CONNECTIONS_MAX)
    }

    /// The least number of workers, from one per core, with which so many connections fit.
    fn workers_for(self, connections: usize) -> Option<usize> {
        (self.cores()..=WORKERS_MAX).find(|&workers| self.connections(workers) >= connections)
    }

    fn reason(self, workers: usize) -> String {
        let limit = grouped(self.machine.descriptors as u64);
        if !self.is_private(workers) {
            return format!("RLIMIT_NOFILE allows {limit} descriptors, in one table");
        }
        if workers == 1 {
            return format!("RLIMIT_NOFILE allows {limit} descriptors");
        }
        format!("RLIMIT_NOFILE allows {limit} descriptors in each of {workers} tables; 3 % stay free")
    }

    fn too_many(self, asked: usize, workers: usize) -> String {
        let held = grouped(self.connections(workers) as u64);
        let (number, workers_named) = (grouped(asked as u64), count(workers, "worker"));
        let more = DescriptorBudget { tables: FdTables::Private, ..self }.workers_for(asked);
        let way_out = match more {
            Some(_) if self.tables == FdTables::Shared => "let --fd-tables be private, or raise",
            Some(more) => &format!("let --workers be {more}, or raise"),
            None => "raise",
        };
        format!(
            "--max-connections {number} is more than {workers_named} can hold, {held}: {}; \
             {way_out} the limit (ulimit -Hn, LimitNOFILE=)",
            self.reason(workers)
        )
    }

    fn none_fits(self, workers: usize) -> String {
        format!(
            "no connection fits: {}, of which {} need most; raise the limit (ulimit -Hn, LimitNOFILE=)",
            self.reason(workers),
            count(workers, "worker")
        )
    }
}

/// `1 worker`, `2 workers`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{} {what}{}", grouped(number as u64), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::config::Sources;
    use crate::config::layer::LayerParser;

    const MACHINE: Machine = Machine { cores: 2, descriptors: 20_000 };

    fn plan(machine: Machine, flags: &[&str]) -> Result<Capacity, String> {
        let layer = LayerParser::try_parse_from(flags).unwrap().layer;
        let sources = Sources::read(&layer, None, std::iter::empty()).unwrap();
        Capacity::plan(&Settings::resolve(&sources).unwrap(), machine)
    }

    #[test]
    fn private_tables_count_once_for_each_worker() {
        let private = plan(MACHINE, &[]).unwrap();
        assert_eq!((private.workers, private.private), (2, true));
        assert_eq!(private.max_connections, (20_000 - 128 - 2 - 2) * 2 / 100 * 97);
        assert!(private.reason.contains("20,000 descriptors in each of 2 tables"), "{}", private.reason);
        let shared = plan(MACHINE, &["--fd-tables=shared"]).unwrap();
        assert_eq!((shared.private, shared.max_connections), (false, 20_000 - 128 - 6));
        let alone = plan(MACHINE, &["--workers=1"]).unwrap();
        assert_eq!((alone.private, alone.max_connections), (false, 20_000 - 128 - 3));
    }

    #[test]
    fn workers_are_as_many_as_the_connections_need() {
        let million = plan(MACHINE, &["--max-connections=1000000"]).unwrap();
        assert_eq!((million.workers, million.private, million.max_connections), (53, true, 1_000_000));
        let few = plan(MACHINE, &["--max-connections=5"]).unwrap();
        assert_eq!((few.workers, few.again(Some(6)), few.again(None)), (2, Ok(6), Ok(few.most)));
        let error = few.again(Some(1_000_000)).unwrap_err();
        assert!(error.contains("--max-connections 1,000,000 is more than 38,"), "{error}");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_a_way_out() {
        let error = |flags: &[&str]| plan(MACHINE, flags).unwrap_err();
        let named = error(&["--max-connections=1000000", "--workers=4"]);
        assert!(named.contains("let --workers be 53, or raise the limit"), "{named}");
        let shared = error(&["--max-connections=1000000", "--fd-tables=shared"]);
        assert!(shared.contains("let --fd-tables be private, or raise"), "{shared}");
        let hopeless = error(&["--max-connections=100000000"]);
        assert!(hopeless.contains("; raise the limit"), "{hopeless}");
        let none = plan(Machine { cores: 1, descriptors: 64 }, &[]).unwrap_err();
        assert!(none.starts_with("no connection fits"), "{none}");
    }

    #[test]
    fn no_limit_is_too_large_to_add_up() {
        let machine = Machine { cores: 4096, descriptors: CONNECTIONS_MAX };
        let all = plan(machine, &[]).unwrap();
        assert_eq!((all.workers, all.max_connections), (WORKERS_MAX, CONNECTIONS_MAX));
    }
}
