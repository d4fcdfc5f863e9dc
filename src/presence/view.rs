//! The view of a user.

use serde::{Deserialize, Serialize};

use crate::presence::name::Name;

/// How present a user is: the best of the connections.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum State {
    /// No connection, and none within the grace.
    #[default]
    Offline,
    /// Connected, and said that nobody is to see it: `Offline` to all but its own connections and who runs the server.
    Invisible,
    /// Connected, but on every connection a Ping is unanswered.
    Suspect,
    /// Connected, but it said that it is away, or its page stopped answering.
    Away,
    /// Connected.
    Online,
    /// Connected, and said that it is not to be disturbed.
    Busy,
}

impl State {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            State::Offline => "offline",
            State::Invisible => "invisible",
            State::Suspect => "suspect",
            State::Away => "away",
            State::Online => "online",
            State::Busy => "busy",
        }
    }
}

/// Why a connection is gone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Reason {
    /// It was closed; a page that reloads does that.
    Closed,
    /// It was closed for good: its page was logged out. Others are told `closed`.
    Goodbye,
    /// It broke.
    Lost,
    /// Its heartbeat stopped.
    Timeout,
    /// Somebody sent it away.
    Kicked,
    /// Its token is no longer good.
    Expired,
    /// A newer connection of the same user took its place.
    Replaced,
    /// The server goes away.
    Drain,
    /// It may be here: it is invisible, or out of the watcher's sight.
    Hidden,
}

impl Reason {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Closed | Reason::Goodbye => "closed",
            Reason::Lost => "lost",
            Reason::Timeout => "timeout",
            Reason::Kicked => "kicked",
            Reason::Expired => "expired",
            Reason::Replaced => "replaced",
            Reason::Drain => "drain",
            Reason::Hidden => "hidden",
        }
    }

    /// Whether there is no point in waiting for the client to be back.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Reason::Closed | Reason::Lost)
    }
}

/// The state of a user at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct View {
    /// Suspicion included.
    pub state: State,
    /// As seen by those who don't ask for suspicions.
    pub plain: State,
    /// Grows with every change, and never goes back while the server runs, also when the user was forgotten in between or the
    /// machine's clock was set back.
    pub version: u64,
    /// Since when the state is what it is, in Unix milliseconds, and not ahead of the clock; 0 where that is unknown.
    pub since_millis: u64,
    /// When the user was last heard, in Unix milliseconds, and not ahead of the clock; 0 where that is unknown.
    pub last_seen_millis: u64,
    /// Connections, those within their grace counted in.
    pub connections: usize,
    /// Connections of one who is invisible, up to 255: all else is as of one who is offline. 0: it is not invisible.
    pub unseen: u8,
    /// JSON.
    pub info: Option<std::sync::Arc<str>>,
    /// Why the last connection that is gone went.
    pub reason: Option<Reason>,
    /// The rooms that the user is in, sorted, where sight is restricted; `None`: everybody sees the user.
    pub rooms: Option<std::sync::Arc<[Name]>>,
}

impl View {
    /// As the user's own connections see it: `invisible`, where everybody else sees `offline`.
    #[must_use]
    pub fn of_oneself(self) -> View {
        match self.unseen {
            0 => self,
            _ => View { state: State::Invisible, plain: State::Invisible, ..self },
        }
    }
}
