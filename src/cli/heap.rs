//! The process's memory: figures, and how the C library's allocator is made to give back.
//!
//! It keeps what a million connections have left between its arenas, unless it is told otherwise; telling it costs a walk
//! over what is free, and is done by a thread of its own. A walk gives back whole pages alone: what is left of many small
//! blocks, each in the midst of what is free, holds a page each. So the tables of those who left shrink to nothing, and
//! workers let go of the blocks that the C library keeps for their threads ([`trim_allocator`]).
//!
//! Its arenas are bounded too ([`ARENAS_PER_CORE`]): each has an end that no walk gives back, and room that the others can't
//! use. Its thresholds stay its own: held at 128 KiB they gave back those ends, and an echo of 1 MiB took 1,200 µs to 400.
//!
//! Measured with 200,000 users and 53 workers on two cores, 26 MiB before the first user and 89 with all; with all of them
//! gone, 58 MiB as it comes, 54 without what it keeps for threads, 49 with four arenas to 16. 25 of these are what tables
//! hold, 100,000 last-seen times among them. With mimalloc 169, with jemalloc 51 and 45 bytes more a user.
//! When they come back, the peak is 7 MiB over the first: as much is in use, half of the 7 is free and goes with the next
//! walk, and the rest is ends of arenas and parts of pages.

use std::fs;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use crate::http::memory::Process;
use crate::sys::process::{bound_arenas, heap_bytes, trim_heap};
use crate::time::{Clock, Tick, ticks};

/// Threads of one core seldom wait for one another: a ramp of 200,000 users on 53 workers took 9.4 s with two for each of two
/// cores and 9.2 with eight, in three rounds that spread by 10 %.
const ARENAS_PER_CORE: usize = 2;
/// How often what is free goes back to the system.
const TRIM_EVERY: Duration = Duration::from_secs(10);
/// Hands of blocks that wait to be freed.
const HANDS_MAX: usize = 64;

/// Blocks of all sizes that a thread keeps.
type Hand = Vec<Vec<u8>>;

/// The channel of the thread that frees blocks.
static FREED: OnceLock<SyncSender<Hand>> = OnceLock::new();

/// Lets the allocator give back in the background. For the time before there are workers.
pub(crate) fn start() {
    bound_arenas(ARENAS_PER_CORE * thread::available_parallelism().map_or(1, usize::from));
    let (sender, hands) = sync_channel(HANDS_MAX);
    match thread::Builder::new().name("trim".to_owned()).stack_size(64 << 10).spawn(move || trim(&hands)) {
        Ok(_) => _ = FREED.set(sender),
        Err(error) => tracing::debug!(%error, "free memory is kept: no thread gives it back"),
    }
}

/// Frees what it is handed, and now and then gives back what is free.
fn trim(hands: &Receiver<Hand>) {
    let clock = Clock::starting_at(Tick(0));
    let mut due = Tick(ticks(TRIM_EVERY));
    loop {
        match hands.recv_timeout(clock.until(due, clock.now())) {
            Ok(hand) => drop(hand),
            Err(RecvTimeoutError::Timeout) => {
                trim_heap();
                due = clock.now().tick.after(ticks(TRIM_EVERY));
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Has the C library let go of the small blocks that it keeps for the calling thread: up to seven of each of 64 sizes. With
/// fifty threads those are thousands, each in the midst of what is free, of which it holds a page. A thread that frees a
/// block keeps it again; so all are taken, and another thread frees them.
///
/// Costs some 450 allocations: for a thread whose clients have left.
pub(crate) fn trim_allocator() {
    if let Some(freed) = FREED.get() {
        // If too many wait, they stay with this thread until the next time.
        let _ = freed.try_send(hand());
    }
}

/// All blocks that the calling thread keeps, and new ones where it keeps fewer than it may.
fn hand() -> Hand {
    let sizes = (24..=CACHED_BYTES_MAX).step_by(16);
    // At once, for what it grew out of would be kept.
    let mut hand = Vec::with_capacity(CACHED * sizes.clone().count());
    hand.extend(sizes.flat_map(|size| (0..CACHED).map(move |_| Vec::with_capacity(size))));
    hand
}

/// Blocks of a size that a thread keeps, and the largest size of which it keeps any.
const CACHED: usize = 7;
const CACHED_BYTES_MAX: usize = 1_032;

/// The process's memory now: two short reads.
pub(crate) fn measure_process() -> Process {
    let [_, resident, program] = pages().unwrap_or_default().map(|pages| pages * PAGE_BYTES);
    let [heap, free] = heap_bytes();
    Process { resident, program, slack: slack(resident - program.min(resident), heap, free) }
}

/// The free bytes of a heap of which `resident` bytes are there: what is not was free when it was given back.
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
    #[cfg(target_env = "gnu")]
    fn a_hand_has_all_that_the_thread_keeps() {
        // glibc's tcache: seven of each size up to 1,032 bytes.
        let had = |size: usize| {
            let blocks: [Vec<u8>; 7] = std::array::from_fn(|_| Vec::with_capacity(size));
            let kept = blocks.each_ref().map(Vec::as_ptr);
            drop(blocks);
            let hand = hand();
            kept.iter().filter(|block| hand.iter().any(|other| other.as_ptr() == **block)).count()
        };
        for size in [24, 504, 1_032] {
            // At first the thread may take blocks that others have freed, and keep those.
            assert!((0..3).any(|_| had(size) == 7), "of {size} B");
        }
    }

    #[test]
    fn what_was_given_back_is_no_slack() {
        // 100 of 300 are free, and all are there; then 60 of them go back; then all.
        assert_eq!(slack(300, 300, 100), 100);
        assert_eq!(slack(240, 300, 100), 40);
        assert_eq!(slack(200, 300, 100), 0);
        assert_eq!(slack(190, 300, 100), 0);
    }
}
