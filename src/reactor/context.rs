//! The context of a service's call: send, publish, close, answer, post mail.

use std::os::fd::AsFd;

use crate::conn::Conn;
use crate::reactor::addressing::Addressing;
use crate::reactor::counters::Cause;
use crate::reactor::ids::{ConnId, RequestId, WorkerId};
use crate::reactor::mail::{Mail, Post};
use crate::reactor::mailbox::Latency;
use crate::reactor::overload::Overload;
use crate::reactor::send;
use crate::reactor::shard::{SendError, Shard};
use crate::reactor::shared::Shared;
use crate::reactor::terms::TERMS_SHIFT;
use crate::reactor::tls::Certified;
use crate::reactor::watches::ids::WatchId;
use crate::reactor::watches::unwatched::Unwatched;
use crate::time::{Now, Tick};
use crate::wire::close::Close;
use crate::wire::http::{CHUNK_BYTES, Response, write_piece};
use crate::wire::session::Kind;
use crate::wire::shared::SharedFrame;
use crate::wire::utf8;

/// A service's view of its worker, for the time of one call.
///
/// Four kinds of methods: those that queue something for a connection (`send…`, `publish`, `stream`, `close`, `answer`) and either do
/// it whole or say why not; it leaves at the end of the turn at the latest, and a connection that they end is told of by
/// [`Service::closed`](crate::reactor::Service::closed) behind this call. Those that tell of a connection (`tag`, `backlog`,
/// `is_secure`, …), and of one that is gone `None`, 0 or `false`. Those that change how it is called again (`timer`, `pause`, `resume`, `watch`).
/// And `post`, to other workers.
pub struct Context<'w, M> {
    pub(crate) shard: &'w mut Shard,
    pub(super) post: &'w dyn Post<M>,
    /// The id of the first service in the one that is called.
    pub(super) first: u8,
}

/// The largest number that a service can give a connection. The byte above it is the reactor's.
pub const TAG_MAX: u32 = (1 << TERMS_SHIFT) - 1;
const SERVICE_SHIFT: u32 = 28;
/// Services that one may be made of: their ids have four bits of a connection's tag.
pub(crate) const SERVICES_MAX: u8 = 1 << (u32::BITS - SERVICE_SHIFT);

impl<'w, M> Context<'w, M> {
    #[inline]
    pub(crate) fn new(shard: &'w mut Shard, post: &'w dyn Post<M>) -> Context<'w, M> {
        Context { shard, post, first: 0 }
    }
}

impl<M> Context<'_, M> {
    /// The turn's reading of the clock.
    #[must_use]
    pub fn now(&self) -> Now {
        self.shard.now
    }

    /// This worker.
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        self.shard.id
    }

    /// The whole server.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.shard.shared
    }

    /// The number that [`Accept`](crate::reactor::Accept) gave the connection; `None` where it is gone.
    #[must_use]
    #[inline]
    pub fn tag(&self, conn: ConnId) -> Option<u32> {
        self.shard.get(conn).map(|conn| conn.tag() & TAG_MAX)
    }

    /// Gives the connection another number, at most [`TAG_MAX`].
    pub fn set_tag(&mut self, conn: ConnId, tag: u32) {
        if let Some(conn) = self.shard.get_mut(conn) {
            conn.rename(conn.tag() & !TAG_MAX | tag & TAG_MAX);
        }
    }

    /// Whether the connection is for one of the first `services` within the one that is called. One that is gone is.
    #[inline]
    pub(super) fn is_within(&self, conn: ConnId, services: u8) -> bool {
        let id = self.shard.get(conn).map_or(0, |conn| conn.tag() >> SERVICE_SHIFT);
        id < u32::from(self.first + services)
    }

    /// The connection is for the service that is called.
    pub(super) fn claim(&mut self, conn: ConnId) {
        let first = u32::from(self.first);
        let Some(claimed) = self.shard.get_mut(conn) else { return };
        if claimed.tag() >> SERVICE_SHIFT != first {
            claimed.rename(first << SERVICE_SHIFT | claimed.tag() & ((1 << SERVICE_SHIFT) - 1));
            // It was the timer of the service that answered the request before.
            self.shard.timers.forget(conn);
        }
    }

    /// When bytes last arrived; `None` where the connection is gone.
    #[must_use]
    pub fn last_heard(&self, conn: ConnId) -> Option<Tick> {
        self.shard.get(conn).map(Conn::last_heard)
    }

    /// Counts a message that a service had to drop.
    pub fn count_lost_mail(&self) {
        self.shard.counters().mail_lost.add(1);
    }

    /// Counts messages that a slow reader will not get, as
    /// [`WITHHELD_LABELS`](crate::reactor::counters::WITHHELD_LABELS).
    pub fn count_withheld(&self, policy: usize, messages: u64) {
        self.shard.counters().withheld[policy].add(messages);
    }

    /// Counts a handshake that is refused though it was accepted, so that its client can be told why; `status` is what the
    /// answer would have been.
    pub fn count_refused(&self, status: u16) {
        self.shard.counters().refuse(status);
    }

    /// Charges work, in units of about a microsecond, to the connection, request or mail that is being served: past its share
    /// of a turn the rest of its input waits for the next. A message costs one without this, a message a quarter and a request
    /// four, and more by their bytes.
    pub fn charge(&mut self, units: u32) {
        self.shard.work.charge(units);
    }

    /// The number of the listener that the connection came in on, in the order given at start; 0 where it is gone.
    #[must_use]
    pub fn listener(&self, conn: ConnId) -> usize {
        self.shard.get(conn).map_or(0, |conn| usize::from(conn.listener()))
    }

    /// For whom requests and connections come: what is counted by addresses, and who is one too many.
    #[must_use]
    pub fn addressing(&self) -> Addressing<'_> {
        Addressing::new(self.shard)
    }

    /// Whether the connection came over TLS.
    #[must_use]
    pub fn is_secure(&self, conn: ConnId) -> bool {
        self.shard.get(conn).is_some() && self.shard.is_secure(conn)
    }

    /// The client's certificate, one that an authority given with
    /// [`Credentials::client_ca`](crate::reactor::tls::Credentials::client_ca) has signed: as good as a verified token where [no
    /// page of strangers](crate::wire::upgrade::Upgrade::is_of_ours) asks, since a browser shows it for any. A resumed session has
    /// the certificate of the first one, which may have run out since.
    #[must_use]
    pub fn certified(&self, conn: ConnId) -> Option<Certified> {
        self.shard.get(conn)?;
        self.shard.tls.as_ref()?.certified(conn)
    }

    /// Queues a message; it leaves at the end of the turn at the latest. A text is looked at, whether it is UTF-8:
    /// [`Context::send_text`] has no need to.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was queued.
    pub fn send(&mut self, conn: ConnId, kind: Kind, payload: &[u8]) -> Result<(), SendError> {
        if kind == Kind::Text && !utf8::is_valid(payload) {
            return Err(SendError::NotUtf8);
        }
        self.send_checked(conn, kind, payload)
    }

    /// Queues a text message.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was queued.
    pub fn send_text(&mut self, conn: ConnId, text: &str) -> Result<(), SendError> {
        self.send_checked(conn, Kind::Text, text.as_bytes())
    }

    /// Queues a message that is UTF-8 where it is a text: because it was received as one.
    #[inline]
    pub(crate) fn send_checked(&mut self, conn: ConnId, kind: Kind, payload: &[u8]) -> Result<(), SendError> {
        send::message(self.shard, conn, kind, payload)
    }

    /// Queues a frame that is shared with other connections.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was queued.
    #[inline]
    pub fn send_shared(&mut self, conn: ConnId, frame: &SharedFrame) -> Result<(), SendError> {
        send::shared(self.shard, conn, frame)
    }

    /// Queues a frame that somebody else has sent to the connection: a half of the backlog's bound is for what others send, so
    /// that they leave room for what the client asks for itself.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was queued.
    pub fn send_relayed(&mut self, conn: ConnId, frame: &SharedFrame) -> Result<(), SendError> {
        self.shard.backlog_within(conn, frame.bytes().len(), 2)?;
        self.send_shared(conn, frame)
    }

    /// Queues a frame for many connections of this worker. Returns those that did not get it, and why; they are few, or
    /// something is wrong.
    pub fn publish(
        &mut self,
        conns: impl IntoIterator<Item = ConnId>,
        frame: &SharedFrame,
    ) -> Vec<(ConnId, SendError)> {
        let refused = |conn| self.send_shared(conn, frame).err().map(|error| (conn, error));
        conns.into_iter().filter_map(refused).collect()
    }

    /// The overload that keeps another client out, with figures.
    pub fn shortages(&self) -> impl Iterator<Item = Overload> {
        self.shard.shortages()
    }

    /// When a client that is sent away should come back, in milliseconds. Each is told another moment, over the time that
    /// the server takes to let in as many as are here.
    pub fn retry_millis(&mut self) -> u64 {
        self.shard.retry_millis()
    }

    /// Bytes queued for the connection that its socket did not take yet.
    #[must_use]
    pub fn backlog(&self, conn: ConnId) -> usize {
        self.shard.get(conn).map_or(0, Conn::backlog)
    }

    /// Bytes queued for the connection, those of this turn among them, which its socket may take at once.
    #[must_use]
    pub fn queued(&self, conn: ConnId) -> usize {
        self.shard.queued(conn)
    }

    /// Of a connection with a backlog: when its socket last took a byte, and how many it took since there is one.
    #[must_use]
    pub fn drained(&self, conn: ConnId) -> Option<(Tick, u64)> {
        self.shard.get(conn)?.drained()
    }

    /// Bytes that may be queued for a connection whose [`Terms`](crate::Terms) say nothing of it.
    #[must_use]
    pub fn backlog_bytes_max(&self) -> usize {
        self.shard.config.max_backlog_bytes
    }

    /// Sends a Close behind what is queued; the connection ends when the peer has answered, or after the close time-out.
    #[inline]
    pub fn close(&mut self, conn: ConnId, close: &Close<'_>) {
        self.shard.close(conn, close, Cause::ServiceClosed);
    }

    /// Answers a request for which [`Service::request`](crate::reactor::Service::request) said `Later`. Ignored where
    /// its connection is gone or it was answered.
    pub fn answer(&mut self, request: RequestId, response: Response) {
        self.shard.left.answer(request, response);
    }

    /// The request whose answer is being sent in pieces on the connection.
    #[must_use]
    pub fn streaming(&self, conn: ConnId) -> Option<RequestId> {
        let serial = self.shard.get(conn).filter(|conn| conn.is_streaming())?.unanswered()?;
        Some(RequestId { conn, serial })
    }

    /// Queues a piece of the body of a request's answer, which [`Answer::Stream`](crate::reactor::Answer) has begun in an earlier
    /// call; what is queued for it is bounded as a connection's messages are.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was queued.
    pub fn stream(&mut self, request: RequestId, piece: &[u8]) -> Result<(), SendError> {
        let id = request.conn;
        let streams = self.shard.get(id).and_then(|conn| conn.stream(request.serial));
        let chunked = !streams.ok_or(SendError::Gone)?.old;
        if self.shard.left.has_ended(request) {
            return Err(SendError::Gone);
        }
        self.shard.room_of(id, piece.len() + CHUNK_BYTES, 1)?;
        self.shard.append(id, true, |out| write_piece(chunked, piece, out));
        Ok(())
    }

    /// Ends the body of such an answer. Ignored where that was abandoned.
    pub fn end_stream(&mut self, request: RequestId) {
        self.shard.left.end_stream(request);
    }

    /// Has [`Service::timer`](crate::reactor::Service::timer) called for the connection once, at that tick at the earliest; `None`:
    /// not at all. Each connection has one timer, and it ends with the connection. The call comes once to four ticks late, more
    /// only where thousands are due together.
    pub fn timer(&mut self, conn: ConnId, at: Option<Tick>) {
        if self.shard.get(conn).is_some() {
            self.shard.timers.set(conn, at);
        }
    }

    /// Stops reading the connection behind the message or the request that is being served, until [`Context::resume`]. Whether its
    /// client lives can't be told in the meantime but by its socket, so that no heartbeat ends it, nor the time for its next request;
    /// a reset of its socket does.
    pub fn pause(&mut self, conn: ConnId) {
        if self.shard.get(conn).is_some() {
            self.shard.pauses.pause(conn);
        }
    }

    /// Tells of the readiness of a descriptor of the service's own from now on, by
    /// [`Service::ready`](crate::reactor::Service::ready), under a number of at most
    /// [`WATCH_NUMBER_MAX`](crate::reactor::WATCH_NUMBER_MAX): until it is closed, and what is there already too. The descriptor was made
    /// in this thread, and is closed in it.
    pub fn watch(&mut self, descriptor: impl AsFd + 'static, number: u64) {
        let id = WatchId { service: self.first, number };
        self.shard.left.watch(Unwatched { id, descriptor: Box::new(descriptor) });
    }

    /// Reads the connection again.
    pub fn resume(&mut self, conn: ConnId) {
        if self.shard.pauses.resume(conn) {
            self.shard.excuse_request(conn);
        }
    }
}

impl<M: Mail> Context<'_, M> {
    /// Posts mail to a worker's service, this one's too.
    ///
    /// # Errors
    /// Its mailbox is full, by messages or by bytes, or there is no such worker: the mail comes back.
    pub fn post(&mut self, to: WorkerId, mail: M, latency: Latency) -> Result<(), M> {
        if let Err(mail) = self.post.post(Some(self.shard.id), to, mail, latency) {
            self.shard.counters().mail_refused.add(1);
            return Err(mail);
        }
        if !self.shard.to_wake.contains(&to) {
            self.shard.to_wake.push(to);
        }
        Ok(())
    }
}

impl<M> std::fmt::Debug for Context<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("worker", &self.shard.id)
            .field("now", &self.shard.now)
            .finish_non_exhaustive()
    }
}
