//! The files that TLS is made of. They are read at the start and again on SIGHUP.

use std::path::{Path, PathBuf};

use crate::reactor::tls::{Credentials, Pem};

use super::layer::Layer;

/// The files of certificates and keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TlsFiles {
    /// Certificate chains with their keys.
    pub(crate) pairs: Vec<(PathBuf, PathBuf)>,
    pub(crate) client_ca: Option<PathBuf>,
}

impl TlsFiles {
    /// The files of a server that has (`needed`) or doesn't have addresses with TLS: certificates and keys belong together,
    /// and to such an address.
    ///
    /// # Errors
    /// The setting that is wrong, and one line.
    pub(super) fn of(layer: &Layer, needed: bool) -> Result<Option<TlsFiles>, (&'static str, String)> {
        let certificates = layer.tls_cert.clone().unwrap_or_default();
        let keys = layer.tls_key.clone().unwrap_or_default();
        let (count, others) = (certificates.len(), keys.len());
        if count != others {
            return Err(("tls-cert", format!("{count} of them and {others} of --tls-key: they go in pairs")));
        }
        let client_ca = layer.tls_client_ca.clone();
        if layer.tls_client_user == Some(true) && client_ca.is_none() {
            let error = "by whose word? --tls-client-ca has to say";
            return Err(("tls-client-user", error.to_owned()));
        }
        if needed && count == 0 {
            let error = "wss:// needs --tls-cert and --tls-key; `rollcall cert` makes a pair for trying";
            return Err(("listen", error.to_owned()));
        }
        if !needed && (count > 0 || client_ca.is_some()) {
            let key = if count > 0 { "tls-cert" } else { "tls-client-ca" };
            return Err((key, "no --listen begins with wss://".to_owned()));
        }
        let pairs = certificates.into_iter().zip(keys).collect();
        Ok(needed.then_some(TlsFiles { pairs, client_ca }))
    }

    /// The files of private keys.
    pub(crate) fn private_keys(&self) -> impl Iterator<Item = &Path> {
        self.pairs.iter().map(|(_, key)| &**key)
    }

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
