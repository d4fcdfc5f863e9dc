//! What a token says of its user.

use serde::{Deserialize, Serialize};

/// What a connection's token says of its user's `info`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Claim {
    /// There is no token.
    NoToken,
    /// Nothing: the user has no `info` by it.
    Nothing,
    /// This, which is JSON.
    Info(Box<str>),
}
