//! Services: the trait that they implement, and their answers.

use std::time::Duration;

pub use crate::reactor::context::Context;
pub use crate::reactor::context::TAG_MAX;
use crate::reactor::counters::Cause;
use crate::reactor::ids::{ConnId, RequestId, WorkerId};
use crate::reactor::mail::Mail;
pub use crate::reactor::shard::SendError;
use crate::reactor::terms::Terms;
use crate::reactor::watches::ids::{Readiness, WatchId};
use crate::time::Tick;
use crate::wire::close::Close;
use crate::wire::http::{Head, Refusal, Response};
use crate::wire::session::Kind;
pub use crate::wire::shared::SharedFrame;
use crate::wire::upgrade::Upgrade;

/// The service behind a worker's connections. Each worker has one of its own; they speak by mail.
///
/// The calls come in this order. For a WebSocket: [`admit`](Service::admit); where it accepts, [`open`](Service::open), once, with
/// what it was accepted with; then [`message`](Service::message) and the others that have a connection, in any order; and
/// [`closed`](Service::closed), once. For a request: [`judge`](Service::judge) while its body is to come; then
/// [`request`](Service::request); where that answers later or in pieces, until it has done so or is told by
/// [`abandoned`](Service::abandoned) that nobody waits. Behind all else in a turn comes [`tick`](Service::tick).
///
/// All methods run on the worker's thread, between two waits for events: what takes long in one delays every
/// connection of that worker.
pub trait Service {
    /// Messages between the services of two workers: plain data.
    type Mail: Mail;

    /// The result of [`Service::admit`] that [`Service::open`] gets.
    type Admitted;

    /// How many services it is made of, each of which knows its own connections; see [`Mount`](crate::reactor::Mount).
    #[doc(hidden)]
    const SERVICES: u8 = 1;

    /// A client asks to upgrade. The request is valid; path, origin, identity and subprotocol are the service's to judge.
    fn admit(
        &mut self,
        cx: &mut Context<'_, Self::Mail>,
        conn: ConnId,
        upgrade: &Upgrade<'_>,
    ) -> Admission<Self::Admitted>;

    /// The connection is open; the client is sent nothing before what is sent here. `admitted` is what it was accepted with.
    fn open(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, admitted: Self::Admitted) {
        let _ = (cx, conn, admitted);
    }

    /// A message arrived. A text's payload is UTF-8.
    fn message(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, kind: Kind, payload: &[u8]);

    /// The connection has been silent and is sent a Ping in this turn; what is sent here leaves in the same write.
    fn heartbeat(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId) {
        let _ = (cx, conn);
    }

    /// A Ping has been unanswered for [`suspect_after`](crate::reactor::Heartbeat::suspect_after): the connection may be dead (`true`), or something was
    /// heard of it after all.
    fn suspect(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, suspect: bool) {
        let _ = (cx, conn, suspect);
    }

    /// A Ping of ours was answered after `round_trip`.
    fn pong(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, round_trip: Duration) {
        let _ = (cx, conn, round_trip);
    }

    /// The socket has taken all that was queued for the connection, a WebSocket or one with an answer in pieces: a client that was
    /// too slow has room again.
    fn writable(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId) {
        let _ = (cx, conn);
    }

    /// Whether the connection is yet to be sent answers to what it has said. Asked once its client has ended its stream, and
    /// then in each turn until it isn't, or [`close_timeout`](crate::reactor::Config::close_timeout) is over: until then the
    /// connection is open.
    fn owes(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId) -> bool {
        let _ = (cx, conn);
        false
    }

    /// An open connection is gone; its `ConnId` is never used again. Called once for each that was opened.
    fn closed(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, cause: Cause) {
        let _ = (cx, conn, cause);
    }

    /// Whether an open connection may leave this worker to go on elsewhere ([`Worker::release`](crate::reactor::Worker::release)):
    /// what the service there needs for that, and all that this one has of it is forgotten. `None`: it stays, as every one does
    /// where nothing is said. What is sent here still leaves; should the connection break by that, [`Service::closed`] is called.
    fn released(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId) -> Option<Vec<u8>> {
        let _ = (cx, conn);
        None
    }

    /// An open connection has come from elsewhere and goes on here; `state` is what [`Service::released`] said there.
    fn adopted(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, state: &[u8]) {
        let _ = (cx, conn, state);
    }

    /// Judges an HTTP request by its head, where its body is still to come: what is returned is the answer, the body isn't read
    /// and the connection ends with it. A request that is let through here is judged again when it is whole.
    fn judge(
        &mut self,
        cx: &mut Context<'_, Self::Mail>,
        request: RequestId,
        head: &Head<'_>,
    ) -> Option<Response> {
        let _ = (cx, request, head);
        None
    }

    /// An HTTP request, with its whole body.
    fn request(
        &mut self,
        cx: &mut Context<'_, Self::Mail>,
        request: RequestId,
        head: &Head<'_>,
        body: &[u8],
    ) -> Answer {
        let _ = (cx, request, head, body);
        Answer::Now(Response::text(404, "not found"))
    }

    /// Nobody waits for this answer any more that was to come later, or for more of one in pieces: its client is gone, has ended
    /// its stream where it is an answer in pieces, or has waited for long enough.
    fn abandoned(&mut self, cx: &mut Context<'_, Self::Mail>, request: RequestId) {
        let _ = (cx, request);
    }

    /// The time of the connection's [timer](Context::timer) has come.
    fn timer(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId) {
        let _ = (cx, conn);
    }

    /// The client of a connection that is [paused](Context::pause) has ended its stream, behind what is yet to be read: it waits for
    /// nothing that this would bring about.
    fn left(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId) {
        let _ = (cx, conn);
    }

    /// Something about a descriptor has changed that the service [watches](Context::watch): what was told is told once.
    fn ready(&mut self, cx: &mut Context<'_, Self::Mail>, watched: WatchId, readiness: Readiness) {
        let _ = (cx, watched, readiness);
    }

    /// The answer to a request that was refused for its body; the connection ends with it.
    fn refusal(&mut self, head: &Head<'_>, refusal: &Refusal) -> Response {
        let _ = head;
        Response::refusal(refusal)
    }

    /// Mail from the service of worker `from`; `None`: another thread's, by [`Handle::post`](crate::reactor::Handle::post).
    fn mail(&mut self, cx: &mut Context<'_, Self::Mail>, from: Option<WorkerId>, mail: Self::Mail) {
        let _ = (cx, from, mail);
    }

    /// Called once a turn, whatever the turn was for; returns the tick at which it needs to be called at the latest.
    fn tick(&mut self, cx: &mut Context<'_, Self::Mail>) -> Option<Tick> {
        let _ = cx;
        None
    }

    /// Called once a second while anything happens: give back what a burst has left, and set gauges.
    fn measure_memory(&mut self, cx: &mut Context<'_, Self::Mail>) {
        let _ = cx;
    }

    /// The server goes away: no further connection will be admitted, and each open one gets a Close 1001 at its own
    /// random point of the window, just after [`Service::farewell`].
    fn drain(&mut self, cx: &mut Context<'_, Self::Mail>) {
        let _ = cx;
    }

    /// The last chance to send something to an open connection that the server is about to close so: 1001 by the drain, 1013 since
    /// too much is held at once.
    fn farewell(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, close: &Close<'_>) {
        let _ = (cx, conn, close);
    }
}

/// The answer to an upgrade.
#[derive(Debug)]
pub enum Admission<A = ()> {
    /// Yes.
    Accept(Accept<A>),
    /// No: the response is sent, and the connection ends.
    Refuse(Response),
}

impl<A> Admission<A> {
    /// Yes, with what [`Service::open`] is to be told.
    pub fn accept(admitted: A) -> Admission<A> {
        Admission::Accept(Accept { admitted, tag: 0, subprotocol: None, terms: Terms::default() })
    }

    /// The same answer, with something else to be told.
    pub fn map<B>(self, change: impl FnOnce(A) -> B) -> Admission<B> {
        match self {
            Admission::Accept(Accept { admitted, tag, subprotocol, terms }) => {
                Admission::Accept(Accept { admitted: change(admitted), tag, subprotocol, terms })
            }
            Admission::Refuse(response) => Admission::Refuse(response),
        }
    }
}

/// How an upgrade is accepted.
#[derive(Clone, Debug, Default)]
pub struct Accept<A = ()> {
    /// The value for [`Service::open`].
    pub admitted: A,
    /// The service's own number for the connection, at most [`TAG_MAX`]; see [`Context::tag`].
    pub tag: u32,
    /// The subprotocol, one that the client offered.
    pub subprotocol: Option<String>,
    /// Its own heartbeats and limits. Where its worker has no room for them the client gets 503, and [`Service::open`] is not called.
    pub terms: Terms,
}

/// The answer to an HTTP request.
#[derive(Debug)]
pub enum Answer {
    /// At once.
    Now(Response),
    /// By [`Context::answer`], until this tick at the latest; then it is a 503, and the service is told by
    /// [`Service::abandoned`].
    Later {
        /// When the client has waited for long enough.
        by: Tick,
    },
    /// The same, of use only while its client is there to hear of it at once: one that ends its connection gives it up, where
    /// another may still read what it asked for before.
    Held {
        /// When the client has waited for long enough.
        by: Tick,
    },
    /// A head, and a body in pieces: what stands in the response is the first, more follow by [`Context::stream`] in later calls,
    /// until [`Context::end_stream`] or [`Service::abandoned`]. To a client of HTTP/1.0 the body ends with the connection. A
    /// request with HEAD is abandoned at once.
    Stream(Response),
}
