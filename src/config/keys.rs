//! The files with the keys that tokens are verified with: read at the start, by `config check`, and on SIGHUP.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::identity::Key;
use crate::limits::{KEY_FILE_BYTES_MAX, TOKEN_KEYS_MAX};

/// The files of keys.
#[derive(Clone, Default, Debug)]
pub(crate) struct KeyFiles {
    pub(crate) secrets: Vec<PathBuf>,
    pub(crate) public_keys: Vec<PathBuf>,
}

impl KeyFiles {
    pub(crate) fn is_empty(&self) -> bool {
        self.secrets.is_empty() && self.public_keys.is_empty()
    }

    /// Reads all of them.
    ///
    /// # Errors
    /// One is no key: its setting, and a line that says what to do. All are read or none.
    pub(crate) fn read(&self) -> Result<Vec<Key>, (&'static str, String)> {
        if self.secrets.len() + self.public_keys.len() > TOKEN_KEYS_MAX {
            return Err(("token-public-key", format!("more than {TOKEN_KEYS_MAX} keys")));
        }
        let secrets =
            self.secrets.iter().map(|path| ("token-secret-file", path, key(path, Key::from_secret)));
        let public_keys =
            self.public_keys.iter().map(|path| ("token-public-key", path, key(path, Key::from_public_pem)));
        let keys = secrets.chain(public_keys);
        keys.map(|(setting, path, key)| key.map_err(|error| (setting, format!("{} {error}", path.display()))))
            .collect()
    }
}

fn key(path: &Path, make: fn(&[u8]) -> Result<Key, String>) -> Result<Key, String> {
    make(&read(path)?)
}

/// A key file's bytes.
///
/// # Errors
/// It can't be read, or is no key file: half a sentence.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(KEY_FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("can't be read: {error}"))?;
    if bytes.len() as u64 > KEY_FILE_BYTES_MAX {
        return Err(format!("is over {} KiB: is it a key?", KEY_FILE_BYTES_MAX >> 10));
    }
    Ok(bytes)
}
