//! What the process knows of its memory, and how the C library's allocator is made to give back.
//!
//! It keeps what a million connections have left between its arenas, unless it is told otherwise; telling it costs a walk
//! over what is free, and is done by a thread of its own.

use std::fs;
use std::thread;
use std::time::Duration;

use rollcall::http::memory::Process;
use rollcall::sys::process::{heap_bytes, trim_heap};

/// How often what is free goes back to the system.
const TRIM_EVERY: Duration = Duration::from_secs(10);

/// Lets the allocator give back in the background.
pub(crate) fn start() {
    let trim = || {
        loop {
            thread::sleep(TRIM_EVERY);
            trim_heap();
        }
    };
    if let Err(error) = thread::Builder::new().name("trim".to_owned()).stack_size(64 << 10).spawn(trim) {
        tracing::debug!(%error, "free memory is kept: no thread gives it back");
    }
}

/// What the process's memory is now: two short reads.
pub(crate) fn weigh() -> Process {
    let [_, resident, program] = pages().unwrap_or_default().map(|pages| pages * PAGE_BYTES);
    let [heap, free] = heap_bytes();
    Process { resident, program, slack: slack(resident - program.min(resident), heap, free) }
}

/// What is free in a heap of which `resident` bytes are there: what is not was free when it was given back.
fn slack(resident: u64, heap: u64, free: u64) -> u64 {
    free.saturating_sub(heap.saturating_sub(resident))
}

const PAGE_BYTES: u64 = 4096;

/// Pages of the process: all that it could touch, those that are there, and of these those of files.
fn pages() -> Option<[u64; 3]> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split_ascii_whitespace().map(str::parse);
    Some([pages.next()?.ok()?, pages.next()?.ok()?, pages.next()?.ok()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_back_is_no_slack() {
        // 100 of 300 are free, and all are there; then 60 of them go back; then all.
        assert_eq!(slack(300, 300, 100), 100);
        assert_eq!(slack(240, 300, 100), 40);
        assert_eq!(slack(200, 300, 100), 0);
        assert_eq!(slack(190, 300, 100), 0);
    }
}
