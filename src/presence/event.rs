//! The events that clients get, answers to their commands included. Plain data; writing it is a codec's business.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::presence::answer::HomeAnswer;
use crate::presence::data::Data;
use crate::presence::membership::{MemberPage, MembershipChange, RoomPosition};
use crate::presence::name::Name;
use crate::presence::past::{HistoryPage, Recovery};
use crate::presence::refusal::CommandRefusal;
use crate::presence::view::{State, View};

/// An event for a client. `data` and `info` are JSON that was checked when it came in. Times are Unix milliseconds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The first of a connection whose client knows what it speaks.
    Welcome {
        /// Names the connection, and counts nothing.
        id: u64,
        /// The user, if known.
        user: Option<Name>,
        /// The heartbeat's interval and time-out, in milliseconds.
        heartbeat_millis: (u64, u64),
        /// Now.
        unix_millis: u64,
    },
    /// A user has changed.
    Changed {
        /// The user.
        user: Name,
        /// The state that the watcher sees of `view`.
        state: State,
        /// The user's view now.
        view: View,
    },
    /// A user came into a room.
    Joined {
        /// The room.
        room: Name,
        /// The user.
        user: Name,
        /// The room's position now.
        place: RoomPosition,
    },
    /// A user went out of a room.
    Left {
        /// The room.
        room: Name,
        /// The user.
        user: Name,
        /// The room's position now.
        place: RoomPosition,
    },
    /// The position of a big room, and the users who came and went since the last event, unless that is too much to say:
    /// then no list of the room is right any more.
    Room {
        /// The room.
        room: Name,
        /// The change.
        change: Arc<MembershipChange>,
        /// All its members, where it is big no more.
        members: Option<Box<[Name]>>,
    },
    /// The client itself came into a room, or went out of it, and did not ask for that.
    Forced {
        /// The room.
        room: Name,
        /// The client's user.
        user: Name,
        /// The room's position now.
        place: RoomPosition,
        /// In, or out.
        joins: bool,
    },
    /// A member spoke.
    Said {
        /// The room.
        room: Name,
        /// The sender; `None`: it came from outside.
        from: Option<Name>,
        /// The data.
        data: Data,
        /// Its place in the room's order.
        place: RoomPosition,
        /// When.
        unix_millis: u64,
    },
    /// One user told another something.
    Told {
        /// The sender; `None`: it came from outside.
        from: Option<Name>,
        /// The data.
        data: Data,
        /// When.
        unix_millis: u64,
    },
    /// Something for everybody.
    Broadcast {
        /// JSON.
        data: Box<str>,
        /// When.
        unix_millis: u64,
    },
    /// To a command: it is not done.
    Refused {
        /// The command's number.
        seq: i64,
        /// Why.
        why: CommandRefusal,
    },
    /// To a command: it is done, and there is nothing more to say.
    Done {
        /// The command's number.
        seq: i64,
    },
    /// To a heartbeat.
    Heard {
        /// The command's number.
        seq: i64,
        /// Now.
        unix_millis: u64,
    },
    /// To a token: it is good.
    Authenticated {
        /// The command's number.
        seq: i64,
        /// The client's user.
        user: Name,
        /// When the token ends.
        expires_millis: u64,
    },
    /// To `join` and `leave`.
    Placed {
        /// The command's number.
        seq: i64,
        /// The room's position.
        place: RoomPosition,
        /// To a `join` with `since`: what was missed.
        recovery: Option<Box<Recovery>>,
    },
    /// To `history`.
    History {
        /// The command's number.
        seq: i64,
        /// The part that was asked for.
        page: Box<HistoryPage>,
    },
    /// To `say`.
    Spoken {
        /// The command's number.
        seq: i64,
        /// The message's place in the room's order.
        place: RoomPosition,
    },
    /// To `tell`.
    Delivered {
        /// The command's number.
        seq: i64,
        /// Connections that it was queued for.
        to: usize,
    },
    /// To `status`.
    Stated {
        /// The command's number.
        seq: i64,
        /// The user's state now.
        state: State,
    },
    /// To `watch` and `presence`.
    Views {
        /// The command's number.
        seq: i64,
        /// The users, in the order asked.
        views: Vec<(Name, View)>,
        /// Suspicions too.
        suspect: bool,
    },
    /// To `who`.
    Members {
        /// The command's number.
        seq: i64,
        /// A page of a room.
        page: MemberPage,
        /// The members whose states are known.
        views: Vec<(Name, View)>,
    },
}

/// Bytes that an event is written with, beside what it carries: about.
const EVENT_BYTES: usize = 120;
/// The same for the sentence of a refusal that carries no words.
const REFUSAL_BYTES: usize = 60;
/// The same for each user of an answer.
const VIEW_BYTES: usize = 90;
/// The same for each name of a list.
const NAME_BYTES: usize = 4;

impl Event {
    /// The event for a home's answer to a client's command; `None` where the answer is for an admin request.
    pub(crate) fn of_answer(seq: i64, answer: &mut HomeAnswer) -> Option<Event> {
        let refused = |why| Some(Event::Refused { seq, why });
        match *answer {
            HomeAnswer::Joined(_, place, _, ref mut recovery) => {
                Some(Event::Placed { seq, place, recovery: recovery.take() })
            }
            HomeAnswer::Left(_, place) => Some(Event::Placed { seq, place, recovery: None }),
            HomeAnswer::History(ref mut page) => page.take().map(|page| Event::History { seq, page }),
            HomeAnswer::NoRoom => refused(CommandRefusal::NoRoom),
            HomeAnswer::Said(place) => Some(Event::Spoken { seq, place }),
            HomeAnswer::Barred(..) => refused(CommandRefusal::Banned),
            HomeAnswer::NotSaid => refused(CommandRefusal::RoomOverloaded),
            HomeAnswer::Told { to: 0, without: 0 } => refused(CommandRefusal::NotConnected),
            HomeAnswer::Told { to: 0, .. } => refused(CommandRefusal::TooSlow),
            HomeAnswer::Told { to, .. } => Some(Event::Delivered { seq, to }),
            HomeAnswer::Unseen => refused(CommandRefusal::Unseen),
            HomeAnswer::TooSoon => refused(CommandRefusal::TooSoon),
            HomeAnswer::Status(state) => Some(Event::Stated { seq, state }),
            HomeAnswer::Kicked(..)
            | HomeAnswer::Banned(_)
            | HomeAnswer::Lifted(_)
            | HomeAnswer::ForcingJoins(..)
            | HomeAnswer::NotGiven(_)
            | HomeAnswer::Busy
            | HomeAnswer::NotForced(_)
            | HomeAnswer::RoomDeleted(_)
            | HomeAnswer::Erased { .. }
            | HomeAnswer::Spread { .. } => None,
        }
    }

    /// The event for a client that was made to join or leave a room by an admin request.
    pub(crate) fn forced(user: &Name, answer: &HomeAnswer) -> Option<Event> {
        let (room, place, joins) = match answer {
            HomeAnswer::Joined(room, place, ..) => (room, *place, true),
            HomeAnswer::Left(room, place) => (room, *place, false),
            _ => return None,
        };
        Some(Event::Forced { room: room.clone(), user: user.clone(), place, joins })
    }

    /// Whether it tells of much that was said before.
    #[must_use]
    pub const fn catches_up(&self) -> bool {
        matches!(self, Event::Placed { recovery: Some(_), .. } | Event::History { .. })
    }

    /// About how long it is when it is written: for what has to be counted before it is.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let of_name = |name: &Option<Name>| name.as_ref().map_or(0, |name| name.len());
        let of_info = |view: &View| view.info.as_ref().map_or(0, |info| info.len());
        let of_names = |names: &mut dyn Iterator<Item = &Name>| -> usize {
            names.map(|name| name.len() + NAME_BYTES).sum()
        };
        EVENT_BYTES
            + match self {
                Event::Welcome { user, .. } => of_name(user),
                Event::Changed { user, view, .. } => user.len() + of_info(view),
                Event::Joined { room, user, .. }
                | Event::Left { room, user, .. }
                | Event::Forced { room, user, .. } => room.len() + user.len(),
                Event::Room { room, change, members } => {
                    let changed = change.users.as_deref().unwrap_or_default();
                    room.len()
                        + of_names(&mut changed.iter().map(|(name, _)| name))
                        + of_names(&mut members.as_deref().unwrap_or_default().iter())
                }
                Event::Said { room, from, data, .. } => room.len() + of_name(from) + data.len(),
                Event::Told { from, data, .. } => of_name(from) + data.len(),
                Event::Placed { recovery, .. } => recovery.as_ref().map_or(0, |recovery| recovery.bytes()),
                Event::History { page, .. } => page.room.len() + page.bytes(),
                Event::Broadcast { data, .. } => data.len(),
                Event::Refused { why, .. } => REFUSAL_BYTES + why.bytes(),
                Event::Authenticated { user, .. } => user.len(),
                Event::Views { views, .. } | Event::Members { views, .. } => {
                    views.iter().map(|(user, view)| user.len() + of_info(view) + VIEW_BYTES).sum()
                }
                Event::Done { .. }
                | Event::Heard { .. }
                | Event::Spoken { .. }
                | Event::Delivered { .. }
                | Event::Stated { .. } => 0,
            }
    }
}

/// Codecs that write shared events.
const CODECS: usize = 2;

/// An event that many clients get: cheap to clone, and written once for each codec, by whoever sends it first.
#[derive(Clone)]
pub struct SharedEvent(Arc<SharedCell>);

struct SharedCell {
    event: Event,
    written: [OnceLock<Box<dyn Any + Send + Sync>>; CODECS],
}

impl SharedEvent {
    /// The event, not yet written.
    #[must_use]
    pub fn new(event: Event) -> SharedEvent {
        SharedEvent(Arc::new(SharedCell { event, written: [const { OnceLock::new() }; CODECS] }))
    }

    /// The event itself.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.0.event
    }

    /// The event as the codec of that number writes it.
    ///
    /// # Panics
    /// There is no such codec, or it has written something else before: a number is one codec's, and its form is one type.
    pub fn written<T: Send + Sync + 'static>(&self, codec: usize, write: impl FnOnce(&Event) -> T) -> &T {
        let written = self.0.written[codec].get_or_init(|| Box::new(write(&self.0.event)));
        written.downcast_ref().expect("a codec writes one type")
    }

    /// See [`Event::bytes`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.event.bytes()
    }
}

impl fmt::Debug for SharedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.event.fmt(f)
    }
}

/// As the event; what codecs have written of it stays behind.
impl Serialize for SharedEvent {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.event.serialize(to)
    }
}

impl<'de> Deserialize<'de> for SharedEvent {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<SharedEvent, D::Error> {
        Event::deserialize(from).map(SharedEvent::new)
    }
}
