//! What rooms keep of what was said: read by members, and by who runs the server.

use crate::presence::message::{HomeAnswer, Message, ReplyTo};
use crate::presence::name::Name;
use crate::presence::past::{HistoryFrom, HistoryPage};
use crate::presence::room::Rooms;
use crate::presence::turn::Turn;

impl Rooms {
    /// A part of what was said.
    pub(crate) fn history(
        &self,
        (room, user): (&str, Option<&str>),
        _from: HistoryFrom,
        _most: (u32, u32),
        reply_to: ReplyTo,
        turn: &mut Turn<'_>,
    ) {
        let answer = match self.get(room) {
            _ if user.is_some_and(|user| self.is_banned(turn.now, room, user)) => {
                HomeAnswer::Barred(room.into(), None)
            }
            None => HomeAnswer::NoRoom,
            Some(home) => HomeAnswer::History(Some(Box::new(HistoryPage {
                room: home.name.clone(),
                epoch: home.epoch,
                first: home.offset + 1,
                last: home.offset,
                messages: Vec::new(),
            }))),
        };
        turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
    }

    /// A room ends.
    pub(crate) fn delete(&self, _room: &Name, reply_to: Option<ReplyTo>, turn: &mut Turn<'_>) {
        if let Some(reply_to) = reply_to {
            turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer: HomeAnswer::NoRoom });
        }
    }

    /// What a user said is deleted.
    pub(crate) fn erase(&self, _user: &Name, reply_to: Option<ReplyTo>, turn: &mut Turn<'_>) {
        if let Some(reply_to) = reply_to {
            let answer = HomeAnswer::Erased { messages: 0 };
            turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
        }
    }
}
