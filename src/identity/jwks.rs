//! The keys that an identity provider publishes: a JSON Web Key Set (RFC 7517 §5). Pure: the document's bytes in, keys out.
//!
//! Only public keys for signatures are taken. A key of another kind in the set is left out, as RFC 7517 §5 asks for, so
//! that a provider may add kinds that this server does not know. The kind of a key decides its algorithms: RSA by RS256 to
//! PS512, P-256 by ES256, P-384 by ES384, Ed25519 by EdDSA; where the key names its `alg`, by that alone.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::identity::algorithm::{named, only};
use crate::identity::fetched::KeyName;
use crate::identity::key::{Key, RSA_EXPONENT_BITS_MAX, bits};
use crate::limits::{JWKS_BYTES_MAX, JWKS_KEYS_MAX};

/// The keys of a document, and what of it is left out.
#[derive(Debug)]
pub struct KeySet {
    /// Keys that tokens are verified with, one at the least.
    pub keys: Vec<Key>,
    left_out: Vec<String>,
}

/// Each key is read on its own: one that can't be read is no reason to lose the others.
#[derive(Deserialize)]
struct KeySetDocument<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// The fields that are read of a key (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<IgnoredAny>,
}

/// The algorithms of an RSA key that does not name one: the most usual first.
static RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];
/// RFC 7518 §3.3: 2,048 or more. Keys above the other end take too long.
const RSA_BITS: RangeInclusive<usize> = 2_048..=4_096;
/// Keys of which a log line says why they are left out.
const LEFT_OUT_SHOWN: usize = 8;
/// Characters of a key's name in a log line.
const ID_CHARS_SHOWN: usize = 40;
const INCOMPLETE: &str = "lacks a part that its type has";
const DAMAGED: &str = "is damaged";

impl KeySet {
    /// Reads a document.
    ///
    /// # Errors
    /// It is no set of keys, too large, or has no key that tokens can be verified with: half a sentence.
    pub fn parse(document: &[u8]) -> Result<KeySet, String> {
        if document.len() > JWKS_BYTES_MAX {
            return Err(format!("is over {} KiB", JWKS_BYTES_MAX >> 10));
        }
        let written: KeySetDocument<'_> = serde_json::from_slice(document)
            .map_err(|_| "is not a set of keys: a JSON object with a list `keys`".to_owned())?;
        if written.keys.len() > JWKS_KEYS_MAX {
            return Err(format!("has {} keys, and {JWKS_KEYS_MAX} are the most", written.keys.len()));
        }
        let mut set = KeySet { keys: Vec::new(), left_out: Vec::new() };
        for (nth, raw) in (1..).zip(&written.keys) {
            let Ok(jwk) = serde_json::from_str::<Jwk>(raw.get()) else {
                set.left_out.push(format!("key {nth} can't be read"));
                continue;
            };
            if !jwk.is_for_signatures() {
                continue;
            }
            match jwk.key() {
                Ok(key) => set.keys.push(key),
                Err(why) => set.left_out.push(format!("{} {why}", label(nth, jwk.kid.as_deref()))),
            }
        }
        match (set.keys.is_empty(), set.left_out.is_empty()) {
            (false, _) => Ok(set),
            (true, true) => Err("has no key for signatures".to_owned()),
            (true, false) => Err(format!("has no key that tokens can be verified with: {}", set.left_out())),
        }
    }
}

impl KeySet {
    /// Why other keys are not among them, in a line; empty where there are none. Keys that are not for signatures are not told of.
    #[must_use]
    pub fn left_out(&self) -> String {
        let mut line = self.left_out[..self.left_out.len().min(LEFT_OUT_SHOWN)].join(", ");
        if let Some(more) = self.left_out.len().checked_sub(LEFT_OUT_SHOWN).filter(|more| *more > 0) {
            line.push_str(&format!(", and {more} more"));
        }
        line
    }

    /// The ids of the keys that have one.
    #[must_use]
    pub fn names(&self) -> Vec<KeyName> {
        let named = self.keys.iter().filter(|key| key.id.is_some());
        named.map(|key| KeyName::of(key.id.as_deref())).collect()
    }
}

impl Jwk {
    /// RFC 7517 §4.2 and §4.3.
    fn is_for_signatures(&self) -> bool {
        self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && self.key_ops.as_ref().is_none_or(|all| all.iter().any(|one| one == "verify"))
    }

    fn key(&self) -> Result<Key, String> {
        if self.kty == "oct" {
            return Err("is a secret, and a secret that is published is none".to_owned());
        }
        if self.d.is_some() {
            return Err("is published with its private half".to_owned());
        }
        let (mine, key) = match (&*self.kty, self.crv.as_deref()) {
            ("RSA", _) => (&RSA[..], self.rsa()?),
            ("EC", Some("P-256")) => (only(Algorithm::ES256), self.point(Algorithm::ES256, 32)?),
            ("EC", Some("P-384")) => (only(Algorithm::ES384), self.point(Algorithm::ES384, 48)?),
            ("OKP", Some("Ed25519")) => {
                let x = bytes(self.x.as_ref()).and_then(|x| x.try_into().ok()).ok_or(INCOMPLETE)?;
                (only(Algorithm::EdDSA), Key::ed25519(&x).ok_or(DAMAGED)?)
            }
            ("EC" | "OKP", Some(_)) => return Err("is on a curve that is not known here".to_owned()),
            ("EC" | "OKP", None) => return Err(INCOMPLETE.to_owned()),
            _ => return Err("is of a type that is not known here".to_owned()),
        };
        let algorithms = match &self.alg {
            None => mine,
            Some(alg) => {
                let fits = named(alg).filter(|algorithm| mine.contains(algorithm));
                only(fits.ok_or("names an algorithm that its type does not have here")?)
            }
        };
        let id = self.kid.as_deref().map(Box::from);
        Ok(Key::new(algorithms, id, key))
    }

    /// RFC 7518 §6.3.1.
    fn rsa(&self) -> Result<DecodingKey, String> {
        let (Some(n), Some(e)) = (bytes(self.n.as_ref()), bytes(self.e.as_ref())) else {
            return Err(INCOMPLETE.to_owned());
        };
        let (n, e) = (significant(&n), significant(&e));
        let bits = bits(n);
        if !RSA_BITS.contains(&bits) {
            return Err(format!(
                "has {bits} bits, and RSA takes {} to {} here",
                RSA_BITS.start(),
                RSA_BITS.end()
            ));
        }
        if self::bits(e) > RSA_EXPONENT_BITS_MAX {
            return Err(format!("has an exponent of more than {RSA_EXPONENT_BITS_MAX} bits"));
        }
        Key::rsa(n, e).ok_or(DAMAGED.to_owned())
    }

    /// RFC 7518 §6.2.1: both coordinates in full length.
    fn point(&self, algorithm: Algorithm, coordinate_bytes: usize) -> Result<DecodingKey, String> {
        let coordinate = |text: &Option<String>| {
            bytes(text.as_ref()).filter(|coordinate| coordinate.len() == coordinate_bytes)
        };
        let (Some(x), Some(y)) = (coordinate(&self.x), coordinate(&self.y)) else {
            return Err(INCOMPLETE.to_owned());
        };
        // SEC 1 §2.3.3: uncompressed.
        Key::point(algorithm, &[&[4][..], &x, &y].concat()).ok_or(DAMAGED.to_owned())
    }
}

fn bytes(text: Option<&String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}

/// A number without the zeros that it begins with.
fn significant(number: &[u8]) -> &[u8] {
    &number[number.iter().take_while(|byte| **byte == 0).count()..]
}

/// The label of a key in the log: its name, cut and without control characters, or its place in the set.
fn label(nth: usize, id: Option<&str>) -> String {
    id.map_or_else(
        || format!("key {nth}"),
        |id| {
            let (mut shown, is_cut) = (id.chars(), id.chars().nth(ID_CHARS_SHOWN).is_some());
            let shown: String = shown.by_ref().take(ID_CHARS_SHOWN).collect();
            format!("key `{}{}`", shown.escape_debug(), if is_cut { "…" } else { "" })
        },
    )
}
