//! What becomes of a request after its turn: the answer that came later, or the time that was up.

use std::mem;

use crate::conn::{Life, Protocol};
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
        let Some(conn) = self.core.get_mut(id) else { return };
        let Protocol::Http(Some(http)) = &mut conn.protocol else { return };
        let Some(waiting) = http.progress.waiting.take_if(|waiting| waiting.serial == request.serial) else {
            return;
        };
        self.respond(id, response, waiting.manner);
        // What came behind the request is served in the next turn.
        self.list(id);
    }

    /// A request, its answer or the next request has been waited for long enough.
    pub(crate) fn request_due(&mut self, id: ConnId) {
        let Some(conn) = self.core.get_mut(id) else { return };
        let at = conn.deadline();
        let Protocol::Http(held) = &mut conn.protocol else { return };
        match held {
            // It came in time, and waits for its share of a turn.
            Some(http) if http.is_put_off() => {}
            // The server may be what was late, and the service about to answer in this very turn: it goes first.
            Some(http) if http.progress.waiting.is_some() && !self.service_called.has_reached(at) => {}
            None => self.remove(id, Cause::Timeout),
            Some(http) => match http.progress.waiting.take() {
                Some(waiting) => {
                    let response = Response::text(503, "the answer took too long").with("Retry-After", "1");
                    self.respond(id, response, waiting.manner);
                    self.list(id);
                }
                // An empty line is no request.
                None if !http.progress.begun => self.remove(id, Cause::Timeout),
                None => {
                    let method = method_of(&http.buffer);
                    self.refuse(id, method, &Refusal { status: 408, reason: "the request took too long" });
                }
            },
        }
    }

    /// Refuses a request of which not all has come, in the service's words where its head has, and ends the connection: the client
    /// may come back with it.
    pub(crate) fn refuse_half(&mut self, id: ConnId, refusal: &Refusal) {
        let Some(conn) = self.core.get_mut(id) else { return };
        let Protocol::Http(Some(http)) = mem::replace(&mut conn.protocol, Protocol::Taken) else { return };
        let mut fields = Fields::new();
        // Its head was whole when it was judged.
        let head_len = if http.progress.judged { http.progress.scanned + 4 } else { 0 };
        let head = http.buffer.get(..head_len).and_then(|head| Head::parse(head, &mut fields).ok());
        let response = match &head {
            Some(head) => self.service.refusal(head, refusal),
            None => Response::refusal(refusal),
        };
        let has_time = response.fields.iter().any(|(name, _)| *name == "Retry-After");
        let seconds = self.core.retry_millis().div_ceil(1000);
        let response = if has_time { response } else { response.with("Retry-After", seconds.to_string()) };
        self.refuse_with(id, method_of(&http.buffer), response);
    }

    /// The client has ended its stream: what it asked for is still answered.
    pub(crate) fn http_end(&mut self, id: ConnId) {
        let end = self.core.now.tick.after(self.core.timing.close);
        let Some(conn) = self.core.get_mut(id) else { return };
        let waits = match &conn.protocol {
            Protocol::Http(Some(http)) => http.progress.waiting.is_some() || http.has_unserved(),
            Protocol::Http(None) => false,
            Protocol::Frames(_) | Protocol::Taken => return,
        };
        if waits {
            return;
        }
        if !conn.has_output() {
            return self.remove(id, Cause::Closed);
        }
        if conn.life() == Life::Http {
            conn.end_by(end);
            self.core.arm(id);
        }
    }
}
