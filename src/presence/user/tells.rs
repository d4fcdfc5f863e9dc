//! Messages to users with several connections, until the edges have said which of these took them.
//!
//! A user with one connection, at the home's own worker, needs no entry: its edge answers who tells. Every part comes, since a
//! message to an edge that is not taken is a part too, or is [failed](Tells::fail): so there are as many entries as messages on their
//! way.

use std::collections::HashMap;

use crate::presence::message::{ClientId, ClientRef, HomeAnswer, ReplyTo, RequestRef};

/// Stands for the home where a client is named, in an edge's answer: no client has that slot, and the number is that of the
/// edge's worker.
const fn home(edge: u16) -> ClientId {
    ClientId { slot: u32::MAX, serial: edge as u32 }
}

#[derive(Debug)]
struct Tell {
    reply_to: ReplyTo,
    /// Edges, with their connections that have not said what came of it.
    left: Vec<(u16, usize)>,
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

    /// A message goes out to connections at these edges, each named as often as it has one. Returns to whom each of these is to
    /// be answered.
    pub(crate) fn begin(&mut self, reply_to: ReplyTo, edges: &[u16]) -> impl Fn(u16) -> ReplyTo + use<> {
        let (worker, is_direct) = (self.worker, edges == [self.worker]);
        if !is_direct {
            self.next = self.next.wrapping_add(1).max(1);
            let mut left: Vec<(u16, usize)> = Vec::new();
            for edge in edges {
                match left.iter_mut().find(|(at, _)| at == edge) {
                    Some((_, connections)) => *connections += 1,
                    None => left.push((*edge, 1)),
                }
            }
            self.tells.insert(self.next, Tell { reply_to, left, to: 0, without: 0 });
        }
        let tell = self.next;
        move |edge| match is_direct {
            true => reply_to,
            false => ReplyTo { at: ClientRef::here(worker, home(edge)), request: RequestRef::Tell { tell } },
        }
    }

    /// The address for a message that is answered already: nobody is told.
    pub(crate) fn unanswered(&self) -> ReplyTo {
        let at = ClientRef::here(self.worker, home(0));
        ReplyTo { at, request: RequestRef::Tell { tell: 0 } }
    }

    /// Counts what came of it at one connection of an edge. After the last one, returns who waits for it, and the
    /// answer.
    pub(crate) fn part(
        &mut self,
        (tell, edge): (u32, u32),
        to: usize,
        without: usize,
    ) -> Option<(ReplyTo, HomeAnswer)> {
        let waiting = self.tells.get_mut(&tell)?;
        let at = waiting.left.iter().position(|(at, _)| u32::from(*at) == edge)?;
        waiting.left[at].1 -= 1;
        if waiting.left[at].1 == 0 {
            waiting.left.swap_remove(at);
        }
        waiting.to = waiting.to.saturating_add(to);
        waiting.without = waiting.without.saturating_add(without);
        waiting.left.is_empty().then(|| self.end(tell)).flatten()
    }

    fn end(&mut self, tell: u32) -> Option<(ReplyTo, HomeAnswer)> {
        let Tell { reply_to, to, without, .. } = self.tells.remove(&tell)?;
        Some((reply_to, HomeAnswer::Told { to, without }))
    }

    /// The outcome of messages at an edge, or at all, will not be known: they count as connections without room. Returns the
    /// answers that follow.
    pub(crate) fn fail(&mut self, edge: Option<u16>) -> Vec<(ReplyTo, HomeAnswer)> {
        let mut over = Vec::new();
        for (tell, waiting) in &mut self.tells {
            let is_lost = |(at, _): &(u16, usize)| edge.is_none_or(|edge| edge == *at);
            let lost: usize =
                waiting.left.iter().filter(|left| is_lost(left)).map(|(_, connections)| connections).sum();
            waiting.left.retain(|left| !is_lost(left));
            waiting.without += lost;
            if lost > 0 && waiting.left.is_empty() {
                over.push(*tell);
            }
        }
        over.sort_unstable();
        over.into_iter().filter_map(|tell| self.end(tell)).collect()
    }

    /// Messages that are on their way.
    pub(crate) fn len(&self) -> usize {
        self.tells.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: ReplyTo =
        ReplyTo { at: ClientRef::here(2, ClientId { slot: 7, serial: 1 }), request: RequestRef::Command(5) };

    #[test]
    fn the_last_part_answers_with_the_sum() {
        let mut tells = Tells::new(1);
        let reply_to = tells.begin(ANN, &[2, 1, 2]);
        assert_eq!((reply_to(2).at.worker, reply_to(2).at.client.serial), (1, 2));
        let RequestRef::Tell { tell } = reply_to(1).request else { panic!() };
        assert_eq!(tells.part((tell, 2), 1, 0), None);
        assert_eq!(tells.part((tell, 7), 1, 0), None, "that edge has no part in it");
        assert_eq!(tells.part((tell, 1), 0, 0), None);
        assert_eq!(tells.part((tell, 2), 0, 1), Some((ANN, HomeAnswer::Told { to: 1, without: 1 })));
        assert_eq!((tells.part((tell, 2), 1, 0), tells.len()), (None, 0));
    }

    #[test]
    fn one_connection_at_the_home_answers_who_tells() {
        let mut tells = Tells::new(1);
        assert_eq!((tells.begin(ANN, &[1])(1), tells.len()), (ANN, 0));
        assert_ne!((tells.begin(ANN, &[2])(2), tells.len()), (ANN, 0), "another edge may be lost");
    }

    #[test]
    fn what_is_lost_with_an_edge_counts_as_without_room() {
        let mut tells = Tells::new(1);
        let reply_to = tells.begin(ANN, &[2, 3, 2]);
        let RequestRef::Tell { tell } = reply_to(1).request else { panic!() };
        assert_eq!((tells.fail(Some(1)), tells.fail(Some(2))), (Vec::new(), Vec::new()));
        assert_eq!(tells.part((tell, 2), 1, 0), None, "late");
        assert_eq!(tells.part((tell, 3), 1, 0), Some((ANN, HomeAnswer::Told { to: 1, without: 2 })));
        let _ = tells.begin(ANN, &[2, 3]);
        assert_eq!(tells.fail(None), [(ANN, HomeAnswer::Told { to: 0, without: 2 })]);
        assert_eq!(tells.len(), 0);
    }
}
