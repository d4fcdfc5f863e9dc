//! The effects that a node asks its worker for.

use crate::presence::admin::AdminReply;
use crate::presence::conflation_key::ConflationKey;
use crate::presence::ending::Ending;
use crate::presence::event::{Event, SharedEvent};
use crate::presence::message::{Message, ReplyTo};

/// An effect for the worker to carry out. `session` is the id that the client was opened with.
#[derive(Debug)]
pub enum Effect {
    /// An event for one client.
    Send {
        /// The client's session.
        session: SessionId,
        /// The event.
        event: Event,
    },
    /// An event for several clients.
    Publish {
        /// The clients' sessions.
        sessions: Vec<SessionId>,
        /// The event.
        event: SharedEvent,
        /// The conflation key of the event.
        conflation: ConflationKey,
    },
    /// A `tell` for one of the user's clients, if its backlog has room for it. [`Node::told`](crate::presence::Node::told) has to be told
    /// what came of it.
    Tell {
        /// The client's session.
        session: SessionId,
        /// The event.
        event: SharedEvent,
        /// Is told whether it was queued.
        reply_to: ReplyTo,
    },
    /// A client wants to be told what was said before: [`Node::capacity`](crate::presence::Node::capacity) has to be told how much it has
    /// room for, once it has some.
    Capacity {
        /// The client's slot.
        slot: u32,
        /// The client's session.
        session: SessionId,
    },
    /// Close a client's connection, for good.
    Close {
        /// The client's session.
        session: SessionId,
        /// Why.
        why: Ending,
    },
    /// A share of a broadcast: for clients that have room for it. [`Node::spread`](crate::presence::Node::spread) has to be told what came of it.
    Spread {
        /// The broadcast's number.
        broadcast: u32,
        /// The clients' sessions.
        sessions: Vec<SessionId>,
        /// The event.
        event: SharedEvent,
    },
    /// The answer to [`Node::ask`](crate::presence::Node::ask).
    Reply {
        /// The tag that the request came with.
        tag: u64,
        /// The answer.
        reply: AdminReply,
    },
    /// A token to look at: [`Node::authenticate`](crate::presence::Node::authenticate) takes what it says, [`Node::refuse_token`](crate::presence::Node::refuse_token) what is wrong with it.
    Verify {
        /// The client's slot.
        slot: u32,
        /// The command's number.
        seq: i64,
        /// As the client sent it.
        token: String,
    },
    /// A message to another worker. One that is not taken goes to [`Node::refused`](crate::presence::Node::refused) where somebody waits for an answer;
    /// else it has to be kept and posted again, and everything behind it to that worker too.
    Post {
        /// To whom.
        to: u16,
        /// The message.
        message: Message,
    },
}

/// A client's session, as the worker that carries the client names it. Presence gives it back in effects and looks at it no further.
pub type SessionId = u64;
