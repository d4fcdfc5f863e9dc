//! Listeners of a server, and why it can't have one.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::reactor::tls::Acceptor;

/// A listener: the address that it accepts on, and what its connections speak below HTTP.
#[derive(Clone, Debug)]
pub enum Listen {
    /// TCP; port 0 takes a free one.
    Tcp(SocketAddr),
    /// TLS over TCP.
    Tls(SocketAddr, Arc<Acceptor>),
    /// A Unix socket. Its file has these permissions and goes with the server; one that a dead server has left is replaced.
    Unix(PathBuf, u32),
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Listen {
        Listen::Tcp(address)
    }
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Listen::Tcp(address) | Listen::Tls(address, _) => address.fmt(f),
            Listen::Unix(path, _) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Listen {
    /// The address, where it has one.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Listen::Tcp(address) | Listen::Tls(address, _) => Some(*address),
            Listen::Unix(..) => None,
        }
    }

    /// The same with port 0 resolved.
    pub(crate) fn at(&self, local: SocketAddr) -> Listen {
        match self {
            Listen::Tcp(_) => Listen::Tcp(local),
            Listen::Tls(_, acceptor) => Listen::Tls(local, acceptor.clone()),
            Listen::Unix(..) => self.clone(),
        }
    }
}

/// Why a server could not start. Its text is one line that says what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The address is taken, also where its owner would share it.
    AddressInUse(SocketAddr),
    /// A server answers at the Unix socket's path.
    PathInUse(PathBuf),
    /// The address can't be listened on.
    Listen(Listen, io::Error),
    /// The system refused a thread, an eventfd or a poll.
    System(&'static str, io::Error),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::AddressInUse(address) => {
                write!(f, "{address} is in use by another process; choose another port with --listen")
            }
            StartError::PathInUse(path) => {
                write!(f, "{} is in use by another process; choose another path", path.display())
            }
            StartError::Listen(address, error) => write!(f, "can't listen on {address}: {error}"),
            StartError::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl StartError {
    pub(crate) fn listening(place: &Listen, error: io::Error) -> StartError {
        match place {
            Listen::Tcp(address) | Listen::Tls(address, _) if error.kind() == io::ErrorKind::AddrInUse => {
                StartError::AddressInUse(*address)
            }
            Listen::Unix(path, _) if error.kind() == io::ErrorKind::AddrInUse => {
                StartError::PathInUse(path.clone())
            }
            _ => StartError::Listen(place.clone(), error),
        }
    }
}
