//! A service around another one: it judges who comes in, answers requests of its own, and leaves the rest to the one within.

use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::ids::{ConnId, RequestId, WorkerId};
use crate::reactor::service::{Admission, Answer, Service};
use crate::reactor::watches::ids::{Readiness, WatchId};
use crate::time::Tick;
use crate::wire::close::Close;
use crate::wire::http::{Head, Refusal, Response};
use crate::wire::session::Kind;
use crate::wire::upgrade::Upgrade;
use std::time::Duration;

type MailOf<W> = <<W as Wrapper>::Inner as Service>::Mail;
type AdmittedOf<W> = <<W as Wrapper>::Inner as Service>::Admitted;

/// A service around another: each method does what the service within does, until it is written anew. Whatever wraps a service
/// is a [`Service`] by that.
pub trait Wrapper {
    /// The service within.
    type Inner: Service;

    /// The service within.
    fn inner(&mut self) -> &mut Self::Inner;

    /// As [`Service::admit`].
    fn admit(
        &mut self,
        cx: &mut Context<'_, MailOf<Self>>,
        conn: ConnId,
        upgrade: &Upgrade<'_>,
    ) -> Admission<AdmittedOf<Self>> {
        self.inner().admit(cx, conn, upgrade)
    }

    /// As [`Service::open`].
    fn open(&mut self, cx: &mut Context<'_, MailOf<Self>>, conn: ConnId, admitted: AdmittedOf<Self>) {
        self.inner().open(cx, conn, admitted);
    }

    /// As [`Service::message`].
    #[inline]
    fn message(&mut self, cx: &mut Context<'_, MailOf<Self>>, conn: ConnId, kind: Kind, payload: &[u8]) {
        self.inner().message(cx, conn, kind, payload);
    }

    /// As [`Service::closed`].
    fn closed(&mut self, cx: &mut Context<'_, MailOf<Self>>, conn: ConnId, cause: Cause) {
        self.inner().closed(cx, conn, cause);
    }

    /// As [`Service::judge`].
    fn judge(
        &mut self,
        cx: &mut Context<'_, MailOf<Self>>,
        request: RequestId,
        head: &Head<'_>,
    ) -> Option<Response> {
        self.inner().judge(cx, request, head)
    }

    /// As [`Service::request`].
    fn request(
        &mut self,
        cx: &mut Context<'_, MailOf<Self>>,
        request: RequestId,
        head: &Head<'_>,
        body: &[u8],
    ) -> Answer {
        self.inner().request(cx, request, head, body)
    }

    /// As [`Service::refusal`].
    fn refusal(&mut self, head: &Head<'_>, refusal: &Refusal) -> Response {
        self.inner().refusal(head, refusal)
    }

    /// As [`Service::tick`].
    fn tick(&mut self, cx: &mut Context<'_, MailOf<Self>>) -> Option<Tick> {
        self.inner().tick(cx)
    }

    /// As [`Service::measure_memory`].
    fn measure_memory(&mut self, cx: &mut Context<'_, MailOf<Self>>) {
        self.inner().measure_memory(cx);
    }
}

impl<W: Wrapper> Service for W {
    type Mail = MailOf<W>;
    type Admitted = AdmittedOf<W>;
    const SERVICES: u8 = W::Inner::SERVICES;

    fn admit(
        &mut self,
        cx: &mut Context<'_, Self::Mail>,
        conn: ConnId,
        upgrade: &Upgrade<'_>,
    ) -> Admission<Self::Admitted> {
        Wrapper::admit(self, cx, conn, upgrade)
    }

    fn open(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, admitted: Self::Admitted) {
        Wrapper::open(self, cx, conn, admitted);
    }

    #[inline]
    fn message(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, kind: Kind, payload: &[u8]) {
        Wrapper::message(self, cx, conn, kind, payload);
    }

    fn heartbeat(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId) {
        self.inner().heartbeat(cx, conn);
    }

    fn suspect(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, suspect: bool) {
        self.inner().suspect(cx, conn, suspect);
    }

    fn pong(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, round_trip: Duration) {
        self.inner().pong(cx, conn, round_trip);
    }

    fn writable(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId) {
        self.inner().writable(cx, conn);
    }

    fn owes(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId) -> bool {
        self.inner().owes(cx, conn)
    }

    fn closed(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, cause: Cause) {
        Wrapper::closed(self, cx, conn, cause);
    }

    fn judge(
        &mut self,
        cx: &mut Context<'_, Self::Mail>,
        request: RequestId,
        head: &Head<'_>,
    ) -> Option<Response> {
        Wrapper::judge(self, cx, request, head)
    }

    fn request(
        &mut self,
        cx: &mut Context<'_, Self::Mail>,
        request: RequestId,
        head: &Head<'_>,
        body: &[u8],
    ) -> Answer {
        Wrapper::request(self, cx, request, head, body)
    }

    fn abandoned(&mut self, cx: &mut Context<'_, Self::Mail>, request: RequestId) {
        self.inner().abandoned(cx, request);
    }

    fn timer(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId) {
        self.inner().timer(cx, conn);
    }

    fn left(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId) {
        self.inner().left(cx, conn);
    }

    fn ready(&mut self, cx: &mut Context<'_, Self::Mail>, watched: WatchId, readiness: Readiness) {
        self.inner().ready(cx, watched, readiness);
    }

    fn refusal(&mut self, head: &Head<'_>, refusal: &Refusal) -> Response {
        Wrapper::refusal(self, head, refusal)
    }

    fn mail(&mut self, cx: &mut Context<'_, Self::Mail>, from: Option<WorkerId>, mail: Self::Mail) {
        self.inner().mail(cx, from, mail);
    }

    fn tick(&mut self, cx: &mut Context<'_, Self::Mail>) -> Option<Tick> {
        Wrapper::tick(self, cx)
    }

    fn measure_memory(&mut self, cx: &mut Context<'_, Self::Mail>) {
        Wrapper::measure_memory(self, cx);
    }

    fn drain(&mut self, cx: &mut Context<'_, Self::Mail>) {
        self.inner().drain(cx);
    }

    fn released(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId) -> Option<Vec<u8>> {
        self.inner().released(cx, conn)
    }

    fn adopted(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, state: &[u8]) {
        self.inner().adopted(cx, conn, state);
    }

    fn farewell(&mut self, cx: &mut Context<'_, Self::Mail>, conn: ConnId, close: &Close<'_>) {
        self.inner().farewell(cx, conn, close);
    }
}
