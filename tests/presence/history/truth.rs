//! The history as homes say that they keep it, by their journals.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use rollcall::internals::presence::history::{Appended, Journal};

/// A message: its author and its data.
pub(super) type Message = (Option<String>, Vec<u8>);

/// One life of a room.
#[derive(Debug, Default)]
pub(super) struct Life {
    pub(super) said: BTreeMap<u64, Message>,
    pub(super) first: u64,
    pub(super) is_over: bool,
}

#[derive(Debug, Default)]
pub(super) struct Lives {
    pub(super) lives: BTreeMap<(String, u64), Life>,
    /// Users whose messages are deleted, or are about to be.
    pub(super) erased: BTreeSet<String>,
    /// Orders to end each room that are to come; `None`: rooms end by themselves.
    pub(super) orders: Option<BTreeMap<String, usize>>,
}

/// The journal of all homes.
#[derive(Clone, Debug, Default)]
pub(super) struct Truth(Arc<Mutex<Lives>>);

impl Truth {
    pub(super) fn get(&self) -> MutexGuard<'_, Lives> {
        self.0.lock().unwrap()
    }
}

impl Journal for Truth {
    fn appended(&mut self, room: &str, (epoch, offset): (u64, u64), said: Appended<'_>) {
        let mut lives = self.get();
        let life = lives
            .lives
            .entry((room.to_owned(), epoch))
            .or_insert_with(|| Life { first: 1, ..Life::default() });
        assert!(!life.is_over, "{room} is over");
        let next = life.said.last_key_value().map_or(1, |(last, _)| last + 1);
        assert_eq!(offset, next, "{room}: offsets follow each other");
        life.said.insert(offset, (said.from.map(str::to_owned), said.data.as_bytes().to_vec()));
    }

    fn trimmed(&mut self, room: &str, epoch: u64, first: u64) {
        let mut lives = self.get();
        let life = lives.lives.get_mut(&(room.to_owned(), epoch)).expect("something was said");
        assert!(life.first <= first && !life.is_over);
        life.first = first;
    }

    fn erased(&mut self, room: &str, epoch: u64, user: &str) {
        let lives = self.get();
        assert!(lives.erased.contains(user) && lives.lives.contains_key(&(room.to_owned(), epoch)));
    }

    fn ended(&mut self, room: &str, epoch: u64) {
        let mut lives = self.get();
        let is_said = lives.lives.contains_key(&(room.to_owned(), epoch));
        if let Some(orders) = &mut lives.orders
            && room != "old"
        {
            let left = orders.get_mut(room).filter(|left| **left > 0);
            match left {
                Some(left) => *left -= usize::from(is_said),
                None => assert!(!is_said, "{room} outlives its members"),
            }
        }
        if let Some(life) = lives.lives.get_mut(&(room.to_owned(), epoch)) {
            life.is_over = true;
        }
    }
}
