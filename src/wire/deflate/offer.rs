//! Offers and agreements in the opening handshake (RFC 7692 §5 and §7.1), both roles.

use std::fmt::{Debug, Formatter};
use std::num::NonZeroU8;

use serde::{Deserialize, Serialize};

use crate::limits::DEFLATE_CONTEXT_BITS;
use crate::wire::deflate::WINDOW_BITS;

const NAME: &str = "permessage-deflate";
const SERVER_ALONE: &str = "server_no_context_takeover";
const CLIENT_ALONE: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";
/// The greatest window, and the one where none is named.
const FULL: u8 = *WINDOW_BITS.end();

/// How one side's messages are compressed. One byte, since every connection has two of them: the bits of the window, a bit
/// for takeover, and one that is always set, so that none at all takes no more.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(bool, u8)", into = "(bool, u8)")]
pub struct Direction(NonZeroU8);

impl Direction {
    const WINDOW: u8 = 0x0f;
    const TAKEOVER: u8 = 0x10;
    const SET: NonZeroU8 = NonZeroU8::new(0x80).unwrap();

    /// `takeover`: a message may refer to those before it, in a window of so many bits, 8 to 15.
    #[must_use]
    pub fn new(takeover: bool, window_bits: u8) -> Direction {
        let takeover = if takeover { Direction::TAKEOVER } else { 0 };
        Direction(Direction::SET | takeover | (window_bits & Direction::WINDOW))
    }

    /// Whether a message may refer to those before it.
    #[must_use]
    pub const fn takeover(self) -> bool {
        self.0.get() & Direction::TAKEOVER != 0
    }

    /// Bits of the window that it may refer back in: 8 to 15.
    #[must_use]
    pub const fn window_bits(self) -> u8 {
        self.0.get() & Direction::WINDOW
    }
}

impl From<(bool, u8)> for Direction {
    fn from((takeover, window_bits): (bool, u8)) -> Direction {
        Direction::new(takeover, window_bits.clamp(8, FULL))
    }
}

impl From<Direction> for (bool, u8) {
    fn from(direction: Direction) -> (bool, u8) {
        (direction.takeover(), direction.window_bits())
    }
}

impl Debug for Direction {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bits", self.window_bits())?;
        f.write_str(if self.takeover() { ", takeover" } else { "" })
    }
}

/// The agreement of both sides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Agreement {
    /// The server's messages.
    pub server: Direction,
    /// The client's.
    pub client: Direction,
}

/// The terms that a server agrees to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// No message refers to another: nothing is kept for a connection.
    Shared,
    /// Messages refer to those before them, a client's within [`DEFLATE_CONTEXT_BITS`], if it can be held to that.
    PerConnection,
}

/// The field is not a list of extensions (RFC 6455 §9.1): the handshake fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MalformedOffer;

/// Chooses among a request's `Sec-WebSocket-Extensions`. Returns what was agreed, and the value of the response's field;
/// `None` where there is nothing to agree on: then the response has no such field.
///
/// # Errors
/// [`MalformedOffer`].
pub fn accept<'a>(
    fields: impl Iterator<Item = &'a [u8]>,
    mode: Mode,
) -> Result<Option<(Agreement, String)>, MalformedOffer> {
    let mut chosen = None;
    for field in fields {
        for extension in extensions(field)? {
            // RFC 7692 §5.1: the order of the offers is the client's preference. Other extensions are not ours to refuse.
            if chosen.is_none() && extension.name.eq_ignore_ascii_case(NAME) {
                chosen = Parameters::read(&extension, true).and_then(|offered| agree(&offered, mode));
            }
        }
    }
    Ok(chosen)
}

/// The answer to an offer; `None` declines it.
fn agree(offered: &Parameters, mode: Mode) -> Option<(Agreement, String)> {
    let shared = mode == Mode::Shared;
    // RFC 7692 §7.1.2.1: it may be declined; to compress within 8 bits is what we can't.
    let server_bits = offered.server_bits.filter(|bits| WINDOW_BITS.contains(bits));
    if server_bits != offered.server_bits {
        return None;
    }
    // RFC 7692 §7.1.1.1: told whether it was asked for or not.
    let server_alone = shared || offered.server_alone;
    // RFC 7692 §7.1.2.2: only a client that names the parameter can be held to a window; what it says of its own it keeps.
    let client_bits = match offered.client_bits {
        _ if shared => None,
        Some(bits) => Some(bits.unwrap_or(FULL).min(DEFLATE_CONTEXT_BITS)),
        None => None,
    };
    let client_alone = offered.client_alone || client_bits.is_none();
    let client_bits = client_bits.filter(|_| !client_alone);
    let agreement = Agreement {
        server: Direction::new(!server_alone, server_bits.unwrap_or(FULL)),
        client: Direction::new(!client_alone, client_bits.unwrap_or(FULL)),
    };
    let answer = Parameters { server_alone, client_alone, server_bits, client_bits: client_bits.map(Some) };
    Some((agreement, answer.to_string()))
}

/// The terms that a client offers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offer {
    /// The server's messages are not to refer to one another.
    pub server_alone: bool,
    /// This client's won't.
    pub client_alone: bool,
    /// The greatest window for the server's messages.
    pub server_bits: Option<u8>,
}

impl Offer {
    /// The value of `Sec-WebSocket-Extensions`. The server may name any window for our messages.
    #[must_use]
    pub fn field(&self) -> String {
        let Offer { server_alone, client_alone, server_bits } = *self;
        Parameters { server_alone, client_alone, server_bits, client_bits: Some(None) }.to_string()
    }

    /// Checks the fields of the response; `None` where the server doesn't compress.
    ///
    /// # Errors
    /// Something was not offered, is there twice, or has a value that it can't have: the client fails the connection
    /// (RFC 7692 §7.1).
    pub fn check<'a>(
        &self,
        fields: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Option<Agreement>, MalformedOffer> {
        let mut agreed = None;
        for field in fields {
            for extension in extensions(field)? {
                if agreed.is_some() || !extension.name.eq_ignore_ascii_case(NAME) {
                    return Err(MalformedOffer);
                }
                let answer = Parameters::read(&extension, false).ok_or(MalformedOffer)?;
                agreed = Some(self.agreement(&answer).ok_or(MalformedOffer)?);
            }
        }
        Ok(agreed)
    }

    fn agreement(&self, answer: &Parameters) -> Option<Agreement> {
        // RFC 7692 §7.1.1.1, §7.1.2.1: what was asked of the server is in its answer.
        let asked = answer.server_alone || !self.server_alone;
        let server_bits = answer.server_bits.unwrap_or(FULL);
        if !asked || server_bits > self.server_bits.unwrap_or(FULL) {
            return None;
        }
        // RFC 7692 §7.1.2.2: a window that we can't compress for.
        let client_bits = answer.client_bits.flatten().unwrap_or(FULL);
        if !WINDOW_BITS.contains(&client_bits) {
            return None;
        }
        let client_takeover = !answer.client_alone && !self.client_alone;
        Some(Agreement {
            server: Direction::new(!answer.server_alone, server_bits),
            client: Direction::new(client_takeover, client_bits),
        })
    }
}

/// The parameters of one offer or answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Parameters {
    server_alone: bool,
    client_alone: bool,
    server_bits: Option<u8>,
    /// An offer may have it without a value.
    client_bits: Option<Option<u8>>,
}

impl Parameters {
    /// `None` where RFC 7692 §7 has it declined: an unknown parameter, one twice, or a value that it can't have.
    fn read(extension: &OfferedExtension, offer: bool) -> Option<Parameters> {
        let mut read = Parameters::default();
        for (name, value) in &extension.parameters {
            let value = value.as_deref();
            let fresh = match name.to_ascii_lowercase().as_str() {
                SERVER_ALONE if value.is_none() => !std::mem::replace(&mut read.server_alone, true),
                CLIENT_ALONE if value.is_none() => !std::mem::replace(&mut read.client_alone, true),
                SERVER_BITS => read.server_bits.replace(bits(value?)?).is_none(),
                CLIENT_BITS => match value {
                    Some(value) => read.client_bits.replace(Some(bits(value)?)).is_none(),
                    None if offer => read.client_bits.replace(None).is_none(),
                    None => false,
                },
                _ => false,
            };
            if !fresh {
                return None;
            }
        }
        Some(read)
    }
}

impl std::fmt::Display for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(NAME)?;
        for (name, there) in [(SERVER_ALONE, self.server_alone), (CLIENT_ALONE, self.client_alone)] {
            if there {
                write!(f, "; {name}")?;
            }
        }
        if let Some(bits) = self.server_bits {
            write!(f, "; {SERVER_BITS}={bits}")?;
        }
        match self.client_bits {
            None => Ok(()),
            Some(None) => write!(f, "; {CLIENT_BITS}"),
            Some(Some(bits)) => write!(f, "; {CLIENT_BITS}={bits}"),
        }
    }
}

/// RFC 7692 §7.1.2: 8 to 15, without leading zeros.
fn bits(value: &str) -> Option<u8> {
    value.parse().ok().filter(|bits: &u8| (8..=FULL).contains(bits) && bits.to_string() == value)
}

/// One element of the field.
#[derive(Debug, Default)]
struct OfferedExtension {
    name: String,
    parameters: Vec<(String, Option<String>)>,
}

/// The elements of a field, as RFC 6455 §9.1 has them: tokens, `;` before a parameter, `=` before its value, which may be
/// quoted, and then is a token too.
fn extensions(field: &[u8]) -> Result<Vec<OfferedExtension>, MalformedOffer> {
    let mut rest = OfferText(field);
    let mut all = Vec::new();
    loop {
        rest.skip_space();
        // RFC 9110 §5.6.1: empty elements of a list are nothing.
        if rest.takes(b',') {
            continue;
        }
        if rest.0.is_empty() {
            return Ok(all);
        }
        let mut extension = OfferedExtension { name: rest.token()?, parameters: Vec::new() };
        while rest.takes(b';') {
            let name = rest.token()?;
            let value = if rest.takes(b'=') { Some(rest.value()?) } else { None };
            extension.parameters.push((name, value));
        }
        all.push(extension);
        if !rest.0.is_empty() && !rest.takes(b',') {
            return Err(MalformedOffer);
        }
    }
}

/// The text that is left to read.
struct OfferText<'a>(&'a [u8]);

impl OfferText<'_> {
    fn skip_space(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    /// Takes that byte, and the space around it, if it comes next.
    fn takes(&mut self, byte: u8) -> bool {
        self.skip_space();
        let Some(rest) = self.0.strip_prefix(&[byte]) else { return false };
        self.0 = rest;
        self.skip_space();
        true
    }

    fn token(&mut self) -> Result<String, MalformedOffer> {
        let end = self.0.iter().position(|byte| !is_token(*byte)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        self.skip_space();
        if token.is_empty() { Err(MalformedOffer) } else { text(token) }
    }

    fn value(&mut self) -> Result<String, MalformedOffer> {
        let Some(mut rest) = self.0.strip_prefix(b"\"") else { return self.token() };
        let mut value = Vec::new();
        loop {
            let (byte, after) = match rest {
                [b'"', after @ ..] => {
                    self.0 = after;
                    self.skip_space();
                    break;
                }
                [b'\\', byte, after @ ..] | [byte, after @ ..] => (*byte, after),
                [] => return Err(MalformedOffer),
            };
            value.push(byte);
            rest = after;
        }
        // RFC 6455 §9.1: what a quoted value says is a token.
        if value.is_empty() || !value.iter().copied().all(is_token) {
            Err(MalformedOffer)
        } else {
            text(&value)
        }
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Token bytes are ASCII.
fn text(token: &[u8]) -> Result<String, MalformedOffer> {
    std::str::from_utf8(token).map(str::to_owned).map_err(|_| MalformedOffer)
}
