//! How a server is spoken to: what a member sends when it is open, what a sender says, how a delivery is recognised.
//!
//! A new server needs a variant here and three answers. What is said carries a mark and a stamp of ten bytes, that come
//! through JSON unchanged; a receiver finds them where the last delivery had them, or searches.

use rollcall::internals::wire::frame::Opcode;

use crate::chatter::{Chatter, MARK_AT};
use crate::engine::codec::Codec;
use crate::engine::link::{End, Link, MASK, text_frame};

/// The numbers of a member's commands: it joins, it says something.
const JOIN: &str = "1";
const SAY: &str = "2";
/// What a stamp stands behind.
pub const MARK: &[u8; 2] = b"~~";
const STAMP_BYTES: usize = Stamp::BYTES;
/// The least that can be said: mark and stamp.
pub const SIZE_MIN: u64 = (MARK.len() + STAMP_BYTES) as u64;

/// A server's way to be spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Protocol {
    /// rollcall.v1: join a room, say
    Rollcall,
    /// Whatever a member sends goes to all members, itself included
    Broadcast,
    /// Socket.IO over a WebSocket (EIO=4): events `say` of the main namespace go to all
    Socketio,
}

impl Protocol {
    /// What a member sends when it is open: who it is, and where it wants to be. Names are of one length, so that what is
    /// said has one place in every delivery.
    pub fn greeting(self, room: &str, (thread, member): (usize, usize)) -> Option<Vec<u8>> {
        match self {
            Protocol::Rollcall => {
                let mut frames = text_frame(self::member(thread, member).as_bytes());
                frames.extend(join(room));
                Some(frames)
            }
            Protocol::Socketio => Some(text_frame(b"40")),
            Protocol::Broadcast => None,
        }
    }

    /// Whether this message tells a member that its greeting was accepted.
    pub fn has_joined(self, payload: &[u8]) -> bool {
        match self {
            Protocol::Rollcall => contains(payload, b"\"seq\":1,") && contains(payload, b"\"code\":200"),
            Protocol::Socketio => payload.starts_with(b"40{"),
            Protocol::Broadcast => true,
        }
    }

    /// What the server says where it does not let a member in, or pass on what it said; `None` where this message says no such
    /// thing.
    pub fn refused(self, payload: &[u8]) -> Option<Refused> {
        let Protocol::Rollcall = self else { return None };
        let text = std::str::from_utf8(payload).ok()?;
        let answer = [JOIN, SAY].iter().find_map(|seq| {
            text.strip_prefix("{\"seq\":")?.strip_prefix(*seq)?.strip_prefix(",\"body\":{\"code\":")
        });
        let (code, rest) = answer?.split_at_checked(3)?;
        let code = code.parse().ok().filter(|code| *code != 200)?;
        let told = rest.split_once("more than ").and_then(|(_, rest)| rest.split_once(" commands a second"));
        Some(Refused { code, per_second: told.and_then(|(number, _)| number.parse().ok()) })
    }

    /// A message to all, with `data` as what is said, which is JSON.
    fn say(self, room: &str, data: &str) -> String {
        match self {
            Protocol::Rollcall => {
                let room = serde_json::Value::from(room);
                format!(r#"{{"seq":2,"cmd":"say","params":{{"room":{room},"data":{data}}}}}"#)
            }
            Protocol::Socketio => format!(r#"42["say",{data}]"#),
            Protocol::Broadcast => data.to_owned(),
        }
    }
}

/// The server's answer to a command that it did not carry out.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Refused {
    pub code: u16,
    /// Commands a second that it lets a connection send, where it says so.
    pub per_second: Option<u32>,
}

/// The command of a member that wants to be in the room.
pub fn join(room: &str) -> Vec<u8> {
    let join = serde_json::json!({ "seq": 1, "cmd": "join", "params": { "room": room } });
    text_frame(join.to_string().as_bytes())
}

/// The command of a member that changes its state.
pub fn status(away: bool) -> Vec<u8> {
    let state = if away { "away" } else { "online" };
    text_frame(format!(r#"{{"seq":3,"cmd":"status","params":{{"state":"{state}"}}}}"#).as_bytes())
}

/// The command that asks for the states of the first thread's first member.
pub fn watch_the_sender() -> Vec<u8> {
    let name = member(0, 0);
    text_frame(format!(r#"{{"seq":4,"cmd":"watch","params":{{"users":["{name}"]}}}}"#).as_bytes())
}

/// The name of a member. All are of one length.
pub fn member(thread: usize, member: usize) -> String {
    format!("member-{thread:04}-{member:06}")
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Which message this is: 24 bits of a round or a sequence number, 16 of the sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    pub round: u32,
    pub sender: u16,
}

impl Stamp {
    /// Rounds after which the stamps repeat.
    pub const ROUNDS: u32 = 1 << 24;
    /// Bytes of an encoded one.
    pub const BYTES: usize = 8;

    /// 5 bits to a byte from `0` to `O`: nothing that JSON would escape.
    pub fn encode(self) -> [u8; STAMP_BYTES] {
        let bits = u64::from(self.round % Stamp::ROUNDS) | u64::from(self.sender) << 24;
        std::array::from_fn(|place| b'0' + ((bits >> (5 * place)) & 31) as u8)
    }

    fn decode(bytes: &[u8]) -> Stamp {
        let bits =
            bytes.iter().rev().fold(0u64, |bits, byte| bits << 5 | u64::from(byte.wrapping_sub(b'0') & 31));
        Stamp { round: (bits as u32) % Stamp::ROUNDS, sender: (bits >> 24) as u16 }
    }
}

/// Where the last delivery had its mark.
pub type Hint = usize;

/// The stamp of a delivery; `None` where the message is something else.
pub fn locate(payload: &[u8], hint: &mut Hint) -> Option<Stamp> {
    if payload.get(*hint..*hint + MARK.len()) != Some(MARK) {
        *hint = payload.windows(MARK.len()).position(|window| window == MARK)?;
    }
    let at = *hint + MARK.len();
    payload.get(at..at + STAMP_BYTES).map(Stamp::decode)
}

/// What is said: made once and stamped for each message.
#[derive(Clone, Debug)]
pub struct Say {
    frame: Vec<u8>,
    /// Where the stamp lies in the frame, and in its payload: the mask goes by the latter.
    at: usize,
    in_payload: usize,
    /// Where compression is offered, in place of `frame`.
    lines: Option<Lines>,
}

/// Lines of a chat, each as the message that says it.
#[derive(Clone, Debug)]
struct Lines {
    chatter: Chatter,
    before: Vec<u8>,
    after: Vec<u8>,
    text: Vec<u8>,
}

impl Say {
    /// Says `size` bytes in `room`: a line of a chat, or a string of marks.
    pub fn new(protocol: Protocol, room: &str, size: usize, chats: bool) -> Say {
        let mark = std::str::from_utf8(MARK).expect("ASCII");
        let data = format!("{mark}{:x<1$}", "", size - MARK.len());
        let data = if protocol != Protocol::Broadcast { format!("\"{data}\"") } else { data };
        let text = protocol.say(room, &data);
        let in_payload = text.find(mark).expect("the mark is said") + MARK.len();
        let frame = text_frame(text.as_bytes());
        let at = frame.len() - text.len() + in_payload;
        let lines = chats.then(|| {
            let (before, after) = text.split_once(&data).expect("it is said");
            let (before, after) = (before.as_bytes().to_vec(), after.as_bytes().to_vec());
            Lines { chatter: Chatter::new(size), before, after, text: Vec::new() }
        });
        Say { frame, at, in_payload, lines }
    }

    /// Sends it on a link, which the codec knows as `id`.
    pub fn send<T>(
        &mut self,
        link: &mut Link<T>,
        codec: &mut Option<Codec>,
        id: usize,
        stamp: Stamp,
    ) -> Result<(), End> {
        match (&mut self.lines, codec) {
            (Some(lines), Some(codec)) => link.send(codec.frame(id, Opcode::Text, lines.stamped(stamp))),
            _ => link.send(self.stamped(stamp)),
        }
    }

    /// The whole frame, stamped.
    fn stamped(&mut self, stamp: Stamp) -> &[u8] {
        for (place, byte) in stamp.encode().into_iter().enumerate() {
            self.frame[self.at + place] = byte ^ MASK[(self.in_payload + place) % 4];
        }
        &self.frame
    }
}

impl Lines {
    /// The message of that stamp.
    fn stamped(&mut self, stamp: Stamp) -> &[u8] {
        let Lines { chatter, before, after, text } = self;
        text.clear();
        text.extend_from_slice(before);
        text.extend_from_slice(chatter.line(u64::from(stamp.sender) << 32 | u64::from(stamp.round)));
        text[before.len() + MARK_AT + MARK.len()..][..Stamp::BYTES].copy_from_slice(&stamp.encode());
        text.extend_from_slice(after);
        text
    }
}

#[cfg(test)]
mod tests {
    use rollcall::internals::wire::frame::{Header, Parsed};
    use rollcall::internals::wire::mask;

    use super::*;

    #[test]
    fn what_is_said_is_found_again_with_its_stamp() {
        for (protocol, size) in [
            (Protocol::Rollcall, 10),
            (Protocol::Rollcall, 500),
            (Protocol::Broadcast, 20),
            (Protocol::Socketio, 20),
        ] {
            let mut say = Say::new(protocol, "a \"room\"", size, false);
            for stamp in [Stamp { round: 0, sender: 0 }, Stamp { round: Stamp::ROUNDS - 1, sender: 65_535 }] {
                let mut frame = say.stamped(stamp).to_vec();
                let Ok(Parsed::Header(header, at)) = Header::parse(&frame) else { panic!("no header") };
                mask::apply(&mut frame[at..], header.mask.unwrap());
                let mut hint = 7;
                assert_eq!(locate(&frame[at..], &mut hint), Some(stamp));
                let before = hint;
                assert_eq!(locate(&frame[at..], &mut hint), Some(stamp));
                assert_eq!(hint, before);
            }
        }
    }

    #[test]
    fn lines_of_a_chat_are_json_with_a_stamp() {
        for (protocol, place) in [(Protocol::Rollcall, "/params/data/id"), (Protocol::Broadcast, "/id")] {
            let mut lines = Say::new(protocol, "a \"room\"", 300, true).lines.expect("lines were asked for");
            for round in 0..50 {
                let stamp = Stamp { round, sender: 7 };
                let text = lines.stamped(stamp);
                assert_eq!(locate(text, &mut 0), Some(stamp));
                let read: serde_json::Value = serde_json::from_slice(text).unwrap();
                let id = read.pointer(place).and_then(|id| id.as_str()).expect("an id");
                assert_eq!(id.as_bytes()[MARK.len()..], stamp.encode());
            }
        }
    }

    #[test]
    fn other_messages_are_no_deliveries() {
        let mut hint = 0;
        assert_eq!(locate(b"{\"seq\":2,\"body\":{\"code\":200}}", &mut hint), None);
        assert_eq!(locate(b"~~short", &mut hint), None);
        assert!(Protocol::Rollcall.has_joined(b"{\"seq\":1,\"body\":{\"code\":200,\"count\":3}}"));
        assert!(!Protocol::Rollcall.has_joined(b"{\"seq\":1,\"body\":{\"code\":403}}"));
        assert!(Protocol::Socketio.has_joined(br#"40{"sid":"oxOg"}"#));
        assert!(!Protocol::Socketio.has_joined(br#"0{"sid":"eyji"}"#));
        let refused = |text: &str| Protocol::Rollcall.refused(text.as_bytes());
        assert_eq!(
            refused(r#"{"seq":2,"body":{"code":429,"error":"more than 50 commands a second"}}"#),
            Some(Refused { code: 429, per_second: Some(50) })
        );
        assert_eq!(
            refused(r#"{"seq":1,"body":{"code":503}}"#),
            Some(Refused { code: 503, per_second: None })
        );
        assert_eq!(refused(r#"{"seq":2,"body":{"code":200,"epoch":1,"offset":1}}"#), None);
        assert_eq!(refused(r#"{"seq":3,"body":{"code":429}}"#), None);
        assert_eq!(refused(r#"{"seq":2,"body":{"code":4"#), None);
        assert_eq!(Protocol::Broadcast.refused(br#"{"seq":2,"body":{"code":429}}"#), None);
    }
}
