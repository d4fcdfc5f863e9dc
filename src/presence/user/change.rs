//! What a user's watchers may see new.

/// What is new beside the connections.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Change {
    /// The rooms that the user is in.
    pub(super) moved: bool,
}
