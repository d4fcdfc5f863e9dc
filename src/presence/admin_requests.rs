//! The admin requests of a worker ([`AdminRequest`]) that wait for homes and edges.
//!
//! A request is answered once: by its last part, by the first home that can't take a message, or when its time is up.
//! An answer that comes afterwards is dropped.

use std::collections::{HashMap, VecDeque};

use crate::limits::{ADMIN_REQUESTS_MAX, ADMIN_TICKS_MAX, PAST_BYTES_MAX, PAST_MAX};
use crate::presence::address::{NOBODY, ReplyTo, RequestRef, reply_to};
use crate::presence::admin::{AdminReply, AdminRequest, Listing, Merge};
use crate::presence::effect::Effect;
use crate::presence::event::{Event, SharedEvent};
use crate::presence::message::{Giving, HomeAnswer, MemberPage, Message, RoomPosition};
use crate::presence::moderation::Moderation;
use crate::presence::name::{Homes, Name};
use crate::presence::refusal::CommandRefusal;
use crate::presence::turn::Turn;
use crate::presence::view::View;
use crate::time::Tick;

#[derive(Debug)]
struct PendingRequest {
    /// The tag that the request came with.
    tag: u64,
    work: AwaitedParts,
}

/// The answers that a request waits for.
#[derive(Debug)]
enum AwaitedParts {
    /// One answer.
    One,
    /// Parts of a page, from all homes.
    Users(Merge<View>),
    /// The same.
    Rooms(Merge<usize>),
    /// A page of a room, then the view of each member on it.
    Members { page: MemberPage, views: Vec<(Name, Option<View>)>, left: usize },
    /// How many connections there are, and what came of each.
    ForceJoin(ForcedJoins),
    /// The user's home, then workers whose rooms are not looked through.
    DeleteUser { left: usize, connections: usize, messages: usize },
    /// Workers that are not through.
    Broadcast { left: usize, delivered: usize, missed: usize },
}

/// An order to bring a user somewhere: how many connections there are, and what came of each.
#[derive(Debug, Default)]
struct ForcedJoins {
    told: Option<usize>,
    kept: bool,
    /// The giving that the user's home began for it.
    giving: Option<Giving>,
    came: usize,
    done: usize,
    place: RoomPosition,
    refused: Option<CommandRefusal>,
}

/// The admin requests of one worker that wait for answers.
#[derive(Debug)]
pub(crate) struct AdminRequests {
    worker: u16,
    homes: Homes,
    requests: HashMap<u32, PendingRequest>,
    next_request: u32,
    /// The deadline of each request, in order; requests that are done are still here.
    due: VecDeque<(Tick, u32)>,
}

impl AdminRequests {
    pub(crate) fn new(worker: u16, homes: Homes) -> AdminRequests {
        AdminRequests { worker, homes, requests: HashMap::new(), next_request: 0, due: VecDeque::new() }
    }

    /// Jobs that wait.
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(crate) fn next_due(&self) -> Option<Tick> {
        self.due.front().map(|(due, _)| *due)
    }

    /// Takes a request on, or refuses it at once.
    pub(crate) fn ask(&mut self, tag: u64, ask: AdminRequest, turn: &mut Turn<'_>) {
        if self.requests.len() >= ADMIN_REQUESTS_MAX {
            return turn
                .out
                .effects
                .push(Effect::Reply { tag, reply: AdminReply::Refused(CommandRefusal::Busy) });
        }
        self.next_request = self.next_request.wrapping_add(1).max(NOBODY + 1);
        let request = self.next_request;
        let reply_to = reply_to(self.worker, request);
        self.due.push_back((turn.now.tick.after(ADMIN_TICKS_MAX), request));
        let work = self.begin(ask, reply_to, turn);
        self.requests.insert(request, PendingRequest { tag, work });
    }

    fn begin(&self, ask: AdminRequest, reply_to: ReplyTo, turn: &mut Turn<'_>) -> AwaitedParts {
        let (homes, workers) = (self.homes, self.homes.workers());
        match ask {
            AdminRequest::Users { state, limit, after } => {
                for worker in 0..workers {
                    let after = after.clone();
                    turn.out.post(worker, Message::ListUsers { state, limit, after, reply_to });
                }
                return AwaitedParts::Users(Merge::new(limit, usize::from(workers)));
            }
            AdminRequest::Rooms { limit, after } => {
                for worker in 0..workers {
                    turn.out.post(worker, Message::ListRooms { limit, after: after.clone(), reply_to });
                }
                return AwaitedParts::Rooms(Merge::new(limit, usize::from(workers)));
            }
            AdminRequest::Members { room, limit, after } => {
                turn.out.post(homes.of(&room), Message::List { room, limit, after, only: None, reply_to });
                return AwaitedParts::Members { page: MemberPage::default(), views: Vec::new(), left: 0 };
            }
            AdminRequest::ForceJoin { user, room, joins } => {
                if joins {
                    let (home, what) = (homes.of(&room), Moderation::Invite { room, user });
                    turn.out.post(home, Message::Moderate { what, reply_to: Some(reply_to) });
                } else {
                    turn.out.post(homes.of(&user), Message::ForceJoin { user, room, joins, reply_to });
                }
                return AwaitedParts::ForceJoin(ForcedJoins::default());
            }
            AdminRequest::Broadcast { data } => {
                let event = SharedEvent::new(Event::Broadcast { data, unix_millis: turn.now.unix_millis });
                for worker in 0..workers {
                    turn.out.post(worker, Message::Broadcast { event: event.clone(), reply_to });
                }
                return AwaitedParts::Broadcast { left: usize::from(workers), delivered: 0, missed: 0 };
            }
            AdminRequest::User { user } => turn.out.post(homes.of(&user), Message::Look { user, reply_to }),
            AdminRequest::Tell { user, data } => {
                turn.out
                    .post(homes.of(&user), Message::Tell { user, from: None, data, within: None, reply_to });
            }
            AdminRequest::Disconnect { user, reason, seconds } => {
                turn.out.post(homes.of(&user), Message::Kick { user, reason, seconds, reply_to });
            }
            AdminRequest::Ban { room, user, seconds } => {
                let (home, what) = (homes.of(&room), Moderation::Ban { room, user, seconds });
                turn.out.post(home, Message::Moderate { what, reply_to: Some(reply_to) });
            }
            AdminRequest::Lift { user, room } => {
                let home = homes.of(room.as_ref().unwrap_or(&user));
                let what = Moderation::Lift { user, room };
                turn.out.post(home, Message::Moderate { what, reply_to: Some(reply_to) });
            }
            AdminRequest::Say { room, data, id } => {
                let home = homes.of(&room);
                turn.out.post(home, Message::Say { room, from: None, data, echo: true, id, reply_to });
            }
            AdminRequest::History { room, from, limit } => {
                let (home, most) = (homes.of(&room), (limit.min(PAST_MAX) as u32, PAST_BYTES_MAX as u32));
                turn.out.post(home, Message::History { room, user: None, from, most, reply_to });
            }
            AdminRequest::DeleteRoom { room } => {
                let (home, what) = (homes.of(&room), Moderation::DeleteRoom { room });
                turn.out.post(home, Message::Moderate { what, reply_to: Some(reply_to) });
            }
            AdminRequest::DeleteUser { user } => {
                let (home, what) = (homes.of(&user), Moderation::DeleteUser { user });
                turn.out.post(home, Message::Moderate { what, reply_to: Some(reply_to) });
                return AwaitedParts::DeleteUser {
                    left: 1 + usize::from(workers),
                    connections: 0,
                    messages: 0,
                };
            }
        }
        AwaitedParts::One
    }

    /// An answer has come.
    pub(crate) fn answered(&mut self, request: u32, answer: HomeAnswer, turn: &mut Turn<'_>) {
        let Some(waiting) = self.requests.get_mut(&request) else {
            // It was refused before this came.
            if let HomeAnswer::ForcingJoins(_, _, Some(giving)) = answer {
                order_over(giving, false, turn);
            }
            return;
        };
        let reply = match (&mut waiting.work, answer) {
            (AwaitedParts::ForceJoin(forced), answer) => note_forced(forced, &answer),
            (
                AwaitedParts::Broadcast { left, delivered, missed },
                HomeAnswer::Spread { to, without, done },
            ) => {
                *delivered += to;
                *missed += without;
                *left -= usize::from(done);
                let (delivered, missed) = (*delivered, *missed);
                (*left == 0).then_some(AdminReply::Broadcast { delivered, missed, done: true })
            }
            (AwaitedParts::DeleteUser { left, connections, messages }, answer) => {
                match answer {
                    HomeAnswer::Kicked(kicked, _) => *connections = kicked.unwrap_or(0),
                    HomeAnswer::Erased { messages: more } => *messages += more,
                    HomeAnswer::Busy => {
                        return self.finish(request, AdminReply::Refused(CommandRefusal::Busy), turn);
                    }
                    _ => return,
                }
                *left -= 1;
                let (connections, messages) = (*connections, *messages);
                (*left == 0).then_some(AdminReply::UserDeleted { connections, messages, done: true })
            }
            (_, HomeAnswer::History(Some(page))) => Some(AdminReply::History(*page)),
            (_, HomeAnswer::NoRoom) => Some(AdminReply::Refused(CommandRefusal::NoRoom)),
            (_, HomeAnswer::RoomDeleted(members)) => Some(AdminReply::RoomDeleted(members)),
            (_, HomeAnswer::Told { to: 0, without: 0 } | HomeAnswer::Kicked(None, _)) => {
                Some(AdminReply::Refused(CommandRefusal::NotConnected))
            }
            (_, HomeAnswer::Told { to: 0, .. }) => Some(AdminReply::Refused(CommandRefusal::TooSlow)),
            (_, HomeAnswer::Told { to, .. }) => Some(AdminReply::Told(to)),
            (_, HomeAnswer::Kicked(Some(kicked), until)) => Some(AdminReply::Disconnected(kicked, until)),
            (_, HomeAnswer::Busy) => Some(AdminReply::Refused(CommandRefusal::Busy)),
            (_, HomeAnswer::Banned(Some(until))) => Some(AdminReply::Banned(until)),
            (_, HomeAnswer::Banned(None)) => Some(AdminReply::Refused(CommandRefusal::TooManyBans)),
            (_, HomeAnswer::Lifted(true)) => Some(AdminReply::Lifted),
            (_, HomeAnswer::Lifted(false)) => Some(AdminReply::Refused(CommandRefusal::NoBan)),
            (_, HomeAnswer::NotSaid) => Some(AdminReply::Refused(CommandRefusal::RoomOverloaded)),
            (_, HomeAnswer::Said(RoomPosition { epoch: 0, .. })) => {
                Some(AdminReply::Refused(CommandRefusal::EmptyRoom))
            }
            (_, HomeAnswer::Said(place)) => Some(AdminReply::Said(place)),
            _ => None,
        };
        if let Some(reply) = reply {
            self.finish(request, reply, turn);
        }
    }

    /// A view has come: of the user asked about, or of a member.
    pub(crate) fn seen(&mut self, request: u32, index: u32, user: Name, view: View, turn: &mut Turn<'_>) {
        let Some(waiting) = self.requests.get_mut(&request) else { return };
        let reply = match &mut waiting.work {
            AwaitedParts::Members { page, views, left } => {
                if let Some((_, known)) = views.get_mut(index as usize) {
                    *known = Some(view);
                    *left -= 1;
                }
                if *left > 0 {
                    return;
                }
                members(page, views)
            }
            // A user who came invisible was never shown, and is here all the same.
            _ if view.version == 0 && view.unseen == 0 => AdminReply::Refused(CommandRefusal::Unknown),
            _ => AdminReply::User(user, view),
        };
        self.finish(request, reply, turn);
    }

    /// A page of a room has come: the members' states are yet to be asked for.
    pub(crate) fn listed(
        &mut self,
        reply_to: ReplyTo,
        request: u32,
        listed: MemberPage,
        turn: &mut Turn<'_>,
    ) {
        let Some(PendingRequest { work: AwaitedParts::Members { page, views, left }, .. }) =
            self.requests.get_mut(&request)
        else {
            return;
        };
        if listed.place.epoch == 0 {
            return self.finish(request, AdminReply::Refused(CommandRefusal::EmptyRoom), turn);
        }
        *page = listed;
        *views = page.users.iter().map(|user| (user.clone(), None)).collect();
        *left = views.len();
        if views.is_empty() {
            let reply = members(page, views);
            return self.finish(request, reply, turn);
        }
        for (user, index) in page.users.iter().zip(0..) {
            let reply_to = ReplyTo { request: RequestRef::Admin { request, index }, ..reply_to };
            turn.out.post(self.homes.of(user), Message::Look { user: user.clone(), reply_to });
        }
    }

    /// A home's part of a page of users has come.
    pub(crate) fn users(&mut self, request: u32, part: Listing<View>, turn: &mut Turn<'_>) {
        let Some(PendingRequest { work: AwaitedParts::Users(merge), .. }) = self.requests.get_mut(&request)
        else {
            return;
        };
        if let Some(page) = merge.part(part) {
            self.finish(request, AdminReply::Users(page), turn);
        }
    }

    /// A home's part of a page of rooms has come.
    pub(crate) fn rooms(&mut self, request: u32, part: Listing<usize>, turn: &mut Turn<'_>) {
        let Some(PendingRequest { work: AwaitedParts::Rooms(merge), .. }) = self.requests.get_mut(&request)
        else {
            return;
        };
        if let Some(page) = merge.part(part) {
            self.finish(request, AdminReply::Rooms(page), turn);
        }
    }

    /// A home could not be asked.
    pub(crate) fn refused(&mut self, request: u32, turn: &mut Turn<'_>) {
        self.finish(request, AdminReply::Refused(CommandRefusal::Busy), turn);
    }

    /// Answers those whose time is up: a broadcast with how far it has come.
    pub(crate) fn due(&mut self, turn: &mut Turn<'_>) {
        while let Some((_, request)) = self.due.pop_front_if(|(due, _)| turn.now.tick.has_reached(*due)) {
            let Some(waiting) = self.requests.get(&request) else { continue };
            let reply = match waiting.work {
                AwaitedParts::Broadcast { delivered, missed, .. } => {
                    AdminReply::Broadcast { delivered, missed, done: false }
                }
                AwaitedParts::DeleteUser { connections, messages, .. } => {
                    AdminReply::UserDeleted { connections, messages, done: false }
                }
                _ => AdminReply::Refused(CommandRefusal::Busy),
            };
            self.finish(request, reply, turn);
        }
    }

    fn finish(&mut self, request: u32, reply: AdminReply, turn: &mut Turn<'_>) {
        if let Some(PendingRequest { tag, work }) = self.requests.remove(&request) {
            if let AwaitedParts::ForceJoin(ForcedJoins { giving: Some(giving), .. }) = work {
                order_over(giving, matches!(reply, AdminReply::Forced(..)), turn);
            }
            turn.out.effects.push(Effect::Reply { tag, reply });
        }
        // Requests at the front that are done need no deadline.
        while self.due.pop_front_if(|(_, request)| !self.requests.contains_key(request)).is_some() {}
    }
}

/// The user's home says how many connections there are, and each one's edge what came of it, in any order.
fn note_forced(forced: &mut ForcedJoins, answer: &HomeAnswer) -> Option<AdminReply> {
    let ForcedJoins { told, kept, giving, came, done, place, refused } = forced;
    match answer {
        HomeAnswer::ForcingJoins(0, true, _) => return Some(AdminReply::Forced(0, RoomPosition::default())),
        HomeAnswer::ForcingJoins(0, false, _) => {
            return Some(AdminReply::Refused(CommandRefusal::NotConnected));
        }
        HomeAnswer::ForcingJoins(connections, keeps, given) => {
            (*told, *kept, *giving) = (Some(*connections), *keeps, *given);
        }
        HomeAnswer::Busy => return Some(AdminReply::Refused(CommandRefusal::Busy)),
        HomeAnswer::NotGiven(why) => return Some(AdminReply::Refused(why.clone())),
        HomeAnswer::Barred(_, Some(_)) => {
            *came += 1;
            refused.get_or_insert(CommandRefusal::UserBanned);
        }
        HomeAnswer::Barred(_, None) => return Some(AdminReply::Refused(CommandRefusal::UserBanned)),
        HomeAnswer::Joined(_, now, ..) | HomeAnswer::Left(_, now) => {
            (*came, *done, *place) = (*came + 1, *done + 1, *now);
        }
        HomeAnswer::NotForced(why) => {
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
        Some(CommandRefusal::UserNotInRoom) if *kept && *done == 0 => {
            AdminReply::Forced(0, RoomPosition::default())
        }
        Some(why) if *done == 0 => AdminReply::Refused(why),
        _ => AdminReply::Forced(*done, *place),
    })
}

/// The user's home is told whether what it gave stays.
fn order_over(giving: Giving, stays: bool, turn: &mut Turn<'_>) {
    let what = Moderation::Given { order: giving.order, stays };
    turn.out.post(giving.home.worker, Message::Moderate { what, reply_to: None });
}

fn members(page: &mut MemberPage, views: &mut Vec<(Name, Option<View>)>) -> AdminReply {
    let views = views.drain(..).filter_map(|(user, view)| Some((user, view?))).collect();
    AdminReply::Members(std::mem::take(page), views)
}
