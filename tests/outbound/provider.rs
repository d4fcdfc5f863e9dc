//! An identity provider that answers what a test tells it to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::bounds::PATIENCE;

/// What a request is answered.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// These bytes, then the end of the connection.
    Bytes(Vec<u8>),
    /// A good head, and a byte of a body that never ends now and then.
    Drips,
    /// Nothing.
    Silence,
}

/// A 200 with a set of keys and further header lines.
pub(super) fn set(keys: &[serde_json::Value], fields: &str) -> Reply {
    let body = serde_json::json!({ "keys": keys }).to_string();
    answer("200 OK", fields, &body)
}

pub(super) fn answer(status: &str, fields: &str, body: &str) -> Reply {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{fields}\r\n", body.len());
    Reply::Bytes((head + body).into_bytes())
}

/// The provider; it ends when this is dropped.
pub(super) struct Provider {
    pub(super) address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    reply: Mutex<Reply>,
    /// Requests so far, each with its head.
    requests: Mutex<Vec<String>>,
    came: Condvar,
    is_over: AtomicBool,
}

impl Provider {
    pub(super) fn new(reply: Reply) -> Provider {
        Provider::start(reply, |stream| Some(Box::new(stream)))
    }

    pub(super) fn with_tls(reply: Reply, config: Arc<ServerConfig>) -> Provider {
        Provider::start(reply, move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).ok()?;
            Some(Box::new(StreamOwned::new(connection, stream)))
        })
    }

    fn start(
        reply: Reply,
        accept: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + 'static,
    ) -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            reply: Mutex::new(reply),
            requests: Mutex::default(),
            came: Condvar::new(),
            is_over: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&state);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if theirs.is_over.load(SeqCst) {
                    return;
                }
                let _ = stream.set_read_timeout(Some(PATIENCE));
                // One at a time is enough: there is one that asks.
                if let Some(mut stream) = accept(stream) {
                    theirs.serve(&mut *stream);
                }
            }
        });
        Provider { address, state, thread: Some(thread) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/jwks.json", self.address)
    }

    pub(super) fn reply(&self, reply: Reply) {
        *self.state.reply.lock().unwrap() = reply;
    }

    /// The heads of all requests so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Waits until so many requests more than `before` have come.
    pub(super) fn until_more(&self, before: usize, more: usize) {
        let requests = self.state.requests.lock().unwrap();
        let is_short = |requests: &mut Vec<String>| requests.len() < before + more;
        let (requests, timeout) = self.state.came.wait_timeout_while(requests, PATIENCE, is_short).unwrap();
        assert!(!timeout.timed_out(), "{} of {} requests", requests.len(), before + more);
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.state.is_over.store(true, SeqCst);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().unwrap().join();
    }
}

trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

impl State {
    fn serve(&self, stream: &mut dyn Stream) {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        self.requests.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
        self.came.notify_all();
        let reply = self.reply.lock().unwrap().clone();
        match reply {
            Reply::Bytes(bytes) => {
                let _ = stream.write_all(&bytes).and_then(|()| stream.flush());
            }
            Reply::Drips => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n");
                // Until the client has had enough.
                while stream.write_all(b" ").and_then(|()| stream.flush()).is_ok() {
                    thread::sleep(Duration::from_millis(5));
                }
            }
            // Until the client has had enough.
            Reply::Silence => drop(stream.read(&mut byte)),
        }
    }
}
