//! Bans: of users, kept at their homes, and of users from rooms, kept at the rooms' homes. Each ends by itself. They are gone with
//! the process.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use hashbrown::HashTable;

use crate::limits::{BAN_SECONDS_MAX, BANS_ENDED_MAX, BANS_LOOK_TICKS, BANS_MAX};
use crate::presence::name::{Homes, Name, bytes_of};
use crate::presence::record::{BanKey, Record};
use crate::time::{Now, Tick};

/// How many bans there are at all homes of a server together: [`BANS_MAX`] at most.
#[derive(Clone, Debug, Default)]
pub struct BanCount(Arc<AtomicUsize>);

impl BanCount {
    fn add(&self) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |bans| (bans < BANS_MAX).then_some(bans + 1)).is_ok()
    }

    fn sub(&self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[derive(Debug)]
struct Ban {
    user: Name,
    /// From where; `None`: from the server.
    room: Option<Name>,
    /// In [`Now::micros`].
    until: u64,
    words: Arc<str>,
}

/// The bans of one home.
#[derive(Debug)]
pub(crate) struct Bans {
    homes: Homes,
    bans: HashTable<Ban>,
    ends: BTreeSet<(u64, Name, Option<Name>)>,
    name_bytes: usize,
    looked: Tick,
    count: BanCount,
}

impl Bans {
    pub(crate) fn new(homes: Homes, now: Tick) -> Bans {
        let (bans, ends) = (HashTable::new(), BTreeSet::new());
        Bans { homes, bans, ends, name_bytes: 0, looked: now, count: BanCount::default() }
    }

    /// Counts them with those of others; there are none yet.
    pub(crate) fn share(&mut self, count: BanCount) {
        self.count = count;
    }

    pub(crate) fn count(&self) -> BanCount {
        self.count.clone()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bans.is_empty()
    }

    /// Whether a user is banned, and what it is told of that.
    pub(crate) fn get(&self, now: Now, user: &str, room: Option<&str>) -> Option<&Arc<str>> {
        if self.bans.is_empty() {
            return None;
        }
        let ban = self.bans.find(hash(self.homes, user, room), is(user, room))?;
        (now.micros < ban.until).then_some(&ban.words)
    }

    /// Bans a user for so many seconds from now on, however long it was banned before. Says whether there was room for it.
    pub(crate) fn set(
        &mut self,
        now: Now,
        (user, room): (&Name, Option<&Name>),
        seconds: u32,
        words: &Arc<str>,
    ) -> bool {
        self.put((user, room), end(now, seconds), words)
    }

    /// Bans a user until then. Says whether there was room for it.
    pub(crate) fn put(&mut self, (user, room): (&Name, Option<&Name>), until: u64, words: &Arc<str>) -> bool {
        self.remove(user, room.map(|room| &**room));
        if !self.count.add() {
            return false;
        }
        let ban = Ban { user: user.clone(), room: room.cloned(), until, words: words.clone() };
        self.ends.insert((until, user.clone(), room.cloned()));
        self.name_bytes += bytes(&ban);
        let homes = self.homes;
        let hash_of = hash(homes, user, room.map(|room| &**room));
        self.bans.insert_unique(hash_of, ban, |ban| hash(homes, &ban.user, ban.room.as_deref()));
        true
    }

    /// Bans behind one, in the order of their ends: at most so many. Returns the last one, if there may be more.
    pub(crate) fn export(
        &self,
        now: Now,
        after: Option<BanKey>,
        most: usize,
        records: &mut Vec<Record>,
    ) -> Option<BanKey> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut last = None;
        for key in self.ends.range((from, Bound::Unbounded)).take(most) {
            let (until, user, room) = key;
            let ban = self.bans.find(hash(self.homes, user, room.as_deref()), is(user, room.as_deref()));
            if let Some(micros) = until.checked_sub(now.micros).filter(|micros| *micros > 0) {
                let (user, room) = (user.clone(), room.clone());
                let words = ban.map_or_else(|| Arc::from(""), |ban| ban.words.clone());
                records.push(Record::Ban { user, room, micros, words });
            }
            last = Some(key);
        }
        last.cloned()
    }

    /// Ends a ban. Says whether there was one.
    pub(crate) fn lift(&mut self, now: Now, user: &str, room: Option<&str>) -> bool {
        let was = self.get(now, user, room).is_some();
        self.remove(user, room);
        was
    }

    fn remove(&mut self, user: &str, room: Option<&str>) {
        let hash = hash(self.homes, user, room);
        let Ok(entry) = self.bans.find_entry(hash, is(user, room)) else { return };
        let (ban, _) = entry.remove();
        self.name_bytes -= bytes(&ban);
        self.ends.remove(&(ban.until, ban.user, ban.room));
        self.count.sub();
    }

    /// When [`Bans::look`] is to be called next.
    #[inline]
    pub(crate) fn due(&self) -> Option<Tick> {
        (!self.bans.is_empty()).then(|| self.looked.after(BANS_LOOK_TICKS))
    }

    /// Forgets those that have ended, some in each call. Returns whom they were of.
    pub(crate) fn look(&mut self, now: Now) -> Vec<(Name, Option<Name>)> {
        let mut ended = Vec::new();
        if self.due().is_none_or(|due| now.tick.is_before(due)) {
            return ended;
        }
        while let Some((_, user, room)) =
            self.ends.first().filter(|(until, ..)| *until <= now.micros).cloned()
        {
            if ended.len() == BANS_ENDED_MAX {
                return ended;
            }
            self.remove(&user, room.as_deref());
            ended.push((user, room));
        }
        self.looked = now.tick;
        let homes = self.homes;
        if self.bans.capacity() > 4 * self.bans.len() + 64 {
            self.bans.shrink_to(2 * self.bans.len(), |ban| hash(homes, &ban.user, ban.room.as_deref()));
        }
        ended
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bans.capacity() * size_of::<Ban>()
            + self.ends.len() * size_of::<(u64, Name, Option<Name>)>() * 4 / 3
            + self.name_bytes
    }
}

/// When a ban of so many seconds ends, in [`Now::micros`].
pub(crate) fn end(now: Now, seconds: u32) -> u64 {
    now.micros + u64::from(seconds) * 1_000_000
}

/// When a ban ends that another home has said lasts so many microseconds more, in [`Now::micros`].
pub(crate) fn end_after(now: Now, micros: u64) -> u64 {
    now.micros + micros.min(u64::from(BAN_SECONDS_MAX) * 1_000_000)
}

fn hash(homes: Homes, user: &str, room: Option<&str>) -> u64 {
    homes.hash(user) ^ room.map_or(0, |room| homes.hash(room).rotate_left(32))
}

fn is<'a>(user: &'a str, room: Option<&'a str>) -> impl Fn(&Ban) -> bool + 'a {
    move |ban| *ban.user == *user && ban.room.as_deref() == room
}

fn bytes(ban: &Ban) -> usize {
    bytes_of(&ban.user) + ban.room.as_ref().map_or(0, bytes_of) + bytes_of(&ban.words)
}

/// Bans that are lost with their home count no more.
impl Drop for Bans {
    fn drop(&mut self) {
        self.count.0.fetch_sub(self.bans.len(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(seconds: u64) -> Now {
        let tick = Tick((seconds * 100) as u32);
        Now { micros: seconds * 1_000_000, tick, ..Now::default() }
    }

    #[test]
    fn a_ban_ends_to_the_moment_and_is_forgotten_soon() {
        let mut bans = Bans::new(Homes::new(1, 7), Tick(0));
        let (ann, room, words): (Name, Name, Name) = ("ann".into(), "r".into(), "out".into());
        assert!(bans.set(now(0), (&ann, None), 100, &words));
        assert!(bans.set(now(0), (&ann, Some(&room)), 10, &words));
        assert!(bans.set(now(5), (&ann, Some(&room)), 10, &words), "the last word counts");
        assert_eq!(bans.get(now(14), "ann", Some("r")), Some(&words));
        assert_eq!(bans.get(now(15), "ann", Some("r")), None);
        assert_eq!((bans.get(now(14), "ann", Some("s")), bans.get(now(14), "bob", None)), (None, None));
        assert_eq!(bans.look(now(60)), [(ann.clone(), Some(room))]);
        assert!(bans.get(now(99), "ann", None).is_some() && bans.get(now(100), "ann", None).is_none());
        assert!(!bans.lift(now(100), "ann", None), "it has ended");
        assert!(bans.is_empty() && bans.ends.is_empty() && bans.name_bytes == 0 && bans.due().is_none());
    }

    #[test]
    fn there_are_so_many_at_all_homes_together_and_no_more() {
        let (count, words): (BanCount, Name) = (BanCount::default(), "out".into());
        let mut homes = [(); 2].map(|()| Bans::new(Homes::new(2, 7), Tick(0)));
        homes.iter_mut().for_each(|bans| bans.share(count.clone()));
        let mut ban = |n: usize, seconds: u64| {
            let user = format!("u{n}").into();
            homes[n % 2].set(now(seconds), (&user, None), 10, &words)
        };
        assert!((0..BANS_MAX).all(|n| ban(n, 0)) && !ban(BANS_MAX, 0));
        assert!(ban(7, 0), "one that is banned already takes no further place");
        let full = homes[0].bytes();
        for n in 0.. {
            if homes[0].look(now(60 + n)).is_empty() {
                break;
            }
        }
        assert!(homes[0].is_empty() && !homes[1].is_empty());
        assert!(homes[0].bytes() * 50 < full, "{} of {full}", homes[0].bytes());
        assert!(homes[0].set(now(60), (&"other".into(), None), 10, &words));
    }
}
