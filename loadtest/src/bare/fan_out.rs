//! The least that a fan-out can cost: a message goes to all as one plain frame, a raw send for each in the order of the slab.
//!
//! No room, no queue, nothing gathered: only what a socket does not take waits, and what comes next goes behind it. Pings
//! and Closes are answered to who sent them.

use std::ops::Range;

use rollcall::internals::wire::frame::{Header, Opcode, Parsed};
use rollcall::internals::wire::mask;
use rustix::io::Errno;
use slab::Slab;

use super::connection::{Connection, Goes};
use super::reflector::plain;
use crate::sys;

/// Reads what `id` says, and tells all.
pub fn hear(all: &mut Slab<Connection>, id: usize, buffer: &mut [u8], to_the_end: bool) -> Goes {
    loop {
        let speaker = &mut all[id];
        let len = match sys::recv(&speaker.socket, buffer) {
            Ok(0) => return Ok(false),
            Err(Errno::AGAIN) => return Ok(true),
            len => len?,
        };
        let from = if speaker.open { 0 } else { speaker.upgrade(&buffer[..len])? };
        if speaker.open && !pass_on(all, id, &mut buffer[from..len])? {
            return Ok(false);
        }
        if !all[id].is_clear() || (len < buffer.len() && !to_the_end) {
            return Ok(true);
        }
    }
}

/// Passes on the messages of `bytes`; one that is not whole is held until it is.
fn pass_on(all: &mut Slab<Connection>, id: usize, bytes: &mut [u8]) -> Goes {
    let mut held = std::mem::take(&mut all[id].held);
    let bytes = if held.is_empty() {
        bytes
    } else {
        held.extend_from_slice(bytes);
        &mut held[..]
    };
    let mut at = 0;
    while let Some((opcode, frame)) = made_plain(&mut bytes[at..])? {
        let end = at + frame.end;
        let frame = &bytes[at + frame.start..end];
        match opcode {
            Opcode::Ping => all[id].send(frame)?,
            Opcode::Pong => {}
            Opcode::Close => {
                all[id].send(frame)?;
                return Ok(false);
            }
            _ => {
                for (_, member) in all.iter_mut().filter(|(_, member)| member.open) {
                    // Who is gone has an event of its own.
                    let _ = member.send(frame);
                }
            }
        }
        at = end;
    }
    if at < bytes.len() {
        all[id].held = bytes[at..].to_vec();
    }
    Ok(true)
}

/// Makes the first frame of `bytes` a server's, where it lies. Returns what it was, and where it is; `None` if it is not whole.
fn made_plain(bytes: &mut [u8]) -> Result<Option<(Opcode, Range<usize>)>, Errno> {
    let Parsed::Header(header, at) = Header::parse(bytes).map_err(|_| Errno::PROTO)? else { return Ok(None) };
    // Parts of one's message would lie among another's.
    if !header.fin || header.opcode == Opcode::Continuation {
        return Err(Errno::PROTO);
    }
    let len = usize::try_from(header.len).map_err(|_| Errno::PROTO)?;
    let Some(payload) = bytes[at..].get_mut(..len) else { return Ok(None) };
    mask::apply(payload, header.mask.unwrap_or_default());
    let (front, front_len) = plain(&header).encode();
    // Without a key it is shorter.
    let start = at - front_len;
    bytes[start..at].copy_from_slice(&front[..front_len]);
    Ok(Some((header.opcode, start..at + len)))
}

#[cfg(test)]
mod tests {
    use rollcall::internals::wire::frame;

    use super::*;

    #[test]
    fn frames_become_plain_one_by_one_where_they_lie() {
        let mut bytes = Vec::new();
        let said: [(Opcode, usize); 4] =
            [(Opcode::Text, 0), (Opcode::Binary, 20), (Opcode::Ping, 125), (Opcode::Text, 70_000)];
        for (opcode, size) in said {
            frame::write(&mut bytes, opcode, &vec![size as u8; size], Some([1, 2, 3, 4]));
        }
        let whole = bytes.len();
        frame::write(&mut bytes, Opcode::Text, b"cut", Some([1, 2, 3, 4]));
        bytes.pop();
        let mut at = 0;
        for (opcode, size) in said {
            let (was, range) = made_plain(&mut bytes[at..]).unwrap().expect("it is whole");
            let mut expected = Vec::new();
            let answer = if opcode == Opcode::Ping { Opcode::Pong } else { opcode };
            frame::write(&mut expected, answer, &vec![size as u8; size], None);
            assert!(was == opcode && bytes[at..][range.clone()] == expected, "{size} B");
            at += range.end;
        }
        assert_eq!((at, made_plain(&mut bytes[at..])), (whole, Ok(None)));
    }

    #[test]
    fn a_part_of_a_message_is_refused() {
        for (fin, opcode) in [(false, Opcode::Text), (true, Opcode::Continuation)] {
            let header = Header { fin, reserved: 0, opcode, mask: Some([0; 4]), len: 0 };
            let (mut bytes, len) = header.encode();
            assert_eq!(made_plain(&mut bytes[..len]), Err(Errno::PROTO));
        }
    }
}
