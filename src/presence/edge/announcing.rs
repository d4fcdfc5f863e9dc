//! Tells homes anew what this edge knows, a share in each turn: see [`announce`](crate::presence::announce).

use crate::limits::ANNOUNCED_PER_TURN_MAX;
use crate::presence::address::NOBODY;
use crate::presence::announce::{Announced, Announcement};
use crate::presence::announcing::Progress;
use crate::presence::cost;
use crate::presence::edge::Edge;
use crate::presence::edge::tokens::claim_of;
use crate::presence::message::{Claim, Message, ReplyTo, RequestRef};
use crate::presence::name::Homes;
use crate::presence::subscribers::Subscriber;
use crate::presence::turn::Turn;

/// Items looked at in a turn, for each one that may be announced in it: most of it has its home elsewhere.
const LOOKED_PER_ANNOUNCED: usize = 16;

impl Edge {
    /// Begins to tell a home all that is known here.
    pub(crate) fn announce(&mut self, home: u16, turn: &mut Turn<'_>) {
        let (edge, told) = (self.worker, self.told);
        turn.out.post(home, Message::Announce(Announcement::Begin { edge, told }));
        self.give_up(home, turn);
        // The home sends away whoever is banned, and a message of a ban that is over may be lost.
        let homes = self.homes;
        self.banned.retain(|user, _| homes.of(user) != home);
        self.announcing.0.retain(|progress| progress.home != home);
        self.announcing.0.push_back(Progress { home, watches: false, next: 0 });
    }

    /// A home is gone: nothing is said to it any more, nor waited for from it.
    pub(crate) fn worker_gone(&mut self, home: u16, turn: &mut Turn<'_>) {
        self.announcing.0.retain(|progress| progress.home != home);
        self.give_up(home, turn);
    }

    pub(crate) const fn homes(&self) -> Homes {
        self.homes
    }

    /// Whether something is yet to be told.
    pub(crate) fn is_announcing(&self) -> bool {
        !self.announcing.0.is_empty()
    }

    /// Goes on with the first announcement: a share, for one turn.
    pub(crate) fn announce_on(&mut self, turn: &mut Turn<'_>) {
        let Some(Progress { home, mut watches, mut next }) = self.announcing.0.pop_front() else { return };
        let (mut said, mut looked) = (0, 0);
        while said < ANNOUNCED_PER_TURN_MAX && looked < LOOKED_PER_ANNOUNCED * ANNOUNCED_PER_TURN_MAX {
            let end = if watches { self.watches.end() } else { self.clients.end() };
            match (next < end, watches) {
                (true, true) => said += self.announce_watched(home, next, turn),
                (true, false) => said += self.announce_client(home, next, turn),
                (false, false) => {
                    (watches, next) = (true, 0);
                    continue;
                }
                (false, true) => {
                    let edge = self.worker;
                    return turn.out.post(home, Message::Announce(Announcement::End { edge }));
                }
            }
            looked += 1;
            next += 1;
        }
        turn.out.spend(looked, cost::LISTED_NANOS);
        self.announcing.0.push_front(Progress { home, watches, next });
    }

    /// The announcement of a client, unless it was sent away.
    #[must_use]
    pub fn announced(&self, slot: u32) -> Option<Announced> {
        let known = self.clients.get(slot as usize).filter(|known| known.sent_away.is_none())?;
        let claim = self.passes.get(slot).map_or(Claim::NoToken, |grants| claim_of(grants));
        let (hides, silent, suspect) = (known.is_hidden(), known.silent, known.suspect);
        Some(Announced { claim, said: known.said, hides, silent, suspect })
    }

    /// A client, and where it is. Returns how much was said.
    #[expect(clippy::cast_possible_truncation, reason = "fewer clients than 2^32")]
    fn announce_client(&self, home: u16, slot: usize, turn: &mut Turn<'_>) -> usize {
        let Some(known) = self.clients.get(slot).filter(|known| known.sent_away.is_none()) else { return 0 };
        let Some(user) = &known.user else { return 0 };
        let (at, hides, mut said) = (self.address(slot as u32), known.is_hidden(), 0);
        if self.homes.of(user) == home {
            let Some(is) = self.announced(slot as u32) else { return 0 };
            turn.out.post(home, Message::Announce(Announcement::User { user: user.clone(), at, is }));
            said += 1;
        }
        for place in known.rooms.as_slice() {
            let (room, user) = (self.rooms.name(place.topic), user.clone());
            if self.homes.of(room) != home {
                continue;
            }
            let (room, member) = (room.clone(), self.rooms.member(*place));
            let visit = member.visit();
            turn.out.post(
                home,
                if member.active {
                    Message::Announce(Announcement::Member { room, user, at, visit, hides })
                } else {
                    // A desk had it come in, and the answer to that is yet to come, or lost.
                    let request = RequestRef::Forced { admin: self.worker, request: NOBODY, change: true };
                    Message::Join {
                        catchup: None,
                        room,
                        user,
                        again: false,
                        visit,
                        hides,
                        reply_to: ReplyTo { at, request },
                    }
                },
            );
            said += 1;
        }
        said
    }

    /// A user whom clients watch.
    fn announce_watched(&self, home: u16, topic: usize, turn: &mut Turn<'_>) -> usize {
        let Some((user, members)) = self.watches.get(topic).filter(|(user, _)| self.homes.of(user) == home)
        else {
            return 0;
        };
        turn.out.spend(members.len(), cost::WATCHER_NANOS);
        let (edge, user, mut counts) = (self.worker, user.clone(), [0, 0]);
        for counted in members.iter().map(Subscriber::counted) {
            counts[0] += u32::from(counted[0]);
            counts[1] += u32::from(counted[1]);
        }
        let [plain, full] = counts;
        turn.out.post(home, Message::Announce(Announcement::Watched { user, edge, plain, full }));
        1
    }
}
