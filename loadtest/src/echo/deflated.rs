//! The compressed messages of an echo run: lines of JSON as a chat has them, so that the ratio says something.

use rollcall::wire::deflate::{Agreement, Context, Decoder, Deflater, Inflaters, RSV1, UnderWay};
use rollcall::wire::error::ProtocolError;
use rollcall::wire::frame::{self, Opcode};
use rollcall::wire::session::{Event, Session};

use crate::echo::frames::stamp;
use crate::engine::link::{LIMITS, MASK};

/// Bytes of chat that messages are cut from, at a place of their own each.
const CHAT_BYTES: usize = 1 << 20;
const NAMES: [&str; 6] = ["anna", "ben", "carla", "dmitri", "emre", "fatima"];
const WORDS: [&str; 24] = [
    "the", "meeting", "moved", "to", "ten", "please", "bring", "numbers", "from", "last", "week", "thanks",
    "see", "you", "there", "ok", "deploy", "is", "green", "again", "who", "has", "time", "today",
];

/// One thread's compressors, and what its connections may refer to.
#[derive(Debug)]
pub struct Deflated {
    chat: Vec<u8>,
    size: usize,
    opcode: Opcode,
    message: Vec<u8>,
    data: Vec<u8>,
    frame: Vec<u8>,
    /// By the bits of their window.
    deflaters: [Option<Deflater>; 16],
    inflaters: Inflaters,
    links: Vec<Link>,
}

/// What is kept for a connection.
#[derive(Debug, Default)]
struct Link {
    agreed: Option<Agreement>,
    under_way: Option<UnderWay>,
    received: Context,
    sent: Context,
}

impl Deflated {
    /// Messages of `size` bytes for so many connections.
    pub fn new(size: usize, text: bool, links: usize) -> Deflated {
        Deflated {
            chat: chat(CHAT_BYTES + size),
            size,
            opcode: if text { Opcode::Text } else { Opcode::Binary },
            message: Vec::new(),
            data: Vec::new(),
            frame: Vec::new(),
            deflaters: [const { None }; 16],
            inflaters: Inflaters::default(),
            links: std::iter::repeat_with(Link::default).take(links).collect(),
        }
    }

    /// A connection opens.
    pub fn agreed(&mut self, id: usize, agreed: Option<Agreement>) {
        if self.links.len() <= id {
            self.links.resize_with(id + 1, Link::default);
        }
        self.links[id] = Link { agreed, ..Link::default() };
    }

    /// Message `seq` of connection `id`.
    pub fn message(&mut self, id: usize, seq: u32) -> &[u8] {
        let place = (id as u64) << 32 | u64::from(seq);
        let start = (place.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize % CHAT_BYTES;
        self.message.clear();
        self.message.extend_from_slice(&self.chat[start..start + self.size]);
        let stamp = stamp(id, seq);
        let len = self.size.min(stamp.len());
        self.message[..len].copy_from_slice(&stamp[..len]);
        &self.message
    }

    /// Message `seq` of connection `id` as a masked frame, compressed where that was agreed and makes it shorter.
    pub fn frame(&mut self, id: usize, seq: u32) -> &[u8] {
        self.message(id, seq);
        self.frame.clear();
        let link = &mut self.links[id];
        let client = link.agreed.map(|agreed| agreed.client);
        let shorter = client.is_some_and(|client| {
            let place = &mut self.deflaters[usize::from(client.window_bits & 15)];
            let deflater = place.get_or_insert_with(|| Deflater::new(client.window_bits));
            let context = if client.takeover { link.sent.bytes() } else { &[] };
            deflater.deflate(context, &self.message, &mut self.data)
        });
        if let Some(client) = client.filter(|client| shorter && client.takeover) {
            link.sent.push(&self.message, 1 << client.window_bits);
        }
        let (reserved, payload) = if shorter { (RSV1, &self.data) } else { (0, &self.message) };
        frame::write_reserved(&mut self.frame, self.opcode, reserved, payload, Some(MASK));
        &self.frame
    }

    /// Reads what arrived on a connection.
    pub fn read<'a>(
        &mut self,
        id: usize,
        session: &'a mut Session,
        bytes: &'a mut [u8],
    ) -> Result<(usize, Option<Event<'a>>), ProtocolError> {
        let link = &mut self.links[id];
        let Some(agreed) = link.agreed else { return session.read(&LIMITS, None, bytes) };
        let mut unbounded = usize::MAX;
        let mut decoder = Decoder {
            inflaters: &mut self.inflaters,
            under_way: &mut link.under_way,
            context: &mut link.received,
            direction: agreed.server,
            budget: &mut unbounded,
        };
        session.read(&LIMITS, Some(&mut decoder), bytes)
    }
}

/// What people say to one another, one line a message.
fn chat(bytes: usize) -> Vec<u8> {
    let mut chat = String::with_capacity(bytes + 512);
    let mut dice = 0x9E37_79B9_7F4A_7C15_u64;
    let mut throw = |sides: usize| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice as usize % sides
    };
    let mut offset = 0_u64;
    while chat.len() < bytes {
        let words: Vec<&str> = (0..4 + throw(12)).map(|_| WORDS[throw(WORDS.len())]).collect();
        let (from, words) = (NAMES[throw(NAMES.len())], words.join(" "));
        let time = 1_795_209_544_352 + offset * 977;
        chat.push_str(&format!(
            r#"{{"event":"say","room":"general","from":"{from}","data":{{"text":"{words}"}},"epoch":1795209544352,"offset":{offset},"time_ms":{time}}}"#
        ));
        chat.push('\n');
        offset += 1;
    }
    chat.truncate(bytes);
    chat.into_bytes()
}

#[cfg(test)]
mod tests {
    use rollcall::wire::deflate::Direction;
    use rollcall::wire::session::Role;

    use super::*;

    #[test]
    fn what_one_end_compresses_the_other_reads() {
        for takeover in [false, true] {
            let direction = Direction { takeover, window_bits: 12 };
            let agreed = Some(Agreement { server: direction, client: direction });
            let (mut ours, mut theirs) = (Deflated::new(2000, true, 1), Deflated::new(2000, true, 1));
            ours.agreed(0, agreed);
            theirs.agreed(0, agreed);
            let mut session = Session::new(Role::Server);
            for seq in 0..50 {
                let mut frame = ours.frame(0, seq).to_vec();
                assert!(frame.len() < 1000, "{}", frame.len());
                let (_, event) = theirs.read(0, &mut session, &mut frame).unwrap();
                let Some(Event::Message(_, payload)) = event else { panic!("no message") };
                assert!(payload == ours.message(0, seq));
            }
        }
    }
}
