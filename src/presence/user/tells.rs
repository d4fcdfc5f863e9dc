//! Messages to users with several connections, until the edges have said which of these took them.
//!
//! A user with one connection needs no entry: its edge answers who tells. Every part comes, since a letter to an edge that is not
//! taken is a part too; so there are as many entries as messages on their way.

use std::collections::HashMap;

use crate::presence::envelope::{Address, Answer, Asker, Client, Ticket};

/// What stands for the home where a client is named: no client has that slot.
const HOME: Client = Client { slot: u32::MAX, serial: 0 };

#[derive(Debug)]
struct Tell {
    asker: Asker,
    /// Connections that have not said what came of it.
    left: usize,
    to: usize,
    without: usize,
}

/// The messages of one home that are on their way.
#[derive(Debug)]
pub(crate) struct Tells {
    worker: u16,
    tells: HashMap<u32, Tell>,
    next: u32,
}

impl Tells {
    pub(crate) fn new(worker: u16) -> Tells {
        Tells { worker, tells: HashMap::new(), next: 0 }
    }

    /// A message goes out to so many connections. Returns to whom each of these is to be answered.
    pub(crate) fn begin(&mut self, asker: Asker, connections: usize) -> Asker {
        if connections == 1 {
            return asker;
        }
        self.next = self.next.wrapping_add(1).max(1);
        self.tells.insert(self.next, Tell { asker, left: connections, to: 0, without: 0 });
        let at = Address::here(self.worker, HOME);
        Asker { at, ticket: Ticket::Tell { tell: self.next } }
    }

    /// Who is told what came of a message that is answered already: nobody.
    pub(crate) fn unanswered(&self) -> Asker {
        let at = Address::here(self.worker, HOME);
        Asker { at, ticket: Ticket::Tell { tell: 0 } }
    }

    /// What came of it at one connection. After the last one, returns who waits for it, and the answer.
    pub(crate) fn part(&mut self, tell: u32, to: usize, without: usize) -> Option<(Asker, Answer)> {
        let waiting = self.tells.get_mut(&tell)?;
        waiting.left -= 1;
        waiting.to = waiting.to.saturating_add(to);
        waiting.without = waiting.without.saturating_add(without);
        if waiting.left > 0 {
            return None;
        }
        let Tell { asker, to, without, .. } = self.tells.remove(&tell)?;
        Some((asker, Answer::Told { to, without }))
    }

    /// Messages that are on their way.
    pub(crate) fn len(&self) -> usize {
        self.tells.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Asker =
        Asker { at: Address::here(2, Client { slot: 7, serial: 1 }), ticket: Ticket::Command(5) };

    #[test]
    fn the_last_part_answers_with_the_sum() {
        let mut tells = Tells::new(1);
        let first = tells.begin(ANN, 3);
        assert_eq!(first.at.worker, 1);
        let Ticket::Tell { tell } = first.ticket else { panic!("{first:?}") };
        assert_eq!(tells.part(tell, 1, 0), None);
        assert_eq!(tells.part(tell, 0, 0), None);
        assert_eq!(tells.part(tell, 0, 1), Some((ANN, Answer::Told { to: 1, without: 1 })));
        assert_eq!((tells.part(tell, 1, 0), tells.len()), (None, 0));
    }

    #[test]
    fn one_connection_answers_who_tells() {
        let mut tells = Tells::new(1);
        assert_eq!((tells.begin(ANN, 1), tells.len()), (ANN, 0));
    }
}
