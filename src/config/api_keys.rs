//! The sources of the API's keys: one in a setting, several in a file. They are read again while the server runs.

use std::fmt::{Debug, Formatter};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::http::api::keys::ApiKeys;
use serde::{Deserialize, Serialize};

/// A setting that is shown nowhere.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "toml::Value")]
pub(crate) struct Secret(String);

impl FromStr for Secret {
    type Err = String;

    fn from_str(text: &str) -> Result<Secret, String> {
        Ok(Secret(text.to_owned()))
    }
}

impl TryFrom<toml::Value> for Secret {
    type Error = &'static str;

    fn try_from(value: toml::Value) -> Result<Secret, &'static str> {
        // The reader's own error would quote the value.
        value.as_str().map(|text| Secret(text.to_owned())).ok_or("a key stands in quotes")
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> String {
        secret.0
    }
}

impl Debug for Secret {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// The source of keys.
#[derive(Clone, Default, Debug)]
pub(crate) struct KeySource {
    /// `--api-key`.
    pub(crate) key: Option<Secret>,
    /// `--api-key-file`.
    pub(crate) file: Option<PathBuf>,
}

impl KeySource {
    /// All keys that are good now.
    ///
    /// # Errors
    /// The setting, and one line that says what is wrong with it, without any key.
    pub(crate) fn read(&self) -> Result<Vec<Box<str>>, (&'static str, String)> {
        let one =
            self.key.as_ref().map(|Secret(key)| ApiKeys::check(key).map_err(|error| ("api-key", error)));
        let mut keys: Vec<Box<str>> = one.transpose()?.into_iter().collect();
        if let Some(path) = &self.file {
            keys.extend(read_file(path).map_err(|error| ("api-key-file", error))?);
        }
        Ok(keys)
    }
}

fn read_file(path: &Path) -> Result<Vec<Box<str>>, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("can't read {}: {error}", path.display()))?;
    ApiKeys::read(&text).map_err(|error| format!("{}: {error}", path.display()))
}
