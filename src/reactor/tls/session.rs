//! One connection's TLS, without a socket: records in, plaintext and records to send out.

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{Error, HandshakeKind, ServerConfig};
use std::sync::Arc;

use crate::limits::{TLS_PARTIAL_BYTES_MAX, TLS_RECORD_OVERHEAD_BYTES_MAX};
use crate::reactor::tls::names::{self, Certified};

/// Bytes of a record's header: type, version, length.
const HEADER_BYTES: usize = 5;
/// Plaintext of one record (RFC 8446 §5.1).
const RECORD_BYTES_MAX: usize = 1 << 14;
/// The same when it is sealed, and it is TLS 1.2's (RFC 5246 §6.2.3).
const SEALED_BYTES_MAX: usize = RECORD_BYTES_MAX + 2048;
/// The content type of the first record of a connection (RFC 8446 §5.1).
pub(crate) const HANDSHAKE: u8 = 22;
/// The answer to a client that speaks TLS to a plain listener: a fatal alert, `unexpected_message` (RFC 8446
/// §6).
pub(crate) const UNEXPECTED: [u8; 7] = [21, 3, 1, 0, 2, 2, 10];

/// The outcome of opening records.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    /// Bytes of plaintext.
    pub(crate) len: usize,
    /// Records that were worked off.
    pub(crate) records: u32,
    /// The handshake is over, by this.
    pub(crate) handshake: Option<Handshake>,
    /// The peer has said that its stream ends behind the plaintext.
    pub(crate) has_ended: bool,
    /// Behind it the peer broke TLS, or ended it by an alert: nothing that follows is to be taken.
    pub(crate) failure: Option<TlsFailure>,
    /// It is no TLS, and nothing was done with it.
    pub(crate) is_foreign: bool,
}

/// How a handshake went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Handshake {
    /// Without a ticket of an earlier connection.
    Full,
    /// With one.
    Resumed,
    /// It came to nothing.
    Failed,
}

/// The error that ended a connection's TLS.
#[derive(Debug)]
pub(crate) struct TlsFailure(Error);

impl TlsFailure {
    /// Whether it was the peer that gave up, by an alert of its own.
    pub(crate) fn is_theirs(&self) -> bool {
        matches!(self.0, Error::AlertReceived(_))
    }
}

impl std::fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The outcome of processing records.
#[derive(Debug, Default)]
struct Pumped {
    len: usize,
    records: u32,
    error: Option<Error>,
}

/// A connection's TLS.
pub(crate) struct TlsSession {
    session: UnbufferedServerConnection,
    /// Of the records that have come: what rustls could not take yet, which is less than one but for a handshake message
    /// in several. Empty, and then no memory, nearly always.
    partial: Vec<u8>,
    /// Something has come.
    begun: bool,
    /// The peer has said that its stream ends here.
    ended: bool,
    /// Our last record has been made: an alert.
    silent: bool,
    /// The end of its handshake was counted.
    counted: bool,
}

impl TlsSession {
    pub(crate) fn new(config: Arc<ServerConfig>) -> Result<TlsSession, Error> {
        let session = UnbufferedServerConnection::new(config)?;
        Ok(TlsSession {
            session,
            partial: Vec::new(),
            begun: false,
            ended: false,
            silent: false,
            counted: false,
        })
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    /// Whether the peer ended its stream by `close_notify`; without it the end may be somebody else's (RFC 8446 §6.1).
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// How the handshake went, told once.
    fn finished(&mut self, has_failed: bool) -> Option<Handshake> {
        if self.session.is_handshaking() {
            return (has_failed && self.fail()).then_some(Handshake::Failed);
        }
        if std::mem::replace(&mut self.counted, true) {
            return None;
        }
        self.session.handshake_kind().map(|kind| match kind {
            HandshakeKind::Resumed => Handshake::Resumed,
            _ => Handshake::Full,
        })
    }

    /// The handshake failed, and is not to be counted again. Says whether it had not been.
    pub(crate) fn fail(&mut self) -> bool {
        !std::mem::replace(&mut self.counted, true)
    }

    /// The names in the client's certificate, where it showed one that an authority of ours has signed.
    pub(crate) fn certified(&self) -> Option<Certified> {
        if self.session.is_handshaking() {
            return None;
        }
        names::certified(self.session.peer_certificates()?.first()?)
    }

    /// Bytes of heap beside rustls's.
    pub(crate) fn held_bytes(&self) -> usize {
        self.partial.capacity()
    }

    /// Takes what has arrived. Plaintext goes to the front of `plain`, what is to be sent behind `out`.
    ///
    /// `plain.len() >= input.len() + TLS_PARTIAL_BYTES_MAX`: plaintext is never longer than its records.
    pub(crate) fn open(&mut self, input: &mut [u8], plain: &mut [u8], out: &mut Vec<u8>) -> Opened {
        if !std::mem::replace(&mut self.begun, true) && input[0] != HANDSHAKE {
            return Opened { is_foreign: true, ..Opened::default() };
        }
        let Pumped { len, records, error } = if self.partial.is_empty() {
            self.take(input, plain, out)
        } else {
            // Grown by doubling: a record in single bytes must not cost its length for each of them.
            let mut partial = std::mem::take(&mut self.partial);
            partial.extend_from_slice(input);
            if has_record(&partial) {
                self.take(&mut partial, plain, out)
            } else {
                self.partial = partial;
                Pumped::default()
            }
        };
        let handshake = self.finished(error.is_some());
        let has_ended = self.ended && error.is_none();
        Opened { len, records, handshake, has_ended, failure: error.map(TlsFailure), is_foreign: false }
    }

    /// Takes `input`, which begins with all that has come and was not done with, and keeps what is still not.
    fn take(&mut self, input: &mut [u8], plain: &mut [u8], out: &mut Vec<u8>) -> Pumped {
        let (used, Pumped { len, records, error }) = self.pump(input, plain, out);
        let rest = &input[used..];
        let above_high_watermark = rest.len() > TLS_PARTIAL_BYTES_MAX;
        let error = error.or_else(|| above_high_watermark.then(|| general("a message in too many records")));
        if error.is_some() {
            self.silent = true;
            self.last_words(out);
        } else {
            self.partial = rest.to_vec();
        }
        Pumped { len, records, error }
    }

    /// Works off whole records; returns how many bytes of `input` are done with, and what came of them.
    fn pump(&mut self, input: &mut [u8], plain: &mut [u8], out: &mut Vec<u8>) -> (usize, Pumped) {
        let (mut used, mut len, mut records) = (0, 0, 0_u32);
        loop {
            records += 1;
            let UnbufferedStatus { mut discard, state } =
                self.session.process_tls_records(&mut input[used..]);
            let more = match state {
                Err(error) => return (used + discard, Pumped { len, records, error: Some(error) }),
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = match record {
                            Ok(record) => record,
                            Err(error) => return (used, Pumped { len, records, error: Some(error) }),
                        };
                        discard += record.discard;
                        records += 1;
                        let end = len + record.payload.len();
                        let Some(room) = plain.get_mut(len..end) else {
                            let error = Some(general("more plaintext than records"));
                            return (used, Pumped { len, records, error });
                        };
                        room.copy_from_slice(record.payload);
                        len = end;
                    }
                    true
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(&mut data, out);
                    true
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    true
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.ended = true;
                    true
                }
                // The rest is no whole record. Early data is not offered.
                Ok(_) => false,
            };
            used += discard;
            if !more {
                return (used, Pumped { len, records, error: None });
            }
        }
    }

    /// The alert that an error has left. Not a call more: rustls would meet the error again, and with it its own assertion
    /// that an alert is sent once.
    fn last_words(&mut self, out: &mut Vec<u8>) {
        while self.session.wants_write() {
            let UnbufferedStatus { state, .. } = self.session.process_tls_records(&mut []);
            let Ok(ConnectionState::EncodeTlsData(mut data)) = state else { return };
            encode(&mut data, out);
        }
    }

    /// Whether our last record has been made.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    /// Makes records of `plain` behind `out`.
    ///
    /// # Errors
    /// The handshake isn't over, or the keys are used up: the connection can't go on.
    pub(crate) fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let records = plain.len().div_ceil(RECORD_BYTES_MAX) + 1;
        let room = plain.len() + records * TLS_RECORD_OVERHEAD_BYTES_MAX;
        self.write(out, room, |traffic, out| traffic.encrypt(plain, out))
    }

    /// Makes the record that says that nothing follows, once.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) {
        if !self.session.is_handshaking() && !std::mem::replace(&mut self.silent, true) {
            // If it can't be made, the peer takes the end for a cut: that is what it is then.
            let _ = self.write(out, 2 * TLS_RECORD_OVERHEAD_BYTES_MAX, |traffic, out| {
                traffic.queue_close_notify(out)
            });
        }
    }

    fn write(
        &mut self,
        out: &mut Vec<u8>,
        room: usize,
        write: impl FnOnce(&mut Traffic<'_>, &mut [u8]) -> Result<usize, rustls::unbuffered::EncryptError>,
    ) -> Result<(), Error> {
        loop {
            // A partial record has to be shown again, or rustls would lose its place in it.
            let UnbufferedStatus { discard, state } = self.session.process_tls_records(&mut self.partial);
            match state? {
                ConnectionState::EncodeTlsData(mut data) => encode(&mut data, out),
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => self.ended = true,
                ConnectionState::WriteTraffic(mut traffic) => {
                    let start = out.len();
                    out.resize(start + room, 0);
                    let written = write(&mut traffic, &mut out[start..]);
                    out.truncate(start + written.as_ref().map_or(0, |len| *len));
                    return written.map(drop).map_err(|why| Error::General(why.to_string()));
                }
                _ => return Err(Error::HandshakeNotComplete),
            }
            self.partial.drain(..discard);
        }
    }
}

type Traffic<'c> = rustls::unbuffered::WriteTraffic<'c, rustls::server::ServerConnectionData>;

/// Whether the first record of `bytes` is whole, or longer than any may be, which is for rustls to say.
fn has_record(bytes: &[u8]) -> bool {
    let Some(&[_, _, _, high, low]) = bytes.first_chunk::<HEADER_BYTES>() else { return false };
    let len = usize::from(u16::from_be_bytes([high, low]));
    bytes.len() >= HEADER_BYTES + len || len > SEALED_BYTES_MAX
}

fn general(why: &str) -> Error {
    Error::General(why.to_owned())
}

fn encode<Data>(data: &mut EncodeTlsData<'_, Data>, out: &mut Vec<u8>) {
    let start = out.len();
    // It says how much it needs where there is nothing.
    if let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) {
        out.resize(start + size.required_size, 0);
        let len = data.encode(&mut out[start..]).unwrap_or(0);
        out.truncate(start + len);
    }
}

impl std::fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("partial", &self.partial.len()).finish_non_exhaustive()
    }
}
