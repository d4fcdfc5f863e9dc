//! Another process of this machine, seen from outside: who listens on a port, and what it costs so far.
//!
//! Everything is read from `/proc`; nothing is asked of the process itself, so any server can be measured.
//! A sample costs a few files (about 50 µs, and a walk of the page table for the memory): take one a second,
//! or one at each end of a measurement, not one a message.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

/// What a process used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time of all its threads, those that ended included.
    pub cpu: Duration,
    pub resident_bytes: u64,
    /// The anonymous part of it: heap and stacks, without the program's own file.
    pub anonymous_bytes: u64,
}

/// What `pid` used so far, or the error where it is gone.
pub fn usage(pid: u32) -> io::Result<Usage> {
    let (resident_bytes, anonymous_bytes) = memory(pid)?;
    Ok(Usage { cpu: cpu(pid)?, resident_bytes, anonymous_bytes })
}

/// The later of two clocks. The scheduler's count is exact to the nanosecond but forgets a thread that ended;
/// the accounting one forgets nothing but is cut to clock ticks (10 ms).
fn cpu(pid: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = parse_stat_ticks(&stat).ok_or_else(|| malformed("stat"))?;
    let counted = Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64);
    let scheduled = fs::read_dir(format!("/proc/{pid}/task"))?
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|line| parse_schedstat(&line))
        .sum();
    Ok(counted.max(scheduled))
}

/// Resident and anonymous bytes. The roll-up walks the page table and is exact; the counters of `status`
/// lag by up to 128 KiB a core on some kernels, and serve where the roll-up may not be read.
fn memory(pid: u32) -> io::Result<(u64, u64)> {
    if let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        && let (Some(resident), Some(anonymous)) = (field_kib(&text, "Rss:"), field_kib(&text, "Anonymous:"))
    {
        return Ok((resident, anonymous));
    }
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = field_kib(&text, "VmRSS:").ok_or_else(|| malformed("status"))?;
    let anonymous = field_kib(&text, "RssAnon:").ok_or_else(|| malformed("status"))?;
    Ok((resident, anonymous))
}

/// Bytes that the kernel holds for sockets, of all processes: a difference over time is what says something.
///
/// Buffers from `sockstat`, and where the slab's statistics may be read (root) the objects that make up a
/// socket, its file and its epoll entry. `None` where not even the first is there.
pub fn kernel_socket_bytes() -> Option<u64> {
    let sockstat = fs::read_to_string("/proc/net/sockstat").ok()?;
    let buffers = parse_sockstat_pages(&sockstat)? * rustix::param::page_size() as u64;
    let objects = fs::read_to_string("/proc/slabinfo").map_or(0, |text| parse_slab_bytes(&text));
    Some(buffers + objects)
}

/// The process that listens on a TCP port of this machine, if this user may know.
pub fn listening_pid(port: u16) -> Option<u32> {
    let mut inodes = HashSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        inodes.extend(parse_listeners(&fs::read_to_string(table).unwrap_or_default(), port));
    }
    if inodes.is_empty() {
        return None;
    }
    let pids = || {
        fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| number(&entry.file_name()))
    };
    pids().find(|pid| holds_any(Path::new(&format!("/proc/{pid}/fd")), &inodes)).or_else(|| {
        // A server whose threads have descriptor tables of their own shows its listeners only there.
        pids().find(|pid| {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            tasks.into_iter().any(|task| holds_any(&task.path().join("fd"), &inodes))
        })
    })
}

fn number(name: &std::ffi::OsStr) -> Option<u32> {
    name.to_str()?.parse().ok()
}

fn holds_any(table: &Path, inodes: &HashSet<u64>) -> bool {
    let entries = fs::read_dir(table).into_iter().flatten().flatten();
    entries
        .into_iter()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        .any(|inode: u64| inodes.contains(&inode))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("/proc/PID/{what} reads unlike Linux"))
}

/// `utime + stime` of `/proc/PID/stat`: the 14th and 15th field, counted from the end of the name, which may
/// itself hold spaces and parentheses.
fn parse_stat_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// The time on a core, of `/proc/PID/task/TID/schedstat`: its first field, in nanoseconds.
fn parse_schedstat(line: &str) -> Option<Duration> {
    Some(Duration::from_nanos(line.split_ascii_whitespace().next()?.parse().ok()?))
}

/// The value of a line `Name:   123 kB`, in bytes.
pub fn field_kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Inodes of the sockets that listen on `port`, of `/proc/net/tcp` or `tcp6`.
fn parse_listeners(table: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, hex) = fields.get(1)?.rsplit_once(':')?;
        (u16::from_str_radix(hex, 16).ok()? == port && *fields.get(3)? == LISTEN)
            .then(|| fields.get(9)?.parse().ok())?
    };
    table.lines().skip(1).filter_map(inode).collect()
}

/// Pages of TCP buffers, of `/proc/net/sockstat`: `TCP: inuse 4 orphan 0 tw 2 alloc 5 mem 1`.
fn parse_sockstat_pages(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    line.split_ascii_whitespace().skip_while(|word| *word != "mem").nth(1)?.parse().ok()
}

/// Bytes of the objects in use in those caches of `/proc/slabinfo` that grow with every connection.
fn parse_slab_bytes(text: &str) -> u64 {
    const CACHES: [&str; 7] =
        ["TCP", "TCPv6", "sock_inode_cache", "filp", "dentry", "eventpoll_epi", "eventpoll_pwq"];
    let bytes = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let known = CACHES.contains(&fields.next()?);
        let active: u64 = fields.next()?.parse().ok()?;
        let size: u64 = fields.nth(1)?.parse().ok()?;
        known.then_some(active * size)
    };
    text.lines().filter_map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_times() {
        let stat = "4242 (a ) (b) S 1 4242 4242 0 -1 4194560 900 0 0 0 150 75 0 0 20 0 3 0 100 1000 200";
        assert_eq!(parse_stat_ticks(stat), Some(225));
        assert_eq!(parse_stat_ticks("4242 (short) S 1"), None);
    }

    #[test]
    fn scheduled_time_is_the_first_field() {
        assert_eq!(parse_schedstat("1234567 89 10\n"), Some(Duration::from_nanos(1_234_567)));
        assert_eq!(parse_schedstat(""), None);
    }

    #[test]
    fn memory_fields_are_kibibytes() {
        let status = "Name:\tx\nVmRSS:\t    2048 kB\nRssAnon:\t    1024 kB\n";
        assert_eq!(field_kib(status, "VmRSS:"), Some(2 << 20));
        assert_eq!(field_kib(status, "RssAnon:"), Some(1 << 20));
        assert_eq!(field_kib(status, "Pss:"), None);
    }

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 7001 1 0 100 0 0 10 0\n\
            1: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000  1000 0 7002 1 0 20 4 30 10 -1\n\
            2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 7003 1 0 100 0 0 10 0\n";
        assert_eq!(parse_listeners(table, 8080), [7001]);
    }

    #[test]
    fn kernel_memory_sums_pages_and_slab_objects() {
        let sockstat = "sockets: used 20\nTCP: inuse 4 orphan 0 tw 2 alloc 5 mem 3\nUDP: inuse 0 mem 9\n";
        assert_eq!(parse_sockstat_pages(sockstat), Some(3));
        let slab = "slabinfo - version: 2.1\n\
            # name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>\n\
            TCP                   10     12   2560   12    8 : tunables 0 0 0\n\
            filp                 100    100    192   21    1 : tunables 0 0 0\n\
            ext4_inode_cache     999    999   1000   10    1 : tunables 0 0 0\n";
        assert_eq!(parse_slab_bytes(slab), 10 * 2560 + 100 * 192);
    }

    #[test]
    fn this_process_is_found_by_its_listener_and_has_used_something() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        assert_eq!(listening_pid(port), Some(std::process::id()));

        let before = usage(std::process::id()).expect("this process is alive");
        let filled = std::hint::black_box(vec![1u8; 8 << 20]);
        let after = usage(std::process::id()).expect("this process is alive");
        assert!(after.anonymous_bytes >= before.anonymous_bytes + (filled.len() as u64) * 3 / 4);
        assert!(after.cpu > Duration::ZERO && after.cpu >= before.cpu);
        assert!(after.resident_bytes >= after.anonymous_bytes);
    }
}
