//! Visibility, where it is restricted: a client sees its own user, those in the rooms that it is in, and those that its
//! token's claim `see` names.
//!
//! A watch of somebody out of sight is not refused: it sleeps, and shows an offline user of whom nothing is known, as
//! anybody who never was here. It wakes when the user comes into sight, and says `offline` with the reason `hidden` when
//! the user goes out of it. The homes say with each view in which rooms the user is; what is decided from it is decided
//! here, at the edge of who watches.

use std::sync::Arc;

use crate::presence::conflation_key::ConflationKey;
use crate::presence::cost;
use crate::presence::edge::Edge;
use crate::presence::effect::{Effect, SessionId};
use crate::presence::event::{Event, SharedEvent};
use crate::presence::grants::{Grants, Pattern, any_fits};
use crate::presence::name::Name;
use crate::presence::refusal::CommandRefusal;
use crate::presence::subscribers::Subscriber;
use crate::presence::turn::Turn;
use crate::presence::view::{Reason, State, View};

/// The part of a room that a client may list.
pub(super) enum Listable {
    /// All of its members.
    All,
    /// Only members whom these patterns name, and how many there are.
    Only(Arc<[Pattern]>),
    /// Nothing: as if it were not. To one who may not join it, a room does not exist, whoever may be seen in it.
    Nothing,
}

impl Edge {
    /// Whether a client may see a user of whom this is the view.
    pub(super) fn sees(&self, slot: u32, user: &str, view: &View) -> bool {
        self.sees_apart_from(slot, user, view, None)
    }

    /// The same, a room left out of account.
    fn sees_apart_from(&self, slot: u32, user: &str, view: &View, room: Option<&str>) -> bool {
        let Some(theirs) = &view.rooms else { return true };
        self.sees_anyway(slot, user)
            || self.rooms_of(slot).any(|ours| Some(&**ours) != room && theirs.binary_search(ours).is_ok())
    }

    /// Whether a client sees a user whatever rooms they are in.
    fn sees_anyway(&self, slot: u32, user: &str) -> bool {
        self.user(slot).is_some_and(|own| **own == *user)
            || self.passes.get(slot).is_some_and(|grants| any_fits(&grants.see, user))
    }

    /// The rooms that a client was told to be in.
    fn rooms_of(&self, slot: u32) -> impl Iterator<Item = &Name> {
        let subscriptions = self.clients.get(slot as usize).map_or(&[][..], |known| known.rooms.as_slice());
        let is_in = |subscription: &&_| self.rooms.member(**subscription).active;
        subscriptions.iter().filter(is_in).map(|subscription| self.rooms.name(subscription.topic))
    }

    /// A view as a client may see it.
    pub(super) fn seen_by(&self, slot: u32, user: &str, view: View) -> View {
        match self.user(slot) {
            Some(own) if **own == *user => view.of_oneself(),
            _ if self.sees(slot, user, &view) => view,
            _ => View::default(),
        }
    }

    /// In which of whose rooms a user has to be for a client to reach them; `None`: anywhere.
    pub(super) fn reach(&self, slot: u32, user: &str) -> Option<Box<[Name]>> {
        let within = self.restricted && !self.sees_anyway(slot, user);
        within.then(|| self.rooms_of(slot).cloned().collect())
    }

    /// The part of a room's members that a client may list.
    pub(super) fn listable(&self, slot: u32, room: &str) -> Result<Listable, CommandRefusal> {
        if !self.restricted || self.rooms_of(slot).any(|ours| **ours == *room) {
            return Ok(Listable::All);
        }
        match self.passes.get(slot).filter(|grants| !grants.see.is_empty()) {
            Some(grants) if grants.may_join(room) => Ok(Listable::Only(Arc::clone(&grants.see))),
            Some(_) => Ok(Listable::Nothing),
            None => Err(CommandRefusal::NotInRoom),
        }
    }

    /// A view arrived that was asked for: it is what later changes are compared with.
    pub(super) fn keep_visible(&mut self, user: &str, view: &View) {
        if view.rooms.is_some()
            && let Some((_, user)) = self.watches.find(user)
        {
            let user = user.clone();
            self.put_visible(&user, view);
        }
    }

    /// Keeps a view in the place of the one before, and returns that. Of a user who is offline and in no room nothing is kept,
    /// since there is nothing to tell of who comes into sight or goes out of it: most whom anybody can name are such.
    fn put_visible(&mut self, user: &Name, view: &View) -> View {
        let is_gone = view.state == State::Offline && view.plain == State::Offline;
        let is_nowhere = view.rooms.as_ref().is_some_and(|rooms| rooms.is_empty());
        let before = if is_gone && is_nowhere {
            self.visible_users.remove(user)
        } else {
            self.visible_users.insert(user.clone(), view.clone())
        };
        before.unwrap_or_else(|| View { rooms: Some(Arc::default()), ..View::default() })
    }

    /// A watched user has changed, or where they are: who sees them is told of the change, who no longer does of that,
    /// and who does again how they are.
    pub(super) fn changed_visibly(
        &mut self,
        (topic, user): (u32, &Name),
        view: &View,
        (plain, full): (Option<SharedEvent>, Option<SharedEvent>),
        turn: &mut Turn<'_>,
    ) {
        let before = self.put_visible(user, view);
        turn.out.spend(self.watches.members(topic).len(), cost::VISIBILITY_NANOS);
        let (mut told, mut met, mut lost) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()], Vec::new());
        let mut own = Vec::new();
        for member in self.watches.members(topic) {
            let (known, kind) = (&self.clients[member.slot as usize], usize::from(member.suspect));
            if let Some(pending) = &known.pending {
                self.pending_replies.renew(pending.replies(), user, view);
            }
            if !member.active {
                continue;
            }
            if view.unseen > 0 && known.user.as_ref() == Some(user) {
                own.push(known.session);
                continue;
            }
            let was = self.sees(member.slot, user, &before);
            match (was, self.sees(member.slot, user, view)) {
                (true, true) => told[kind].push(known.session),
                (false, true) => met[kind].push(known.session),
                (true, false) => lost.push(known.session),
                (false, false) => {}
            }
        }
        let [plain_sessions, full_sessions] = told;
        let conflation = || ConflationKey::User(user.clone());
        let to_own = plain.as_ref().filter(|_| !own.is_empty()).map(|_| of_oneself(user, view));
        publish(own, to_own, conflation(), turn);
        publish(plain_sessions, plain, conflation(), turn);
        publish(full_sessions, full, conflation(), turn);
        let visible = |suspect| became_visible(user, view, suspect).map(SharedEvent::new);
        for (sessions, suspect) in
            met.into_iter().zip([false, true]).filter(|(sessions, _)| !sessions.is_empty())
        {
            publish(sessions, visible(suspect), conflation(), turn);
        }
        if before.plain != State::Offline {
            publish(lost, Some(SharedEvent::new(hidden(user, view))), conflation(), turn);
        }
    }

    /// A client came into a room (`true`) or went out of it: whom it sees there and nowhere else it sees from now on, or no more.
    pub(super) fn moved(&mut self, slot: u32, room: &str, came: bool, turn: &mut Turn<'_>) {
        self.notify_visibility(slot, turn, |edge, view, user| {
            let there = view
                .rooms
                .as_ref()
                .is_some_and(|rooms| rooms.binary_search_by(|other| (**other).cmp(room)).is_ok());
            (there && !edge.sees_apart_from(slot, user, view, Some(room))).then_some(came)
        });
    }

    /// A client has another token.
    pub(super) fn renewed(&mut self, slot: u32, before: &Grants, turn: &mut Turn<'_>) {
        let Some(now) = self.passes.get(slot).filter(|now| now.see != before.see).cloned() else { return };
        let shared = |edge: &Edge, view: &View| {
            let theirs = view.rooms.as_deref().unwrap_or_default();
            edge.rooms_of(slot).any(|ours| theirs.binary_search(ours).is_ok())
        };
        self.notify_visibility(slot, turn, |edge, view, user| {
            let (was, is) = (any_fits(&before.see, user), any_fits(&now.see, user));
            let own = edge.user(slot).is_some_and(|own| own == user);
            (was != is && !own && !shared(edge, view)).then_some(is)
        });
    }

    /// Tells a client of those it watches that it sees from now on (`true`), or no more (`false`).
    fn notify_visibility(
        &mut self,
        slot: u32,
        turn: &mut Turn<'_>,
        change: impl Fn(&Edge, &View, &Name) -> Option<bool>,
    ) {
        if self.visible_users.is_empty() {
            return;
        }
        let Some(known) = self.clients.get(slot as usize) else { return };
        turn.out.spend(known.watches.len(), cost::VISIBILITY_NANOS);
        for subscription in known.watches.as_slice() {
            let (Subscriber { active, suspect, .. }, user) =
                (self.watches.member(*subscription), self.watches.name(subscription.topic));
            let Some(view) = self.visible_users.get(user).filter(|_| *active) else { continue };
            let event = match change(self, view, user) {
                Some(true) => became_visible(user, view, *suspect),
                Some(false) => (view.plain != State::Offline).then(|| hidden(user, view)),
                None => None,
            };
            if let Some(event) = event {
                // Answers of the client that are in the making may have an older view than it is told here.
                if let Some(pending) = &known.pending {
                    self.pending_replies.renew(pending.replies(), user, view);
                }
                // A state like any other: it has its place behind those that wait for a slow reader.
                publish(
                    vec![known.session],
                    Some(SharedEvent::new(event)),
                    ConflationKey::User(user.clone()),
                    turn,
                );
            }
        }
    }
}

/// Publishes what there is, to whom there is.
pub(super) fn publish(
    sessions: Vec<SessionId>,
    event: Option<SharedEvent>,
    conflation: ConflationKey,
    turn: &mut Turn<'_>,
) {
    if let Some(event) = event.filter(|_| !sessions.is_empty()) {
        turn.out.effects.push(Effect::Publish { sessions, event, conflation });
    }
}

/// How a user's own connections see one who is invisible.
pub(super) fn of_oneself(user: &Name, view: &View) -> SharedEvent {
    let view = view.clone().of_oneself();
    SharedEvent::new(Event::Changed { user: user.clone(), state: State::Invisible, view })
}

/// How a user is who comes into sight; nothing of one who is as good as hidden.
fn became_visible(user: &Name, view: &View, suspect: bool) -> Option<Event> {
    let state = if suspect { view.state } else { view.plain };
    let view = View { reason: None, ..view.clone() };
    (state != State::Offline).then(|| Event::Changed { user: user.clone(), state, view })
}

/// A user goes out of sight. The version is that of the last view: nothing is newer.
fn hidden(user: &Name, view: &View) -> Event {
    let view = View { version: view.version, reason: Some(Reason::Hidden), ..View::default() };
    Event::Changed { user: user.clone(), state: State::Offline, view }
}
