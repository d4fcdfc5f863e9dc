//! What both servers share: their flag, their listener, and who is in the chat.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Connections that wait to be accepted: a ramp of thousands comes at once.
const BACKLOG: u32 = 4096;

/// Binds what `--listen` says (127.0.0.1:8080 without it), and says so on standard output.
pub fn listen() -> io::Result<TcpListener> {
    let mut arguments = std::env::args().skip(1);
    let mut address = "127.0.0.1:8080".to_owned();
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--listen", Some(value)) => address = value,
            _ => return Err(io::Error::other(format!("{argument}: only --listen ADDRESS:PORT is known"))),
        }
    }
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address.parse().map_err(io::Error::other)?)?;
    let listener = socket.listen(BACKLOG)?;
    println!("listening on {}", listener.local_addr()?);
    Ok(listener)
}

/// A runtime on the thread that calls: the comparison gives a server one core.
pub fn run(server: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(server)
}

/// All members of the one chat room. On one thread its lock is never contended.
pub struct Room<T>(Arc<Mutex<Members<T>>>);

struct Members<T> {
    next: u64,
    queues: HashMap<u64, UnboundedSender<T>>,
}

impl<T> Clone for Room<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Clone> Room<T> {
    /// An empty one.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Members { next: 0, queues: HashMap::new() })))
    }

    /// A member's number and what is said from now on.
    pub fn join(&self) -> (u64, UnboundedReceiver<T>) {
        let (queue, messages) = unbounded_channel();
        let mut members = self.0.lock().expect("no holder panics");
        let id = members.next;
        members.next += 1;
        members.queues.insert(id, queue);
        (id, messages)
    }

    /// Nothing more for this one.
    pub fn leave(&self, id: u64) {
        self.0.lock().expect("no holder panics").queues.remove(&id);
    }

    /// To all, the speaker included.
    pub fn say(&self, message: &T) {
        for queue in self.0.lock().expect("no holder panics").queues.values() {
            // One whose receiver is gone is about to leave.
            let _ = queue.send(message.clone());
        }
    }
}

impl<T: Clone> Default for Room<T> {
    fn default() -> Self {
        Self::new()
    }
}
