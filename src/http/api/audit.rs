//! The audit log of the API: each write, who asked for it, from where and what came of it; and requests that were refused, a few
//! in a second. No line has a key or the `data` of a message in it. Names and paths are fields, which the log quotes: no
//! character of them ends a line or begins a field.

use tracing::info;

use crate::http::api::guard::Caller;
use crate::limits::{AUDIT_PATH_BYTES_MAX, AUDIT_REFUSALS_PER_SECOND};
use crate::presence::Name;
use crate::presence::admin::AdminRequest;
use crate::reactor::Context;
use crate::time::{Now, Tick, ticks};
use crate::wire::http::Head;

/// A request that changes something, until it is known what came of it.
#[derive(Debug)]
pub(crate) struct Write {
    caller: Caller,
    origin: CallerOrigin,
    user: Option<Name>,
    room: Option<Name>,
    /// How long a ban lasts, in seconds.
    seconds: Option<u32>,
}

impl Write {
    /// `None` where the request's method only reads.
    pub(crate) fn of<M>(cx: &Context<'_, M>, caller: Caller, head: &Head<'_>) -> Option<Write> {
        let reads = matches!(head.method, "GET" | "HEAD" | "OPTIONS");
        let origin = || CallerOrigin::of(cx, head);
        (!reads).then(|| Write { caller, origin: origin(), user: None, room: None, seconds: None })
    }

    /// The same, with the user and the room that it is about, and how long it bans.
    pub(crate) fn to(self, ask: &AdminRequest) -> Write {
        let (user, room) = match ask {
            AdminRequest::Tell { user, .. }
            | AdminRequest::Disconnect { user, .. }
            | AdminRequest::DeleteUser { user } => (Some(user), None),
            AdminRequest::Say { room, .. } | AdminRequest::DeleteRoom { room } => (None, Some(room)),
            AdminRequest::ForceJoin { user, room, .. } | AdminRequest::Ban { user, room, .. } => {
                (Some(user), Some(room))
            }
            AdminRequest::Lift { user, room } => (Some(user), room.as_ref()),
            _ => (None, None),
        };
        let seconds = match ask {
            AdminRequest::Disconnect { seconds, .. } => *seconds,
            AdminRequest::Ban { seconds, .. } => Some(*seconds),
            _ => None,
        };
        Write { user: user.cloned(), room: room.cloned(), seconds, ..self }
    }

    /// The line of the log, now that it is answered.
    pub(crate) fn log(&self, status: u16) {
        let CallerOrigin { from, method, path } = &self.origin;
        let (user, room) = (self.user.as_deref(), self.room.as_deref());
        info!(by = %self.caller, from, method, path, user, room, "for" = self.seconds, status, "api write");
    }
}

/// The origin of a request, and what it asks for.
#[derive(Debug)]
struct CallerOrigin {
    from: String,
    method: String,
    path: String,
}

impl CallerOrigin {
    fn of<M>(cx: &Context<'_, M>, head: &Head<'_>) -> CallerOrigin {
        // A Unix socket has no address, and a peer has none any more that has reset its connection.
        let from =
            cx.addressing().requester().map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        CallerOrigin { from, method: cut(head.method), path: cut(head.path()) }
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(AUDIT_PATH_BYTES_MAX)].to_owned()
}

/// Requests that were refused: the first few of a second are logged, the others counted.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// The second that `logged` is of.
    second: u64,
    logged: u64,
    suppressed: u64,
}

impl Refusals {
    /// A request was refused with 401 or 403.
    pub(crate) fn note<M>(&mut self, cx: &Context<'_, M>, head: &Head<'_>, status: u16) {
        if self.is_logged(second(cx.now())) {
            let CallerOrigin { from, method, path } = CallerOrigin::of(cx, head);
            info!(from, method, path, status, "api refused");
        }
    }

    /// Tells how many were not logged, once their second is over. Returns when to call again.
    #[inline]
    pub(crate) fn tick(&mut self, now: Now) -> Option<Tick> {
        if self.suppressed == 0 {
            return None;
        }
        if let Some(suppressed) = self.take_suppressed(second(now)) {
            info!(suppressed, "api refused further requests");
        }
        let second = std::time::Duration::from_secs(1);
        (self.suppressed > 0).then(|| now.tick.after(ticks(second)))
    }

    fn is_logged(&mut self, second: u64) -> bool {
        if self.second != second {
            (self.second, self.logged) = (second, 0);
        }
        let logged = self.logged < AUDIT_REFUSALS_PER_SECOND;
        if logged {
            self.logged += 1;
        } else {
            self.suppressed += 1;
        }
        logged
    }

    fn take_suppressed(&mut self, second: u64) -> Option<u64> {
        (self.suppressed > 0 && self.second != second).then(|| std::mem::take(&mut self.suppressed))
    }
}

fn second(now: Now) -> u64 {
    now.micros / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_a_second_are_logged_up_to_a_bound_and_then_counted() {
        let mut refusals = Refusals::default();
        for second in [7, 8] {
            let logged = (0..100).filter(|_| refusals.is_logged(second)).count() as u64;
            assert_eq!(logged, AUDIT_REFUSALS_PER_SECOND);
            assert_eq!(refusals.take_suppressed(second), None, "the second is not over");
        }
        assert_eq!(refusals.take_suppressed(9), Some(200 - 2 * AUDIT_REFUSALS_PER_SECOND));
        assert_eq!(refusals.take_suppressed(10), None);
    }

    #[test]
    fn long_paths_are_cut_between_characters() {
        assert_eq!(cut("/api"), "/api");
        let long = "ä".repeat(AUDIT_PATH_BYTES_MAX);
        assert!(cut(&format!("/{long}")).len() < AUDIT_PATH_BYTES_MAX);
    }
}
