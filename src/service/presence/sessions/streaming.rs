//! Sessions that are carried by event streams: an answer that goes on for as long as its connection does.

use crate::json::Quoted;
use crate::protocol::event_stream::{self, COMMENT, FINAL, Position};
use crate::reactor::{Answer, ConnId, Context, RequestId, SendError, SharedFrame};
use crate::service::presence::sessions::door::Door;
use crate::service::presence::sessions::opening::{Missed, Opening};
use crate::service::presence::sessions::requests::{Query, later};
use crate::service::presence::sessions::table::{Carrier, Sessions};
use crate::service::presence::{Presence, PresenceMail};
use crate::wire::http::{Head, Response};

impl Sessions {
    /// The place of the session that a connection streams for.
    pub(crate) fn of_stream(&self, cx: &Context<'_, PresenceMail>, conn: ConnId) -> Option<usize> {
        if !self.has_streams() {
            return None;
        }
        let place = cx.tag(conn)? as usize;
        let carrier = &self.table.get(place)?.carrier;
        matches!(carrier, Carrier::Stream(stream) if *stream == conn).then_some(place)
    }
}

impl Presence {
    /// Begins an event stream.
    pub(super) fn ask_for_stream(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        request: RequestId,
        (head, is_ours): (&Head<'_>, bool),
        door: &Door,
    ) -> Result<Answer, Response> {
        let query = Query(head.query());
        let last = head.field("Last-Event-ID").map(str::to_owned).or_else(|| query.last_event_id());
        if last.as_deref() == Some(FINAL) {
            // WHATWG HTML §9.2.2: a client that is told 204 stops reconnecting.
            return Ok(Answer::Now(door.dress(Response {
                status: 204,
                content_type: "",
                fields: Vec::new(),
                body: (&b""[..]).into(),
            })));
        }
        let (rooms, watches) = (query.rooms()?, query.watches()?);
        let (entry, state) = self.admit_request(cx, request, (head, is_ours))?;
        let position = last.as_deref().and_then(Position::parse);
        let commands = commands(&rooms, &watches, position.as_ref(), |room| self.keeps(room));
        let missed = position.map(|position| Box::new(Missed::new(position, &rooms)));
        // Its connection is counted, but where that is a proxy's.
        let counted = match cx.addressing().peer_key(request.conn) {
            Some(_) => None,
            None => cx.addressing().count().map_err(|refused| later(cx, refused))?,
        };
        self.sessions.opening.push((request, Box::new(Opening { entry, state, commands, counted, missed })));
        let body = format!("{COMMENT}{}", event_stream::retry(cx.retry_millis()));
        let response = Response {
            status: 200,
            content_type: "text/event-stream",
            // nginx passes on what it gets at once.
            fields: vec![("X-Accel-Buffering", "no".to_owned())],
            body: body.into_bytes().into(),
        };
        Ok(Answer::Stream(door.dress_stream(response)))
    }

    /// Lets in the clients of streams whose heads were sent.
    pub(super) fn begin_streams(&mut self, cx: &mut Context<'_, PresenceMail>) {
        for (request, opening) in std::mem::take(&mut self.sessions.opening) {
            let conn = request.conn;
            if cx.streaming(conn) != Some(request) {
                opening.counted.into_iter().for_each(|counted| cx.addressing().uncount(counted));
                continue;
            }
            let Some(place) = self.sessions.begin(Carrier::Stream(conn)) else {
                cx.end_stream(request);
                continue;
            };
            cx.set_tag(conn, u32::try_from(place).unwrap_or_default());
            let Opening { entry, state, commands, counted, missed } = *opening;
            if let Some(session) = self.sessions.table.get_mut(place) {
                (session.counted, session.missed) = (counted, missed);
            }
            self.enter_session(cx, place, (conn, entry, state));
            self.sessions.arm(place, cx.now().tick, true);
            self.commands(cx, place, &commands.join("\n"));
        }
    }

    /// Sends a message on a stream.
    pub(crate) fn put_event(
        &self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        frame: &SharedFrame,
    ) -> Result<(), SendError> {
        let request = cx.streaming(conn).ok_or(SendError::Gone)?;
        let event = frame.streamed(|json| event_stream::event(json, |room| self.keeps(room)));
        cx.stream(request, event.as_bytes())
    }

    /// Whether a room keeps what is said in it.
    fn keeps(&self, room: &str) -> bool {
        self.settings.rules.history.iter().any(|rule| rule.pattern.fits(room))
    }

    /// A comment is due.
    pub(super) fn comment(&mut self, cx: &mut Context<'_, PresenceMail>, place: usize) {
        let Some(Carrier::Stream(conn)) = self.sessions.table.get(place).map(|session| &session.carrier)
        else {
            return;
        };
        if let Some(request) = cx.streaming(*conn) {
            // If there is no room for it, other bytes wait to be acknowledged.
            let _ = cx.stream(request, COMMENT.as_bytes());
        }
        self.sessions.arm(place, cx.now().tick, true);
    }

    /// The client of a stream is gone.
    pub(super) fn stream_abandoned(&mut self, cx: &mut Context<'_, PresenceMail>, request: RequestId) {
        for (_, opening) in self.sessions.opening.extract_if(.., |(opening, _)| *opening == request) {
            opening.counted.into_iter().for_each(|counted| cx.addressing().uncount(counted));
        }
        if let Some(place) = self.sessions.of_stream(cx, request.conn) {
            self.stream_gone(cx, place);
        }
    }
}

/// The commands that a stream begins with, numbered from 0, one a line.
fn commands(
    rooms: &[String],
    watches: &[String],
    position: Option<&Position>,
    keeps: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    for (room, seq) in rooms.iter().zip(0..) {
        let since = match position {
            Some(Position { room: other, epoch, offset, .. }) if other == room => {
                format!(r#","since":{{"epoch":{epoch},"offset":{offset}}}"#)
            }
            // All that it keeps: its messages are told apart by their time.
            Some(_) if keeps(room) => r#","since":{"epoch":0,"offset":0}"#.to_owned(),
            _ => String::new(),
        };
        let room = Quoted(room);
        commands.push(format!(r#"{{"seq":{seq},"cmd":"join","params":{{"room":{room}{since}}}}}"#));
    }
    if !watches.is_empty() {
        let users: Vec<String> = watches.iter().map(|user| Quoted(user).to_string()).collect();
        let (seq, users) = (commands.len(), users.join(","));
        commands.push(format!(r#"{{"seq":{seq},"cmd":"watch","params":{{"users":[{users}]}}}}"#));
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_begins_with_the_commands_of_its_query() {
        let position = Position { room: "b".to_owned(), epoch: 5, offset: 6, unix_millis: 7 };
        let texts = |list: &[&str]| -> Vec<String> { list.iter().map(|&text| text.to_owned()).collect() };
        assert_eq!(
            commands(&texts(&["a\"", "b", "kept"]), &texts(&["c", "d"]), Some(&position), |room| room
                == "kept"),
            [
                r#"{"seq":0,"cmd":"join","params":{"room":"a\""}}"#,
                r#"{"seq":1,"cmd":"join","params":{"room":"b","since":{"epoch":5,"offset":6}}}"#,
                r#"{"seq":2,"cmd":"join","params":{"room":"kept","since":{"epoch":0,"offset":0}}}"#,
                r#"{"seq":3,"cmd":"watch","params":{"users":["c","d"]}}"#,
            ]
        );
        assert!(commands(&[], &[], None, |_| true).is_empty());
    }
}
