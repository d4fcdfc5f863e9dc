//! The messages that a client of an event stream has missed that comes back with the id of the last event that it got: for a program that listens
//! for events, each missed message is one again.
//!
//! In the room of that event the stream goes on exactly behind it. In the others the id says only when that was: what was said from
//! then on comes, and the message of that very moment may come twice.

use crate::presence::Event;
use crate::protocol::rollcall_v1;
use crate::reactor::{ConnId, Context, SharedFrame};
use crate::service::presence::{Presence, PresenceMail};

impl Presence {
    /// Sends the answer to a `join` that a stream began with, and what was missed as events behind it. Says whether it was one.
    pub(crate) fn replays(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        event: &Event,
    ) -> bool {
        let Event::Placed { seq, place, recovery: Some(recovery) } = event else { return false };
        let Some(session) = self.sessions.of_stream(cx, conn).and_then(|at| self.sessions.table.get_mut(at))
        else {
            return false;
        };
        let Some(missed) = &mut session.missed else { return false };
        let Some(room) = missed.take(*seq) else { return false };
        let since = if *missed.last.room == *room { 0 } else { missed.last.unix_millis };
        if missed.rooms.iter().all(Option::is_none) {
            session.missed = None;
        }
        let mut recovery = recovery.clone();
        let messages = std::mem::take(&mut recovery.messages);
        let answer = Event::Placed { seq: *seq, place: *place, recovery: Some(recovery) };
        self.send_past(cx, conn, &rollcall_v1::encode(&answer));
        for message in messages.into_iter().filter(|message| message.unix_millis >= since) {
            let Some(data) = message.data else { continue };
            let mut place = *place;
            place.offset = message.offset;
            let said = Event::Said {
                room: room.clone(),
                from: message.from,
                data,
                place,
                unix_millis: message.unix_millis,
            };
            self.send_frame(cx, conn, &SharedFrame::text(&rollcall_v1::encode(&said)));
        }
        true
    }
}
