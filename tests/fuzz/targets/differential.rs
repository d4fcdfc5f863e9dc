//! The same bytes to our session and to tungstenite's: they agree on what is accepted, what is refused and every
//! payload. Where they don't, the difference is one of [`DIFFERENCES`], each with the section that allows or asks for it.

use std::io::{self, ErrorKind, Read, Write};

use rollcall::internals::limits::MessageLimits;
use rollcall::internals::wire::error::ProtocolError;
use rollcall::internals::wire::session::Role;
use tungstenite::protocol::{Role as TheirRole, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message};

use super::cursor::Cursor;
use super::session::{Seen, read};

/// Bytes of a message and of a frame; the number of fragments is not limited, since theirs isn't.
const LIMIT: usize = 70_000;
const LIMITS: MessageLimits =
    MessageLimits { max_message_bytes: LIMIT, max_frame_bytes: LIMIT, max_fragments: u32::MAX };

/// Where a reader stands when it has read everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// It waits for more.
    Open,
    /// A Close was read.
    Closed,
    /// A rule was broken: ours says which.
    Refused(Option<ProtocolError>),
}

/// What a reader made of the bytes.
#[derive(Debug)]
struct Run {
    seen: Vec<Seen>,
    end: End,
}

/// A difference that is meant.
pub(crate) struct Difference {
    pub(crate) section: &'static str,
    pub(crate) what: &'static str,
    /// Whether this is it.
    is: fn(&Run, &Run) -> bool,
    /// A client's frames that show it.
    pub(crate) sample: &'static [u8],
}

/// Everything in which the two are known to differ.
pub(crate) const DIFFERENCES: [Difference; 4] = [
    Difference {
        section: "§5.2",
        what: "a length that is not in its shortest encoding: we refuse it, they take it",
        is: |ours, theirs| {
            ours.end == End::Refused(Some(ProtocolError::LengthNotMinimal))
                && theirs.seen.starts_with(&ours.seen)
        },
        sample: &[0x82, 0xfe, 0x00, 0x01, 0, 0, 0, 0, b'x'],
    },
    Difference {
        section: "§5.5",
        what: "a control frame whose length is written as one over 125: we refuse it, they measure the payload",
        is: |ours, theirs| {
            ours.end == End::Refused(Some(ProtocolError::ControlTooLong))
                && theirs.seen.starts_with(&ours.seen)
        },
        sample: &[0x89, 0xfe, 0x00, 0x01, 0, 0, 0, 0, b'x'],
    },
    Difference {
        section: "§7.4",
        what: "a close code that may not be sent: we fail with 1002, they take it for a Close with 1002",
        is: |ours, theirs| {
            let is_bad = ours.end == End::Refused(Some(ProtocolError::CloseCodeInvalid));
            is_bad && theirs.end == End::Closed && is_behind(theirs, ours, 1002)
        },
        sample: &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xec],
    },
    Difference {
        section: "§7.4.2",
        what: "1014, which IANA lists: we take it, they take it for 1002",
        is: |ours, theirs| {
            let Some((Seen::Close(Some(1014), _), before)) = ours.seen.split_last() else { return false };
            let [theirs_before @ .., Seen::Close(Some(1002), _)] = &theirs.seen[..] else { return false };
            before == theirs_before
        },
        sample: &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xf6],
    },
];

/// Whether `longer` saw what `shorter` did, and then a Close with `code`.
fn is_behind(longer: &Run, shorter: &Run, code: u16) -> bool {
    let [before @ .., Seen::Close(Some(last), _)] = &longer.seen[..] else { return false };
    *last == code && before == shorter.seen
}

pub(super) fn run(data: &[u8]) {
    let mut cursor = Cursor::new(data);
    let role = cursor.of(&[Role::Server, Role::Client]);
    let input = cursor.rest();
    if let Err(difference) = compare(role, input) {
        panic!("{difference}");
    }
}

/// Gives the bytes to both. The difference, where it is a known one.
///
/// # Errors
/// They differ in something else.
pub(crate) fn compare(role: Role, input: &[u8]) -> Result<Option<&'static Difference>, String> {
    let (ours, theirs) = (ours(role, input), theirs(role, input, false));
    if ours.seen == theirs.seen && is_same_end(ours.end, theirs.end) {
        return Ok(None);
    }
    if let Some(known) = DIFFERENCES.iter().find(|difference| (difference.is)(&ours, &theirs)) {
        return Ok(Some(known));
    }
    // RFC 6455 §7.1.7 lets an endpoint fail as soon as it knows: we do so at a header or in the middle of a text, they
    // when a frame is complete.
    if matches!(ours.end, End::Refused(_)) && theirs.end == End::Open {
        let later = self::theirs(role, input, true);
        if later.seen == ours.seen && is_same_end(ours.end, later.end) {
            return Ok(None);
        }
        // What we refuse may be complete, but theirs only tells of it behind a message that it delivers first.
        if let Some(known) = DIFFERENCES.iter().find(|difference| (difference.is)(&ours, &later)) {
            return Ok(Some(known));
        }
    }
    let told =
        |run: &Run| format!("{:?} after {} events, the last {:?}", run.end, run.seen.len(), run.seen.last());
    Err(format!("ours: {:.300}\ntheirs: {:.300}", told(&ours), told(&theirs)))
}

fn is_same_end(ours: End, theirs: End) -> bool {
    matches!(
        (ours, theirs),
        (End::Open, End::Open) | (End::Closed, End::Closed) | (End::Refused(_), End::Refused(_))
    )
}

fn ours(role: Role, input: &[u8]) -> Run {
    let (seen, error) = read(role, &LIMITS, [input]);
    let end = match (error, seen.last()) {
        (Some(error), _) => End::Refused(Some(error)),
        (None, Some(Seen::Close(..))) => End::Closed,
        (None, _) => End::Open,
    };
    Run { seen, end }
}

/// With `padded`, zeros follow, enough to complete any frame.
fn theirs(role: Role, input: &[u8], padded: bool) -> Run {
    let role = if role == Role::Server { TheirRole::Server } else { TheirRole::Client };
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_message_size(Some(LIMIT))
        .max_frame_size(Some(LIMIT));
    let pipe = Pipe { input, zeros: if padded { 2 * LIMIT } else { 0 } };
    let mut them = WebSocket::from_raw_socket(pipe, role, Some(config));
    let mut seen = Vec::new();
    loop {
        match them.read() {
            Ok(Message::Text(text)) => seen.push(Seen::Text(text.as_bytes().to_vec())),
            Ok(Message::Binary(bytes)) => seen.push(Seen::Binary(bytes.to_vec())),
            Ok(Message::Ping(payload)) => seen.push(Seen::Ping(payload.to_vec())),
            Ok(Message::Pong(payload)) => seen.push(Seen::Pong(payload.to_vec())),
            Ok(Message::Close(close)) => {
                let (code, reason) = close.map_or((None, String::new()), |close| {
                    (Some(u16::from(close.code)), close.reason.as_str().to_owned())
                });
                seen.push(Seen::Close(code, reason));
                return Run { seen, end: End::Closed };
            }
            Ok(Message::Frame(_)) => unreachable!("no frame is read"),
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                return Run { seen, end: End::Open };
            }
            Err(_) => return Run { seen, end: End::Refused(None) },
        }
    }
}

/// Bytes to be read, and then zeros; what is written is lost.
struct Pipe<'i> {
    input: &'i [u8],
    zeros: usize,
}

impl Read for Pipe<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.input.is_empty() {
            return self.input.read(buffer);
        }
        let len = self.zeros.min(buffer.len());
        if len == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        buffer[..len].fill(0);
        self.zeros -= len;
        Ok(len)
    }
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
