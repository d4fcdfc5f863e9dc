//! Running the server: log, workers, screen, and what signals do.

use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::time::Duration;

use crate::http::{RouterSettings, api};
use crate::identity::Keys;
use crate::reactor::server::Handle;
use crate::reactor::{Config, Limits, Listen, Server, Service, Shared, WorkerId};
use crate::service::live_limits::{LiveLimits, PresenceLimits};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::key::{RunKey, is_printed_to_journal};
use super::reload::{Reload, SetLimits};
use super::screen::{self, Started};
use super::{guard, heap, jwks, log, tls, watchdog};
use crate::cli::failure::{Failure, complain, say};
use crate::cli::flags::CliFlags;
use crate::config::api_keys::KeySource;
use crate::config::capacity::{Capacity, count};
use crate::config::keys::KeyFiles;
use crate::config::layer::LogForm;
use crate::config::units::Span;
use crate::config::{Settings, Sources, exposed, unwise};

/// Serves until a signal has drained it. `flags` and `sources` are where the settings come from; `make` makes the service
/// of a worker.
pub(super) fn serve<S: Service + 'static>(
    settings: Settings,
    capacity: &Capacity,
    (flags, sources): (CliFlags, Sources),
    make: impl Fn(Arc<RouterSettings>, WorkerId, &Arc<Shared>) -> S + Send + Sync + 'static,
) -> Result<(), Failure> {
    let log = log::start(settings.log, settings.log_level);
    let (exposed, unwise) = (exposed::warnings(&settings, &sources), unwise::warnings(&settings, &sources));
    for warning in sources.warnings.iter().chain(&exposed).chain(&unwise) {
        tracing::warn!("{warning}");
    }
    // Before the workers start, so that no signal finds its default action, which is to end the process.
    let mut signals = catch_signals()?;
    std::panic::set_hook(Box::new(say_panic));

    let acceptor = tls::acceptor(settings.tls.as_ref())?;
    let listening = tls::listening(&settings, acceptor.as_ref());
    let files = settings.tls;
    let (heartbeat, drain) = (settings.reactor.heartbeat, settings.reactor.drain);
    let config = Config {
        workers: capacity.workers,
        max_connections: capacity.max_connections,
        // Commands are told who they serve.
        requester_at_upgrade: settings.site.exec.is_some(),
        ..settings.reactor
    };
    heap::start();
    let live_limits = Arc::clone(&settings.site.presence.live_limits);
    let api_keys = (settings.api_keys, Arc::clone(&settings.site.api.keys));
    let mut run_key = make_key(&api_keys.1)?;
    let (authenticator, off) = (settings.site.presence.authenticator.clone(), settings.site.off);
    let fetcher = jwks::start(settings.token_jwks, authenticator.keys.as_ref())?;
    if let Some(fetcher) = &fetcher
        && !jwks::wait(fetcher, &mut signals)
    {
        return Ok(());
    }
    let key_ring = authenticator.keys.clone().map(|keys| KeyRing { keys, files: settings.key_files });
    // Dropped last: what clients' commands have left ends with the server.
    let (site, _guard) = guard::start(settings.site)?;
    let exec = site.exec.clone();
    let site = measured(site);
    let server =
        Server::start_on(config, listening, move |worker, shared| make(Arc::clone(&site), worker, shared))
            .map_err(|error| Failure::system(error.to_string()))?;
    if let Some(key) = &mut run_key {
        key.publish(server.listening());
    }
    warn_of_open_api(&server.listening()[settings.public..]);
    announce(
        &Started {
            listening: server.listening(),
            public: settings.public,
            capacity,
            private: server.has_private_tables(),
            heartbeat,
            authenticator: &authenticator,
            off,
            exec: exec.as_deref(),
            key: run_key.as_ref(),
            shows_key: !is_printed_to_journal(),
            program: std::env::args().next().unwrap_or_else(|| "rollcall".to_owned()),
        },
        settings.log,
    );

    let handle = server.handle();
    watchdog::start(Arc::clone(handle.shared()));
    let read_keys_again = move || {
        read_api_keys_again(&api_keys.0, &api_keys.1);
        read_token_keys_again(key_ring.as_ref());
        if let Some(fetcher) = &fetcher {
            fetcher.again();
        }
        tls::read_again(files.as_ref(), acceptor.as_ref());
    };
    let set_limits = limits(server.handle(), capacity.clone(), live_limits);
    let reload = Reload::new((flags, sources), log.level(), Box::new(read_keys_again), set_limits);
    std::thread::spawn(move || obey(signals, &handle, drain, reload));
    until_drained(server)
}

/// The site, with what its workers ask of the heap.
fn measured(site: RouterSettings) -> Arc<RouterSettings> {
    Arc::new(RouterSettings {
        measure_process: Some(heap::measure_process),
        trim_allocator: Some(heap::trim_allocator),
        ..site
    })
}

fn catch_signals() -> Result<Signals, Failure> {
    Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(|error| Failure::system(format!("signals: {error}")))
}

fn until_drained(server: Server) -> Result<(), Failure> {
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
            for (i, address) in started.listening.iter().enumerate() {
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

/// An admin address asks for no key: whoever reaches it is the operator.
fn warn_of_open_api(admin: &[Listen]) {
    let addresses = admin.iter().filter_map(Listen::address);
    for address in addresses.filter(|address| !address.ip().to_canonical().is_loopback()) {
        tracing::warn!("everybody who reaches the admin address {address} may use the API, without a key");
    }
}

/// Makes the key of this run, unless others were given.
fn make_key(keys: &api::keys::ApiKeys) -> Result<Option<RunKey>, Failure> {
    if !keys.is_empty() {
        return Ok(None);
    }
    let made = RunKey::make()?;
    keys.replace(&[made.key.as_str().into()]);
    Ok(Some(made))
}

/// The keys that run, and where they come from.
struct KeyRing {
    keys: Arc<Keys>,
    files: KeyFiles,
}

/// Changes what runs to the limits in settings that were read again.
fn limits(server: Handle, capacity: Capacity, live_limits: Arc<LiveLimits>) -> SetLimits {
    Box::new(move |settings| {
        let max_connections = capacity.again(settings.max_connections)?;
        server.change(Limits { max_connections, ..Limits::of(&settings.reactor) });
        let rules = &settings.site.presence.rules;
        let most = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        live_limits.set(PresenceLimits {
            connections_per_user: most(rules.connections_per_user),
            commands_per_second: rules.commands_per_second,
            data_bytes: most(rules.data_bytes),
        });
        Ok(())
    })
}

/// SIGHUP reads the settings and keys again. Of the others the first drains, the second exits, as a shell would report a
/// death by it.
fn obey(mut signals: Signals, server: &Handle, drain: Duration, mut reload: Reload) {
    let mut signals = signals.forever().filter(|signal| {
        let is_end = *signal != SIGHUP;
        if !is_end {
            reload.reload();
        }
        is_end
    });
    signals.next();
    let connections = count(server.shared().connections(), "connection");
    tracing::info!("draining: {connections} over {}; again to stop at once", Span(drain));
    server.drain();
    if let Some(signal) = signals.next() {
        complain("stopped before the drain was done");
        std::process::exit(128 + signal);
    }
}

/// Reads the keys of the API again. Those that were good stay so where the new ones can't be read.
fn read_api_keys_again(source: &KeySource, keys: &api::keys::ApiKeys) {
    if source.file.is_none() {
        return;
    }
    match source.read() {
        Ok(good) => {
            keys.replace(&good);
            tracing::info!("the API takes {} now", count(good.len(), "key"));
        }
        Err((setting, error)) => tracing::error!("the API's keys stay as they were: {setting}: {error}"),
    }
}

/// New keys take the place of the old ones, all of them or, where one is bad, none. Nobody is sent away.
fn read_token_keys_again(key_ring: Option<&KeyRing>) {
    let Some(KeyRing { keys, files }) = key_ring.filter(|ring| !ring.files.is_empty()) else {
        return;
    };
    match files.read() {
        Ok(new) => {
            let number = new.len();
            keys.replace(new);
            tracing::info!("{} read again for tokens", count(number, "key"));
        }
        Err((setting, error)) => tracing::error!("the keys for tokens stay as they were: {setting}: {error}"),
    }
}

/// One line for a worker that panics, in the place of a backtrace. It takes its connections with it; the reactor then
/// sends the others away in order, and the process ends. To stderr and not into the log, whose thread may be the one.
fn say_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let payload = panic.payload();
    let what =
        payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    let what = what.unwrap_or("no message").replace('\n', " ");
    let place = panic.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
    complain(&format!("thread {} panicked{place}: {what}", thread.name().unwrap_or("without a name")));
}
