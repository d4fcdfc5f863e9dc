//! The page and the client in a real browser: headless Chromium. Where there is none these tests say that they were left
//! out; with `ROLLCALL_BROWSER=required` they fail.

mod carriers;
mod chromium;
mod client;
mod crowd;
mod front;
mod history;
mod life;
mod page;
mod proxy;
mod secure;
mod server;
mod snippets;
mod strangers;
mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// One test at a time has browsers: they are heavy, and each test measures patience.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}
