//! What clients send: commands, each within its limits, and the envelopes they become.

use std::borrow::Cow;

use crate::limits::{COMMANDS_REFUSED_MAX, ROOMS_PER_CONNECTION_MAX, WATCHES_PER_CONNECTION_MAX};
use crate::presence::awaiting::Before;
use crate::presence::command::{Command, Read};
use crate::presence::cost;
use crate::presence::draft::Wanted;
use crate::presence::edge::sight::Listable;
use crate::presence::edge::{Edge, part};
use crate::presence::effect::Effect;
use crate::presence::ending::Ending;
use crate::presence::envelope::{Asker, Envelope, Leaving, Page, Ticket};
use crate::presence::event::Event;
use crate::presence::gather::Purpose;
use crate::presence::groups::Member;
use crate::presence::name::Name;
use crate::presence::places::Place;
use crate::presence::refusal::Refusal;
use crate::presence::rules::Rules;
use crate::presence::rules::price;
use crate::presence::turn::Turn;
use crate::presence::view::State;
use crate::presence::views::Views;
use crate::time::Now;

impl Edge {
    pub(crate) fn command(&mut self, slot: u32, (read, bytes): (Read<'_>, usize), turn: &mut Turn<'_>) {
        if self.seats.get(slot as usize).is_none_or(|seat| seat.sent_away.is_some())
            || self.end_if_over(slot, turn)
        {
            return;
        }
        turn.out.spend(1, cost::COMMAND_NANOS);
        turn.out.spend(bytes, cost::TEXT_BYTE_NANOS);
        let (seq, done) = match read {
            Ok((seq, command)) => (seq, self.take(slot, (seq, command), bytes, turn)),
            // A text that can't be read costs as much as one that can.
            Err((seq, why)) => (seq, self.pay(turn.now, turn.rules, slot, 1).and(Err(why))),
        };
        self.refuse(slot, seq, done, turn);
    }

    /// A client asks for something that is not presence's to answer, which costs as much as any command: whether it may ask.
    pub(crate) fn may_ask(&mut self, slot: u32, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        if self.seats.get(slot as usize).is_none_or(|seat| seat.sent_away.is_some()) {
            return Err(Refusal::Nobody);
        }
        turn.out.spend(1, cost::COMMAND_NANOS);
        self.pay(turn.now, turn.rules, slot, 1)?;
        self.is_let_in(slot)
    }

    /// Tells a client why a command is not done, where it isn't.
    pub(super) fn refuse(&mut self, slot: u32, seq: i64, done: Result<(), Refusal>, turn: &mut Turn<'_>) {
        if let Err(why) = done {
            let seat = &mut self.seats[slot as usize];
            let is_excess = why.is_excess();
            turn.out.effects.push(Effect::Send { link: seat.link, event: Event::Refused { seq, why } });
            if is_excess {
                seat.refused = seat.refused.saturating_add(1);
                if u32::from(seat.refused) == COMMANDS_REFUSED_MAX + 1 {
                    let link = seat.link;
                    turn.out.effects.push(Effect::Close { link, why: Ending::Flooding });
                }
            }
        }
    }

    fn pay(&mut self, now: Now, rules: &Rules, slot: u32, commands: u32) -> Result<(), Refusal> {
        if self.seats[slot as usize].pay(now.tick, rules, commands) {
            return Ok(());
        }
        Err(Refusal::TooManyCommands { per_second: rules.commands_per_second, by_data: commands > 1 })
    }

    /// A command that can be read: it is paid for, and done where nothing has to be answered before it.
    fn take(
        &mut self,
        slot: u32,
        (seq, command): (i64, Command<'_>),
        bytes: usize,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        if let Command::Heartbeat = command {
            let event = Event::Heard { seq, unix_millis: turn.now.unix_millis };
            turn.out.effects.push(Effect::Send { link: self.seats[slot as usize].link, event });
            self.page_beat(slot, turn);
            return Ok(());
        }
        let fits = turn.rules.check(command.data());
        self.pay(turn.now, turn.rules, slot, if fits.is_ok() { price(&command) } else { 1 })?;
        fits?;
        match self.wait(slot, (seq, command), bytes)? {
            Some(command) => self.obey(slot, seq, command, turn),
            None => Ok(()),
        }
    }

    pub(super) fn obey(
        &mut self,
        slot: u32,
        seq: i64,
        command: Command<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        if let Command::Auth { token } = command {
            turn.out.effects.push(Effect::Verify { slot, seq, token: token.into_owned() });
            return Ok(());
        }
        self.is_let_in(slot)?;
        if self.scarce && command.grows() {
            return Err(Refusal::Scarce);
        }
        let asker = Asker { at: self.address(slot), ticket: Ticket::Command(seq) };
        let asks = command.asks();
        match command {
            Command::Heartbeat | Command::Auth { .. } => {}
            Command::Join { room } => {
                self.may_join(slot, &room)?;
                if self.end_taken(slot, &room) {
                    return Err(Refusal::PutOut);
                }
                self.join(slot, &room, asker, turn)?;
            }
            Command::Leave { room } => self.leave(slot, &room, asker, turn)?,
            Command::Say { room, data, echo } => self.say(slot, &room, &data, echo, asker, turn)?,
            Command::Tell { user, data } => {
                let (from, user) = (self.identity(slot)?, Name::from(&*user));
                let (from, data, within) = (Some(from), data.into_owned().into(), self.reach(slot, &user));
                turn.out.post(self.homes.of(&user), Envelope::Tell { user, from, data, within, asker });
            }
            Command::Status { state, info, ttl_seconds } => {
                self.status(slot, state, (info.as_deref(), ttl_seconds), asker, turn)?;
            }
            Command::Who { room, limit, after } => {
                let only = match self.listable(slot, &room)? {
                    Listable::All => None,
                    Listable::Only(patterns) => Some(patterns),
                    Listable::Nothing => {
                        // As a home answers that has no such room.
                        let page = Page { room: Some(Name::from(&*room)), ..Page::default() };
                        let link = self.seats[slot as usize].link;
                        let event = Event::Members { seq, page, views: Vec::new() };
                        turn.out.effects.push(Effect::Send { link, event });
                        return Ok(());
                    }
                };
                let after = after.map(|after| Name::from(&*after));
                let room =
                    self.rooms.find(&room).map_or_else(|| Name::from(&*room), |(_, name)| name.clone());
                let is_in = self.place_in_room(slot, &room).is_ok();
                self.page(slot, seq, Wanted { room, limit, after, only, is_in }, turn);
            }
            Command::Watch { users, suspect } => self.watch(slot, seq, &users, suspect, turn)?,
            Command::Presence { users } => {
                turn.out.spend(users.len(), cost::NAME_NANOS);
                let views = Views::new(self.homes, users.iter(), |user| Name::from(&**user));
                self.look(slot, seq, views, turn);
            }
            Command::Unwatch { users } => {
                turn.out.spend(users.len(), cost::NAME_NANOS);
                users.iter().for_each(|user| self.unwatch(slot, user, turn));
                let link = self.seats[slot as usize].link;
                turn.out.effects.push(Effect::Send { link, event: Event::Done { seq } });
            }
        }
        if asks {
            self.seats[slot as usize].owe();
        }
        Ok(())
    }

    pub(super) fn identity(&self, slot: u32) -> Result<Name, Refusal> {
        self.user(slot).cloned().ok_or(Refusal::Nobody)
    }

    pub(super) fn join(
        &mut self,
        slot: u32,
        room: &str,
        asker: Asker,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let user = self.identity(slot)?;
        let seat = &mut self.seats[slot as usize];
        let known = self.rooms.find(room).map(|(group, name)| (group, name.clone()));
        let place = known.as_ref().and_then(|(group, _)| seat.rooms.get(*group));
        let room = known.map_or_else(|| Name::from(room), |(_, name)| name);
        let again = place.is_some();
        let hides = seat.is_hidden();
        let visit = place.map_or(self.next_visit.wrapping_add(1), |place| self.rooms.member(place).visit());
        if !again {
            if seat.rooms.len() >= ROOMS_PER_CONNECTION_MAX {
                return Err(Refusal::TooManyRooms);
            }
            self.next_visit = visit;
            self.rooms.add(&room, Member::joining(slot, visit), &mut seat.rooms);
        }
        turn.out.post(self.homes.of(&room), Envelope::Join { room, user, again, visit, hides, asker });
        Ok(())
    }

    pub(super) fn leave(
        &mut self,
        slot: u32,
        room: &str,
        asker: Asker,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let user = self.identity(slot)?;
        let (place, room) = self.place_in_room(slot, room)?;
        let (heard, visit) = (self.rooms.member(place).active, self.rooms.member(place).visit());
        let hides = self.seats[slot as usize].is_hidden();
        self.leave_room(slot, place);
        if heard {
            self.moved(slot, &room, false, turn);
        }
        let (home, at) = (self.homes.of(&room), self.address(slot));
        let (leaving, asker) = (Leaving::Now, Some(asker));
        turn.out.post(home, Envelope::Leave { room, user, at, visit, hides, leaving, asker });
        Ok(())
    }

    fn say(
        &mut self,
        slot: u32,
        room: &str,
        data: &str,
        echo: bool,
        asker: Asker,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let from = self.identity(slot)?;
        let room = match self.place_in_room(slot, room) {
            Ok((_, room)) => room,
            Err(_) if self.may_say(slot, room) => Name::from(room),
            Err(refusal) => return Err(refusal),
        };
        let from = Some(from);
        turn.out.post(self.homes.of(&room), Envelope::Say { room, from, data: data.into(), echo, asker });
        Ok(())
    }

    pub(super) fn place_in_room(&self, slot: u32, room: &str) -> Result<(Place, Name), Refusal> {
        let place =
            |(group, name): (u32, &Name)| Some((self.seats[slot as usize].rooms.get(group)?, name.clone()));
        self.rooms.find(room).and_then(place).ok_or(Refusal::NotInRoom)
    }

    fn status(
        &mut self,
        slot: u32,
        state: Option<State>,
        (info, ttl_seconds): (Option<&str>, Option<u32>),
        asker: Asker,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let user = self.identity(slot)?;
        if info.is_some() {
            self.may_inform(slot)?;
        }
        let at = self.address(slot);
        let seat = &mut self.seats[slot as usize];
        self.awaiting.before = Before { silent: seat.silent, hidden: seat.is_hidden(), said: seat.said };
        seat.silent &= state.is_none();
        seat.said = state.or(seat.said);
        if state == Some(State::Invisible) {
            // At once, so that nothing that it asks for after this shows it.
            self.hide(at.client, true, turn);
        }
        let info = info.map(Into::into);
        turn.out.post(self.homes.of(&user), Envelope::Status { user, at, state, info, ttl_seconds, asker });
        Ok(())
    }

    fn watch(
        &mut self,
        slot: u32,
        seq: i64,
        users: &[Cow<'_, str>],
        suspect: bool,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let views = Views::new(self.homes, users.iter(), |user| match self.watches.find(user) {
            Some((_, name)) => name.clone(),
            None => Name::from(&**user),
        });
        turn.out.spend(users.len(), cost::NAME_NANOS);
        let watched = self.seats[slot as usize].watches.len();
        if watched + views.len() > WATCHES_PER_CONNECTION_MAX
            && watched + self.unwatched(slot, &views) > WATCHES_PER_CONNECTION_MAX
        {
            return Err(Refusal::TooManyWatches);
        }
        let names: Vec<Name> = views.users().cloned().collect();
        let id = self.gather(slot, seq, Purpose::Watch { suspect }, views);
        let reply = (id, self.gathers.serial(id));
        for (user, index) in names.into_iter().zip(0..) {
            let asker = part(Asker { at: self.address(slot), ticket: Ticket::Command(seq) }, reply, index);
            let home = self.homes.of(&user);
            let seat = &mut self.seats[slot as usize];
            let place = self.watches.find(&user).and_then(|(group, _)| seat.watches.get(group));
            let place =
                place.unwrap_or_else(|| self.watches.add(&user, Member::watching(slot), &mut seat.watches));
            let member = self.watches.member_mut(place);
            member.suspect = suspect;
            if member.count(suspect, true) {
                turn.out.post(home, Envelope::Look { user, asker });
            } else {
                turn.out.post(home, Envelope::Watch { user, asker, suspect });
            }
        }
        self.answer_if_complete(id, turn);
        Ok(())
    }

    /// How many of the users the client doesn't watch yet.
    fn unwatched(&self, slot: u32, users: &Views) -> usize {
        let watches = &self.seats[slot as usize].watches;
        let is_watched =
            |user: &Name| self.watches.find(user).is_some_and(|(group, _)| watches.get(group).is_some());
        users.users().filter(|user| !is_watched(user)).count()
    }

    pub(super) fn unwatch(&mut self, slot: u32, user: &str, turn: &mut Turn<'_>) {
        let Some((group, user)) = self.watches.find(user).map(|(group, user)| (group, user.clone())) else {
            return;
        };
        let Some(place) = self.seats[slot as usize].watches.get(group) else { return };
        let counted = self.watches.member(place).counted();
        self.leave_watch(slot, place);
        self.tell_home_unwatched(&user, counted, turn);
    }

    fn look(&mut self, slot: u32, seq: i64, views: Views, turn: &mut Turn<'_>) {
        let users: Vec<Name> = views.users().cloned().collect();
        let id = self.gather(slot, seq, Purpose::Presence, views);
        let reply = (id, self.gathers.serial(id));
        for (user, index) in users.into_iter().zip(0..) {
            let asker = part(Asker { at: self.address(slot), ticket: Ticket::Command(seq) }, reply, index);
            turn.out.post(self.homes.of(&user), Envelope::Look { user, asker });
        }
        self.answer_if_complete(id, turn);
    }
}
