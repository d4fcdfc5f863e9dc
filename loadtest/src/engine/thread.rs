//! One thread of a run: `poll -> ready connections -> open more -> the client's turn`.
//!
//! A ready connection costs one recv, one reading of the clock and whatever the client sends; of these only a Pong is allocated.

use std::cell::RefCell;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rollcall::internals::wire::client;
use rustix::io::Errno;
use slab::Slab;

use crate::engine::carrier::Session;
use crate::engine::carrier::poster::Poster;
use crate::engine::connector::Connector;
use crate::engine::link::{End, Link, Phase};
use crate::engine::tls::Tls;
use crate::engine::{Client, Next, Plan, Report, Turn};
use crate::run_state::RunState;
use crate::sys::{self, Timer};
use crate::target::NONCE;

/// Events taken from the kernel in one turn.
const EVENTS_PER_TURN: usize = 1024;
/// Connections begun in one turn.
const OPENS_PER_TURN: usize = 64;
/// From this wait on a poll's time-out, which is in milliseconds, is exact enough; below, a timer rings.
const COARSE_WAIT: u64 = 5_000_000;
/// The longest wait: how soon a thread sees what is new on the run's state.
const LONGEST_WAIT: u64 = 100_000_000;
const TIMER: Token = Token(usize::MAX);

/// One thread's poll and connections.
pub struct Thread<'a, C: Client> {
    plan: &'a Plan,
    run_state: &'a RunState,
    index: usize,
    poll: Poll,
    timer: Timer,
    rings_at: u64,
    links: Slab<Link<C::State>>,
    buffer: Vec<u8>,
    request: Vec<u8>,
    connector: Connector,
    /// Takes the commands of links that are carried by an event stream or polls.
    poster: Rc<RefCell<Poster>>,
    ended: Vec<(usize, End)>,
    live: u64,
    failed: u64,
    report: Report,
}

impl<'a, C: Client> Thread<'a, C> {
    /// Makes the poll and the timer, in the calling thread's descriptor table.
    pub fn new(plan: &'a Plan, run_state: &'a RunState, index: usize) -> std::io::Result<Thread<'a, C>> {
        let poll = Poll::new()?;
        let timer = Timer::new()?;
        poll.registry().register(
            &mut SourceFd(&timer.descriptor().as_raw_fd()),
            TIMER,
            Interest::READABLE,
        )?;
        Ok(Thread {
            plan,
            run_state,
            index,
            poll,
            timer,
            rings_at: 0,
            links: Slab::with_capacity(crate::run_state::share(plan.connections, index, plan.threads)),
            buffer: vec![0; plan.read_buffer],
            request: Vec::new(),
            connector: Connector::new(plan, index),
            poster: Rc::new(RefCell::new(Poster::new(plan.target.address, &plan.target.host))),
            ended: Vec::new(),
            live: 0,
            failed: 0,
            report: Report::default(),
        })
    }

    /// Turns until the client is finished.
    pub fn run(mut self, client: &mut C) -> std::io::Result<Report> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        let mut wake = 0;
        loop {
            self.wait(&mut events, wake)?;
            for event in events.iter().filter(|event| event.token() != TIMER) {
                self.ready(client, event);
            }
            let now = self.run_state.clock.now();
            self.bury(client, now);
            self.open_more(now);
            self.expire(now);
            let next = client.turn(&mut Turn { links: &mut self.links, ended: &mut self.ended, now });
            self.bury(client, now);
            self.poster.borrow_mut().turn();
            self.publish(client);
            match next {
                Next::Finished => break,
                Next::Until(moment) => wake = self.wake(moment),
            }
        }
        self.leave();
        self.publish(client);
        self.report.errors.merge(&self.poster.borrow().refused);
        if let Some(codec) = client.codec() {
            (self.report.sent, self.report.received) = (codec.sent, codec.received);
        }
        Ok(self.report)
    }

    fn wake(&self, moment: u64) -> u64 {
        let share = self.run_state.share(self.index);
        self.connector.next_open(share).map_or(moment, |open| moment.min(open))
    }

    fn wait(&mut self, events: &mut Events, wake: u64) -> std::io::Result<()> {
        if self.plan.rest > 0 && self.live > 0 && self.live == self.links.len() as u64 {
            std::thread::sleep(Duration::from_nanos(self.plan.rest));
        }
        let wait = wake.saturating_sub(self.run_state.clock.now()).min(LONGEST_WAIT);
        if wait > 0 && wait < COARSE_WAIT {
            self.ring_at(wake, wait);
        }
        match self.poll.poll(events, Some(Duration::from_nanos(wait))) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            polled => polled,
        }
    }

    /// Sets the timer, unless it is set for that moment already.
    fn ring_at(&mut self, moment: u64, wait: u64) {
        if self.rings_at != moment {
            self.rings_at = moment;
            self.timer.ring_in(wait);
        }
    }

    fn ready(&mut self, client: &mut C, event: &Event) {
        let id = event.token().0;
        let Some(phase) = self.links.get(id).map(|link| link.phase) else { return };
        let outcome = match phase {
            Phase::Connecting => self.connected(client, id),
            Phase::Upgrading => self.upgraded(client, id, event),
            Phase::Open => self.open(client, id, event),
        };
        if let Err(end) = outcome {
            self.ended.push((id, end));
        }
    }

    fn connected(&mut self, client: &mut C, id: usize) -> Result<(), End> {
        let link = &mut self.links[id];
        sys::stored_error(link.socket())?;
        let now = self.run_state.clock.now();
        self.report.connect.record(now - link.since);
        link.since = now;
        self.request.clear();
        client.request(link, &self.plan.target, &mut self.request);
        match link.send_bytes(&self.request) {
            // A spurious wake: the connect is still under way.
            Err(End::System(Errno::NOTCONN)) => return Ok(()),
            sent => sent?,
        }
        link.phase = Phase::Upgrading;
        Ok(())
    }

    fn upgraded(&mut self, client: &mut C, id: usize, event: &Event) -> Result<(), End> {
        let link = &mut self.links[id];
        let len = match link.recv(&mut self.buffer) {
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Ok(0) => return Err(End::Eof),
            len => len?,
        };
        if link.is_carried() {
            let now = self.run_state.clock.now();
            self.live += 1;
            counted_open(link, &mut self.report, &mut self.connector, now);
            client.opened(id, link, now)?;
            client.received(id, link, &mut self.buffer[..len], now)?;
            return self.open(client, id, event);
        }
        let mut response = link.take_kept();
        let whole = if response.is_empty() {
            &mut self.buffer[..len]
        } else {
            response.extend_from_slice(&self.buffer[..len]);
            &mut response[..]
        };
        let offer = self.plan.target.offer.as_ref();
        let accepted = client::check_response_to(whole, NONCE, C::SUBPROTOCOLS, offer);
        let Some(accepted) = accepted.map_err(End::Handshake)? else {
            link.keep(whole);
            return Ok(());
        };
        let now = self.run_state.clock.now();
        self.live += 1;
        counted_open(link, &mut self.report, &mut self.connector, now);
        if let Some(codec) = client.codec() {
            codec.agreed(id, accepted.deflate);
        }
        client.opened(id, link, now)?;
        if accepted.len < whole.len() {
            client.received(id, link, &mut whole[accepted.len..], now)?;
        }
        self.open(client, id, event)
    }

    fn open(&mut self, client: &mut C, id: usize, event: &Event) -> Result<(), End> {
        let link = &mut self.links[id];
        let mut read_at = None;
        if event.is_readable() && client.reads(link) {
            read_at = receive(client, id, link, &mut self.buffer, event.is_read_closed(), self.run_state)?;
        }
        // Most events say writable too: the clock was read for them already.
        if event.is_writable() {
            link.flush_records()?;
            client.writable(id, link, read_at.unwrap_or_else(|| self.run_state.clock.now()))?;
        }
        Ok(())
    }

    /// Begins as many connections as the run's state and the connector allow.
    fn open_more(&mut self, now: u64) {
        let share = self.run_state.share(self.index);
        for _ in 0..OPENS_PER_TURN {
            if self.run_state.stopped() || !self.connector.may_open(share, now) {
                return;
            }
            match self.connector.connect(self.plan, now) {
                Ok(socket) => self.register(socket),
                Err(end) => {
                    self.failed += 1;
                    self.report.errors.add(&end.kind(), 1);
                    self.replace();
                }
            }
        }
    }

    fn register(&mut self, socket: std::os::fd::OwnedFd) {
        let descriptor = socket.as_raw_fd();
        let since = self.run_state.clock.now();
        let tls = self.plan.target.tls.as_ref().and_then(|peer| peer.session().ok()).map(Tls::new);
        let target = &self.plan.target;
        let carried = (!target.carrier.is_websocket()).then(|| Session::new(target, &self.poster));
        let id = self.links.insert(Link::new(socket, tls, carried, since));
        let both = Interest::READABLE | Interest::WRITABLE;
        match self.poll.registry().register(&mut SourceFd(&descriptor), Token(id), both) {
            Ok(()) => self.connector.watch(id, since),
            Err(error) => {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                self.ended.push((id, End::System(errno)));
            }
        }
    }

    /// Ends the connections that have been opening for too long.
    fn expire(&mut self, now: u64) {
        while let Some((id, since)) = self.connector.oldest() {
            match self.links.get(id).filter(|link| !link.is_open() && link.since >= since) {
                Some(link) if link.since > since => self.connector.watch(id, link.since),
                Some(_) if self.connector.is_overdue(since, now) => self.ended.push((id, End::OpenTimeout)),
                Some(_) => return,
                None => {}
            }
            self.connector.forget_oldest();
        }
    }

    /// Removes the connections that ended. Only then may their slots be used again: no event of this turn is left.
    fn bury(&mut self, client: &mut C, now: u64) {
        while let Some((id, end)) = self.ended.pop() {
            let Some(mut link) = self.links.try_remove(id) else { continue };
            if link.is_open() {
                self.live -= 1;
                self.report.lost += u64::from(end != End::Done && !end.is_for_a_limit());
                client.closed(id, &mut link, &end, now);
            } else {
                self.connector.opening -= 1;
                self.failed += 1;
                client.failed(&mut link);
                self.connector.retreat(now);
            }
            if end != End::Done {
                self.report.errors.add(&end.kind(), 1);
            }
            self.replace();
        }
    }

    fn replace(&mut self) {
        self.connector.begun -= usize::from(self.plan.reopen);
    }

    fn publish(&self, client: &C) {
        let counts = self.run_state.thread(self.index);
        let counted = client.counted();
        counts.opened.store(self.report.opened, Relaxed);
        counts.failed.store(self.failed, Relaxed);
        counts.live.store(self.live, Relaxed);
        counts.ready.store(counted.ready, Relaxed);
        counts.messages.store(counted.messages, Relaxed);
        counts.pings.store(counted.pings, Relaxed);
        counts.errors.store(counted.errors + self.report.errors.total(), Relaxed);
    }

    /// Says goodbye on every open connection, as far as the sockets take it at once.
    fn leave(&mut self) {
        for (_, link) in self.links.iter_mut().filter(|(_, link)| link.is_open()) {
            let _ = link.close();
        }
        self.links.clear();
        self.live = 0;
    }
}

/// A link is open from now on.
fn counted_open<T>(link: &mut Link<T>, report: &mut Report, connector: &mut Connector, now: u64) {
    report.upgrade.record(now - link.since);
    report.opened += 1;
    connector.opening -= 1;
    link.phase = Phase::Open;
    link.since = now;
}

/// Reads until the socket is drained: a read that returns less than the buffer holds did, unless the peer has closed.
/// Returns when it last read something.
fn receive<C: Client>(
    client: &mut C,
    id: usize,
    link: &mut Link<C::State>,
    buffer: &mut [u8],
    to_the_end: bool,
    run_state: &RunState,
) -> Result<Option<u64>, End> {
    let mut read_at = None;
    loop {
        match link.recv(buffer) {
            Ok(0) => return Err(client.end_of_stream(link, run_state.clock.now())),
            Ok(len) => {
                let now = run_state.clock.now();
                read_at = Some(now);
                client.received(id, link, &mut buffer[..len], now)?;
                if len < buffer.len() && !to_the_end {
                    return Ok(read_at);
                }
            }
            Err(Errno::AGAIN) => return Ok(read_at),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(End::System(errno)),
        }
    }
}
