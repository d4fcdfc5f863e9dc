//! One thread of an echo run: sends stamped frames and checks what comes back against the frame that must.
//!
//! The common case, an echo in one frame, is a comparison of bytes with a frame made beforehand; the protocol's session is only
//! asked when something else arrives (a Ping, a Close, a fragmented echo). A message costs one recv, one send, one reading of
//! the clock and one record; no allocation. A frame that the socket took half of is finished from the same template.

use std::sync::atomic::Ordering::{Acquire, Relaxed};

use rollcall::internals::wire::session::SessionEvent;

use crate::echo::deflated::Deflated;
use crate::echo::frames::Frames;
use crate::echo::load::{Load, Tallies};
use crate::echo::pace::Schedule;
use crate::run_state::{RunState, UNSET};

use crate::engine::codec::Codec;
use crate::engine::link::{End, LIMITS, Link, pong};
use crate::engine::{Client, Counted, Next, Turn};
use crate::measure::Recorder;
use crate::options::Setup;

/// Compressed messages that are made before any of them leaves.
const BURST_BYTES: usize = 1 << 20;
/// How often an idle thread looks at the run's state.
const LOOK: u64 = 10_000_000;

/// What is kept for each connection.
#[derive(Clone, Copy, Default, Debug)]
pub struct State {
    /// Frames begun; wraps.
    sent: u32,
    /// Replies complete; wraps. `sent - got <= depth`.
    got: u32,
    /// Bytes of frame `sent - 1` that are written, where it is cut; else zero.
    cut: u32,
    /// Bytes of the reply to `got` that have arrived; zero while the session reads.
    at: u32,
    /// The session is in the middle of something.
    in_session: bool,
    /// The reply under way differs from what was sent.
    differs: bool,
}

impl State {
    fn in_flight(&self) -> u32 {
        self.sent.wrapping_sub(self.got)
    }
}

/// One thread's part.
#[derive(Debug)]
pub struct EchoClient<'a> {
    run_state: &'a RunState,
    load: Load,
    frames: Frames,
    /// Where compression is offered: takes the place of `frames`.
    deflated: Option<Deflated>,
    /// Moments of the messages in flight: `ring` of them for each connection.
    times: Vec<u64>,
    ring: usize,
    /// This thread's place among all, for the schedule.
    index: usize,
    threads: usize,
    connections: usize,
    schedule: Option<Schedule>,
    /// The next message of the schedule, over all this thread's connections: `seq * links + id`.
    cursor: u64,
    started: bool,
    from: u64,
    until: u64,
    in_flight: u64,
    pub tallies: Tallies,
}

impl<'a> EchoClient<'a> {
    pub fn new(setup: &'a Setup, load: Load, index: usize) -> EchoClient<'a> {
        let (connections, threads) = (setup.plan.connections, setup.plan.threads);
        let share = crate::run_state::share(connections, index, threads);
        let ring = load.depth.next_power_of_two();
        EchoClient {
            run_state: &setup.run_state,
            load,
            frames: Frames::new(load.size, load.text, load.depth),
            deflated: load.deflate.then(|| Deflated::new(load.size, load.text)),
            times: vec![0; share * ring],
            ring,
            index,
            threads,
            connections,
            schedule: None,
            cursor: 0,
            started: false,
            from: UNSET,
            until: UNSET,
            in_flight: 0,
            tallies: Tallies { latency: Recorder::warmed(), ..Tallies::default() },
        }
    }

    fn slot(&self, id: usize, seq: u32) -> usize {
        id * self.ring + (seq as usize & (self.ring - 1))
    }

    /// A connection's place in the schedule of all threads.
    fn place(&self, id: usize) -> usize {
        id * self.threads + self.index
    }

    /// How many more messages a connection may send now.
    fn room(&self, id: usize, state: &State, now: u64) -> usize {
        let free = self.load.depth as u32 - state.in_flight();
        match &self.schedule {
            _ if !self.started => 0,
            None if now >= self.until => 0,
            None => free as usize,
            Some(schedule) => {
                // A sequence number wraps after 2^32 messages of one connection: years at any rate one would ask for.
                let due = schedule.due_before(self.place(id), (now + 1).min(self.until));
                (due.saturating_sub(u64::from(state.sent))).min(u64::from(free)) as usize
            }
        }
    }

    /// Sends what may be sent: the rest of a cut frame, Pongs that waited for it, then new messages.
    fn pump(&mut self, id: usize, link: &mut Link<State>, now: u64) -> Result<(), End> {
        let frame_len = self.frames.frame_len();
        if link.state.cut > 0 {
            let frame = self.frames.stamped(id, link.state.sent.wrapping_sub(1), 1);
            let cut = link.state.cut as usize;
            link.state.cut += link.write(&frame[cut..])? as u32;
            if (link.state.cut as usize) < frame_len {
                return Ok(());
            }
            link.state.cut = 0;
        }
        if !link.flush()? {
            return Ok(());
        }
        if self.deflated.is_some() {
            return self.pump_deflated(id, link, now);
        }
        loop {
            let count = self.room(id, &link.state, now).min(self.frames.per_batch());
            if count == 0 {
                return Ok(());
            }
            self.note_times(id, link.state.sent, count, now);
            let written = link.write(self.frames.stamped(id, link.state.sent, count))?;
            let cut = written % frame_len;
            let begun = written / frame_len + usize::from(cut > 0);
            link.state.sent = link.state.sent.wrapping_add(begun as u32);
            link.state.cut = cut as u32;
            self.in_flight += begun as u64;
            if written < count * frame_len {
                return Ok(());
            }
        }
    }

    /// Each is compressed by itself, or with those before it. What may be sent now is made first and leaves at once: a server
    /// has to take the burst that it is, and not as fast as one after the other is compressed here.
    fn pump_deflated(&mut self, id: usize, link: &mut Link<State>, now: u64) -> Result<(), End> {
        while !link.has_kept() {
            let mut made = 0;
            while made < BURST_BYTES && self.room(id, &link.state, now) > 0 {
                let seq = link.state.sent;
                self.note_times(id, seq, 1, now);
                let Some(deflated) = &mut self.deflated else { return Ok(()) };
                let frame = deflated.frame(id, seq);
                link.keep(frame);
                made += frame.len();
                link.state.sent = seq.wrapping_add(1);
                self.in_flight += 1;
            }
            if made == 0 {
                return Ok(());
            }
            link.flush()?;
        }
        Ok(())
    }

    fn note_times(&mut self, id: usize, first: u32, count: usize, now: u64) {
        for seq in (first..).take(count) {
            let slot = self.slot(id, seq);
            self.times[slot] = match &self.schedule {
                None => now,
                Some(schedule) => {
                    let intended = schedule.intended(self.place(id), u64::from(seq));
                    if intended >= self.from {
                        self.tallies.lag.record(now.saturating_sub(intended));
                    }
                    intended
                }
            };
        }
    }

    /// A reply is complete.
    fn complete(&mut self, id: usize, state: &mut State, now: u64) {
        if state.in_flight() == 0 {
            self.tallies.errors.add("a message that nobody awaited", 1);
            (state.at, state.differs) = (0, false);
            return;
        }
        if state.differs {
            self.tallies.errors.add("payload differs from what was sent", 1);
        }
        let since = self.times[self.slot(id, state.got)];
        let moment = if self.schedule.is_some() { since } else { now };
        if moment >= self.from && moment < self.until {
            self.tallies.latency.record(now.saturating_sub(since));
            self.tallies.measured += 1;
        }
        self.tallies.replies += 1;
        self.in_flight -= 1;
        (state.got, state.at, state.differs) = (state.got.wrapping_add(1), 0, false);
    }

    /// Compares with the awaited reply. Returns how many bytes were taken, or `None` where they begin no such frame.
    fn compare(&mut self, id: usize, state: &mut State, bytes: &[u8], now: u64) -> Option<usize> {
        let header_len = self.frames.header_len();
        let reply = self.frames.reply(id, state.got);
        let (at, end) = (state.at as usize, reply.len());
        let len = bytes.len().min(end - at);
        let header = header_len.saturating_sub(at).min(len);
        if bytes[..header] != reply[at..at + header] {
            return None;
        }
        let whole = self.load.verify_every > 0 && state.got.is_multiple_of(self.load.verify_every);
        if whole && bytes[header..len] != reply[at + header..at + len] {
            state.differs = true;
        }
        state.at += len as u32;
        if at + len == end {
            self.complete(id, state, now);
        }
        Some(len)
    }

    /// What is no plain echo goes through the session, together with what was already taken of its header.
    fn session(
        &mut self,
        id: usize,
        link: &mut Link<State>,
        bytes: &mut [u8],
        now: u64,
    ) -> Result<usize, End> {
        if link.state.at > 0 {
            let at = std::mem::take(&mut link.state.at) as usize;
            let mut begun = self.frames.reply(id, link.state.got)[..at].to_vec();
            link.session.read(&LIMITS, None, &mut begun)?;
        }
        let (taken, event) = match &mut self.deflated {
            None => link.session.read(&LIMITS, None, bytes)?,
            Some(deflated) => deflated.codec.read(id, &mut link.session, bytes)?,
        };
        let mut answer = None;
        match event {
            Some(SessionEvent::Message(_, payload)) => {
                let header_len = self.frames.header_len();
                link.state.differs = match &mut self.deflated {
                    None => payload != &self.frames.reply(id, link.state.got)[header_len..],
                    Some(deflated) => payload != deflated.message(id, link.state.got),
                };
                self.complete(id, &mut link.state, now);
            }
            Some(SessionEvent::Ping(payload)) => answer = Some(pong(payload)),
            Some(SessionEvent::Close(close)) => {
                let code = close.code;
                let _ = link.close();
                return Err(End::Closed(code));
            }
            Some(SessionEvent::Pong(_)) | None => {}
        }
        link.session.release();
        link.state.in_session = link.session.held_bytes() > 0;
        if let Some(pong) = answer {
            self.tallies.pings += 1;
            // It may not cut into a frame: the pump writes it when it stands between two.
            link.keep(&pong);
        }
        Ok(taken)
    }

    /// Reads the window from the run's state once it is set, and lets every connection begin.
    fn start(&mut self, turn: &mut Turn<'_, State>) {
        let start = self.run_state.start.load(Acquire);
        if start == UNSET {
            return;
        }
        (self.from, self.until) = (self.run_state.from.load(Relaxed), self.run_state.until.load(Relaxed));
        self.schedule = self.load.rate.map(|rate| Schedule::new(rate, self.connections, start));
        self.started = true;
        let now = turn.now;
        turn.each_open(|id, link| self.pump(id, link, now));
    }

    /// Sends what the schedule says is due. Connections whose depth is used up send theirs when replies come.
    fn follow_schedule(&mut self, turn: &mut Turn<'_, State>) -> u64 {
        let Some(schedule) = self.schedule else { return turn.now + LOOK };
        let links = crate::run_state::share(self.connections, self.index, self.threads) as u64;
        if links == 0 {
            return turn.now + LOOK;
        }
        loop {
            let (seq, id) = (self.cursor / links, (self.cursor % links) as usize);
            let intended = schedule.intended(self.place(id), seq);
            if intended > turn.now || intended >= self.until {
                return intended.min(turn.now + LOOK);
            }
            self.cursor += 1;
            let now = turn.now;
            turn.with(id, |link| self.pump(id, link, now));
        }
    }

    /// Messages that a connection was to send by the end and has not.
    fn unsent(&self, id: usize, state: &State) -> u64 {
        let due = self.schedule.map_or(0, |schedule| schedule.due_before(self.place(id), self.until));
        due.saturating_sub(u64::from(state.sent))
    }

    fn is_done(&mut self, turn: &mut Turn<'_, State>) -> bool {
        if turn.now < self.until && !self.run_state.stopped() {
            return false;
        }
        self.until = self.until.min(turn.now);
        let unsent: u64 = turn.links.iter().map(|(id, link)| self.unsent(id, &link.state)).sum();
        if self.in_flight == 0 && unsent == 0 {
            return true;
        }
        if turn.now < self.until + self.load.drain {
            return false;
        }
        self.tallies.errors.add("lost: no reply", self.in_flight);
        self.tallies.errors.add("lost: not sent in time", unsent);
        true
    }
}

impl Client for EchoClient<'_> {
    type State = State;

    fn codec(&mut self) -> Option<&mut Codec> {
        self.deflated.as_mut().map(|deflated| &mut deflated.codec)
    }

    fn opened(&mut self, id: usize, link: &mut Link<State>, now: u64) -> Result<(), End> {
        self.pump(id, link, now)
    }

    fn received(&mut self, id: usize, link: &mut Link<State>, bytes: &mut [u8], now: u64) -> Result<(), End> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let plain = if link.state.in_session || self.deflated.is_some() {
                None
            } else {
                self.compare(id, &mut link.state, rest, now)
            };
            let taken = match plain {
                Some(taken) => taken,
                None => self.session(id, link, rest, now)?,
            };
            rest = &mut rest[taken..];
        }
        self.pump(id, link, now)
    }

    fn writable(&mut self, id: usize, link: &mut Link<State>, now: u64) -> Result<(), End> {
        if link.state.cut > 0 || link.has_kept() || link.state.in_flight() < self.load.depth as u32 {
            self.pump(id, link, now)?;
        }
        Ok(())
    }

    fn closed(&mut self, id: usize, link: &mut Link<State>, end: &End, _: u64) {
        let in_flight = u64::from(link.state.in_flight());
        self.in_flight -= in_flight;
        if end.is_for_a_limit() {
            return;
        }
        self.tallies.errors.add("lost: no reply", in_flight);
        self.tallies.errors.add("lost: not sent in time", self.unsent(id, &link.state));
    }

    fn turn(&mut self, turn: &mut Turn<'_, State>) -> Next {
        if !self.started {
            self.start(turn);
            let over = !self.started && self.run_state.stopped();
            return if over { Next::Finished } else { Next::Until(turn.now + LOOK) };
        }
        if turn.links.is_empty() {
            return Next::Finished;
        }
        let next = self.follow_schedule(turn);
        if turn.now.saturating_add(LOOK) >= self.until || self.run_state.stopped() {
            if self.is_done(turn) {
                return Next::Finished;
            }
            return Next::Until(next.min(turn.now + LOOK / 10));
        }
        Next::Until(next)
    }

    fn counted(&self) -> Counted {
        let Tallies { replies: messages, pings, errors, .. } = &self.tallies;
        Counted { messages: *messages, pings: *pings, errors: errors.total(), ..Counted::default() }
    }
}
