//! A client that waits for each thing. It is quick where much comes: a process that prints a GiB is not to be slower than the reader.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rollcall::internals::wire::client::Request;
use rollcall::internals::wire::frame::{self, Header, Opcode, Parsed};

/// How long something may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Client {
    /// Connects and upgrades.
    pub fn connect(address: SocketAddr, path: &str) -> io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut client = Client { stream, buffer: vec![0; 1 << 20], start: 0, end: 0 };
        let host = address.to_string();
        let mut request = Vec::new();
        Request { host: &host, target: path, subprotocols: &[], fields: &[] }.write([7; 16], &mut request);
        client.stream.write_all(&request)?;
        let head = loop {
            client.fill()?;
            let unread = &client.buffer[client.start..client.end];
            if let Some(at) = unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break unread[..at + 4].to_vec();
            }
        };
        if !head.starts_with(b"HTTP/1.1 101") {
            return Err(io::Error::other(
                String::from_utf8_lossy(&head).lines().next().unwrap_or("").to_owned(),
            ));
        }
        client.start += head.len();
        Ok(client)
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        match self.stream.read(&mut self.buffer[self.end..])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            len => {
                self.end += len;
                Ok(())
            }
        }
    }

    /// The header of the next frame.
    fn header(&mut self) -> io::Result<Header> {
        loop {
            match Header::parse(&self.buffer[self.start..self.end]) {
                Ok(Parsed::Header(header, len)) => {
                    self.start += len;
                    return Ok(header);
                }
                Ok(Parsed::NeedMore(_)) => self.fill()?,
                Err(error) => return Err(io::Error::other(error.to_string())),
            }
        }
    }

    /// Passes the payload of a frame over.
    fn skip(&mut self, mut len: usize) -> io::Result<()> {
        while len > 0 {
            if self.start == self.end {
                self.fill()?;
            }
            let here = len.min(self.end - self.start);
            self.start += here;
            len -= here;
        }
        Ok(())
    }

    /// Waits for a message and passes it over.
    pub fn message(&mut self) -> io::Result<usize> {
        loop {
            let header = self.header()?;
            let len = usize::try_from(header.len).unwrap_or(usize::MAX);
            self.skip(len)?;
            match header.opcode {
                Opcode::Close => return Err(io::Error::other("closed")),
                opcode if !opcode.is_control() => return Ok(len),
                _ => {}
            }
        }
    }

    /// Reads to the end; returns how many bytes of messages came.
    pub fn drain(&mut self) -> io::Result<u64> {
        let mut all = 0;
        loop {
            let header = match self.header() {
                Ok(header) => header,
                // websocketd ends the stream without a Close.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(all),
                Err(error) => return Err(error),
            };
            self.skip(usize::try_from(header.len).unwrap_or(usize::MAX))?;
            match header.opcode {
                Opcode::Close => {
                    let mut close = Vec::new();
                    frame::write(&mut close, Opcode::Close, &1000_u16.to_be_bytes(), Some([0; 4]));
                    let _ = self.stream.write_all(&close);
                    return Ok(all);
                }
                opcode if !opcode.is_control() => all += header.len,
                _ => {}
            }
        }
    }
}
