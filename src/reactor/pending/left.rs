//! Leftovers of the service's calls: connections that it ended, answers to requests that waited, descriptors to watch.

use std::collections::{HashSet, VecDeque};

use crate::reactor::counters::Cause;
use crate::reactor::ids::{ConnId, RequestId};
use crate::reactor::watches::unwatched::Unwatched;
use crate::wire::http::Response;

/// All three, in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// Open connections that the service ended; it has yet to be told that they are gone.
    gone: VecDeque<(ConnId, Cause)>,
    /// `None`: the end of an answer in pieces.
    answers: VecDeque<(RequestId, Option<Response>)>,
    /// Answers in pieces whose ends are among those: looked for with each further piece.
    ended: HashSet<RequestId>,
    /// Descriptors that the service wants watched.
    unwatched: VecDeque<Unwatched>,
}

impl Left {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.answers.is_empty() && self.unwatched.is_empty()
    }

    /// The service has ended a connection.
    pub(crate) fn end(&mut self, id: ConnId, cause: Cause) {
        self.gone.push_back((id, cause));
    }

    /// Takes the first that it ended.
    pub(crate) fn next_gone(&mut self) -> Option<(ConnId, Cause)> {
        self.gone.pop_front()
    }

    /// Takes one that it ended, if that is among them.
    pub(crate) fn take_gone(&mut self, id: ConnId) -> Option<Cause> {
        let at = self.gone.iter().position(|(gone, _)| *gone == id)?;
        self.gone.remove(at).map(|(_, cause)| cause)
    }

    /// The service wants a descriptor watched.
    pub(crate) fn watch(&mut self, unwatched: Unwatched) {
        self.unwatched.push_back(unwatched);
    }

    /// Takes the first that it wants watched.
    pub(crate) fn next_unwatched(&mut self) -> Option<Unwatched> {
        self.unwatched.pop_front()
    }

    /// The service has answered a request.
    pub(crate) fn answer(&mut self, request: RequestId, response: Response) {
        self.answers.push_back((request, Some(response)));
    }

    /// The service has ended an answer in pieces.
    pub(crate) fn end_stream(&mut self, request: RequestId) {
        if self.ended.insert(request) {
            self.answers.push_back((request, None));
        }
    }

    /// Takes the first answer; `None` in it: the end of one in pieces.
    pub(crate) fn next_answer(&mut self) -> Option<(RequestId, Option<Response>)> {
        let next = self.answers.pop_front();
        if let Some((request, None)) = &next {
            self.ended.remove(request);
            self.ended.shrink_to(2 * self.ended.len());
        }
        next
    }

    /// Takes the answer to a request, if that is among them.
    pub(crate) fn take_answer(&mut self, request: RequestId) -> Option<Response> {
        let is_answer =
            |(answered, response): &(RequestId, Option<Response>)| *answered == request && response.is_some();
        let at = self.answers.iter().position(is_answer)?;
        self.answers.remove(at)?.1
    }

    /// Whether the end of an answer in pieces is among them.
    pub(crate) fn has_ended(&self, request: RequestId) -> bool {
        !self.ended.is_empty() && self.ended.contains(&request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_found_until_it_is_taken_and_is_there_once() {
        let mut left = Left::default();
        let request = |serial| RequestId { conn: ConnId::from_bits(7), serial };
        left.end_stream(request(1));
        left.end_stream(request(1));
        left.answer(request(2), Response::text(200, "two"));
        assert!(left.has_ended(request(1)) && !left.has_ended(request(2)), "an answer is no end");
        assert!(left.take_answer(request(1)).is_none() && left.take_answer(request(2)).is_some());
        assert!(matches!(left.next_answer(), Some((taken, None)) if taken == request(1)));
        assert!(!left.has_ended(request(1)) && left.is_empty() && left.ended.capacity() == 0);
    }
}
