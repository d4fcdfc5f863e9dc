//! The cost of a turn's work, and how work is shared out: whoever asks for much of it is served a share and waits for the
//! next turn, and whoever asks for little does not notice.
//!
//! Work is counted in units of about a microsecond, by what is done and not by a clock, so that the same input is shared out
//! alike on every machine and in every test. Work that costs more than a share and can't be divided leaves a debt: its
//! connection is passed over until the shares that it had too many are made up for.
//!
//! | work | units |
//! |---|---|
//! | a frame | 1/4, and 1 for each 8 KiB |
//! | a read | 1, and 1 for each 512 B: a message that is long enough to cost much has then cost some shares before it is whole |
//! | a record of TLS | 1/2, and 1 for each 2 KiB |
//! | compressed bytes and what they come to | 1 for each 256 B |
//! | a message that is compressed for a window | 10, and 1 for each 64 B |
//! | the head of a request | 1, and 1 for each 8 KiB |
//! | an answer | 3, and 1 for each 8 KiB |
//! | a message | 1 |
//! | what the service does | what it charges by [`Context::charge`](crate::reactor::Context::charge) |

use std::collections::HashMap;

use crate::limits::{
    CONNECTION_UNITS_PER_TURN, DEFLATED_BYTES_PER_UNIT, INFLATED_BYTES_PER_UNIT, READ_BYTES_PER_UNIT,
};
use crate::reactor::ids::ConnId;

/// The parts of a unit that are counted.
const PARTS: u64 = 16;
/// A connection's share of a turn, in parts.
const SHARE: u64 = parts(CONNECTION_UNITS_PER_TURN);

/// Units as [`Work::spent`] counts them.
pub(crate) const fn parts(units: u32) -> u64 {
    units as u64 * PARTS
}

/// The work of what is being served, and the debts of those that were served more than their share.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Parts of a unit since [`Work::begin`].
    spent: u64,
    /// Parts that may be spent.
    share: u64,
    /// Units, by slab key.
    debts: HashMap<u32, u32>,
}

impl Work {
    /// Something else is going to be served, for a connection's share.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.begin_with(SHARE);
    }

    /// The same for another share, in parts.
    #[inline]
    pub(crate) fn begin_with(&mut self, share: u64) {
        self.spent = 0;
        self.share = share;
    }

    /// Adds units to what is being served.
    #[inline]
    pub(crate) fn charge(&mut self, units: u32) {
        self.spent += u64::from(units) * PARTS;
    }

    /// A frame with a payload of `len` bytes is acted on.
    #[inline]
    pub(crate) fn charge_frame(&mut self, len: usize) {
        self.charge_parts(PARTS / 4, len, 8 << 10);
    }

    /// A read gave `len` bytes.
    #[inline]
    pub(crate) fn charge_read(&mut self, len: usize) {
        self.charge_parts(PARTS, len, READ_BYTES_PER_UNIT);
    }

    /// The head of a request has `len` bytes.
    pub(crate) fn charge_head(&mut self, len: usize) {
        self.charge_parts(PARTS, len, 8 << 10);
    }

    /// `len` bytes of TLS were `records` records.
    pub(crate) fn charge_records(&mut self, records: u32, len: usize) {
        self.charge_parts(u64::from(records) * PARTS / 2, len, 2 << 10);
    }

    /// A request is answered with `len` bytes.
    pub(crate) fn charge_answer(&mut self, len: usize) {
        self.charge_parts(3 * PARTS, len, 8 << 10);
    }

    /// So many compressed bytes were inflated, what they came to included.
    pub(crate) fn charge_inflated(&mut self, bytes: usize) {
        self.charge_parts(0, bytes, INFLATED_BYTES_PER_UNIT);
    }

    /// A message of `len` bytes was compressed.
    pub(crate) fn charge_deflated(&mut self, len: usize) {
        self.charge_parts(10 * PARTS, len, DEFLATED_BYTES_PER_UNIT);
    }

    /// Compressed bytes, with what they come to, that may be inflated before the share is used up.
    pub(crate) fn inflatable(&self) -> usize {
        let left = self.share.saturating_sub(self.spent) * INFLATED_BYTES_PER_UNIT as u64;
        left.div_ceil(PARTS) as usize
    }

    #[inline]
    fn charge_parts(&mut self, parts: u64, bytes: usize, bytes_per_unit: usize) {
        self.spent += parts + (bytes / (bytes_per_unit / PARTS as usize)) as u64;
    }

    /// Whether a connection has had its share of the turn.
    #[inline]
    pub(crate) fn is_spent(&self) -> bool {
        self.spent >= self.share
    }

    /// Parts of a unit since [`Work::begin`]; see [`parts`].
    #[inline]
    pub(crate) fn spent(&self) -> u64 {
        self.spent
    }

    /// Whether what was served was far more than a connection's share.
    #[inline]
    pub(crate) fn is_owed(&self) -> bool {
        self.spent >= 2 * SHARE
    }

    /// Work beyond a connection's share becomes its debt.
    #[cold]
    pub(crate) fn lend(&mut self, id: ConnId) {
        let more = u32::try_from((self.spent - SHARE) / PARTS).unwrap_or(u32::MAX);
        let debt = self.debts.entry(id.key).or_default();
        *debt = debt.saturating_add(more);
    }

    /// It is a connection's turn to be served more: a share that it had already is taken off its debt. Says whether it was.
    pub(crate) fn makes_up(&mut self, id: ConnId) -> bool {
        if self.debts.is_empty() {
            return false;
        }
        let Some(debt) = self.debts.get_mut(&id.key) else { return false };
        *debt = debt.saturating_sub(CONNECTION_UNITS_PER_TURN);
        if *debt == 0 {
            self.debts.remove(&id.key);
            self.debts.shrink_to(2 * self.debts.len());
        }
        true
    }

    /// Units that the connection was served beyond its share.
    pub(crate) fn debt(&self, id: ConnId) -> u32 {
        self.debts.get(&id.key).copied().unwrap_or(0)
    }

    /// A connection that comes was served so many units beyond its share.
    pub(crate) fn owe(&mut self, id: ConnId, units: u32) {
        if units > 0 {
            self.debts.insert(id.key, units);
        }
    }

    /// The connection is gone.
    pub(crate) fn forget(&mut self, id: ConnId) {
        if !self.debts.is_empty() {
            self.debts.remove(&id.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Work {
        let mut work = Work::default();
        work.begin();
        work
    }

    const ID: ConnId = ConnId { key: 3, generation: 1 };

    #[test]
    fn a_share_is_so_much_of_each_kind_of_work() {
        type Charge = fn(&mut Work);
        let kinds: [(&str, Charge, u32); 8] = [
            ("frames", |work| work.charge_frame(20), 4 * CONNECTION_UNITS_PER_TURN),
            ("frames of 1 MiB", |work| work.charge_frame(1 << 20), 4),
            ("empty reads", |work| work.charge_read(0), CONNECTION_UNITS_PER_TURN),
            ("reads of 128 KiB", |work| work.charge_read(128 << 10), 2),
            ("records", |work| work.charge_records(1, 0), 2 * CONNECTION_UNITS_PER_TURN),
            ("answers of 8 KiB", |work| work.charge_answer(8 << 10), CONNECTION_UNITS_PER_TURN / 4),
            ("messages of 960 B that are compressed", |work| work.charge_deflated(960), 20),
            ("inflated KiB", |work| work.charge_inflated(1 << 10), CONNECTION_UNITS_PER_TURN / 4),
        ];
        for (kind, charge, most) in kinds {
            let mut work = fresh();
            let times = std::iter::from_fn(|| (!work.is_spent()).then(|| charge(&mut work))).count();
            assert_eq!(times, most as usize, "{kind}");
        }
    }

    #[test]
    fn what_may_be_inflated_is_what_is_left_of_the_share() {
        let mut work = fresh();
        assert_eq!(work.inflatable(), CONNECTION_UNITS_PER_TURN as usize * INFLATED_BYTES_PER_UNIT);
        work.charge_inflated(work.inflatable() - 1);
        assert!(
            !work.is_spent() && work.inflatable() > 0,
            "there is always room for a byte before it is used up"
        );
        work.charge_inflated(INFLATED_BYTES_PER_UNIT);
        assert!(work.is_spent() && work.inflatable() == 0);
    }

    #[test]
    fn a_debt_is_made_up_for_in_shares_and_dies_with_its_connection() {
        let mut work = fresh();
        work.charge(2 * CONNECTION_UNITS_PER_TURN - 1);
        assert!(!work.is_owed() && !work.makes_up(ID), "less than a share too many is none");
        work.begin();
        work.charge(4 * CONNECTION_UNITS_PER_TURN + 1);
        assert!(work.is_owed());
        work.lend(ID);
        assert_eq!([(); 5].map(|()| work.makes_up(ID)), [true, true, true, true, false]);
        work.lend(ID);
        work.forget(ID);
        assert!(!work.makes_up(ID));
        work.charge(u32::MAX);
        assert!(work.is_spent() && work.is_owed());
        (0..2).for_each(|_| work.lend(ID));
        assert!(work.makes_up(ID), "and nothing overflows");
    }
}
