//! The files that TLS is made of. They are read at the start and again on SIGHUP.

use std::path::{Path, PathBuf};

use rollcall::reactor::tls::{Credentials, Pem};

/// Where certificates and keys lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TlsFiles {
    /// Certificate chains with their keys.
    pub(crate) pairs: Vec<(PathBuf, PathBuf)>,
    pub(crate) client_ca: Option<PathBuf>,
}

impl TlsFiles {
    /// Reads them all.
    ///
    /// # Errors
    /// One line that names the file.
    pub(crate) fn read(&self) -> Result<Credentials, String> {
        let pairs = self.pairs.iter().map(|(certificate, key)| Ok((pem(certificate)?, pem(key)?)));
        Ok(Credentials {
            pairs: pairs.collect::<Result<_, String>>()?,
            client_ca: self.client_ca.as_deref().map(pem).transpose()?,
        })
    }
}

fn pem(path: &Path) -> Result<Pem, String> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| format!("can't read {name}: {error}"))?;
    Ok(Pem { name, bytes })
}
