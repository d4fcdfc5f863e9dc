//! How connections become clients, and what is told of those that end.

use crate::presence::{Entry, Reason};
use crate::reactor::{Cause, ConnId, Context};
use crate::service::presence::query::{state_of_query, user_of_query};
use crate::service::presence::{Letter, Presence, SUBPROTOCOL, Tag};
use crate::service::reserve::Key;
use crate::time::TICK_MILLIS;
use crate::wire::http::{Head, Response};

impl Presence {
    /// Admits a client; `open` follows. Returns its tag. `is_ours`: no page of strangers asks, so that a cookie and a
    /// certificate count.
    ///
    /// # Errors
    /// 400 where the query names somebody whose name can't be one, or a state in which none comes; 401 or 403 where a token or a certificate is missing or bad.
    pub fn admit(
        &mut self,
        cx: &Context<'_, Letter>,
        conn: ConnId,
        (head, is_ours): (&Head<'_>, bool),
        subprotocol: Option<&str>,
    ) -> Result<u32, Response> {
        let bad = |reason: &str| Response::text(400, reason);
        let entry = match self.settings.gate.admit(cx.now(), (head, is_ours), || cx.certified(conn))? {
            Some(entry) => entry,
            None => Entry::Open(user_of_query(head.query()).map_err(|reason| bad(&reason))?),
        };
        if let Entry::Token(user, _) | Entry::Open(Some(user)) = &entry
            && let Some(words) = self.node.edge().banned(cx.now(), user)
        {
            return Err(Response::text(403, words));
        }
        self.opening = Some((entry, state_of_query(head.query()).map_err(bad)?));
        let version_1 = if subprotocol == Some(SUBPROTOCOL) { Tag::VERSION_1 } else { 0 };
        Ok(Tag::PRESENCE | version_1)
    }

    /// An admitted client is connected.
    pub fn open(&mut self, cx: &mut Context<'_, Letter>, conn: ConnId) {
        let Some(tag) = cx.tag(conn).map(Tag) else { return };
        let (entry, state) = self.opening.take().unwrap_or((Entry::Open(None), None));
        // Only who has not said who it is may do so with its first message.
        let spoken = if matches!(entry, Entry::Open(None)) { 0 } else { Tag::SPOKEN };
        let slot = self.node.enter(cx.now(), conn.to_bits(), entry, state, tag.is_version_1());
        cx.set_tag(conn, tag.0 | spoken | slot);
        let credit =
            self.settings.reserves.take(self.reserve(cx, conn, slot), cx.now().tick, self.node.burst());
        self.node.set_credit(slot, credit);
        self.act(cx);
    }

    /// The reserve that a client's connection takes from.
    fn reserve(&self, cx: &Context<'_, Letter>, conn: ConnId, slot: u32) -> Key {
        let user = self.node.edge().user(slot).map(|user| &**user);
        self.settings.reserves.key(user, cx.peer_key(conn))
    }

    /// A client is gone.
    pub fn closed(&mut self, cx: &mut Context<'_, Letter>, conn: ConnId, cause: Cause) {
        let Some(tag) = cx.tag(conn).map(Tag) else { return };
        let reason = match cause {
            Cause::Closed => Reason::Closed,
            Cause::Goodbye => Reason::Goodbye,
            // What was closed for its own fault may come back as quickly as what broke.
            Cause::ServiceClosed | Cause::Lost | Cause::Reset | Cause::Slow | Cause::Protocol => Reason::Lost,
            Cause::Timeout => Reason::Timeout,
            Cause::Drain => Reason::Drain,
        };
        let now = cx.now();
        let silent = cx.last_heard(conn).map_or(0, |heard| now.tick.since(heard));
        let seen_millis = now.unix_millis.saturating_sub(u64::from(silent) * TICK_MILLIS);
        self.slow.take(conn);
        let unused = self.node.credit(now, tag.slot());
        let key = self.reserve(cx, conn, tag.slot());
        self.settings.reserves.give_back(key, now.tick, self.node.burst(), unused);
        self.node.closed(now, tag.slot(), reason, seen_millis);
        self.act(cx);
    }
}
