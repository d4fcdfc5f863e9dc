//! Commands and events with bytes: their JSON, U+0000, the bytes. JSON has no such character in it, so that the first one ends
//! it.

use crate::presence::command::Read;
use crate::presence::event::Event;
use crate::presence::{CommandRefusal, Data};
use crate::protocol::rollcall_v1::decode;
use crate::protocol::rollcall_v1::encode::{say, tell};

/// The character between JSON and bytes.
const END: u8 = 0;

const NOT_FRAMED: &str = "a binary message is a command, `say` or `tell`, then U+0000 and the bytes";

/// Reads a command whose `data` are bytes, and its `seq`.
///
/// # Errors
/// As [`decode`](decode::decode()); and where the command takes no bytes, or has `data` beside them.
pub fn decode_framed(message: &[u8]) -> Read<'_> {
    let parts = message.iter().position(|byte| *byte == END).map(|end| message.split_at(end));
    let Some((text, [_, bytes @ ..])) = parts else {
        return Err((0, CommandRefusal::Unreadable(NOT_FRAMED.into())));
    };
    let text = std::str::from_utf8(text).map_err(|_| (0, CommandRefusal::Unreadable(NOT_FRAMED.into())))?;
    decode::read(text, Some(bytes))
}

/// An event with bytes as it is written for clients that take these as they are; `None` where it has none.
#[must_use]
pub fn encode_framed(event: &Event) -> Option<Vec<u8>> {
    let (text, bytes) = match event {
        Event::Said { room, from, data: Data::Binary(bytes), place, unix_millis } => {
            (say(room, from.as_deref(), None, *place, *unix_millis), bytes)
        }
        Event::Told { from, data: Data::Binary(bytes), unix_millis } => {
            (tell(from.as_deref(), None, *unix_millis), bytes)
        }
        _ => return None,
    };
    Some([text.as_bytes(), &[END], bytes].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::command::Command;
    use crate::presence::message::RoomPosition;
    use crate::presence::{Name, SentData};
    use crate::protocol::refusal;
    use crate::protocol::rollcall_v1::encode;

    #[test]
    fn bytes_stand_behind_their_command() {
        let message = b"{\"seq\":7,\"cmd\":\"say\",\"params\":{\"room\":\"r\",\"echo\":false}}\0\0\xff{}";
        let Ok((7, Command::Say { data: SentData::Binary(bytes), echo: false, .. })) = decode_framed(message)
        else {
            panic!()
        };
        assert!(matches!(bytes, std::borrow::Cow::Borrowed(b"\0\xff{}")), "nothing is copied");
        let told = decode_framed(b"{\"cmd\":\"tell\",\"params\":{\"user\":\"u\"}}\0");
        let Ok((0, Command::Tell { data, .. })) = told else { panic!("no bytes are bytes too: {told:?}") };
        assert_eq!(data, SentData::Binary([].as_slice().into()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (message, seq, error) in [
            (b"".as_slice(), 0, "then U+0000 and the bytes"),
            (b"{\"seq\":1,\"cmd\":\"say\"}", 0, "then U+0000 and the bytes"),
            (b"\xff\0", 0, "then U+0000 and the bytes"),
            (b"\0", 0, "not a command"),
            (b"{\"seq\":1,\"cmd\":\"join\",\"params\":{\"room\":\"r\"}}\0x", 1, "`join` takes no bytes"),
            (b"{\"seq\":1,\"cmd\":\"heartbeat\"}\0", 1, "`heartbeat` takes no bytes"),
            (b"{\"seq\":1,\"cmd\":\"fly\"}\0x", 1, "unknown command `fly`"),
            (
                b"{\"seq\":1,\"cmd\":\"say\",\"params\":{\"room\":\"r\",\"data\":1}}\0x",
                1,
                "`data` is there twice",
            ),
            (b"{\"seq\":1,\"cmd\":\"say\"}\0x", 1, "`room` is missing"),
            (b"{\"seq\":1,\"cmd\":\"say\",\"params\":{\"room\":5}}\0x", 1, "invalid type"),
        ] {
            let (at, why) = decode_framed(message).expect_err(error);
            let sentence = refusal::sentence(&why);
            assert!(
                (at, refusal::code(&why)) == (seq, 400) && sentence.contains(error),
                "{error}: {at} {sentence}"
            );
        }
    }

    #[test]
    fn an_event_with_bytes_has_two_forms() {
        let place = RoomPosition { count: 1, epoch: 2, offset: 3, membership: 4 };
        let (room, from) = (Name::from("r"), Some(Name::from("anna")));
        let said = |data| Event::Said { room: room.clone(), from: from.clone(), data, place, unix_millis: 5 };
        let bytes = said(Data::Binary([0, 1, 255].into()));
        let head = r#"{"event":"say","room":"r","from":"anna","epoch":2,"offset":3,"time_ms":5}"#;
        assert_eq!(encode_framed(&bytes).unwrap(), [head.as_bytes(), &[0, 0, 1, 255]].concat());
        let json = r#"{"event":"say","room":"r","from":"anna","data":{"$binary":"AAH/"},"epoch":2,"offset":3,"time_ms":5}"#;
        assert_eq!(encode(&bytes), json);
        let told = Event::Told { from: None, data: Data::Binary([].into()), unix_millis: 5 };
        assert_eq!(encode_framed(&told).unwrap(), b"{\"event\":\"tell\",\"from\":null,\"time_ms\":5}\0");
        assert_eq!(encode(&told), r#"{"event":"tell","from":null,"data":{"$binary":""},"time_ms":5}"#);
        assert_eq!(encode_framed(&said("1".into())), None);
    }
}
