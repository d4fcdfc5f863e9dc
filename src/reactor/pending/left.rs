//! Leftovers of the service's calls: connections that it ended, answers to requests that waited, descriptors to watch.

use std::collections::VecDeque;

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

    /// The service has answered a request, or (`None`) ended an answer in pieces.
    pub(crate) fn answer(&mut self, request: RequestId, response: Option<Response>) {
        self.answers.push_back((request, response));
    }

    /// Takes the first answer.
    pub(crate) fn next_answer(&mut self) -> Option<(RequestId, Option<Response>)> {
        self.answers.pop_front()
    }

    /// Takes the answer to a request, if that is among them.
    pub(crate) fn take_answer(&mut self, request: RequestId) -> Option<Response> {
        let at = self.answers.iter().position(|(answered, _)| *answered == request)?;
        self.answers.remove(at)?.1
    }

    /// Whether the answer to a request, or its end, is among them.
    pub(crate) fn has_answer(&self, request: RequestId) -> bool {
        self.answers.iter().any(|(answered, _)| *answered == request)
    }
}
