//! The clients whose sockets live at this worker: who they are, what they are in, what they may send, and what reaches them.

use std::borrow::Cow;

use slab::Slab;

use crate::limits::{
    COMMANDS_BURST_MAX, COMMANDS_PER_SECOND_MAX, COMMANDS_REFUSED_MAX, ROOMS_PER_CONNECTION_MAX,
    WATCHES_PER_CONNECTION_MAX,
};
use crate::presence::command::{self, Command, Refusal};
use crate::presence::envelope::{Address, Answer, Asker, Client, Envelope, Frame, Leaving, Page, Ticket};
use crate::presence::event;
use crate::presence::gather::{Gather, Gathers, Purpose};
use crate::presence::groups::{Groups, Member, Place, Places};
use crate::presence::name::{Homes, Name};
use crate::presence::node::{Effect, Outgoing, Rules, next_serial, page_timer};
use crate::presence::view::{Reason, State, View};
use crate::time::{Now, TICK_MILLIS, Tick};

/// A client.
#[derive(Debug)]
struct Seat {
    link: u64,
    user: Option<Name>,
    rooms: Places,
    watches: Places,
    /// Answers in the making.
    #[expect(clippy::box_collection, reason = "almost always absent: a pointer, not a vector")]
    gathers: Option<Box<Vec<u32>>>,
    serial: u32,
    /// When `credit` was last filled.
    filled: Tick,
    /// When the page's own heartbeat last came.
    beat: Tick,
    /// Commands it may send, in hundredths.
    credit: u16,
    /// Commands in a row that got 429.
    refused: u16,
    /// It was sent away, for this.
    sent_away: Option<Reason>,
    said_away: bool,
    page_away: bool,
    /// A timer watches the page's own heartbeat.
    timed: bool,
}

const COMMAND_CREDIT: u32 = 100;
#[expect(clippy::cast_possible_truncation, reason = "asserted below")]
const CREDIT_MAX: u16 = (COMMANDS_BURST_MAX * COMMAND_CREDIT) as u16;
const CREDIT_PER_TICK: u32 = COMMANDS_PER_SECOND_MAX * COMMAND_CREDIT * TICK_MILLIS as u32 / 1000;
const _: () = assert!(COMMANDS_BURST_MAX * COMMAND_CREDIT <= u16::MAX as u32);
const _: () = assert!(size_of::<Seat>() <= 72);

impl Seat {
    /// Whether it may send another command now.
    fn pay(&mut self, now: Tick) -> bool {
        let earned = now.since(self.filled).saturating_mul(CREDIT_PER_TICK);
        self.credit = u16::try_from(earned).unwrap_or(u16::MAX).saturating_add(self.credit).min(CREDIT_MAX);
        self.filled = now;
        match u32::from(self.credit).checked_sub(COMMAND_CREDIT) {
            Some(left) => {
                self.credit = u16::try_from(left).unwrap_or(0);
                self.refused = 0;
                true
            }
            None => false,
        }
    }

    fn is_away(&self) -> bool {
        self.said_away || self.page_away
    }
}

/// The clients of one worker.
#[derive(Debug)]
pub struct Edge {
    worker: u16,
    homes: Homes,
    seats: Slab<Seat>,
    rooms: Groups,
    watches: Groups,
    gathers: Gathers,
    next_serial: u32,
}

impl Edge {
    pub(crate) fn new(worker: u16, homes: Homes) -> Edge {
        Edge {
            worker,
            homes,
            seats: Slab::new(),
            rooms: Groups::default(),
            watches: Groups::default(),
            gathers: Gathers::default(),
            next_serial: 0,
        }
    }

    /// Clients here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Answers that wait for homes.
    #[must_use]
    pub fn gathering(&self) -> usize {
        self.gathers.len()
    }

    /// Who a client is.
    #[must_use]
    pub fn user(&self, slot: u32) -> Option<&Name> {
        self.seats.get(slot as usize)?.user.as_ref()
    }

    /// Bytes held, names apart.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.seats.capacity() * size_of::<Seat>() + self.rooms.bytes() + self.watches.bytes()
    }

    #[expect(clippy::cast_possible_truncation, reason = "fewer clients than 2^32")]
    pub(crate) fn open<F: Frame>(
        &mut self,
        now: Now,
        rules: &Rules,
        link: u64,
        user: Option<Name>,
        welcome: bool,
        out: &mut Outgoing<F>,
    ) -> u32 {
        self.next_serial = next_serial(self.next_serial);
        if welcome {
            let json = event::welcome(link, user.as_deref(), rules.heartbeat_millis, now);
            out.effects.push(Effect::Text { link, json });
        }
        let slot = self.seats.insert(Seat {
            link,
            user: None,
            rooms: None,
            watches: None,
            gathers: None,
            serial: self.next_serial,
            filled: now.tick,
            beat: now.tick,
            credit: CREDIT_MAX,
            refused: 0,
            sent_away: None,
            said_away: false,
            page_away: false,
            timed: false,
        }) as u32;
        if let Some(user) = user {
            self.identify(slot, user, out);
        }
        slot
    }

    pub(crate) fn identify<F>(&mut self, slot: u32, user: Name, out: &mut Outgoing<F>) -> bool {
        let at = self.address(slot);
        let home = self.homes.of(&user);
        match self.seats.get_mut(slot as usize) {
            Some(seat) if seat.user.is_none() => {
                seat.user = Some(user.clone());
                out.post(home, Envelope::Up { user, at });
                true
            }
            _ => false,
        }
    }

    pub(crate) fn suspect<F>(&mut self, slot: u32, suspect: bool, out: &mut Outgoing<F>) {
        let at = self.address(slot);
        if let Some(user) = self.user(slot).cloned() {
            out.post(self.homes.of(&user), Envelope::Suspect { user, at, suspect });
        }
    }

    pub(crate) fn page_beat<F>(&mut self, now: Now, rules: &Rules, slot: u32, out: &mut Outgoing<F>) {
        let Some(silence) = rules.page_silence else { return };
        let client = self.address(slot).client;
        let Some(seat) = self.seats.get_mut(slot as usize) else { return };
        seat.beat = now.tick;
        if !std::mem::replace(&mut seat.timed, true) {
            out.timer(now.tick.after(silence), page_timer(client));
        }
        if std::mem::take(&mut seat.page_away) {
            self.tell_home_away(slot, out);
        }
    }

    /// The page's heartbeat may have stopped.
    pub(crate) fn page_due<F>(
        &mut self,
        now: Now,
        rules: &Rules,
        slot: u32,
        serial: u32,
        out: &mut Outgoing<F>,
    ) {
        let Some(silence) = rules.page_silence else { return };
        let Some(seat) = self.seats.get_mut(slot as usize).filter(|seat| seat.serial == serial) else {
            return;
        };
        let due = seat.beat.after(silence);
        if now.tick.is_before(due) {
            out.timer(due, page_timer(Client { slot, serial }));
        } else {
            seat.timed = false;
            seat.page_away = true;
            self.tell_home_away(slot, out);
        }
    }

    fn tell_home_away<F>(&self, slot: u32, out: &mut Outgoing<F>) {
        let seat = &self.seats[slot as usize];
        let Some(user) = seat.user.clone() else { return };
        let state = Some(if seat.is_away() { State::Away } else { State::Online });
        let at = self.address(slot);
        out.post(self.homes.of(&user), Envelope::Status { user, at, state, info: None, asker: None });
    }

    pub(crate) fn closed<F>(&mut self, slot: u32, reason: Reason, seen_millis: u64, out: &mut Outgoing<F>) {
        let at = self.address(slot);
        let Some(mut seat) = self.seats.try_remove(slot as usize) else { return };
        let reason = seat.sent_away.unwrap_or(reason);
        let leaving = if reason.is_final() { Leaving::Now } else { Leaving::Perhaps };
        for place in seat.watches.take().into_iter().flat_map(|places| *places) {
            let user = self.watches.name(place.group).clone();
            let suspect = self.watches.member_mut(place).suspect;
            self.drop_watch(place);
            out.post(self.homes.of(&user), Envelope::Unwatch { user, worker: self.worker, suspect });
        }
        for place in seat.rooms.take().into_iter().flat_map(|places| *places) {
            let room = self.rooms.name(place.group).clone();
            self.drop_room(place);
            if let Some(user) = seat.user.clone() {
                let home = self.homes.of(&room);
                out.post(home, Envelope::Leave { room, user, worker: self.worker, leaving, asker: None });
            }
        }
        if let Some(user) = seat.user {
            out.post(self.homes.of(&user), Envelope::Down { user, at, reason, seen_millis });
        }
    }

    // What clients send.

    pub(crate) fn command<F: Frame>(&mut self, now: Now, slot: u32, text: &str, out: &mut Outgoing<F>) {
        if !self.seats.contains(slot as usize) {
            return;
        }
        let done = command::parse(text).and_then(|(seq, command)| {
            self.obey(now, slot, seq, command, out).map_err(|refusal| Refusal { seq, ..refusal })
        });
        if let Err(Refusal { seq, code, error }) = done {
            let seat = &mut self.seats[slot as usize];
            let (link, refused) = (seat.link, &mut seat.refused);
            if code == 429 {
                *refused += 1;
            }
            out.effects.push(Effect::Text { link, json: event::refusal(seq, code, &error) });
            if u32::from(*refused) > COMMANDS_REFUSED_MAX {
                out.effects.push(Effect::Close { link, code: 4429, reason: "too many messages" });
            }
        }
    }

    fn obey<F: Frame>(
        &mut self,
        now: Now,
        slot: u32,
        seq: i64,
        command: Command<'_>,
        out: &mut Outgoing<F>,
    ) -> Result<(), Refusal> {
        let seat = &mut self.seats[slot as usize];
        if let Command::Heartbeat = command {
            let json = event::heartbeat_answer(seq, now);
            out.effects.push(Effect::Text { link: seat.link, json });
            return Ok(());
        }
        if !seat.pay(now.tick) {
            let error = format!("more than {COMMANDS_PER_SECOND_MAX} commands a second");
            return Err(Refusal::new(seq, 429, error));
        }
        let asker = Asker { at: self.address(slot), ticket: Ticket::Command(seq) };
        match command {
            Command::Heartbeat => {}
            Command::Join { room } => self.join(slot, &room, asker, out)?,
            Command::Leave { room } => self.leave(slot, &room, asker, out)?,
            Command::Say { room, data, echo } => self.say(slot, &room, data, echo, asker, out)?,
            Command::Tell { user, data } => {
                let (from, user) = (self.identity(slot)?, Name::from(&*user));
                out.post(self.homes.of(&user), Envelope::Tell { user, from, data: data.into(), asker });
            }
            Command::Status { state, info } => self.status(slot, state, info, asker, out)?,
            Command::Who { room, limit, after } => {
                let after = after.map(|after| Name::from(&*after));
                let id = self.gather(slot, seq, Purpose::Who(Page::default()), Vec::new());
                let asker = part(asker, id, 0);
                let room =
                    self.rooms.find(&room).map_or_else(|| Name::from(&*room), |(_, name)| name.clone());
                out.post(self.homes.of(&room), Envelope::List { room, limit, after, asker });
            }
            Command::Watch { users, suspect } => self.watch(slot, seq, &users, suspect, out)?,
            Command::Presence { users } => {
                let users: Vec<Name> = users.iter().map(|user| Name::from(&**user)).collect();
                self.look(slot, seq, Purpose::Presence, users, out);
            }
            Command::Unwatch { users } => {
                users.iter().for_each(|user| self.unwatch(slot, user, out));
                let link = self.seats[slot as usize].link;
                out.effects.push(Effect::Text { link, json: event::done(seq) });
            }
        }
        Ok(())
    }

    fn identity(&self, slot: u32) -> Result<Name, Refusal> {
        let nobody = || Refusal::new(0, 401, "nobody knows who you are: connect with ?user=NAME");
        self.user(slot).cloned().ok_or_else(nobody)
    }

    fn join<F>(&mut self, slot: u32, room: &str, asker: Asker, out: &mut Outgoing<F>) -> Result<(), Refusal> {
        let user = self.identity(slot)?;
        let seat = &mut self.seats[slot as usize];
        let known = self.rooms.find(room).map(|(group, name)| (group, name.clone()));
        let again = known.as_ref().is_some_and(|(group, _)| Groups::place(&seat.rooms, *group).is_some());
        let room = known.map_or_else(|| Name::from(room), |(_, name)| name);
        if !again {
            if seat.rooms.as_ref().is_some_and(|rooms| rooms.len() >= ROOMS_PER_CONNECTION_MAX) {
                return Err(Refusal::new(0, 429, format!("more than {ROOMS_PER_CONNECTION_MAX} rooms")));
            }
            self.rooms.add(&room, Member { slot, active: false, suspect: false }, &mut seat.rooms);
        }
        out.post(self.homes.of(&room), Envelope::Join { room, user, again, asker });
        Ok(())
    }

    fn leave<F>(
        &mut self,
        slot: u32,
        room: &str,
        asker: Asker,
        out: &mut Outgoing<F>,
    ) -> Result<(), Refusal> {
        let user = self.identity(slot)?;
        let (place, room) = self.place_in_room(slot, room)?;
        self.leave_room(slot, place);
        let (home, worker) = (self.homes.of(&room), self.worker);
        out.post(home, Envelope::Leave { room, user, worker, leaving: Leaving::Now, asker: Some(asker) });
        Ok(())
    }

    fn say<F>(
        &mut self,
        slot: u32,
        room: &str,
        data: &str,
        echo: bool,
        asker: Asker,
        out: &mut Outgoing<F>,
    ) -> Result<(), Refusal> {
        let from = self.identity(slot)?;
        let (_, room) = self.place_in_room(slot, room)?;
        out.post(self.homes.of(&room), Envelope::Say { room, from, data: data.into(), echo, asker });
        Ok(())
    }

    fn place_in_room(&self, slot: u32, room: &str) -> Result<(Place, Name), Refusal> {
        let place = |(group, name): (u32, &Name)| {
            Some((Groups::place(&self.seats[slot as usize].rooms, group)?, name.clone()))
        };
        let stranger = || Refusal::new(0, 403, "you are not in that room: join it first");
        self.rooms.find(room).and_then(place).ok_or_else(stranger)
    }

    fn status<F>(
        &mut self,
        slot: u32,
        state: Option<State>,
        info: Option<&str>,
        asker: Asker,
        out: &mut Outgoing<F>,
    ) -> Result<(), Refusal> {
        let user = self.identity(slot)?;
        let at = self.address(slot);
        let seat = &mut self.seats[slot as usize];
        if let Some(state) = state {
            seat.said_away = state == State::Away;
            seat.page_away = false;
        }
        let (info, asker) = (info.map(Into::into), Some(asker));
        out.post(self.homes.of(&user), Envelope::Status { user, at, state, info, asker });
        Ok(())
    }

    fn watch<F: Frame>(
        &mut self,
        slot: u32,
        seq: i64,
        users: &[Cow<'_, str>],
        suspect: bool,
        out: &mut Outgoing<F>,
    ) -> Result<(), Refusal> {
        let watched = self.seats[slot as usize].watches.as_ref().map_or(0, |watches| watches.len());
        if watched + users.len() > WATCHES_PER_CONNECTION_MAX {
            return Err(Refusal::new(0, 429, format!("more than {WATCHES_PER_CONNECTION_MAX} watches")));
        }
        let names = users.iter().map(|user| match self.watches.find(user) {
            Some((_, name)) => name.clone(),
            None => Name::from(&**user),
        });
        let names: Vec<Name> = names.collect();
        let id = self.gather(slot, seq, Purpose::Watch { suspect }, names.clone());
        for (user, index) in names.into_iter().zip(0..) {
            let asker = part(Asker { at: self.address(slot), ticket: Ticket::Command(seq) }, id, index);
            let home = self.homes.of(&user);
            let seat = &mut self.seats[slot as usize];
            let place = self.watches.find(&user).and_then(|(group, _)| Groups::place(&seat.watches, group));
            match place.map(|place| self.watches.member_mut(place)) {
                Some(member) if member.suspect == suspect => out.post(home, Envelope::Look { user, asker }),
                Some(member) => {
                    member.suspect = suspect;
                    let worker = self.worker;
                    out.post(home, Envelope::Unwatch { user: user.clone(), worker, suspect: !suspect });
                    out.post(home, Envelope::Watch { user, asker, suspect });
                }
                None => {
                    self.watches.add(&user, Member { slot, active: false, suspect }, &mut seat.watches);
                    out.post(home, Envelope::Watch { user, asker, suspect });
                }
            }
        }
        self.answer_if_complete(id, out);
        Ok(())
    }

    fn unwatch<F>(&mut self, slot: u32, user: &str, out: &mut Outgoing<F>) {
        let Some((group, user)) = self.watches.find(user).map(|(group, user)| (group, user.clone())) else {
            return;
        };
        let Some(place) = Groups::place(&self.seats[slot as usize].watches, group) else { return };
        let suspect = self.watches.member_mut(place).suspect;
        self.leave_watch(slot, place);
        out.post(self.homes.of(&user), Envelope::Unwatch { user, worker: self.worker, suspect });
    }

    fn look<F: Frame>(
        &mut self,
        slot: u32,
        seq: i64,
        purpose: Purpose,
        users: Vec<Name>,
        out: &mut Outgoing<F>,
    ) {
        let id = self.gather(slot, seq, purpose, users.clone());
        for (user, index) in users.into_iter().zip(0..) {
            let asker = part(Asker { at: self.address(slot), ticket: Ticket::Command(seq) }, id, index);
            out.post(self.homes.of(&user), Envelope::Look { user, asker });
        }
        self.answer_if_complete(id, out);
    }

    // What homes send.

    pub(crate) fn seen<F: Frame>(&mut self, asker: Asker, view: View, out: &mut Outgoing<F>) {
        if let Ticket::Part { gather, index } = asker.ticket
            && let Some(gather_done) = self.gathers.part(gather, index, Some(view))
        {
            self.finish(gather, gather_done, out);
        }
    }

    pub(crate) fn changed<F: Frame>(
        &mut self,
        user: &str,
        view: &View,
        plain: Option<F>,
        full: F,
        out: &mut Outgoing<F>,
    ) {
        let Some((group, _)) = self.watches.find(user) else { return };
        let mut links = (Vec::new(), Vec::new());
        for member in self.watches.members(group) {
            let seat = &self.seats[member.slot as usize];
            if let Some(ids) = &seat.gathers {
                self.gathers.renew(ids, user, view);
            }
            if member.active {
                (if member.suspect { &mut links.1 } else { &mut links.0 }).push(seat.link);
            }
        }
        if let Some(frame) = plain.filter(|_| !links.0.is_empty()) {
            out.effects.push(Effect::Publish { links: links.0, frame });
        }
        if !links.1.is_empty() {
            out.effects.push(Effect::Publish { links: links.1, frame: full });
        }
    }

    pub(crate) fn told<F>(&self, client: Client, frame: F, out: &mut Outgoing<F>) {
        if let Some(seat) = self.seat(client) {
            out.effects.push(Effect::Publish { links: vec![seat.link], frame });
        }
    }

    pub(crate) fn evict<F>(&mut self, client: Client, reason: Reason, out: &mut Outgoing<F>) {
        let Some(seat) = self.seats.get_mut(client.slot as usize).filter(|seat| seat.serial == client.serial)
        else {
            return;
        };
        seat.sent_away = Some(reason);
        let (code, reason) = match reason {
            Reason::Replaced => (4409, "replaced by a newer connection"),
            Reason::Expired => (4401, "token expired"),
            _ => (4403, "kicked"),
        };
        out.effects.push(Effect::Close { link: seat.link, code, reason });
    }

    pub(crate) fn answered<F>(&mut self, asker: Asker, answer: &Answer, out: &mut Outgoing<F>) {
        let (client, Ticket::Command(seq)) = (asker.at.client, asker.ticket) else { return };
        let Some(link) = self.seat(client).map(|seat| seat.link) else { return };
        if let Answer::Joined(room, _) = answer {
            self.joined(client, room);
        }
        let json = match answer {
            Answer::Told(0) => event::refusal(seq, 404, "nobody of that name is connected"),
            answer => event::answer(seq, answer),
        };
        out.effects.push(Effect::Text { link, json });
    }

    /// A client's place in a room counts from the answer on: what was said before is not delivered.
    fn joined(&mut self, client: Client, room: &str) {
        let Some((group, _)) = self.rooms.find(room) else { return };
        if let Some(place) = self.seat(client).and_then(|seat| Groups::place(&seat.rooms, group)) {
            self.rooms.member_mut(place).active = true;
        }
    }

    pub(crate) fn listed<F: Frame>(&mut self, asker: Asker, page: Page, out: &mut Outgoing<F>) {
        let Ticket::Part { gather: id, .. } = asker.ticket else { return };
        let Some(gather) = self.gathers.get_mut(id) else { return };
        gather.views = page.users.iter().map(|user| (user.clone(), None)).collect();
        gather.left = page.users.len();
        let users = page.users.clone();
        gather.purpose = Purpose::Who(page);
        for (user, index) in users.into_iter().zip(0..) {
            out.post(self.homes.of(&user), Envelope::Look { user, asker: part(asker, id, index) });
        }
        self.answer_if_complete(id, out);
    }

    pub(crate) fn deliver<F>(&self, room: &str, frame: F, except: Option<Client>, out: &mut Outgoing<F>) {
        let Some((group, _)) = self.rooms.find(room) else { return };
        let hears =
            |member: &&Member| member.active && except.is_none_or(|client| !self.is(client, member.slot));
        let members = self.rooms.members(group).iter().filter(hears);
        let links: Vec<u64> = members.map(|member| self.seats[member.slot as usize].link).collect();
        if !links.is_empty() {
            out.effects.push(Effect::Publish { links, frame });
        }
    }

    /// A home could not be asked.
    pub(crate) fn refused<F: Frame>(
        &mut self,
        _now: Now,
        asker: Asker,
        envelope: &Envelope<F>,
        out: &mut Outgoing<F>,
    ) {
        let client = asker.at.client;
        match envelope {
            Envelope::Join { room, again: false, .. } => {
                if let Ok((place, _)) = self.place_in_room(client.slot, room) {
                    self.leave_room(client.slot, place);
                }
            }
            Envelope::Watch { user, .. } => {
                let place = self.watches.find(user).and_then(|(group, _)| {
                    Groups::place(&self.seats.get(client.slot as usize)?.watches, group)
                });
                if let Some(place) = place {
                    self.leave_watch(client.slot, place);
                }
            }
            _ => {}
        }
        match asker.ticket {
            Ticket::Command(seq) => {
                if let Some(seat) = self.seat(client) {
                    let json = event::refusal(seq, 503, BUSY);
                    out.effects.push(Effect::Text { link: seat.link, json });
                }
            }
            Ticket::Part { gather: id, index } => {
                if let Some(gather) = self.gathers.part(id, index, None) {
                    self.finish(id, gather, out);
                }
            }
        }
    }

    // Answers in the making.

    fn gather(&mut self, slot: u32, seq: i64, purpose: Purpose, users: Vec<Name>) -> u32 {
        let left = if matches!(purpose, Purpose::Who(_)) { 1 } else { users.len() };
        let views = users.into_iter().map(|user| (user, None)).collect();
        let client = self.address(slot).client;
        let id = self.gathers.begin(Gather { client, seq, purpose, views, left, refused: false });
        self.seats[slot as usize].gathers.get_or_insert_default().push(id);
        id
    }

    fn answer_if_complete<F: Frame>(&mut self, id: u32, out: &mut Outgoing<F>) {
        if self.gathers.get_mut(id).is_some_and(|gather| gather.left == 0)
            && let Some(gather) = self.gathers.end(id)
        {
            self.finish(id, gather, out);
        }
    }

    fn finish<F: Frame>(&mut self, id: u32, gather: Gather, out: &mut Outgoing<F>) {
        let Gather { client, seq, purpose, views, refused, .. } = gather;
        let is_it = |seat: &&mut Seat| seat.serial == client.serial;
        let Some(seat) = self.seats.get_mut(client.slot as usize).filter(is_it) else { return };
        if let Some(ids) = &mut seat.gathers {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                seat.gathers = None;
            }
        }
        let link = seat.link;
        if let Purpose::Watch { .. } = purpose {
            self.activate(client.slot, &views, refused, out);
        }
        let views: Vec<(Name, View)> =
            views.into_iter().filter_map(|(user, view)| Some((user, view?))).collect();
        let json = match purpose {
            _ if refused => event::refusal(seq, 503, BUSY),
            Purpose::Watch { suspect } => event::views(seq, &views, suspect),
            Purpose::Presence => event::views(seq, &views, false),
            Purpose::Who(page) => event::who(seq, &page, &views),
        };
        out.effects.push(Effect::Text { link, json });
    }

    /// From here on changes are sent; or, where a home could not be asked, the others are left as they were before.
    fn activate<F>(
        &mut self,
        slot: u32,
        views: &[(Name, Option<View>)],
        refused: bool,
        out: &mut Outgoing<F>,
    ) {
        for (user, _) in views {
            let Some((group, _)) = self.watches.find(user) else { continue };
            let Some(place) = Groups::place(&self.seats[slot as usize].watches, group) else { continue };
            let member = self.watches.member_mut(place);
            if refused && !member.active {
                self.unwatch(slot, user, out);
            } else {
                member.active = true;
            }
        }
    }

    // Places.

    fn leave_room(&mut self, slot: u32, place: Place) {
        forget_place(&mut self.seats[slot as usize].rooms, place);
        self.drop_room(place);
    }

    fn leave_watch(&mut self, slot: u32, place: Place) {
        forget_place(&mut self.seats[slot as usize].watches, place);
        self.drop_watch(place);
    }

    fn drop_room(&mut self, place: Place) {
        let seats = &mut self.seats;
        self.rooms.remove(place, |slot, at| Groups::note(&mut seats[slot as usize].rooms, at));
    }

    fn drop_watch(&mut self, place: Place) {
        let seats = &mut self.seats;
        self.watches.remove(place, |slot, at| Groups::note(&mut seats[slot as usize].watches, at));
    }

    fn seat(&self, client: Client) -> Option<&Seat> {
        self.seats.get(client.slot as usize).filter(|seat| seat.serial == client.serial)
    }

    fn is(&self, client: Client, slot: u32) -> bool {
        client.slot == slot && self.seat(client).is_some()
    }

    fn address(&self, slot: u32) -> Address {
        let serial = self.seats.get(slot as usize).map_or(0, |seat| seat.serial);
        Address { worker: self.worker, client: Client { slot, serial } }
    }
}

const BUSY: &str = "the server is busy: try again";

fn part(asker: Asker, gather: u32, index: u32) -> Asker {
    Asker { ticket: Ticket::Part { gather, index }, ..asker }
}

fn forget_place(places: &mut Places, gone: Place) {
    if let Some(list) = places {
        list.retain(|place| place.group != gone.group);
        if list.is_empty() {
            *places = None;
        }
    }
}
