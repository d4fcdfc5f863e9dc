//! Identity, by a token that somebody else signed: a JSON Web Token (RFC 7519). Pure: the token's text and the time in,
//! claims out.
//!
//! A [`Key`] pins its algorithm: a secret is HS256, an RSA key RS256, a P-256 key ES256, an Ed25519 key EdDSA. Keys that a
//! provider publishes ([`jwks`]) pin what their type has. A token's `alg` only selects among the keys that have it;
//! `none`, and a public key used as a secret, find no key at all (RFC 8725 §3.1). Errors say what is wrong with a token,
//! and never quote it.
//!
//! | file | subject |
//! |---|---|
//! | `algorithm` | algorithms by their names |
//! | `ed25519` | which bytes can be nobody's key |
//! | [`fetched`] | keys that are fetched, and tokens whose key is not among them |
//! | [`jwks`] | a published set of keys to the keys |
//! | [`key`] | keys as files hold them, to verify with and to sign with |
//! | `pem` | PEM to what a key is |
//! | [`provider`] | what is computed with |
//! | [`token`] | a token's text to its claims, and claims to a token |

mod algorithm;
mod ed25519;
pub mod fetched;
pub mod jwks;
pub mod key;
mod pem;
pub mod provider;
pub mod token;

use std::sync::Arc;

use arc_swap::ArcSwap;

use fetched::{Fetched, KeyName, PublishedKeys};
pub use key::{Key, SigningKey};
use token::Unverified;
pub use token::{Claims, Invalid, Parties};

/// The keys that tokens are verified with: shared by all workers, and replaced while they run. Reading takes no lock.
#[derive(Debug)]
pub struct Keys {
    given: ArcSwap<Vec<Key>>,
    fetched: Option<Fetched>,
    parties: Parties,
}

impl Keys {
    /// A token that any of these has signed is good.
    #[must_use]
    pub fn new(keys: Vec<Key>) -> Keys {
        Keys::between(keys, Parties::default())
    }

    /// As [`Keys::new`], where the token also says whom it is for and who has made it.
    #[must_use]
    pub fn between(keys: Vec<Key>, parties: Parties) -> Keys {
        Keys { given: ArcSwap::new(Arc::new(keys)), fetched: None, parties }
    }

    /// As [`Keys::between`], with keys beside those given that are fetched: [`Keys::publish`] brings them.
    #[must_use]
    pub fn fetching(keys: Vec<Key>, parties: Parties) -> Keys {
        Keys { fetched: Some(Fetched::default()), ..Keys::between(keys, parties) }
    }

    /// From now on these keys are the given ones, and the earlier ones no more. Clients that were let in stay
    /// in.
    pub fn replace(&self, keys: Vec<Key>) {
        self.given.store(Arc::new(keys));
    }

    /// From now on these keys are the fetched ones, and the earlier ones no more. Clients that were let in
    /// stay in.
    pub fn publish(&self, published: PublishedKeys) {
        if let Some(fetched) = &self.fetched {
            fetched.publish(published);
        }
    }

    /// Names what is told of keys that tokens name and that were not fetched yet. It is called by workers and must not
    /// block; it counts once.
    pub fn ask_by(&self, ask: impl Fn(KeyName) + Send + Sync + 'static) {
        if let Some(fetched) = &self.fetched {
            fetched.ask_by(Box::new(ask));
        }
    }

    /// Whether no keys are awaited that were never fetched.
    #[must_use]
    pub fn are_here(&self) -> bool {
        self.fetched.as_ref().is_none_or(Fetched::is_here)
    }

    /// Units of work that it is to verify a token at the most: all keys that one algorithm is tried with. A stranger chooses
    /// the algorithm, and needs no good token for it.
    #[must_use]
    pub fn units(&self) -> u32 {
        let given = self.given.load();
        let fetched = self.fetched.as_ref().map_or(0, Fetched::units);
        let with = |key: &Key| {
            let fits =
                |other: &&Key| other.algorithms.iter().any(|algorithm| key.algorithms.contains(algorithm));
            given.iter().filter(fits).map(Key::units).sum::<u32>()
        };
        given.iter().map(with).max().unwrap_or(0) + fetched
    }

    /// The claims of a token that is good at `unix_millis`. Costs about 2 µs for a secret, 25 to 60 µs for most public keys; see
    /// [`Keys::units`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(&self, token: &str, unix_millis: u64) -> Result<Claims, Invalid> {
        let token = Unverified::read(token)?;
        let mut signed = token.signed_by_any(self.given.load().iter());
        // A secret is never fetched.
        let fetched = self.fetched.as_ref().filter(|_| signed.is_err() && !token.is_by_secret());
        if let Some(fetched) = fetched {
            signed = fetched.judge(&token);
        }
        if let Err(error) = signed
            && !error.may_pass()
        {
            return Err(error);
        }
        // No key makes a token with bad claims good, and none is fetched for it.
        let claims = token.claims(&self.parties, unix_millis)?;
        if let Some(fetched) = fetched.filter(|_| signed == Err(Invalid::Pending)) {
            fetched.ask(&token);
        }
        signed.map(|()| claims)
    }
}
