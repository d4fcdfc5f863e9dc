//! Clients for the tests of this module: HTTP by hand over one socket, WebSocket by tungstenite.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use crate::bounds::PATIENCE;
use rollcall::internals::http::RouterSettings;
use rollcall::internals::http::api::guard::{Access, Guard};
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::Response as Upgraded;
use tungstenite::{HandshakeError, WebSocket};

/// A site for which everybody is the operator, on two listeners at most.
pub(crate) fn open_site() -> RouterSettings {
    let listeners = vec![Access::Admin { loopback: false }; 2];
    RouterSettings { api: Arc::new(Guard { listeners, ..Guard::default() }), ..RouterSettings::default() }
}

/// An HTTP connection.
pub(crate) struct Http {
    reader: BufReader<TcpStream>,
}

/// A response as it was read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

impl Http {
    pub(crate) fn connect(address: SocketAddr) -> Http {
        Http { reader: BufReader::new(socket(address)) }
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &str) {
        self.reader.get_mut().write_all(bytes.as_bytes()).unwrap();
    }

    /// Asks and reads the answer; the connection stays open.
    pub(crate) fn ask(&mut self, method: &str, path: &str) -> Answer {
        self.send(&format!("{method} {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        self.answer(method == "HEAD")
    }

    /// Reads one response; one to HEAD has no body, whatever its length says.
    pub(crate) fn answer(&mut self, head_only: bool) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.reader.read_line(&mut head).unwrap(), 0, "the connection ended in {head:?}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: String::new() };
        let length = answer.field("Content-Length").map_or(0, |length| length.parse().unwrap());
        if !head_only {
            let mut body = vec![0; length];
            self.reader.read_exact(&mut body).unwrap();
            answer.body = String::from_utf8(body).unwrap();
        }
        answer
    }

    /// Whether something can be read now, or nothing ever.
    pub(crate) fn has_more(&self) -> bool {
        !self.reader.buffer().is_empty() || has_more(self.reader.get_ref())
    }

    /// Whether the server has ended the connection, with nothing more to read.
    pub(crate) fn is_ended(&mut self) -> bool {
        uncut(|| self.reader.read(&mut [0])).unwrap() == 0
    }
}

/// A socket whose reads and writes go on where a signal cuts them short: with a time-out set the kernel doesn't restart
/// them itself, and tungstenite takes that for an error.
#[derive(Debug)]
pub(crate) struct Patient(TcpStream);

impl Patient {
    /// Whether something can be read now, or nothing ever.
    pub(crate) fn has_more(&self) -> bool {
        has_more(&self.0)
    }
}

fn has_more(socket: &TcpStream) -> bool {
    socket.set_nonblocking(true).unwrap();
    let peeked = socket.peek(&mut [0]);
    socket.set_nonblocking(false).unwrap();
    !peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        uncut(|| self.0.read(buffer))
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        uncut(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn uncut<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// One request on a connection of its own.
pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    Http::connect(address).ask("GET", path)
}

/// The same by who has the key.
pub(crate) fn get_with(address: SocketAddr, path: &str, key: &str) -> Answer {
    let mut http = Http::connect(address);
    http.send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n{}\r\n", bearer(key)));
    http.answer(false)
}

/// The line of a head that shows a key.
pub(crate) fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}\r\n")
}

/// An upgrade with further header fields: the connection, or the status of the refusal.
pub(crate) fn upgrade(
    address: SocketAddr,
    path: &str,
    fields: &[(&'static str, &str)],
) -> Result<(WebSocket<Patient>, Upgraded), u16> {
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    for (name, value) in fields {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match tungstenite::client(request, Patient(socket(address))) {
        Ok(open) => Ok(open),
        Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

fn socket(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}
