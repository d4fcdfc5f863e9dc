//! Running the server: log, workers, screen, and what signals do.

use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::time::Duration;

use rollcall::http::Site;
use rollcall::reactor::server::Handle;
use rollcall::reactor::{Config, Server};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::screen::{self, Started};
use super::{Failure, complain, log, say};
use crate::config::Settings;
use crate::config::capacity::{Capacity, count};
use crate::config::layer::LogForm;
use crate::config::units::Span;

/// Serves until a signal has drained it.
pub(super) fn serve(settings: Settings, capacity: &Capacity, warnings: &[String]) -> Result<(), Failure> {
    let _flushes_the_log_when_dropped = log::start(settings.log, settings.log_level);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    // Before the workers start, so that no signal finds its default action, which is to end the process.
    let signals =
        Signals::new([SIGTERM, SIGINT]).map_err(|error| Failure::system(format!("signals: {error}")))?;
    std::panic::set_hook(Box::new(say_panic));

    let heartbeat = settings.reactor.heartbeat;
    let drain = settings.reactor.drain;
    let config =
        Config { workers: capacity.workers, max_connections: capacity.max_connections, ..settings.reactor };
    crate::heap::start();
    let site = Arc::new(settings.site);
    let server = Server::start(config, &settings.addresses, move |worker, fleet| {
        Site::new(Arc::clone(&site), worker, fleet)
    })
    .map_err(|error| Failure::system(error.to_string()))?;
    announce(
        &Started {
            addresses: server.addresses(),
            public: settings.public,
            capacity,
            private: server.has_private_tables(),
            heartbeat,
        },
        settings.log,
    );

    let handle = server.handle();
    std::thread::spawn(move || obey(signals, &handle, drain));
    server
        .join()
        .map_err(|worker| Failure { line: format!("worker {worker} panicked: this is a bug"), code: 70 })?;
    tracing::info!("drained");
    Ok(())
}

fn announce(started: &Started<'_>, form: LogForm) {
    match form {
        LogForm::Text => say(&screen::screen(started)),
        // Whoever reads the log as JSON reads no screen.
        LogForm::Json => {
            for (i, address) in started.addresses.iter().enumerate() {
                tracing::info!(
                    version = env!("CARGO_PKG_VERSION"),
                    %address,
                    admin = i >= started.public,
                    workers = started.capacity.workers,
                    private_tables = started.private,
                    max_connections = started.capacity.max_connections,
                    "listening"
                );
            }
        }
    }
}

/// The first signal drains, the second exits, as a shell would report a death by it.
fn obey(mut signals: Signals, server: &Handle, drain: Duration) {
    let mut signals = signals.forever();
    signals.next();
    let connections = count(server.fleet().connections(), "connection");
    tracing::info!("draining: {connections} over {}; again to stop at once", Span(drain));
    server.drain();
    if let Some(signal) = signals.next() {
        complain("stopped before the drain was done");
        std::process::exit(128 + signal);
    }
}

/// One line for a worker that panics, in the place of a backtrace. It takes its connections with it; the reactor then
/// sends the others away in order, and the process ends.
fn say_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let payload = panic.payload();
    let what =
        payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    let what = what.unwrap_or("no message").replace('\n', " ");
    let place = panic.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
    complain(&format!("thread {} panicked{place}: {what}", thread.name().unwrap_or("without a name")));
}
