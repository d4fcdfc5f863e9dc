//! The examples that websocketd comes with, written anew, and the command line that runs them.

use super::kit::{Client, Scripts};
use crate::face::binary::{Running, complaint, rollcall, run, stdout};

const COUNT: (&str, &str) = ("count.sh", "#!/bin/bash\nfor i in 1 2 3; do echo $i; sleep 0.01; done\n");
const GREETER: (&str, &str) =
    ("greeter.sh", "#!/bin/bash\nwhile read name; do echo \"Hello, $name!\"; done\n");
const DUMP: (&str, &str) = ("dump-env.sh", "#!/bin/sh\nenv\n");

/// A server of `rollcall exec`, on a port that is free.
fn exec(args: &[&str]) -> Running {
    Running::of(&mut rollcall(&[&["exec", "--port=0"], args].concat()))
}

#[test]
fn a_counter_counts_and_its_end_is_the_connections() {
    let scripts = Scripts::new(&[COUNT]);
    for separator in [&[][..], &["--"]] {
        let server = exec(&[separator, &["bash", &scripts.path("count.sh")]].concat());
        assert!(server.screen.contains("commands   at /,"), "{}", server.screen);
        for path in ["/", "/any/where", "/ws", "/echo"] {
            let (lines, end) = Client::connect(&server, path).all();
            assert_eq!((lines, end), (vec!["1".into(), "2".into(), "3".into()], (1000, String::new())));
        }
    }
}

#[test]
fn a_greeter_greets_each_line() {
    let scripts = Scripts::new(&[GREETER]);
    let server = scripts.serve(&[]);
    let mut client = Client::connect(&server, "/bin/greeter.sh");
    for name in ["Anna", "Otto", "a b  c"] {
        client.send(name);
        // The shell drops what stands around words, and nothing between them.
        assert_eq!(client.text(), format!("Hello, {name}!"));
    }
    client.send("one\ntwo");
    assert_eq!([client.text(), client.text()], ["Hello, one!", "Hello, two!"]);
    // Presence is there too.
    assert!(crate::face::client::upgrade(server.address, "/ws?user=anna", &[]).is_ok());
}

#[test]
fn the_environment_is_the_request_and_what_was_named() {
    let scripts = Scripts::new(&[DUMP]);
    let mut command =
        rollcall(&["--listen", "127.0.0.1:0", "--exec-env", "LET_THROUGH", "--exec-env", "PATH"]);
    command.args(["--exec-dir", &format!("/bin={}", scripts.path(""))]);
    let server = Running::of(command.env("LET_THROUGH", "yes").env("KEPT", "a secret"));
    let fields = [("X-Some-Field", "one\ttwo"), ("X-Some-Field", "three"), ("Proxy", "http://evil")];
    let path = "/bin/dump-env.sh/in%20fo?a=1&b";
    let (lines, end) = Client::try_connect(&server, path, &fields).unwrap().all();
    assert_eq!(end.0, 1000);
    for line in [
        "LET_THROUGH=yes",
        "REMOTE_ADDR=127.0.0.1",
        "SCRIPT_NAME=/bin/dump-env.sh",
        "PATH_INFO=/in fo",
        "QUERY_STRING=a=1&b",
        "REQUEST_URI=/bin/dump-env.sh/in%20fo?a=1&b",
        "REQUEST_METHOD=GET",
        "SERVER_NAME=127.0.0.1",
        &format!("SERVER_PORT={}", server.address.port()),
        "HTTP_X_SOME_FIELD=one two, three",
        "REMOTE_USER=",
    ] {
        assert!(lines.iter().any(|found| found == line), "{line} is missing in\n{}", lines.join("\n"));
    }
    let secret = |line: &String| {
        line.contains("a secret") || line.contains("evil") || line.contains("RUNTIME_DIRECTORY")
    };
    assert!(!lines.iter().any(secret), "{}", lines.join("\n"));
}

#[test]
fn lines_are_what_they_are_and_bytes_that_are_no_text_are_shown_as_such() {
    let script = "#!/bin/sh\nprintf 'one\\r\\n\\n'\nprintf 'caf\\351\\n'\nprintf 'no end'\n";
    let scripts = Scripts::new(&[("lines.sh", script)]);
    let (lines, _) = Client::connect(&scripts.serve(&[]), "/bin/lines.sh").all();
    assert_eq!(lines, ["one", "", "caf\u{fffd}", "no end"]);
}

#[test]
fn the_command_line_says_what_is_wrong_or_what_to_use_instead() {
    assert!(stdout(&run(&["exec", "--help"])).contains("Usage: rollcall exec"));
    for (args, part) in [
        (&["exec"][..], "which command?"),
        (&["exec", "--staticdir=.", "cat"], "a web server in front"),
        (&["exec", "no-such-program"], "no program `no-such-program`"),
        (&["exec", "--port=1", "--dir=.", "cat"], "not both"),
        (&["exec", "--address=0.0.0.0", "cat"], "--auth none"),
        (&["--exec", "/ws=cat"], "the server's own"),
    ] {
        let line = complaint(&run(args), 2);
        assert!(line.contains(part), "{args:?}: {line}");
    }
}
