//! A proxy as companies have them: it looks at each request, and lets through what it knows.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What becomes of upgrades.
#[derive(Clone, Copy, Debug)]
pub(super) enum Upgrades {
    Passed,
    Answered(&'static str),
    Unanswered,
}

/// The proxy, in front of one server.
pub(super) struct Proxy {
    address: SocketAddr,
    rules: Arc<Rules>,
}

struct Rules {
    server: SocketAddr,
    upgrades: Mutex<Upgrades>,
    /// Nothing of the answer that an event stream is gets through.
    holds_streams: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    pub(super) fn start(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let rules = Arc::new(Rules {
            server,
            upgrades: Mutex::new(Upgrades::Passed),
            holds_streams: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let shared = Arc::clone(&rules);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let rules = Arc::clone(&shared);
                std::thread::spawn(move || rules.carry(&client));
            }
        });
        Proxy { address, rules }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn upgrades(&self, upgrades: Upgrades) {
        *self.rules.upgrades.lock().unwrap() = upgrades;
    }

    pub(super) fn holds_streams(&self, holds: bool) {
        self.rules.holds_streams.store(holds, Ordering::Relaxed);
    }

    /// Cuts all that is open.
    pub(super) fn cut(&self) {
        for open in self.rules.open.lock().unwrap().drain(..) {
            let _ = open.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Rules {
    /// Carries one connection, a request at a time; says nothing of what goes wrong on it.
    fn carry(&self, client: &TcpStream) -> Option<()> {
        let server = TcpStream::connect(self.server).ok()?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.extend([client.try_clone().ok()?, server.try_clone().ok()?]);
        drop(open);
        let holds = Arc::new(AtomicBool::new(false));
        let (mut answers, mut to_client, held) =
            (server.try_clone().ok()?, client.try_clone().ok()?, Arc::clone(&holds));
        std::thread::spawn(move || {
            let mut bytes = [0; 16_384];
            while let Some(count) = answers.read(&mut bytes).ok().filter(|count| *count > 0) {
                if !held.load(Ordering::Relaxed) && to_client.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
            let _ = (answers.shutdown(Shutdown::Both), to_client.shutdown(Shutdown::Both));
        });
        let done = self.requests(client, &server, &holds);
        let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
        done
    }

    fn requests(&self, mut client: &TcpStream, mut server: &TcpStream, holds: &AtomicBool) -> Option<()> {
        let mut reader = BufReader::new(client);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head).ok().filter(|count| *count > 0)?;
            }
            let lower = head.to_ascii_lowercase();
            if lower.contains("\r\nupgrade: websocket") {
                let upgrades = *self.upgrades.lock().unwrap_or_else(PoisonError::into_inner);
                match upgrades {
                    Upgrades::Passed => {}
                    Upgrades::Answered(status) => {
                        let answer =
                            format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                        return client.write_all(answer.as_bytes()).ok();
                    }
                    Upgrades::Unanswered => {
                        return std::io::copy(&mut reader, &mut std::io::sink()).map(drop).ok();
                    }
                }
                server.write_all(head.as_bytes()).ok()?;
                return std::io::copy(&mut reader, &mut server).map(drop).ok();
            }
            let is_held = head.starts_with("GET /events") && self.holds_streams.load(Ordering::Relaxed);
            holds.store(is_held, Ordering::Relaxed);
            let length =
                lower.split("\r\ncontent-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            server.write_all(head.as_bytes()).ok()?;
            std::io::copy(&mut (&mut reader).take(length.unwrap_or(0)), &mut server).ok()?;
        }
    }
}
