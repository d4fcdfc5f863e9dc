//! A member of a room: a user's connections in it, and those of them that may be back.
//!
//! A connection is invisible where its edge says so, and a member is seen where one of its connections is not. A connection that
//! takes the place of an invisible one comes from an edge that may not have heard yet that its user is: it is in doubt, until the
//! grace of that place is over, or an edge says that the user is visible.

use crate::time::Tick;

/// Sixteen bytes.
#[derive(Debug, Default)]
pub(super) struct Member {
    /// Connections in the room.
    clients: u32,
    /// Those of them that are invisible: `hidden <= clients`.
    hidden: u32,
    /// Places of connections that broke or closed; the oldest first.
    #[expect(clippy::box_collection, reason = "almost always absent: a pointer, not a vector")]
    lingering: Option<Box<Vec<Place>>>,
}

const _: () = assert!(size_of::<Member>() == 16);

/// The place of a connection that may be back.
#[derive(Clone, Copy, Debug)]
struct Place {
    until: Tick,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Visible,
    Hidden,
    /// It was invisible, and another one has taken it of which it is not known whether it is.
    Doubt,
}

impl Member {
    /// Nobody is here, or may be back.
    pub(super) fn is_gone(&self) -> bool {
        self.clients == 0 && self.places().iter().all(|place| place.kind == Kind::Doubt)
    }

    /// Whether there is a connection that is visible as far as its edge knows.
    pub(super) fn shows(&self) -> bool {
        self.clients > self.hidden || self.places().iter().any(|place| place.kind == Kind::Visible)
    }

    /// Whether there is a connection that is invisible, or that such a one is waited for.
    pub(super) fn hides(&self) -> bool {
        self.hidden > 0 || self.places().iter().any(|place| place.kind != Kind::Visible)
    }

    pub(super) fn waits_until(&self, until: Tick) -> bool {
        self.places().iter().any(|place| place.until == until)
    }

    /// A connection comes in: it takes the place of one that lingers.
    pub(super) fn comes(&mut self, hides: bool) {
        self.clients += 1;
        self.hidden += u32::from(hides);
        if hides {
            self.hide_lingering(true);
        }
        let Some(places) = &mut self.lingering else { return };
        match places.iter().position(|place| place.kind != Kind::Doubt) {
            Some(at) if places[at].kind == Kind::Hidden && !hides => places[at].kind = Kind::Doubt,
            Some(at) => drop(places.remove(at)),
            None => {}
        }
        self.lingering.take_if(|places| places.is_empty());
    }

    /// A connection goes out, or may be back until then; one of a member that is `seen`, or not. Says whether there was one.
    pub(super) fn goes(&mut self, hides: bool, until: Option<Tick>, seen: bool) -> bool {
        let Some(clients) = self.clients.checked_sub(1) else { return false };
        self.clients = clients;
        self.hidden = self.hidden.saturating_sub(u32::from(hides)).min(clients);
        if let Some(until) = until {
            // Another one of its user may know more.
            let kind = if hides || !seen || self.hidden > 0 { Kind::Hidden } else { Kind::Visible };
            self.lingering.get_or_insert_default().push(Place { until, kind });
        }
        true
    }

    /// A connection turns invisible, or visible again: with its user, and so with those that may be back.
    pub(super) fn hide(&mut self, hides: bool) {
        self.hide_lingering(hides);
        self.hidden = if hides { (self.hidden + 1).min(self.clients) } else { self.hidden.saturating_sub(1) };
    }

    /// Those that went turn invisible, or visible again, as their edge has heard; that of one that is here may have heard more since.
    /// Says whether they do.
    pub(super) fn hide_departed(&mut self, hides: bool) -> bool {
        let is_so = hides || self.hidden == 0;
        if is_so {
            self.hide_lingering(hides);
        }
        is_so
    }

    /// All that may be back turn invisible, or visible again.
    fn hide_lingering(&mut self, hides: bool) {
        let Some(places) = &mut self.lingering else { return };
        if !hides {
            places.retain(|place| place.kind != Kind::Doubt);
        }
        for place in places.iter_mut().filter(|place| place.kind != Kind::Doubt) {
            place.kind = if hides { Kind::Hidden } else { Kind::Visible };
        }
        self.lingering.take_if(|places| places.is_empty());
    }

    /// Nobody is waited for any more. Says whether somebody was.
    pub(super) fn end_grace(&mut self) -> bool {
        let Some(places) = &mut self.lingering else { return false };
        let before = places.len();
        places.retain(|place| place.kind == Kind::Doubt);
        let ended = places.len() < before;
        self.lingering.take_if(|places| places.is_empty());
        ended
    }

    /// Forgets those whose grace is over.
    pub(super) fn expire(&mut self, now: Tick) {
        if let Some(places) = &mut self.lingering {
            places.retain(|place| now.is_before(place.until));
            self.lingering.take_if(|places| places.is_empty());
        }
    }

    fn places(&self) -> &[Place] {
        self.lingering.as_ref().map_or(&[], |places| places)
    }
}
