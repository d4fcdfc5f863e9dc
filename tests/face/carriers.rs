//! Event streams and polls as curl and proxies carry them: over real sockets, on three workers, by TLS and over a Unix socket.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::binary::{Running, rollcall};
use crate::bounds::PATIENCE;

/// What curl says of a request, all of whose output this is.
fn curl(args: &[&str]) -> String {
    let mut curl = Command::new("curl");
    let output = curl.args(["-s", "--max-time", "20", "--noproxy", "*"]).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The name of a session, from the welcome of its client.
fn session(text: &str) -> String {
    text.split(r#""session":""#).nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// Event streams flow through a proxy, one event at a time, and polls are held; `base` is its URL.
pub(super) fn streams_flow_and_polls_are_held(base: &str, more: &[&str]) {
    let ask = |body: &str, target: &str| curl(&[more, &["-d", body, &format!("{base}{target}")]].concat());
    let mut command = Command::new("curl");
    command
        .args(["-sN", "--max-time", "60", "--noproxy", "*"])
        .args(more)
        .arg(format!("{base}/events?user=sse&room=hall"));
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stream = Stream(child);
    let mut lines = BufReader::new(stream.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut next = |what: &str| {
        lines
            .by_ref()
            .find(|line| line.contains(what))
            .unwrap_or_else(|| panic!("the stream ended before {what}"))
    };
    // Each is read before the next is sent: a proxy that waits for more to pass on waits for ever.
    let streaming = session(&next(r#""event":"welcome""#));
    next(r#"data: {"seq":0,"body":{"code":200,"#);
    let polling = session(&ask("", "/poll?user=poller"));
    let given_up = give_up_a_poll(base, more);
    let join = ask(r#"{"seq":1,"cmd":"join","params":{"room":"hall"}}"#, &format!("/poll/{polling}?n=1"));
    assert!(join.contains(r#""code":200"#), "{join}");
    next(r#""event":"join""#);
    for data in 1..4 {
        let say = format!(r#"{{"seq":{data},"cmd":"say","params":{{"room":"hall","data":{data}}}}}"#);
        let said = ask(&say, &format!("/events/{streaming}?n={data}"));
        assert!(said.contains(r#""code":200"#), "{said}");
        next(&format!(r#""data":{data}"#));
    }
    let waiting = ask("", &format!("/poll/{polling}?ack=1&wait=20s"));
    assert_eq!(waiting.matches(r#""event":"say""#).count(), 3, "{waiting}");
    let last = waiting.lines().count() + 1;
    let begun = Instant::now();
    assert_eq!(ask("", &format!("/poll/{polling}?ack={last}&wait=1s")), "");
    assert!(begun.elapsed() >= Duration::from_millis(990), "it was not held: {:?}", begun.elapsed());
    let target = format!("/poll/{polling}?ack={last}&wait=15s");
    std::thread::scope(|scope| {
        let held = scope.spawn(|| ask("", &target));
        ask(
            r#"{"seq":9,"cmd":"say","params":{"room":"hall","data":"late"}}"#,
            &format!("/events/{streaming}?n=9"),
        );
        assert!(held.join().unwrap().contains(r#""data":"late""#));
    });
    drop(stream);
    let begun = Instant::now();
    let last = last + 1;
    while !ask("", &format!("/poll/{polling}?ack={last}&wait=15s")).contains(r#""event":"leave""#) {
        assert!(begun.elapsed() < PATIENCE, "its user is still there");
    }
    // It would have been held for a minute.
    let watch =
        ask(r#"{"seq":8,"cmd":"watch","params":{"users":["quitter"]}}"#, &format!("/poll/{polling}?n=8"));
    assert!(watch.contains(r#""code":200"#), "{watch}");
    while !watch.contains(r#""state":"offline""#)
        && !ask("", &format!("/poll/{polling}?ack={last}&wait=1s"))
            .contains(r#""user":"quitter","state":"offline""#)
    {
        assert!(given_up.elapsed() < Duration::from_secs(50), "a poll that was given up is held");
    }
}

/// Somebody waits for a minute, and ends the connection instead. Returns when.
fn give_up_a_poll(base: &str, more: &[&str]) -> Instant {
    let ask = |target: &str| curl(&[more, &["-d", "", &format!("{base}{target}")]].concat());
    let quitting = session(&ask("/poll?user=quitter&gap=5s"));
    let mut held = Command::new("curl");
    held.args(["-s", "--noproxy", "*", "-d", ""]).args(more);
    held.arg(format!("{base}/poll/{quitting}?ack=1&wait=60s"));
    let held = Stream(held.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
    // Where it is ended before its request is there, no poll is held either way.
    std::thread::sleep(Duration::from_millis(500));
    drop(held);
    Instant::now()
}

/// A stream or a poll; its client is killed when the test is over.
struct Stream(Child);

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn streams_and_polls_are_carried_by_any_worker() {
    let running = Running::start(&["--workers", "3"]);
    streams_flow_and_polls_are_held(&format!("http://{}", running.address), &[]);
    let metrics = running.get("/metrics").body;
    assert!(metrics.contains("rollcall_sessions{carrier=\"events\"} 0\n"), "{metrics}");
    assert!(metrics.contains("rollcall_sessions{carrier=\"poll\"} 1\n"), "{metrics}");
}

#[test]
fn streams_and_polls_are_carried_by_tls_and_over_a_unix_socket() {
    let folder = std::env::temp_dir().join(format!("rollcall-{}-carriers", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let at = |file: &str| folder.join(file).to_str().unwrap().to_owned();
    assert!(rollcall(&["cert"]).current_dir(&folder).output().unwrap().status.success());
    let (cert, key) = (at("cert.pem"), at("key.pem"));
    let listen = ["--workers", "3", "--listen", "wss://127.0.0.1:0"];
    let tls = Running::of(&mut rollcall(&[&listen[..], &["--tls-cert", &cert, "--tls-key", &key]].concat()));
    streams_flow_and_polls_are_held(&format!("https://{}", tls.address), &["--cacert", &cert]);
    let socket = at("socket");
    let running = Running::start(&["--workers", "3", "--listen", &format!("unix:{socket}")]);
    streams_flow_and_polls_are_held("http://here", &["--unix-socket", &socket]);
    drop(running);
    let _ = fs::remove_dir_all(&folder);
}
