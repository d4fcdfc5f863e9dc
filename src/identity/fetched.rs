//! Keys that are fetched from somewhere while the server runs, and tokens whose key is not among them.
//!
//! A provider signs with a new key before everybody has fetched it. So a token whose key is unknown is not refused for good
//! at once: the key is asked for, and the client is told to come back. Once a fetch that began later has not brought it,
//! the key is known to be absent, and the token is refused like any bad one.

use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;

use crate::identity::key::Key;
use crate::identity::token::{Invalid, Unverified};
use crate::limits::JWKS_TRIED_MAX;

/// A key by what tokens call it (`kid`), in 8 bytes whatever its length is; tokens may also call it nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyName(u64);

impl KeyName {
    /// The name of a key that tokens call `id`.
    #[must_use]
    pub fn of(id: Option<&str>) -> KeyName {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        KeyName(hasher.finish())
    }
}

/// The set that was fetched last.
#[derive(Clone, Debug)]
pub struct PublishedKeys {
    /// The keys.
    pub keys: Arc<[Key]>,
    /// Keys that tokens named, and that were looked for and not found.
    pub absent: Vec<KeyName>,
}

impl PublishedKeys {
    /// Says that a key of the set has signed a token.
    ///
    /// # Errors
    /// None has. [`Invalid::Pending`] where a fetch may bring one that has.
    fn judge(&self, token: &Unverified<'_>) -> Result<(), Invalid> {
        let id = token.key_id();
        let is_named = |key: &&Key| id.is_some() && key.id.as_deref() == id;
        let is_known = self.keys.iter().any(|key| is_named(&key));
        // A token that names no key may be of each; one that names a key may be of that, or of one without a name.
        let is_meant = |key: &&Key| if is_known { is_named(key) } else { id.is_none() || key.id.is_none() };
        let meant = || self.keys.iter().filter(is_meant);
        if meant().filter(|key| token.fits(key)).count() > JWKS_TRIED_MAX {
            return Err(Invalid::Ambiguous);
        }
        match token.signed_by_any(meant()) {
            Err(_) if !is_known && !self.absent.contains(&KeyName::of(id)) => Err(Invalid::Pending),
            Err(_) if !is_known && id.is_some() => Err(Invalid::Unpublished),
            judged => judged,
        }
    }
}

/// Takes the name of a key that is to be fetched. It must not block.
type RequestKey = Box<dyn Fn(KeyName) + Send + Sync>;

/// The fetched set, and the way to ask for a key that it lacks.
#[derive(Default)]
pub(super) struct Fetched {
    published: ArcSwapOption<PublishedKeys>,
    ask: OnceLock<RequestKey>,
}

impl Fetched {
    pub(super) fn publish(&self, published: PublishedKeys) {
        self.published.store(Some(Arc::new(published)));
    }

    pub(super) fn is_here(&self) -> bool {
        self.published.load().is_some()
    }

    /// Only the first that is named is asked.
    pub(super) fn ask_by(&self, ask: RequestKey) {
        let _ = self.ask.set(ask);
    }

    pub(super) fn ask(&self, token: &Unverified<'_>) {
        if let Some(ask) = self.ask.get() {
            ask(KeyName::of(token.key_id()));
        }
    }

    /// Units of work that it is to try a token with as many keys as it may be tried with.
    pub(super) fn units(&self) -> u32 {
        let published = self.published.load();
        let Some(published) = &*published else { return 0 };
        let mut units: Vec<u32> = published.keys.iter().map(Key::units).collect();
        units.sort_unstable_by(|a, b| b.cmp(a));
        units.iter().take(JWKS_TRIED_MAX).sum()
    }

    /// Says that a fetched key has signed a token.
    ///
    /// # Errors
    /// None has. [`Invalid::may_pass`] where that may change.
    pub(super) fn judge(&self, token: &Unverified<'_>) -> Result<(), Invalid> {
        match &*self.published.load() {
            Some(published) => published.judge(token),
            None => Err(Invalid::Unready),
        }
    }
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched").field("published", &self.published.load()).finish_non_exhaustive()
    }
}
