//! The clients of `loadtest resume`, in one thread: each is one of four kinds, and what they do follows from the phase.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

use rollcall::internals::wire::frame::Opcode;

use crate::engine::link::{End, Link, masked};
use crate::engine::{Client, Counted, Next, Turn};
use crate::measure::{Recorder, Tally};
use crate::resume::words::{self, DATA_BYTES, Place};
use crate::resume::{Phase, Plan, Progress};
use crate::run_state::RunState;
use crate::target::Target;

const LOOK: u64 = 5_000_000;
/// How often each of the others says something while the herd returns.
const PING_EVERY: u64 = 50_000_000;
/// Bytes of an echo.
const ECHO_BYTES: usize = 20;

/// The kind of a client, and its number among those.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Role {
    #[default]
    None,
    /// Sends 20 bytes and gets them back.
    Echo,
    /// Is always there: says what others miss, and is one of those who must not notice.
    Keeper(usize),
    /// Recovers the same messages again and again.
    Reader(usize),
    /// Goes with all of its kind, and comes back with them.
    Herd(usize),
}

/// What is kept for a connection.
#[derive(Clone, Copy, Default, Debug)]
pub struct State {
    role: Role,
    /// Answers that it waits for until it is ready.
    waits: u8,
    /// When its last ping left; 0: it is answered.
    pinged: u64,
    /// Lines that it is still to say.
    left: u32,
}

pub struct ResumeClient<'a> {
    run_state: &'a RunState,
    plan: Plan,
    progress: &'a Progress,
    /// Who is to be connected next.
    coming: VecDeque<Role>,
    /// Where each reader, and each of the herd, has heard up to.
    places: [Vec<Place>; 2],
    keepers: Vec<usize>,
    phase: Phase,
    next_ping: u64,
    echo: Vec<u8>,
    pub counted: Counted,
    /// Times of what the others say, by mode: plain, kept.
    pub others: [Recorder; 2],
    pub errors: Tally,
}

impl<'a> ResumeClient<'a> {
    pub fn new(run_state: &'a RunState, plan: Plan, progress: &'a Progress) -> ResumeClient<'a> {
        let mut coming: VecDeque<Role> = (0..plan.echoes).map(|_| Role::Echo).collect();
        coming.extend((0..plan.rooms).map(Role::Keeper));
        coming.extend((0..plan.readers).map(Role::Reader));
        coming.extend((0..plan.herd).map(Role::Herd));
        ResumeClient {
            run_state,
            plan,
            progress,
            coming,
            places: [vec![Place::default(); plan.readers], vec![Place::default(); plan.herd]],
            keepers: Vec::new(),
            phase: Phase::Open,
            next_ping: 0,
            echo: masked(Opcode::Text, &[b'x'; ECHO_BYTES]),
            counted: Counted::default(),
            others: [Recorder::warmed(), Recorder::warmed()],
            errors: Tally::default(),
        }
    }

    fn recover(&self, reader: usize) -> Vec<u8> {
        let since = Place { offset: 0, ..self.places[0][reader] };
        words::join(words::JOIN_KEPT, &self.plan.room("kept-cost", reader), Some(since))
    }

    /// The room in which a keeper speaks in this phase.
    fn spoken(&self) -> &'static str {
        match self.phase {
            Phase::SayPlain => "plain",
            Phase::SayKept => "kept",
            Phase::Fill => "kept-more",
            _ => "kept-cost",
        }
    }

    fn answered(&mut self, link: &mut Link<State>, payload: &[u8]) -> Result<(), End> {
        let Some((seq, code, place)) = words::answer(payload) else { return Ok(()) };
        if code != 200 {
            self.errors.add(&format!("answered {code}"), 1);
            return Ok(());
        }
        match (link.state.role, seq) {
            (Role::Keeper(keeper), words::SAY) => {
                link.state.left -= 1;
                match link.state.left {
                    0 => drop(self.progress.done.fetch_add(1, Relaxed)),
                    _ => link.send(&words::say(&self.plan.room(self.spoken(), keeper)))?,
                }
            }
            (Role::Reader(reader), words::JOIN_KEPT) if link.state.waits == 0 => {
                if payload.len() < self.plan.recovered * DATA_BYTES {
                    self.errors.add("recovered too little", 1);
                }
                self.counted.messages += 1;
                if self.phase == Phase::Recover {
                    link.send(&self.recover(reader))?;
                }
            }
            (_, words::JOIN_PLAIN | words::JOIN_KEPT) => {
                match (link.state.role, seq) {
                    (Role::Reader(reader), _) => self.places[0][reader] = place,
                    (Role::Herd(client), words::JOIN_KEPT) => {
                        if self.phase == Phase::ReturnKept && payload.len() < self.plan.missed * DATA_BYTES {
                            self.errors.add("resumed too little", 1);
                        }
                        self.places[1][client] = place;
                    }
                    _ => {}
                }
                link.state.waits -= 1;
                if link.state.waits == 0 {
                    self.ready();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn ready(&mut self) {
        self.counted.ready += 1;
        self.progress.ready.fetch_add(1, Relaxed);
    }

    /// Something was said: of a keeper's own room it is what it has said itself.
    fn heard(&mut self, link: &mut Link<State>, now: u64) {
        if matches!(link.state.role, Role::Keeper(_)) && link.state.pinged > 0 {
            let mode = usize::from(self.phase == Phase::ReturnKept);
            self.others[mode].record(now - std::mem::take(&mut link.state.pinged));
        }
    }

    fn begin(&mut self, phase: Phase, turn: &mut Turn<'_, State>) {
        self.phase = phase;
        let lines = match phase {
            Phase::FillCost => self.plan.recovered,
            Phase::Fill => self.plan.kept,
            Phase::SayPlain | Phase::SayKept => self.plan.missed,
            _ => 0,
        };
        match phase {
            Phase::Echo => turn.each_open(|_, link| match link.state.role {
                Role::Echo => link.send(&self.echo),
                _ => Ok(()),
            }),
            Phase::Recover => turn.each_open(|_, link| match link.state.role {
                Role::Reader(reader) => link.send(&self.recover(reader)),
                _ => Ok(()),
            }),
            Phase::FillCost | Phase::Fill | Phase::SayPlain | Phase::SayKept => {
                turn.each_open(|_, link| match link.state.role {
                    Role::Keeper(keeper) => {
                        link.state.left = lines as u32;
                        link.send(&words::say(&self.plan.room(self.spoken(), keeper)))
                    }
                    _ => Ok(()),
                });
            }
            Phase::AwayPlain | Phase::AwayKept => turn.each_open(|_, link| match link.state.role {
                Role::Herd(_) => Err(End::Done),
                _ => Ok(()),
            }),
            Phase::Open | Phase::Rest | Phase::ReturnPlain | Phase::ReturnKept => {}
        }
    }

    fn ping(&mut self, turn: &mut Turn<'_, State>) {
        if !matches!(self.phase, Phase::ReturnPlain | Phase::ReturnKept) || turn.now < self.next_ping {
            return;
        }
        self.next_ping = turn.now + PING_EVERY;
        let now = turn.now;
        for id in &self.keepers {
            turn.with(*id, |link| match link.state.role {
                Role::Keeper(keeper) if link.state.pinged == 0 => {
                    link.state.pinged = now;
                    link.send(&words::ping(&self.plan.room("own", keeper)))
                }
                _ => Ok(()),
            });
        }
    }
}

impl Client for ResumeClient<'_> {
    type State = State;
    const SUBPROTOCOLS: &'static [&'static str] = &["rollcall.v1"];

    fn request(&mut self, link: &mut Link<State>, target: &Target, out: &mut Vec<u8>) {
        if link.state.role == Role::None {
            link.state.role = self.coming.pop_front().expect("no more are opened than are to come");
        }
        let user = match link.state.role {
            Role::Echo | Role::None => return target.write_request("/echo", Self::SUBPROTOCOLS, out),
            Role::Keeper(number) => format!("keeper-{number}"),
            Role::Reader(number) => format!("reader-{number}"),
            Role::Herd(number) => format!("herd-{number}"),
        };
        target.write_request(&format!("/ws?user={user}"), Self::SUBPROTOCOLS, out);
    }

    fn opened(&mut self, id: usize, link: &mut Link<State>, _: u64) -> Result<(), End> {
        let room = |kind: &str, number| self.plan.room(kind, number);
        let joins: Vec<Vec<u8>> = match link.state.role {
            Role::Echo | Role::None => {
                self.ready();
                return Ok(());
            }
            Role::Keeper(keeper) => {
                self.keepers.push(id);
                ["plain", "kept", "kept-cost", "kept-more", "own"]
                    .map(|kind| words::join(words::JOIN_PLAIN, &room(kind, keeper), None))
                    .into()
            }
            Role::Reader(reader) => vec![words::join(words::JOIN_KEPT, &room("kept-cost", reader), None)],
            Role::Herd(client) => {
                let plain = words::join(words::JOIN_PLAIN, &room("plain", client), None);
                let since = (self.phase == Phase::ReturnKept).then(|| self.places[1][client]);
                let kept = words::join(words::JOIN_KEPT, &room("kept", client), since);
                // The same in both modes, but for what is asked for.
                vec![plain, kept]
            }
        };
        link.state.waits = joins.len() as u8;
        link.send(&joins.concat())
    }

    fn received(&mut self, _: usize, link: &mut Link<State>, bytes: &mut [u8], now: u64) -> Result<(), End> {
        let (mut answers, mut heard, mut echoes) = (Vec::new(), 0, 0);
        let role = link.state.role;
        link.read(bytes, |_, _, payload| {
            match role {
                Role::Echo => echoes += 1,
                _ if words::is_said(payload) => heard += 1,
                _ if payload.starts_with(b"{\"seq\":") => answers.push(payload.to_vec()),
                _ => {}
            }
            Ok(())
        })?
        .open()?;
        for answer in answers {
            self.answered(link, &answer)?;
        }
        if heard > 0 {
            self.heard(link, now);
        }
        self.counted.messages += echoes;
        if echoes > 0 && self.phase == Phase::Echo {
            link.send(&self.echo)?;
        }
        Ok(())
    }

    fn failed(&mut self, link: &mut Link<State>) {
        if link.state.role != Role::None {
            self.coming.push_back(link.state.role);
        }
    }

    fn closed(&mut self, _: usize, link: &mut Link<State>, _: &End, _: u64) {
        self.coming.push_back(link.state.role);
    }

    fn turn(&mut self, turn: &mut Turn<'_, State>) -> Next {
        if self.run_state.stopped() {
            return Next::Finished;
        }
        let phase = Phase::of(self.progress.phase.load(Relaxed));
        if phase != self.phase {
            self.begin(phase, turn);
        }
        self.ping(turn);
        Next::Until(turn.now + LOOK)
    }

    fn counted(&self) -> Counted {
        self.counted
    }
}
