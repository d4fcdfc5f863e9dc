//! What was noted, as figures, rows and a report.

use std::io;
use std::path::PathBuf;

use crate::comparison::Comparison;
use crate::engine::Report;
use crate::footprint::Footprint;
use crate::numbers::{bytes, grouped, micros};
use crate::outcome::Outcome;
use crate::report;
use crate::result::Run;
use crate::roster::million::Args;
use crate::roster::million::timeline::Seen;
use crate::roster::{Orders, Sums, failure};

pub fn report(run: &Run, args: &Args) -> io::Result<PathBuf> {
    let mut run = run.clone();
    let errors: u64 = run.errors.values().sum();
    run.figures.insert("errors".to_owned(), errors as f64);
    let users = grouped(args.users as u64);
    let title = format!("{users} users on one machine");
    report::write(&Comparison::of_runs(&[run]), &args.name, Some(&title), &args.out)
}

pub fn describe(
    outcome: &mut Outcome,
    args: &Args,
    orders: &Orders,
    seen: &Seen,
    report: &Report,
    sums: &mut Sums,
) {
    parameters(outcome, args, orders);
    ramp(outcome, args, seen, report);
    memory(outcome, args, seen);
    hold(outcome, seen, report);
    if seen.failure.is_some() {
        let verdict = orders.verdict();
        failure::judge(outcome, &verdict, sums, report);
        failure::errors(&verdict, false, sums);
        failure::notes(outcome, sums);
        outcome.run.series.push(orders.death_log.series());
    }
    lateness_of_timers(outcome, seen);
    broadcast(outcome, seen, sums);
    aftermath(outcome, seen);
    for fault in &seen.faults {
        sums.errors.add(fault, 1);
    }
    outcome.errors(report, &sums.errors);
}

fn parameters(outcome: &mut Outcome, args: &Args, orders: &Orders) {
    let (interval, timeout) = orders.heartbeat().unwrap_or_default();
    outcome.parameter("users", args.users);
    outcome.parameter("silent", orders.population.doomed.count(args.users));
    outcome.parameter("together", args.together.min(orders.population.doomed.count(args.users)));
    outcome.parameter("server_interval_s", interval as f64 / 1e9);
    outcome.parameter("server_timeout_s", timeout as f64 / 1e9);
    outcome.figure("users", args.users as f64);
    let beat = format!("{:.0} s, time-out {:.0} s", interval as f64 / 1e9, timeout as f64 / 1e9);
    outcome.row("server", format!("heartbeat {beat}, {} watchers", orders.population.watchers()));
}

fn ramp(outcome: &mut Outcome, args: &Args, seen: &Seen, report: &Report) {
    let per_second = seen.full.connections as f64 / seen.identify_seconds.max(1e-9);
    outcome.figure("identify_s", seen.identify_seconds);
    outcome.figure("connections_per_second", per_second);
    let users = grouped(args.users as u64);
    let rate = grouped(per_second as u64);
    outcome.row("users", format!("{users} identified in {:.1} s, {rate}/s", seen.identify_seconds));
    outcome.times("connect", &report.connect);
    outcome.times("upgrade", &report.upgrade);
}

fn memory(outcome: &mut Outcome, args: &Args, seen: &Seen) {
    let names: usize = (0..args.users).map(|user| format!("u-{user}").len()).sum();
    outcome.figure("name_bytes_per_user", names as f64 / args.users as f64);
    let each = |bytes: fn(&Footprint) -> Option<u64>| seen.full.each_since(&seen.third, bytes);
    let slopes = [
        ("anonymous_bytes_per_user", "bytes/user", each(Footprint::anonymous), "of the server"),
        ("resident_bytes_per_user", "", each(Footprint::resident), ""),
        (
            "kernel_bytes_per_connection",
            "kernel",
            each(|moment| moment.kernel),
            "bytes of the kernel for a connection, both ends",
        ),
    ];
    for (name, label, bytes, of) in slopes {
        let Some(bytes) = bytes else { continue };
        outcome.figure(name, bytes);
        if !label.is_empty() {
            outcome.row(label, format!("{bytes:.0} {of}"));
        }
    }
    if let Some(memory) = seen.full.server {
        outcome.server_memory(memory);
    }
    let [_, full, _] = &seen.parts;
    let unexplained = full.iter().find(|(part, _)| part == "unexplained");
    if let (Some((_, bytes)), Some(resident)) = (unexplained, seen.full.resident()) {
        outcome.figure("memory_unexplained_percent", 100.0 * bytes.abs() / (resident as f64).max(1.0));
    }
    for (moment, parts) in ["empty", "memory", "rested"].iter().zip(&seen.parts) {
        for (part, bytes) in parts {
            outcome.figure(&format!("{moment}_{part}_bytes"), *bytes);
        }
    }
    if !args.quick {
        outcome.note(
            "A thread of the load rests 4 ms between two looks at its sockets, so that not every event wakes one: what it \
             reads it reads up to that much late.",
        );
    }
    outcome.note(format!(
        "Bytes per user are a slope from a third of the users to all, the connection's included, before anybody is watched.{}",
        if seen.full.kernel.is_some() { " The kernel's are for both ends: half of them are the server's." } else { "" }
    ));
}

fn hold(outcome: &mut Outcome, seen: &Seen, report: &Report) {
    let lost = report.lost;
    outcome.figure("connections_held", seen.held as f64);
    outcome.figure("connections_lost", lost as f64);
    if seen.hold.seconds <= 0.0 {
        return;
    }
    let busy = &seen.busy;
    let held = grouped(seen.held);
    outcome.row("held", format!("{held} for {:.0} s, {} pings", seen.hold.seconds, grouped(seen.hold_pings)));
    outcome.cpu(&seen.hold, "ping", seen.hold_pings);
    outcome.figure("pings_per_second", busy.pings_mean);
    outcome.figure("pings_per_second_highest", busy.pings_highest);
    outcome.figure("pings_highest_to_mean", busy.pings_highest / busy.pings_mean.max(1e-9));
    outcome.figure("server_cpu_percent_highest", busy.cpu_highest);
    outcome.figure("server_cpu_highest_to_mean", busy.cpu_highest / busy.cpu_mean.max(1e-9));
    let [mean, highest] = [busy.pings_mean, busy.pings_highest].map(|value| grouped(value as u64));
    outcome.row("heartbeats", format!("{mean} pings/s, {highest} in the busiest second"));
    outcome.row("busiest cpu", format!("{:.0} % of a core in one second", busy.cpu_highest));
}

/// As the server counts it itself, in powers of two.
fn lateness_of_timers(outcome: &mut Outcome, seen: &Seen) {
    const METRIC: &str = "rollcall_timer_lateness_seconds";
    let [before, after, watched, dead, untold, told] = &seen.scrapes;
    for (name, label, since, until) in [
        ("timers_idle", "timers, idle", before, after),
        ("timers_deaths", "timers, deaths", watched, dead),
        ("timers_broadcast", "timers, told", untold, told),
    ] {
        let mut cells = Vec::new();
        for (percent, end) in [(50.0, "p50"), (99.0, "p99"), (99.9, "p99_9"), (100.0, "max")] {
            let Some(late) = until.micros_at(METRIC, since, percent) else { continue };
            outcome.figure(&format!("{name}_{end}_us"), late);
            cells.push(format!("{} ≤ {}", end.replace('_', "."), micros(late)));
        }
        if !cells.is_empty() {
            outcome.row(label, format!("{} late", cells.join("  ")));
        }
    }
}

fn broadcast(outcome: &mut Outcome, seen: &Seen, sums: &mut Sums) {
    let Some(told) = &seen.told else { return };
    if let Some(refused) = &told.refused {
        return sums.errors.add(refused, 1);
    }
    let heard = sums.heard;
    let seconds = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e9;
    let (first, last) = (seconds(told.posted, heard.first), seconds(heard.first, heard.last));
    outcome.figure("broadcast_heard", heard.count as f64);
    outcome.figure("broadcast_first_s", first);
    outcome.figure("broadcast_first_to_last_s", last);
    outcome.row("broadcast", format!("{} heard it, first to last {last:.2} s", grouped(heard.count)));
    sums.errors.add("broadcast not heard", told.expected.saturating_sub(heard.count));
    sums.errors.add("broadcast heard twice", heard.count.saturating_sub(told.expected));
}

fn aftermath(outcome: &mut Outcome, seen: &Seen) {
    let resident = |moment: Option<&Footprint>| Some(moment?.resident()? as f64);
    if let (Some(empty), Some(full), Some(left), Some(rested)) = (
        resident(Some(&seen.empty)),
        resident(Some(&seen.full)),
        resident(seen.left.as_ref()),
        resident(seen.rested.as_ref()),
    ) {
        let held = 100.0 * (rested - empty) / (full - empty).max(1.0);
        outcome.figure("leave_s", seen.leave_seconds);
        outcome.figure("server_resident_bytes_empty", empty);
        outcome.figure("server_resident_bytes_left", left);
        outcome.figure("server_resident_bytes_rested", rested);
        outcome.figure("still_held_percent", held);
        let [from, to] = [full, rested].map(bytes);
        outcome.row("left", format!("in {:.1} s; {from} became {to}", seen.leave_seconds));
        outcome.row("still held", format!("{held:.1} % of the growth"));
        outcome.note(
            "Of those who left, the server goes on knowing when it last saw 100,000: with so few users that is all of \
             them, and what they take is still held.",
        );
    }
    if let Some(second) = seen.second_seconds {
        outcome.figure("second_identify_s", second);
        outcome.figure("first_ramp_peak_bytes", seen.first_peak as f64);
        outcome.figure("second_ramp_peak_bytes", seen.second_peak as f64);
        let higher = 100.0 * (seen.second_peak as f64 / (seen.first_peak as f64).max(1.0) - 1.0);
        outcome.figure("second_ramp_higher_percent", higher);
        outcome.row("second ramp", format!("in {second:.1} s, its peak {higher:+.1} % of the first"));
    }
    if let Some((empty, ended)) = seen.drain_seconds {
        outcome.figure("drain_s", empty);
        outcome.figure("drain_to_exit_s", ended);
        outcome
            .row("drain", format!("{empty:.1} s to the last connection's end, {ended:.1} s to the server's"));
    }
}
