//! What the process knows of its memory, and how the C library's allocator is made to give back.
//!
//! It keeps what a million connections have left between its arenas, unless it is told otherwise; telling it costs a walk
//! over what is free, and is done by a thread of its own. A walk gives back whole pages alone: what is left of many small
//! blocks, each in the midst of what is free, holds a page each. So the tables of those who left shrink to nothing, and
//! workers let go of the blocks that the C library keeps for their threads ([`tidy`]).
//!
//! Measured with 200,000 users and 53 workers, all of whom have left: of 71 MiB that are resident in the arenas 38 are in
//! use, 8 are their tops, which no walk gives back, and the rest is the free part of pages that hold a block. jemalloc, as
//! it comes, held 139 MiB in all where this one held 85, and 460 bytes a user to 389, in a single run on a busy machine: not
//! the last word. One arena for all threads instead of sixteen: 54 MiB left to 59, and 364 bytes a user to 391; what waiting
//! for its lock costs under load was not measured.

use std::array;
use std::fs;
use std::hint::black_box;
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

/// Has the C library let go of the small blocks that it keeps for the calling thread: up to seven of each of 64 sizes. With
/// fifty threads those are thousands, each in the midst of what is free, of which it holds a page. A block that grows past
/// those sizes takes in the free memory behind it, and is no longer kept when it is freed. The last one comes first: where
/// none was kept, they were cut off one behind the other.
///
/// Costs some 450 allocations: for a thread whose clients have left.
pub(crate) fn tidy() {
    for size in (24..=CACHED_BYTES_MAX).step_by(16) {
        let blocks: [Vec<u8>; CACHED] = array::from_fn(|_| black_box(Vec::with_capacity(size)));
        for mut block in blocks.into_iter().rev() {
            block.reserve_exact(2 * CACHED_BYTES_MAX);
            black_box(&block);
        }
    }
}

/// Blocks of a size that a thread keeps, and the largest size of which it keeps any.
const CACHED: usize = 7;
const CACHED_BYTES_MAX: usize = 1_032;

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
