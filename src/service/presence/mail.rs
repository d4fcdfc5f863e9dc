//! Messages to other workers: what each weighs, how soon it has to be there, and those that wait here since a mailbox has no room
//! for them.

use std::collections::VecDeque;

use crate::limits::{RETRY_QUEUE_BYTES_MAX, RETRY_QUEUE_MAX};
use crate::presence::message::{Claim, HomeAnswer};
use crate::presence::{Message, Name, Reason, SharedEvent, View};
use crate::reactor::{Context, Latency, Mail, WorkerId};
use crate::service::presence::sessions::mail::SessionMail;

/// Messages between the presences of two workers.
#[derive(Debug)]
pub enum PresenceMail {
    /// Between homes and edges.
    Homes(Message),
    /// Between a worker that has a session and one where something for it has landed.
    Session(Box<SessionMail>),
}

impl Mail for PresenceMail {
    fn bytes(&self) -> usize {
        match self {
            PresenceMail::Homes(message) => message.bytes(),
            PresenceMail::Session(mail) => size_of::<SessionMail>() + mail.bytes(),
        }
    }
}

impl Mail for Message {
    fn bytes(&self) -> usize {
        let event = |event: &Option<SharedEvent>| event.as_ref().map_or(0, SharedEvent::bytes);
        match self {
            Message::Status { user, info, .. } => user.len() + info.as_ref().map_or(0, |info| info.len()),
            Message::Tell { user, data, within, .. } => {
                user.len() + data.len() + within.as_ref().map_or(0, |rooms| size_of_val(&**rooms))
            }
            Message::Say { room, data, id, .. } => {
                room.len() + data.len() + id.as_ref().map_or(0, |id| id.len())
            }
            Message::Answered { answer: HomeAnswer::Joined(room, _, _, recovery), .. } => {
                room.len() + recovery.as_ref().map_or(0, |recovery| recovery.bytes())
            }
            Message::Answered { answer: HomeAnswer::History(page), .. } => {
                page.as_ref().map_or(0, |page| page.bytes())
            }
            Message::Place { user, room, .. }
            | Message::Join { user, room, .. }
            | Message::Leave { user, room, .. }
            | Message::ForceJoin { user, room, .. } => user.len() + room.len(),
            Message::Kick { user, reason, .. } => user.len() + reason.len(),
            Message::Up { user, claim, .. } | Message::Renewed { user, claim, .. } => {
                user.len() + of_claim(claim)
            }
            Message::Down { user, .. }
            | Message::Silent { user, .. }
            | Message::Suspect { user, .. }
            | Message::Watch { user, .. }
            | Message::Unwatch { user, .. }
            | Message::Look { user, .. } => user.len(),
            Message::Moderate { what, .. } => what.bytes(),
            Message::Veil(what) => what.bytes(),
            Message::Announce(what) => what.bytes(),
            Message::History { room, .. }
            | Message::List { room, .. }
            | Message::ForceJoinClient { room, .. } => room.len(),
            Message::Told { event, .. } | Message::Broadcast { event, .. } => event.bytes(),
            Message::Deliver { room, event, .. } => room.len() + event.bytes(),
            Message::Changed { user, view, plain, full } => {
                user.len() + of_view(view) + event(plain) + event(full)
            }
            Message::Seen { user, view, .. } => user.len() + of_view(view),
            Message::UsersListed { part, .. } => {
                let rows = part.rows.iter().map(|(user, view)| user.len() + of_view(view));
                size_of_val(&*part.rows) + rows.sum::<usize>()
            }
            Message::RoomsListed { part, .. } => {
                size_of_val(&*part.rows) + part.rows.iter().map(|(room, _)| room.len()).sum::<usize>()
            }
            Message::Listed { page, .. } => of_names(&page.users),
            Message::Evict { words, .. } => words.as_ref().map_or(0, |words| words.len()),
            Message::ListUsers { .. } | Message::ListRooms { .. } | Message::Answered { .. } => 0,
        }
    }
}

fn of_claim(claim: &Claim) -> usize {
    if let Claim::Info(info) = claim { info.len() } else { 0 }
}

fn of_view(view: &View) -> usize {
    view.info.as_ref().map_or(0, |info| info.len()) + view.rooms.as_ref().map_or(0, |rooms| of_names(rooms))
}

fn of_names(names: &[Name]) -> usize {
    size_of_val(names) + names.iter().map(|name| name.len()).sum::<usize>()
}

/// Deaths, suspicions and changes for watchers are told within a tick, but not more often than that: after a mass death
/// there are thousands of such messages, between all workers, each a small piece of work. A user who comes, or closes and
/// may be back in a moment at another worker, is not kept waiting.
fn latency(message: &Message) -> Latency {
    match message {
        Message::Down { reason: Reason::Timeout, .. }
        | Message::Suspect { .. }
        | Message::Changed { .. }
        | Message::Unwatch { .. } => Latency::NextTick,
        _ => Latency::Now,
    }
}

impl PresenceMail {
    /// How soon it has to be there.
    pub(super) fn latency(&self) -> Latency {
        match self {
            PresenceMail::Homes(message) => latency(message),
            PresenceMail::Session(_) => Latency::Now,
        }
    }

    /// Whether it may be missed where much is held.
    fn may_be_missed(&self) -> bool {
        matches!(self, PresenceMail::Homes(Message::Deliver { .. } | Message::Broadcast { .. }))
    }
}

/// Messages that mailboxes had no room for, in order.
#[derive(Debug)]
pub(super) struct RetryQueue {
    /// By worker.
    pub(super) queues: Vec<VecDeque<PresenceMail>>,
    /// Bytes of all of them.
    pub(super) bytes: usize,
}

impl RetryQueue {
    pub(super) fn new(workers: usize) -> RetryQueue {
        RetryQueue { queues: (0..workers).map(|_| VecDeque::new()).collect(), bytes: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    /// Bytes of heap.
    pub(super) fn bytes(&self) -> usize {
        self.queues.iter().map(VecDeque::capacity).sum::<usize>() * size_of::<PresenceMail>() + self.bytes
    }

    pub(super) fn shrink(&mut self) {
        self.queues.iter_mut().filter(|held| held.is_empty()).for_each(|held| *held = VecDeque::new());
    }

    /// Keeps a message behind the others for that worker. Says whether it did: what may be missed is dropped where much is held.
    pub(super) fn keep(&mut self, to: u16, mail: PresenceMail) -> bool {
        let held = &mut self.queues[usize::from(to)];
        let bytes = mail.bytes();
        let is_much = held.len() >= RETRY_QUEUE_MAX || self.bytes + bytes > RETRY_QUEUE_BYTES_MAX;
        if is_much && mail.may_be_missed() {
            return false;
        }
        self.bytes += bytes;
        held.push_back(mail);
        true
    }

    /// Posts what there is room for by now.
    pub(super) fn post(&mut self, cx: &mut Context<'_, PresenceMail>) {
        for (held, to) in self.queues.iter_mut().zip(0..) {
            while let Some(mail) = held.pop_front() {
                let (bytes, latency) = (mail.bytes(), mail.latency());
                if let Err(mail) = cx.post(WorkerId(to), mail, latency) {
                    held.push_front(mail);
                    break;
                }
                self.bytes -= bytes;
            }
        }
    }
}
