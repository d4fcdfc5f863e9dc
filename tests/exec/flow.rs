//! Backpressure both ways, big messages, bytes.

use std::fs;
use std::net::Shutdown;
use std::time::Duration;

use tungstenite::Message;

use super::kit::{Client, Scripts, below, until, until_alone};
use crate::face::binary::Running;

/// The process of the only command, which has no children.
fn command_of(server: &Running) -> u32 {
    let mut found = None;
    until("the command runs", || {
        let all = below(server);
        found = all.iter().find(|(_, parent)| all.contains_key(parent)).map(|(pid, _)| *pid);
        found.is_some()
    });
    found.unwrap()
}

/// Whether a process waits for somebody to read or to write.
fn waits_in_pipe(pid: u32, how: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default().contains(how)
}

fn resident_kib(server: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

const MIB: usize = 1 << 20;

#[test]
fn a_client_that_does_not_read_holds_its_command_up() {
    let script = "#!/bin/sh\nexec head -c 67108864 /dev/zero\n";
    let scripts = Scripts::new(&[("zeros.sh", script)]);
    let server = scripts.serve(&["--exec-binary"]);
    let before = resident_kib(&server);
    let mut client = Client::connect(&server, "/bin/zeros.sh");
    let command = command_of(&server);
    until("the command waits", || waits_in_pipe(command, "pipe_write"));
    let held = resident_kib(&server).saturating_sub(before);
    assert!(held < 16 << 10, "{held} KiB are held for a client that does not read");
    // Bounded by what is read at once, and not only by the backlog that any connection may have.
    let metrics = server.get("/metrics").body;
    let queued = metrics.lines().find_map(|line| line.strip_prefix("rollcall_backlog_bytes ")).unwrap();
    assert!(queued.parse::<usize>().unwrap() <= (64 << 10) + 16, "{queued} bytes are queued");
    let mut read = 0;
    let end = loop {
        match client.next() {
            Ok(message) => read += message.len(),
            Err(end) => break end,
        }
    };
    assert_eq!((read, end.0), (64 * MIB, 1000));
}

#[test]
fn a_command_that_does_not_read_holds_its_client_up() {
    let scripts = Scripts::new(&[]);
    let script =
        format!("#!/bin/sh\nwhile [ ! -e {} ]; do sleep 0.01; done\nexec wc -c\n", scripts.path("go"));
    let others = Scripts::new(&[("late.sh", &script)]);
    let server = others.serve(&["--exec-binary"]);
    let before = resident_kib(&server);
    let mut client = Client::connect(&server, "/bin/late.sh");
    client.0.get_ref().set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let message = Message::binary(vec![7; 256 << 10]);
    let mut sent = 0;
    // The socket's own buffers take some MiB.
    let is_full = loop {
        match client.0.send(message.clone()) {
            Ok(()) => sent += 1,
            Err(error) => break matches!(error, tungstenite::Error::Io(_)),
        }
        assert!(sent < 256, "64 MiB were taken of which the command has read nothing");
    };
    assert!(is_full);
    let held = resident_kib(&server).saturating_sub(before);
    assert!(held < 16 << 10, "{held} KiB are held for a command that does not read");
    fs::write(scripts.path("go"), "").unwrap();
    client.0.get_ref().set_write_timeout(None).unwrap();
    client.0.flush().unwrap();
    // A half-closed connection is one whose client has gone: its messages were all read.
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    until_alone(&server);
}

#[test]
fn a_client_that_goes_while_it_is_held_up_is_noticed() {
    let scripts = Scripts::new(&[("deaf.sh", "#!/bin/sh\necho ready\nwhile :; do sleep 1000; done\n")]);
    let server = scripts.serve(&[]);
    let mut client = Client::connect(&server, "/bin/deaf.sh");
    assert_eq!(client.text(), "ready");
    client.0.get_ref().set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    while client.0.send(Message::text("x".repeat(256 << 10))).is_ok() {}
    drop(client);
    until_alone(&server);
}

#[test]
fn bytes_go_both_ways_as_they_are() {
    let scripts = Scripts::new(&[("cat.sh", "#!/bin/sh\nexec cat\n")]);
    let server = scripts.serve(&["--exec-binary"]);
    let mut client = Client::connect(&server, "/bin/cat.sh");
    let bytes: Vec<u8> = (0..MIB - 14).map(|i| (i * 31 % 251) as u8).collect();
    for _ in 0..3 {
        client.0.send(Message::binary(bytes.clone())).unwrap();
        let mut back = Vec::new();
        while back.len() < bytes.len() {
            back.extend_from_slice(&client.next().unwrap().into_data());
        }
        assert!(back == bytes, "they have changed on the way");
    }
}

#[test]
fn lines_of_all_lengths_come_back_whole_and_in_order() {
    let scripts = Scripts::new(&[("cat.sh", "#!/bin/sh\nexec cat\n")]);
    let server = scripts.serve(&[]);
    let mut client = Client::connect(&server, "/bin/cat.sh");
    let lines: Vec<String> = [0, 1, 125, 126, 4_095, 65_535, 65_536, 65_537, 200_000, 1_000_000]
        .iter()
        .map(|len| "x".repeat(*len))
        .collect();
    for line in &lines {
        client.send(line);
        assert!(client.text() == *line, "a line of {} bytes", line.len());
    }
    for line in &lines[..8] {
        client.send(line);
    }
    for line in &lines[..8] {
        assert!(client.text() == *line, "a line of {} bytes", line.len());
    }
}

#[test]
fn a_line_that_is_longer_than_a_message_may_be_ends_the_connection() {
    let script = "#!/bin/sh\necho short\nhead -c 70000 /dev/zero | tr '\\0' x\nexec cat\n";
    let scripts = Scripts::new(&[("long.sh", script)]);
    let server = scripts.serve(&["--max-message", "64KiB"]);
    let mut client = Client::connect(&server, "/bin/long.sh");
    assert_eq!(client.text(), "short");
    assert_eq!(client.all().1, (1009, "the command's line is too long".into()));
    drop(client);
    until_alone(&server);
}
