//! How far an edge has come with what it tells homes anew.

use std::collections::VecDeque;

/// An announcement on its way.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) home: u16,
    /// Clients are done with, and those who are watched come.
    pub(crate) watches: bool,
    /// The slot that comes next.
    pub(crate) next: usize,
}

/// Announcements on their way, one behind the other: one for each home at most.
#[derive(Debug, Default)]
pub(crate) struct Announcing(pub(crate) VecDeque<Progress>);
