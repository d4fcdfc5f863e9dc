//! The calls to the program that presence is a part of.

use std::sync::Arc;

use serde::de::IgnoredAny;

use crate::presence::{Command, CommandRefusal};
use crate::protocol::rollcall_v1;
use crate::reactor::{ConnId, Context};
use crate::service::presence::hooks::{Hooked, Hooks};
use crate::service::presence::{Presence, PresenceMail};

/// A command as it was read, with its `seq`.
type ReadCommand<'a> = Result<(i64, Command<'a>), (i64, CommandRefusal)>;

impl Presence {
    /// The same with a say for the program that it is a part of.
    #[must_use]
    pub fn with_hooks(self, hooks: Arc<dyn Hooks>) -> Presence {
        Presence { hooks: Hooked(Some(hooks)), ..self }
    }

    /// Does a client's command.
    pub(super) fn command(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        slot: u32,
        text: &str,
    ) {
        let read = rollcall_v1::decode(text);
        let read = match self.hooks.0.clone() {
            None => Some(read),
            Some(hooks) => self.judged(&*hooks, cx, (conn, slot), (read, text)),
        };
        if let Some(read) = read {
            self.node.command(cx.now(), slot, read, text.len());
        }
    }

    /// A command as the program will have it; `None` where that has answered it.
    fn judged<'a>(
        &mut self,
        hooks: &dyn Hooks,
        cx: &mut Context<'_, PresenceMail>,
        (conn, slot): (ConnId, u32),
        (read, text): (ReadCommand<'a>, &str),
    ) -> Option<ReadCommand<'a>> {
        match read {
            Ok((seq, Command::Join { room, since })) => {
                let user = self.node.edge().user(slot).map(|user| &**user);
                let judged = hooks.may_join(user, &room);
                let not_allowed = |words: String| (seq, CommandRefusal::NotAllowed(words.into()));
                Some(judged.map(|()| (seq, Command::Join { room, since })).map_err(not_allowed))
            }
            // What was said is for members, and for those who may join.
            Ok((seq, Command::History { room, from, limit })) => {
                let edge = self.node.edge();
                let user = edge.user(slot).map(|user| &**user);
                if edge.is_in(slot, &room) || hooks.may_join(user, &room).is_ok() {
                    Some(Ok((seq, Command::History { room, from, limit })))
                } else {
                    Some(Err((seq, CommandRefusal::NoRoom)))
                }
            }
            Err((seq, why)) => {
                let Some((name, params)) = rollcall_v1::foreign(text) else { return Some(Err((seq, why))) };
                if let Err(why) = self.node.may_ask(cx.now(), slot) {
                    return Some(Err((seq, why)));
                }
                let user = self.node.edge().user(slot).map(|user| &**user);
                match hooks.command(user, &name, params) {
                    None => Some(Err((seq, why))),
                    Some(Err(words)) => Some(Err((seq, CommandRefusal::NotAllowed(words.into())))),
                    Some(Ok(data)) if serde_json::from_str::<IgnoredAny>(&data).is_ok() => {
                        self.send_own(cx, conn, &rollcall_v1::answer(seq, &data));
                        None
                    }
                    Some(Ok(_)) => {
                        tracing::warn!(
                            command = &*name,
                            "the program's own command was answered by what is no JSON"
                        );
                        Some(Err((seq, CommandRefusal::Busy)))
                    }
                }
            }
            read => Some(read),
        }
    }
}
