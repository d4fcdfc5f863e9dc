//! Scenarios that offer compression, at servers that agree, that decline, and that get it wrong.

use rollcall::internals::wire::deflate::offer::Mode;
use rollcall::internals::wire::frame::Opcode;

use crate::program::{Bare, Outcome, run, run_until};
use crate::server::{Answer, compressed, frame, serve, serve_with};

#[test]
fn lines_of_a_chat_come_back_from_who_compresses_and_who_does_not() {
    let bare = Bare::start();
    for mode in [Mode::Shared, Mode::PerConnection] {
        let url =
            serve_with(Some(mode), Vec::new(), |_, payload| Answer::Bytes(compressed(Opcode::Text, payload)));
        let flags = "--deflate --text --connections 4 --depth 3";
        let outcome = run_until("echo", &url, flags, |outcome| outcome.has("deflate_ratio_sent", 1.0));
        outcome.assert_fine();
        assert!(outcome.figure("deflate_ratio") > 1.3, "{outcome:?}");
        // Only one that may refer to the lines before it knows their words.
        let least = if mode == Mode::Shared { 1.3 } else { 1.8 };
        assert!(outcome.figure("deflate_ratio_sent") > least, "{outcome:?}");
    }
    let outcome = run_until("echo", &bare.url, "--deflate", |outcome| outcome.has("deflate_ratio", 0.1));
    outcome.assert_fine();
    assert!((0.98..1.0).contains(&outcome.figure("deflate_ratio")), "{outcome:?}");
    assert!(outcome.table.contains("bytes of messages for each received"), "{}", outcome.table);
}

#[test]
fn a_compressed_echo_of_something_else_is_an_error() {
    let url = serve_with(Some(Mode::Shared), Vec::new(), |_, payload| {
        let mut other = payload.to_vec();
        other[300] ^= 1;
        Answer::Bytes(compressed(Opcode::Binary, &other))
    });
    let outcome = run_until("echo", &url, "--deflate --connections 1", |outcome| outcome.code == Some(1));
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.json["errors"].to_string().contains("payload differs"), "{outcome:?}");
}

#[test]
fn what_is_said_to_all_is_compressed_too() {
    for (scenario, flags) in [("chat", "--connections 7"), ("fanout", "--connections 9 --threads 2")] {
        let flags = format!("--deflate --protocol broadcast {flags}");
        let is_enough = |outcome: &Outcome| outcome.has("deliveries", 49.0);
        let url = serve_with(Some(Mode::Shared), Vec::new(), |_, payload| {
            Answer::ToAll(compressed(Opcode::Text, payload))
        });
        let outcome = run_until(scenario, &url, &flags, is_enough);
        outcome.assert_fine();
        assert!(outcome.figure("deliveries") >= 7.0 && outcome.figure("deflate_ratio") > 1.3, "{outcome:?}");
        let url = serve(Vec::new(), |_, payload| Answer::ToAll(frame(Opcode::Text, payload)));
        let outcome = run_until(scenario, &url, &flags, is_enough);
        outcome.assert_fine();
        assert!((0.97..1.0).contains(&outcome.figure("deflate_ratio")), "{outcome:?}");
    }
}

#[test]
fn idle_connections_say_their_line_first() {
    let url = serve_with(Some(Mode::PerConnection), Vec::new(), |_, payload| {
        Answer::Bytes(compressed(Opcode::Text, payload))
    });
    let outcome = run("idle", &url, "--connections 30 --hold 300ms --settle 50ms --deflate --say 1KiB");
    outcome.assert_fine();
    assert_eq!(outcome.figure("connections_held"), 30.0);
    assert!(outcome.figure("deflate_ratio") > 1.3, "{outcome:?}");
}

#[test]
fn what_is_no_line_of_a_chat_is_refused() {
    let bare = Bare::start();
    for (scenario, flags) in
        [("echo", "--deflate --size 20"), ("fanout", "--deflate --size 20"), ("idle", "--say 20")]
    {
        let outcome = run(scenario, &bare.url, flags);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
    }
}
