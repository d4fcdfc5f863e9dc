//! What a service may do during a call: send, publish, close, answer, post mail.

use std::marker::PhantomData;

use crate::reactor::fleet::Fleet;
use crate::reactor::ids::{ConnId, RequestId, WorkerId};
use crate::reactor::service::{SendError, SharedFrame};
use crate::time::Now;
use crate::wire::close::Close;
use crate::wire::http::Response;
use crate::wire::session::Kind;

/// A service's view of its worker.
pub struct Context<'w, M> {
    todo: PhantomData<&'w mut M>,
}

impl<M> Context<'_, M> {
    /// The turn's reading of the clock.
    #[must_use]
    pub fn now(&self) -> Now {
        todo!()
    }

    /// This worker.
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        todo!()
    }

    /// The whole server.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        todo!()
    }

    /// The number that [`Accept`](crate::reactor::Accept) gave the connection; `None` where it is gone.
    #[must_use]
    pub fn tag(&self, conn: ConnId) -> Option<u32> {
        let _ = conn;
        todo!()
    }

    /// Which of the server's listeners the connection came in on, in the order given at start; 0 where it is gone.
    #[must_use]
    pub fn listener(&self, conn: ConnId) -> usize {
        let _ = conn;
        todo!()
    }

    /// Queues a message; it leaves at the end of the turn.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was queued.
    pub fn send(&mut self, conn: ConnId, kind: Kind, payload: &[u8]) -> Result<(), SendError> {
        let _ = (conn, kind, payload);
        todo!()
    }

    /// Queues a frame that is shared with other connections.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was queued.
    pub fn send_shared(&mut self, conn: ConnId, frame: &SharedFrame) -> Result<(), SendError> {
        let _ = (conn, frame);
        todo!()
    }

    /// Bytes queued for the connection that its socket did not take yet.
    #[must_use]
    pub fn backlog(&self, conn: ConnId) -> usize {
        let _ = conn;
        todo!()
    }

    /// Sends a Close behind what is queued; the connection ends when the peer has answered, or after the close time-out.
    pub fn close(&mut self, conn: ConnId, close: &Close<'_>) {
        let _ = (conn, close);
        todo!()
    }

    /// Answers a request for which [`Service::request`](crate::reactor::Service::request) said `Later`. Ignored where
    /// its connection is gone or it was answered.
    pub fn answer(&mut self, request: RequestId, response: Response) {
        let _ = (request, response);
        todo!()
    }

    /// Posts mail to a worker's service, this one's too.
    ///
    /// # Errors
    /// Its mailbox is full: the mail comes back.
    pub fn post(&mut self, to: WorkerId, mail: M) -> Result<(), M> {
        let _ = (to, mail);
        todo!()
    }
}
