//! What becomes of a request after its turn: the answer that came later, or the time that was up.

use crate::conn::requests::RequestDue;
use crate::conn::{AtEnd, Conn};
use crate::reactor::counters::Cause;
use crate::reactor::ids::{ConnId, RequestId};
use crate::reactor::request::method_of;
use crate::reactor::service::Service;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;
use crate::wire::http::{Fields, Head, Refusal, Response};

impl<N: Net, S: Service> Worker<N, S> {
    /// An answer that came later.
    pub(crate) fn answer(&mut self, request: RequestId, response: Response) {
        let id = request.conn;
        let waiting = self.core.get_mut(id).and_then(|conn| conn.take_waiting(request.serial));
        let Some(manner) = waiting else { return };
        self.respond(id, response, manner);
        // What came behind the request is served in the next turn.
        self.list(id);
    }

    /// A request, its answer or the next request has been waited for long enough.
    pub(crate) fn request_due(&mut self, id: ConnId) {
        let asked_at = self.service_called;
        let Some(conn) = self.core.get_mut(id) else { return };
        match conn.request_due(asked_at) {
            RequestDue::Nothing => {}
            RequestDue::Gone => self.remove(id, Cause::Timeout),
            RequestDue::Unanswered(manner) => {
                let response = Response::text(503, "the answer took too long").with("Retry-After", "1");
                self.respond(id, response, manner);
                self.list(id);
            }
            RequestDue::Half => {
                let method = method_of(conn.request_bytes());
                self.refuse(id, method, &Refusal { status: 408, reason: "the request took too long" });
            }
        }
    }

    /// Refuses a request of which not all has come, in the service's words where its head has, and ends the connection: the client
    /// may come back with it.
    pub(crate) fn refuse_half(&mut self, id: ConnId, refusal: &Refusal) {
        let Some(Some(http)) = self.core.get_mut(id).and_then(Conn::take_requests) else { return };
        let mut fields = Fields::new();
        let response = match Head::parse(http.judged_head(), &mut fields) {
            Ok(head) => self.service.refusal(&head, refusal),
            Err(_) => Response::refusal(refusal),
        };
        let has_time = response.fields.iter().any(|(name, _)| *name == "Retry-After");
        let seconds = self.core.retry_millis().div_ceil(1000);
        let response = if has_time { response } else { response.with("Retry-After", seconds.to_string()) };
        self.refuse_with(id, method_of(http.bytes()), response);
    }

    /// The client has ended its stream: what it asked for is still answered.
    pub(crate) fn http_end(&mut self, id: ConnId) {
        let end = self.core.now.tick.after(self.core.timing.close);
        let Some(conn) = self.core.get_mut(id) else { return };
        match conn.end_requests(end) {
            AtEnd::Answers => {}
            AtEnd::Gone => self.remove(id, Cause::Closed),
            AtEnd::Writes => self.core.arm(id),
        }
    }
}
