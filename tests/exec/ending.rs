//! How commands end, and that nothing outlives them.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::kit::{Client, Scripts, below, mark, marked, until, until_alone};
use crate::face::binary::Running;

#[test]
fn the_exit_status_is_the_close_code() {
    let scripts = Scripts::new(&[
        ("fails.sh", "#!/bin/sh\necho last words\nexit 3\n"),
        ("dies.sh", "#!/bin/sh\nkill -SEGV $$\n"),
    ]);
    let server = scripts.serve(&[]);
    let (lines, end) = Client::connect(&server, "/bin/fails.sh").all();
    assert_eq!((lines, end), (vec!["last words".into()], (1011, "the command exited with status 3".into())));
    let (_, end) = Client::connect(&server, "/bin/dies.sh").all();
    assert_eq!(end, (1011, "signal 11 ended the command".into()));
    until_alone(&server);
}

#[test]
fn a_command_that_can_not_be_started_is_said_so() {
    let scripts = Scripts::new(&[("broken.sh", "#!/no/such/interpreter\n")]);
    let server = scripts.serve(&[]);
    let (_, end) = Client::connect(&server, "/bin/broken.sh").all();
    assert_eq!(end, (1011, "the command could not be started".into()));
    assert_eq!(Client::try_connect(&server, "/bin/absent.sh", &[]).err().unwrap().0, 404);
    until_alone(&server);
}

/// Notes the signals that come and goes on, but for the last one.
const STUBBORN: &str = r#"#!/bin/bash
now() { date +%s%N | cut -c1-13; }
trap 'echo INT $(now) >>NOTES' INT
trap 'echo TERM $(now) >>NOTES' TERM
echo ready
while read line; do :; done
echo EOF $(now) >>NOTES
while :; do sleep 0.01; done
"#;

#[test]
fn a_command_is_asked_to_go_less_and_less_politely() {
    let scripts = Scripts::new(&[]);
    let script = STUBBORN.replace("NOTES", &scripts.path("notes"));
    let scripts = (Scripts::new(&[("stubborn.sh", &script)]), scripts);
    let server = scripts.0.serve(&[]);
    let mut client = Client::connect(&server, "/bin/stubborn.sh");
    assert_eq!(client.text(), "ready");
    let left = Instant::now();
    drop(client);
    until_alone(&server);
    let took = left.elapsed();
    assert!(took >= Duration::from_millis(850), "it had no time to go by itself: {took:?}");
    let notes = scripts.1.written("notes");
    let notes: Vec<(&str, u64)> = notes
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(n, at)| (n, at.parse().unwrap()))
        .collect();
    assert_eq!(notes.iter().map(|note| note.0).collect::<Vec<_>>(), ["EOF", "INT", "TERM"]);
    assert!(notes[2].1 - notes[1].1 >= 200, "SIGTERM comes 250 ms behind SIGINT: {notes:?}");
}

/// Leaves a process behind in each way that there is. `MARK` is a time to sleep.
const LEAVES: &str = r#"#!/bin/bash
sleep MARK &
setsid sleep MARK &
(setsid bash -c 'sleep MARK & disown; exec sleep 0' &)
(setsid bash -c '(setsid bash -c "trap \"\" INT TERM HUP; sleep MARK; sleep MARK" &) ; exit' &)
echo ready
cat
"#;

/// The client of a command that has left processes, all of which carry a mark.
fn family(server: &Running, mark: &str) -> Client {
    let mut client = Client::connect(server, "/bin/leaves.sh");
    assert_eq!(client.text(), "ready");
    until("all of them are there", || marked(mark).len() >= 5);
    client
}

#[test]
fn grandchildren_end_with_the_client_wherever_they_have_gone() {
    let mark = mark();
    let scripts = Scripts::new(&[("leaves.sh", &LEAVES.replace("MARK", &mark))]);
    let server = scripts.serve(&[]);
    let client = family(&server, &mark);
    drop(client);
    until("none of them is left", || marked(&mark).is_empty());
    until_alone(&server);
}

#[test]
fn what_a_command_leaves_behind_ends_with_it_and_others_go_on() {
    let (mark, other) = (mark(), mark_of_another());
    let leaves = LEAVES.replace("MARK", &mark).replace("\ncat\n", "\nread line\n");
    let stays = LEAVES.replace("MARK", &other);
    let scripts = Scripts::new(&[("leaves.sh", &leaves), ("stays.sh", &stays)]);
    let server = scripts.serve(&[]);
    let mut other_client = Client::connect(&server, "/bin/stays.sh");
    assert_eq!(other_client.text(), "ready");
    until("the other's are there", || marked(&other).len() >= 5);
    let mut client = family(&server, &mark);
    client.send("go");
    assert_eq!(client.all().1.0, 1000);
    until("none of them is left", || marked(&mark).is_empty());
    assert!(marked(&other).len() >= 4, "what is another command's lives");
    other_client.send("still there");
    assert_eq!(other_client.text(), "still there");
}

fn mark_of_another() -> String {
    mark()
}

#[test]
fn a_server_that_is_killed_leaves_nothing_behind() {
    let mark = mark();
    let scripts = Scripts::new(&[("leaves.sh", &LEAVES.replace("MARK", &mark))]);
    let mut server = scripts.serve(&[]);
    let _client = family(&server, &mark);
    let guard = below(&server);
    let guard = guard.iter().find(|(_, parent)| !guard.contains_key(parent)).map(|(pid, _)| *pid).unwrap();
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    until("none of them is left", || marked(&mark).is_empty());
    until("nor the guard", || !std::path::Path::new(&format!("/proc/{guard}/stat")).exists());
}

#[test]
fn a_guard_that_is_killed_takes_commands_along_and_clients_are_told() {
    let mark = mark();
    let scripts = Scripts::new(&[("leaves.sh", &LEAVES.replace("MARK", &mark))]);
    let server = scripts.serve(&[]);
    let mut client = family(&server, &mark);
    let all = below(&server);
    let guard = *all.iter().find(|(_, parent)| !all.contains_key(parent)).unwrap().0;
    rustix::process::kill_process(rustix::process::Pid::from_raw(guard.cast_signed()).unwrap(), Signal::KILL)
        .unwrap();
    assert_eq!(client.all().1, (1011, "the guard of commands is gone".into()));
    until("none of them is left", || marked(&mark).is_empty());
    until("the command is gone", || below(&server).keys().all(|pid| *pid == guard));
    let refused = Client::try_connect(&server, "/bin/leaves.sh", &[]).err().unwrap();
    assert_eq!(refused.0, 503, "{}", refused.1);
    assert_eq!(crate::face::client::get(server.address, "/healthz").status, 200);
}

#[test]
fn a_drain_ends_commands_and_the_server_waits_for_them() {
    let mark = mark();
    let scripts = Scripts::new(&[("leaves.sh", &LEAVES.replace("MARK", &mark))]);
    let mut server = scripts.serve(&["--drain", "100ms", "--close-timeout", "1s"]);
    let mut client = family(&server, &mark);
    server.signal(Signal::TERM);
    assert_eq!(client.all().1.0, 1001);
    drop(client);
    assert!(server.child.wait().unwrap().success());
    assert!(marked(&mark).is_empty(), "the server has waited for them");
}
