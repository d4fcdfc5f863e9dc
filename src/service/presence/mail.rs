//! Letters to other workers: what each weighs, how soon it has to be there, and those that wait here since a mailbox has no room
//! for them.

use std::collections::VecDeque;

use crate::limits::{HELD_BACK_BYTES_MAX, HELD_BACK_MAX};
use crate::presence::envelope::Claim;
use crate::presence::{Envelope, Name, Reason, SharedEvent, View};
use crate::reactor::{Context, Haste, Mail, WorkerId};

/// The letters between workers.
pub type Letter = Envelope;

impl Mail for Letter {
    fn bytes(&self) -> usize {
        let event = |event: &Option<SharedEvent>| event.as_ref().map_or(0, SharedEvent::bytes);
        match self {
            Envelope::Status { user, info, .. } => user.len() + info.as_ref().map_or(0, |info| info.len()),
            Envelope::Tell { user, data, within, .. } => {
                user.len() + data.len() + within.as_ref().map_or(0, |rooms| size_of_val(&**rooms))
            }
            Envelope::Say { room, data, .. } => room.len() + data.len(),
            Envelope::Place { user, room, .. }
            | Envelope::Join { user, room, .. }
            | Envelope::Leave { user, room, .. }
            | Envelope::Bring { user, room, .. } => user.len() + room.len(),
            Envelope::Kick { user, reason, .. } => user.len() + reason.len(),
            Envelope::Up { user, claim, .. } | Envelope::Renewed { user, claim, .. } => {
                user.len() + of_claim(claim)
            }
            Envelope::Down { user, .. }
            | Envelope::Silent { user, .. }
            | Envelope::Suspect { user, .. }
            | Envelope::Watch { user, .. }
            | Envelope::Unwatch { user, .. }
            | Envelope::Look { user, .. } => user.len(),
            Envelope::Moderate { what, .. } => what.bytes(),
            Envelope::Veil(what) => what.bytes(),
            Envelope::Announce(what) => what.bytes(),
            Envelope::List { room, .. } | Envelope::Bid { room, .. } => room.len(),
            Envelope::Told { event, .. } | Envelope::Broadcast { event, .. } => event.bytes(),
            Envelope::Deliver { room, event, .. } => room.len() + event.bytes(),
            Envelope::Changed { user, view, plain, full } => {
                user.len() + of_view(view) + event(plain) + event(full)
            }
            Envelope::Seen { user, view, .. } => user.len() + of_view(view),
            Envelope::UsersListed { part, .. } => {
                let rows = part.rows.iter().map(|(user, view)| user.len() + of_view(view));
                size_of_val(&*part.rows) + rows.sum::<usize>()
            }
            Envelope::RoomsListed { part, .. } => {
                size_of_val(&*part.rows) + part.rows.iter().map(|(room, _)| room.len()).sum::<usize>()
            }
            Envelope::Listed { page, .. } => of_names(&page.users),
            Envelope::Evict { words, .. } => words.as_ref().map_or(0, |words| words.len()),
            Envelope::ListUsers { .. } | Envelope::ListRooms { .. } | Envelope::Answered { .. } => 0,
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

/// Who is dead or suspected, and what watchers see change, is told within a tick, but not more often than that: after a mass
/// death there are thousands of such letters, between all workers, each a small piece of work. Who comes, or closes and may
/// be back in a moment at another worker, is not kept waiting.
pub(super) fn haste(letter: &Letter) -> Haste {
    match letter {
        Envelope::Down { reason: Reason::Timeout, .. }
        | Envelope::Suspect { .. }
        | Envelope::Changed { .. }
        | Envelope::Unwatch { .. } => Haste::Patient,
        _ => Haste::Urgent,
    }
}

/// Letters that mailboxes had no room for, in order.
#[derive(Debug)]
pub(super) struct HeldBack {
    /// By worker.
    pub(super) queues: Vec<VecDeque<Letter>>,
    /// Bytes of all of them.
    pub(super) bytes: usize,
}

impl HeldBack {
    pub(super) fn new(workers: usize) -> HeldBack {
        HeldBack { queues: (0..workers).map(|_| VecDeque::new()).collect(), bytes: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    /// Bytes of heap.
    pub(super) fn bytes(&self) -> usize {
        self.queues.iter().map(VecDeque::capacity).sum::<usize>() * size_of::<Letter>() + self.bytes
    }

    pub(super) fn give_back(&mut self) {
        self.queues.iter_mut().filter(|held| held.is_empty()).for_each(|held| *held = VecDeque::new());
    }

    /// Keeps a letter behind the others for that worker. Says whether it did: what may be missed is dropped where much is held.
    pub(super) fn keep(&mut self, to: u16, letter: Letter) -> bool {
        let held = &mut self.queues[usize::from(to)];
        let bytes = letter.bytes();
        let is_much = held.len() >= HELD_BACK_MAX || self.bytes + bytes > HELD_BACK_BYTES_MAX;
        if is_much && matches!(letter, Envelope::Deliver { .. } | Envelope::Broadcast { .. }) {
            return false;
        }
        self.bytes += bytes;
        held.push_back(letter);
        true
    }

    /// Posts what there is room for by now.
    pub(super) fn post(&mut self, cx: &mut Context<'_, Letter>) {
        for (held, to) in self.queues.iter_mut().zip(0..) {
            while let Some(letter) = held.pop_front() {
                let (bytes, haste) = (letter.bytes(), haste(&letter));
                if let Err(letter) = cx.post(WorkerId(to), letter, haste) {
                    held.push_front(letter);
                    break;
                }
                self.bytes -= bytes;
            }
        }
    }
}
