//! One thread's part in all of these scenarios: it opens named users, lets them join and watch, answers Pings, says what
//! is due, from the moment of doom lets the doomed be silent, and lets all leave and come back.
//!
//! A silent connection's bytes are still read, so that the moment of its Ping is known, and nothing is written on it any
//! more, not even the answer to a Close; its socket stays open until the server ends it.

use std::sync::atomic::Ordering::{Acquire, Relaxed};

use rollcall::internals::wire::close::CloseCode;
use rollcall::internals::wire::session::SessionEvent;
use rustix::io::Errno;

use crate::engine::link::{End, LIMITS, Link, Seen, pong};
use crate::engine::{Client, Counted, Next, Turn};
use crate::measure::Recorder;
use crate::options::Setup;
use crate::refusal;
use crate::roster::failure::NUDGE_BEFORE;
use crate::roster::population::Role;
use crate::roster::wire_format::{self, Heard};
use crate::roster::{Orders, Step, Sums};
use crate::run_state::{RunState, UNSET};
use crate::target::Target;

/// How often a thread looks at the run's state.
const LOOK: u64 = 10_000_000;
/// Connections that take a step in one turn; between two turns all are read.
const STEPS_PER_TURN: usize = 256;
/// Connections that have no number yet.
const UNNUMBERED: u32 = u32::MAX;

/// What is kept for each connection.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    number: u32,
    /// The place of the last message that it heard, in its room's order; 0 before the first.
    offset: u32,
    identified: bool,
    silent: bool,
}

impl Default for Part {
    fn default() -> Part {
        Part { number: UNNUMBERED, offset: 0, identified: false, silent: false }
    }
}

/// From the first to the last of something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    pub count: u64,
    /// Moments of the first and the last.
    pub first: u64,
    pub last: u64,
}

impl Span {
    fn note(&mut self, now: u64) {
        self.add(Span { count: 1, first: now, last: now });
    }

    pub fn add(&mut self, other: Span) {
        if other.count > 0 {
            self.first = if self.count == 0 { other.first } else { self.first.min(other.first) };
            self.last = self.last.max(other.last);
            self.count += other.count;
        }
    }
}

/// One thread's part.
#[derive(Debug)]
pub struct RosterClient<'a> {
    run_state: &'a RunState,
    orders: &'a Orders,
    /// The number of this thread's first connection, and of its next.
    first_number: usize,
    next_number: usize,
    /// Numbers of connections that could not be opened, or ended: who takes their place will have them.
    vacant: Vec<u32>,
    /// Connections in the order in which they were opened.
    ids: Vec<u32>,
    step: u8,
    stepped: usize,
    /// When this thread's last signs of life are long out; `None` before they are sent.
    nudged: Option<u64>,
    /// Nanoseconds between two messages of this thread; zero where none are said.
    gap: f64,
    /// Connections that say something, with the room and the deliveries that lead to, round robin.
    speakers: Vec<(u32, u32, u32)>,
    next: u64,
    /// Since when events are handled.
    busy_since: Option<u64>,
    detected: u64,
    pings: u64,
    pub sums: Sums,
}

impl<'a> RosterClient<'a> {
    pub fn new(setup: &'a Setup, orders: &'a Orders, index: usize) -> RosterClient<'a> {
        let Setup { plan, run_state, .. } = setup;
        let rate = orders.population.say_rate / plan.threads as f64;
        let first_number = orders.population.connections() * index / plan.threads;
        RosterClient {
            run_state,
            orders,
            first_number,
            next_number: first_number,
            vacant: Vec::new(),
            ids: Vec::new(),
            step: Step::Open as u8,
            stepped: 0,
            nudged: None,
            gap: if rate > 0.0 { 1e9 / rate } else { 0.0 },
            speakers: Vec::new(),
            next: 0,
            busy_since: None,
            detected: 0,
            pings: 0,
            sums: Sums { latency: Recorder::warmed(), ..Sums::default() },
        }
    }

    fn role(&self, part: &Part) -> Role {
        self.orders.population.role(part.number as usize)
    }

    fn is_doomed(&self, part: &Part) -> bool {
        matches!(self.role(part), Role::User(user) if self.orders.population.doomed.holds(user))
    }

    fn hear(&mut self, id: usize, part: &mut Part, payload: &[u8], now: u64) {
        match wire_format::hear(payload, &self.orders.population.names, self.role(part)) {
            Heard::Welcome { named: true, interval_ms, timeout_ms } if !part.identified => {
                part.identified = true;
                self.sums.ready += 1;
                self.orders.interval_ms.store(interval_ms, Relaxed);
                self.orders.timeout_ms.store(timeout_ms, Relaxed);
            }
            Heard::Welcome { .. } => self.sums.errors.add("greeted by another name, or twice", 1),
            Heard::Answer { seq, code: 200, online } => self.confirmed(id, *part, seq, online),
            Heard::Answer { seq, code, .. } => self.refused(id, seq, code),
            Heard::Offline { user, silent } if self.orders.death_log.knows(user) => {
                self.gone(user, silent, now);
            }
            Heard::Broadcast => self.sums.heard.note(now),
            Heard::Said { due, offset } if !self.is_doomed(part) => {
                self.sums.deliveries += 1;
                // A member is in one room: what it hears has no gap and no repetition.
                let expected = std::mem::replace(&mut part.offset, offset as u32).wrapping_add(1);
                let in_order = expected == 1 || expected == offset as u32;
                self.sums.errors.add("out of order: not the room's next message", u64::from(!in_order));
                if due >= self.run_state.from.load(Relaxed) && due < self.run_state.until.load(Relaxed) {
                    self.sums.measured += 1;
                    self.sums.latency.record(now.saturating_sub(due));
                }
            }
            Heard::Offline { .. } | Heard::Said { .. } | Heard::Other => {}
            Heard::Nonsense => self.sums.errors.add("a message that is not of rollcall.v1", 1),
        }
    }

    /// A command was not carried out: what was not said is expected of nobody.
    fn refused(&mut self, id: usize, seq: i64, code: u16) {
        let speaker = self.speakers.iter().find(|(speaker, ..)| *speaker == id as u32);
        if let Some((_, _, hearers)) = speaker.filter(|_| seq == wire_format::SAY) {
            self.orders.expected.fetch_sub(u64::from(*hearers), Relaxed);
        }
        self.sums.errors.add(&format!("command answered with {code}{}", refusal::of_command(code)), 1);
    }

    fn confirmed(&mut self, id: usize, part: Part, seq: i64, online: usize) {
        self.sums.ready += u64::from(seq != wire_format::SAY);
        match (seq, self.role(&part)) {
            (wire_format::JOIN, Role::User(user)) if self.orders.population.speaks(user) => {
                let room = self.orders.population.room(user).unwrap_or_default();
                let hearers = self.orders.population.living_members(room);
                self.speakers.push((id as u32, room as u32, hearers as u32));
            }
            (wire_format::WATCH, _) => self.sums.online += online as u64,
            _ => {}
        }
    }

    fn gone(&mut self, user: usize, silent: bool, now: u64) {
        if self.orders.leaving.load(Relaxed) || self.orders.draining.load(Relaxed) {
            return;
        }
        let doomed = self.orders.population.doomed.holds(user) && now >= self.orders.doom.load(Relaxed);
        // Several watchers may be told; the first one counts, and with overseers there is just one.
        let first = self.orders.death_log.gone(user, now);
        self.detected += u64::from(first && doomed);
        self.sums.errors.add("live user called dead", u64::from(first && !doomed));
        self.sums.errors.add("silent user gone for another reason", u64::from(first && doomed && !silent));
        self.sums
            .errors
            .add("told twice that a user is gone", u64::from(!first && self.orders.population.overseen));
    }

    /// Reads on a silent connection: what comes is noted, nothing is answered.
    fn drain(&mut self, link: &mut Link<Part>, mut input: &mut [u8], now: u64) -> Result<(), End> {
        let Role::User(user) = self.role(&link.state) else { return Ok(()) };
        while !input.is_empty() {
            let (taken, event) = link.session.read(&LIMITS, None, input)?;
            match event {
                Some(SessionEvent::Ping(_)) => self.orders.death_log.unanswered(user, now),
                Some(SessionEvent::Close(close)) => {
                    self.sums.goodbyes += u64::from(close.code == Some(CloseCode::TIMEOUT));
                }
                Some(SessionEvent::Pong(_) | SessionEvent::Message(..)) | None => {}
            }
            input = &mut input[taken..];
        }
        link.session.release();
        Ok(())
    }

    /// An end that is none of the server's faults where everybody leaves, or is sent away in a drain.
    fn parted(&self, end: End) -> End {
        let expected = match end {
            End::Closed(Some(CloseCode::GOING_AWAY)) => self.orders.draining.load(Relaxed),
            End::Closed(_) | End::Eof => self.orders.leaving.load(Relaxed),
            // The server did not wait for the answer to its Close.
            End::System(Errno::PIPE) => self.orders.draining.load(Relaxed),
            _ => false,
        };
        if expected { End::Done } else { end }
    }

    /// Goes on with the step that may be taken.
    fn steps(&mut self, turn: &mut Turn<'_, Part>) -> bool {
        let step = self.orders.step.load(Relaxed);
        if step != self.step {
            (self.step, self.stepped) = (step, 0);
            if step == Step::Return as u8 {
                self.ids.clear();
                self.vacant.clear();
                self.next_number = self.first_number;
            }
        }
        let from = self.stepped.min(self.ids.len());
        let end = self.ids.len().min(from + STEPS_PER_TURN);
        self.stepped = end;
        let population = &self.orders.population;
        for id in &self.ids[from..end] {
            turn.with(*id as usize, |link| {
                let role = population.role(link.state.number as usize);
                match role {
                    Role::User(user) if step == Step::Join as u8 => {
                        population.room(user).map_or(Ok(()), |room| link.send(&wire_format::join(room)))
                    }
                    _ if step == Step::Watch as u8 => population
                        .watched(role)
                        .iter()
                        .try_for_each(|users| link.send(&wire_format::watch(&population.names, users))),
                    _ if step == Step::Leave as u8 => link.close(),
                    _ => Ok(()),
                }
            });
        }
        end < self.ids.len()
    }

    /// One last sign of life of those who are to die together, so that their next Pings come together.
    fn nudge(&mut self, turn: &mut Turn<'_, Part>) {
        let population = &self.orders.population;
        turn.each_open(|_, link| match population.role(link.state.number as usize) {
            Role::User(user) if population.dies_together(user) => link.send(&pong(b"")),
            _ => Ok(()),
        });
        self.nudged = Some(self.run_state.clock.now() + NUDGE_BEFORE);
    }

    /// Says what is due, and tells when the next message is.
    fn speak(&mut self, turn: &mut Turn<'_, Part>) -> u64 {
        let start = self.run_state.start.load(Acquire);
        if start == UNSET || self.gap <= 0.0 || self.speakers.is_empty() {
            return UNSET;
        }
        let until = self.run_state.until.load(Relaxed);
        loop {
            let due = start + (self.next as f64 * self.gap) as u64;
            if due > turn.now || due >= until {
                return if due < until { due } else { UNSET };
            }
            let speakers = &self.speakers;
            let (id, room, hearers) = speakers[(self.next % speakers.len() as u64) as usize];
            self.next += 1;
            if turn.with(id as usize, |link| link.send(&wire_format::say(room as usize, due))) {
                self.sums.said += 1;
                self.orders.expected.fetch_add(u64::from(hearers), Relaxed);
            }
        }
    }
}

/// From when the doomed are silent: not while a last sign of life may be on its way, for it answers a Ping that it meets.
fn silence(doom: u64, nudge: u64, nudged: Option<u64>) -> u64 {
    if nudge == UNSET { doom } else { nudged.map_or(UNSET, |out| doom.max(out)) }
}

impl Client for RosterClient<'_> {
    type State = Part;
    const SUBPROTOCOLS: &'static [&'static str] = &[wire_format::SUBPROTOCOL];

    fn request(&mut self, link: &mut Link<Part>, target: &Target, out: &mut Vec<u8>) {
        if link.state.number == UNNUMBERED {
            link.state.number = self.vacant.pop().unwrap_or_else(|| {
                self.next_number += 1;
                self.next_number as u32 - 1
            });
        }
        let names = &self.orders.population.names;
        let path = wire_format::path(&target.path, names, self.role(&link.state));
        target.write_request(&path, Self::SUBPROTOCOLS, out);
    }

    fn failed(&mut self, link: &mut Link<Part>) {
        if link.state.number != UNNUMBERED {
            self.vacant.push(link.state.number);
        }
    }

    /// Where one takes its place, it has its number.
    fn closed(&mut self, _: usize, link: &mut Link<Part>, _: &End, _: u64) {
        self.failed(link);
    }

    fn opened(&mut self, id: usize, _: &mut Link<Part>, _: u64) -> Result<(), End> {
        self.ids.push(id as u32);
        Ok(())
    }

    fn received(&mut self, id: usize, link: &mut Link<Part>, bytes: &mut [u8], now: u64) -> Result<(), End> {
        self.busy_since.get_or_insert(now);
        let orders = self.orders;
        let silence = silence(orders.doom.load(Relaxed), orders.nudge.load(Relaxed), self.nudged);
        if !link.state.silent && now >= silence {
            link.state.silent = self.is_doomed(&link.state);
        }
        if link.state.silent {
            return self.drain(link, bytes, now);
        }
        let seen = link.read(bytes, |part, _, payload| {
            self.hear(id, part, payload, now);
            Ok(())
        });
        self.pings += seen.and_then(Seen::open).map_err(|end| self.parted(end))?;
        Ok(())
    }

    /// What is silent is ended by the server, as it must.
    fn end_of_stream(&mut self, link: &mut Link<Part>, _: u64) -> End {
        if link.state.silent { End::Done } else { self.parted(End::Eof) }
    }

    fn turn(&mut self, turn: &mut Turn<'_, Part>) -> Next {
        if self.run_state.stopped() || self.orders.finish.load(Relaxed) {
            return Next::Finished;
        }
        if let Some(since) = self.busy_since.take()
            && turn.now >= self.orders.doom.load(Relaxed)
        {
            self.sums.longest_turn = self.sums.longest_turn.max(turn.now - since);
        }
        let more = self.steps(turn);
        let nudge = self.orders.nudge.load(Relaxed);
        if self.nudged.is_none() && turn.now >= nudge {
            self.nudge(turn);
        }
        let due = self.speak(turn);
        if more { Next::Until(turn.now) } else { Next::Until(due.min(turn.now + LOOK)) }
    }

    fn counted(&self) -> Counted {
        let doomed = self.orders.doom.load(Relaxed) != UNSET;
        Counted {
            ready: if doomed { self.detected } else { self.sums.ready },
            messages: self.sums.deliveries + self.sums.heard.count,
            pings: self.pings,
            errors: self.sums.errors.total(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_silent_before_the_last_sign_of_life_is_out() {
        assert_eq!(silence(500, UNSET, None), 500, "none is given");
        assert_eq!(silence(500, 250, None), UNSET, "it is yet to be sent");
        assert_eq!(silence(500, 250, Some(480)), 500);
        assert_eq!(silence(500, 250, Some(1_400)), 1_400, "a thread that was late with it");
        assert_eq!(silence(UNSET, 250, Some(480)), UNSET, "nobody dies any more");
    }
}
