//! What a run needs of the machine, looked at before it starts: descriptors, ports, memory, sysctls. A lack is said in one line, with what to
//! change.

use std::fs;

use crate::engine::Plan;
use crate::machine;
use crate::numbers::{bytes, grouped};
use crate::sys;

/// Descriptors of a table that are not connections: standard streams, poll, timer, the conductor's files.
pub const OWN_DESCRIPTORS: usize = 64;
/// Bytes that a connection costs both kernel ends and this process, as measured with idle ones.
const BYTES_PER_CONNECTION: u64 = 2 * 4_100 + 100;
/// Connections that fit one source address: its ports, less those that others use.
const PORTS_PER_ADDRESS: usize = 55_000;

/// All that stands in the way of the plan, a line each.
pub fn before(plan: &Plan, memory_floor: u64) -> Result<(), String> {
    let local = plan.target.address.ip().is_loopback();
    let checks = [
        descriptors(plan),
        ports(plan, local),
        memory(plan, local, memory_floor, machine::available_memory()),
        epoll_watches(plan, local),
        tracked_connections(plan),
    ];
    let lacks: Vec<String> = checks.into_iter().flatten().collect();
    if lacks.is_empty() { Ok(()) } else { Err(lacks.join("\n")) }
}

fn descriptors(plan: &Plan) -> Option<String> {
    let limit = sys::raise_descriptor_limit();
    let need = plan.connections.div_ceil(plan.threads) + OWN_DESCRIPTORS;
    (need as u64 > limit).then(|| {
        format!(
            "{} connections on {} thread(s) need {} descriptors in a table and the limit is {}: leave out --threads, or \
             raise it (ulimit -n {need}, as root or in limits.conf)",
            grouped(plan.connections as u64),
            plan.threads,
            grouped(need as u64),
            grouped(limit),
        )
    })
}

fn ports(plan: &Plan, local: bool) -> Option<String> {
    if plan.sources > 0 {
        let v4 = plan.target.address.is_ipv4() && local;
        if !v4 {
            return Some("--source-addresses are of 127.0.0.0/8 and the server is not: say 0".to_owned());
        }
        let need = plan.connections.div_ceil(PORTS_PER_ADDRESS);
        return (plan.sources as usize).lt(&need).then(|| {
            format!(
                "{} connections need {need} source addresses: say --source-addresses auto, or {need}",
                grouped(plan.connections as u64)
            )
        });
    }
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let ports = parse_range(&range)?;
    (plan.connections > ports).then(|| {
        format!(
            "{} connections from one address need as many ports and there are {}: sysctl -w \
             net.ipv4.ip_local_port_range=\"1024 65535\", or --source-addresses auto",
            grouped(plan.connections as u64),
            grouped(ports as u64)
        )
    })
}

fn memory(plan: &Plan, local: bool, floor: u64, available: u64) -> Option<String> {
    let each = if local { BYTES_PER_CONNECTION } else { BYTES_PER_CONNECTION / 2 };
    let need = plan.connections as u64 * each + floor;
    (need > available && plan.connections > 1000).then(|| {
        format!(
            "{} connections need about {} of memory (and a floor of {}) and {} are available: at most --connections {}",
            grouped(plan.connections as u64),
            bytes((need - floor) as f64),
            bytes(floor as f64),
            bytes(available as f64),
            available.saturating_sub(floor) / each
        )
    })
}

fn epoll_watches(plan: &Plan, local: bool) -> Option<String> {
    let limit: usize = number("/proc/sys/fs/epoll/max_user_watches")?;
    let need = plan.connections * if local { 2 } else { 1 };
    (need > limit).then(|| {
        format!(
            "{} epoll watches are needed: sysctl -w fs.epoll.max_user_watches={need}",
            grouped(need as u64)
        )
    })
}

fn tracked_connections(plan: &Plan) -> Option<String> {
    let limit: usize = number("/proc/sys/net/netfilter/nf_conntrack_max")?;
    let tracked: usize = number("/proc/sys/net/netfilter/nf_conntrack_count")?;
    // Tracking is off for loopback on most machines: then the count stands still and says so.
    let need = plan.connections + tracked;
    (tracked > 0 && need > limit).then(|| {
        format!(
            "connection tracking holds {}: sysctl -w net.netfilter.nf_conntrack_max={need}",
            grouped(limit as u64)
        )
    })
}

fn number<T: std::str::FromStr>(path: &str) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn parse_range(text: &str) -> Option<usize> {
    let mut ends = text.split_ascii_whitespace().map(str::parse::<usize>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    Some((last + 1).saturating_sub(first))
}

/// What to know of the machine that stops nothing, for a run of many connections.
pub fn hints(plan: &Plan) -> Vec<String> {
    let mut hints = Vec::new();
    let backlog: usize = number("/proc/sys/net/core/somaxconn").unwrap_or(usize::MAX);
    if plan.connections > 10_000 && backlog < 1024 {
        hints.push("a short accept queue slows the ramp: sysctl -w net.core.somaxconn=4096".to_owned());
    }
    let control = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap_or_default();
    if plan.connections > 10_000 && control.trim() == "bbr" {
        hints.push(
            "bbr paces events that come one behind the other on an idle connection: sysctl -w \
             net.ipv4.tcp_congestion_control=cubic"
                .to_owned(),
        );
    }
    hints.extend(message_to_all(plan));
    hints
}

/// Why one message to every connection at once would not reach all.
pub fn message_to_all(plan: &Plan) -> Option<String> {
    // One unread message of each connection charges a page to each end.
    let text = fs::read_to_string("/proc/sys/net/ipv4/tcp_mem").ok()?;
    let pages: usize = text.split_ascii_whitespace().nth(2)?.parse().ok()?;
    let n = plan.connections;
    (pages < n).then(|| {
        format!(
            "a message to every connection at once would pass the kernel's TCP memory: sysctl -w \
             net.ipv4.tcp_mem=\"{n} {} {}\"",
            n + n / 2,
            2 * n
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Allow, Target};

    fn plan(connections: usize, threads: usize, sources: u32) -> Plan {
        Plan {
            target: Target::parse("ws://127.0.0.1:80", Allow::default()).expect("a local URL"),
            connections,
            threads,
            sources,
            private_tables: false,
            opening: 1,
            ramp_per_second: None,
            open_timeout: 1,
            read_buffer: 1,
            reopen: false,
            rest: 0,
        }
    }

    #[test]
    fn each_lack_is_one_line_that_says_what_to_change() {
        let lacks = [
            (descriptors(&plan(1 << 40, 1, 0)), "ulimit -n"),
            (ports(&plan(100_000, 1, 0), true), "ip_local_port_range"),
            (ports(&plan(100_000, 1, 1), true), "--source-addresses auto"),
            (memory(&plan(1_000_000, 1, 1), true, 1 << 30, 4 << 30), "--connections 388"),
            (epoll_watches(&plan(1 << 40, 1, 0), true), "max_user_watches"),
        ];
        for (lack, word) in lacks {
            let line = lack.expect("a lack");
            assert!(line.contains(word) && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn a_plan_that_fits_lacks_nothing() {
        let plan = plan(50, 1, 0);
        assert_eq!(descriptors(&plan).or(ports(&plan, true)).or(memory(&plan, true, 1 << 30, 2 << 30)), None);
    }
}
