//! When a set of keys is fetched, on a clock that the test turns.

use rollcall::internals::identity::fetched::KeyName;
use rollcall::internals::limits::JWKS_ASKED_MAX;
use rollcall::internals::outbound::jwks::schedule::{FetchPace, Schedule};

const MINUTE: u64 = 60_000;

fn name(of: u64) -> KeyName {
    KeyName::of(Some(&of.to_string()))
}

/// A schedule whose first fetch was good at 0, with a set whose keys have these names.
fn begun(known: &[u64]) -> Schedule {
    let mut schedule = Schedule::new(FetchPace::default());
    assert!(schedule.is_due(0));
    fetch(&mut schedule, 0, known, None);
    schedule
}

fn fetch(schedule: &mut Schedule, now: u64, known: &[u64], fresh_seconds: Option<u64>) {
    schedule.begin(now);
    schedule.succeeded(now, known.iter().map(|of| name(*of)).collect(), fresh_seconds);
}

fn fail(schedule: &mut Schedule, now: u64) {
    schedule.begin(now);
    schedule.failed(now);
}

#[test]
fn a_set_is_fetched_again_when_it_is_no_longer_fresh() {
    for (fresh_seconds, minutes) in
        [(None, 10), (Some(0), 1), (Some(59), 1), (Some(300), 5), (Some(86_400), 60), (Some(u64::MAX), 60)]
    {
        let mut schedule = Schedule::new(FetchPace::default());
        fetch(&mut schedule, 7, &[1], fresh_seconds);
        let due = 7 + minutes * MINUTE;
        assert_eq!(schedule.next(), due, "{fresh_seconds:?}");
        assert!(!schedule.is_due(due - 1) && schedule.is_due(due));
    }
}

#[test]
fn a_fetch_that_fails_is_tried_again_ever_later_until_one_is_good() {
    let mut schedule = Schedule::new(FetchPace::default());
    let mut now = 0;
    for seconds in [1, 2, 4, 8, 16, 30, 30, 30] {
        fail(&mut schedule, now);
        assert_eq!(schedule.next() - now, seconds * 1_000);
        now = schedule.next();
    }
    fetch(&mut schedule, now, &[1], None);
    assert_eq!(schedule.next(), now + 10 * MINUTE);
    now = schedule.next();
    fail(&mut schedule, now);
    assert_eq!(schedule.next(), now + 1_000, "counted anew");
}

/// Fetches when that is due, until nothing more is looked for; the keys are these all the time. Returns when these fetches were.
fn look(schedule: &mut Schedule, mut now: u64, known: &[u64]) -> Vec<u64> {
    let mut fetches = Vec::new();
    while schedule.is_due(now) {
        fetch(schedule, now, known, None);
        fetches.push(now);
        now = if schedule.next() < now + 10_000 { schedule.next() } else { now };
    }
    fetches
}

#[test]
fn a_key_that_a_token_names_is_fetched_at_once_and_a_few_times_more_and_not_again_for_a_while() {
    let mut schedule = begun(&[1]);
    schedule.ask(100, name(1));
    assert!(!schedule.is_due(100), "it is there already");
    schedule.ask(200, name(2));
    assert!(schedule.is_due(200), "at once, however late the last fetch was");
    fetch(&mut schedule, 200, &[1], None);
    assert_eq!(schedule.absent(), [], "it may be there in a moment");
    schedule.ask(300, name(2));
    assert!(!schedule.is_due(1_199) && schedule.is_due(1_200));
    assert_eq!(look(&mut schedule, 1_200, &[1]), [1_200, 3_200, 7_200]);
    assert_eq!(schedule.absent(), [name(2)]);
    schedule.ask(7_300, name(2));
    assert!(!schedule.is_due(30_200), "it was looked for");
    schedule.ask(7_300, name(3));
    assert!(!schedule.is_due(30_199) && schedule.is_due(30_200));
    fetch(&mut schedule, 30_200, &[1, 3], None);
    assert_eq!(schedule.absent(), [name(2)]);
}

#[test]
fn a_key_that_is_published_a_moment_late_is_not_absent() {
    for late in [1, 1_000, 2_500, 6_999] {
        let mut schedule = begun(&[1]);
        schedule.ask(0, name(2));
        let mut now = 0;
        loop {
            assert!(schedule.is_due(now), "{late}");
            fetch(&mut schedule, now, if now < late { &[1] } else { &[1, 2] }, None);
            assert_eq!(schedule.absent(), [], "{late}");
            if now >= late {
                break;
            }
            now = schedule.next();
        }
        assert!(now <= 2 * late.max(1_000), "{late} ms late, and {now} found");
        assert_eq!(schedule.next(), now + 10 * MINUTE, "nothing more is looked for");
    }
}

#[test]
fn a_key_that_is_named_while_others_are_looked_for_has_as_long_as_they() {
    let mut schedule = begun(&[1]);
    schedule.ask(0, name(2));
    assert_eq!(look(&mut schedule, 0, &[1]), [0, 1_000, 3_000, 7_000]);
    let mut schedule = begun(&[1]);
    schedule.ask(0, name(2));
    for now in [0, 1_000, 3_000] {
        fetch(&mut schedule, now, &[1], None);
    }
    schedule.ask(6_900, name(3));
    fetch(&mut schedule, 7_000, &[1], None);
    assert_eq!(schedule.absent(), [name(2)], "the other was named a moment ago");
    assert_eq!(schedule.next(), 30_000);
    fetch(&mut schedule, 30_000, &[1, 3], None);
    assert_eq!(schedule.absent(), [name(2)]);
}

#[test]
fn a_key_is_not_absent_for_ever() {
    let mut schedule = begun(&[1]);
    schedule.ask(0, name(2));
    look(&mut schedule, 0, &[1]);
    assert_eq!((schedule.next(), schedule.absent().len()), (37_000, 1));
    assert!(!schedule.forget(36_999));
    assert!(schedule.forget(37_000) && schedule.absent().is_empty());
    assert!(!schedule.forget(37_000), "once");
    schedule.ask(37_000, name(2));
    // Where a fetch brings it, it is absent no more.
    assert_eq!(look(&mut schedule, 37_000, &[1]).len(), 4);
    assert_eq!(schedule.absent(), [name(2)]);
    schedule.again(44_001);
    assert!(schedule.is_due(44_001));
    fetch(&mut schedule, 44_001, &[1, 2], None);
    assert!(schedule.absent().is_empty());
}

#[test]
fn what_a_failed_fetch_looked_for_is_looked_for_by_the_next() {
    let mut schedule = begun(&[1]);
    schedule.ask(0, name(2));
    fail(&mut schedule, 0);
    assert!(schedule.absent().is_empty(), "nobody knows whether it is there");
    schedule.ask(500, name(3));
    assert!(!schedule.is_due(999) && schedule.is_due(1_000), "a failure is tried again by its own pace");
    assert_eq!(look(&mut schedule, 1_000, &[1, 3]), [1_000, 2_000, 4_000]);
    assert_eq!(schedule.absent(), [name(2)]);
}

#[test]
fn strangers_can_not_have_it_fetched_more_often() {
    for fails in [false, true] {
        let mut schedule = begun(&[]);
        let (mut fetches, hour) = (0, 60 * MINUTE);
        for now in (0..hour).step_by(100) {
            // Each token names another key, and many come at once.
            for nth in 0..3 {
                schedule.ask(now, name(now * 10 + nth));
            }
            schedule.forget(now);
            if schedule.is_due(now) {
                fetches += 1;
                match fails && fetches % 2 == 0 {
                    true => fail(&mut schedule, now),
                    false => fetch(&mut schedule, now, &[], None),
                }
            }
            assert!(schedule.absent().len() <= JWKS_ASKED_MAX);
        }
        let most = if fails { 2 * 480 } else { 480 };
        assert!(
            (most - 120..=most).contains(&fetches),
            "{fetches} in an hour, and four in 30 s are the most"
        );
    }
}

#[test]
fn what_is_kept_of_strangers_is_bounded() {
    let mut schedule = begun(&[]);
    for fetches in 0..3 {
        for nth in 0..100 {
            schedule.ask(0, name(fetches * 100 + nth));
        }
        // By order, each as long after the other as a key is looked for.
        fetch(&mut schedule, fetches * 5_000, &[], None);
    }
    assert_eq!(schedule.absent().len(), JWKS_ASKED_MAX);
}
