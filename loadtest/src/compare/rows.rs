//! What a comparison measures: its rows, each a load and the servers that take part in it.

use std::io;
use std::time::Duration;

use crate::bench::servers::{Places, Server, Service};
use crate::bench::{Pace, Row, Subject, flags, timed};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Few rows and short ones, for CI.
    pub quick: bool,
    /// Of each row; `None`: as it is declared.
    pub rounds: Option<usize>,
    pub duration: Duration,
    /// Cores of the machine: rows with more workers make no sense.
    pub cores: usize,
}

/// At a fixed rate a few stalls of some milliseconds decide what the p99 is: it is measured for longer and more often.
const PACED_DURATION_MIN: Duration = Duration::from_secs(3);
const PACED_ROUNDS: usize = 9;
const ROUNDS: usize = 3;
/// Workers that are measured, as far as there are cores for them.
const WORKERS: [usize; 5] = [1, 2, 4, 8, 16];
/// The load that sets the pace of the fixed-rate rows, and that several workers are measured by.
const USUAL: &str = "--size 20 --connections 200";

/// A row before it is known who takes part.
struct Plan {
    scenario: &'static str,
    service: Service,
    flags: String,
    pace: Pace,
    workers: Option<usize>,
}

fn plan(scenario: &'static str, service: Service, flags: &str) -> Plan {
    Plan { scenario, service, flags: flags.to_owned(), pace: Pace::Free, workers: None }
}

fn echo(flags: &str) -> Plan {
    plan("echo", Service::Echo, flags)
}

/// The rows of a comparison, in order; the one that sets the pace comes before those that need it.
fn plans(scope: Scope) -> Vec<Plan> {
    let paced = |pace, flags: &str| Plan { pace, ..echo(flags) };
    let first = || paced(Pace::SetsIt, "--size 20 --connections 200 --depth 1");
    let churn = || plan("churn", Service::Connections, "--connections 100");
    let idle = |count: usize| {
        plan("idle", Service::Connections, &format!("--connections {count} --hold 1s --settle 1s"))
    };
    let chat = |members: usize| plan("chat", Service::Chat, &format!("--size 20 --connections {members}"));
    let fanout =
        |members: usize| plan("fanout", Service::FanOut, &format!("--size 20 --connections {members}"));
    if scope.quick {
        return vec![
            first(),
            echo("--size 1KiB --connections 50 --depth 1"),
            echo("--size 20 --connections 50 --depth 16"),
            paced(Pace::Share(0.5), USUAL),
            churn(),
            idle(3000),
        ];
    }
    let alike = vec![
        first(),
        echo("--size 125 --connections 200 --depth 1"),
        echo("--size 1KiB --connections 200 --depth 1"),
        echo("--size 16KiB --connections 200 --depth 1"),
        // More at once would be a test of the machine's memory.
        echo("--size 1MiB --connections 50 --depth 1"),
        echo("--size 20 --connections 1 --depth 1"),
        echo("--size 20 --connections 50 --depth 1"),
        echo("--size 20 --connections 10000 --depth 1"),
        echo("--size 20 --connections 200 --depth 16"),
        echo("--size 1KiB --connections 200 --depth 16"),
        paced(Pace::Share(0.5), USUAL),
        paced(Pace::Share(0.8), USUAL),
        churn(),
        chat(50),
        chat(200),
        fanout(5000),
        idle(15_000),
    ];
    let scaled = |workers| {
        let with = |plan| Plan { workers: Some(workers), ..plan };
        [with(echo("--size 20 --connections 200 --depth 1")), with(fanout(1000))]
    };
    let fitting = WORKERS.into_iter().filter(|workers| *workers <= scope.cores);
    alike.into_iter().chain(fitting.flat_map(scaled)).collect()
}

pub fn labels(scope: Scope) -> impl Iterator<Item = String> {
    plans(scope).into_iter().map(|plan| plan.label())
}

/// The rows, with those of the servers that can take part in each.
pub fn rows(scope: Scope, servers: &[&'static Server], places: &Places) -> io::Result<Vec<Row>> {
    plans(scope).into_iter().map(|plan| plan.row(scope, servers, places)).collect()
}

impl Plan {
    fn row(self, scope: Scope, servers: &[&'static Server], places: &Places) -> io::Result<Row> {
        let taking_part = servers.iter().filter(|server| server.offers(self.service, self.workers));
        let subjects: io::Result<Vec<Subject>> =
            taking_part.map(|server| server.subject(places, self.service, self.workers)).collect();
        let paced = matches!(self.pace, Pace::Share(_));
        let duration = match paced && !scope.quick {
            true => scope.duration.max(PACED_DURATION_MIN),
            false => scope.duration,
        };
        let usual = match (scope.quick, paced) {
            (true, _) => 1,
            (false, true) => PACED_ROUNDS,
            (false, false) => ROUNDS,
        };
        let mut flags = flags(&self.flags);
        if self.scenario != "idle" {
            // After a third of that to warm up, a second at most.
            flags.extend(timed(duration, (duration / 3).min(Duration::from_secs(1))));
        }
        Ok(Row {
            label: self.label(),
            scenario: self.scenario,
            flags,
            subjects: subjects?,
            rounds: scope.rounds.unwrap_or(usual),
            pace: self.pace,
            workers: self.workers,
        })
    }

    /// In words, for the progress line.
    fn label(&self) -> String {
        let flags = self.flags.split(" --hold").next().unwrap_or_default();
        let pace = match self.pace {
            Pace::Share(share) => format!(" at {:.0} % of the best peer", share * 100.0),
            Pace::Free | Pace::SetsIt => String::new(),
        };
        let workers = self.workers.map_or(String::new(), |workers| format!(" with --workers {workers}"));
        format!("{} {flags}{pace}{workers}", self.scenario)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::servers::SERVERS;
    use crate::comparison::OURS;

    fn rows(quick: bool, seconds: u64) -> Vec<Row> {
        let duration = Duration::from_secs(seconds);
        let places = Places::find("rollcall".into()).expect("tests run in the repository");
        // Bun's program is where npm has put it, if it has.
        let servers: Vec<&Server> = SERVERS.iter().filter(|server| server.name != "bun").collect();
        super::rows(Scope { quick, rounds: None, duration, cores: 4 }, &servers, &places)
            .expect("all are known")
    }

    #[test]
    fn the_pace_is_set_before_it_is_needed() {
        for quick in [false, true] {
            let rows = rows(quick, 3);
            let sets = rows.iter().position(|row| row.pace == Pace::SetsIt).expect("one row sets the pace");
            let needs =
                rows.iter().position(|row| matches!(row.pace, Pace::Share(_))).expect("one has a pace");
            assert!(sets < needs);
            assert_eq!(rows.iter().filter(|row| row.pace == Pace::SetsIt).count(), 1);
        }
    }

    #[test]
    fn a_fixed_rate_is_measured_for_longer_and_more_often() {
        for (quick, of_paced, of_others) in
            [(false, ("3000ms", 9), ("1000ms", 3)), (true, ("1000ms", 1), ("1000ms", 1))]
        {
            for row in rows(quick, 1).iter().filter(|row| row.scenario == "echo") {
                let (duration, rounds) =
                    if matches!(row.pace, Pace::Share(_)) { of_paced } else { of_others };
                let at = row.flags.iter().position(|flag| flag == "--duration").expect("it is timed");
                assert_eq!((row.flags[at + 1].as_str(), row.rounds), (duration, rounds));
            }
        }
    }

    #[test]
    fn no_more_workers_are_measured_than_there_are_cores_and_no_peers() {
        let all = rows(false, 3);
        let scaled: Vec<&Row> = all.iter().filter(|row| row.workers.is_some()).collect();
        let workers: Vec<usize> = scaled.iter().filter_map(|row| row.workers).collect();
        assert_eq!(workers, [1, 1, 2, 2, 4, 4]);
        let names = |row: &Row| row.subjects.iter().map(|subject| subject.launch.name).collect::<Vec<_>>();
        assert_eq!((names(scaled[2]), names(scaled[3])), (vec![OURS, "bare"], vec![OURS]));
        assert_eq!(scaled[2].label, "echo --size 20 --connections 200 --depth 1 with --workers 2");
    }

    #[test]
    fn the_quick_form_is_a_small_part() {
        assert!(rows(true, 3).len() < rows(false, 3).len());
        assert_eq!(rows(true, 3)[0].label, "echo --size 20 --connections 200 --depth 1");
        assert_eq!(rows(true, 3)[5].label, "idle --connections 3000");
    }
}
