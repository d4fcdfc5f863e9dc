//! What is asked of the simulated server from outside: questions and orders at any worker's desk, and what has to hold of
//! their answers.

use std::collections::{BTreeMap, BTreeSet};

use rollcall::internals::limits::ROOMS_PER_CONNECTION_MAX;
use rollcall::internals::presence::admin::{AdminReply, AdminRequest};
use rollcall::internals::presence::message::{Leaving, ReplyTo, RequestRef};
use rollcall::internals::presence::{ClientId, ClientRef, Event, Message, Moderation, Name, SharedEvent};

use super::rig::{World, refusal_code, written};

/// What was asked, and what is known of the answers.
#[derive(Debug, Default)]
pub(super) struct Outside {
    next_ticket: u64,
    waiting: BTreeMap<u64, AdminRequest>,
    /// The workers of the desks.
    desks: BTreeMap<u64, u16>,
    /// What was broadcast: who was here then, and who was sent it.
    broadcasts: BTreeMap<String, (BTreeSet<usize>, BTreeSet<usize>)>,
}

impl Outside {
    /// A worker is started anew: its desk knows nothing of what it was asked.
    pub(super) fn restarted(&mut self, worker: u16) {
        let desks = &self.desks;
        self.waiting.retain(|ticket, _| desks.get(ticket) != Some(&worker));
    }
}

impl World {
    /// Asks at a worker's desk.
    pub(super) fn order(&mut self, worker: u16, ask: AdminRequest) -> u64 {
        self.outside.next_ticket += 1;
        let ticket = self.outside.next_ticket;
        self.note(|| format!("a{ticket} asks at w{worker}: {ask:?}"));
        self.outside.waiting.insert(ticket, ask.clone());
        self.outside.desks.insert(ticket, worker);
        // A home at the same worker is asked at once.
        let reply_to = ReplyTo {
            at: ClientRef::here(worker, ClientId { slot: u32::MAX, serial: 0 }),
            request: RequestRef::Admin { request: 0, index: 0 },
        };
        let answers = !self.nodes[usize::from(worker)].is_unheard(worker);
        match &ask {
            AdminRequest::Disconnect { .. }
            | AdminRequest::Ban { .. }
            | AdminRequest::Lift { .. }
            | AdminRequest::ForceJoin { .. }
                if !answers => {}
            AdminRequest::Disconnect { user, reason, seconds } if self.homes.of(user) == worker => {
                let (user, reason, seconds) = (user.clone(), reason.clone(), *seconds);
                self.arrives(worker, &Message::Kick { user, reason, seconds, reply_to });
            }
            AdminRequest::Ban { room, user, seconds } if self.homes.of(room) == worker => {
                let what = Moderation::Ban { room: room.clone(), user: user.clone(), seconds: *seconds };
                self.arrives(worker, &Message::Moderate { what, reply_to: Some(reply_to) });
            }
            AdminRequest::Lift { user, room } if self.homes.of(room.as_ref().unwrap_or(user)) == worker => {
                let what = Moderation::Lift { user: user.clone(), room: room.clone() };
                self.arrives(worker, &Message::Moderate { what, reply_to: Some(reply_to) });
            }
            AdminRequest::ForceJoin { user, room, joins: true } if self.homes.of(room) == worker => {
                self.invited_here(worker, user, room);
            }
            AdminRequest::ForceJoin { user, room, joins: false } if self.homes.of(user) == worker => {
                self.bring_here(worker, user, room, false);
            }
            AdminRequest::Broadcast { data } => {
                let open = (0..self.clients.len()).filter(|c| self.clients[*c].open).collect();
                self.outside.broadcasts.insert(data.to_string(), (open, BTreeSet::new()));
            }
            _ => {}
        }
        self.nodes[usize::from(worker)].ask(self.now, ticket, ask);
        self.after(worker);
        ticket
    }

    /// A letter that came from outside reaches a worker.
    pub(super) fn orders_arrive(&mut self, worker: u16, message: &Message) {
        match message {
            Message::ForceJoin { user, room, joins, .. } => self.bring_here(worker, user, room, *joins),
            Message::Evict { client, reason, .. }
                if self.nodes[usize::from(worker)].edge().is_here(*client) =>
            {
                self.sent_away(worker, client.slot, *reason);
            }
            Message::Moderate { what, .. } => match what {
                Moderation::EndGraces { user, room } => self.graces_end(worker, user, room.as_ref()),
                Moderation::Expel { room, user } => self.expelled(worker, user, room),
                Moderation::Taken { client, room }
                    if self.nodes[usize::from(worker)].edge().is_here(*client) =>
                {
                    self.bid(worker, client.slot, room, false);
                }
                Moderation::Invite { room, user } => self.invited_here(worker, user, room),
                _ => {}
            },
            Message::ForceJoinClient { client, room, joins, .. }
                if self.nodes[usize::from(worker)].edge().is_here(*client) =>
            {
                self.bid(worker, client.slot, room, *joins);
            }
            _ => {}
        }
    }

    /// A room's home has a user brought in, unless it bans the user.
    fn invited_here(&mut self, worker: u16, user: &Name, room: &Name) {
        if self.homes.of(user) == worker && !self.model.is_banned(self.now, user, Some(room)) {
            self.bring_here(worker, user, room, true);
        }
    }

    /// The home bids those of the user's connections that are at its own worker at once.
    fn bring_here(&mut self, worker: u16, user: &Name, room: &Name, joins: bool) {
        self.model.brings(user, room, joins);
        if !joins {
            self.graces_end(worker, user, Some(room));
        }
        for slot in self.model.live_at(user, worker) {
            self.bid(worker, slot, room, joins);
        }
    }

    /// An edge has a client come in or go out.
    pub(super) fn bid(&mut self, worker: u16, slot: u32, room: &Name, joins: bool) {
        let Some(c) = self.client_at(worker, slot) else { return };
        let Some(user) = self.clients[c].user.clone().map(Name::from) else { return };
        // A room's home at the same worker refuses in the same step.
        if joins && self.homes.of(room) == worker && self.model.is_banned(self.now, &user, Some(room)) {
            return;
        }
        let ears = &mut self.clients[c].ears;
        let has_room = ears.rooms.len() < ROOMS_PER_CONNECTION_MAX;
        if !ears.is_bidden(room, joins, has_room) {
            return;
        }
        self.note(|| format!("    c{c} is bidden {room}: {joins}"));
        self.letter_at_home(c, room, |at, room| {
            let (again, visit, hides, leaving) = (false, 0, false, Leaving::Now);
            let reply_to = ReplyTo { at, request: RequestRef::Admin { request: 0, index: 0 } };
            if joins {
                Message::Join { room, user, again, visit, hides, catchup: None, reply_to }
            } else {
                Message::Leave { room, user, at, visit, hides, leaving, reply_to: None }
            }
        });
    }

    /// A letter is not taken: a `join` that nobody at the client knows of is undone.
    pub(super) fn undone(&mut self, message: &Message) {
        if let Message::Join { room, again: false, reply_to, .. } = message
            && let (RequestRef::Forced { .. }, Some(_)) = (reply_to.request, message.reply_to())
            && let Some(c) = self.client_at(reply_to.at.worker, reply_to.at.client.slot)
        {
            self.clients[c].ears.rooms.remove(&**room);
            self.clients[c].ears.left.insert(room.to_string());
        }
    }

    pub(super) fn client_at(&self, worker: u16, slot: u32) -> Option<usize> {
        self.clients.iter().position(|peer| peer.open && peer.worker == worker && peer.slot == slot)
    }

    /// A broadcast is sent to clients; returns to how many.
    pub(super) fn broadcast(&mut self, sessions: &[u64], event: &SharedEvent) -> usize {
        for session in sessions {
            let c = usize::try_from(*session).unwrap();
            self.hear(*session, written(event));
            let Event::Broadcast { data, .. } = event.event() else { panic!("{event:?}") };
            let sent = self.outside.broadcasts.get_mut(&**data).map(|(_, sent)| sent);
            let is_new = sent.is_some_and(|sent| sent.insert(c));
            self.judge.holds("broadcast_once", is_new, || format!("c{c}: {event:?}"));
        }
        sessions.len()
    }

    /// A desk answers.
    pub(super) fn replied(&mut self, ticket: u64, reply: AdminReply) {
        self.note(|| format!("    a{ticket} is answered {reply:?}"));
        let Some(ask) = self.outside.waiting.remove(&ticket) else {
            return self.judge.broken("every_order_answered_once", format!("a{ticket} again: {reply:?}"));
        };
        self.tells.replied(&ask, &reply, self.lossy.is_some(), &mut self.judge);
        if let (AdminRequest::ForceJoin { user, room, joins: true }, AdminReply::Refused(_)) = (&ask, &reply)
        {
            self.model.not_brought(user, room);
        }
        let why = || format!("{ask:?} is answered {reply:?}");
        match (&ask, &reply) {
            (AdminRequest::Users { limit, after, .. }, AdminReply::Users(page)) => {
                let names: Vec<&Name> = page.rows.iter().map(|(name, _)| name).collect();
                let paged = is_page(&names, *limit, after.as_ref(), page.next.as_ref());
                self.judge.holds("pages_are_in_order", paged, why);
            }
            (AdminRequest::Rooms { limit, after }, AdminReply::Rooms(page)) => {
                let names: Vec<&Name> = page.rows.iter().map(|(name, _)| name).collect();
                let paged = is_page(&names, *limit, after.as_ref(), page.next.as_ref());
                self.judge.holds("pages_are_in_order", paged, why);
            }
            (AdminRequest::Members { limit, after, .. }, AdminReply::Members(page, views)) => {
                let names: Vec<&Name> = views.iter().map(|(name, _)| name).collect();
                let paged = is_page(&names, *limit, after.as_ref(), None) && names.len() == page.users.len();
                self.judge.holds("pages_are_in_order", paged, why);
            }
            (AdminRequest::Broadcast { data }, AdminReply::Broadcast { delivered, missed: 0, done }) => {
                let sent = self.outside.broadcasts[&**data].1.len();
                let counted = if *done { *delivered == sent } else { *delivered <= sent };
                self.judge.holds("broadcast_once", counted, why);
            }
            (_, AdminReply::Refused(_)) => {
                let is_kind = refusal_code(&reply).is_some_and(|code| [403, 404, 429, 503].contains(&code));
                self.judge.holds("every_order_answered_once", is_kind, why);
            }
            (AdminRequest::User { user }, AdminReply::User(name, _)) => {
                self.judge.holds("every_order_answered_once", user == name, why);
            }
            (AdminRequest::Tell { .. }, AdminReply::Told(1..))
            | (AdminRequest::Disconnect { .. }, AdminReply::Disconnected(..))
            | (AdminRequest::Ban { .. }, AdminReply::Banned(_))
            | (AdminRequest::Lift { .. }, AdminReply::Lifted)
            | (AdminRequest::Say { .. }, AdminReply::Said(_))
            | (AdminRequest::ForceJoin { .. }, AdminReply::Forced(..)) => {}
            _ => self.judge.broken("every_order_answered_once", why()),
        }
        self.replies.push((ticket, reply));
    }

    /// Everything is delivered: every order is answered, every broadcast is through, and pages name exactly who is there.
    pub(super) fn check_orders(&mut self) {
        let waiting = &self.outside.waiting;
        self.judge
            .holds("every_order_answered_once", waiting.is_empty(), || format!("unanswered: {waiting:?}"));
        let asked: usize = self.nodes.iter().map(rollcall::internals::presence::Node::asked).sum();
        self.judge.holds("nothing_left", asked == 0, || format!("{asked} orders wait at desks"));
        for (data, (open, sent)) in &self.outside.broadcasts {
            let missed = open.iter().find(|c| self.clients[**c].open && !sent.contains(*c));
            let may_miss = self.lossy.is_some();
            let holds = may_miss || missed.is_none();
            self.judge.holds("broadcast_once", holds, || format!("c{missed:?} missed {data}"));
        }
        self.outside.broadcasts.clear();
        let present: Vec<String> = self.model.present().into_iter().collect();
        let listed = self.all_users(2);
        self.judge.holds("pages_are_in_order", listed == present, || format!("{listed:?}, not {present:?}"));
    }

    /// All users that are not offline, page by page.
    fn all_users(&mut self, limit: usize) -> Vec<String> {
        let (mut after, mut all) = (None, Vec::new());
        loop {
            self.replies.clear();
            self.order(0, AdminRequest::Users { state: None, limit, after });
            self.settle();
            let Some((_, AdminReply::Users(page))) = self.replies.pop() else { return Vec::new() };
            all.extend(page.rows.iter().map(|(name, _)| name.to_string()));
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
    }
}

/// In order, behind `after`, at most `limit`, and not beyond what was looked at.
fn is_page(names: &[&Name], limit: usize, after: Option<&Name>, next: Option<&Name>) -> bool {
    names.is_sorted_by(|a, b| a < b)
        && names.len() <= limit
        && names.iter().all(|name| after.is_none_or(|after| *name > after))
        && names.iter().all(|name| next.is_none_or(|next| *name <= next))
}
