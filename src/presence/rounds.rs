//! How often each worker has announced to a home what it knows. What a home keeps of an edge carries the round in which that
//! edge said it last: what carries an older one when an announcement is complete is no more.

/// The rounds of all workers, as a home counts them: each wraps, since everything older is gone by the end of one.
#[derive(Debug)]
pub(crate) struct Rounds(Vec<u8>);

impl Rounds {
    pub(crate) fn new(workers: u16) -> Rounds {
        Rounds(vec![0; usize::from(workers)])
    }

    /// The round of what a worker says now.
    #[inline]
    pub(crate) fn of(&self, worker: u16) -> u8 {
        self.0.get(usize::from(worker)).copied().unwrap_or(0)
    }

    /// A worker begins to say everything anew.
    pub(crate) fn begin(&mut self, worker: u16) {
        if let Some(round) = self.0.get_mut(usize::from(worker)) {
            *round = round.wrapping_add(1);
        }
    }
}
