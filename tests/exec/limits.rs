//! Who may run commands, how many, and what each of them may use.

use std::io::BufRead as _;
use std::process::Stdio;

use rustix::process::Signal;

use super::kit::{Client, Scripts, mark, marked, until, until_alone};
use crate::face::binary::{RUNTIME, Running, run};

const CAT: (&str, &str) = ("cat.sh", "#!/bin/sh\necho ready\nexec cat\n");

#[test]
fn pages_of_strangers_run_nothing() {
    let scripts = Scripts::new(&[CAT]);
    let server = scripts.serve(&["--origin", "https://friend.example"]);
    let own = format!("http://{}", server.address);
    let origin = |origin: &str| Client::try_connect(&server, "/bin/cat.sh", &[("Origin", origin)]).err();
    for stranger in ["https://evil.example", "null", "http://localhost"] {
        let (status, body) = origin(stranger).unwrap();
        assert!(status == 403 && body.contains("may not run commands"), "{stranger}: {status} {body}");
    }
    assert!(origin(&own).is_none() && origin("https://friend.example").is_none());
    let server = scripts.serve(&[]);
    let refused = Client::try_connect(&server, "/bin/cat.sh", &[("Origin", "https://friend.example")]);
    assert_eq!(refused.err().unwrap().0, 403, "without --origin too");
}

#[test]
fn a_name_that_leads_here_is_nobodys_proof() {
    let scripts = Scripts::new(&[CAT]);
    let (server, port) = {
        let server = scripts.serve(&["--origin", "http://friend.example:1"]);
        let port = server.address.port();
        (server, port)
    };
    let from = |server: &Running, origin: &str, host: &str| {
        let fields = [("Origin", origin), ("Host", host)];
        Client::try_connect(server, "/bin/cat.sh", &fields).err().map(|(status, _)| status)
    };
    // The page of evil.example is there when its owner has the name lead to this machine.
    let evil = format!("evil.example:{port}");
    assert_eq!(from(&server, &format!("http://{evil}"), &evil), Some(403));
    for own in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        assert_eq!(from(&server, &format!("http://{own}"), &own), None, "{own}");
    }
    assert_eq!(from(&server, "http://friend.example:1", "friend.example:1"), None, "it is named");
    assert_eq!(from(&server, "https://site.example", "site.example"), None, "a certificate has shown it");
    let secret = scripts.path("secret");
    assert!(run(&["token", "--new-secret", &secret]).status.success());
    let server = scripts.serve(&["--token-secret-file", &secret]);
    assert_eq!(from(&server, "http://site.example", "site.example"), Some(401), "it takes a token instead");
}

#[test]
fn what_the_server_was_started_with_is_not_for_commands() {
    let scripts = Scripts::new(&[("open.sh", "#!/bin/sh\nls /proc/self/fd\n")]);
    let directory = format!("/bin={}", scripts.path(""));
    let mut command = std::process::Command::new("bash");
    let line = format!("exec 77</dev/null; exec {} \"$@\"", env!("CARGO_BIN_EXE_rollcall"));
    command.args(["-c", &line, "bash", "--listen", "127.0.0.1:0", "--exec-dir", &directory]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .env("RUNTIME_DIRECTORY", RUNTIME);
    let server = Running::of(&mut command);
    let (lines, _) = Client::connect(&server, "/bin/open.sh").all();
    // The last one is the directory itself.
    assert_eq!(lines, ["0", "1", "2", "3"]);
}

#[test]
fn a_command_that_the_guard_can_not_be_told_of_ends_its_connection() {
    let long = "x".repeat(65_000);
    let server = Running::start(&["--exec", &format!("/echo-it=echo {long} {long}")]);
    let field = "y".repeat(4_000);
    let mut client = Client::try_connect(&server, "/echo-it", &[("X-Long", &field)]).ok().unwrap();
    assert_eq!(client.all().1, (1011, "the command could not be started".into()));
    until_alone(&server);
}

#[test]
fn a_token_is_asked_for_where_tokens_are() {
    let scripts = Scripts::new(&[("who.sh", "#!/bin/sh\necho $REMOTE_USER\n")]);
    let secret = scripts.path("secret");
    assert!(run(&["token", "--new-secret", &secret]).status.success());
    let made = run(&["token", "--user", "anna", "--token-secret-file", &secret]);
    let token = String::from_utf8(made.stdout).unwrap();
    let server = scripts.serve(&["--token-secret-file", &secret]);
    assert_eq!(Client::try_connect(&server, "/bin/who.sh", &[]).err().unwrap().0, 401);
    let path = format!("/bin/who.sh?token={}", token.trim());
    assert_eq!(Client::connect(&server, &path).text(), "anna");
}

#[test]
fn one_more_than_may_run_gets_503_and_a_reason() {
    let scripts = Scripts::new(&[CAT]);
    let server = scripts.serve(&["--exec-processes", "3/2", "--trusted-proxy", "127.0.0.1"]);
    let from = |address: &str| Client::try_connect(&server, "/bin/cat.sh", &[("X-Forwarded-For", address)]);
    let mut first = [from("192.0.2.1"), from("192.0.2.1")].map(|client| client.ok().unwrap());
    let (status, body) = from("192.0.2.1").err().unwrap();
    assert!(status == 503 && body.contains("for this address"), "{status} {body}");
    let _third = from("192.0.2.2").ok().unwrap();
    let (status, body) = from("192.0.2.3").err().unwrap();
    assert!(status == 503 && body.contains("as many commands run as may"), "{status} {body}");
    // Each worker tells what it has at the end of its turn.
    until("all are counted", || server.get("/metrics").body.contains("rollcall_exec_processes 3\n"));
    assert_eq!(first[0].text(), "ready");
    first[0].0.close(None).unwrap();
    until("there is room again", || from("192.0.2.1").is_ok());
}

#[test]
fn the_kernel_holds_each_command_to_its_limits() {
    let script =
        "#!/bin/bash\necho $(ulimit -n) $(ulimit -v) $(ulimit -t)\ngrep NoNewPrivs /proc/self/status\npwd\n";
    let scripts = Scripts::new(&[("limits.sh", script)]);
    let flags = ["--exec-files", "64", "--exec-memory", "1GiB", "--exec-cpu", "5s", "--exec-cwd", "/usr"];
    let (lines, end) = Client::connect(&scripts.serve(&flags), "/bin/limits.sh").all();
    assert_eq!(lines, ["64 1048576 4", "NoNewPrivs:\t1", "/usr"]);
    assert_eq!(end.0, 1000);
}

#[test]
fn a_command_that_computes_for_ever_is_ended_by_its_cpu_time() {
    let scripts = Scripts::new(&[("spin.sh", "#!/bin/sh\nwhile :; do :; done\n")]);
    let server = scripts.serve(&["--exec-cpu", "1s"]);
    let (_, end) = Client::connect(&server, "/bin/spin.sh").all();
    assert!(end.0 == 1011 && end.1.starts_with("signal"), "{end:?}");
    until_alone(&server);
}

#[test]
fn a_command_whose_time_is_over_is_ended() {
    let scripts = Scripts::new(&[CAT]);
    let server = scripts.serve(&["--exec-time", "200ms"]);
    let mut client = Client::connect(&server, "/bin/cat.sh");
    assert_eq!(client.text(), "ready");
    assert_eq!(client.all().1, (4408, "the command's time is over".into()));
    drop(client);
    until_alone(&server);
}

#[test]
fn commands_run_as_another_user_where_root_says_so() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("left out: only root can run commands as somebody else");
        return;
    }
    let server =
        Running::start(&["--exec", "/id=sh -c 'id -u; id -g; id -G; echo $HOME'", "--exec-user", "nobody"]);
    let (lines, end) = Client::connect(&server, "/id").all();
    let group = &lines[1];
    assert_eq!((lines[0].as_str(), &lines[2], lines[3].as_str()), ("65534", group, "/nonexistent"));
    assert_eq!(end.0, 1000);
}

#[test]
fn what_another_users_command_leaves_lives_as_long_as_it() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("left out: only root can run commands as somebody else");
        return;
    }
    let mark = mark();
    let script = format!("#!/bin/sh\n(setsid sleep {mark} &)\nexec cat\n");
    let scripts = Scripts::new(&[("leaves.sh", &script)]);
    let server = scripts.serve(&["--exec-user", "nobody"]);
    let mut stays = Client::connect(&server, "/bin/leaves.sh");
    until("the first is there", || marked(&mark).len() == 1);
    // The guard looks for what commands have left when one ends. In a container root may not ask for the limits of others.
    let goes = Client::connect(&server, "/bin/leaves.sh");
    until("the second is there", || marked(&mark).len() == 2);
    drop(goes);
    until("the second is gone", || marked(&mark).len() < 2);
    stays.send("still there");
    assert_eq!(stays.text(), "still there");
    assert_eq!(marked(&mark).len(), 1, "the first one's is none of the second's");
    drop(stays);
    until("none of them is left", || marked(&mark).is_empty());
}

#[test]
fn errors_go_to_the_log_with_the_connections_number_and_not_without_end() {
    let script = "#!/bin/sh\nfor i in $(seq 2000); do echo error $i >&2; done\nprintf 'a\\033[31m red\\n' >&2\necho done\nread line\n";
    let scripts = Scripts::new(&[("errors.sh", script)]);
    let mut server = scripts.serve(&[]);
    let mut log = server.stderr();
    let mut client = Client::connect(&server, "/bin/errors.sh");
    assert_eq!(client.text(), "done");
    client.send("go");
    assert_eq!(client.all().1.0, 1000);
    drop(client);
    until_alone(&server);
    // Its last words are logged when its connection is gone.
    until("it is counted no more", || server.get("/metrics").body.contains("rollcall_exec_processes 0\n"));
    server.signal(Signal::TERM);
    server.child.wait().unwrap();
    let mut text = String::new();
    while log.read_line(&mut text).unwrap() > 0 {}
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("stderr: ")).collect();
    assert!(lines[0].contains("conn=0") && lines[0].contains("stderr: error 1"), "{}", lines[0]);
    assert!((10..100).contains(&lines.len()), "{} lines", lines.len());
    assert!(text.contains("left_out"), "what was left out is counted");
    assert!(!text.contains("\u{1b}[31m red"));
}

#[test]
fn errors_go_to_the_client_where_that_is_said() {
    let scripts = Scripts::new(&[("errors.sh", "#!/bin/sh\necho out\necho err >&2\n")]);
    let (lines, _) = Client::connect(&scripts.serve(&["--exec-stderr", "client"]), "/bin/errors.sh").all();
    assert_eq!(lines, ["out", "err"]);
}
