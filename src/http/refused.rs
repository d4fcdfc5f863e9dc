//! Refusals that a page can see. A browser tells a script nothing of an upgrade's status: a bad token would look like a server that
//! does not answer, and be tried again. So the upgrade is accepted, and the connection told and closed.

use crate::protocol::rollcall_v1;
use crate::reactor::{Accept, ConnId, Context};
use crate::service::presence::SUBPROTOCOL;
use crate::wire::close::{Close, CloseCode};
use crate::wire::http::Response;
use crate::wire::upgrade::Upgrade;

/// The tag of connections that are told why they are refused, and have no service.
pub(crate) const REFUSED_TAG: u32 = 2;

/// Why a connection is refused that was accepted to be told so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refused {
    /// What an answer would have had.
    status: u16,
    code: CloseCode,
    reason: String,
    /// When to come back, in milliseconds; `None`: not at all.
    retry_millis: Option<u64>,
}

impl Refused {
    /// What an upgrade is told in the place of `response`, and when to come back, if at all; `None` where the response goes out: the client does not offer the
    /// subprotocol that has words for it, or the server does not speak that, or it is about something else than who asks.
    pub(crate) fn of(
        upgrade: &Upgrade<'_>,
        subprotocols: &[String],
        response: &Response,
        retry_millis: Option<u64>,
    ) -> Option<Refused> {
        let code = match response.status {
            401 => CloseCode(4401),
            403 => CloseCode(4403),
            503 => CloseCode::TRY_AGAIN,
            _ => return None,
        };
        let is_spoken = subprotocols.iter().any(|ours| ours == SUBPROTOCOL);
        let mut offered = upgrade.head.list("Sec-WebSocket-Protocol");
        let reason = String::from_utf8_lossy(&response.body).trim_end().to_owned();
        (is_spoken && offered.any(|name| name == SUBPROTOCOL)).then_some(Refused {
            status: response.status,
            code,
            reason,
            retry_millis,
        })
    }

    /// How it is accepted.
    pub(crate) fn accept() -> Accept {
        Accept { tag: REFUSED_TAG, subprotocol: Some(SUBPROTOCOL.to_owned()) }
    }

    /// Tells the client and closes.
    pub(crate) fn tell<M>(&self, cx: &mut Context<'_, M>, conn: ConnId) {
        cx.count_refused(self.status);
        let json = rollcall_v1::goodbye(self.code.0, &self.reason, self.retry_millis);
        // A backlog that is full of nothing yet has room for it.
        let _ = cx.send_text(conn, &json);
        cx.close(conn, &Close::new(self.code, &self.reason));
    }
}
