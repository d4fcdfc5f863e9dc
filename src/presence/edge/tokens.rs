//! Tokens of clients: the first, the next, and the end of one. Their texts are verified elsewhere; claims come here.

use std::sync::Arc;

use crate::limits::{CLOCK_LOOK_TICKS, TOKENS_LOOKED_AT_PER_TURN};
use crate::presence::cost;
use crate::presence::edge::Edge;
use crate::presence::effect::Effect;
use crate::presence::ending::Ending;
use crate::presence::event::Event;
use crate::presence::grants::{Grants, Pass, PassEnd};
use crate::presence::message::{Claim, ClientId, Message};
use crate::presence::name::Name;
use crate::presence::refusal::CommandRefusal;
use crate::presence::timer::Timer;
use crate::presence::turn::Turn;
use crate::presence::view::Reason;
use crate::presence::wall::Wall;
use crate::time::Tick;

impl Edge {
    /// A client comes with a token, or shows its first.
    pub(super) fn show_token(&mut self, slot: u32, user: Name, grants: &Arc<Grants>, turn: &mut Turn<'_>) {
        self.keep_pass(slot, Pass::Held(Arc::clone(grants)), turn);
        self.identify(slot, user, claim_of(grants), turn);
    }

    /// A client has until then to show a token.
    pub(super) fn await_token(&mut self, slot: u32, until: Tick, turn: &mut Turn<'_>) {
        self.keep_pass(slot, Pass::Awaited(until), turn);
    }

    fn keep_pass(&mut self, slot: u32, pass: Pass, turn: &mut Turn<'_>) {
        if self.passes.is_empty() {
            (self.wall, self.looked) = (Wall::at(turn.now), turn.now.tick);
        }
        let ClientId { slot, serial } = self.address(slot).client;
        if let Some(at) = self.passes.put(self.wall.shown(turn.now), slot, pass) {
            turn.out.timer(at, Timer::Token { slot, serial });
        }
    }

    /// Looks at the wall clock. If it has stepped ahead for good, the ends of all tokens are looked at, some in each call.
    pub(crate) fn follow_clock(&mut self, turn: &mut Turn<'_>) {
        if self.passes.is_empty() {
            self.unlooked = None;
            return;
        }
        self.looked = turn.now.tick;
        if self.wall.follow(turn.now) {
            self.unlooked = Some(0);
        }
        let Some(first) = self.unlooked else { return };
        let end = self.clients.end().min(first + TOKENS_LOOKED_AT_PER_TURN);
        turn.out.spend(end.saturating_sub(first), cost::NAME_NANOS);
        for slot in first..end {
            self.time_anew(slot as u32, turn);
        }
        self.unlooked = (end < self.clients.end()).then_some(end);
    }

    /// When [`Edge::follow_clock`] is to be called next.
    pub(crate) fn clock_due(&self) -> Option<Tick> {
        let wait = if self.unlooked.is_some() { 1 } else { CLOCK_LOOK_TICKS };
        (!self.passes.is_empty()).then(|| self.looked.after(wait))
    }

    fn time_anew(&mut self, slot: u32, turn: &mut Turn<'_>) {
        if self.end_if_over(slot, turn) {
            return;
        }
        if let Some(at) = self.passes.sooner(self.wall.shown(turn.now), slot) {
            let ClientId { slot, serial } = self.address(slot).client;
            turn.out.timer(at, Timer::Token { slot, serial });
        }
    }

    /// The timer of a client's pass was filed for then.
    pub(crate) fn token_timed(&mut self, slot: u32, at: Tick) {
        self.passes.armed(slot, at);
    }

    /// A token may have ended, or the time to show one.
    pub(crate) fn token_due(&mut self, slot: u32, serial: u32, at: Tick, turn: &mut Turn<'_>) {
        if self.known(ClientId { slot, serial }).is_none() {
            return;
        }
        if let Some(next) = self.passes.due(self.wall.shown(turn.now), slot, at)
            && !self.end_if_over(slot, turn)
        {
            turn.out.timer(next, Timer::Token { slot, serial });
        }
    }

    /// Sends a client away whose token has ended, or who showed none in time: looked at when its timer fires, and when it
    /// asks for something. Says whether it did.
    pub(super) fn end_if_over(&mut self, slot: u32, turn: &mut Turn<'_>) -> bool {
        let Some(over) = self.passes.over(self.wall.shown(turn.now), slot) else { return false };
        if !self.is_sent_away(slot) {
            let why = match over {
                PassEnd::Expired => Ending::Expired,
                PassEnd::Awaited => Ending::NoToken,
            };
            self.send_away(slot, Reason::Expired, why, turn);
        }
        true
    }

    /// The token that a client showed is good.
    pub(crate) fn authenticate(
        &mut self,
        slot: u32,
        seq: i64,
        user: Name,
        grants: Arc<Grants>,
        turn: &mut Turn<'_>,
    ) {
        let Some(known) = self.clients.get(slot as usize).filter(|known| known.sent_away.is_none()) else {
            return;
        };
        let (session, found) = (known.session, known.user.clone());
        let expires_millis = grants.expires_millis;
        let event = Event::Authenticated { seq, user: user.clone(), expires_millis };
        match &found {
            None if self.turns_away(slot, &user, turn) => return,
            None => self.show_token(slot, user, &grants, turn),
            Some(found) if *found == user => {
                let before = self.passes.get(slot).cloned();
                if before.as_ref().is_none_or(|before| before.info != grants.info) {
                    let (at, claim) = (self.address(slot), claim_of(&grants));
                    turn.out.post(self.homes.of(&user), Message::Renewed { user, at, claim });
                }
                self.keep_pass(slot, Pass::Held(grants), turn);
                if let Some(before) = before {
                    self.renewed(slot, &before, turn);
                }
            }
            Some(_) => {
                let event = Event::Refused { seq, why: CommandRefusal::OtherUser };
                return turn.out.effects.push(Effect::Send { session, event });
            }
        }
        turn.out.effects.push(Effect::Send { session, event });
    }

    /// The token that a client showed is not good: who has one that is goes on with it.
    pub(crate) fn refuse_token(&mut self, slot: u32, seq: i64, why: CommandRefusal, turn: &mut Turn<'_>) {
        let is_awaited = self.passes.is_awaited(slot);
        let Some(known) = self.clients.get_mut(slot as usize).filter(|known| known.sent_away.is_none())
        else {
            return;
        };
        let session = known.session;
        let is_pending = matches!(why, CommandRefusal::BadToken { pending: true, .. });
        turn.out.effects.push(Effect::Send { session, event: Event::Refused { seq, why } });
        if is_awaited {
            known.sent_away = Some(Reason::Expired);
            // Nothing is known against a token that may be good in a moment: its client is to come back with it.
            let why = if is_pending { Ending::UnknownToken } else { Ending::BadToken };
            turn.out.effects.push(Effect::Close { session, why });
        }
    }

    /// Whether a client may ask for anything but `auth`.
    pub(super) fn is_let_in(&self, slot: u32) -> Result<(), CommandRefusal> {
        if self.passes.is_awaited(slot) {
            return Err(CommandRefusal::TokenAwaited);
        }
        Ok(())
    }

    pub(super) fn may_join(&self, slot: u32, room: &str) -> Result<(), CommandRefusal> {
        match self.passes.get(slot) {
            Some(grants) if !grants.may_join(room) => Err(CommandRefusal::RoomNotGranted),
            _ => Ok(()),
        }
    }

    /// Whether a client may speak in a room that it is not in.
    pub(super) fn may_say(&self, slot: u32, room: &str) -> bool {
        self.passes.get(slot).is_some_and(|grants| grants.may_say(room))
    }

    pub(super) fn may_inform(&self, slot: u32) -> Result<(), CommandRefusal> {
        match self.passes.get(slot) {
            Some(grants) if grants.info.is_some() => Err(CommandRefusal::InfoByToken),
            _ => Ok(()),
        }
    }
}

/// The claim of a token about its user's `info`.
pub(super) fn claim_of(grants: &Grants) -> Claim {
    grants.info.clone().map_or(Claim::Nothing, Claim::Info)
}
