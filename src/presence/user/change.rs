//! A change that a user's watchers may see.

/// A change beside that of the connections.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Change {
    /// The rooms that the user is in.
    pub(super) moved: bool,
}
