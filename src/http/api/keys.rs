//! The keys of the API: compared in constant time, replaced while the server runs, never shown. Only their hashes are kept.

use std::fmt;
use std::num::NonZero;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ring::digest::{Digest, SHA256, digest};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

/// All keys that are good, each by its SHA-256: all are of one length, so that a comparison tells not even a key's length.
#[derive(Default)]
pub struct ApiKeys(ArcSwap<Vec<Digest>>);

impl ApiKeys {
    /// Holds these keys; with none, no key opens anything.
    #[must_use]
    pub fn new(keys: &[Box<str>]) -> ApiKeys {
        let all = ApiKeys::default();
        all.replace(keys);
        all
    }

    /// Puts others in their place.
    pub fn replace(&self, keys: &[Box<str>]) {
        self.0.store(Arc::new(keys.iter().map(|key| hash(key)).collect()));
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.load().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of a key among them, counted from 1 in the order given; `None`: it is none of them. Takes as long for a near
    /// miss as for a far one, whichever key it is near to.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<usize> {
        let (keys, hash) = (self.0.load(), hash(key));
        let number = keys.iter().zip(1_u32..).fold(0, |found, (one, number)| {
            u32::conditional_select(&found, &number, one.as_ref().ct_eq(hash.as_ref()))
        });
        NonZero::new(number).map(|number| number.get() as usize)
    }

    /// The keys of a file: one a line; empty lines and what begins with `#` are no keys.
    ///
    /// # Errors
    /// The line, and what is wrong with it, without the key.
    pub fn read(text: &str) -> Result<Vec<Box<str>>, String> {
        let lines = (1..).zip(text.lines().map(str::trim));
        let keys: Vec<Box<str>> = lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(number, line)| ApiKeys::check(line).map_err(|error| format!("line {number}: {error}")))
            .collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err("there is no key in it; one a line".to_owned());
        }
        Ok(keys)
    }

    /// A key, if it can be one: it has to fit into `Authorization: Bearer K`.
    ///
    /// # Errors
    /// What is wrong, without the key.
    pub fn check(key: &str) -> Result<Box<str>, String> {
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(
                "a key is letters, digits and signs, without spaces; `openssl rand -hex 24` makes one"
                    .to_owned(),
            );
        }
        Ok(key.into())
    }
}

fn hash(key: &str) -> Digest {
    digest(&SHA256, key.as_bytes())
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_a_line_each_and_never_shown() {
        let keys = ApiKeys::new(&ApiKeys::read("# operators\n\n  first-key \nsecond#key\n").unwrap());
        assert_eq!(keys.len(), 2);
        assert_eq!(["first-key", "second#key"].map(|key| keys.find(key)), [Some(1), Some(2)]);
        for other in ["", "first-ke", "first-key ", "# operators", "FIRST-KEY"] {
            assert_eq!(keys.find(other), None, "{other}");
        }
        assert_eq!(format!("{keys:?}"), "Keys(2)");
        keys.replace(&["third".into()]);
        assert_eq!((keys.find("third"), keys.find("first-key")), (Some(1), None));
        assert!(ApiKeys::default().is_empty() && ApiKeys::default().find("").is_none());
    }

    #[test]
    fn what_is_wrong_is_said_without_the_key() {
        for (text, part) in [("# none\n", "no key"), ("good\nbad key\n", "line 2"), ("sch\u{f6}n", "line 1")]
        {
            let error = ApiKeys::read(text).unwrap_err();
            assert!(error.contains(part) && !error.contains("bad key") && !error.contains("sch"), "{error}");
        }
    }
}
