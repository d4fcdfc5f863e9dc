//! A node's part in announcements: which homes have yet to hear its edge out, and what follows here from what edges announce. See
//! [`announce`](crate::presence::announce).

use crate::limits::{ANNOUNCED_PER_TURN_MAX, SWEPT_PER_TURN_MAX};
use crate::presence::announce::Announcement;
use crate::presence::message::{Message, WorkerRef};
use crate::presence::node::Node;
use crate::presence::rebuilding::{Cursor, Sweep};
use crate::presence::room::Rooms;
use crate::presence::user::Users;
use crate::presence::waits::Waits;
use crate::time::Now;

impl Node {
    /// Tells the homes of a worker all that the edge here knows and that has its home there, a share in each [`Node::due`], since
    /// messages to that worker or from it may be lost. Commands that wait for these homes are answered 503, and those that are for
    /// them as well until they have heard everything. To be called at both workers: wherever
    /// [`Streams`](crate::presence::streams::Streams) begin one anew, and before anything else goes out in it. In one process nothing
    /// is lost, and nobody calls it. It costs a message for each client, each of its rooms and each user whom clients watch, and where
    /// sight is restricted for each member of the rooms here.
    pub fn announce(&mut self, now: Now, home: u16) {
        self.rebuilding.set_unheard(home, true);
        // That worker announces anew as well. To have heard what it said before is not to have heard that.
        self.rebuilding.sweeps.retain(|sweep| sweep.edge.worker != home);
        self.rebuilding.await_edge(home, true);
        if self.rules.restricted {
            self.rebuilding.say_places(home);
            self.rebuilding.await_places(home, true);
        }
        self.edge.announce(home, turn!(self, now));
        self.dispatch(now);
    }

    /// This is a worker that is started anew: homes at others still know clients that were here before, and what they send to such a
    /// one is to find nobody. For right after [`Node::new`], where other workers outlive this one; `incarnation` is that of its
    /// [`Streams`](crate::presence::streams::Streams).
    ///
    /// A client's address has 29 bits that tell it from earlier ones in its slot. Where incarnations are counted up by one, an
    /// address comes again after a start with 29 million clients or after eleven starts, and a home knows a client no longer than
    /// until the first announcement of the next start is complete. Where they are times of a clock, two whose starts had `n`
    /// clients each overlap with a chance of `n` / 2^28.
    pub fn set_incarnation(&mut self, incarnation: u64) {
        self.edge.set_incarnation(incarnation);
    }

    /// The homes here have lost what they knew, or this worker was started anew: they are empty, and tell nobody anything before
    /// all edges have announced what they know. The edge here does; every other one has to be made to
    /// ([`Streams::begin`](crate::presence::streams::Streams::begin)), or to be reported [gone](Node::gone). Records of what they knew
    /// are [taken over](Node::import) right after this, before any announcement.
    pub fn lose_homes(&mut self, now: Now) {
        self.users.fail_tells(None, turn!(self, now));
        let (homes, bans) = (self.edge.homes(), self.users.ban_count());
        self.users = Users::new(self.worker, homes, now, self.rules.restricted);
        let journal = self.rooms.take_journal();
        self.rooms = Rooms::new(homes, now, &self.rules);
        self.rooms.set_journal(journal);
        self.share_bans(&bans);
        self.users.fall_silent();
        self.rooms.fall_silent();
        self.waits = Waits::default();
        self.rebuilding.lose_homes(homes.workers(), self.rules.restricted);
        self.announce(now, self.worker);
    }

    /// A worker is gone and will say nothing: its clients' connections count as broken, and nothing of it is waited for. Commands that
    /// are for its homes are answered 503, until one that is started in its place has heard what is [announced](Node::announce) to it.
    pub fn gone(&mut self, now: Now, worker: u16) {
        let edge = WorkerRef::here(worker);
        self.rebuilding.set_unheard(worker, true);
        self.edge.worker_gone(worker, turn!(self, now));
        self.rebuilding.end_places(worker);
        self.announced(now, Announcement::Begin { edge, told: Default::default() });
        self.announced(now, Announcement::End { edge });
        // Users stay seen in its rooms until one that is started in its place has said who is in them.
        self.rebuilding.await_places(worker, false);
        self.dispatch(now);
    }

    /// Whether the homes here were lost, and don't know yet what all edges know.
    #[must_use]
    pub fn is_rebuilding(&self) -> bool {
        self.rebuilding.awaits.is_some()
    }

    /// Whether the homes of a worker have yet to hear what the edge here announces.
    #[must_use]
    pub fn is_unheard(&self, home: u16) -> bool {
        self.rebuilding.unheard.get(usize::from(home)) == Some(&true)
    }

    /// A part of an announcement, at the home or the edge that it is for.
    pub(super) fn announced(&mut self, now: Now, what: Announcement) {
        let (users, rooms, rebuilding) = (&mut self.users, &mut self.rooms, &mut self.rebuilding);
        let turn = turn!(self, now);
        match what {
            Announcement::Begin { edge, told } => {
                let told = told.bounded();
                users.announcement(edge.worker, told.version, turn);
                rooms.announcement(edge.worker, told.epoch);
                rebuilding.sweeps.retain(|sweep| sweep.edge != edge);
                rebuilding.await_edge(edge.worker, true);
                rebuilding.await_places(edge.worker, true);
            }
            Announcement::User { user, at, is } => users.announced(&user, at, is, turn),
            Announcement::Member { room, user, at, hides, .. } => {
                rooms.announced((&room, &user), (at, hides), turn);
            }
            Announcement::Watched { user, edge, plain, full } => {
                users.watched_by(&user, edge, (plain, full), turn);
            }
            Announcement::End { edge } => {
                rebuilding.sweeps.retain(|sweep| sweep.edge != edge);
                let (users, rooms) = (Some(0), Some(Cursor::default()));
                rebuilding.sweeps.push_back(Sweep { edge, users, rooms });
                rebuilding.await_edge(edge.worker, false);
            }
            Announcement::PlacesBegin { home } => {
                users.places_begin(home.worker);
                rebuilding.place_sweeps.retain(|(of, _)| *of != home.worker);
                rebuilding.await_places(home.worker, true);
            }
            Announcement::PlacesEnd { home } => {
                rebuilding.place_sweeps.retain(|(of, _)| *of != home.worker);
                rebuilding.place_sweeps.push_back((home.worker, 0));
                rebuilding.await_places(home.worker, false);
            }
            Announcement::Heard { home } => rebuilding.set_unheard(home.worker, false),
        }
    }

    /// A turn's share of which rooms the users of other homes are in, for one of these; and of what such a word leaves to do here.
    fn rebuild_places(&mut self, now: Now) {
        let (users, rooms, rebuilding) = (&mut self.users, &self.rooms, &mut self.rebuilding);
        let (turn, here) = (turn!(self, now), WorkerRef::here(self.worker));
        if let Some((of, from)) = rebuilding.place_sweeps.pop_front()
            && let Some(from) = users.sweep_places(of, from, SWEPT_PER_TURN_MAX, turn)
        {
            rebuilding.place_sweeps.push_front((of, from));
        }
        if !rebuilding.knows_rooms() {
            return;
        }
        let Some((home, reached)) = rebuilding.places.pop_front() else { return };
        if reached.is_none() {
            turn.out.post(home, Message::Announce(Announcement::PlacesBegin { home: here }));
        }
        let most = (SWEPT_PER_TURN_MAX, ANNOUNCED_PER_TURN_MAX);
        match rooms.say_places(home, reached.unwrap_or_default(), most, turn) {
            Some(reached) => rebuilding.places.push_front((home, Some(reached))),
            None => turn.out.post(home, Message::Announce(Announcement::PlacesEnd { home: here })),
        }
    }

    /// A turn's share of what announcements have left to do.
    pub(super) fn rebuild(&mut self, now: Now) {
        self.rebuild_places(now);
        let (users, rooms) = (&mut self.users, &mut self.rooms);
        let turn = turn!(self, now);
        if let Some(Sweep { edge, users: at_user, rooms: at_room }) = self.rebuilding.sweeps.pop_front() {
            let most = SWEPT_PER_TURN_MAX;
            let at_user = at_user.and_then(|from| users.sweep(edge.worker, from, most, turn));
            let at_room = at_room.and_then(|cursor| rooms.sweep(edge, cursor, most, turn));
            if at_user.is_some() || at_room.is_some() {
                self.rebuilding.sweeps.push_front(Sweep { edge, users: at_user, rooms: at_room });
            } else if self.rebuilding.awaits.is_none() {
                let home = WorkerRef::here(self.worker);
                turn.out.post(edge.worker, Message::Announce(Announcement::Heard { home }));
            }
        } else if self.rebuilding.is_complete() {
            let more = [
                users.break_silence(SWEPT_PER_TURN_MAX, turn),
                rooms.break_silence(SWEPT_PER_TURN_MAX, turn),
            ];
            if !more.contains(&true) {
                let home = WorkerRef::here(self.worker);
                for edge in (0..).take(self.rebuilding.end_wait()) {
                    turn.out.post(edge, Message::Announce(Announcement::Heard { home }));
                }
            }
        }
        if self.edge.is_announcing() {
            self.edge.announce_on(turn!(self, now));
        }
        self.dispatch(now);
    }
}
