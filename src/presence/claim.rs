//! The claim of a token about its user.

use serde::{Deserialize, Serialize};

/// The claim of a connection's token about its user's `info`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Claim {
    /// There is no token.
    NoToken,
    /// Nothing: the user has no `info` by it.
    Nothing,
    /// This, which is JSON.
    Info(Box<str>),
}
