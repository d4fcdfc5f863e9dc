//! The grants of a token: what its connection may do, and until when. Connections without a token have none.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits::{INFO_BYTES_MAX, NAME_BYTES_MAX, TOKEN_PATTERNS_MAX};
use crate::presence::name::{Name, is_name};
use crate::time::{Now, TICK_MILLIS, Tick};

/// A name, or with a `*` at its end all names that begin so: `lobby`, `support.*`, `*`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Pattern {
    start: Box<str>,
    open: bool,
}

impl Pattern {
    /// Reads a pattern; `None` where it is neither a name nor the beginning of one with a `*` behind it.
    #[must_use]
    pub fn new(text: &str) -> Option<Pattern> {
        let (start, open) = text.strip_suffix('*').map_or((text, false), |start| (start, true));
        // A space may end how a name begins.
        let begins = |start: &str| start.is_empty() || is_name(start.trim_end_matches(' '));
        let good = is_name(start) || (open && start.len() <= NAME_BYTES_MAX && begins(start));
        good.then(|| Pattern { start: start.into(), open })
    }

    /// How all names begin that fit.
    pub(crate) fn start(&self) -> &str {
        &self.start
    }

    /// Whether a name fits.
    #[must_use]
    pub fn fits(&self, name: &str) -> bool {
        if self.open { name.starts_with(&*self.start) } else { *self.start == *name }
    }
}

/// Whether a name fits one of them.
pub(crate) fn any_fits(patterns: &[Pattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.fits(name))
}

/// A claim that is out of its bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadClaim {
    /// `info` is over [`INFO_BYTES_MAX`].
    InfoTooLong,
    /// `rooms` or `see` has more than [`TOKEN_PATTERNS_MAX`] patterns.
    TooManyPatterns,
    /// `rooms` or `see` has a text that is no [`Pattern`].
    NoPattern,
}

/// The grants of a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grants {
    /// Rooms that it may join, and speak in without joining; `None`: it may join every room, and speak where it has.
    pub rooms: Option<Box<[Pattern]>>,
    /// Users whom it sees though it shares no room with them: sorted.
    pub see: Arc<[Pattern]>,
    /// JSON that the user's `info` is; the connection can't set another.
    pub info: Option<Box<str>>,
    /// From then on the connection is closed, in Unix milliseconds.
    pub expires_millis: u64,
}

impl Grants {
    /// Reads the grants from claims.
    ///
    /// # Errors
    /// A claim is out of its bounds.
    pub fn new(
        rooms: Option<&[String]>,
        see: &[String],
        info: Option<&str>,
        expires_millis: u64,
    ) -> Result<Grants, BadClaim> {
        if info.is_some_and(|info| info.len() > INFO_BYTES_MAX) {
            return Err(BadClaim::InfoTooLong);
        }
        let rooms = rooms.map(patterns).transpose()?;
        let mut see = patterns(see)?;
        see.sort();
        Ok(Grants {
            rooms: rooms.map(Into::into),
            see: see.into(),
            info: info.map(Into::into),
            expires_millis,
        })
    }

    /// Whether it may come into a room.
    pub(crate) fn may_join(&self, room: &str) -> bool {
        self.rooms.as_deref().is_none_or(|rooms| any_fits(rooms, room))
    }

    /// Whether it may speak in a room that it is not in.
    pub(crate) fn may_say(&self, room: &str) -> bool {
        self.rooms.as_deref().is_some_and(|rooms| any_fits(rooms, room))
    }
}

fn patterns(texts: &[String]) -> Result<Vec<Pattern>, BadClaim> {
    if texts.len() > TOKEN_PATTERNS_MAX {
        return Err(BadClaim::TooManyPatterns);
    }
    let patterns: Option<Vec<Pattern>> = texts.iter().map(|text| Pattern::new(text)).collect();
    patterns.ok_or(BadClaim::NoPattern)
}

/// The way in which a client comes in.
#[derive(Clone, Debug)]
pub enum Entry {
    /// Somebody taken at their word, or nobody yet.
    Open(Option<Name>),
    /// The holder of a token.
    Token(Name, Arc<Grants>),
    /// Somebody who has to show a token before this tick.
    Late(Tick),
}

/// The token of a connection, or the deadline for showing one.
#[derive(Clone, Debug)]
pub(crate) enum Pass {
    /// A token, before this tick.
    Awaited(Tick),
    Held(Arc<Grants>),
}

/// Why a connection can't stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PassEnd {
    Expired,
    Awaited,
}

/// The connections of an edge that have tokens or owe one: 33 bytes of table each, and the grants. Without tokens it is
/// empty, and holds nothing.
#[derive(Debug, Default)]
pub(crate) struct Passes {
    by_slot: HashMap<u32, (Pass, Tick)>,
}

impl Passes {
    /// A connection has another pass. Returns when to look at it, where that is sooner than was known.
    pub(crate) fn put(&mut self, now: Now, slot: u32, pass: Pass) -> Option<Tick> {
        let at = due(now, &pass);
        let armed = self.by_slot.get(&slot).map(|(_, armed)| *armed);
        let sooner = armed.is_none_or(|armed| at.is_before(armed));
        self.by_slot.insert(slot, (pass, if sooner { at } else { armed.unwrap_or(at) }));
        sooner.then_some(at)
    }

    pub(crate) fn remove(&mut self, slot: u32) {
        if self.by_slot.remove(&slot).is_some() && self.by_slot.capacity() > 4 * self.by_slot.len() + 64 {
            self.by_slot.shrink_to(2 * self.by_slot.len());
        }
    }

    /// Whether no connection has a token or owes one.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_slot.is_empty()
    }

    /// When to look at a connection's pass, where that is sooner than was known: the clock has changed.
    pub(crate) fn sooner(&mut self, now: Now, slot: u32) -> Option<Tick> {
        let (pass, armed) = self.by_slot.get_mut(&slot)?;
        let at = due(now, pass);
        at.is_before(*armed).then(|| *armed = at).map(|()| at)
    }

    /// The timer of a connection was filed for then.
    pub(crate) fn armed(&mut self, slot: u32, at: Tick) {
        if let Some((_, armed)) = self.by_slot.get_mut(&slot) {
            *armed = at;
        }
    }

    /// A timer fires that was filed for `at`: says whether it is the connection's valid one, and when to look next.
    pub(crate) fn due(&mut self, now: Now, slot: u32, at: Tick) -> Option<Tick> {
        let (pass, armed) = self.by_slot.get_mut(&slot).filter(|(_, armed)| *armed == at)?;
        let next = due(now, pass);
        *armed = next;
        Some(next)
    }

    /// Whether a connection's time is over.
    pub(crate) fn over(&self, now: Now, slot: u32) -> Option<PassEnd> {
        match &self.by_slot.get(&slot)?.0 {
            Pass::Awaited(until) => now.tick.has_reached(*until).then_some(PassEnd::Awaited),
            Pass::Held(grants) => (now.unix_millis >= grants.expires_millis).then_some(PassEnd::Expired),
        }
    }

    /// Whether it has yet to show a token.
    pub(crate) fn is_awaited(&self, slot: u32) -> bool {
        matches!(self.by_slot.get(&slot), Some((Pass::Awaited(_), _)))
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Arc<Grants>> {
        match self.by_slot.get(&slot) {
            Some((Pass::Held(grants), _)) => Some(grants),
            _ => None,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let held = self.by_slot.values().filter(|(pass, _)| matches!(pass, Pass::Held(_))).count();
        self.by_slot.capacity() * (size_of::<(u32, (Pass, Tick))>() + 1) + held * size_of::<Grants>()
    }
}

/// When a pass has to be looked at again: at its end, or before, where a tick can't name that.
fn due(now: Now, pass: &Pass) -> Tick {
    match pass {
        Pass::Awaited(until) => *until,
        Pass::Held(grants) => {
            let ticks = grants.expires_millis.saturating_sub(now.unix_millis).div_ceil(TICK_MILLIS);
            now.tick.after(u32::try_from(ticks).unwrap_or(u32::MAX).clamp(1, u32::MAX / 4))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_or_how_names_begin() {
        let fits = |pattern: &str, name: &str| Pattern::new(pattern).unwrap().fits(name);
        assert!(fits("lobby", "lobby") && !fits("lobby", "lobby2") && !fits("lobby", "lobb"));
        assert!(
            fits("support.*", "support.1") && fits("support.*", "support.") && !fits("support.*", "support")
        );
        assert!(fits("*", "a") && fits("*", "support.1"));
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        assert!(
            fits("\u{e4} *", "\u{e4} b") && !fits("\u{e4} *", "\u{e4}b") && fits("auth0|*", "auth0|5f7c")
        );
        for text in ["", " *", " a", "a ", "*a", "a*b", "**", "\n*", "a/**", &long, &format!("{long}*")] {
            assert_eq!(Pattern::new(text), None, "{text}");
        }
    }

    #[test]
    fn claims_out_of_bounds_are_named() {
        let many = vec!["a".to_owned(); TOKEN_PATTERNS_MAX + 1];
        let info = "1".repeat(INFO_BYTES_MAX + 1);
        for (rooms, see, info, bad) in [
            (Some(&many[..]), &[][..], None, BadClaim::TooManyPatterns),
            (None, &many[..], None, BadClaim::TooManyPatterns),
            (None, &["a*b".to_owned()][..], None, BadClaim::NoPattern),
            (None, &[][..], Some(info.as_str()), BadClaim::InfoTooLong),
        ] {
            assert_eq!(Grants::new(rooms, see, info, 0), Err(bad));
        }
    }

    #[test]
    fn without_the_claim_every_room_may_be_joined_and_none_spoken_in_from_outside() {
        let grants = |rooms: Option<&[String]>| Grants::new(rooms, &[], None, 0).unwrap();
        let (open, some, none) = (grants(None), grants(Some(&["support.*".to_owned()])), grants(Some(&[])));
        assert!(open.may_join("x") && !open.may_say("x"));
        assert!(some.may_join("support.1") && some.may_say("support.1"));
        assert!(!some.may_join("x") && !some.may_say("x") && !none.may_join("x"));
    }

    #[test]
    fn one_timer_a_connection_is_valid() {
        let now = |millis: u64| Now {
            tick: Tick(u32::MAX).after((millis / TICK_MILLIS) as u32),
            micros: 0,
            unix_millis: millis,
        };
        let held = |expires_millis| {
            let grants = Grants { rooms: None, see: Arc::new([]), info: None, expires_millis };
            Pass::Held(Arc::new(grants))
        };
        let mut passes = Passes::default();
        let at = passes.put(now(0), 7, held(1_005)).unwrap();
        assert_eq!(at, now(1_010).tick, "the tick in which it has ended");
        assert_eq!(passes.put(now(500), 7, held(9_000)), None, "the filed timer comes first");
        let next = passes.due(now(1_010), 7, at).unwrap();
        assert_eq!(next, now(9_000).tick);
        assert_eq!(passes.over(now(1_010), 7), None);
        let sooner = passes.put(now(2_000), 7, held(3_000)).unwrap();
        assert_eq!(passes.due(now(9_000), 7, next), None, "void");
        assert!(passes.due(now(3_000), 7, sooner).is_some());
        assert_eq!(passes.over(now(3_000), 7), Some(PassEnd::Expired));
        passes.put(now(0), 8, held(u64::MAX));
        assert_eq!(passes.over(now(1 << 40), 8), None);
    }
}
