//! A server of a few lines, one thread a connection, whose answer to each message is the test's.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rollcall::internals::limits::MessageLimits;
use rollcall::internals::wire::deflate::offer::{self, Mode};
use rollcall::internals::wire::deflate::{Agreement, Decoder, DeflateContext, Deflater, Inflaters, RSV1};
use rollcall::internals::wire::frame::{self, Opcode};
use rollcall::internals::wire::http::{Fields, Head};
use rollcall::internals::wire::session::{Extension, Role, Session, SessionEvent};
use rollcall::internals::wire::upgrade;

/// All connections that are open, for those who speak to all.
pub(crate) type Members = Arc<Mutex<Vec<TcpStream>>>;

/// What a server answers.
pub(crate) enum Answer {
    /// These bytes, to the sender.
    Bytes(Vec<u8>),
    /// These bytes, to all.
    ToAll(Vec<u8>),
    /// Nothing, and the end of the connection.
    End,
}

/// A frame of a server.
pub(crate) fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write(&mut bytes, opcode, payload, None);
    bytes
}

/// A frame with its payload compressed, by itself.
pub(crate) fn compressed(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let (mut data, mut bytes) = (Vec::new(), Vec::new());
    assert!(Deflater::new(15).deflate(&[], payload, &mut data), "it does not get shorter");
    frame::write_reserved(&mut bytes, opcode, RSV1, &data, None);
    bytes
}

/// Serves for the rest of the test program. `greeting` is sent to each connection when it is open; `answer` gets the number of a
/// message on its connection, and its payload.
pub(crate) fn serve(
    greeting: Vec<u8>,
    answer: impl Fn(usize, &[u8]) -> Answer + Send + Sync + 'static,
) -> String {
    serve_with(None, greeting, answer)
}

/// The same, agreeing to compress.
pub(crate) fn serve_with(
    deflate: Option<Mode>,
    greeting: Vec<u8>,
    answer: impl Fn(usize, &[u8]) -> Answer + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}/", listener.local_addr().expect("bound"));
    let members = Members::default();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (greeting, answer, members) = (greeting.clone(), Arc::clone(&answer), Arc::clone(&members));
            thread::spawn(move || {
                let _ = connection(stream, deflate, &greeting, &*answer, &members);
            });
        }
    });
    url
}

/// A server that answers every request with this, and ends the connection.
pub(crate) fn refuse(response: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}/", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(response.as_bytes());
        }
    });
    url
}

fn connection(
    mut stream: TcpStream,
    deflate: Option<Mode>,
    greeting: &[u8],
    answer: &dyn Fn(usize, &[u8]) -> Answer,
    members: &Members,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (response, agreed) = upgrade_it(&mut stream, deflate)?;
    {
        // Who reads that it is open is told everything that others say from then on.
        let mut members = members.lock().expect("no panic");
        stream.write_all(&response)?;
        stream.write_all(greeting)?;
        members.push(stream.try_clone()?);
    }
    let mut session = Session::new(Role::Server);
    let (mut buffer, mut count) = (vec![0; 1 << 16], 0);
    let (mut inflaters, mut under_way, mut context) = (Inflaters::default(), None, DeflateContext::default());
    loop {
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        let mut rest = &mut buffer[..len];
        while !rest.is_empty() {
            let mut budget = usize::MAX;
            let mut decoder = agreed.map(|agreed| Decoder {
                inflaters: &mut inflaters,
                under_way: &mut under_way,
                context: &mut context,
                direction: agreed.client,
                budget: &mut budget,
            });
            let extension = decoder.as_mut().map(|decoder| decoder as &mut dyn Extension);
            let (taken, event) =
                session.read(&MessageLimits::default(), extension, rest).map_err(std::io::Error::other)?;
            match event {
                Some(SessionEvent::Message(_, payload)) => {
                    match answer(count, payload) {
                        Answer::Bytes(bytes) => stream.write_all(&bytes)?,
                        Answer::ToAll(bytes) => to_all(members, &bytes),
                        Answer::End => return stream.shutdown(std::net::Shutdown::Both),
                    }
                    count += 1;
                }
                Some(SessionEvent::Close(close)) => {
                    let (payload, len) = close.payload();
                    stream.write_all(&frame(Opcode::Close, &payload[..len]))?;
                    return stream.shutdown(std::net::Shutdown::Both);
                }
                _ => {}
            }
            rest = &mut rest[taken..];
        }
    }
}

/// One at a time, so that all members see one order.
fn to_all(members: &Members, bytes: &[u8]) {
    members.lock().expect("no panic").retain_mut(|member| member.write_all(bytes).is_ok());
}

/// Reads a request; returns what answers it, and what is agreed then.
fn upgrade_it(
    stream: &mut TcpStream,
    deflate: Option<Mode>,
) -> std::io::Result<(Vec<u8>, Option<Agreement>)> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let mut fields = Fields::new();
    let head = Head::parse(&request, &mut fields).map_err(|refusal| std::io::Error::other(refusal.reason))?;
    let key = head.field("Sec-WebSocket-Key").expect("a key");
    let mut response = Vec::new();
    let offers = || head.values("Sec-WebSocket-Extensions");
    let agreed = deflate.and_then(|mode| offer::accept(offers(), mode).expect("a list of extensions"));
    upgrade::write_accept(key, None, agreed.as_ref().map(|(_, value)| &**value), &mut response);
    Ok((response, agreed.map(|(agreed, _)| agreed)))
}
