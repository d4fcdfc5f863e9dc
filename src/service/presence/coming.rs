//! The findings about a client that asks to come in.

use crate::presence::{Entry, State};
use crate::session::SessionKey;

/// The refusal for a page of another origin.
pub(crate) const FOREIGN_ORIGIN: &str = "this origin may not connect; see --origin";

/// As whom a client that was admitted comes in.
#[derive(Debug)]
pub struct Coming {
    pub(super) entry: Entry,
    pub(super) state: Option<State>,
    pub(super) is_version_1: bool,
    /// The session that its WebSocket is to carry.
    pub(super) session: Option<SessionKey>,
    /// It takes bytes as they are.
    pub(super) takes_bytes: bool,
}
