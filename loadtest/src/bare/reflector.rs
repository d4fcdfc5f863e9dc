//! A client's frames turned around in the buffer that they were read into.

use std::ops::Range;

use rollcall::internals::wire::error::ProtocolError;
use rollcall::internals::wire::frame::{Header, Opcode, Parsed};
use rollcall::internals::wire::mask;

/// Room in front of what is read, for a header whose first bytes came with an earlier read.
pub const HEADROOM: usize = 16;

/// Turns a client's frames into a server's with the same payloads, in place and as they stream.
#[derive(Debug, Default)]
pub struct Reflector {
    /// The beginning of a header that a read cut.
    header: [u8; 14],
    header_len: usize,
    /// Payload bytes of the frame under way that are to come, and the key for them.
    left: u64,
    key: [u8; 4],
    /// The frame under way is a Close.
    closing: bool,
    /// A Close was turned around.
    pub closed: bool,
}

impl Reflector {
    /// Turns what lies in `input` around; at least [`HEADROOM`] bytes before it are free. Returns where the output lies.
    pub fn turn(&mut self, buffer: &mut [u8], input: Range<usize>) -> Result<Range<usize>, ProtocolError> {
        let (mut read, end) = (input.start, input.end);
        let mut out: Option<Range<usize>> = None;
        while read < end && !self.closed {
            if self.left == 0 {
                let Some((header, taken)) = self.header(&buffer[read..end])? else { break };
                read += taken;
                let (bytes, len) = self.begin(&header).encode();
                // The first header goes right before its payload, which then need not move.
                let start = out.as_ref().map_or(read - len, |out| out.end);
                buffer[start..start + len].copy_from_slice(&bytes[..len]);
                out = Some(out.map_or(start, |out| out.start)..start + len);
            }
            let part = usize::try_from(self.left).unwrap_or(usize::MAX).min(end - read);
            mask::apply(&mut buffer[read..read + part], self.key);
            self.key = mask::rotate(self.key, part);
            self.left -= part as u64;
            let whole = out.get_or_insert(read..read);
            if whole.end != read {
                buffer.copy_within(read..read + part, whole.end);
            }
            whole.end += part;
            read += part;
            self.closed = self.closing && self.left == 0;
        }
        Ok(out.unwrap_or(input.start..input.start))
    }

    /// The next header and how many bytes of `input` it took; what there is of a cut one is kept.
    fn header(&mut self, input: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
        if self.header_len == 0
            && let Parsed::Header(header, len) = Header::parse(input)?
        {
            return Ok(Some((header, len)));
        }
        for (taken, byte) in input.iter().enumerate() {
            self.header[self.header_len] = *byte;
            self.header_len += 1;
            if let Parsed::Header(header, _) = Header::parse(&self.header[..self.header_len])? {
                self.header_len = 0;
                return Ok(Some((header, taken + 1)));
            }
        }
        Ok(None)
    }

    /// Begins a client's frame; returns the header of the server's.
    fn begin(&mut self, header: &Header) -> Header {
        (self.left, self.key) = (header.len, header.mask.unwrap_or_default());
        self.closing = header.opcode == Opcode::Close;
        plain(header)
    }
}

/// The header of the server's frame for a client's.
pub fn plain(header: &Header) -> Header {
    let opcode = if header.opcode == Opcode::Ping { Opcode::Pong } else { header.opcode };
    Header { opcode, mask: None, ..*header }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rollcall::internals::wire::frame;

    fn turned(input: &[u8], chunk: usize) -> Vec<u8> {
        let mut reflector = Reflector::default();
        let mut output = Vec::new();
        for part in input.chunks(chunk) {
            let mut buffer = vec![0; HEADROOM];
            buffer.extend_from_slice(part);
            let end = buffer.len();
            let out = reflector.turn(&mut buffer, HEADROOM..end).unwrap();
            output.extend_from_slice(&buffer[out]);
        }
        output
    }

    #[test]
    fn frames_come_back_plain_however_they_are_cut() {
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        for (size, opcode) in [
            (0, Opcode::Text),
            (20, Opcode::Binary),
            (125, Opcode::Ping),
            (126, Opcode::Text),
            (70_000, Opcode::Binary),
        ] {
            let payload: Vec<u8> = (0..size).map(|at| at as u8).collect();
            frame::write(&mut sent, opcode, &payload, Some([1, 2, 3, size as u8]));
            let back = if opcode == Opcode::Ping { Opcode::Pong } else { opcode };
            frame::write(&mut expected, back, &payload, None);
        }
        for chunk in [1, 2, 3, 7, 100, 4096, sent.len()] {
            assert!(turned(&sent, chunk) == expected, "chunks of {chunk}");
        }
    }

    #[test]
    fn nothing_is_turned_around_after_a_close() {
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        frame::write(&mut sent, Opcode::Close, &[3, 232], Some([9; 4]));
        frame::write(&mut sent, Opcode::Text, b"late", Some([9; 4]));
        frame::write(&mut expected, Opcode::Close, &[3, 232], None);
        assert_eq!(turned(&sent, sent.len()), expected);
    }
}
