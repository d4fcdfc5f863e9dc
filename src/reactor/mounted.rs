//! Two services beside each other, by path. Each connection knows which one it is for by an id; nobody else has to.

use std::time::Duration;

use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::ids::{ConnId, RequestId, WorkerId};
use crate::reactor::mail::{Mail, Post};
use crate::reactor::mailbox::Latency;
use crate::reactor::service::{Admission, Answer, Service};
use crate::reactor::watches::ids::{Readiness, WatchId};
use crate::time::Tick;
use crate::wire::close::Close;
use crate::wire::http::{Head, Refusal, Response};
use crate::wire::session::Kind;
use crate::wire::upgrade::Upgrade;

/// A service, and one that is mounted at a path beside it: see [`Mount::mount`].
#[derive(Debug)]
pub struct Mounted<R, S> {
    rest: R,
    path: &'static str,
    service: S,
}

/// Something of a [`Mounted`] pair: mail, or what a client was admitted with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part<R, S> {
    /// Of the service for all other paths.
    Rest(R),
    /// Of the service that is mounted.
    Mounted(S),
}

/// Puts services beside each other.
pub trait Mount: Service + Sized {
    /// This service, with another one beside it for upgrades and requests to `path` and below: `/game` is for `/game` and
    /// `/game/7`, and not for `/games`. Each hears of its own connections, has mail of its own kind, and is called every turn. No more than sixteen can stand
    /// beside each other: a program with more isn't compiled.
    fn mount<S: Service>(self, path: &'static str, service: S) -> Mounted<Self, S> {
        Mounted { rest: self, path, service }
    }
}

impl<S: Service> Mount for S {}

impl<R: Service, S: Service> Mounted<R, S> {
    /// The service for all other paths.
    pub fn rest(&self) -> &R {
        &self.rest
    }

    /// The service that is mounted.
    pub fn service(&self) -> &S {
        &self.service
    }

    /// Has the service for all other paths do something in its own context.
    #[inline]
    pub fn in_rest<T>(
        &mut self,
        cx: &mut Context<'_, Part<R::Mail, S::Mail>>,
        call: impl FnOnce(&mut R, &mut Context<'_, R::Mail>) -> T,
    ) -> T {
        let post = ToRest(cx.post);
        call(&mut self.rest, &mut Context { shard: cx.shard, post: &post, first: cx.first })
    }

    /// Has the service that is mounted do something in its own context.
    #[inline]
    pub fn in_mounted<T>(
        &mut self,
        cx: &mut Context<'_, Part<R::Mail, S::Mail>>,
        call: impl FnOnce(&mut S, &mut Context<'_, S::Mail>) -> T,
    ) -> T {
        let post = ToMounted(cx.post);
        call(&mut self.service, &mut Context { shard: cx.shard, post: &post, first: cx.first + R::SERVICES })
    }

    /// Gives a connection that asks to upgrade, or makes a request, to the service that is mounted, whatever its path is.
    pub fn claim(&mut self, cx: &mut Context<'_, Part<R::Mail, S::Mail>>, conn: ConnId) {
        self.in_mounted(cx, |_, cx| cx.claim(conn));
    }

    /// Whether a path is that of the service that is mounted.
    fn is_below(&self, path: &str) -> bool {
        path.strip_prefix(self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Posts the mail of one of two services.
struct ToRest<'p, R, S>(&'p dyn Post<Part<R, S>>);
struct ToMounted<'p, R, S>(&'p dyn Post<Part<R, S>>);

impl<R, S> Post<R> for ToRest<'_, R, S> {
    fn post(&self, from: Option<WorkerId>, to: WorkerId, mail: R, latency: Latency) -> Result<(), R> {
        self.0.post(from, to, Part::Rest(mail), latency).map_err(|part| match part {
            Part::Rest(mail) => mail,
            Part::Mounted(_) => unreachable!("what was posted comes back"),
        })
    }
}

impl<R, S> Post<S> for ToMounted<'_, R, S> {
    fn post(&self, from: Option<WorkerId>, to: WorkerId, mail: S, latency: Latency) -> Result<(), S> {
        self.0.post(from, to, Part::Mounted(mail), latency).map_err(|part| match part {
            Part::Mounted(mail) => mail,
            Part::Rest(_) => unreachable!("what was posted comes back"),
        })
    }
}

impl<R: Mail, S: Mail> Mail for Part<R, S> {
    fn bytes(&self) -> usize {
        match self {
            Part::Rest(mail) => mail.bytes(),
            Part::Mounted(mail) => mail.bytes(),
        }
    }
}

/// Calls a method of the service that a connection is for.
macro_rules! of_conn {
    ($pair:ident, $cx:ident, $conn:ident, $method:ident($($argument:expr),*)) => {
        if $cx.is_within($conn, R::SERVICES) {
            $pair.in_rest($cx, |service, cx| service.$method(cx, $conn, $($argument),*))
        } else {
            $pair.in_mounted($cx, |service, cx| service.$method(cx, $conn, $($argument),*))
        }
    };
}

impl<R: Service, S: Service> Service for Mounted<R, S> {
    type Mail = Part<R::Mail, S::Mail>;
    type Admitted = Part<R::Admitted, S::Admitted>;
    const SERVICES: u8 = R::SERVICES + S::SERVICES;

    fn admit(
        &mut self,
        cx: &mut Context<'_, Self::Mail>,
        conn: ConnId,
        upgrade: &Upgrade<'_>,
    ) -> Admission<Self::Admitted> {
        if self.is_below(upgrade.head.path()) {
            let admit = |service: &mut S, cx: &mut Context<'_, S::Mail>| {
                cx.claim(conn);
                service.admit(cx, conn, upgrade)
            };
            self.in_mounted(cx, admit).map(Part::Mounted)
        } else {
            cx.claim(conn);
            self.in_rest(cx, |service, cx| service.admit(cx, conn, upgrade)).map(Part::Rest)
        }
    }

    fn open(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, admitted: Self::Admitted) {
        match admitted {
            Part::Rest(admitted) => self.in_rest(cx, |service, cx| service.open(cx, conn, admitted)),
            Part::Mounted(admitted) => self.in_mounted(cx, |service, cx| service.open(cx, conn, admitted)),
        }
    }

    #[inline]
    fn message(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, kind: Kind, payload: &[u8]) {
        of_conn!(self, cx, conn, message(kind, payload));
    }

    fn heartbeat(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId) {
        of_conn!(self, cx, conn, heartbeat());
    }

    fn suspect(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, suspect: bool) {
        of_conn!(self, cx, conn, suspect(suspect));
    }

    fn pong(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, round_trip: Duration) {
        of_conn!(self, cx, conn, pong(round_trip));
    }

    fn writable(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId) {
        of_conn!(self, cx, conn, writable());
    }

    fn owes(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId) -> bool {
        of_conn!(self, cx, conn, owes())
    }

    fn closed(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, cause: Cause) {
        of_conn!(self, cx, conn, closed(cause));
    }

    fn released(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId) -> Option<Vec<u8>> {
        of_conn!(self, cx, conn, released())
    }

    fn adopted(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, state: &[u8]) {
        of_conn!(self, cx, conn, adopted(state));
    }

    fn farewell(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, close: &Close<'_>) {
        of_conn!(self, cx, conn, farewell(close));
    }

    fn judge(
        &mut self,
        cx: &mut Context<'_, Self::Mail>,
        request: RequestId,
        head: &Head<'_>,
    ) -> Option<Response> {
        if self.is_below(head.path()) {
            self.in_mounted(cx, |service, cx| service.judge(cx, request, head))
        } else {
            self.in_rest(cx, |service, cx| service.judge(cx, request, head))
        }
    }

    fn request(
        &mut self,
        cx: &mut Context<'_, Self::Mail>,
        request: RequestId,
        head: &Head<'_>,
        body: &[u8],
    ) -> Answer {
        if self.is_below(head.path()) {
            let call = |service: &mut S, cx: &mut Context<'_, S::Mail>| {
                cx.claim(request.conn);
                service.request(cx, request, head, body)
            };
            self.in_mounted(cx, call)
        } else {
            cx.claim(request.conn);
            self.in_rest(cx, |service, cx| service.request(cx, request, head, body))
        }
    }

    fn abandoned(&mut self, cx: &mut Context<'_, Self::Mail>, request: RequestId) {
        if cx.is_within(request.conn, R::SERVICES) {
            self.in_rest(cx, |service, cx| service.abandoned(cx, request));
        } else {
            self.in_mounted(cx, |service, cx| service.abandoned(cx, request));
        }
    }

    fn timer(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId) {
        of_conn!(self, cx, conn, timer());
    }

    fn left(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId) {
        of_conn!(self, cx, conn, left());
    }

    fn ready(&mut self, cx: &mut Context<'_, Self::Mail>, watched: WatchId, readiness: Readiness) {
        if watched.service < cx.first + R::SERVICES {
            self.in_rest(cx, |service, cx| service.ready(cx, watched, readiness));
        } else {
            self.in_mounted(cx, |service, cx| service.ready(cx, watched, readiness));
        }
    }

    fn refusal(&mut self, head: &Head<'_>, refusal: &Refusal) -> Response {
        if self.is_below(head.path()) {
            self.service.refusal(head, refusal)
        } else {
            self.rest.refusal(head, refusal)
        }
    }

    fn mail(&mut self, cx: &mut Context<'_, Self::Mail>, from: Option<WorkerId>, mail: Self::Mail) {
        match mail {
            Part::Rest(mail) => self.in_rest(cx, |service, cx| service.mail(cx, from, mail)),
            Part::Mounted(mail) => self.in_mounted(cx, |service, cx| service.mail(cx, from, mail)),
        }
    }

    fn tick(&mut self, cx: &mut Context<'_, Self::Mail>) -> Option<Tick> {
        let rest = self.in_rest(cx, R::tick);
        let mounted = self.in_mounted(cx, S::tick);
        [rest, mounted].into_iter().flatten().reduce(Tick::min)
    }

    fn measure_memory(&mut self, cx: &mut Context<'_, Self::Mail>) {
        self.in_rest(cx, R::measure_memory);
        self.in_mounted(cx, S::measure_memory);
    }

    fn drain(&mut self, cx: &mut Context<'_, Self::Mail>) {
        self.in_rest(cx, R::drain);
        self.in_mounted(cx, S::drain);
    }
}
