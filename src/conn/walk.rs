//! Any walk through a connection's life: it goes only where the picture in the module's documentation has an arrow.

use proptest::prelude::*;

use super::*;
use crate::conn::flags::PingState;
use crate::conn::outbox::Chunk;
use crate::conn::timing::{HeartbeatMode, PingRound};

/// An event in the life of a connection.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Opens,
    Answered(bool),
    Closes(bool),
    CloseReceived,
    GivesUp,
    EndOfStream,
    HalfEnds,
    Drains,
    Cut,
    Leaves,
    SocketFull,
    SocketFree,
    Pinged,
    Heard,
    Suspected,
}

fn event() -> impl Strategy<Value = Happening> {
    use Happening::*;
    prop_oneof![
        Just(Opens),
        any::<bool>().prop_map(Answered),
        any::<bool>().prop_map(Closes),
        Just(CloseReceived),
        Just(GivesUp),
        Just(EndOfStream),
        Just(HalfEnds),
        Just(Drains),
        Just(Cut),
        Just(Leaves),
        Just(SocketFull),
        Just(SocketFree),
        Just(Pinged),
        Just(Heard),
        Just(Suspected),
    ]
}

/// Does as a worker would; says whether the connection is gone.
fn apply(conn: &mut Conn, event: Happening, now: Tick, timing: &Timing) -> bool {
    let by = now.after(timing.close);
    match event {
        Happening::Opens if conn.life() == Life::Http => {
            conn.open(7, None);
            conn.begin_heartbeat(Some(now.after(timing.interval)));
        }
        Happening::Answered(keeps) if conn.life() == Life::Http => conn.answered(keeps, by),
        Happening::Closes(waits) => {
            let was_open = conn.is_open();
            let then = if waits { Life::Closing } else { Life::Ending };
            assert_eq!(conn.close(then, by), was_open, "only an open connection is sent a Close");
        }
        Happening::CloseReceived if conn.reads_frames() && !conn.is_open() => return conn.close_received(),
        Happening::GivesUp if conn.life() == Life::Closing => return conn.give_up_close(),
        Happening::EndOfStream if !conn.is_open() => return conn.end_of_stream() == AtEnd::Gone,
        Happening::HalfEnds if conn.is_open() && conn.half_end() => {
            conn.await_answers(by);
            assert!(!by.is_before(conn.next_deadline(timing).0), "it ends by then");
        }
        Happening::Drains => return conn.drain(now.after(1), by),
        Happening::Cut if conn.life() == Life::Ending => conn.cut(),
        Happening::Leaves => {
            let was_open = conn.is_open();
            assert_eq!(conn.leave(), was_open);
            return true;
        }
        Happening::SocketFull if conn.life() != Life::Lingering => {
            conn.begin_backlog(now).push(Chunk::Opaque(b"bytes".as_slice().into()));
        }
        Happening::SocketFree if conn.outbox.take().is_some() => {
            conn.ping_left(now);
            conn.writable(now, timing);
            match conn.written() {
                Written::Last => conn.linger(by),
                Written::Gone => return true,
                Written::ReadOn | Written::Nothing => {}
            }
        }
        Happening::Pinged if conn.is_open() => {
            conn.ping([0; 8], now);
        }
        Happening::Heard => {
            conn.heard(now);
            assert!(!conn.has(Flag::Suspect), "whatever is heard is life");
        }
        Happening::Suspected => {
            let is_asked = matches!(conn.ping_state(), PingState::Waiting(_));
            assert_eq!(conn.suspect(), conn.is_open() && is_asked);
        }
        _ => {}
    }
    false
}

fn timing() -> Timing {
    Timing {
        mode: HeartbeatMode::Server,
        interval: 2_500,
        round: PingRound::of(2_500, 0, 1),
        timeout: 2_000,
        suspect: Some(800),
        client_silence: 9_000,
        handshake: 1_000,
        close: 500,
        drain: 1_000,
        message: 12_000,
        keep_alive: 6_000,
    }
}

/// The arrows of the picture, and staying.
fn may_follow(from: Life, to: Life) -> bool {
    use Life::*;
    from == to
        || matches!(
            (from, to),
            (Http, Open | Ending) | (Open, Closing | Ending) | (Closing, Ending) | (Ending, Lingering)
        )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_goes_only_where_an_arrow_is(events in prop::collection::vec(event(), 1..60)) {
        let timing = timing();
        let mut now = Tick(u32::MAX - 40);
        let mut conn = Conn::new(1, 0, now, now.after(timing.handshake));
        for event in events {
            now = now.after(3);
            let from = conn.life();
            if apply(&mut conn, event, now, &timing) {
                break;
            }
            prop_assert!(may_follow(from, conn.life()), "{:?}: {:?} to {:?}", event, from, conn.life());
            let (at, what) = conn.next_deadline(&timing);
            prop_assert!(!conn.look_at(&timing).is_before(now.back(u32::MAX / 3)), "{:?} {:?}", at, what);
            let ends = matches!(conn.life(), Life::Closing | Life::Ending | Life::Lingering);
            let waits = now.after(timing.close.max(timing.timeout) + 1);
            prop_assert!(!ends || at.is_before(waits), "one that ends is waited for without end");
        }
    }
}
