//! Echo: every message comes back to its sender, with its kind.
//!
//! It keeps nothing per connection and allocates nothing per message. A client that sends without reading is paused by
//! the reactor long before its backlog is full; where one message alone would pass the bound, it is closed with 1013.

use crate::reactor::{Accept, Admission, ConnId, Context, SendError, Service};
use crate::wire::close::{Close, CloseCode};
use crate::wire::session::Kind;
use crate::wire::upgrade::Upgrade;

/// A service that is echo on every path, for every origin. As a part of a larger service: [`Echo::reply`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl Echo {
    /// Sends a message back to the connection that it came from.
    #[inline]
    pub fn reply<M>(cx: &mut Context<'_, M>, conn: ConnId, kind: Kind, payload: &[u8]) {
        // The reactor has seen that a text is UTF-8: to look once more at each is an eighth of what an echo of 1 KiB costs.
        match cx.send_checked(conn, kind, payload) {
            Ok(()) | Err(SendError::Gone | SendError::NotUtf8) => {}
            Err(SendError::Backlogged) => cx.close(conn, &Close::new(CloseCode::TRY_AGAIN, "too slow")),
            // Earlier output has left: only a message of a GiB comes here.
            Err(SendError::TurnFull) => cx.close(conn, &Close::new(CloseCode::TRY_AGAIN, "too much at once")),
        }
    }
}

impl Service for Echo {
    type Mail = ();
    type Admitted = ();

    fn admit(&mut self, _: &mut Context<'_, ()>, _: ConnId, _: &Upgrade<'_>) -> Admission {
        Admission::Accept(Accept::default())
    }

    #[inline]
    fn message(&mut self, cx: &mut Context<'_, ()>, conn: ConnId, kind: Kind, payload: &[u8]) {
        Echo::reply(cx, conn, kind, payload);
    }

    fn released(&mut self, _: &mut Context<'_, ()>, _: ConnId) -> Option<Vec<u8>> {
        Some(Vec::new())
    }
}
