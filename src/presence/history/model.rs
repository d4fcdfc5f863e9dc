//! A room's history, held against a list.

use std::collections::VecDeque;

use super::*;
use crate::presence::grants::Pattern;

#[derive(Clone, Debug)]
struct Said {
    offset: u64,
    tick: Tick,
    unix_millis: u64,
    from: Option<String>,
    id: Option<String>,
    data: Option<Data>,
}

fn xorshift(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    (*seed >> 11) as usize
}

fn same(history: &mut RoomHistory, model: &VecDeque<Said>, dice: &mut u64) {
    let (newest, bytes) = (xorshift(dice) % 40 + 1, 1 << 20);
    let page = history.page(HistoryFrom::Before(None), (newest as u32, bytes));
    let expected = model.iter().skip(model.len().saturating_sub(newest));
    let shown = |said: &Said| Past {
        from: said.from.clone().map(Name::from).filter(|_| said.data.is_some()),
        data: said.data.clone(),
        offset: said.offset,
        unix_millis: said.unix_millis,
    };
    assert_eq!(page, expected.map(shown).collect::<Vec<_>>());
    let after = history.first() + xorshift(dice) as u64 % 20;
    let page = history.page(HistoryFrom::After(after), (5, bytes));
    let expected = model.iter().filter(|said| said.offset > after).take(5);
    assert_eq!(page, expected.map(shown).collect::<Vec<_>>());
    assert_eq!(history.messages(), model.len() as u64);
    if let Some(first) = model.front() {
        assert_eq!(history.first(), first.offset);
    }
}

#[test]
fn it_is_a_list_of_the_last_messages() {
    for seed in 1..60_u64 {
        let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let (count, age) = ([3, 50, 1_000][seed as usize % 3], [100, 5_000, 1 << 20][seed as usize / 3 % 3]);
        let rule = HistoryRule { pattern: Pattern::new("*").unwrap(), count, age };
        let mut history = RoomHistory::new(1, Some(&rule));
        let mut model: VecDeque<Said> = VecDeque::new();
        let (mut tick, mut unix_millis) = (Tick(u32::MAX - 2_000), 1_700_000_000_000_u64);
        for offset in 1..600_u64 {
            if xorshift(&mut dice).is_multiple_of(4) {
                let ticks = xorshift(&mut dice) as u32 % 60;
                tick = tick.after(ticks);
                // The clock is set, at times far back.
                unix_millis = unix_millis
                    .wrapping_add(u64::from(ticks) * 10)
                    .wrapping_sub(xorshift(&mut dice) as u64 % 90);
            }
            let from =
                (!xorshift(&mut dice).is_multiple_of(5)).then(|| format!("u{}", xorshift(&mut dice) % 6));
            let id = xorshift(&mut dice).is_multiple_of(2).then(|| format!("i{}", xorshift(&mut dice) % 300));
            let len = [0, 1, 100, 100, 100, 2_000][xorshift(&mut dice) % 6];
            let data = match xorshift(&mut dice) % 4 {
                0 => Data::Binary(vec![7; len].into()),
                _ => Data::from(&*format!("\"{}\"", "y".repeat(len))),
            };
            if let Some(id) = &id {
                let known = history.said_before(tick, from.as_deref(), id);
                let is_it =
                    |said: &&Said| (&said.from, said.id.as_ref()) == (&from, Some(id)) && said.data.is_some();
                let expected = model.iter().rev().find(is_it);
                let expected = expected.filter(|said| tick.since(said.tick) < SAY_ID_TICKS.min(age));
                // An entry may be forgotten where a later message took its place and is gone; it is never another's.
                let is_right = |offset: u64| model.iter().any(|said| said.offset == offset && is_it(&said));
                assert!(known.is_none_or(is_right), "{known:?}");
                if let Some(expected) = expected {
                    assert_eq!(known, Some(expected.offset));
                }
            }
            history.push((tick, unix_millis), Saying::of(from.as_deref(), id.as_deref(), &data));
            model.push_back(Said { offset, tick, unix_millis, from, id, data: Some(data) });
            if model.len() > count as usize {
                model.pop_front();
            }
            match xorshift(&mut dice) % 30 {
                0 => {
                    let user = format!("u{}", xorshift(&mut dice) % 6);
                    let (mut next, mut erased) = (Some(0), 0);
                    while let Some(from) = next {
                        let (some, more) = history.erase(&user, from, &mut 500);
                        (erased, next) = (erased + some, more);
                    }
                    let theirs = model
                        .iter_mut()
                        .filter(|said| said.from.as_ref() == Some(&user) && said.data.is_some());
                    assert!(
                        erased >= theirs.map(|said| said.data = None).count(),
                        "some may be trimmed, and in their block"
                    );
                }
                1 => history.give_back(),
                2 => while history.expire(tick) {},
                _ => {}
            }
            // What is given back and what has grown old goes from the list as from the blocks.
            while model.front().is_some_and(|said| said.offset < history.first()) {
                model.pop_front();
            }
            if xorshift(&mut dice).is_multiple_of(7) {
                while history.expire(tick) {}
                model.retain(|said| tick.since(said.tick) < age);
                same(&mut history, &model, &mut dice);
            }
        }
    }
}

/// The memory of a message beyond its content, for lines of 100 bytes by ten authors.
fn bytes_beyond_content(with_ids: bool) -> usize {
    let rule = HistoryRule { pattern: Pattern::new("*").unwrap(), count: 10_000, age: 1 << 20 };
    let mut history = RoomHistory::new(1, Some(&rule));
    let data = Data::from(&*format!("\"{}\"", "x".repeat(98)));
    for n in 0..10_000_u32 {
        let (from, id) = (format!("user-{}", n % 10), format!("123e4567-e89b-12d3-a456-{n:012}"));
        let id = Some(&*id).filter(|_| with_ids);
        history.push((Tick(n), 1_700_000_000_000 + u64::from(n) * 10), Saying::of(Some(&from), id, &data));
    }
    (history.bytes() - 10_000 * 100) / 10_000
}

#[test]
fn a_message_takes_little_beyond_what_it_says() {
    let (plain, with_ids) = (bytes_beyond_content(false), bytes_beyond_content(true));
    assert!(plain <= 24, "{plain} bytes");
    assert!(with_ids <= 100, "{with_ids} bytes, of which 36 are the id");
}
