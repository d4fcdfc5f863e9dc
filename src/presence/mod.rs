//! Presence: users, rooms and their homes. Pure: commands and the time in, events out, as data; no socket, no clock, no thread,
//! and nothing of how it is read and written: that is [`protocol`](crate::protocol)'s.
//!
//! Every user and every room has a home, the worker that its name hashes to. The [`edge`] of a worker knows the clients
//! whose sockets live there; it speaks to homes by [`message`]s. The home of a user ([`user`]) keeps the user's
//! connections, state and version; the home of a room ([`room`]) keeps its members and gives its messages their order.
//! If edge and home are the same worker, the message is handled at once.
//!
//! | file | subject |
//! |---|---|
//! | [`node`], [`rules`], `effect`, `ending`, `outgoing`, `turn`, `timer`, `cost` | one worker's share of it all: an edge, its homes, their timers; what it goes by, wants done and costs |
//! | [`edge`], `subscribers`, `subscriptions`, `departed`, `scatter_gather`, `draft`, `views`, `pending`, `burst` | clients and their commands; who is in what, or was lately; answers from several homes |
//! | [`user`], `device`, `last_seen`, `rooms_by_user`, [`room`] | the homes; what is kept of who left lies in the archive of [`user`] |
//! | `table` | slots by name |
//! | [`grants`], `wall` | what tokens let their connections do, and the clock that they end by |
//! | [`message`], [`binary`], `address`, `answer`, `claim`, `membership`, [`view`], [`name`] | what crosses, and what it is about |
//! | [`streams`], [`announce`], `announcing`, `awaiting`, `rebuilding`, `rounds` | messages that may be lost, and how that is made good |
//! | [`record`], `waits` | what homes hand over to each other, and the connections that are waited for then |
//! | [`admin`], `admin_requests`, `name_index` | what is asked from outside; what waits for its answer; names in order, for pages |
//! | [`moderation`], `bans` | what follows from an order to send somebody away; who is to stay away, and until when |
//! | `veil` | what follows where somebody turns invisible |
//! | [`command`], [`event`], [`refusal`] | what clients ask for, what they are told, and why something is not done |
//! | [`data`], [`past`], [`history`] | what one says to others, what was said before, and what is kept of it |
//!
//! Memory per idle named user: a client of 88 bytes at the edge, a user of 104 at the home, 8 of table, and the name once. A
//! token adds 33 of table and what it grants: 88 without patterns and `info`.

mod address;
pub mod admin;
mod admin_requests;
pub mod announce;
mod announcing;
mod answer;
mod awaiting;
mod bans;
pub mod binary;
mod burst;
mod claim;
pub mod command;
mod conflation_key;
mod cost;
pub mod data;
mod departed;
mod device;
mod draft;
pub mod edge;
mod effect;
mod ending;
pub mod event;
pub mod grants;
pub mod history;
mod last_seen;
mod membership;
pub mod message;
pub mod moderation;
pub mod name;
mod name_index;
pub mod node;
mod outgoing;
pub mod past;
mod pending;
mod rebuilding;
pub mod record;
pub mod refusal;
pub mod room;
mod rooms_by_user;
mod rounds;
pub mod rules;
mod scatter_gather;
pub mod streams;
mod subscribers;
mod subscriptions;
mod table;
mod timer;
mod turn;
pub mod user;
mod veil;
pub mod view;
mod views;
mod waits;
mod wall;

pub use bans::BanCount;
pub use burst::Burst;
pub use command::Command;
pub use conflation_key::ConflationKey;
pub use data::{Data, SentData};
pub use ending::Ending;
pub use event::{Event, SharedEvent};
pub use grants::{Entry, Grants, Pattern};
pub use message::{ClientId, ClientRef, Message, WorkerRef};
pub use moderation::Moderation;
pub use name::{Homes, NAME_RULE, Name, is_bare_name, is_name};
pub use node::{Effect, Node, Rules, SessionId};
pub use past::{Catchup, HistoryFrom, HistoryPage, Past, Recovery, Since};
pub use record::Record;
pub use refusal::CommandRefusal;
pub use rules::HistoryRule;
pub use veil::Veil;
pub use view::{Reason, State, View};
