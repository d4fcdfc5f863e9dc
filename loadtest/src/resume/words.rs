//! What the clients of `loadtest resume` say, and the little that they read.

use crate::engine::link::text_frame;

/// The numbers of commands, which come back with their answers.
pub const JOIN_PLAIN: u8 = b'1';
pub const JOIN_KEPT: u8 = b'2';
pub const SAY: u8 = b'3';
pub const PING: u8 = b'4';
/// The data of what is said: text of so many bytes, its quotes included.
pub const DATA_BYTES: usize = 100;

/// A place in a room's order.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Place {
    pub epoch: u64,
    pub offset: u64,
}

/// A frame that joins a room; with a place it asks for what was said since.
pub fn join(seq: u8, room: &str, since: Option<Place>) -> Vec<u8> {
    let seq = char::from(seq);
    let since = since.map_or_else(String::new, |Place { epoch, offset }| {
        format!(r#","since":{{"epoch":{epoch},"offset":{offset}}}"#)
    });
    text_frame(format!(r#"{{"seq":{seq},"cmd":"join","params":{{"room":"{room}"{since}}}}}"#).as_bytes())
}

/// A frame that says a line of [`DATA_BYTES`] in a room, which its speaker does not hear.
pub fn say(room: &str) -> Vec<u8> {
    let (seq, line) = (char::from(SAY), "x".repeat(DATA_BYTES - 2));
    let params = format!(r#"{{"room":"{room}","data":"{line}","echo":false}}"#);
    text_frame(format!(r#"{{"seq":{seq},"cmd":"say","params":{params}}}"#).as_bytes())
}

/// A frame that says something short in a room, which its speaker hears.
pub fn ping(room: &str) -> Vec<u8> {
    let seq = char::from(PING);
    let text = format!(r#"{{"seq":{seq},"cmd":"say","params":{{"room":"{room}","data":"here"}}}}"#);
    text_frame(text.as_bytes())
}

/// An answer: its number, its code, and the place in it.
pub fn answer(payload: &[u8]) -> Option<(u8, u16, Place)> {
    let head = &payload[..payload.len().min(160)];
    let text = std::str::from_utf8(head)
        .unwrap_or_else(|error| std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default());
    let (seq, body) = text.strip_prefix(r#"{"seq":"#)?.split_once(r#","body":{"code":"#)?;
    let number = |key: &str| -> Option<u64> {
        let digits = body.split_once(key)?.1;
        digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let code = body.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    let place = Place {
        epoch: number(r#""epoch":"#).unwrap_or_default(),
        offset: number(r#""offset":"#).unwrap_or_default(),
    };
    Some((*seq.as_bytes().first()?, code, place))
}

/// Whether it is something said.
pub fn is_said(payload: &[u8]) -> bool {
    payload.starts_with(br#"{"event":"say""#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_number_a_code_and_a_place() {
        let text = br#"{"seq":2,"body":{"code":200,"count":3,"epoch":17,"offset":4,"membership":3,"recovered":true}}"#;
        assert_eq!(answer(text), Some((b'2', 200, Place { epoch: 17, offset: 4 })));
        let refused = br#"{"seq":3,"body":{"code":429,"error":"more than 50 commands a second"}}"#;
        assert_eq!(answer(refused), Some((b'3', 429, Place::default())));
        assert_eq!(answer(br#"{"event":"welcome","id":"1"}"#), None);
        assert!(is_said(br#"{"event":"say","room":"r"}"#));
    }
}
