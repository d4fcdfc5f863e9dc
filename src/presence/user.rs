//! The home of users: their connections, states and versions, who watches them, and when the offline were last seen.
//!
//! A connection that closed or broke goes on counting for the grace, and one that comes within it takes its place: a page
//! that reloads shows nothing at all. Whatever changes what a watcher sees is one event with the next version.
//!
//! | file | subject |
//! |---|---|
//! | this one | what there is to tell of them |
//! | `comings`, `announced` | who comes and goes; what edges say anew |
//! | `info`, `informing` | what they say in `info`, or their tokens do, and whose word counts |
//! | `status` | what connections say of themselves, or are suspected of |
//! | `veil` | who is invisible |
//! | `watchers`, `watching`, `change` | who is told, and of what |
//! | `visibility` | where users are |
//! | `orders` | what reaches all of a user's connections; pages |
//! | `moderation`, `kicked`, `given`, `taken`, `giving` | who is sent away, and is to stay away; rooms that users are to be in, or no more |
//! | `tells` | what came of messages to several connections |
//! | `offline_users`, `offline` | what is kept of those who left, and until when |
//! | `records` | what is handed over to another home, and taken from one |

mod announced;
mod change;
mod comings;
mod deleting;
mod given;
mod giving;
mod info;
mod informing;
mod kicked;
mod moderation;
mod offline;
mod offline_users;
mod orders;
mod records;
mod status;
mod taken;
mod tells;
mod veil;
mod visibility;
mod watchers;
mod watching;

use crate::presence::bans::Bans;
use crate::presence::device::Devices;
use crate::presence::event::{Event, SharedEvent};
use crate::presence::last_seen::{Filing, LastSeen};
use crate::presence::message::Message;
use crate::presence::name::{Homes, Name, bytes_of};
use crate::presence::name_index::NameIndex;
use crate::presence::rooms_by_user::RoomsByUser;
use crate::presence::rounds::Rounds;
use crate::presence::table::Table;
use crate::presence::timer::{Timer, next_serial};
use crate::presence::turn::Turn;
use crate::presence::user::change::Change;
use crate::presence::user::given::Given;
use crate::presence::user::info::Info;
use crate::presence::user::kicked::Kicked;
use crate::presence::user::offline_users::OfflineUsers;
use crate::presence::user::taken::Taken;
use crate::presence::user::tells::Tells;
use crate::presence::user::watchers::{Watcher, Watchers};
use crate::presence::view::{Reason, State, View};
use crate::slots::Slots;
use crate::time::Now;

/// A user: 104 bytes.
#[derive(Debug)]
struct User {
    name: Name,
    devices: Devices,
    watchers: Watchers,
    /// Few have any: a pointer to it.
    info: Option<Box<Info>>,
    version: u64,
    since_millis: u64,
    last_seen_millis: u64,
    serial: u32,
    /// The state that was last published to watchers.
    published: Published,
    /// `Busy` or `Invisible`, where one of its connections said so: that is the user's as long as it has any.
    own: Option<State>,
    reason: Option<Reason>,
    /// A timer is filed for the end of a grace: one, however many connections linger.
    timed: bool,
    /// It is among the offline whose last-seen time is kept.
    archived: Option<Filing>,
}

/// The part of a user's state that watchers see change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Published {
    state: State,
    plain: State,
    connections: u8,
    /// Connections of one who is invisible: nobody is told of these.
    unseen: u8,
}

impl Published {
    /// Whether watchers see a difference.
    fn differs(self, other: Published) -> bool {
        (self.state, self.plain, self.connections) != (other.state, other.plain, other.connections)
    }

    /// Whether the user is here, seen or not.
    fn is_here(self) -> bool {
        self.plain != State::Offline || self.unseen > 0
    }
}

impl User {
    fn published(&self) -> Published {
        let own = self.own;
        let (state, plain) = self.devices.states();
        let [state, plain] = [state, plain].map(|state| match (state, own) {
            (State::Online, Some(own)) => own,
            _ => state,
        });
        let connections = u8::try_from(self.devices.as_slice().len()).unwrap_or(u8::MAX);
        if own == Some(State::Invisible) {
            return Published { unseen: connections, ..Published::default() };
        }
        Published { state, plain, connections, unseen: 0 }
    }

    fn view(&self, now: Now) -> View {
        let Published { unseen, .. } = self.published;
        let heard = unseen == 0 && self.devices.live().next().is_some();
        View {
            state: self.published.state,
            plain: self.published.plain,
            version: self.version,
            since_millis: self.since_millis.min(now.unix_millis),
            last_seen_millis: if heard {
                now.unix_millis
            } else {
                self.last_seen_millis.min(now.unix_millis)
            },
            connections: usize::from(self.published.connections),
            unseen,
            info: self.info.as_ref().filter(|_| unseen == 0).and_then(|info| info.shown()).cloned(),
            reason: self.reason,
            rooms: None,
        }
    }

    /// Sees to it that there is a timer where a connection lingers.
    fn time(&mut self, slot: u32, turn: &mut Turn<'_>) {
        if !self.timed
            && let Some(until) = self.devices.lingers_until()
        {
            self.timed = true;
            turn.out.timer(until, Timer::User { slot, serial: self.serial });
        }
    }

    fn is_forgettable(&self) -> bool {
        self.devices.is_empty() && self.watchers.is_empty()
    }
}

/// The users whose home is this worker.
#[derive(Debug)]
pub struct Users {
    /// Workers of the server.
    workers: u16,
    worker: u16,
    bans: Bans,
    kicked: Kicked,
    given: Given,
    taken: Taken,
    table: Table,
    users: Slots<User>,
    offline: OfflineUsers,
    /// All of them by name, for pages.
    name_index: NameIndex,
    next_serial: u32,
    last_seen: LastSeen,
    rooms_by_user: RoomsByUser,
    tells: Tells,
    rounds: Rounds,
    /// Nobody is told yet of users from this slot on.
    quiet_from: Option<u32>,
    present: usize,
    /// The highest version of a user that was forgotten.
    forgotten: u64,
    /// Bytes of all names.
    name_bytes: usize,
    /// Bytes of heap of the watchers of all users.
    watcher_bytes: usize,
}

impl Users {
    pub(crate) fn new(worker: u16, homes: Homes, now: Now, restricted: bool) -> Users {
        Users {
            workers: homes.workers(),
            worker,
            bans: Bans::new(homes, now.tick),
            kicked: Kicked::default(),
            given: Given::new(homes),
            taken: Taken::new(homes),
            table: Table::new(homes),
            users: Slots::default(),
            offline: OfflineUsers::default(),
            name_index: NameIndex::default(),
            next_serial: 0,
            last_seen: LastSeen::new(homes),
            rooms_by_user: RoomsByUser::new(homes, restricted),
            tells: Tells::new(worker),
            rounds: Rounds::new(homes.workers()),
            quiet_from: None,
            present: 0,
            forgotten: 0,
            name_bytes: 0,
            watcher_bytes: 0,
        }
    }

    /// Users that are not offline.
    #[must_use]
    pub fn present(&self) -> usize {
        self.present
    }

    /// Users that are known, the offline ones whose last-seen time is kept among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.users.len() + self.offline.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The view of a user.
    #[must_use]
    pub fn view(&self, user: &str, now: Now) -> View {
        self.seek(user).map_or_else(View::default, |slot| self.view_of_any(slot, now))
    }

    /// Bytes held, their names and who watches them included; what few of them have (a second connection, `info`) apart.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let tables = self.table.bytes()
            + self.name_index.bytes()
            + self.last_seen.bytes()
            + self.rooms_by_user.bytes();
        let tables =
            tables + self.bans.bytes() + self.given.bytes() + self.taken.bytes() + self.kicked.bytes();
        self.users.bytes() + self.offline.bytes() + tables + self.name_bytes + self.watcher_bytes
    }

    /// Gives back what those who were forgotten have left.
    pub(crate) fn shrink(&mut self) {
        self.users.shrink();
        self.offline.shrink();
        self.name_index.shrink();
        self.last_seen.shrink();
        self.given.shrink();
        self.taken.shrink();
    }

    /// Takes note of how a user is now, and tells whom that concerns.
    fn refresh(&mut self, slot: u32, reason: Option<Reason>, Change { moved }: Change, turn: &mut Turn<'_>) {
        let known = &mut self.users[slot as usize];
        known.own = known.own.filter(|_| !known.devices.is_empty());
        let informed = known.is_informed();
        known.time_info(slot, turn);
        let (before, after) = (known.published, known.published());
        known.published = after;
        if before.is_here() != after.is_here() && known.archived.take().is_some() {
            self.last_seen.mark_stale();
        }
        let is_seen = before.unseen == 0 && after.unseen == 0;
        let (informed, moved) = (informed && is_seen, moved && after.unseen == 0);
        if self.is_quiet(slot) {
            let known = &mut self.users[slot as usize];
            known.reason = reason.filter(|_| is_seen).or(known.reason);
        } else {
            if before.differs(after) || informed || moved {
                self.publish(slot, reason, (before, informed), Change { moved }, turn);
            }
            self.veil(slot, before, turn);
        }
        match (before.is_here(), after.is_here()) {
            (false, true) => self.present += 1,
            (true, false) => {
                self.present -= 1;
                if self.rooms_by_user.commit(slot) {
                    self.tell_rooms(slot, turn);
                }
                self.forget_later(turn.now.tick, slot);
            }
            _ => {}
        }
    }

    /// Gives how a user is now the next version, and tells the workers whose clients watch.
    fn publish(
        &mut self,
        slot: u32,
        reason: Option<Reason>,
        (before, informed): (Published, bool),
        Change { moved }: Change,
        turn: &mut Turn<'_>,
    ) {
        let known = &mut self.users[slot as usize];
        let after = known.published;
        known.reason = reason;
        if after.unseen > 0 {
            // That is the last of it that anybody sees.
            (known.reason, known.last_seen_millis) = (Some(Reason::Hidden), turn.now.unix_millis);
        }
        if known.archived.take().is_some() {
            self.last_seen.mark_stale();
        }
        // Milliseconds since 1970 make a version that also grows over a restart. The wall clock may have gone back since:
        // then it grows over what the user's was, or over what that of one who was forgotten can have been.
        let least = if known.version == 0 { self.forgotten } else { known.version };
        known.version = (least + 1).max(turn.now.unix_millis);
        if before.plain != after.plain {
            known.since_millis = turn.now.unix_millis;
        }
        if !known.watchers.is_empty() {
            self.tell_watchers(slot, (before, informed), Change { moved }, turn);
        }
    }

    /// Tells the workers whose clients watch a user how that one is, as far as it is not what it was before.
    fn tell_watchers(
        &self,
        slot: u32,
        (before, informed): (Published, bool),
        Change { moved }: Change,
        turn: &mut Turn<'_>,
    ) {
        let view = self.view_of(slot, turn.now);
        let known = &self.users[slot as usize];
        let after = known.published;
        let plain_changed =
            informed || (before.plain, before.connections) != (after.plain, after.connections);
        let changed = |state| {
            let (user, view) = (known.name.clone(), view.clone());
            SharedEvent::new(Event::Changed { user, state, view })
        };
        let plain = plain_changed.then(|| changed(view.plain));
        let full = match &plain {
            Some(plain) if view.plain == view.state => Some(plain.clone()),
            _ => (before.differs(after) || informed).then(|| changed(view.state)),
        };
        let is_concerned = |watcher: &&Watcher| plain.is_some() || moved || watcher.full > 0;
        for watcher in known.watchers.as_slice().iter().filter(is_concerned) {
            let (user, view, plain, full) = (known.name.clone(), view.clone(), plain.clone(), full.clone());
            turn.out.post(watcher.worker, Message::Changed { user, view, plain, full });
        }
    }

    /// The slot of a user that is not in the archive: of any who is here, watched or in a room.
    fn find(&self, user: &str) -> Option<u32> {
        self.seek(user).filter(|slot| !OfflineUsers::holds(*slot))
    }

    /// The slot of a user that is known.
    fn seek(&self, user: &str) -> Option<u32> {
        self.table.find(user, |slot| name_of(&self.users, &self.offline, slot))
    }

    #[expect(clippy::cast_possible_truncation, reason = "fewer users than 2^31: each takes 104 bytes")]
    fn find_or_add(&mut self, name: &Name) -> u32 {
        match self.seek(name) {
            Some(slot) if OfflineUsers::holds(slot) => return self.restore(slot, name),
            Some(slot) => return slot,
            None => {}
        }
        self.next_serial = next_serial(self.next_serial);
        let serial = self.next_serial;
        let slot = self.users.insert(User {
            name: name.clone(),
            devices: Devices::None,
            watchers: Watchers::None,
            info: None,
            version: 0,
            since_millis: 0,
            last_seen_millis: 0,
            serial,
            published: Published::default(),
            own: None,
            reason: None,
            timed: false,
            archived: None,
        }) as u32;
        self.name_bytes += bytes_of(name);
        let (users, offline) = (&self.users, &self.offline);
        let name_of = |slot: u32| name_of(users, offline, slot);
        self.table.insert(name, slot, name_of);
        self.name_index.insert(slot, name_of);
        slot
    }
}

/// The name of a slot's owner.
fn name_of<'a>(users: &'a Slots<User>, offline: &'a OfflineUsers, slot: u32) -> &'a str {
    if OfflineUsers::holds(slot) { offline.name(slot) } else { &users[slot as usize].name }
}

const _: () = assert!(size_of::<User>() <= 104);
