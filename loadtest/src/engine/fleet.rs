//! All threads of a run: started, conducted, joined.

use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use crate::engine::thread::Thread;
use crate::engine::{Client, Plan, Report};
use crate::run_state::RunState;
use crate::sys;

/// Memory of each thread's stack; the kernel gives only what is touched.
const STACK_BYTES: usize = 256 << 10;

/// Runs `plan.threads` threads, each with a client that `make` makes in it, and `conduct` in this one. Returns when all
/// have ended, with every client and what its thread saw.
pub fn run<C: Client + Send>(
    plan: &Plan,
    run_state: &RunState,
    make: impl Fn(usize) -> C + Sync,
    conduct: impl FnOnce(),
) -> Result<Vec<(C, Report)>, String> {
    let part = |index| {
        let outcome = run_thread(plan, run_state, index, &make);
        if outcome.is_err() {
            run_state.stop.store(true, Relaxed);
        }
        run_state.running.fetch_sub(1, Relaxed);
        outcome
    };
    thread::scope(|scope| {
        let part = &part;
        let mut threads = Vec::new();
        for index in 0..plan.threads {
            let builder = thread::Builder::new().name(format!("load-{index}")).stack_size(STACK_BYTES);
            match builder.spawn_scoped(scope, move || part(index)) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    run_state.stop.store(true, Relaxed);
                    run_state.running.fetch_sub(plan.threads - index, Relaxed);
                    return Err(format!("thread {} of {} does not start: {error}", index + 1, plan.threads));
                }
            }
        }
        conduct();
        threads.into_iter().map(|thread| thread.join().expect("a thread of the load panicked")).collect()
    })
}

fn run_thread<C: Client>(
    plan: &Plan,
    run_state: &RunState,
    index: usize,
    make: impl Fn(usize) -> C,
) -> Result<(C, Report), String> {
    // Where one table would do, one's own is still cheaper: no system call has to count its references to a shared one.
    let unshared = sys::unshare_descriptors();
    if plan.private_tables {
        unshared.map_err(|error| format!("no descriptor table of its own for a thread: {error}"))?;
    }
    let mut client = make(index);
    let thread =
        Thread::new(plan, run_state, index).map_err(|error| format!("no poll for a thread: {error}"))?;
    let report = thread.run(&mut client).map_err(|error| format!("a thread's poll failed: {error}"))?;
    Ok((client, report))
}

/// What all threads saw, added up.
pub fn sum<'a>(reports: impl IntoIterator<Item = &'a Report>) -> Report {
    let mut all = Report::default();
    for report in reports {
        all.connect.add(&report.connect);
        all.upgrade.add(&report.upgrade);
        all.errors.merge(&report.errors);
        all.opened += report.opened;
        all.lost += report.lost;
        all.sent.add(report.sent);
        all.received.add(report.received);
    }
    all
}
