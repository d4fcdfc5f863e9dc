//! Answers that several homes have a part in: the views of many users, a page of a room.
//!
//! A view that arrives may be newer than what other answers of the same client have already: each is looked up by name, and a
//! client has [`REPLIES_PER_CONNECTION_MAX`](crate::limits::REPLIES_PER_CONNECTION_MAX) of them at most, so that a view costs
//! the same however much was asked for.

use crate::presence::draft::Draft;
use crate::presence::message::ClientId;
use crate::presence::name::Homes;
use crate::presence::view::View;
use crate::presence::views::Views;
use crate::slots::Slots;

/// The kind of answer that is put together.
#[derive(Debug)]
pub(crate) enum ReplyKind {
    /// `watch`, with suspicions or without.
    Watch { suspect: bool },
    /// `presence`.
    Presence,
    /// `who`; the page comes first, and says whose views are wanted.
    Who(Box<Draft>),
}

/// One answer in the making.
#[derive(Debug)]
pub(crate) struct PendingReply {
    pub(crate) client: ClientId,
    pub(crate) seq: i64,
    /// Set by [`PendingReplies::begin`].
    pub(crate) serial: u32,
    pub(crate) purpose: ReplyKind,
    pub(crate) views: Views,
    /// Parts that have not come.
    pub(crate) left: usize,
    /// Some home could not be asked.
    pub(crate) refused: bool,
}

/// All answers in the making, of one edge.
#[derive(Debug)]
pub(crate) struct PendingReplies {
    homes: Homes,
    pending_replies: Slots<PendingReply>,
    last_serial: u32,
}

impl PendingReplies {
    pub(crate) fn new(homes: Homes) -> PendingReplies {
        PendingReplies { homes, pending_replies: Slots::default(), last_serial: 0 }
    }

    #[expect(clippy::cast_possible_truncation, reason = "bounded by the commands that mailboxes hold")]
    pub(crate) fn begin(&mut self, pending_reply: PendingReply) -> u32 {
        self.last_serial = self.last_serial.wrapping_add(1);
        self.pending_replies.insert(PendingReply { serial: self.last_serial, ..pending_reply }) as u32
    }

    /// The serial that tells an answer in the making from an earlier one in its slot.
    pub(crate) fn serial(&self, id: u32) -> u32 {
        self.pending_replies.get(id as usize).map_or(0, |pending_reply| pending_reply.serial)
    }

    /// Whether an answer is still in the making.
    pub(crate) fn has(&self, id: u32, serial: u32) -> bool {
        self.pending_replies.get(id as usize).is_some_and(|pending_reply| pending_reply.serial == serial)
    }

    /// Answers that may wait for a home.
    #[expect(clippy::cast_possible_truncation, reason = "as in `begin`")]
    pub(crate) fn of_home(&self, home: u16) -> Vec<u32> {
        let homes = self.homes;
        let waits = |pending_reply: &PendingReply| match &pending_reply.purpose {
            ReplyKind::Who(draft) if !draft.has_page() => homes.of(draft.room()) == home,
            _ => pending_reply.views.lacking().iter().any(|(user, _)| homes.of(user) == home),
        };
        let ids = self
            .pending_replies
            .iter()
            .filter(|(_, pending_reply)| waits(pending_reply))
            .map(|(id, _)| id as u32);
        ids.collect()
    }

    pub(crate) fn shrink(&mut self) {
        self.pending_replies.shrink();
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut PendingReply> {
        self.pending_replies.get_mut(id as usize)
    }

    /// A part has come, or can't (`None`).
    pub(crate) fn part(&mut self, id: u32, index: u32, view: Option<View>) {
        let Some(pending_reply) = self.pending_replies.get_mut(id as usize) else { return };
        pending_reply.left = pending_reply.left.saturating_sub(1);
        pending_reply.refused |= !view.is_some_and(|view| pending_reply.views.put(index, view));
    }

    /// Takes a reply out that needs no more parts.
    pub(crate) fn end(&mut self, id: u32) -> Option<PendingReply> {
        self.pending_replies.try_remove(id as usize)
    }

    /// There is a newer view of a user: answers that are still in the making, and have an older one, get it.
    pub(crate) fn renew(&mut self, ids: &[u32], user: &str, view: &View) {
        let hash = self.homes.hash(user);
        for id in ids {
            let Some(pending_reply) = self.pending_replies.get_mut(*id as usize) else { continue };
            pending_reply.views.renew(hash, user, view);
        }
    }

    /// Whether one of these is for a watch of that user.
    pub(crate) fn watch(&self, ids: &[u32], user: &str) -> bool {
        let hash = self.homes.hash(user);
        ids.iter().filter_map(|id| self.pending_replies.get(*id as usize)).any(|pending_reply| {
            matches!(pending_reply.purpose, ReplyKind::Watch { .. })
                && pending_reply.views.asks_for(hash, user)
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.pending_replies.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::name::Name;

    #[test]
    fn a_newer_view_reaches_every_answer_that_has_an_older_one() {
        let homes = Homes::new(3, 7);
        let names: Vec<String> = (0..200).map(|n| format!("u{n}")).collect();
        let mut pending_replies = PendingReplies::new(homes);
        let mut begin = |names: &[String]| {
            let views = Views::new(homes, names.iter(), |user| Name::from(&**user));
            let (client, left) = (ClientId { slot: 0, serial: 0 }, views.len());
            let purpose = ReplyKind::Watch { suspect: false };
            pending_replies.begin(PendingReply {
                client,
                seq: 1,
                serial: 0,
                purpose,
                views,
                left,
                refused: false,
            })
        };
        let (long, short) = (begin(&names), begin(&names[..3]));
        let view = |version| View { version, ..View::default() };
        pending_replies.part(long, 2, Some(view(1)));
        pending_replies.renew(&[long, short], "u2", &view(2));
        pending_replies.renew(&[long, short], "stranger", &view(3));
        let shown = |pending_replies: &mut PendingReplies, id| {
            pending_replies.end(id).unwrap().views.into_asked()[2].1.clone()
        };
        assert!(pending_replies.watch(&[long], "u199") && !pending_replies.watch(&[short], "u199"));
        assert_eq!(shown(&mut pending_replies, long), Some(view(2)));
        assert_eq!(shown(&mut pending_replies, short), None, "what has not come yet comes newer than that");
    }
}
