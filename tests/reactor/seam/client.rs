//! A server of three workers on one kind of socket, and its clients.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rollcall::internals::reactor::{Config, Deflate, FdTables, Listen, Server};
use rollcall::internals::wire::frame::{Header, Opcode, Parsed};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use socket2::SockRef;

use super::probe::{Probe, Told};
use crate::bounds::PATIENCE;
use crate::reactor::kit::masked;
use crate::reactor::wires::{OFFER, Peer, TRUST, request_offering};

/// The socket, and what stands between it and the plaintext.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Carrier {
    Plain,
    Tls,
    Unix,
}

pub(super) const CARRIERS: [Carrier; 3] = [Carrier::Plain, Carrier::Tls, Carrier::Unix];

/// The way that a client goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leave {
    /// Its socket is gone, and says so with a reset.
    Reset,
    /// Its process has ended.
    Closed,
    /// It says nothing more, and still reads.
    Ended,
}

/// The server.
pub(super) struct House {
    pub(super) carrier: Carrier,
    deflate: Deflate,
    server: Server,
    directory: PathBuf,
    told: Receiver<Told>,
}

impl House {
    pub(super) fn start(carrier: Carrier, deflate: Deflate) -> House {
        static HOUSES: AtomicUsize = AtomicUsize::new(0);
        let name = format!("rollcall-seam-{}-{}", std::process::id(), HOUSES.fetch_add(1, Relaxed));
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let listen = match carrier {
            Carrier::Plain => Listen::Tcp(any),
            Carrier::Tls => Listen::Tls(any, TRUST.0.clone()),
            Carrier::Unix => Listen::Unix(directory.join("socket"), 0o600),
        };
        let config = Config {
            workers: 3,
            fd_tables: FdTables::Auto,
            drain: Duration::from_millis(20),
            close_timeout: Duration::from_millis(200),
            deflate,
            ..Config::default()
        };
        let (tell, told) = channel();
        let server = Server::start_on(config, vec![listen], move |_, _| Probe::new(tell.clone())).unwrap();
        House { carrier, deflate, server, directory, told }
    }

    /// What the services are told next.
    pub(super) fn next(&self) -> Told {
        self.told.recv_timeout(PATIENCE).expect("they are told something")
    }

    pub(super) fn connect(&self) -> Client {
        let wire = if self.carrier == Carrier::Unix {
            let stream = UnixStream::connect(self.directory.join("socket")).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_write_timeout(Some(PATIENCE)).unwrap();
            Wire::Unix(stream)
        } else {
            let stream = TcpStream::connect(self.server.addresses()[0]).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_write_timeout(Some(PATIENCE)).unwrap();
            if self.carrier == Carrier::Plain {
                Wire::Plain(stream)
            } else {
                let name = ServerName::try_from("localhost").unwrap();
                let session = ClientConnection::new(TRUST.1.clone(), name).unwrap();
                Wire::Tls(Box::new(StreamOwned::new(session, stream)))
            }
        };
        Client { wire, unread: Vec::new(), peer: None }
    }

    /// An open WebSocket; it compresses where the server does.
    pub(super) fn open(&self, path: &str) -> Client {
        let mut client = self.connect();
        let request = String::from_utf8(request_offering(OFFER)).unwrap();
        client.write_all(request.replacen("GET / ", &format!("GET {path} "), 1).as_bytes()).unwrap();
        let head = client.read_head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert_eq!(head.contains("permessage-deflate"), self.deflate != Deflate::Off);
        if self.deflate != Deflate::Off {
            client.peer = Some(Peer::new(self.deflate == Deflate::PerConnection));
        }
        client
    }

    /// The workers end, and none has panicked.
    pub(super) fn end(self) {
        self.server.handle().stop();
        assert_eq!(self.server.join(), Ok(()));
        fs::remove_dir_all(self.directory).unwrap();
    }
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Unix(UnixStream),
}

/// A client.
pub(super) struct Client {
    wire: Wire,
    unread: Vec<u8>,
    /// Its end of permessage-deflate.
    peer: Option<Peer>,
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.wire {
            Wire::Plain(stream) => stream.write(bytes),
            Wire::Tls(stream) => stream.write(bytes),
            Wire::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.wire {
            Wire::Tls(stream) => stream.flush(),
            Wire::Plain(_) | Wire::Unix(_) => Ok(()),
        }
    }
}

impl Client {
    /// Reads more; false at the end of the stream.
    fn more(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        let len = match &mut self.wire {
            Wire::Plain(stream) => stream.read(&mut buffer),
            Wire::Tls(stream) => stream.read(&mut buffer),
            Wire::Unix(stream) => stream.read(&mut buffer),
        };
        let len = len.expect("something within reason");
        self.unread.extend_from_slice(&buffer[..len]);
        len > 0
    }

    pub(super) fn read_bytes(&mut self, len: usize) -> Vec<u8> {
        while self.unread.len() < len {
            assert!(self.more(), "the stream has ended");
        }
        self.unread.drain(..len).collect()
    }

    fn read_until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut from = 0;
        loop {
            if let Some(at) = self.unread[from..].windows(end.len()).position(|window| window == end) {
                return self.read_bytes(from + at + end.len());
            }
            from = self.unread.len().saturating_sub(end.len());
            assert!(self.more(), "the stream has ended");
        }
    }

    pub(super) fn read_head(&mut self) -> String {
        String::from_utf8(self.read_until(b"\r\n\r\n")).unwrap()
    }

    /// A response: its head, and its body by its framing.
    pub(super) fn response(&mut self) -> (String, Vec<u8>) {
        let head = self.read_head();
        let len = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
        if let Some(len) = len {
            let body = self.read_bytes(len);
            return (head, body);
        }
        let mut body = Vec::new();
        if !head.contains("chunked") {
            while self.more() {}
            body.append(&mut self.unread);
            return (head, body);
        }
        loop {
            let line = String::from_utf8(self.read_until(b"\r\n")).unwrap();
            let len = usize::from_str_radix(line.trim_end(), 16).unwrap();
            let data = self.read_bytes(len + 2);
            assert!(data.ends_with(b"\r\n"));
            if len == 0 {
                return (head, body);
            }
            body.extend_from_slice(&data[..len]);
        }
    }

    /// Goes; what is left of it, where it still reads.
    pub(super) fn leave(mut self, how: Leave) -> Option<Client> {
        if how == Leave::Ended {
            match &mut self.wire {
                Wire::Plain(stream) => stream.shutdown(Shutdown::Write).unwrap(),
                Wire::Unix(stream) => stream.shutdown(Shutdown::Write).unwrap(),
                Wire::Tls(stream) => {
                    stream.conn.send_close_notify();
                    stream.flush().unwrap();
                    stream.sock.shutdown(Shutdown::Write).unwrap();
                }
            }
            return Some(self);
        }
        let reset = Some(Duration::ZERO).filter(|_| how == Leave::Reset);
        match &self.wire {
            Wire::Plain(stream) => SockRef::from(stream).set_linger(reset).unwrap(),
            Wire::Tls(stream) => SockRef::from(&stream.sock).set_linger(reset).unwrap(),
            Wire::Unix(_) => {}
        }
        None
    }

    /// Sends a message, compressed where that was agreed.
    pub(super) fn say(&mut self, opcode: Opcode, payload: &[u8]) {
        let frame = match &mut self.peer {
            None => masked(opcode, payload),
            Some(peer) => peer.message(opcode, payload),
        };
        self.write_all(&frame).unwrap();
    }

    fn frame(&mut self) -> (Opcode, Vec<u8>) {
        loop {
            if let Ok(Parsed::Header(header, at)) = Header::parse(&self.unread) {
                self.read_bytes(at);
                let payload = self.read_bytes(header.len as usize);
                let payload = match &mut self.peer {
                    Some(peer) if header.reserved != 0 => peer.inflate(&payload),
                    _ => payload,
                };
                return (header.opcode, payload);
            }
            assert!(self.more(), "the stream has ended");
        }
    }

    /// The next message.
    pub(super) fn hear(&mut self) -> Vec<u8> {
        let (opcode, payload) = self.frame();
        assert!(matches!(opcode, Opcode::Text | Opcode::Binary), "{opcode:?} {payload:?}");
        payload
    }

    /// The code of the Close that comes next.
    pub(super) fn close_code(&mut self) -> u16 {
        let (opcode, payload) = self.frame();
        assert_eq!(opcode, Opcode::Close);
        u16::from_be_bytes([payload[0], payload[1]])
    }
}
