//! permessage-deflate on one thread's links: its compressors, what its links have agreed to and may refer to, and what
//! went over the wire for what was said.

use rollcall::internals::wire::deflate::{
    Agreement, Decoder, DeflateContext, Deflater, Inflaters, RSV1, UnderWay,
};
use rollcall::internals::wire::error::ProtocolError;
use rollcall::internals::wire::frame::{self, Opcode};
use rollcall::internals::wire::session::{Session, SessionEvent};

use crate::engine::link::{LIMITS, MASK};

/// Bytes of one direction.
#[derive(Clone, Copy, Default, Debug)]
pub struct Traffic {
    /// Of messages, as they are before compression and after inflating.
    pub payload: u64,
    /// Of frames, headers included. TLS's records around them don't count.
    pub wire: u64,
}

impl Traffic {
    pub fn add(&mut self, other: Traffic) {
        self.payload += other.payload;
        self.wire += other.wire;
    }

    /// Bytes of messages for each on the wire.
    pub fn ratio(self) -> f64 {
        self.payload as f64 / (self.wire as f64).max(1.0)
    }
}

/// One thread's compression.
#[derive(Debug, Default)]
pub struct Codec {
    /// By the bits of their window.
    deflaters: [Option<Deflater>; 16],
    inflaters: Inflaters,
    links: Vec<Held>,
    data: Vec<u8>,
    frame: Vec<u8>,
    /// What was sent, and what was received, by links that have agreed to compress or not.
    pub sent: Traffic,
    pub received: Traffic,
}

/// What is kept for a link.
#[derive(Debug, Default)]
struct Held {
    agreed: Option<Agreement>,
    under_way: Option<UnderWay>,
    received: DeflateContext,
    sent: DeflateContext,
}

impl Codec {
    pub fn agreed(&mut self, id: usize, agreed: Option<Agreement>) {
        if self.links.len() <= id {
            self.links.resize_with(id + 1, Held::default);
        }
        self.links[id] = Held { agreed, ..Held::default() };
    }

    /// A message as a masked frame, compressed where that was agreed and makes it shorter.
    pub fn frame(&mut self, id: usize, opcode: Opcode, message: &[u8]) -> &[u8] {
        self.frame.clear();
        let held = &mut self.links[id];
        let client = held.agreed.map(|agreed| agreed.client);
        let shorter = client.is_some_and(|client| {
            let place = &mut self.deflaters[usize::from(client.window_bits() & 15)];
            let deflater = place.get_or_insert_with(|| Deflater::new(client.window_bits()));
            let context = if client.takeover() { held.sent.bytes() } else { &[] };
            deflater.deflate(context, message, &mut self.data)
        });
        if let Some(client) = client.filter(|client| shorter && client.takeover()) {
            held.sent.push(message, 1 << client.window_bits());
        }
        let (reserved, payload) = if shorter { (RSV1, &self.data[..]) } else { (0, message) };
        frame::write_reserved(&mut self.frame, opcode, reserved, payload, Some(MASK));
        self.sent.add(Traffic { payload: message.len() as u64, wire: self.frame.len() as u64 });
        &self.frame
    }

    /// Reads what arrived on a link, as [`Session::read`].
    pub fn read<'a>(
        &mut self,
        id: usize,
        session: &'a mut Session,
        bytes: &'a mut [u8],
    ) -> Result<(usize, Option<SessionEvent<'a>>), ProtocolError> {
        let held = &mut self.links[id];
        let read = match held.agreed {
            None => session.read(&LIMITS, None, bytes),
            Some(agreed) => {
                let mut unbounded = usize::MAX;
                let mut decoder = Decoder {
                    inflaters: &mut self.inflaters,
                    under_way: &mut held.under_way,
                    context: &mut held.received,
                    direction: agreed.server,
                    budget: &mut unbounded,
                };
                session.read(&LIMITS, Some(&mut decoder), bytes)
            }
        };
        if let Ok((taken, event)) = &read {
            self.received.wire += *taken as u64;
            if let Some(SessionEvent::Message(_, payload)) = event {
                self.received.payload += payload.len() as u64;
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use rollcall::internals::wire::deflate::Direction;
    use rollcall::internals::wire::session::Role;

    use super::*;
    use crate::chatter::Chatter;

    #[test]
    fn what_one_end_compresses_the_other_reads() {
        for takeover in [false, true] {
            let direction = Direction::new(takeover, 12);
            let agreed = Some(Agreement { server: direction, client: direction });
            let (mut ours, mut theirs) = (Codec::default(), Codec::default());
            ours.agreed(0, agreed);
            theirs.agreed(0, agreed);
            let chatter = Chatter::new(2000);
            let mut session = Session::new(Role::Server);
            for seq in 0..50 {
                let mut frame = ours.frame(0, Opcode::Text, chatter.line(seq)).to_vec();
                let (_, event) = theirs.read(0, &mut session, &mut frame).unwrap();
                let Some(SessionEvent::Message(_, payload)) = event else { panic!("no message") };
                assert!(payload == chatter.line(seq));
            }
            assert_eq!(ours.sent.payload, theirs.received.payload);
            assert_eq!(ours.sent.wire, theirs.received.wire);
            assert!(ours.sent.ratio() > 1.5, "{}", ours.sent.ratio());
        }
    }

    #[test]
    fn who_has_agreed_to_nothing_gets_plain_frames() {
        let mut codec = Codec::default();
        codec.agreed(3, None);
        let len = codec.frame(3, Opcode::Text, &[b'x'; 1000]).len();
        assert_eq!(len, 1008);
        assert!((codec.sent.ratio() - 1000.0 / 1008.0).abs() < 1e-9);
    }
}
