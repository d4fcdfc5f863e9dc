//! The keys for tokens that are fetched (`--token-jwks`): the start waits for the first of them, but not for long.

use std::sync::Arc;
use std::time::Duration;

use crate::identity::Keys;
use crate::limits::JWKS_START_MILLIS;
use crate::outbound::jwks::schedule::FetchPace;
use crate::outbound::jwks::{Fetcher, KeyUrl};
use signal_hook::consts::SIGHUP;
use signal_hook::iterator::Signals;

use crate::cli::failure::Failure;

/// Starts the fetcher of keys for tokens, where they are fetched.
pub(super) fn start(url: Option<KeyUrl>, keys: Option<&Arc<Keys>>) -> Result<Option<Fetcher>, Failure> {
    let (Some(url), Some(keys)) = (url, keys) else { return Ok(None) };
    let fetcher = Fetcher::start(url, Arc::clone(keys), FetchPace::default());
    fetcher.map(Some).map_err(|error| Failure::system(format!("the thread that fetches keys: {error}")))
}

/// Waits until the first keys are there, a while at most: a server without them serves nobody, but it is no help either if
/// it doesn't start at all. Says whether it is to start, which it is not if a signal has come to end it.
pub(super) fn wait(fetcher: &Fetcher, signals: &mut Signals) -> bool {
    const LOOK: u64 = 50;
    for _ in 0..JWKS_START_MILLIS / LOOK {
        if fetcher.wait(Duration::from_millis(LOOK)) {
            return true;
        }
        if signals.pending().any(|signal| signal != SIGHUP) {
            return false;
        }
    }
    true
}
