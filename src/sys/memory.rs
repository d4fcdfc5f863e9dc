//! How much memory the process holds, as the kernel counts it.

use rustix::param::page_size;

/// Resident bytes of the process; `None` where `/proc` can't be read, for want of a descriptor too. Costs about 10 µs: for
/// once a second.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    // proc_pid_statm(5): total, resident, …, in pages.
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_seen_as_it_grows() {
        let before = resident_bytes().unwrap();
        let held = vec![1_u8; 64 << 20];
        let after = resident_bytes().unwrap();
        assert!(after > before + (32 << 20), "{before} {after} {}", held[9]);
    }
}
