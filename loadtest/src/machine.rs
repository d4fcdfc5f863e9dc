//! The machine and the moment: what a report must say about where and when a run was made.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::process;
use crate::result::Machine;

/// The machine as this process may use it.
pub fn describe() -> Machine {
    let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| parse_cpu(&text));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    Machine {
        cpu: cpu.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: meminfo("MemTotal:"),
        kernel: kernel.trim().to_owned(),
        descriptors: limit.maximum.unwrap_or(u64::MAX),
    }
}

/// Bytes that can be had without swapping, as the kernel estimates them; 0 where it does not say.
pub fn available_memory() -> u64 {
    meminfo("MemAvailable:")
}

/// Now, UTC, to the second: `2026-01-31T12:00:00Z`.
pub fn utc_now() -> String {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format_utc(elapsed.as_secs())
}

fn meminfo(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    process::field_kib(&text, name).unwrap_or(0)
}

fn parse_cpu(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    let (_, name) = line.split_once(':')?;
    Some(name.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Seconds since 1970 as a civil date and time: Howard Hinnant's `civil_from_days`, for years from 1970 on.
/// The year is made to begin in March, so that the leap day is its last.
fn format_utc(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_dates_know_leap_years() {
        assert_eq!(format_utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(format_utc(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(format_utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(format_utc(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(format_utc(1_769_860_800), "2026-01-31T12:00:00Z");
        assert_eq!(format_utc(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn a_processor_name_loses_its_padding() {
        assert_eq!(
            parse_cpu("processor\t: 0\nmodel name\t: Some  CPU   @ 2GHz\n").as_deref(),
            Some("Some CPU @ 2GHz")
        );
        assert_eq!(parse_cpu("processor\t: 0\n"), None);
    }

    #[test]
    fn this_machine_has_a_core_memory_and_descriptors() {
        let machine = describe();
        assert!(machine.cores > 0 && machine.memory_bytes > 0 && machine.descriptors > 0);
        assert!(available_memory() <= machine.memory_bytes);
        assert_eq!(utc_now().len(), "2026-01-31T12:00:00Z".len());
    }
}
