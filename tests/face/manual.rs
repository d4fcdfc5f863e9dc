//! The manual says what the code does: its tables are compared with what they are about.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock};

use rollcall::internals::http::Router;
use rollcall::internals::limits;
use rollcall::internals::reactor::{Config, Server};
use rollcall::internals::time::TICK_MILLIS;

use super::client::{get, open_site};

/// All chapters, one behind the other.
static MANUAL: LazyLock<String> = LazyLock::new(|| {
    let folder = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manual")).unwrap();
    let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let chapters = files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "md"));
    chapters.map(|file| fs::read_to_string(file).unwrap()).collect()
});

/// The table row that begins with `name`.
fn row(name: &str) -> &'static str {
    let start = format!("| {name} |");
    MANUAL.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no row {start}"))
}

#[test]
fn every_setting_is_in_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_rollcall")).args(["config", "print"]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    for line in printed.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        let key = line.trim_start_matches('#').split(' ').next().unwrap();
        assert!(MANUAL.contains(&format!("`--{key}`")), "--{key} is not in the manual");
    }
}

#[test]
fn every_metric_is_in_it() {
    let settings = Arc::new(open_site());
    let make = move |worker, shared: &_| Router::new(settings.clone(), worker, shared);
    let server = Server::start(Config::default(), &["127.0.0.1:0".parse().unwrap()], make).unwrap();
    let text = get(server.addresses()[0], "/metrics").body;
    for family in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = family.split_once(' ').unwrap();
        let suffix = if kind == "counter" {
            "_total"
        } else if kind == "info" {
            "_info"
        } else {
            ""
        };
        assert!(MANUAL.contains(&format!("`{name}{suffix}")), "{name}{suffix} is not in the manual");
    }
}

#[test]
fn every_package_is_in_it() {
    let manifest = include_str!("../../Cargo.toml");
    let dependencies = manifest.split("dependencies]\n").skip(1).flat_map(|part| {
        part.lines()
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_once(" = "))
            .map(|(name, _)| name)
    });
    for name in dependencies {
        assert!(MANUAL.contains(&format!("`{name}`")), "{name} is not in the manual");
    }
}

#[test]
fn the_limits_are_those_of_the_code() {
    let messages = limits::MessageLimits::default();
    assert_eq!(messages.max_message_bytes, messages.max_frame_bytes);
    let keep_alive = u64::from(limits::KEEP_ALIVE_TICKS) * TICK_MILLIS / 1000;
    for (name, value) in [
        ("payload of a message, of a frame", size(messages.max_message_bytes)),
        ("`data` of a `say`, a `tell` or a broadcast", size(limits::DATA_BYTES_MAX)),
        ("`data` that counts as one command", size(limits::DATA_BYTES_PER_COMMAND)),
        ("frames of a message", number(messages.max_fragments as usize)),
        ("request line and headers", size(limits::HEAD_BYTES_MAX)),
        ("output queued for one client", size(limits::BACKLOG_BYTES_MAX)),
        ("header fields of a request", number(limits::HEADERS_MAX)),
        ("body of a request", size(limits::BODY_BYTES_MAX)),
        ("payload of a control frame", format!("{} bytes", limits::CONTROL_BYTES_MAX)),
        ("output queued past which a client isn't read", size(limits::BACKLOG_BYTES_PAUSE)),
        (
            "output of a TCP connection that the kernel takes and hasn't sent",
            size(limits::UNSENT_BYTES_MAX as usize),
        ),
        ("a worker's read buffer, for all its connections", size(limits::READ_BUFFER_BYTES)),
        (
            "work of one connection in a turn",
            format!(
                "{} units of a microsecond: {} short frames, {} requests, {} read, {} inflated",
                limits::CONNECTION_UNITS_PER_TURN,
                number(4 * limits::CONNECTION_UNITS_PER_TURN as usize),
                limits::CONNECTION_UNITS_PER_TURN / 4,
                size(limits::CONNECTION_UNITS_PER_TURN as usize * limits::READ_BYTES_PER_UNIT),
                size(limits::CONNECTION_UNITS_PER_TURN as usize * limits::INFLATED_BYTES_PER_UNIT),
            ),
        ),
        (
            "work of a turn: of those with more than their share, of those just heard, of mail",
            format!(
                "{}, {}, {} units",
                number(limits::OVERTIME_UNITS_PER_TURN as usize),
                number(limits::HEARD_UNITS_PER_TURN as usize),
                number(limits::MAIL_UNITS_PER_TURN as usize),
            ),
        ),
        (
            &*format!(
                "work of a connection in a turn in which those heard before it came to {} units",
                number(limits::CROWD_UNITS as usize)
            ),
            format!("{} units", limits::CROWDED_UNITS_PER_TURN),
        ),
        ("accepts in a turn", number(limits::ACCEPTS_PER_TURN_MAX)),
        ("steps of TLS handshakes in a turn", number(limits::TLS_HANDSHAKES_PER_TURN_MAX)),
        ("TLS records held for a handshake message that isn't whole", size(limits::TLS_PARTIAL_BYTES_MAX)),
        ("deadlines acted upon in a turn", number(limits::DEADLINES_PER_TURN_MAX)),
        ("bans of users, from the server and from rooms", number(limits::BANS_MAX)),
        (
            "rooms that users were given by the API",
            format!(
                "{}, an equal share of them on each worker; {} a user",
                number(limits::GIVEN_ROOMS_MAX),
                limits::ROOMS_PER_CONNECTION_MAX
            ),
        ),
        (
            "rooms that the API took from users while a client of theirs was away",
            format!(
                "{}, an equal share of them on each worker; {} a user; each for a minute after the first client is back",
                number(limits::TAKEN_ROOMS_MAX),
                limits::ROOMS_PER_CONNECTION_MAX
            ),
        ),
        (
            "messages in an answer to `join` with `since`, or to `history`",
            format!("{}, and {} of them", limits::PAST_MAX, size(limits::PAST_BYTES_MAX)),
        ),
        (
            "`id` of a `say`",
            format!(
                "{} characters; remembered for {} min",
                limits::SAY_ID_CHARS_MAX,
                minutes(limits::SAY_ID_TICKS)
            ),
        ),
        (
            "ids that a room without history remembers",
            format!("those of its last {} messages", limits::SAY_IDS_KEPT),
        ),
        (
            "messages that a room keeps, rules for that",
            format!("{}, {}", number(limits::HISTORY_COUNT_MAX as usize), limits::HISTORY_RULES_MAX),
        ),
        (
            "bytes of all that rooms keep",
            format!("{}, an equal share of them on each worker", size(limits::HISTORY_BYTES_MAX)),
        ),
        (
            "rooms that are kept without members for what was said in them",
            format!("{}, an equal share of them on each worker", number(limits::HISTORY_ROOMS_MAX)),
        ),
        ("a token", size(limits::TOKEN_BYTES_MAX)),
        ("patterns in each of a token's claims `rooms`, `see`", number(limits::TOKEN_PATTERNS_MAX)),
        ("a secret for tokens, at the least", format!("{} bytes", limits::TOKEN_SECRET_BYTES_MIN)),
        (
            "keys in a set that is fetched, and its bytes",
            format!("{}, {}", limits::JWKS_KEYS_MAX, size(limits::JWKS_BYTES_MAX)),
        ),
        ("keys of it that a token without `kid` may be of", number(limits::JWKS_TRIED_MAX)),
        ("keys that tokens name and that are looked for at once", number(limits::JWKS_ASKED_MAX)),
        ("mail that waits for a worker", number(limits::MAILBOX_MAX)),
        ("bytes of such mail", size(limits::MAILBOX_BYTES_MAX)),
        ("mail that a worker holds back, in bytes", size(limits::RETRY_QUEUE_BYTES_MAX)),
        (
            "bytes of such messages, and of requests, of all connections together",
            format!("{}, or twice the longest message", size(limits::HALF_READ_BYTES_MAX)),
        ),
        ("payload from which on a message is compressed", format!("{} bytes", limits::DEFLATE_BYTES_MIN)),
        (
            "refused requests of the API that a worker logs in a second",
            limits::AUDIT_REFUSALS_PER_SECOND.to_string(),
        ),
        (
            "names told to a big room in a second, times its members",
            number(limits::BIG_ROOM_NAMES_PER_SECOND),
        ),
        ("rounds of a page of `who`, for views of those who came meanwhile", number(limits::PAGE_ROUNDS_MAX)),
        ("bytes of a path in such a line", number(limits::AUDIT_PATH_BYTES_MAX)),
        ("bytes of an error of the API", number(limits::API_ERROR_BYTES_MAX)),
        (
            "half of what is queued for a client, to be taken",
            format!("{} min", minutes(limits::BACKLOG_HALVES_TICKS)),
        ),
        ("inflaters that a worker lends to messages in parts", number(limits::INFLATERS_MAX)),
        ("pause between two requests of a connection", format!("{keep_alive} s")),
    ] {
        assert!(row(name).contains(&format!("| {value} |")), "{name} is {value}: {}", row(name));
    }
    let members = (limits::BIG_ROOM_MEMBERS, number(limits::BIG_ROOM_NAMES_PER_SECOND));
    assert!(MANUAL.contains(&format!("more than {} members", members.0)));
    assert!(MANUAL.contains(&format!("more than {} in that second", members.1)));
    assert!(MANUAL.contains(&format!("the names to {}", size(limits::BIG_ROOM_BYTES_MAX))));
    assert!(MANUAL.contains(&format!("for over {} s", limits::STUCK_TURN_MILLIS / 1000)));
}

fn minutes(ticks: u32) -> u64 {
    u64::from(ticks) * TICK_MILLIS / 60_000
}

fn size(bytes: usize) -> String {
    if bytes.is_multiple_of(1 << 20) {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{} KiB", bytes >> 10)
    }
}

fn number(number: usize) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{},{:03}", number / 1_000, number % 1_000),
        _ => format!("{},{:03},{:03}", number / 1_000_000, number / 1_000 % 1_000, number % 1_000),
    }
}
