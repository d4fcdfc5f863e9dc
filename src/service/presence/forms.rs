//! The forms in which a shared event is sent: JSON in a text message; or, where it has bytes, JSON and these in a binary message
//! to clients that take it. Each is written and framed once, by whoever sends it first.

use crate::presence::{CommandRefusal, ConflationKey, Data, Event, SharedEvent};
use crate::protocol::rollcall_v1;
use crate::reactor::{ConnId, Context, SharedFrame};
use crate::service::presence::sessions::table::CARRIED;
use crate::service::presence::{Presence, PresenceMail, Tag};
use crate::wire::session::Kind;

const NO_BYTES: &str = "this WebSocket carries a session of another worker, which takes no bytes: send text";

/// The form of an event for clients that take bytes only as JSON.
fn text(event: &SharedEvent) -> &SharedFrame {
    event.written(rollcall_v1::CODEC, |event| SharedFrame::text(&rollcall_v1::encode(event)))
}

/// The form of an event with bytes for clients that take these as they are.
fn binary(event: &SharedEvent) -> &SharedFrame {
    event.written(rollcall_v1::FRAMED_CODEC, |event| {
        let framed = rollcall_v1::encode_framed(event).unwrap_or_default();
        SharedFrame::new(Kind::Binary, &framed).expect("any bytes are a binary message")
    })
}

const fn has_bytes(event: &Event) -> bool {
    matches!(event, Event::Said { data: Data::Binary(_), .. } | Event::Told { data: Data::Binary(_), .. })
}

impl Presence {
    /// The form of an event for everybody.
    pub(super) fn common_form(event: &SharedEvent) -> &SharedFrame {
        text(event)
    }

    /// The form of an event for one client.
    pub(super) fn form<'e>(
        &self,
        cx: &Context<'_, PresenceMail>,
        conn: ConnId,
        event: &'e SharedEvent,
    ) -> &'e SharedFrame {
        if has_bytes(event.event()) && self.takes_bytes(cx, conn) { binary(event) } else { text(event) }
    }

    /// A client of `rollcall.v1` has sent a binary message: a command with bytes, or none.
    pub(super) fn hear_bytes(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        tag: Tag,
        message: &[u8],
    ) {
        let read = rollcall_v1::decode_framed(message);
        if tag.slot() == CARRIED {
            // Its session, which is at another worker, takes commands as text.
            let seq = read.map_or_else(|(seq, _)| seq, |(seq, _)| seq);
            let why = CommandRefusal::Unreadable(NO_BYTES.into());
            return self.send_own(cx, conn, &rollcall_v1::encode(&Event::Refused { seq, why }));
        }
        cx.set_tag(conn, tag.0 | Tag::SPOKEN);
        self.node.command(cx.now(), tag.slot(), read, message.len());
        self.act(cx);
    }

    fn takes_bytes(&self, cx: &Context<'_, PresenceMail>, conn: ConnId) -> bool {
        // A session without a WebSocket takes text alone.
        let Some(slot) = cx.tag(conn).map(|tag| Tag(tag).slot()) else { return false };
        let edge = self.node.edge();
        edge.takes_bytes(slot)
            && edge.session(slot) == Some(conn.to_bits())
            && self.sessions.of_stream(cx, conn).is_none()
    }

    /// Sends an event to several clients.
    pub(super) fn publish(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conns: impl Iterator<Item = ConnId>,
        event: &SharedEvent,
        conflation: &ConflationKey,
    ) {
        if !has_bytes(event.event()) {
            return self.publish_form(cx, conns, text(event), conflation);
        }
        let (bytes, rest): (Vec<ConnId>, Vec<ConnId>) = conns.partition(|conn| self.takes_bytes(cx, *conn));
        if !bytes.is_empty() {
            self.publish_form(cx, bytes.into_iter(), binary(event), conflation);
        }
        if !rest.is_empty() {
            self.publish_form(cx, rest.into_iter(), text(event), conflation);
        }
    }

    fn publish_form(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conns: impl Iterator<Item = ConnId>,
        frame: &SharedFrame,
        conflation: &ConflationKey,
    ) {
        match conflation {
            ConflationKey::User(user) => conns.for_each(|conn| self.send_state(cx, conn, user, frame)),
            ConflationKey::Room(room) if self.drops_oldest(room) => {
                conns.for_each(|conn| self.send_or_wait(cx, conn, frame));
            }
            ConflationKey::Room(_) => self.send_in_room(cx, conns, frame),
        }
    }
}
