//! The upgrade that makes a connection a WebSocket: whether it may, and what it is from then on.

use crate::conn::Conn;
use crate::conn::http::Manner;
use crate::reactor::config::Deflate;
use crate::reactor::context::Context;
use crate::reactor::ids::ConnId;
use crate::reactor::request::Step;
use crate::reactor::service::{Accept, Admission, Service};
use crate::reactor::unserved::End;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;
use crate::wire::deflate::offer::{self, Agreement, Mode};
use crate::wire::http::{Head, Refusal};
use crate::wire::upgrade::{self, Upgrade};

impl<N: Net, S: Service> Worker<N, S> {
    /// A request that asks to become a WebSocket.
    pub(super) fn upgrade(&mut self, id: ConnId, head: &Head<'_>, head_len: usize) -> Step {
        let upgrade = match Upgrade::check(head) {
            Ok(upgrade) => upgrade,
            Err(refusal) => return self.refuse(id, head.method, &refusal),
        };
        let unwanted = self.behind_proxy(id, head);
        if let Some(shortage) = self.core.shortage(unwanted) {
            let response = self.core.refusal(shortage);
            self.respond(id, response, Manner::last(head.method));
            return Step::Refused;
        }
        let deflate = match self.agree(&upgrade) {
            Ok(deflate) => deflate,
            Err(refusal) => return self.refuse(id, head.method, &refusal),
        };
        match self.service.admit(&mut Context::new(&mut self.core, &self.mailboxes), id, &upgrade) {
            Admission::Refuse(response) => self.refuse_with(id, head.method, response),
            Admission::Accept(accept) => {
                self.open(id, upgrade.key, &accept, deflate);
                Step::Upgraded(head_len)
            }
        }
    }

    /// What stands behind an upgrade: frames, and the end of the stream where that was seen while a request before the upgrade
    /// was waited for.
    pub(super) fn upgraded(&mut self, id: ConnId, rest: &mut [u8]) {
        let has_ended = self.core.get_mut(id).is_some_and(Conn::take_end);
        self.frames(id, rest);
        if has_ended {
            self.ends(id, End::Told);
        }
    }

    /// What is agreed about compression: how, and the answer's words for it.
    fn agree(&self, upgrade: &Upgrade<'_>) -> Result<Option<(Agreement, String)>, Refusal> {
        let mode = match self.core.config.deflate {
            Deflate::Off => return Ok(None),
            Deflate::Shared => Mode::Shared,
            Deflate::PerConnection => Mode::PerConnection,
        };
        offer::accept(upgrade.head.values("Sec-WebSocket-Extensions"), mode)
            .map_err(|_| Refusal { status: 400, reason: "Sec-WebSocket-Extensions is no list of extensions" })
    }

    fn open(&mut self, id: ConnId, key: &str, accept: &Accept, deflate: Option<(Agreement, String)>) {
        let Some(conn) = self.core.get_mut(id) else { return };
        let (agreement, extensions) = deflate.unzip();
        conn.open(accept.tag, agreement);
        let (subprotocol, extensions) = (accept.subprotocol.as_deref(), extensions.as_deref());
        self.core.append(id, true, |out| upgrade::write_accept(key, subprotocol, extensions, out));
        let counters = self.core.counters();
        counters.upgrades.add(1);
        counters.open.add(1);
        self.forget_introduction(id);
        self.first_beat(id);
        self.service.open(&mut Context::new(&mut self.core, &self.mailboxes), id);
        self.settle();
    }
}
