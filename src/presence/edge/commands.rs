//! Commands from clients: each is held to its limits and becomes messages to homes.

use std::borrow::Cow;

use crate::limits::{COMMANDS_REFUSED_MAX, PAST_MAX, ROOMS_PER_CONNECTION_MAX, WATCHES_PER_CONNECTION_MAX};
use crate::presence::awaiting::Before;
use crate::presence::command::{Command, Read};
use crate::presence::cost;
use crate::presence::data::{Data, SentData};
use crate::presence::draft::Wanted;
use crate::presence::edge::visibility::Listable;
use crate::presence::edge::{Edge, part};
use crate::presence::effect::Effect;
use crate::presence::ending::Ending;
use crate::presence::event::Event;
use crate::presence::message::{Leaving, MemberPage, Message, ReplyTo, RequestRef};
use crate::presence::name::Name;
use crate::presence::past::{Catchup, HistoryFrom};
use crate::presence::refusal::CommandRefusal;
use crate::presence::rules::Rules;
use crate::presence::rules::price;
use crate::presence::scatter_gather::ReplyKind;
use crate::presence::subscribers::Subscriber;
use crate::presence::subscriptions::Subscription;
use crate::presence::turn::Turn;
use crate::presence::view::State;
use crate::presence::views::Views;
use crate::time::Now;

impl Edge {
    pub(crate) fn command(&mut self, slot: u32, (read, bytes): (Read<'_>, usize), turn: &mut Turn<'_>) {
        if self.clients.get(slot as usize).is_none_or(|known| known.sent_away.is_some())
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
    pub(crate) fn may_ask(&mut self, slot: u32, turn: &mut Turn<'_>) -> Result<(), CommandRefusal> {
        if self.clients.get(slot as usize).is_none_or(|known| known.sent_away.is_some()) {
            return Err(CommandRefusal::Nobody);
        }
        turn.out.spend(1, cost::COMMAND_NANOS);
        self.pay(turn.now, turn.rules, slot, 1)?;
        self.is_let_in(slot)
    }

    /// Tells a client why a command is not done, where it isn't.
    pub(super) fn refuse(
        &mut self,
        slot: u32,
        seq: i64,
        done: Result<(), CommandRefusal>,
        turn: &mut Turn<'_>,
    ) {
        if let Err(why) = done {
            let known = &mut self.clients[slot as usize];
            let is_excess = why.is_excess();
            turn.out
                .effects
                .push(Effect::Send { session: known.session, event: Event::Refused { seq, why } });
            if is_excess {
                known.refused = known.refused.saturating_add(1);
                if u32::from(known.refused) == COMMANDS_REFUSED_MAX + 1 {
                    let session = known.session;
                    turn.out.effects.push(Effect::Close { session, why: Ending::Flooding });
                }
            }
        }
    }

    fn pay(&mut self, now: Now, rules: &Rules, slot: u32, commands: u32) -> Result<(), CommandRefusal> {
        if self.clients[slot as usize].pay(now.tick, rules, commands) {
            return Ok(());
        }
        Err(CommandRefusal::TooManyCommands { per_second: rules.commands_per_second, by_data: commands > 1 })
    }

    /// A command that can be read: it is paid for, and done where nothing has to be answered before it.
    fn take(
        &mut self,
        slot: u32,
        (seq, command): (i64, Command<'_>),
        bytes: usize,
        turn: &mut Turn<'_>,
    ) -> Result<(), CommandRefusal> {
        if let Command::Heartbeat = command {
            let event = Event::Heard { seq, unix_millis: turn.now.unix_millis };
            turn.out.effects.push(Effect::Send { session: self.clients[slot as usize].session, event });
            self.page_heartbeat(slot, turn);
            return Ok(());
        }
        let fits = turn.rules.check(command.data().map_or(0, SentData::len));
        self.pay(turn.now, turn.rules, slot, if fits.is_ok() { price(&command) } else { 1 })?;
        fits?;
        match self.wait(slot, (seq, command), bytes, turn)? {
            Some(command) => self.obey(slot, (seq, command), 0, turn),
            None => Ok(()),
        }
    }

    pub(super) fn obey(
        &mut self,
        slot: u32,
        (seq, command): (i64, Command<'_>),
        past_bytes: u32,
        turn: &mut Turn<'_>,
    ) -> Result<(), CommandRefusal> {
        if let Command::Auth { token } = command {
            turn.out.effects.push(Effect::Verify { slot, seq, token: token.into_owned() });
            return Ok(());
        }
        self.is_let_in(slot)?;
        if self.scarce && command.grows() {
            return Err(CommandRefusal::Scarce);
        }
        let request = if command.catches_up() { RequestRef::CatchUp(seq) } else { RequestRef::Command(seq) };
        let reply_to = ReplyTo { at: self.address(slot), request };
        let asks = command.asks();
        match command {
            Command::Heartbeat | Command::Auth { .. } => {}
            Command::Join { room, since } => {
                self.may_join(slot, &room)?;
                if self.end_taken(slot, &room) {
                    return Err(CommandRefusal::PutOut);
                }
                let catchup = since.map(|since| Box::new(Catchup { since, bytes: past_bytes }));
                self.join(slot, &room, catchup, reply_to, turn)?;
            }
            Command::Leave { room } => self.leave(slot, &room, reply_to, turn)?,
            Command::History { room, from, limit } => {
                let most = (limit.min(PAST_MAX) as u32, past_bytes);
                self.history(slot, &room, (from, most), reply_to, turn)?;
            }
            Command::Say { room, data, echo, id } => {
                let id = id.map(|id| id.into_owned().into());
                self.say(slot, &room, (data.into(), echo, id), reply_to, turn)?;
            }
            Command::Tell { user, data } => {
                let (from, user) = (self.identity(slot)?, Name::from(&*user));
                let (from, data, within) = (Some(from), data.into(), self.reach(slot, &user));
                turn.out.post(self.homes.of(&user), Message::Tell { user, from, data, within, reply_to });
            }
            Command::Status { state, info, ttl_seconds, binary } => {
                if let Some(binary) = binary {
                    self.set_takes_bytes(slot, binary);
                }
                if state.is_none() && info.is_none() {
                    let session = self.clients[slot as usize].session;
                    turn.out.effects.push(Effect::Send { session, event: Event::Done { seq } });
                    return Ok(());
                }
                self.status(slot, state, (info.as_deref(), ttl_seconds), reply_to, turn)?;
            }
            Command::Who { room, limit, after } => {
                let only = match self.listable(slot, &room)? {
                    Listable::All => None,
                    Listable::Only(patterns) => Some(patterns),
                    Listable::Nothing => {
                        // As a home answers that has no such room.
                        let page = MemberPage { room: Some(Name::from(&*room)), ..MemberPage::default() };
                        let session = self.clients[slot as usize].session;
                        let event = Event::Members { seq, page, views: Vec::new() };
                        turn.out.effects.push(Effect::Send { session, event });
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
                let session = self.clients[slot as usize].session;
                turn.out.effects.push(Effect::Send { session, event: Event::Done { seq } });
            }
        }
        if asks {
            self.clients[slot as usize].owe();
        }
        Ok(())
    }

    pub(super) fn identity(&self, slot: u32) -> Result<Name, CommandRefusal> {
        self.user(slot).cloned().ok_or(CommandRefusal::Nobody)
    }

    pub(super) fn join(
        &mut self,
        slot: u32,
        room: &str,
        catchup: Option<Box<Catchup>>,
        reply_to: ReplyTo,
        turn: &mut Turn<'_>,
    ) -> Result<(), CommandRefusal> {
        let user = self.identity(slot)?;
        let known = &mut self.clients[slot as usize];
        let found = self.rooms.find(room).map(|(topic, name)| (topic, name.clone()));
        let place = found.as_ref().and_then(|(topic, _)| known.rooms.get(*topic));
        let room = found.map_or_else(|| Name::from(room), |(_, name)| name);
        let again = place.is_some();
        let hides = known.is_hidden();
        let visit = place.map_or(self.next_visit.wrapping_add(1), |place| self.rooms.member(place).visit());
        if !again {
            if known.rooms.len() >= ROOMS_PER_CONNECTION_MAX {
                return Err(CommandRefusal::TooManyRooms);
            }
            self.next_visit = visit;
            self.rooms.add(&room, Subscriber::joining(slot, visit), &mut known.rooms);
        }
        let home = self.homes.of(&room);
        turn.out.post(home, Message::Join { room, user, again, visit, hides, catchup, reply_to });
        Ok(())
    }

    pub(super) fn leave(
        &mut self,
        slot: u32,
        room: &str,
        reply_to: ReplyTo,
        turn: &mut Turn<'_>,
    ) -> Result<(), CommandRefusal> {
        let user = self.identity(slot)?;
        let (place, room) = self.place_in_room(slot, room)?;
        let (heard, visit) = (self.rooms.member(place).active, self.rooms.member(place).visit());
        let hides = self.clients[slot as usize].is_hidden();
        self.leave_room(slot, place);
        if heard {
            self.moved(slot, &room, false, turn);
        }
        let (home, at) = (self.homes.of(&room), self.address(slot));
        let (leaving, reply_to) = (Leaving::Now, Some(reply_to));
        turn.out.post(home, Message::Leave { room, user, at, visit, hides, leaving, reply_to });
        Ok(())
    }

    fn say(
        &mut self,
        slot: u32,
        room: &str,
        (data, echo, id): (Data, bool, Option<Box<str>>),
        reply_to: ReplyTo,
        turn: &mut Turn<'_>,
    ) -> Result<(), CommandRefusal> {
        let from = self.identity(slot)?;
        let room = match self.place_in_room(slot, room) {
            Ok((_, room)) => room,
            Err(_) if self.may_say(slot, room) => Name::from(room),
            Err(refusal) => return Err(refusal),
        };
        let from = Some(from);
        turn.out.post(self.homes.of(&room), Message::Say { room, from, data, echo, id, reply_to });
        Ok(())
    }

    /// Members may read what was said, and clients that may join; to others there is no such room.
    fn history(
        &self,
        slot: u32,
        room: &str,
        (from, most): (HistoryFrom, (u32, u32)),
        reply_to: ReplyTo,
        turn: &mut Turn<'_>,
    ) -> Result<(), CommandRefusal> {
        let user = Some(self.identity(slot)?);
        let room = match self.place_in_room(slot, room) {
            Ok((_, room)) => room,
            Err(_) if self.may_join(slot, room).is_ok() => Name::from(room),
            Err(_) => return Err(CommandRefusal::NoRoom),
        };
        turn.out.post(self.homes.of(&room), Message::History { room, user, from, most, reply_to });
        Ok(())
    }

    /// Whether a client is in a room.
    pub(crate) fn is_in(&self, slot: u32, room: &str) -> bool {
        self.clients.get(slot as usize).is_some() && self.place_in_room(slot, room).is_ok()
    }

    pub(super) fn place_in_room(
        &self,
        slot: u32,
        room: &str,
    ) -> Result<(Subscription, Name), CommandRefusal> {
        let place =
            |(topic, name): (u32, &Name)| Some((self.clients[slot as usize].rooms.get(topic)?, name.clone()));
        self.rooms.find(room).and_then(place).ok_or(CommandRefusal::NotInRoom)
    }

    fn status(
        &mut self,
        slot: u32,
        state: Option<State>,
        (info, ttl_seconds): (Option<&str>, Option<u32>),
        reply_to: ReplyTo,
        turn: &mut Turn<'_>,
    ) -> Result<(), CommandRefusal> {
        let user = self.identity(slot)?;
        if info.is_some() {
            self.may_inform(slot)?;
        }
        let at = self.address(slot);
        let known = &mut self.clients[slot as usize];
        self.awaiting.before = Before { silent: known.silent, hidden: known.is_hidden(), said: known.said };
        known.silent &= state.is_none();
        known.said = state.or(known.said);
        if state == Some(State::Invisible) {
            // At once, so that nothing that it asks for after this shows it.
            self.hide(at.client, true, turn);
        }
        let info = info.map(Into::into);
        turn.out.post(self.homes.of(&user), Message::Status { user, at, state, info, ttl_seconds, reply_to });
        Ok(())
    }

    fn watch(
        &mut self,
        slot: u32,
        seq: i64,
        users: &[Cow<'_, str>],
        suspect: bool,
        turn: &mut Turn<'_>,
    ) -> Result<(), CommandRefusal> {
        let views = Views::new(self.homes, users.iter(), |user| match self.watches.find(user) {
            Some((_, name)) => name.clone(),
            None => Name::from(&**user),
        });
        turn.out.spend(users.len(), cost::NAME_NANOS);
        let watched = self.clients[slot as usize].watches.len();
        if watched + views.len() > WATCHES_PER_CONNECTION_MAX
            && watched + self.unwatched(slot, &views) > WATCHES_PER_CONNECTION_MAX
        {
            return Err(CommandRefusal::TooManyWatches);
        }
        let names: Vec<Name> = views.users().cloned().collect();
        let id = self.begin_reply(slot, seq, ReplyKind::Watch { suspect }, views);
        let reply = (id, self.pending_replies.serial(id));
        for (user, index) in names.into_iter().zip(0..) {
            let reply_to =
                part(ReplyTo { at: self.address(slot), request: RequestRef::Command(seq) }, reply, index);
            let home = self.homes.of(&user);
            let known = &mut self.clients[slot as usize];
            let place = self.watches.find(&user).and_then(|(topic, _)| known.watches.get(topic));
            let place = place
                .unwrap_or_else(|| self.watches.add(&user, Subscriber::watching(slot), &mut known.watches));
            let member = self.watches.member_mut(place);
            member.suspect = suspect;
            if member.count(suspect, true) {
                turn.out.post(home, Message::Look { user, reply_to });
            } else {
                turn.out.post(home, Message::Watch { user, reply_to, suspect });
            }
        }
        self.answer_if_complete(id, turn);
        Ok(())
    }

    /// How many of the users the client doesn't watch yet.
    fn unwatched(&self, slot: u32, users: &Views) -> usize {
        let watches = &self.clients[slot as usize].watches;
        let is_watched =
            |user: &Name| self.watches.find(user).is_some_and(|(topic, _)| watches.get(topic).is_some());
        users.users().filter(|user| !is_watched(user)).count()
    }

    pub(super) fn unwatch(&mut self, slot: u32, user: &str, turn: &mut Turn<'_>) {
        let Some((topic, user)) = self.watches.find(user).map(|(topic, user)| (topic, user.clone())) else {
            return;
        };
        let Some(place) = self.clients[slot as usize].watches.get(topic) else { return };
        let counted = self.watches.member(place).counted();
        self.leave_watch(slot, place);
        self.tell_home_unwatched(&user, counted, turn);
    }

    fn look(&mut self, slot: u32, seq: i64, views: Views, turn: &mut Turn<'_>) {
        let users: Vec<Name> = views.users().cloned().collect();
        let id = self.begin_reply(slot, seq, ReplyKind::Presence, views);
        let reply = (id, self.pending_replies.serial(id));
        for (user, index) in users.into_iter().zip(0..) {
            let reply_to =
                part(ReplyTo { at: self.address(slot), request: RequestRef::Command(seq) }, reply, index);
            turn.out.post(self.homes.of(&user), Message::Look { user, reply_to });
        }
        self.answer_if_complete(id, turn);
    }
}
