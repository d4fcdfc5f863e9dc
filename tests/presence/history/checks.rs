//! The invariants of what a page hears.

use rollcall::internals::presence::{Data, Event, HistoryFrom, HistoryPage, Past, Recovery, Since};

use super::world::{Asked, World};

impl World {
    pub(super) fn answered(&mut self, p: usize, asked: &Asked, event: &Event) {
        let catches_up = matches!(asked, Asked::Join(_, Some(_)) | Asked::History(..));
        let granted = if catches_up { self.pages[p].granted.take() } else { None };
        match (asked, event) {
            (Asked::Join(room, since), Event::Placed { place, recovery, .. }) => {
                assert_eq!(recovery.is_some(), since.is_some());
                if let (Some(since), Some(recovery)) = (since, recovery) {
                    let bytes = granted.expect("nobody asked for capacity") as usize;
                    assert!(recovery.bytes() <= bytes, "{} bytes of {bytes}", recovery.bytes());
                    self.recovered(p, room, (*since, (place.epoch, place.offset)), recovery, bytes);
                }
                let book = self.pages[p].books.get_mut(room).unwrap();
                (book.epoch, book.offset, book.begun, book.is_in) = (place.epoch, place.offset, true, true);
            }
            (Asked::Leave(room), Event::Placed { .. }) => {
                self.pages[p].books.get_mut(room).unwrap().is_in = false;
            }
            (Asked::Say(room, text), Event::Spoken { place, .. }) if place.epoch > 0 => {
                let known = self.truth.get();
                if let Some(life) = known.lives.get(&((*room).to_owned(), place.epoch)) {
                    let (_, data) = &life.said[&place.offset];
                    assert_eq!(*data, format!("\"{text}\"").into_bytes(), "{room} {place:?}");
                }
                drop(known);
                self.pages[p].outbox.retain(|(_, other)| other != text);
            }
            (Asked::History(room, from, limit), Event::History { page, .. }) => {
                let bytes = granted.expect("nobody asked for capacity") as usize;
                assert!(page.messages.len() <= *limit && (page.bytes() <= bytes || page.messages.len() == 1));
                self.paged(p, room, *from, page);
            }
            _ => {
                assert!(
                    matches!(event, Event::Refused { .. } | Event::Spoken { .. }),
                    "{asked:?}: {event:?}"
                );
            }
        }
    }

    fn paged(&mut self, p: usize, room: &'static str, from: HistoryFrom, page: &HistoryPage) {
        follow_each_other(&page.messages);
        let within = |offset: u64| match from {
            HistoryFrom::Before(before) => before.is_none_or(|before| offset < before),
            HistoryFrom::After(after) => offset > after,
        };
        for message in &page.messages {
            assert!(within(message.offset) && (page.first..=page.last).contains(&message.offset));
            self.matches(room, page.epoch, message);
        }
        if let HistoryFrom::After(after) = from {
            let book = self.pages[p].books.get_mut(room).unwrap();
            let gap = book.gaps.iter_mut().find(|(epoch, gap, _)| (*epoch, *gap) == (page.epoch, after + 1));
            let Some((_, start, to)) = gap else { return };
            let first = page.messages.first().map_or(page.first, |message| message.offset);
            assert_eq!(first, page.first.max(*start).min(first), "what is in a gap is there, or is trimmed");
            assert!(first == *start || first == page.first, "{first} {start} {page:?}");
            let (epoch, end) = (page.epoch, *to);
            *start = page.messages.last().map_or(page.last, |message| message.offset) + 1;
            for message in page.messages.iter().filter(|message| message.offset <= end) {
                let data = message.data.as_ref().map(Data::as_bytes);
                self.learn(p, room, (epoch, message.offset), data);
            }
            let book = self.pages[p].books.get_mut(room).unwrap();
            book.gaps.retain(|(_, start, to)| start <= to);
        }
    }

    fn recovered(
        &mut self,
        p: usize,
        room: &'static str,
        (since, (epoch, offset)): (Since, (u64, u64)),
        recovery: &Recovery,
        bytes: usize,
    ) {
        let is_same = since.epoch == epoch && since.offset <= offset;
        let heard = if is_same { since.offset } else { 0 };
        let Recovery { recovered, messages, gap } = recovery;
        follow_each_other(messages);
        assert!(!recovered || is_same, "another epoch: {recovery:?}");
        // The messages touch the live stream, and what is missing before them is named.
        let first = messages.first().map_or(offset + 1, |message| message.offset);
        assert!(messages.last().is_none_or(|message| message.offset == offset), "{recovery:?} at {offset}");
        assert_eq!(*gap, (heard + 1 < first).then(|| (heard + 1, first - 1)), "p{p} in {room}: {recovery:?}");
        messages.iter().for_each(|message| self.matches(room, epoch, message));
        let kept =
            self.truth.get().lives.get(&(room.to_owned(), epoch)).map_or(offset + 1, |life| life.first);
        if room == "keep" || room == "few" {
            // A home may have kept more when it answered, and never less.
            assert!(
                *recovered || !is_same || heard + 1 < kept,
                "p{p} in {room}: {recovery:?}, kept from {kept}"
            );
            let most = bytes == 128 << 10 && messages.len() < 30;
            assert!(!most || first <= kept.max(heard + 1), "p{p} in {room}: {recovery:?}, kept from {kept}");
        }
        if room == "none" {
            assert_eq!(*recovered, is_same && heard == offset);
        }
        let gaps = gap.iter().map(|(from, to)| (epoch, *from, *to)).filter(|_| room != "none");
        self.pages[p].books.get_mut(room).unwrap().gaps.extend(gaps);
        for message in messages {
            self.learn(p, room, (epoch, message.offset), message.data.as_ref().map(Data::as_bytes));
        }
    }

    /// A message is what was said there, unless its author was deleted.
    fn matches(&self, room: &str, epoch: u64, message: &Past) {
        let truth = self.truth.get();
        let life = &truth.lives[&(room.to_owned(), epoch)];
        let (from, data) = &life.said[&message.offset];
        match &message.data {
            Some(told) => {
                assert_eq!(
                    (message.from.as_deref(), told.as_bytes()),
                    (from.as_deref(), &**data),
                    "{message:?}"
                );
            }
            None => assert!(truth.erased.contains(from.as_deref().unwrap_or_default()), "{message:?}"),
        }
    }

    /// A page is told a message: once.
    pub(super) fn learn(&mut self, p: usize, room: &'static str, at: (u64, u64), data: Option<&[u8]>) {
        // An id is remembered with its message: where there are too many bytes, for less long.
        let forgets = room == "few" || room == "old" || self.truth.get().orders.is_none();
        let book = self.pages[p].books.get_mut(room).unwrap();
        let before = book.got.insert(at, data.map(<[u8]>::to_vec));
        assert!(before.is_none(), "p{p} is told {at:?} in {room} again");
        // What has an id is said once, as long as that is remembered.
        let near = book.got.range((at.0, at.1.saturating_sub(60))..at);
        let again = near.filter(|(_, other)| data.is_some() && other.as_deref() == data).count();
        assert!(again == 0 || forgets, "p{p} is told twice in {room} what was said once: {at:?}");
    }
}

fn follow_each_other(messages: &[Past]) {
    assert!(messages.is_sorted_by(|a, b| a.offset + 1 == b.offset), "{messages:?}");
}
