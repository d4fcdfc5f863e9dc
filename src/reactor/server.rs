//! Starting the workers, draining and ending them.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::reactor::config::Config;
use crate::reactor::fleet::Fleet;
use crate::reactor::ids::WorkerId;
use crate::reactor::service::Service;

/// Why a server could not start. Its text is one line that says what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The address is taken, also where its owner would share it.
    AddressInUse(SocketAddr),
    /// The address can't be listened on.
    Listen(SocketAddr, std::io::Error),
    /// The system refused a thread, an eventfd or a poll.
    System(&'static str, std::io::Error),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::AddressInUse(address) => {
                write!(f, "{address} is in use by another process; choose another port")
            }
            StartError::Listen(address, error) => write!(f, "can't listen on {address}: {error}"),
            StartError::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// A running server: its worker threads. Dropping it ends them without a drain.
#[derive(Debug)]
pub struct Server {}

impl Server {
    /// Listens on every address (port 0 takes a free one) and starts the workers, each with the service that `make`
    /// gives for it. Returns when all of them accept connections.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub fn start<S: Service>(
        config: Config,
        listen: &[SocketAddr],
        make: impl Fn(WorkerId, &Arc<Fleet>) -> S + Send + Sync + 'static,
    ) -> Result<Server, StartError> {
        let _ = (config, listen, make);
        todo!()
    }

    /// The addresses listened on, in the order given, with port 0 resolved.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        todo!()
    }

    /// What all workers share.
    #[must_use]
    pub fn fleet(&self) -> &Arc<Fleet> {
        todo!()
    }

    /// Whether the workers have descriptor tables of their own.
    #[must_use]
    pub fn has_private_tables(&self) -> bool {
        todo!()
    }

    /// Begins to go away: accepts what is queued, then nobody; closes every connection with 1001 over the drain window.
    pub fn drain(&self) {
        todo!()
    }

    /// Waits until every worker has ended.
    ///
    /// # Errors
    /// The first worker that panicked.
    pub fn join(self) -> Result<(), WorkerId> {
        todo!()
    }

    /// Ends every worker after its present turn, whatever is still open.
    pub fn stop(&self) {
        todo!()
    }
}
