//! How connections over TLS end: cleanly, cut off, and by somebody's fault.

use rollcall::internals::reactor::Cause;
use rollcall::internals::wire::frame::Opcode;
use rustls::{AlertDescription, Error};

use super::kit::Secure;
use crate::reactor::kit::{Told, close_frame, masked, seconds};

#[test]
fn a_clean_end_is_told_from_a_cut() {
    for (clean, cause) in [(true, Cause::Lost), (false, Cause::Reset)] {
        let mut secure = Secure::new();
        let mut client = secure.open();
        if clean {
            client.session.send_close_notify();
            client.settle(&mut secure.stage);
        }
        secure.stage.script.end(client.id);
        secure.stage.settle();
        assert!(secure.stage.script.is_closed(client.id));
        assert_eq!(secure.stage.worker.service().causes(), [cause]);
        client.take(&secure.stage.script);
        assert_eq!(client.ended, clean, "who was cut off hears nothing");
    }
}

#[test]
fn what_was_said_before_the_end_is_answered_whether_the_end_is_told_or_not() {
    for (clean, cause) in [(true, Cause::Lost), (false, Cause::Reset)] {
        let mut secure = Secure::new();
        let mut client = secure.open();
        client.write(&masked(Opcode::Text, b"hi"));
        if clean {
            client.session.send_close_notify();
        }
        let records = client.records();
        secure.stage.script.arrive(client.id, &records);
        secure.stage.script.end(client.id);
        secure.stage.settle();
        client.take(&secure.stage.script);
        assert_eq!(client.frames(), [(Opcode::Text, b"hi".to_vec())], "told: {clean}");
        assert!(secure.stage.script.is_closed(client.id));
        assert_eq!(secure.stage.worker.service().causes(), [cause]);

        let mut page = secure.connect();
        page.settle(&mut secure.stage);
        page.write(&b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3));
        let records = page.records();
        secure.stage.script.arrive(page.id, &records);
        secure.stage.script.end(page.id);
        secure.stage.settle();
        page.take(&secure.stage.script);
        assert_eq!(page.received().windows(9).filter(|part| part == b"HTTP/1.1 ").count(), 3);
        assert!(secure.stage.script.is_closed(page.id));
    }
}

#[test]
fn a_goodbye_counts_whether_the_end_is_told_or_not() {
    for (ends, clean) in [(false, false), (true, true), (true, false)] {
        let mut secure = Secure::new();
        let mut client = secure.open();
        client.write(&masked(Opcode::Close, &[&4000_u16.to_be_bytes()[..], b"logged out"].concat()));
        if clean {
            client.session.send_close_notify();
        }
        let records = client.records();
        secure.stage.script.arrive(client.id, &records);
        if ends {
            secure.stage.script.end(client.id);
        }
        secure.stage.settle();
        client.take(&secure.stage.script);
        assert_eq!(client.received(), close_frame(4000, ""), "ends: {ends}, told: {clean}");
        assert_eq!(secure.stage.worker.service().causes(), [Cause::Goodbye]);
        assert!(secure.stage.script.is_closed(client.id));
    }
}

#[test]
fn every_end_of_ours_says_so() {
    let mut secure = Secure::new();
    let mut closed = secure.open();
    closed.send(&mut secure.stage, &masked(Opcode::Close, &1000_u16.to_be_bytes()));
    assert_eq!(closed.received(), close_frame(1000, ""));
    assert!(closed.ended && secure.stage.script.is_closed(closed.id));

    let mut violator = secure.open();
    violator.send(&mut secure.stage, &[0xff, 0xff]);
    let frames = violator.frames();
    assert!(frames[0].0 == Opcode::Close && violator.ended);
    assert!(secure.stage.script.peer(violator.id, |peer| peer.finished && !peer.closed), "it lingers");
    secure.stage.script.end(violator.id);
    secure.stage.settle();
    assert!(secure.stage.script.is_closed(violator.id));

    let mut page = secure.connect();
    page.send(&mut secure.stage, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(page.received().starts_with(b"HTTP/1.1 200 ") && page.ended);

    let mut silent = secure.open();
    secure.stage.pass(seconds(100));
    silent.take(&secure.stage.script);
    let last = silent.frames().pop().unwrap();
    assert_eq!(&last.1[..2], 4408_u16.to_be_bytes());
    assert!(silent.ended);
}

#[test]
fn an_end_waits_for_the_records_before_it() {
    let mut secure = Secure::new();
    let mut client = secure.open();
    secure.stage.script.make_room(client.id, 10);
    client.send(&mut secure.stage, &masked(Opcode::Text, &[b'x'; 500]));
    client.send(&mut secure.stage, &[0xff, 0xff]);
    assert!(!secure.stage.script.peer(client.id, |peer| peer.finished));
    while !client.ended {
        secure.stage.script.make_room(client.id, 10);
        secure.stage.settle();
        client.take(&secure.stage.script);
    }
    assert!(secure.stage.script.peer(client.id, |peer| peer.finished));
    let frames = client.frames();
    assert_eq!((frames[0].1.len(), frames[1].0), (500, Opcode::Close));
}

#[test]
fn a_record_that_was_tampered_with_ends_the_connection() {
    let mut secure = Secure::new();
    let mut client = secure.open();
    client.write(&masked(Opcode::Text, b"good"));
    let good = client.records();
    client.write(&masked(Opcode::Text, b"evil"));
    let mut evil = client.records();
    *evil.last_mut().unwrap() ^= 1;
    secure.stage.send(client.id, &[good, evil].concat());
    client.take(&secure.stage.script);
    assert_eq!(secure.stage.worker.service().causes(), [Cause::Protocol]);
    assert!(secure.stage.told().contains(&Told::Message(b"good".to_vec())), "what came before it was served");
    assert_eq!(client.error, Some(Error::AlertReceived(AlertDescription::BadRecordMac)));
    secure.stage.script.end(client.id);
    secure.stage.settle();
    assert!(secure.stage.script.is_closed(client.id));
}

#[test]
fn a_reset_and_a_full_slab_leave_nothing() {
    let mut secure = Secure::new();
    let clients: Vec<_> = (0..50).map(|_| secure.open()).collect();
    for client in &clients {
        secure.stage.script.reset(client.id);
    }
    secure.stage.settle();
    assert!(clients.iter().all(|client| secure.stage.script.is_closed(client.id)));
    assert_eq!(secure.stage.worker.service().causes(), [Cause::Reset; 50]);
    let mut again = secure.open();
    again.send(&mut secure.stage, &masked(Opcode::Text, b"x"));
    assert_eq!(again.frames().len(), 1);
}

#[test]
fn a_drain_says_goodbye_over_tls() {
    let mut secure = Secure::new();
    let mut clients: Vec<_> = (0..5).map(|_| secure.open()).collect();
    secure.stage.shared.begin_drain();
    secure.stage.pass(seconds(30));
    for client in &mut clients {
        client.take(&secure.stage.script);
        assert_eq!(&client.frames()[0].1[..2], 1001_u16.to_be_bytes());
        assert!(client.ended && secure.stage.script.is_closed(client.id));
    }
}
