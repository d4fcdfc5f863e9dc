//! Fetches the keys that an identity provider publishes, and keeps them fresh (`--token-jwks`).
//!
//! One thread does it. The keys that were fetched last stay good for as long as no later fetch succeeds: where the provider
//! is out of reach, or answers with something that is no set of keys, nothing changes but the log. The log has a line where
//! the outcome of a fetch is another one than that of the fetch before, not one for each.
//!
//! | file | subject |
//! |---|---|
//! | `download` | one request, with a bound on its time and on what comes |
//! | [`schedule`] | when to fetch, and which keys are looked for. Pure |
//! | [`url`] | from where keys may be fetched |

mod download;
pub mod schedule;
pub mod url;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use std::{io, thread};

use crate::identity::fetched::{KeyName, PublishedKeys};
use crate::identity::jwks::KeySet;
use crate::identity::{Key, Keys};
use crate::limits::JWKS_ASKED_MAX;
use crate::time::{Clock, Tick};

use schedule::{FetchPace, Schedule};
pub use url::KeyUrl;

/// The thread that fetches. It ends when this is dropped, after the request that is under way.
#[derive(Debug)]
pub struct Fetcher {
    wake: SyncSender<Wake>,
    orders: Arc<Orders>,
    first: Receiver<()>,
}

/// Why the thread wakes before its time.
enum Wake {
    /// A token names this key.
    Asked(KeyName),
    /// There are new [`Orders`].
    Ordered,
}

/// Orders for the thread. Flags, so that none is lost where the queue is full.
#[derive(Default, Debug)]
struct Orders {
    again: AtomicBool,
    stop: AtomicBool,
}

impl Fetcher {
    /// Starts to fetch for `keys`, which are [`Keys::fetching`].
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn start(url: KeyUrl, keys: Arc<Keys>, pace: FetchPace) -> io::Result<Fetcher> {
        let (wake, woken) = sync_channel(JWKS_ASKED_MAX);
        // The first set is told of once, to whoever waits for it.
        let (first_is_here, first) = sync_channel(1);
        let asked = wake.clone();
        // When the queue is full a fetch is due anyway, and the client comes back.
        keys.ask_by(move |name| drop(asked.try_send(Wake::Asked(name))));
        let orders = Arc::new(Orders::default());
        let work = FetchThread {
            url,
            keys,
            orders: Arc::clone(&orders),
            woken,
            first_is_here,
            clock: Clock::starting_at(Tick(0)),
            answer: Duration::from_millis(pace.answer),
            schedule: Schedule::new(pace),
            set: None,
            told: None,
        };
        thread::Builder::new().name("jwks".to_owned()).spawn(move || work.run())?;
        Ok(Fetcher { wake, orders, first })
    }

    /// Waits until the first set is there, or for so long. Says whether it is; only to the first that asks.
    #[must_use]
    pub fn wait(&self, at_most: Duration) -> bool {
        self.first.recv_timeout(at_most).is_ok()
    }

    /// Fetches again now, or as soon as the request is over that is under way.
    pub fn again(&self) {
        self.orders.again.store(true, Relaxed);
        let _ = self.wake.try_send(Wake::Ordered);
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.orders.stop.store(true, Relaxed);
        let _ = self.wake.try_send(Wake::Ordered);
    }
}

/// The state of the thread.
struct FetchThread {
    url: KeyUrl,
    keys: Arc<Keys>,
    orders: Arc<Orders>,
    woken: Receiver<Wake>,
    first_is_here: SyncSender<()>,
    clock: Clock,
    schedule: Schedule,
    /// How long a fetch may take.
    answer: Duration,
    /// The set that was fetched last.
    set: Option<Arc<[Key]>>,
    /// The last outcome that was logged.
    told: Option<Result<String, String>>,
}

impl FetchThread {
    fn run(mut self) {
        while !self.orders.stop.load(Relaxed) {
            let now = self.millis();
            if self.orders.again.swap(false, Relaxed) {
                self.schedule.again(now);
            }
            if self.schedule.forget(now) {
                self.publish();
            }
            if self.schedule.is_due(now) {
                self.fetch();
                continue;
            }
            match self.woken.recv_timeout(Duration::from_millis(self.schedule.next().saturating_sub(now))) {
                Ok(Wake::Asked(name)) => {
                    let now = self.millis();
                    self.schedule.ask(now, name);
                }
                Ok(Wake::Ordered) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn fetch(&mut self) {
        let begun = self.millis();
        // This fetch looks for all keys that were asked for until now.
        for wake in self.woken.try_iter().take(JWKS_ASKED_MAX) {
            if let Wake::Asked(name) = wake {
                self.schedule.ask(begun, name);
            }
        }
        self.schedule.begin(begun);
        let fetched = download::download(&self.url, self.answer)
            .and_then(|document| Ok((KeySet::parse(&document.bytes)?, document.fresh_seconds)));
        let now = self.millis();
        let outcome = match fetched {
            Ok((set, fresh_seconds)) => {
                let names = set.names();
                self.schedule.succeeded(now, names, fresh_seconds);
                let line = told(&set);
                self.set = Some(set.keys.into());
                self.publish();
                let _ = self.first_is_here.try_send(());
                Ok(line)
            }
            Err(error) => {
                self.schedule.failed(now);
                Err(error)
            }
        };
        self.tell(outcome);
    }

    fn publish(&self) {
        if let Some(keys) = &self.set {
            let absent = self.schedule.absent().to_vec();
            self.keys.publish(PublishedKeys { keys: Arc::clone(keys), absent });
        }
    }

    /// Logs an outcome, unless it is the same as before.
    fn tell(&mut self, outcome: Result<String, String>) {
        if self.told.as_ref() == Some(&outcome) {
            return;
        }
        let url = &self.url;
        match &outcome {
            Ok(line) => tracing::info!("{url}: {line}"),
            Err(error) if self.set.is_some() => {
                tracing::warn!("{url} {error}: tokens are verified with the keys that it had before");
            }
            Err(error) => tracing::error!("{url} {error}: tokens by its keys are refused until it is there"),
        }
        self.told = Some(outcome);
    }

    /// Milliseconds since the thread was made.
    fn millis(&self) -> u64 {
        self.clock.now().micros / 1_000
    }
}

/// Describes a set in a line.
fn told(set: &KeySet) -> String {
    let count = set.keys.len();
    let mut line = format!("{count} {} for tokens", if count == 1 { "key" } else { "keys" });
    let left_out = set.left_out();
    if !left_out.is_empty() {
        line.push_str(&format!("; left out: {left_out}"));
    }
    line
}
