//! The engine: threads that each drive their share of the connections with one poll, edge-triggered, and one shared read
//! buffer. It opens, reads and ends connections; what is said on them is a [`Client`]'s business.
//!
//! | file | subject |
//! |---|---|
//! | [`link`] | one connection |
//! | [`tls`] | TLS under a connection |
//! | [`carrier`] | an event stream or polls in place of a WebSocket |
//! | [`codec`] | compressed messages on a thread's connections |
//! | [`thread`] | one thread: its poll and its turn |
//! | [`connector`] | which connection is opened next, from which source address |
//! | [`fleet`] | all threads of a run |

pub mod carrier;
pub mod codec;
mod connector;
pub mod fleet;
pub mod link;
mod thread;
pub mod tls;

use slab::Slab;

use crate::engine::codec::{Codec, Traffic};
use crate::engine::link::{End, Link};
use crate::measure::{Recorder, Tally};
use crate::target::Target;

/// What a run's threads have in common.
#[derive(Clone, Debug)]
pub struct Plan {
    pub target: Target,
    /// Connections in all; [`RunState::quota`](crate::run_state::RunState) says how many of them may be opened so far.
    pub connections: usize,
    pub threads: usize,
    /// Source addresses from 127.0.0.2 up; with none the kernel chooses address and port.
    pub sources: u32,
    /// Whether one descriptor table can't hold all connections, so that each thread must have its own.
    pub private_tables: bool,
    /// Connections of one thread that may be on their way to open at a time.
    pub opening: usize,
    /// Connections opened a second by all threads together.
    pub ramp_per_second: Option<f64>,
    /// Nanoseconds that a connection may take to open.
    pub open_timeout: u64,
    pub read_buffer: usize,
    /// Whether a connection that ends is replaced by a new one.
    pub reopen: bool,
    /// Nanoseconds that a thread rests between two looks at its connections, when none of them is being opened: where many
    /// threads share few cores, each event would else wake one.
    pub rest: u64,
}

/// What one thread saw of the connections themselves.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Nanoseconds of each connect.
    pub connect: Recorder,
    /// Nanoseconds of each upgrade, from the request to the checked response.
    pub upgrade: Recorder,
    /// Errors of connections, by kind.
    pub errors: Tally,
    pub opened: u64,
    /// Connections lost after they were open; not those that ended for a limit of the server.
    pub lost: u64,
    /// Bytes sent and received, where compression was offered.
    pub sent: Traffic,
    pub received: Traffic,
}

impl Report {
    /// The kinds of errors that there were, of connections and others, in a line.
    pub fn why(&self, own: &Tally) -> String {
        let mut all = self.errors.clone();
        all.merge(own);
        all.into_map().into_keys().collect::<Vec<_>>().join(", ")
    }
}

/// A scenario's part in one thread. An error ends the connection it is about, and is counted.
pub trait Client {
    /// What it keeps for each connection.
    type State: Default;
    /// The subprotocols that its requests offer.
    const SUBPROTOCOLS: &'static [&'static str] = &[];

    /// Appends the request that opens this connection: an upgrade, or its like by another carrier. Asked again where the socket was not connected after all.
    fn request(&mut self, link: &mut Link<Self::State>, target: &Target, out: &mut Vec<u8>) {
        let _ = link;
        target.write_request(&target.path, Self::SUBPROTOCOLS, out);
    }

    /// By which messages are compressed, where that is offered.
    fn codec(&mut self) -> Option<&mut Codec> {
        None
    }

    fn opened(&mut self, id: usize, link: &mut Link<Self::State>, now: u64) -> Result<(), End>;

    /// Bytes arrived, read at `now`.
    fn received(
        &mut self,
        id: usize,
        link: &mut Link<Self::State>,
        bytes: &mut [u8],
        now: u64,
    ) -> Result<(), End>;

    /// Whether what arrives on an open connection is read.
    fn reads(&self, link: &Link<Self::State>) -> bool {
        let _ = link;
        true
    }

    /// The socket takes bytes again.
    fn writable(&mut self, id: usize, link: &mut Link<Self::State>, now: u64) -> Result<(), End> {
        let _ = (id, now);
        link.flush().map(drop)
    }

    fn failed(&mut self, link: &mut Link<Self::State>) {
        let _ = link;
    }

    fn closed(&mut self, id: usize, link: &mut Link<Self::State>, end: &End, now: u64) {
        let _ = (id, link, end, now);
    }

    /// The stream ended. An error unless the scenario says otherwise.
    fn end_of_stream(&mut self, link: &mut Link<Self::State>, now: u64) -> End {
        let _ = (link, now);
        End::Eof
    }

    /// All events of a turn are handled.
    fn turn(&mut self, turn: &mut Turn<'_, Self::State>) -> Next;

    fn counted(&self) -> Counted;
}

/// A client's own counts.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counted {
    /// Connections that are more than open: joined, say.
    pub ready: u64,
    /// Messages that came back, or were delivered, or whatever the scenario counts.
    pub messages: u64,
    pub pings: u64,
    /// Errors of messages, beside those of connections.
    pub errors: u64,
}

/// What a client may do at the end of a turn.
#[derive(Debug)]
pub struct Turn<'a, T> {
    /// The thread's connections, opening ones too.
    pub links: &'a mut Slab<Link<T>>,
    /// The ones it found to have ended.
    pub ended: &'a mut Vec<(usize, End)>,
    pub now: u64,
}

impl<T> Turn<'_, T> {
    /// Does something with every open connection.
    pub fn each_open(&mut self, mut act: impl FnMut(usize, &mut Link<T>) -> Result<(), End>) {
        for (id, link) in self.links.iter_mut().filter(|(_, link)| link.is_open()) {
            if let Err(end) = act(id, link) {
                self.ended.push((id, end));
            }
        }
    }

    /// Does something with one connection, if it is open.
    pub fn with(&mut self, id: usize, act: impl FnOnce(&mut Link<T>) -> Result<(), End>) -> bool {
        let Some(link) = self.links.get_mut(id).filter(|link| link.is_open()) else { return false };
        if let Err(end) = act(link) {
            self.ended.push((id, end));
        }
        true
    }
}

/// What follows a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Another one, at this moment at the latest.
    Until(u64),
    /// Nothing: the thread is done.
    Finished,
}
