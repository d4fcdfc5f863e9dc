//! A member of a room: a user's connections in it, and those of them that may be back.
//!
//! A connection is invisible where its edge says so, and a member is seen where one of its connections is not. A connection that
//! takes the place of an invisible one comes from an edge that may not have heard yet that its user is: it is in doubt, until the
//! grace of that place is over, or an edge says that the user is visible.

use crate::presence::record::{PlaceRecord, Sight};
use crate::time::Tick;

/// Sixteen bytes.
#[derive(Debug, Default)]
pub(super) struct Member {
    /// Its connection in the room: almost always the only one.
    visitor: Visitor,
    /// Almost always absent: a pointer, not lists.
    rest: Option<Box<Rest>>,
}

/// A connection in a room, by its edge's worker and its slot there: a user has one in that slot at a time.
#[derive(Clone, Copy, Debug, Default)]
struct Visitor {
    slot: u32,
    worker: u16,
    shows: Shows,
    /// Of the edge's announcements, the one in which this was said last.
    round: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Shows {
    /// There is no such connection.
    #[default]
    Nobody,
    Visible,
    /// Its user is invisible, as far as its edge knows.
    Hidden,
}

/// The rare parts of a member.
#[derive(Debug, Default)]
struct Rest {
    /// Further connections, behind the first.
    visitors: Vec<Visitor>,
    /// Places of connections that broke or closed; the oldest first.
    in_grace: Vec<InGrace>,
}

const _: () = assert!(size_of::<Member>() == 16);

/// A client's place: its edge's worker, and its slot there.
pub(super) type ClientSlot = (u16, u32);

/// The place of a connection that may be back.
#[derive(Clone, Copy, Debug)]
struct InGrace {
    until: Tick,
    kind: Visibility,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Visibility {
    Visible,
    Hidden,
    /// It was invisible, and another one has taken it of which it is not known whether it is.
    Doubt,
}

impl Member {
    /// Nobody is here, or may be back.
    pub(super) fn is_gone(&self) -> bool {
        self.visitors().next().is_none()
            && self.in_grace().iter().all(|place| place.kind == Visibility::Doubt)
    }

    /// Whether there is a connection that is visible as far as its edge knows.
    pub(super) fn shows(&self) -> bool {
        self.visitors().any(|visitor| visitor.shows == Shows::Visible)
            || self.in_grace().iter().any(|place| place.kind == Visibility::Visible)
    }

    /// Whether there is a connection that is invisible, or that such a one is waited for.
    pub(super) fn hides(&self) -> bool {
        self.has_hidden() || self.in_grace().iter().any(|place| place.kind != Visibility::Visible)
    }

    fn has_hidden(&self) -> bool {
        self.visitors().any(|visitor| visitor.shows == Shows::Hidden)
    }

    pub(super) fn waits_until(&self, until: Tick) -> bool {
        self.in_grace().iter().any(|place| place.until == until)
    }

    /// A connection comes in: it takes the place of one that lingers. Says whether it was not in yet.
    pub(super) fn comes(&mut self, (at, round): (ClientSlot, u8), hides: bool) -> bool {
        let shows = if hides { Shows::Hidden } else { Shows::Visible };
        if let Some(visitor) = self.visitor_mut(at) {
            (visitor.shows, visitor.round) = (shows, round);
            return false;
        }
        let visitor = Visitor { worker: at.0, slot: at.1, shows, round };
        if self.visitor.shows == Shows::Nobody {
            self.visitor = visitor;
        } else {
            self.rest.get_or_insert_default().visitors.push(visitor);
        }
        if hides {
            self.hide_lingering(true);
        }
        let Some(Rest { in_grace, .. }) = self.rest.as_deref_mut() else { return true };
        match in_grace.iter().position(|place| place.kind != Visibility::Doubt) {
            Some(at) if in_grace[at].kind == Visibility::Hidden && !hides => {
                in_grace[at].kind = Visibility::Doubt;
            }
            Some(at) => drop(in_grace.remove(at)),
            None => {}
        }
        self.shrink();
        true
    }

    /// A connection goes out, or may be back until then; one of a member that is `seen`, or not. Says whether there was one.
    pub(super) fn goes(&mut self, at: ClientSlot, hides: bool, until: Option<Tick>, seen: bool) -> bool {
        let Some(shown) = self.visitor_mut(at).map(|visitor| visitor.shows) else { return false };
        let hides = hides || shown == Shows::Hidden;
        if self.visitor.is(at) {
            let next = self.rest.as_mut().filter(|rest| !rest.visitors.is_empty());
            self.visitor = next.map_or_else(Visitor::default, |rest| rest.visitors.remove(0));
        } else if let Some(rest) = &mut self.rest {
            rest.visitors.retain(|visitor| !visitor.is(at));
        }
        if let Some(until) = until {
            // Another one of its user may know more.
            let kind =
                if hides || !seen || self.has_hidden() { Visibility::Hidden } else { Visibility::Visible };
            self.rest.get_or_insert_default().in_grace.push(InGrace { until, kind });
        }
        self.shrink();
        true
    }

    /// A connection turns invisible, or visible again: with its user, and so with those that may be back.
    pub(super) fn hide(&mut self, at: ClientSlot, hides: bool) {
        self.hide_lingering(hides);
        if let Some(visitor) = self.visitor_mut(at) {
            visitor.shows = if hides { Shows::Hidden } else { Shows::Visible };
        }
    }

    /// Connections in grace turn invisible, or visible again, as their edge has heard; the edge of one that is here may have heard
    /// more since. Says whether any did.
    pub(super) fn hide_departed(&mut self, hides: bool) -> bool {
        let is_so = hides || !self.has_hidden();
        if is_so {
            self.hide_lingering(hides);
        }
        is_so
    }

    /// All that may be back turn invisible, or visible again.
    fn hide_lingering(&mut self, hides: bool) {
        let Some(Rest { in_grace, .. }) = self.rest.as_deref_mut() else { return };
        if !hides {
            in_grace.retain(|place| place.kind != Visibility::Doubt);
        }
        for place in in_grace.iter_mut().filter(|place| place.kind != Visibility::Doubt) {
            place.kind = if hides { Visibility::Hidden } else { Visibility::Visible };
        }
        self.shrink();
    }

    /// Nobody is waited for any more. Says whether somebody was.
    pub(super) fn end_grace(&mut self) -> bool {
        let Some(Rest { in_grace, .. }) = self.rest.as_deref_mut() else { return false };
        let before = in_grace.len();
        in_grace.retain(|place| place.kind == Visibility::Doubt);
        let ended = in_grace.len() < before;
        self.shrink();
        ended
    }

    /// Forgets those whose grace is over.
    pub(super) fn expire(&mut self, now: Tick) {
        if let Some(rest) = &mut self.rest {
            rest.in_grace.retain(|place| now.is_before(place.until));
        }
        self.shrink();
    }

    /// Slots of its connections at an edge that were said last in another announcement than that.
    pub(super) fn stale(&self, edge: u16, round: u8) -> impl Iterator<Item = u32> {
        let is_stale = move |visitor: &&Visitor| visitor.worker == edge && visitor.round != round;
        self.visitors().filter(is_stale).map(|visitor| visitor.slot)
    }

    /// Its connections, as another home gets to know them.
    pub(super) fn record(&self, now: Tick) -> Vec<PlaceRecord> {
        let visitors = self.visitors().map(|visitor| {
            let sight = if visitor.shows == Shows::Hidden { Sight::Hidden } else { Sight::Visible };
            PlaceRecord { sight, ticks: None }
        });
        let mut in_grace: Vec<PlaceRecord> = visitors.collect();
        in_grace.extend(self.in_grace().iter().map(|place| {
            let ticks = if now.is_before(place.until) { place.until.since(now) } else { 0 };
            let sight = match place.kind {
                Visibility::Visible => Sight::Visible,
                Visibility::Hidden => Sight::Hidden,
                Visibility::Doubt => Sight::Doubt,
            };
            PlaceRecord { sight, ticks: Some(ticks) }
        }));
        in_grace
    }

    /// A connection of which another home has said may be here until then.
    pub(super) fn restore(&mut self, sight: Sight, until: Tick) {
        let kind = match sight {
            Sight::Visible => Visibility::Visible,
            Sight::Hidden => Visibility::Hidden,
            Sight::Doubt => Visibility::Doubt,
        };
        self.rest.get_or_insert_default().in_grace.push(InGrace { until, kind });
    }

    fn in_grace(&self) -> &[InGrace] {
        self.rest.as_ref().map_or(&[], |rest| &rest.in_grace)
    }

    fn visitors(&self) -> impl Iterator<Item = &Visitor> {
        let first = Some(&self.visitor).filter(|first| first.shows != Shows::Nobody);
        first.into_iter().chain(self.rest.iter().flat_map(|rest| &rest.visitors))
    }

    fn visitor_mut(&mut self, at: ClientSlot) -> Option<&mut Visitor> {
        let rest = self.rest.iter_mut().flat_map(|rest| &mut rest.visitors);
        std::iter::once(&mut self.visitor).chain(rest).find(|visitor| visitor.is(at))
    }

    fn shrink(&mut self) {
        self.rest.take_if(|rest| rest.visitors.is_empty() && rest.in_grace.is_empty());
    }
}

impl Visitor {
    fn is(&self, (worker, slot): ClientSlot) -> bool {
        self.shows != Shows::Nobody && (self.worker, self.slot) == (worker, slot)
    }
}
