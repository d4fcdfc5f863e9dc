//! What a server refuses for a limit of its own is named, with the flag that changes it, and is no loss.

use rollcall::internals::wire::frame::Opcode;

use crate::program::{run, run_until};
use crate::server::{Answer, frame, refuse, serve};

#[test]
fn an_upgrade_that_is_refused_for_a_limit_names_its_flag() {
    for (response, flag) in [
        ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "see --max-connections, "),
        ("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", "see --max-connections-per-address"),
    ] {
        let outcome = run("echo", &refuse(response), "");
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.said.contains(flag) && outcome.said.lines().count() == 1, "{outcome:?}");
    }
}

#[test]
fn a_close_for_a_limit_names_its_flag_and_its_messages_are_not_called_lost() {
    for (code, flag) in [
        (1009, "--max-message"),
        (1013, "--max-backlog"),
        (4409, "--max-connections-per-user"),
        (4429, "--max-commands-per-second"),
    ] {
        let url = serve(Vec::new(), move |count, payload| {
            let close = || frame(Opcode::Close, &u16::to_be_bytes(code));
            Answer::Bytes(if count == 3 { close() } else { frame(Opcode::Binary, payload) })
        });
        for rate in ["", "--rate 1000"] {
            let flags = format!("--connections 2 --drain 200ms {rate}");
            let outcome = run_until("echo", &url, &flags, |outcome| outcome.code == Some(1));
            let errors = outcome.json["errors"].as_object().expect("errors");
            let [(kind, count)] = &errors.iter().collect::<Vec<_>>()[..] else { panic!("{outcome:?}") };
            assert!(kind.contains(&format!("closed by the server with {code}: ")), "{outcome:?}");
            assert!(kind.contains(&format!("see {flag}")) && **count == 2, "{outcome:?}");
            // The line that ends the run says it too.
            assert!(outcome.said.contains(flag), "{outcome:?}");
        }
    }
}

#[test]
fn idle_connections_that_end_for_a_limit_are_not_called_lost() {
    let url = serve(frame(Opcode::Close, &u16::to_be_bytes(1013)), |_, _| Answer::End);
    let outcome = run("idle", &url, "--connections 6 --hold 100ms --settle 50ms");
    assert_eq!((outcome.code, outcome.figure("connections_lost")), (Some(1), 0.0), "{outcome:?}");
}

/// A server of rollcall.v1 that refuses every fourth message of a connection, once, as `refusal` says.
fn refusing_some(refusal: &'static str) -> String {
    serve(Vec::new(), move |count, payload| match count {
        // A name has no answer.
        0 => Answer::Bytes(Vec::new()),
        1 => Answer::Bytes(frame(Opcode::Text, br#"{"seq":1,"body":{"code":200,"count":2}}"#)),
        _ if count % 4 == 0 => {
            Answer::Bytes(frame(Opcode::Text, format!(r#"{{"seq":2,"body":{refusal}}}"#).as_bytes()))
        }
        _ => Answer::ToAll(frame(Opcode::Text, payload)),
    })
}

#[test]
fn rooms_keep_to_what_the_server_says_that_it_passes_on() {
    for (refusal, flag) in [
        (r#"{"code":429,"error":"more than 200 commands a second"}"#, "--max-commands-per-second"),
        (
            r#"{"code":503,"error":"too much is said in that room at once: say it again later"}"#,
            "--max-commands-per-second",
        ),
    ] {
        let url = refusing_some(refusal);
        for (scenario, more) in [("chat", ""), ("fanout", ""), ("fanout", "--threads 2")] {
            let flags = format!("--connections 4 {more}");
            let outcome = run_until(scenario, &url, &flags, |outcome| {
                outcome.has("deliveries", 20.0) && outcome.json["notes"].to_string().contains(flag)
            });
            outcome.assert_fine();
            assert!(outcome.json["notes"].to_string().contains(flag), "{outcome:?}");
        }
    }
}

#[test]
fn a_room_that_is_refused_is_told_at_once() {
    let url = serve(Vec::new(), |count, _| {
        Answer::Bytes(if count == 0 {
            Vec::new()
        } else {
            frame(Opcode::Text, br#"{"seq":1,"body":{"code":503,"error":"no"}}"#)
        })
    });
    for scenario in ["chat", "fanout"] {
        let began = std::time::Instant::now();
        let outcome = run(scenario, &url, "--connections 3 --open-timeout 20s");
        assert!(
            outcome.said.contains("0 of 3 members joined: refused by the server with 503"),
            "{outcome:?}"
        );
        assert!(began.elapsed().as_secs() < 20, "it waited for who was refused");
    }
}
