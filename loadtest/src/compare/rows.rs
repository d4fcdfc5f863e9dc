//! What a comparison measures: its rows, the flags that each hands to a scenario, and who takes part.

use std::time::Duration;

use super::servers::Kind;

/// One row: a scenario with its flags.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The subcommand.
    pub scenario: &'static str,
    /// What it needs of a server.
    pub service: Service,
    /// Flags, without those for the target and the result.
    pub flags: Vec<String>,
    /// The share of the best peer's highest rate at which messages are sent; `None`: no fixed rate.
    pub pace: Option<f64>,
    /// How many workers rollcall and the bare loop have, on all cores and without peers; `None`: one, and everybody takes part.
    pub workers: Option<usize>,
}

/// What a row needs of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Every message comes back.
    Echo,
    /// Every message goes to all members, who all speak.
    Chat,
    /// The same, and one speaks.
    FanOut,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Few rows and short ones, for CI.
    pub quick: bool,
    /// How long each is measured.
    pub duration: Duration,
    /// Cores of the machine: rows with more workers make no sense.
    pub cores: usize,
}

/// The row whose rates set the pace of the fixed-rate rows.
pub const PACE_SIZE: &str = "20";
/// Its connections.
pub const PACE_CONNECTIONS: &str = "200";
/// At a fixed rate a few stalls of some milliseconds decide what the p99 is: it is measured for longer and more often.
const PACED_DURATION_MIN: Duration = Duration::from_secs(3);
const PACED_ROUNDS: usize = 9;
/// Workers that are measured, as far as there are cores for them.
const WORKERS: [usize; 5] = [1, 2, 4, 8, 16];

/// The rows of a comparison, in order; the one that sets the pace comes before those that need it.
pub fn rows(extent: Extent) -> Vec<Plan> {
    let echo = |size: &str, connections: &str, depth: &str| {
        Plan::new("echo", &["--size", size, "--connections", connections, "--depth", depth]).timed(extent)
    };
    let paced = |share: f64| {
        let plan = Plan::new("echo", &["--size", PACE_SIZE, "--connections", PACE_CONNECTIONS]);
        let duration = if extent.quick { extent.duration } else { extent.duration.max(PACED_DURATION_MIN) };
        Plan { pace: Some(share), ..plan.timed(Extent { duration, ..extent }) }
    };
    let churn = Plan::new("churn", &["--connections", "100"]).timed(extent);
    let idle = |connections: &str| {
        Plan::new("idle", &["--connections", connections, "--hold", "1s", "--settle", "1s"])
    };
    let group = |scenario, service, members: &str| {
        let plan = Plan::new(scenario, &["--size", "20", "--connections", members]);
        Plan { service, ..plan.timed(extent) }
    };
    let chat = |members| group("chat", Service::Chat, members);
    let fanout = |receivers| group("fanout", Service::FanOut, receivers);
    let scaled = |workers| {
        let with = |plan| Plan { workers: Some(workers), ..plan };
        [with(echo(PACE_SIZE, PACE_CONNECTIONS, "1")), with(fanout("1000"))]
    };
    if extent.quick {
        return vec![
            echo(PACE_SIZE, PACE_CONNECTIONS, "1"),
            echo("1KiB", "50", "1"),
            echo("20", "50", "16"),
            paced(0.5),
            churn,
            idle("3000"),
        ];
    }
    let alike = vec![
        echo(PACE_SIZE, PACE_CONNECTIONS, "1"),
        echo("125", "200", "1"),
        echo("1KiB", "200", "1"),
        echo("16KiB", "200", "1"),
        // More at once would be a test of the machine's memory.
        echo("1MiB", "50", "1"),
        echo("20", "1", "1"),
        echo("20", "50", "1"),
        echo("20", "10000", "1"),
        echo("20", "200", "16"),
        echo("1KiB", "200", "16"),
        paced(0.5),
        paced(0.8),
        churn,
        chat("50"),
        chat("200"),
        fanout("5000"),
        idle("15000"),
    ];
    let fitting = WORKERS.into_iter().filter(|workers| *workers <= extent.cores);
    alike.into_iter().chain(fitting.flat_map(scaled)).collect()
}

impl Plan {
    fn new(scenario: &'static str, flags: &[&str]) -> Plan {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Plan { scenario, service: Service::Echo, flags, pace: None, workers: None }
    }

    /// With how long it is measured, after a third of that to warm up (a second at most).
    fn timed(mut self, extent: Extent) -> Plan {
        let warmup = (extent.duration / 3).min(Duration::from_secs(1));
        for (name, span) in [("--duration", extent.duration), ("--warmup", warmup)] {
            self.flags.extend([name.to_owned(), format!("{}ms", span.as_millis())]);
        }
        self
    }

    /// Whether a server can take part. The bare loop sends each message at once, and so not at the least that a chat can cost;
    /// its workers know nothing of each other.
    pub fn holds_for(&self, kind: Kind) -> bool {
        match kind {
            Kind::Ours => true,
            Kind::Bare => match self.service {
                Service::Echo => true,
                Service::Chat => false,
                Service::FanOut => self.workers.is_none_or(|workers| workers == 1),
            },
            _ => self.workers.is_none(),
        }
    }

    /// How many rounds medians are taken of, where it was not said.
    pub fn rounds(&self, quick: bool) -> usize {
        match self.pace {
            _ if quick => 1,
            Some(_) => PACED_ROUNDS,
            None => 3,
        }
    }

    /// Where a server offers it, and how it is spoken to where that differs.
    pub fn endpoint(&self, kind: Kind) -> (&'static str, Option<&'static str>) {
        match (self.service, kind) {
            (Service::Echo, _) => ("/echo", None),
            (_, Kind::Ours) => ("/ws", Some("rollcall")),
            (_, _) => ("/chat", Some("broadcast")),
        }
    }

    /// Whether this row's rates set the pace.
    pub fn sets_pace(&self) -> bool {
        let value = |name: &str| {
            let at = self.flags.iter().position(|flag| flag == name)?;
            self.flags.get(at + 1).map(String::as_str)
        };
        self.scenario == "echo"
            && self.pace.is_none()
            && self.workers.is_none()
            && value("--size") == Some(PACE_SIZE)
            && value("--connections") == Some(PACE_CONNECTIONS)
            && value("--depth") == Some("1")
    }

    /// The flags in words, for the progress line.
    pub fn label(&self) -> String {
        let pace =
            self.pace.map_or(String::new(), |share| format!(" at {:.0} % of the best peer", share * 100.0));
        let shown: Vec<&str> = self
            .flags
            .chunks(2)
            .filter(|pair| !["--duration", "--warmup", "--hold", "--settle"].contains(&pair[0].as_str()))
            .flat_map(|pair| pair.iter().map(String::as_str))
            .collect();
        let workers = self.workers.map_or(String::new(), |workers| format!(" with --workers {workers}"));
        format!("{} {}{pace}{workers}", self.scenario, shown.join(" "))
    }
}

/// Who is measured when: in each round every target once, each round beginning with another one, so that none always
/// follows the same neighbour or always comes first.
pub fn turns(targets: usize, rounds: usize) -> Vec<(usize, usize)> {
    (0..rounds).flat_map(|round| (0..targets).map(move |turn| (round, (round + turn) % targets))).collect()
}

/// A share of a rate, to two digits: a round figure is easier to type again.
pub fn paced_rate(peak: f64, share: f64) -> f64 {
    let wanted = peak * share;
    if wanted < 10.0 {
        return wanted.max(1.0).round();
    }
    let unit = 10f64.powf(wanted.log10().floor() - 1.0);
    (wanted / unit).round() * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(quick: bool) -> Extent {
        Extent { quick, duration: Duration::from_secs(3), cores: 4 }
    }

    #[test]
    fn rounds_take_turns_and_begin_with_another_target_each() {
        assert_eq!(turns(3, 2), [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (1, 0)]);
        for target in 0..4 {
            assert_eq!(turns(4, 5).iter().filter(|(_, turn)| *turn == target).count(), 5);
        }
        assert!(turns(0, 3).is_empty());
    }

    #[test]
    fn the_pace_is_set_before_it_is_needed() {
        for quick in [false, true] {
            let rows = rows(extent(quick));
            let sets = rows.iter().position(Plan::sets_pace).expect("one row sets the pace");
            let needs = rows.iter().position(|row| row.pace.is_some()).expect("one row has a pace");
            assert!(sets < needs);
            assert_eq!(rows.iter().filter(|row| row.sets_pace()).count(), 1);
        }
    }

    #[test]
    fn a_pace_is_a_round_number() {
        assert_eq!(paced_rate(278_311.0, 0.5), 140_000.0);
        assert_eq!(paced_rate(278_311.0, 0.8), 220_000.0);
        assert_eq!(paced_rate(100.0, 0.5), 50.0);
        assert_eq!(paced_rate(0.0, 0.5), 1.0);
    }

    #[test]
    fn the_bare_loop_takes_part_where_it_does_the_least() {
        let all = rows(extent(false));
        let plan = |scenario: &str, workers: Option<usize>| {
            let plan = all.iter().find(|plan| plan.scenario == scenario && plan.workers == workers);
            plan.expect("it is compared")
        };
        for (scenario, workers) in [("echo", None), ("echo", Some(2)), ("fanout", None), ("fanout", Some(1))]
        {
            assert!(plan(scenario, workers).holds_for(Kind::Bare), "{scenario} {workers:?}");
        }
        let chat = plan("chat", None);
        assert!(!chat.holds_for(Kind::Bare) && !plan("fanout", Some(2)).holds_for(Kind::Bare));
        assert!(chat.holds_for(Kind::Bun));
        for group in [chat, plan("fanout", None)] {
            assert_eq!(group.endpoint(Kind::Ours), ("/ws", Some("rollcall")));
            assert_eq!(group.endpoint(Kind::Bare), ("/chat", Some("broadcast")));
        }
    }

    #[test]
    fn a_fixed_rate_is_measured_for_longer_and_more_often() {
        let short = Extent { duration: Duration::from_secs(1), ..extent(false) };
        for (extent, of_paced, of_others) in [
            (short, ("3000ms", 9), ("1000ms", 3)),
            (Extent { quick: true, ..short }, ("1000ms", 1), ("1000ms", 1)),
        ] {
            for plan in rows(extent).iter().filter(|plan| plan.scenario == "echo") {
                let (duration, rounds) = if plan.pace.is_some() { of_paced } else { of_others };
                let at = plan.flags.iter().position(|flag| flag == "--duration").expect("it is timed");
                assert_eq!((plan.flags[at + 1].as_str(), plan.rounds(extent.quick)), (duration, rounds));
            }
        }
    }

    #[test]
    fn no_more_workers_are_measured_than_there_are_cores_and_no_peers() {
        let all = rows(extent(false));
        let scaled: Vec<&Plan> = all.iter().filter(|plan| plan.workers.is_some()).collect();
        let workers: Vec<usize> = scaled.iter().filter_map(|plan| plan.workers).collect();
        assert_eq!(workers, [1, 1, 2, 2, 4, 4]);
        assert!(scaled.iter().all(|plan| plan.holds_for(Kind::Ours) && !plan.holds_for(Kind::Bun)));
        assert_eq!(scaled[2].label(), "echo --size 20 --connections 200 --depth 1 with --workers 2");
    }

    #[test]
    fn the_quick_form_is_a_small_part() {
        assert!(rows(extent(true)).len() < rows(extent(false)).len());
        assert_eq!(rows(extent(true))[0].label(), "echo --size 20 --connections 200 --depth 1");
    }
}
