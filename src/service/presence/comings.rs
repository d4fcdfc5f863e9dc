//! How connections become clients, and what is told of those that end.

use crate::limits::CLIENTS_MAX;
use crate::presence::{Entry, Reason};
use crate::reactor::{Accept, Admission, Cause, ConnId, Context, Terms};
use crate::service::presence::coming::{Coming, FOREIGN_ORIGIN};
use crate::service::presence::query::{
    session_of_query, state_of_query, takes_bytes_of_query, user_of_query,
};
use crate::service::presence::sessions::table::CARRIED;
use crate::service::presence::{Presence, PresenceMail, SUBPROTOCOL, Tag};
use crate::service::reserve::ReserveId;
use crate::session::SessionKey;
use crate::time::TICK_MILLIS;
use crate::wire::http::{Head, Response};
use crate::wire::upgrade::Upgrade;

pub(super) const NO_ROOM: &str = "the server has as many clients as it can number: try again later";

const NO_SESSION: &str = "`session` is the name of a session, and needs the subprotocol rollcall.v1";

/// Why a client is gone whose connection has ended so.
pub(super) const fn reason_of(cause: Cause) -> Reason {
    match cause {
        Cause::Closed => Reason::Closed,
        Cause::Goodbye => Reason::Goodbye,
        // A connection that was closed for its own fault may come back as quickly as one that broke.
        Cause::ServiceClosed | Cause::Lost | Cause::Reset | Cause::Slow | Cause::Protocol => Reason::Lost,
        Cause::Timeout => Reason::Timeout,
        Cause::Drain => Reason::Drain,
    }
}

impl Presence {
    /// The same with room for so many clients at most; one more gets 503. A worker never has room for more than
    /// [`CLIENTS_MAX`].
    #[doc(hidden)]
    #[must_use]
    pub fn with_room_for(self, clients_max: usize) -> Presence {
        Presence { clients_max, ..self }
    }

    /// The same for pages of these origins alone, as a browser writes them, and the server's own; none: any. A cookie and a
    /// client's certificate count only for those.
    #[must_use]
    pub fn for_origins(self, origins: Vec<String>) -> Presence {
        Presence { origins, ..self }
    }

    /// The same with these subprotocols instead of `rollcall.v1`. The client's order decides; one that offers none of them gets
    /// none.
    #[must_use]
    pub fn speaking(self, subprotocols: Vec<String>) -> Presence {
        Presence { subprotocols, ..self }
    }

    /// Finds out which client asks to come in: an answer of 400 where the query names somebody whose name can't be one, or a state
    /// in which none comes; of 503 where the worker has no room for another client; of 401 or 403 where a token or a certificate is missing or bad, or the origin may not connect.
    pub(super) fn judge_coming(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        upgrade: &Upgrade<'_>,
    ) -> Admission<Coming> {
        if self.clients() >= self.clients_max.min(CLIENTS_MAX - 1) {
            let seconds = cx.retry_millis().div_ceil(1_000).to_string();
            return Admission::Refuse(Response::text(503, NO_ROOM).with("Retry-After", seconds));
        }
        let is_secure = cx.is_secure(conn);
        if !upgrade.origin_allowed(&self.origins, is_secure) {
            return Admission::Refuse(Response::text(403, FOREIGN_ORIGIN));
        }
        if let Some(name) = session_of_query(upgrade.head.query()) {
            return self.judge_carrier(upgrade, name);
        }
        // To verify its token is most of what an upgrade costs.
        if let Some(keys) = &self.settings.authenticator.keys {
            cx.charge(keys.units());
        }
        let is_ours = upgrade.is_of_ours(&self.origins, is_secure);
        let subprotocol = upgrade.subprotocol(&self.subprotocols);
        let is_version_1 = subprotocol == Some(SUBPROTOCOL);
        match self.coming(cx, conn, (upgrade.head, is_ours)) {
            Err(response) => Admission::Refuse(response),
            Ok(coming) => Admission::Accept(Accept {
                admitted: Coming { is_version_1, ..coming },
                tag: if is_version_1 { Tag::VERSION_1 } else { 0 },
                subprotocol: subprotocol.map(str::to_owned),
                terms: Terms::default(),
            }),
        }
    }

    /// A WebSocket that is to carry a session: who knows the session's name is its client.
    fn judge_carrier(&self, upgrade: &Upgrade<'_>, name: &str) -> Admission<Coming> {
        let subprotocol = upgrade.subprotocol(&self.subprotocols);
        let Some(session) = SessionKey::parse(name).filter(|_| subprotocol == Some(SUBPROTOCOL)) else {
            return Admission::Refuse(Response::text(400, NO_SESSION));
        };
        Admission::Accept(Accept {
            admitted: Coming {
                entry: Entry::Open(None),
                state: None,
                is_version_1: true,
                session: Some(session),
                takes_bytes: false,
            },
            tag: Tag::VERSION_1,
            subprotocol: subprotocol.map(str::to_owned),
            terms: Terms::default(),
        })
    }

    /// `is_ours`: no page of strangers asks, so that a cookie and a certificate count.
    pub(super) fn coming(
        &self,
        cx: &Context<'_, PresenceMail>,
        conn: ConnId,
        (head, is_ours): (&Head<'_>, bool),
    ) -> Result<Coming, Response> {
        let bad = |reason: &str| Response::text(400, reason);
        let entry =
            match self.settings.authenticator.admit(cx.now(), (head, is_ours), || cx.certified(conn))? {
                Some(entry) => entry,
                None => Entry::Open(user_of_query(head.query()).map_err(|reason| bad(&reason))?),
            };
        if let Entry::Token(user, _) | Entry::Open(Some(user)) = &entry
            && let Some(words) = self.node.edge().banned(cx.now(), user)
        {
            return Err(Response::text(403, words));
        }
        let state = state_of_query(head.query()).map_err(bad)?;
        let takes_bytes = takes_bytes_of_query(head.query()).map_err(bad)?;
        Ok(Coming { entry, state, is_version_1: false, session: None, takes_bytes })
    }

    /// An admitted client is connected.
    pub(super) fn come(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId, coming: Coming) {
        let Some(tag) = cx.tag(conn) else { return };
        let Coming { entry, state, is_version_1, session, takes_bytes } = coming;
        if let Some(key) = session {
            return self.carried_opens(cx, conn, key);
        }
        // Only who has not said who it is may do so with its first message.
        let spoken = if matches!(entry, Entry::Open(None)) { 0 } else { Tag::SPOKEN };
        let slot = self.node.enter(cx.now(), conn.to_bits(), entry, state, is_version_1);
        debug_assert!(slot <= Tag::SLOT, "the client was admitted where there is room");
        cx.set_tag(conn, tag | spoken | slot);
        self.node.set_takes_bytes(slot, takes_bytes);
        let credit =
            self.settings.reserves.take(self.reserve(cx, conn, slot), cx.now().tick, self.node.burst());
        self.node.set_credit(slot, credit);
        self.act(cx);
    }

    /// The reserve that a client's connection takes from.
    pub(super) fn reserve(&self, cx: &Context<'_, PresenceMail>, conn: ConnId, slot: u32) -> ReserveId {
        let user = self.node.edge().user(slot).map(|user| &**user);
        self.settings.reserves.key(user, cx.addressing().peer_key(conn))
    }

    /// A client is gone.
    pub(super) fn go(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId, cause: Cause) {
        let Some(tag) = cx.tag(conn).map(Tag) else { return };
        let now = cx.now();
        let silent = cx.last_heard(conn).map_or(0, |heard| now.tick.since(heard));
        let seen_millis = now.unix_millis.saturating_sub(u64::from(silent) * TICK_MILLIS);
        if tag.slot() == CARRIED {
            return self.carried_goes(cx, conn, cause, seen_millis);
        }
        self.slow_consumers.take(conn);
        let unused = self.node.credit(now, tag.slot());
        let key = self.reserve(cx, conn, tag.slot());
        self.settings.reserves.deposit(key, now.tick, self.node.burst(), unused);
        self.node.closed(now, tag.slot(), reason_of(cause), seen_millis);
        self.act(cx);
    }
}
