//! Each scenario where all goes well.

use std::time::{Duration, Instant};

use rollcall::internals::wire::frame::{Header, Opcode};

use crate::program::{Bare, finish, run, run_until, start};
use crate::server::{Answer, frame, serve};

#[test]
fn echoes_of_any_size_and_depth_come_back_whole() {
    let bare = Bare::start();
    for shape in [
        "--size 0",
        "--size 3 --depth 5",
        "--size 20",
        "--size 126 --depth 16 --text",
        "--size 70000 --connections 3 --verify all",
        "--size 1MiB --connections 2 --depth 3 --verify all",
        "--size 20 --connections 300 --threads 3 --source-addresses 2",
    ] {
        let outcome = run_until("echo", &bare.url, shape, |outcome| outcome.has("messages_per_second", 0.1));
        outcome.assert_fine();
        assert!(outcome.figure("messages_per_second") > 0.0, "{shape}: {outcome:?}");
        assert!(outcome.figure("p50_us") <= outcome.figure("max_us"));
        assert!(outcome.json["histograms"]["latency"].is_string());
    }
}

#[test]
fn the_cost_on_both_sides_and_the_ratio_to_the_bare_loop_are_shown() {
    let bare = Bare::start();
    let flags = format!("--bare-url {} --target me", bare.url);
    let outcome = run_until("echo", &bare.url, &flags, |outcome| {
        ["server_cpu_us_per_message", "load_cpu_us_per_message", "rate_to_bare"]
            .iter()
            .all(|figure| outcome.has(figure, 1e-6))
    });
    outcome.assert_fine();
    assert_eq!(outcome.json["target"], "me");
    assert!(outcome.figure("server_cpu_us_per_message") > 0.0);
    assert!(outcome.figure("load_cpu_us_per_message") > 0.0);
    assert!(outcome.figure("rate_to_bare") > 0.0);
    assert!(outcome.table.contains("messages/s") && outcome.table.contains("p99.99"), "{}", outcome.table);
}

#[test]
fn a_rate_is_kept() {
    let bare = Bare::start();
    let outcome = run("echo", &bare.url, "--rate 2000 --connections 10 --duration 500ms --warmup 50ms");
    outcome.assert_fine();
    assert!((outcome.figure("messages") - 1000.0).abs() <= 1.0, "{outcome:?}");
}

#[test]
fn a_stall_is_charged_to_every_message_that_was_due_in_it() {
    // One connection, a message each millisecond, and a server that stalls once for 400 of 1,000 ms.
    let url = serve(Vec::new(), |count, payload| {
        if count == 300 {
            std::thread::sleep(Duration::from_millis(400));
        }
        Answer::Bytes(frame(Opcode::Binary, payload))
    });
    let outcome = run("echo", &url, "--rate 1000 --connections 1 --depth 8 --duration 1s --warmup 1ms");
    outcome.assert_fine();
    // A closed loop would have seen one slow message; a tenth of these waited for 300 ms and more.
    assert!(outcome.figure("p90_us") > 250_000.0, "{outcome:?}");
    assert!((outcome.figure("messages") - 1000.0).abs() <= 1.0, "{outcome:?}");
}

#[test]
fn pings_and_fragments_among_the_echoes_are_no_errors() {
    let url = serve(frame(Opcode::Ping, b"first"), |count, payload| {
        let mut bytes = frame(Opcode::Ping, &[7; 125]);
        let (head, tail) = payload.split_at(count % (payload.len() + 1));
        let (header, len) =
            Header { fin: false, reserved: 0, opcode: Opcode::Binary, mask: None, len: head.len() as u64 }
                .encode();
        bytes.extend_from_slice(&header[..len]);
        bytes.extend_from_slice(head);
        bytes.extend_from_slice(&frame(Opcode::Ping, b""));
        bytes.extend_from_slice(&frame(Opcode::Continuation, tail));
        Answer::Bytes(bytes)
    });
    let outcome =
        run_until("echo", &url, "--connections 3 --depth 4", |outcome| outcome.has("messages", 1.0));
    outcome.assert_fine();
    assert!(outcome.figure("messages") > 0.0);
}

#[test]
fn idle_connections_are_held_and_weighed() {
    let bare = Bare::start();
    let outcome = run("idle", &bare.url, "--connections 600 --hold 200ms --settle 50ms");
    outcome.assert_fine();
    assert_eq!(outcome.figure("connections_held"), 600.0);
    // The kernel's are the whole machine's, and other sockets on it come and go.
    for figure in ["kernel_bytes_per_connection", "anonymous_bytes_per_connection"] {
        assert!(outcome.json["figures"][figure].is_number(), "{outcome:?}");
    }
}

#[test]
fn idle_connections_answer_pings() {
    let url = serve(frame(Opcode::Ping, b"are you there"), |_, payload| Answer::Bytes(payload.to_vec()));
    let outcome = run("idle", &url, "--connections 20 --hold 300ms --settle 1ms");
    outcome.assert_fine();
    assert_eq!(outcome.figure("pings"), 20.0);
    let series = outcome.json["series"].as_array().expect("series");
    assert!(series.iter().any(|series| series["name"] == "heartbeats"), "{outcome:?}");
}

#[test]
fn churned_connections_open_and_close_cleanly() {
    let bare = Bare::start();
    let outcome = run_until("churn", &bare.url, "--connections 10 --threads 2", |outcome| {
        outcome.has("connections_per_second", 0.1)
    });
    outcome.assert_fine();
    assert!(outcome.figure("connections_per_second") > 0.0);
    for step in ["connect", "upgrade", "close"] {
        assert!(outcome.figure(&format!("{step}_p50_us")) > 0.0, "{outcome:?}");
    }
}

#[test]
fn a_chat_delivers_every_message_to_every_member() {
    let url = serve(Vec::new(), |_, payload| Answer::ToAll(frame(Opcode::Text, payload)));
    let outcome = run_until("chat", &url, "--protocol broadcast --connections 7", |outcome| {
        outcome.has("deliveries", 49.0)
    });
    outcome.assert_fine();
    assert!(outcome.figure("rounds") > 0.0 && outcome.figure("deliveries") >= 49.0, "{outcome:?}");
}

#[test]
fn a_fanout_reaches_all_in_order_on_every_thread() {
    let url = serve(Vec::new(), |_, payload| Answer::ToAll(frame(Opcode::Text, payload)));
    for flags in ["--threads 1", "--threads 2", "--threads 2 --rate 100"] {
        let flags = format!("--protocol broadcast --connections 9 {flags}");
        let outcome = run_until("fanout", &url, &flags, |outcome| outcome.has("deliveries", 9.0));
        outcome.assert_fine();
        assert!(outcome.figure("deliveries") >= 9.0, "{outcome:?}");
    }
}

#[test]
fn what_one_says_to_the_bare_fan_out_reaches_all() {
    // The big ones are more than a read takes.
    let bare = Bare::with("--fan-out --buffer 1KiB");
    for flags in ["--size 20", "--size 60000", "--size 20 --rate 100", "--size 60000 --threads 2"] {
        let flags = format!("--protocol broadcast --connections 9 {flags}");
        let outcome = run_until("fanout", &bare.url, &flags, |outcome| outcome.has("deliveries", 9.0));
        outcome.assert_fine();
        assert!(outcome.figure("deliveries") >= 9.0, "{flags}: {outcome:?}");
    }
    let flags = "--protocol broadcast --connections 7";
    run_until("chat", &bare.url, flags, |outcome| outcome.has("deliveries", 49.0)).assert_fine();
}

#[test]
fn the_bare_loop_serves_with_several_workers() {
    let bare = Bare::with("--workers 3");
    // One of them that did not accept would leave a third of these waiting.
    let outcome = run_until("echo", &bare.url, "--connections 100", |outcome| outcome.has("messages", 100.0));
    outcome.assert_fine();
    assert_eq!(bare.threads(), 3);
    assert!(outcome.figure("messages") >= 100.0, "{outcome:?}");
}

#[test]
fn an_interrupt_ends_a_run_early_and_it_still_reports() {
    let bare = Bare::start();
    let began = Instant::now();
    let running = start("idle", &bare.url, "--connections 20 --hold 1h --settle 1ms");
    let pid = running.0.id();
    // Before it listens to the signal it would be lost on a process that was started with SIGINT ignored.
    while !listens_to_interrupts(pid) {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let sent = std::process::Command::new("kill").args(["-INT", &pid.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    let outcome = finish(running);
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.json["notes"].to_string().contains("Interrupted"), "{outcome:?}");
}

/// Whether a process has a handler for SIGINT, signal 2.
fn listens_to_interrupts(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("Linux says so");
    u64::from_str_radix(caught.trim(), 16).expect("hexadecimal") & 0b10 != 0
}
