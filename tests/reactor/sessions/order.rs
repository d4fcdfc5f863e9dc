//! Answers in order with what they are about.

use super::house::events;
use super::{house, join, say};

/// What a page needs that keeps a list: an answer on a way of its own may come behind what has happened since.
#[test]
fn answers_come_in_order_with_events_where_that_is_asked_for() {
    let mut house = house(3);
    let body = [join("r"), say("r", "1")].join("\n");
    let (line, anna) = house.open_stream(0, "user=anna");
    let ben = house.open_polls(1, "ben");
    for worker in [2, 0, 2] {
        // One that comes again is not done again.
        let target = format!("/events/{anna}?n=1&answers=events");
        assert_eq!(house.answer(worker, "POST", &target, &body), (200, String::new()));
        assert_eq!(house.post(worker, &ben, "n=1&answers=events", &body), (200, String::new()));
    }
    let (_, lines) = house.post(2, &ben, "ack=1&wait=0", "");
    let streamed = events(&house.read(line)).join("\n");
    for (own, heard) in [("ben", &lines), ("anna", &streamed)] {
        let at = |what: &str| heard.find(what).unwrap_or_else(|| panic!("{what}: {heard}"));
        assert!(
            at(r#""seq":1,"body""#) < at(r#""from":""#) && at(&format!(r#""from":"{own}""#)) > 0,
            "{heard}"
        );
        assert_eq!(heard.matches(r#""seq":2,"body""#).count(), 1, "{heard}");
    }
    assert_eq!(house.post(0, &ben, "n=2&answers=all", "").0, 400);
}
