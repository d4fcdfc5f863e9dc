//! Refusals that a page can see. A browser tells a script nothing of an upgrade's status: a bad token would look like a server that
//! does not answer, and be tried again. So the upgrade is accepted, and the connection told and closed.

use crate::protocol::rollcall_v1;
use crate::reactor::{Accept, Admission, ConnId, Context, Service, Terms};
use crate::service::presence::SUBPROTOCOL;
use crate::wire::close::{Close, CloseCode};
use crate::wire::http::Response;
use crate::wire::session::Kind;
use crate::wire::upgrade::Upgrade;

/// Why a connection is refused that was accepted to be told so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedUpgrade {
    /// The status that an answer would have had.
    status: u16,
    code: CloseCode,
    reason: String,
    /// When to come back, in milliseconds; `None`: not at all.
    retry_millis: Option<u64>,
}

impl RefusedUpgrade {
    /// The refusal that an upgrade is told in place of `response`, and when to come back, if at all; `None` where the response goes out: the client does not
    /// offer the subprotocol that has words for it, or the server does not speak that, or it is about something else than who asks.
    pub(crate) fn of(
        upgrade: &Upgrade<'_>,
        subprotocols: &[String],
        response: &Response,
        retry_millis: Option<u64>,
    ) -> Option<RefusedUpgrade> {
        let code = match response.status {
            401 => CloseCode(4401),
            403 => CloseCode(4403),
            503 => CloseCode::TRY_AGAIN,
            _ => return None,
        };
        let is_spoken = subprotocols.iter().any(|ours| ours == SUBPROTOCOL);
        let mut offered = upgrade.head.list("Sec-WebSocket-Protocol");
        let reason = String::from_utf8_lossy(&response.body).trim_end().to_owned();
        (is_spoken && offered.any(|name| name == SUBPROTOCOL)).then_some(RefusedUpgrade {
            status: response.status,
            code,
            reason,
            retry_millis,
        })
    }

    /// How it is accepted.
    pub(crate) fn accept(self) -> Accept<RefusedUpgrade> {
        Accept { admitted: self, tag: 0, subprotocol: Some(SUBPROTOCOL.to_owned()), terms: Terms::default() }
    }
}

/// The service of connections that are told why they are refused.
#[derive(Debug)]
pub struct TurnedAway;

impl Service for TurnedAway {
    type Mail = ();
    type Admitted = RefusedUpgrade;

    /// Nobody asks for it.
    fn admit(&mut self, _: &mut Context<'_, ()>, _: ConnId, _: &Upgrade<'_>) -> Admission<RefusedUpgrade> {
        Admission::Refuse(Response::text(404, "not found"))
    }

    fn open(&mut self, cx: &mut Context<'_, ()>, conn: ConnId, refused: RefusedUpgrade) {
        cx.count_refused(refused.status);
        let json = rollcall_v1::goodbye(refused.code.0, &refused.reason, refused.retry_millis);
        // A backlog that is full of nothing yet has room for it.
        let _ = cx.send_text(conn, &json);
        cx.close(conn, &Close::new(refused.code, &refused.reason));
    }

    fn message(&mut self, _: &mut Context<'_, ()>, _: ConnId, _: Kind, _: &[u8]) {}
}
