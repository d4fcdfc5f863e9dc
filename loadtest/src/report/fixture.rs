//! Invented runs for the tests of the document and, on request, for a look at the drawings.

use serde_json::{Value, json};

use crate::comparison::Comparison;
use crate::measure::Recorder;
use crate::result::{Machine, Run, Series};

fn run(scenario: &str, target: &str, parameters: &[(&str, Value)], figures: &[(&str, f64)]) -> Run {
    Run {
        schema: 1,
        command: format!("loadtest {scenario} ws://127.0.0.1:8080/echo --target {target}"),
        started: "2026-01-31T12:00:00Z".into(),
        machine: Machine {
            cpu: "Example CPU @ 2.00GHz".into(),
            cores: 2,
            memory_bytes: 24 << 30,
            kernel: "6.18.0".into(),
            descriptors: 20_000,
        },
        versions: [("loadtest".to_owned(), "0.1.0".to_owned())].into(),
        parameters: parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        ..Run::example(scenario, target, figures)
    }
}

/// A long-tailed distribution around `micros`, the same at every call.
fn histogram(micros: f64, tail: f64) -> String {
    let mut recorder = Recorder::default();
    for index in 1..200_000u32 {
        let quantile = f64::from(index) / 200_000.0;
        let latency = micros * (0.7 + 0.5 * quantile + tail * (1.0 - quantile).powf(-0.45) * 0.1);
        recorder.record((latency * 1e3) as u64);
    }
    recorder.encode()
}

/// Two sizes, two targets: small enough for its document to be read in a test.
pub fn small() -> Comparison {
    let echo = |target: &str, size: u64, rate: f64, micros: f64, share: f64| {
        run(
            "echo",
            target,
            &[("size", json!(size)), ("connections", json!(200))],
            &[
                ("messages_per_second", rate),
                ("server_cpu_us_per_message", micros),
                ("server_cpu_percent", 100.0 * share),
            ],
        )
    };
    Comparison::of_runs(&[
        echo("bare", 20, 300_000.0, 3.3, 0.99),
        echo("rollcall", 20, 290_000.0, 3.4, 0.99),
        echo("bun", 20, 266_000.0, 3.76, 1.0),
        echo("bare", 1024, 200_000.0, 3.3, 0.66),
        echo("rollcall", 1024, 200_000.0, 3.5, 0.70),
        echo("bun", 1024, 198_000.0, 4.2, 0.83),
    ])
}

/// Every drawing that there is.
pub fn full() -> Comparison {
    let targets = [
        ("rollcall", 3.45),
        ("bun", 3.76),
        ("ws", 7.4),
        ("fastwebsockets", 3.6),
        ("tokio-tungstenite", 3.9),
        ("bare", 3.35),
    ];
    Comparison::of_runs(&targets.map(|(target, micros)| runs(target, micros)).concat())
}

/// The runs of a target that spends so many microseconds on a message.
fn runs(target: &str, micros: f64) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut add = |scenario: &str, parameters: &[(&str, Value)], figures: &[(&str, f64)]| {
        runs.push(run(scenario, target, parameters, figures));
        runs.len() - 1
    };
    for (size, factor) in [(20, 1.0), (125, 1.01), (1024, 1.05), (16_384, 1.8), (1 << 20, 120.0)] {
        let cpu = micros * factor;
        let rate = (1e6 / cpu).min(255_000.0 / factor);
        add(
            "echo",
            &[("size", json!(size)), ("connections", json!(200))],
            &[
                ("messages_per_second", rate),
                ("server_cpu_us_per_message", cpu),
                ("server_cpu_percent", rate * cpu / 1e4),
            ],
        );
    }
    for (members, cost) in [(50, 0.25), (200, 0.12)] {
        add(
            "chat",
            &[("size", json!(20)), ("connections", json!(members))],
            &[("deliveries_per_second", 0.9e6 / cost), ("server_cpu_us_per_delivery", cost * micros)],
        );
    }
    let paced = [130_000, 208_000].map(|rate| {
        let wait = 40.0 / (1.02 - (f64::from(rate) * micros / 1e6).min(0.98));
        let shape = [("size", json!(125)), ("connections", json!(200)), ("rate", json!(rate))];
        (add("echo", &shape, &[("p99_us", wait * 3.0)]), wait)
    });
    let memory = 150.0 * micros * micros;
    let idle = add("idle", &[("connections", json!(20_000))], &[("anonymous_bytes_per_connection", memory)]);
    for (at, wait) in paced {
        runs[at].histograms.insert("latency".into(), histogram(wait, micros));
    }
    let open = |second: f64| (second * 15_000.0 / micros).min(20_000.0);
    let beats = |second: f64| if second < 15.0 { 0.0 } else { 800.0 + 90.0 * (second * 0.7 + micros).sin() };
    let series = |name: &str, unit: &str, value: &dyn Fn(f64) -> f64| {
        let seconds: Vec<f64> = (0..90).map(f64::from).collect();
        let values = seconds.iter().map(|second| value(*second)).collect();
        Series { name: name.into(), unit: unit.into(), seconds, values }
    };
    runs[idle].series = vec![
        series("connections", "1", &open),
        series("server_memory", "bytes", &|second| 4e6 + open(second) * memory),
        series("heartbeats", "1/s", &beats),
    ];
    runs
}

/// `EXAMPLES=DIR cargo test -p loadtest draw` leaves every drawing there is in that folder, to be looked at.
#[test]
fn draws_every_example() {
    let wanted = std::env::var_os("EXAMPLES").map(std::path::PathBuf::from);
    let folder = wanted
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("loadtest-examples-{}", std::process::id())));
    std::fs::create_dir_all(&folder).expect("a folder to write to");
    super::write(&full(), "full", None, &folder).expect("a report");
    super::write(&small(), "small", Some("A small one"), &folder).expect("a report");
    let drawings = std::fs::read_dir(&folder).expect("the folder").flatten();
    let drawings = drawings.filter(|file| file.path().extension().is_some_and(|end| end == "svg")).count();
    assert!(drawings >= 8, "{drawings} drawings");
    if wanted.is_none() {
        std::fs::remove_dir_all(&folder).expect("the folder goes");
    }
}
