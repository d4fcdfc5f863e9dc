//! `rollcall.v1` as an event stream (WHATWG HTML §9.2): each message is an event, named as the message is, and `answer` where it is the
//! answer to a command. The data is the message's JSON, in one line.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;

/// The id of the last event of a stream that its client must not come back to: a browser says it when it tries to.
pub const FINAL: &str = "final";
/// A comment: it keeps proxies from giving up the connection, and the kernel finds out whether its peer is there.
pub const COMMENT: &str = ":\n\n";

/// A message's place in the history of a room: the id of its event, which a client that comes back says again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Position {
    /// The room.
    pub room: String,
    /// The room's epoch.
    pub epoch: u64,
    /// The message's offset in it.
    pub offset: u64,
    /// When it was said.
    pub unix_millis: u64,
}

/// The fields that are looked at of a message of a room.
#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    room: Cow<'a, str>,
    epoch: u64,
    offset: u64,
    time_ms: u64,
}

/// A message as an event. `keeps`: whether a room has history, so that its messages have ids.
#[must_use]
pub fn event(json: &str, keeps: impl FnOnce(&str) -> bool) -> String {
    let name = name(json);
    let mut event = String::with_capacity(json.len() + 32);
    if name == "say"
        && let Ok(Said { room, epoch, offset, time_ms }) = serde_json::from_str(json)
        && keeps(&room)
    {
        let position = Position { room: room.into_owned(), epoch, offset, unix_millis: time_ms };
        let _ = writeln!(event, "id: {position}");
    }
    let _ = writeln!(event, "event: {name}");
    finish(event, json)
}

/// The last event of a stream, whose client must not come back.
#[must_use]
pub fn last_event(json: &str) -> String {
    finish(format!("id: {FINAL}\nevent: {}\n", name(json)), json)
}

/// How long a client is to wait before it comes back.
#[must_use]
pub fn retry(millis: u64) -> String {
    format!("retry: {millis}\n\n")
}

/// A message's JSON in one line: outside of strings, where they are escaped, line ends mean nothing.
#[must_use]
pub fn in_one_line(json: &str) -> Cow<'_, str> {
    let is_end = |c: char| matches!(c, '\n' | '\r');
    if json.contains(is_end) { Cow::Owned(json.replace(is_end, " ")) } else { Cow::Borrowed(json) }
}

/// Appends a message as a line that says its number: the answer to a poll is made of these.
pub fn numbered(number: u64, json: &str, lines: &mut String) {
    let fields = json.strip_prefix('{').unwrap_or(json);
    let _ = write!(lines, r#"{{"n":{number}"#);
    if fields != "}" {
        lines.push(',');
    }
    lines.push_str(&in_one_line(fields));
    lines.push('\n');
}

fn finish(mut event: String, json: &str) -> String {
    event.push_str("data: ");
    event.push_str(&in_one_line(json));
    event.push_str("\n\n");
    event
}

/// The name of a message: it stands first, as the codec writes it.
fn name(json: &str) -> &str {
    let rest = json.strip_prefix(r#"{"event":""#);
    rest.and_then(|rest| rest.split_once('"')).map_or("answer", |(name, _)| name)
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}.", self.epoch, self.offset, self.unix_millis)?;
        for byte in self.room.bytes() {
            // It is sent back in a header, which is ASCII.
            if byte.is_ascii_alphanumeric() || b"._:-".contains(&byte) {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "%{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl Position {
    /// Reads the id of an event; `None`: it is none of a message.
    #[must_use]
    pub fn parse(text: &str) -> Option<Position> {
        let mut parts = text.splitn(4, '.');
        let mut number = || parts.next()?.parse().ok();
        let (epoch, offset, unix_millis) = (number()?, number()?, number()?);
        let mut room = Vec::new();
        let mut bytes = parts.next()?.bytes();
        while let Some(byte) = bytes.next() {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            room.push(if byte == b'%' { u8::try_from(digit()? << 4 | digit()?).ok()? } else { byte });
        }
        Some(Position { room: String::from_utf8(room).ok()?, epoch, offset, unix_millis })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_an_event_of_its_name() {
        let told = r#"{"event":"tell","from":"anna","data":1,"time_ms":2}"#;
        assert_eq!(event(told, |_| true), format!("event: tell\ndata: {told}\n\n"));
        let answer = r#"{"seq":7,"body":{"code":200}}"#;
        assert_eq!(event(answer, |_| true), format!("event: answer\ndata: {answer}\n\n"));
        assert_eq!(last_event(told), format!("id: final\nevent: tell\ndata: {told}\n\n"));
        // WHATWG HTML §9.2.6: a line end would end the field.
        assert_eq!(event("{\"event\":\"tell\",\"data\":[1,\r\n2]}", |_| true).matches('\n').count(), 3);
    }

    #[test]
    fn messages_that_history_holds_have_ids_which_come_back() {
        let said = r#"{"event":"say","room":"b\u00e4r 1","from":null,"data":{"room":"x"},"epoch":5,"offset":17,"time_ms":99}"#;
        assert_eq!(
            event(said, |room| room == "bär 1"),
            format!("id: 5.17.99.b%c3%a4r%201\nevent: say\ndata: {said}\n\n")
        );
        assert!(event(said, |_| false).starts_with("event: say\n"));
        let position = Position { room: "bär 1".to_owned(), epoch: 5, offset: 17, unix_millis: 99 };
        assert_eq!(Position::parse("5.17.99.b%c3%a4r%201"), Some(position));
        for bad in ["", FINAL, "1.2.3", "1.2.x.r", "-1.2.3.r", "1.2.3.%f", "1.2.3.%ff"] {
            assert_eq!(Position::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_line_of_a_poll_says_its_number() {
        let mut lines = String::new();
        numbered(3, r#"{"event":"tell","data":1}"#, &mut lines);
        numbered(4, "{\"seq\":1,\n\"body\":{}}", &mut lines);
        numbered(5, "{}", &mut lines);
        assert_eq!(
            lines,
            "{\"n\":3,\"event\":\"tell\",\"data\":1}\n{\"n\":4,\"seq\":1, \"body\":{}}\n{\"n\":5}\n"
        );
    }
}
