//! The keys of the API: compared in constant time, replaced while the server runs, never shown.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use subtle::{Choice, ConstantTimeEq};

/// All keys that are good.
#[derive(Default)]
pub struct Keys(ArcSwap<Vec<Box<str>>>);

impl Keys {
    /// Those keys; none: the API needs none.
    #[must_use]
    pub fn new(keys: Vec<Box<str>>) -> Keys {
        Keys(ArcSwap::from_pointee(keys))
    }

    /// Puts others in their place.
    pub fn replace(&self, keys: Vec<Box<str>>) {
        self.0.store(Arc::new(keys));
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.load().len()
    }

    /// Whether there is none: the API needs none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a key is one of them. Takes as long for a near miss as for a far one, whichever key it is near to; only the
    /// length shows.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        let keys = self.0.load();
        let found =
            keys.iter().fold(Choice::from(0), |found, one| found | one.as_bytes().ct_eq(key.as_bytes()));
        found.into()
    }

    /// The keys of a file: one a line; empty lines and what begins with `#` are no keys.
    ///
    /// # Errors
    /// The line, and what is wrong with it, without the key.
    pub fn read(text: &str) -> Result<Vec<Box<str>>, String> {
        let lines = (1..).zip(text.lines().map(str::trim));
        let keys: Vec<Box<str>> = lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(number, line)| Keys::check(line).map_err(|error| format!("line {number}: {error}")))
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

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_a_line_each_and_never_shown() {
        let keys = Keys::new(Keys::read("# operators\n\n  first-key \nsecond#key\n").unwrap());
        assert_eq!(keys.len(), 2);
        assert!(keys.has("first-key") && keys.has("second#key"));
        for other in ["", "first-ke", "first-key ", "# operators", "FIRST-KEY"] {
            assert!(!keys.has(other), "{other}");
        }
        assert_eq!(format!("{keys:?}"), "Keys(2)");
        keys.replace(vec!["third".into()]);
        assert!(keys.has("third") && !keys.has("first-key"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_key() {
        for (text, part) in [("# none\n", "no key"), ("good\nbad key\n", "line 2"), ("sch\u{f6}n", "line 1")]
        {
            let error = Keys::read(text).unwrap_err();
            assert!(error.contains(part) && !error.contains("bad key") && !error.contains("sch"), "{error}");
        }
    }
}
