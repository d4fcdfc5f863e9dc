//! What does not go well is said in a line, and shows in the exit code.

use rollcall::internals::wire::frame::Opcode;

use crate::program::{Bare, run, run_until};
use crate::server::{Answer, frame, refuse, serve};

const TWO: &str = "--drain 200ms --connections 2";

#[test]
fn a_message_without_a_reply_is_lost() {
    let url = serve(Vec::new(), |count, payload| {
        Answer::Bytes(if count == 5 { Vec::new() } else { frame(Opcode::Binary, payload) })
    });
    let outcome = run_until("echo", &url, TWO, |outcome| outcome.errors("lost: no reply") == 2);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_eq!(outcome.errors("lost: no reply"), 2, "{outcome:?}");
    assert_eq!(outcome.said, "loadtest: 2 error(s): see the table");
}

#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    let url = serve(Vec::new(), |count, payload| {
        let mut payload = payload.to_vec();
        if count == 3 {
            payload[19] ^= 1;
        }
        Answer::Bytes(frame(Opcode::Binary, &payload))
    });
    let differs = "payload differs from what was sent";
    let outcome = run_until("echo", &url, TWO, |outcome| outcome.errors(differs) == 2);
    assert_eq!(outcome.errors(differs), 2, "{outcome:?}");
    assert_eq!(outcome.code, Some(1));
}

#[test]
fn replies_that_are_swapped_or_doubled_are_found() {
    let url = serve(Vec::new(), |count, payload| {
        let reply = frame(Opcode::Binary, payload);
        Answer::Bytes(if count == 4 { reply.repeat(2) } else { reply })
    });
    let outcome = run_until("echo", &url, TWO, |outcome| outcome.code == Some(1));
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.errors("a message that nobody awaited") > 0
            || outcome.errors("payload differs from what was sent") > 0,
        "{outcome:?}"
    );
}

#[test]
fn a_connection_that_ends_is_an_error_with_its_messages() {
    let url = serve(Vec::new(), |count, payload| {
        if count == 9 { Answer::End } else { Answer::Bytes(frame(Opcode::Binary, payload)) }
    });
    let outcome = run_until("echo", &url, TWO, |outcome| outcome.errors("lost: no reply") == 2);
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.errors("ended by the server without a Close"), 2, "{outcome:?}");
    assert_eq!(outcome.errors("lost: no reply"), 2, "{outcome:?}");
}

#[test]
fn a_broken_rule_and_a_close_are_named() {
    let masked = |_: usize, _: &[u8]| Answer::Bytes(vec![0x82, 0x80, 1, 2, 3, 4]);
    let broken = "protocol: frame from a server must not be masked";
    let outcome = run_until("echo", &serve(Vec::new(), masked), TWO, |outcome| outcome.errors(broken) == 2);
    assert_eq!(outcome.errors(broken), 2, "{outcome:?}");
    let close = |_: usize, _: &[u8]| Answer::Bytes(frame(Opcode::Close, &[0x03, 0xeb]));
    let closed = "closed by the server with 1003";
    let outcome = run_until("echo", &serve(Vec::new(), close), TWO, |outcome| outcome.errors(closed) == 2);
    assert_eq!(outcome.errors(closed), 2, "{outcome:?}");
}

#[test]
fn idle_connections_that_are_dropped_are_losses() {
    let url = serve(frame(Opcode::Close, &[0x11, 0x38]), |_, _| Answer::End);
    let outcome = run("idle", &url, "--connections 6 --hold 100ms --settle 50ms");
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.errors("closed by the server with 4408"), 6, "{outcome:?}");
    assert_eq!(outcome.figure("connections_lost"), 6.0);
}

#[test]
fn a_delivery_that_is_missing_is_lost() {
    let url = serve(Vec::new(), |count, payload| {
        if count == 3 { Answer::Bytes(Vec::new()) } else { Answer::ToAll(frame(Opcode::Text, payload)) }
    });
    let flags = "--warmup 10ms --protocol broadcast --connections 4 --delivery-timeout 2s";
    // A loss ends a chat, however long it was to last.
    let chat = run("chat", &url, &format!("{flags} --duration 1m"));
    assert_eq!(chat.errors("lost: not delivered"), 16, "{chat:?}");
    let fanout = run("fanout", &url, &format!("{flags} --duration 2s"));
    assert_eq!(fanout.errors("lost: not delivered"), 4, "{fanout:?}");
    assert_eq!((chat.code, fanout.code), (Some(1), Some(1)));
}

#[test]
fn members_that_do_not_join_are_told() {
    let url = serve(Vec::new(), |_, _| Answer::Bytes(Vec::new()));
    let outcome = run("chat", &url, "--connections 3 --delivery-timeout 10ms --open-timeout 300ms");
    assert_eq!(
        (outcome.code, outcome.said.as_str()),
        (Some(1), "loadtest: 0 of 3 members joined: no answer says that they did")
    );
}

#[test]
fn a_server_that_is_not_there_or_refuses_is_told_in_one_line() {
    let forbidden = refuse("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    let no_http = refuse("SSH-2.0-whatever\r\n\r\n");
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    for (url, words) in [
        (forbidden, "refused the upgrade with status 403"),
        (no_http, "does not answer in HTTP"),
        (format!("ws://{gone}/"), "nothing listens at 127.0.0.1:"),
    ] {
        let outcome = run("echo", &url, "");
        assert_eq!(outcome.code, Some(1));
        assert!(outcome.said.contains(words) && outcome.said.lines().count() == 1, "{outcome:?}");
    }
}

#[test]
fn wrong_usage_ends_with_two() {
    for (url, flags) in [
        ("wss://127.0.0.1/", ""),
        ("ws://192.0.2.1/", ""),
        ("ws:///echo", ""),
        ("ws://127.0.0.1/", "--connections 0"),
        ("ws://127.0.0.1/", "--threads 1 --connections 100000000"),
        ("ws://127.0.0.1/", "--expect p99"),
        ("ws://127.0.0.1/", "--size much"),
    ] {
        let outcome = run("echo", url, flags);
        assert_eq!(outcome.code, Some(2), "{url} {flags}: {outcome:?}");
    }
}

#[test]
fn an_output_that_can_not_be_written_is_named_before_anything_is_measured() {
    // The program's own file stands where a folder is to be.
    let program = env!("CARGO_BIN_EXE_loadtest");
    let (json, reports) = (format!("{program}/x.json"), format!("{program}/reports"));
    for flags in [
        &["echo", "--url", "ws://127.0.0.1:9/", "--json", &json][..],
        &["herd", "--url", "ws://127.0.0.1:9/", "--ours", program, "--json", &json],
        &["million", "--ours", program, "--json", &json],
        &["million", "--ours", program, "--out", &reports],
        &["encodings", "--ours", program, "--name", "x", "--out", &reports],
        &["stuck", "--ours", program, "--json", &json],
        &["compare", "--no-ours", "--name", "x", "--out", &reports],
        &["soak", "--ours", program, "--json", &json],
        &["report", "--index", "--out", &reports],
    ] {
        let output = std::process::Command::new(program).args(flags).output().expect("the program starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{flags:?}: {said}");
        assert!(said.starts_with(&format!("loadtest: {program}")) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn workers_that_cannot_be_had_end_the_bare_loop_with_two() {
    for flags in ["--workers 0", "--workers 2 --fan-out"] {
        let mut bare = std::process::Command::new(env!("CARGO_BIN_EXE_loadtest"));
        let output = bare.arg("bare").args(flags.split_whitespace()).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(2), "{flags}: {output:?}");
    }
}

#[test]
fn a_condition_that_does_not_hold_is_one_line_and_exit_code_one() {
    let bare = Bare::start();
    let flags = format!("{TWO} --expect p50<1ns --expect rate>1 --expect errors=0");
    let outcome = run_until("echo", &bare.url, &flags, |outcome| outcome.has("messages", 1.0));
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.said.starts_with("loadtest: expected p50<1ns, but p50_us is "), "{outcome:?}");
    assert_eq!(outcome.said.lines().count(), 1, "{outcome:?}");
}

/// A server that lets everybody into its room, and passes nothing on.
fn refusing(code: u16) -> String {
    serve(Vec::new(), move |count, _| {
        Answer::Bytes(match count {
            // A name has no answer.
            0 => Vec::new(),
            1 => frame(Opcode::Text, br#"{"seq":1,"body":{"code":200,"count":2}}"#),
            _ => frame(
                Opcode::Text,
                format!(r#"{{"seq":2,"body":{{"code":{code},"error":"no"}}}}"#).as_bytes(),
            ),
        })
    })
}

#[test]
fn what_the_server_refuses_to_pass_on_is_named_and_not_called_lost() {
    for (scenario, more) in [("chat", ""), ("fanout", ""), ("fanout", "--rate 200 --threads 2")] {
        for (code, why) in [
            (
                429,
                "refused by the server with 429: more commands a second than it lets a connection send, see --max-commands-per-second",
            ),
            (403, "refused by the server with 403"),
        ] {
            let flags =
                format!("--connections 4 --duration 200ms --warmup 10ms --delivery-timeout 30s {more}");
            let outcome = run(scenario, &refusing(code), &flags);
            assert_eq!(outcome.code, Some(1), "{outcome:?}");
            assert!(outcome.errors(why) > 0, "{scenario} {more}: {outcome:?}");
            assert_eq!(outcome.errors("lost: not delivered"), 0, "{scenario} {more}: {outcome:?}");
        }
    }
}
