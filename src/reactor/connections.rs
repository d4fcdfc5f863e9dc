//! A worker's connections by their places in its slab, and the wheel in which each has its next deadline.

use crate::conn::Conn;
use crate::conn::timing::Timing;
use crate::reactor::ids::ConnId;
use crate::reactor::terms::TermsTable;
use crate::slots::Slots;
use crate::time::Tick;
use crate::time::wheel::Wheel;

/// All of them.
#[derive(Debug)]
pub(crate) struct Connections {
    slots: Slots<Conn>,
    wheel: Wheel,
}

impl Connections {
    pub(crate) fn new(now: Tick) -> Connections {
        Connections { slots: Slots::default(), wheel: Wheel::new(now) }
    }

    /// The connection of that name, if it is there.
    #[inline]
    pub(crate) fn get(&self, id: ConnId) -> Option<&Conn> {
        self.slots.get(id.key as usize).filter(|conn| conn.is_of(id.generation))
    }

    /// The same, to change it.
    #[inline]
    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.slots.get_mut(id.key as usize).filter(|conn| conn.is_of(id.generation))
    }

    /// All of them, with their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ConnId, &Conn)> {
        self.slots.iter().filter_map(|(key, conn)| {
            Some((ConnId { key: u32::try_from(key).ok()?, generation: conn.generation() }, conn))
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The name of the next connection, where its generation is this; `None` where there are as many as there can be.
    pub(crate) fn next_id(&mut self, generation: u32) -> Option<ConnId> {
        Some(ConnId { key: u32::try_from(self.slots.vacant_key()).ok()?, generation })
    }

    /// Takes in the connection that [`Connections::next_id`] has named.
    pub(crate) fn insert(&mut self, conn: Conn) {
        self.slots.insert(conn);
    }

    /// Takes a connection out; its entry in the wheel is dropped when it fires.
    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Conn> {
        self.get(id)?;
        self.slots.try_remove(id.key as usize)
    }

    /// Files a connection's next deadline where it is nearer than the one it is armed for.
    #[inline]
    pub(crate) fn arm(&mut self, id: ConnId, timing: &Timing, terms: &TermsTable) {
        let conn = self.slots.get_mut(id.key as usize).filter(|conn| conn.is_of(id.generation));
        if let Some(conn) = conn
            && let Some(at) = conn.comes_sooner(terms.timing(conn.tag(), timing))
        {
            conn.arm(self.wheel.schedule(at, id.to_bits()));
        }
    }

    /// Files a connection's next deadline; it has no valid entry in the wheel.
    pub(crate) fn rearm(&mut self, id: ConnId, timing: &Timing, terms: &TermsTable) {
        let conn = self.slots.get_mut(id.key as usize).filter(|conn| conn.is_of(id.generation));
        if let Some(conn) = conn {
            let at = conn.look_at(terms.timing(conn.tag(), timing));
            conn.arm(self.wheel.schedule(at, id.to_bits()));
        }
    }

    /// The next entry of the wheel that is due: whose it is, and the tick it stood under.
    #[inline]
    pub(crate) fn pop_due(&mut self, now: Tick) -> Option<(Tick, ConnId)> {
        self.wheel.pop_due(now).map(|(tick, key)| (tick, ConnId::from_bits(key)))
    }

    /// When the next entry is due.
    #[inline]
    pub(crate) fn next_due(&self) -> Option<Tick> {
        self.wheel.next()
    }

    /// Entries of the wheel, those that no longer count among them.
    pub(crate) fn filed(&self) -> usize {
        self.wheel.len()
    }

    /// Gives back what a burst has left.
    pub(crate) fn shrink(&mut self) {
        self.slots.shrink();
        self.wheel.shrink();
    }

    /// Bytes of the slab.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.bytes()
    }

    /// Bytes of the wheel.
    pub(crate) fn wheel_bytes(&self) -> usize {
        self.wheel.bytes()
    }
}
