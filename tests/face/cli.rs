//! The command line beyond serving: what is printed and checked of settings, tokens that are looked at, and how failures are said.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::binary::{complaint, rollcall, run, stdout};

/// A folder that is gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("rollcall-{}-cli-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn print_explains_each_setting_and_says_where_its_value_comes_from() {
    let output = rollcall(&["config", "print", "--drain=5s"]).env("ROLLCALL_WORKERS", "3").output().unwrap();
    let printed = stdout(&output);
    for part in [
        "# Window over which clients are sent away on SIGTERM\ndrain = \"5s\"",
        "# --drain\n",
        "workers = 3",
        "# ROLLCALL_WORKERS\n",
        "# default\n",
        "#admin-listen =",
    ] {
        assert!(printed.contains(part), "{part} is missing in\n{printed}");
    }
    let mut before = "";
    for line in printed.lines() {
        let is_setting = !line.is_empty() && !line.starts_with("# ");
        assert!(!is_setting || before.starts_with("# "), "{line} is not explained");
        before = line;
    }
}

#[test]
fn check_warns_of_what_is_allowed_and_foolish() {
    let folder = Folder::new("foolish");
    let (secret, keys) = (folder.file("secret"), folder.file("keys"));
    assert!(run(&["token", "--new-secret", &secret]).status.success());
    fs::write(&keys, "# a good one, and one that is not\n0123456789abcdef0123456789abcdef\nshort\n").unwrap();
    let public = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/identity/fixtures/ed25519.public.pem");
    for (flags, part) in [
        (&["--suspect-after", "30s"][..], "--suspect-after 30s is not before --heartbeat-timeout 20s"),
        (&["--heartbeat-interval", "90s"], "--heartbeat-interval 90s"),
        (&["--api-key", "hello"], "the API's key has 5 characters"),
        (&["--api-key-file", &keys], "key 2 of the API has 5 characters"),
        (&["--max-memory", "1KiB"], "--max-memory is 1024 bytes"),
        (
            &["--token-secret-file", &secret, "--token-public-key", public],
            "--token-secret-file can make tokens",
        ),
    ] {
        let output = run(&[&["config", "check"], flags].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains(part), "{flags:?}: {said}");
        assert!(!said.contains("hello"), "a key is shown: {said}");
    }
    for fine in [
        &["--suspect-after", "19s"][..],
        &["--heartbeat", "client", "--suspect-after", "30s"],
        &["--api-key", "0123456789abcdef"],
        &["--max-memory", "64MiB"],
        &[],
    ] {
        let output = run(&[&["config", "check"], fine].concat());
        assert!(output.status.success() && output.stderr.is_empty(), "{fine:?}: {output:?}");
    }
}

#[test]
fn a_token_is_looked_at_as_a_server_would() {
    let folder = Folder::new("token");
    let (secret, other) = (folder.file("secret"), folder.file("other"));
    for file in [&secret, &other] {
        assert!(run(&["token", "--new-secret", file]).status.success());
    }
    let token = |flags: &[&str]| {
        let output = run(&[&["token", "--user", "anna", "--token-secret-file", &secret], flags].concat());
        stdout(&output).trim().to_owned()
    };
    let good = token(&["--room", "support.*", "--see", "staff-*", "--info", "{\"role\":\"student\"}"]);
    let checked = run(&["token", "--check", &good, "--token-secret-file", &secret]);
    for part in ["the token is good", "anna", "support.*", "staff-*", "{\"role\":\"student\"}", "  for    "] {
        assert!(stdout(&checked).contains(part), "{part} is missing in {checked:?}");
    }
    let by_variable =
        rollcall(&["token", "--check", &good]).env("ROLLCALL_TOKEN_SECRET_FILE", &secret).output();
    assert!(by_variable.unwrap().status.success());
    let for_others = token(&["--token-audience", "chat"]);
    for (token, file, code, part) in [
        (&*good, &secret, 0, ""),
        (&good, &other, 1, "was not signed with the server's key"),
        (&for_others, &secret, 1, "aud"),
        ("nonsense", &secret, 1, "not a JSON Web Token"),
    ] {
        let output = run(&["token", "--check", token, "--token-secret-file", file]);
        if code == 0 {
            assert!(output.status.success(), "{output:?}");
        } else {
            let line = complaint(&output, code);
            assert!(line.contains(part) && !line.contains(token), "{line}");
        }
    }
    let line = complaint(&run(&["token", "--check", &good]), 2);
    assert!(line.contains("--token-secret-file FILE, or --token-public-key"), "{line}");
}

#[test]
fn a_new_secret_is_made_alone_and_takes_no_others_place() {
    let folder = Folder::new("secret");
    let secret = folder.file("secret");
    let line = complaint(&run(&["token", "--new-secret", &secret, "--user", "anna"]), 2);
    assert!(line.contains("--new-secret") && line.ends_with("see `rollcall token --help`"), "{line}");
    assert!(fs::metadata(&secret).is_err(), "it was made nevertheless");
    // The server's own variable is no flag.
    let made = rollcall(&["token", "--new-secret", &secret]).env("ROLLCALL_TOKEN_SECRET_FILE", "x").output();
    assert!(made.unwrap().status.success());
    let line = complaint(&run(&["token", "--new-secret", &secret]), 1);
    assert!(line.contains("is there already") && line.contains("--token-secret-file"), "{line}");
}

#[test]
fn a_mistake_points_to_the_help_of_its_own_command() {
    for (args, help) in [
        (&["--nonsense"][..], "rollcall --help"),
        (&["serve", "--nonsense"], "rollcall serve --help"),
        (&["token", "--nonsense"], "rollcall token --help"),
        (&["token", "--ttl", "soon"], "rollcall token --help"),
        (&["token", "--token-secret-file", "a", "--token-private-key", "b"], "rollcall token --help"),
        (&["key", "--nonsense"], "rollcall key --help"),
        (&["cert", "--nonsense"], "rollcall cert --help"),
        (&["config", "check", "--nonsense"], "rollcall config check --help"),
        (&["config", "nonsense"], "rollcall config --help"),
    ] {
        let line = complaint(&run(args), 2);
        assert!(line.ends_with(&format!("see `{help}`")), "{args:?}: {line}");
    }
}

#[test]
fn who_reads_the_log_as_json_reads_failures_too() {
    let folder = Folder::new("json");
    let file = folder.file("rollcall.toml");
    fs::write(&file, "log = \"json\"\nmax-frame = \"2MiB\"\n").unwrap();
    for (args, variable, level) in [
        (&["--log", "json", "--max-frame", "2MiB"][..], "", "ERROR"),
        (&["--log=json", "--nonsense"], "", "ERROR"),
        (&["--nonsense"], "json", "ERROR"),
        (&["--config", &file], "", "ERROR"),
        (&["config", "check", "--log", "json", "--api-key", "short"], "", "WARN"),
    ] {
        let output = rollcall(args).env("ROLLCALL_LOG", variable).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let line: Value =
            serde_json::from_str(&said).unwrap_or_else(|error| panic!("{args:?}: {error}: {said}"));
        assert_eq!(line["level"], level, "{said}");
        let is_time = |time: &str| time.ends_with('Z') && time.contains('T');
        assert!(line["timestamp"].as_str().is_some_and(is_time) && line["message"].is_string(), "{said}");
    }
}
