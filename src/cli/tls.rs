//! TLS from files: made at the start, and made again on SIGHUP.

use std::sync::Arc;

use crate::reactor::Listen;
use crate::reactor::tls::Acceptor;

use crate::cli::failure::Failure;
use crate::config::Settings;
use crate::config::address::ListenEndpoint;
use crate::config::tls::TlsFiles;

/// The acceptor of handshakes, where there are files for one.
pub(super) fn acceptor(files: Option<&TlsFiles>) -> Result<Option<Arc<Acceptor>>, Failure> {
    let Some(files) = files else { return Ok(None) };
    let acceptor = Acceptor::new(&files.read().map_err(Failure::usage)?);
    acceptor.map(|acceptor| Some(Arc::new(acceptor))).map_err(|error| Failure::usage(error.to_string()))
}

/// The listeners of the server, in the order of the settings.
pub(super) fn listening(settings: &Settings, acceptor: Option<&Arc<Acceptor>>) -> Vec<Listen> {
    let listen = |endpoint: &ListenEndpoint| match (endpoint, acceptor) {
        (ListenEndpoint::Unix(path), _) => Listen::Unix(path.clone(), settings.unix_mode),
        (ListenEndpoint::Tls(address), Some(acceptor)) => Listen::Tls(*address, acceptor.clone()),
        // The settings don't resolve with a TLS endpoint and no files.
        (ListenEndpoint::Tcp(address) | ListenEndpoint::Tls(address), _) => Listen::Tcp(*address),
    };
    settings.endpoints.iter().map(listen).collect()
}

/// Reads the files again. Where they are no good, everything stays as it was.
pub(super) fn read_again(files: Option<&TlsFiles>, acceptor: Option<&Arc<Acceptor>>) {
    let (Some(files), Some(acceptor)) = (files, acceptor) else { return };
    match files
        .read()
        .and_then(|credentials| acceptor.replace(&credentials).map_err(|error| error.to_string()))
    {
        Ok(()) => tracing::info!("TLS: new connections get the certificates as they are now"),
        Err(error) => tracing::error!("TLS stays as it was: {error}"),
    }
}
