//! What a node wants done.

use crate::presence::about::About;
use crate::presence::admin::Reply;
use crate::presence::ending::Ending;
use crate::presence::envelope::{Asker, Envelope};
use crate::presence::event::{Event, SharedEvent};

/// What is to be done. `link` is what the client was opened with.
#[derive(Debug)]
pub enum Effect {
    /// What one client is told.
    Send {
        /// Whose.
        link: u64,
        /// What.
        event: Event,
    },
    /// What clients are told.
    Publish {
        /// Whose.
        links: Vec<u64>,
        /// What.
        event: SharedEvent,
        /// What that is about.
        about: About,
    },
    /// What was told a user, for one of the user's clients, if it has room for it. [`Node::told`](crate::presence::Node::told) has to be told
    /// what came of it.
    Tell {
        /// Whose.
        link: u64,
        /// What.
        event: SharedEvent,
        /// Who waits to hear of it.
        asker: Asker,
    },
    /// Close a client's connection, for good.
    Close {
        /// Whose.
        link: u64,
        /// Why.
        why: Ending,
    },
    /// A share of a broadcast: for clients that have room for it. [`Node::spread`](crate::presence::Node::spread) has to be told what came of it.
    Spread {
        /// Which.
        broadcast: u32,
        /// Whose.
        links: Vec<u64>,
        /// What.
        event: SharedEvent,
    },
    /// The answer to [`Node::ask`](crate::presence::Node::ask).
    Reply {
        /// What it was asked with.
        ticket: u64,
        /// The answer.
        reply: Reply,
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
    /// A letter to another worker. One that is not taken goes to [`Node::refused`](crate::presence::Node::refused) where it has an asker; else it has to
    /// be kept and posted again, and everything behind it to that worker too.
    Post {
        /// To whom.
        to: u16,
        /// The letter.
        envelope: Envelope,
    },
}
