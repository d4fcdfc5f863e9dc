//! What a node wants done.

use crate::presence::admin::AdminReply;
use crate::presence::conflation_key::ConflationKey;
use crate::presence::ending::Ending;
use crate::presence::event::{Event, SharedEvent};
use crate::presence::message::{Message, ReplyTo};

/// What is to be done. `session` is what the client was opened with.
#[derive(Debug)]
pub enum Effect {
    /// What one client is told.
    Send {
        /// Whose.
        session: SessionId,
        /// What.
        event: Event,
    },
    /// What clients are told.
    Publish {
        /// Whose.
        sessions: Vec<SessionId>,
        /// What.
        event: SharedEvent,
        /// What that is about.
        conflation: ConflationKey,
    },
    /// What was told a user, for one of the user's clients, if it has room for it. [`Node::told`](crate::presence::Node::told) has to be told
    /// what came of it.
    Tell {
        /// Whose.
        session: SessionId,
        /// What.
        event: SharedEvent,
        /// Who waits to hear of it.
        reply_to: ReplyTo,
    },
    /// Close a client's connection, for good.
    Close {
        /// Whose.
        session: SessionId,
        /// Why.
        why: Ending,
    },
    /// A share of a broadcast: for clients that have room for it. [`Node::spread`](crate::presence::Node::spread) has to be told what came of it.
    Spread {
        /// Which.
        broadcast: u32,
        /// Whose.
        sessions: Vec<SessionId>,
        /// What.
        event: SharedEvent,
    },
    /// The answer to [`Node::ask`](crate::presence::Node::ask).
    Reply {
        /// What it was asked with.
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
    /// A message to another worker. One that is not taken goes to [`Node::refused`](crate::presence::Node::refused) where it has an asker; else it has to
    /// be kept and posted again, and everything behind it to that worker too.
    Post {
        /// To whom.
        to: u16,
        /// The message.
        message: Message,
    },
}

/// A client's session, as the worker that carries the client names it. Presence gives it back in effects and looks at it no further.
pub type SessionId = u64;
