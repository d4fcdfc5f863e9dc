//! Every size of message over every kind of connection: with TLS and without, compressed and not.

use rollcall::internals::wire::deflate::offer::Mode;
use rollcall::internals::wire::frame::Opcode;

use crate::program::{Bare, Outcome, run, run_until};
use crate::secure::secure;
use crate::server::{Answer, compressed, frame, serve, serve_with};

/// The same server behind `ws://` and `wss://`.
fn both(url: &str) -> [String; 2] {
    [url.to_owned(), secure(url)]
}

#[test]
fn echoes_of_every_size_come_back_over_every_kind_of_connection() {
    let bare = Bare::start();
    let compressing = serve_with(Some(Mode::Shared), Vec::new(), |_, payload| {
        Answer::Bytes(compressed(Opcode::Binary, payload))
    });
    for (plain, deflate, sizes) in [
        (&bare.url, "", &[0, 20, 125, 126, 4_096, 65_536, 66_000, 300_000, 4 << 20][..]),
        (&compressing, "--deflate", &[500, 66_000, 300_000]),
    ] {
        for url in both(plain) {
            for size in sizes {
                let flags =
                    format!("--insecure --connections 2 --depth 3 --verify all --size {size} {deflate}");
                let outcome = run_until("echo", &url, &flags, |outcome| outcome.has("messages", 1.0));
                outcome.assert_fine();
                assert!(outcome.figure("messages") > 0.0, "{url} {flags}: {outcome:?}");
            }
        }
    }
}

#[test]
fn what_one_says_reaches_all_over_every_kind_of_connection() {
    let is_enough = |outcome: &Outcome| outcome.has("deliveries", 5.0);
    let plain = serve(Vec::new(), |_, payload| Answer::ToAll(frame(Opcode::Text, payload)));
    for url in both(&plain) {
        for scenario in ["chat", "fanout"] {
            for size in [20, 60_000] {
                let flags = format!("--insecure --protocol broadcast --connections 5 --size {size}");
                run_until(scenario, &url, &flags, is_enough).assert_fine();
            }
        }
        let idle = run("idle", &url, "--insecure --connections 6 --say 65000 --hold 200ms --settle 1ms");
        idle.assert_fine();
    }
}
