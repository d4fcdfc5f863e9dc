//! The desk of a worker: what was asked here from outside ([`Ask`]) and waits for homes and edges.
//!
//! A job is answered once: by its last part, by the first home that can't take a letter, or when its time is up. What
//! comes for it afterwards finds nobody.

use std::collections::{HashMap, VecDeque};

use crate::limits::{ADMIN_JOBS_MAX, ADMIN_TICKS_MAX};
use crate::presence::address::{Asker, NOBODY, Ticket, asker};
use crate::presence::admin::{Ask, Listing, Merge, Reply};
use crate::presence::effect::Effect;
use crate::presence::envelope::{Answer, Envelope, Giving, Page, Place};
use crate::presence::event::{Event, SharedEvent};
use crate::presence::moderation::Moderation;
use crate::presence::name::{Homes, Name};
use crate::presence::refusal::Refusal;
use crate::presence::turn::Turn;
use crate::presence::view::View;
use crate::time::Tick;

#[derive(Debug)]
struct Job {
    /// The asker's own number.
    ticket: u64,
    work: Work,
}

/// What a job waits for.
#[derive(Debug)]
enum Work {
    /// One answer.
    One,
    /// Parts of a page, from all homes.
    Users(Merge<View>),
    /// The same.
    Rooms(Merge<usize>),
    /// A page of a room, then the view of each member on it.
    Members { page: Page, views: Vec<(Name, Option<View>)>, left: usize },
    /// How many connections there are, and what came of each.
    Bring(Bring),
    /// Workers that are not through.
    Broadcast { left: usize, delivered: usize, missed: usize },
}

/// An order to bring a user somewhere: how many connections there are, and what came of each.
#[derive(Debug, Default)]
struct Bring {
    told: Option<usize>,
    kept: bool,
    /// What the user's home gave for it.
    giving: Option<Giving>,
    came: usize,
    done: usize,
    place: Place,
    refused: Option<Refusal>,
}

/// What waits at one worker.
#[derive(Debug)]
pub(crate) struct Desk {
    worker: u16,
    homes: Homes,
    jobs: HashMap<u32, Job>,
    next_job: u32,
    /// When each job's time is up, in order; those that are done are still here.
    due: VecDeque<(Tick, u32)>,
}

impl Desk {
    pub(crate) fn new(worker: u16, homes: Homes) -> Desk {
        Desk { worker, homes, jobs: HashMap::new(), next_job: 0, due: VecDeque::new() }
    }

    /// Jobs that wait.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(crate) fn next_due(&self) -> Option<Tick> {
        self.due.front().map(|(due, _)| *due)
    }

    /// Takes a job on, or refuses it at once.
    pub(crate) fn ask(&mut self, ticket: u64, ask: Ask, turn: &mut Turn<'_>) {
        if self.jobs.len() >= ADMIN_JOBS_MAX {
            return turn.out.effects.push(Effect::Reply { ticket, reply: Reply::Refused(Refusal::Busy) });
        }
        self.next_job = self.next_job.wrapping_add(1).max(NOBODY + 1);
        let job = self.next_job;
        let asker = asker(self.worker, job);
        self.due.push_back((turn.now.tick.after(ADMIN_TICKS_MAX), job));
        let work = self.begin(ask, asker, turn);
        self.jobs.insert(job, Job { ticket, work });
    }

    fn begin(&self, ask: Ask, asker: Asker, turn: &mut Turn<'_>) -> Work {
        let (homes, workers) = (self.homes, self.homes.workers());
        match ask {
            Ask::Users { state, limit, after } => {
                for worker in 0..workers {
                    let after = after.clone();
                    turn.out.post(worker, Envelope::ListUsers { state, limit, after, asker });
                }
                return Work::Users(Merge::new(limit, usize::from(workers)));
            }
            Ask::Rooms { limit, after } => {
                for worker in 0..workers {
                    turn.out.post(worker, Envelope::ListRooms { limit, after: after.clone(), asker });
                }
                return Work::Rooms(Merge::new(limit, usize::from(workers)));
            }
            Ask::Members { room, limit, after } => {
                turn.out.post(homes.of(&room), Envelope::List { room, limit, after, only: None, asker });
                return Work::Members { page: Page::default(), views: Vec::new(), left: 0 };
            }
            Ask::Bring { user, room, joins } => {
                if joins {
                    let (home, what) = (homes.of(&room), Moderation::Invite { room, user });
                    turn.out.post(home, Envelope::Moderate { what, asker: Some(asker) });
                } else {
                    turn.out.post(homes.of(&user), Envelope::Bring { user, room, joins, asker });
                }
                return Work::Bring(Bring::default());
            }
            Ask::Broadcast { data } => {
                let event = SharedEvent::new(Event::Broadcast { data, unix_millis: turn.now.unix_millis });
                for worker in 0..workers {
                    turn.out.post(worker, Envelope::Broadcast { event: event.clone(), asker });
                }
                return Work::Broadcast { left: usize::from(workers), delivered: 0, missed: 0 };
            }
            Ask::User { user } => turn.out.post(homes.of(&user), Envelope::Look { user, asker }),
            Ask::Tell { user, data } => {
                turn.out
                    .post(homes.of(&user), Envelope::Tell { user, from: None, data, within: None, asker });
            }
            Ask::Disconnect { user, reason, seconds } => {
                turn.out.post(homes.of(&user), Envelope::Kick { user, reason, seconds, asker });
            }
            Ask::Ban { room, user, seconds } => {
                let (home, what) = (homes.of(&room), Moderation::Ban { room, user, seconds });
                turn.out.post(home, Envelope::Moderate { what, asker: Some(asker) });
            }
            Ask::Lift { user, room } => {
                let home = homes.of(room.as_ref().unwrap_or(&user));
                let what = Moderation::Lift { user, room };
                turn.out.post(home, Envelope::Moderate { what, asker: Some(asker) });
            }
            Ask::Say { room, data } => {
                turn.out.post(homes.of(&room), Envelope::Say { room, from: None, data, echo: true, asker });
            }
        }
        Work::One
    }

    /// An answer has come.
    pub(crate) fn answered(&mut self, job: u32, answer: Answer, turn: &mut Turn<'_>) {
        let Some(waiting) = self.jobs.get_mut(&job) else {
            // It was refused before this came.
            if let Answer::Bringing(_, _, Some(giving)) = answer {
                order_over(giving, false, turn);
            }
            return;
        };
        let reply = match (&mut waiting.work, answer) {
            (Work::Bring(bring), answer) => brought(bring, &answer),
            (Work::Broadcast { left, delivered, missed }, Answer::Spread { to, without, done }) => {
                *delivered += to;
                *missed += without;
                *left -= usize::from(done);
                let (delivered, missed) = (*delivered, *missed);
                (*left == 0).then_some(Reply::Broadcast { delivered, missed, done: true })
            }
            (_, Answer::Told { to: 0, without: 0 } | Answer::Kicked(None, _)) => {
                Some(Reply::Refused(Refusal::NotConnected))
            }
            (_, Answer::Told { to: 0, .. }) => Some(Reply::Refused(Refusal::TooSlow)),
            (_, Answer::Told { to, .. }) => Some(Reply::Told(to)),
            (_, Answer::Kicked(Some(kicked), until)) => Some(Reply::Disconnected(kicked, until)),
            (_, Answer::Banned(Some(until))) => Some(Reply::Banned(until)),
            (_, Answer::Banned(None)) => Some(Reply::Refused(Refusal::TooManyBans)),
            (_, Answer::Lifted(true)) => Some(Reply::Lifted),
            (_, Answer::Lifted(false)) => Some(Reply::Refused(Refusal::NoBan)),
            (_, Answer::NotSaid) => Some(Reply::Refused(Refusal::RoomOverloaded)),
            (_, Answer::Said(Place { epoch: 0, .. })) => Some(Reply::Refused(Refusal::EmptyRoom)),
            (_, Answer::Said(place)) => Some(Reply::Said(place)),
            _ => None,
        };
        if let Some(reply) = reply {
            self.finish(job, reply, turn);
        }
    }

    /// A view has come: of the user asked about, or of a member.
    pub(crate) fn seen(&mut self, job: u32, index: u32, user: Name, view: View, turn: &mut Turn<'_>) {
        let Some(waiting) = self.jobs.get_mut(&job) else { return };
        let reply = match &mut waiting.work {
            Work::Members { page, views, left } => {
                if let Some((_, known)) = views.get_mut(index as usize) {
                    *known = Some(view);
                    *left -= 1;
                }
                if *left > 0 {
                    return;
                }
                members(page, views)
            }
            // Who has been invisible since they came was never shown, and is here all the same.
            _ if view.version == 0 && view.unseen == 0 => Reply::Refused(Refusal::Unknown),
            _ => Reply::User(user, view),
        };
        self.finish(job, reply, turn);
    }

    /// A page of a room has come: the members' states are yet to be asked for.
    pub(crate) fn listed(&mut self, asker: Asker, job: u32, listed: Page, turn: &mut Turn<'_>) {
        let Some(Job { work: Work::Members { page, views, left }, .. }) = self.jobs.get_mut(&job) else {
            return;
        };
        if listed.place.epoch == 0 {
            return self.finish(job, Reply::Refused(Refusal::EmptyRoom), turn);
        }
        *page = listed;
        *views = page.users.iter().map(|user| (user.clone(), None)).collect();
        *left = views.len();
        if views.is_empty() {
            let reply = members(page, views);
            return self.finish(job, reply, turn);
        }
        for (user, index) in page.users.iter().zip(0..) {
            let asker = Asker { ticket: Ticket::Job { job, index }, ..asker };
            turn.out.post(self.homes.of(user), Envelope::Look { user: user.clone(), asker });
        }
    }

    /// A home's part of a page of users has come.
    pub(crate) fn users(&mut self, job: u32, part: Listing<View>, turn: &mut Turn<'_>) {
        let Some(Job { work: Work::Users(merge), .. }) = self.jobs.get_mut(&job) else { return };
        if let Some(page) = merge.part(part) {
            self.finish(job, Reply::Users(page), turn);
        }
    }

    /// A home's part of a page of rooms has come.
    pub(crate) fn rooms(&mut self, job: u32, part: Listing<usize>, turn: &mut Turn<'_>) {
        let Some(Job { work: Work::Rooms(merge), .. }) = self.jobs.get_mut(&job) else { return };
        if let Some(page) = merge.part(part) {
            self.finish(job, Reply::Rooms(page), turn);
        }
    }

    /// A home could not be asked.
    pub(crate) fn refused(&mut self, job: u32, turn: &mut Turn<'_>) {
        self.finish(job, Reply::Refused(Refusal::Busy), turn);
    }

    /// Answers those whose time is up: a broadcast with how far it has come.
    pub(crate) fn due(&mut self, turn: &mut Turn<'_>) {
        while let Some((_, job)) = self.due.pop_front_if(|(due, _)| turn.now.tick.has_reached(*due)) {
            let Some(waiting) = self.jobs.get(&job) else { continue };
            let reply = match waiting.work {
                Work::Broadcast { delivered, missed, .. } => {
                    Reply::Broadcast { delivered, missed, done: false }
                }
                _ => Reply::Refused(Refusal::Busy),
            };
            self.finish(job, reply, turn);
        }
    }

    fn finish(&mut self, job: u32, reply: Reply, turn: &mut Turn<'_>) {
        if let Some(Job { ticket, work }) = self.jobs.remove(&job) {
            if let Work::Bring(Bring { giving: Some(giving), .. }) = work {
                order_over(giving, matches!(reply, Reply::Brought(..)), turn);
            }
            turn.out.effects.push(Effect::Reply { ticket, reply });
        }
        // What is done at the front needs no waiting for.
        while self.due.pop_front_if(|(_, job)| !self.jobs.contains_key(job)).is_some() {}
    }
}

/// The user's home says how many connections there are, and each one's edge what came of it, in any order.
fn brought(bring: &mut Bring, answer: &Answer) -> Option<Reply> {
    let Bring { told, kept, giving, came, done, place, refused } = bring;
    match answer {
        Answer::Bringing(0, true, _) => return Some(Reply::Brought(0, Place::default())),
        Answer::Bringing(0, false, _) => return Some(Reply::Refused(Refusal::NotConnected)),
        Answer::Bringing(connections, keeps, given) => {
            (*told, *kept, *giving) = (Some(*connections), *keeps, *given);
        }
        Answer::Busy => return Some(Reply::Refused(Refusal::Busy)),
        Answer::NotGiven(why) => return Some(Reply::Refused(why.clone())),
        Answer::Barred(_, Some(_)) => {
            *came += 1;
            refused.get_or_insert(Refusal::UserBanned);
        }
        Answer::Barred(_, None) => return Some(Reply::Refused(Refusal::UserBanned)),
        Answer::Joined(_, now, _) | Answer::Left(_, now) => {
            (*came, *done, *place) = (*came + 1, *done + 1, *now);
        }
        Answer::NotBrought(why) => {
            *came += 1;
            refused.get_or_insert_with(|| why.clone());
        }
        _ => return None,
    }
    if *told != Some(*came) {
        return None;
    }
    Some(match refused.take() {
        // The room is taken from the user, who was in it no more.
        Some(Refusal::UserNotInRoom) if *kept && *done == 0 => Reply::Brought(0, Place::default()),
        Some(why) if *done == 0 => Reply::Refused(why),
        _ => Reply::Brought(*done, *place),
    })
}

/// The user's home is told whether what it gave stays.
fn order_over(giving: Giving, stays: bool, turn: &mut Turn<'_>) {
    let what = Moderation::Given { order: giving.order, stays };
    turn.out.post(giving.home.worker, Envelope::Moderate { what, asker: None });
}

fn members(page: &mut Page, views: &mut Vec<(Name, Option<View>)>) -> Reply {
    let views = views.drain(..).filter_map(|(user, view)| Some((user, view?))).collect();
    Reply::Members(std::mem::take(page), views)
}
