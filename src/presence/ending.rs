//! Why clients are closed for good.

use std::sync::Arc;

/// Why a client is closed. How that is said is a codec's business.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It sends more than it may, and goes on with that.
    Flooding,
    /// A newer connection of its user has taken its place.
    Replaced,
    /// Somebody sent it away, with these words if any.
    Kicked(Option<Arc<str>>),
    /// Its token has ended.
    Expired,
    /// It showed no token in time.
    NoToken,
    /// The token that it had to show is bad.
    BadToken,
    /// Nobody knows yet whether the token that it had to show is good: it may come back with it.
    UnknownToken,
}
