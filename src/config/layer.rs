//! The settings as written in one place. Flags, file and environment all have these, under the same names: `--max-message`,
//! `max-message = …`, `ROLLCALL_MAX_MESSAGE`. Parsing checks each value alone; [`Settings`](super::Settings) checks
//! what holds between them.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, ValueEnum};
use serde::{Deserialize, Deserializer, Serialize};

use super::address::ListenAddress;
use super::api_keys::Secret;
use super::units::{FileMode, Size, Span};

/// What one place says; what it leaves out is `None`.
#[derive(Args, Clone, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Layer {
    /// Address to listen on, also wss://HOST:PORT and unix:/PATH; repeatable. Beyond loopback, `--auth none` must be said
    /// aloud
    #[arg(long, value_name = "HOST:PORT", help_heading = "Addresses")]
    pub(crate) listen: Option<Vec<ListenAddress>>,
    /// Further address, to which /metrics and /api move; there they need no key
    #[arg(long, value_name = "HOST:PORT", help_heading = "Addresses")]
    pub(crate) admin_listen: Option<ListenAddress>,
    /// Permissions of the files of Unix sockets, octal
    #[arg(long, value_name = "MODE", help_heading = "Addresses")]
    pub(crate) unix_mode: Option<FileMode>,
    /// Certificate chain for wss://, PEM; repeatable: the name that the client asks for decides. Read again on SIGHUP
    #[arg(long, value_name = "FILE", help_heading = "Addresses")]
    pub(crate) tls_cert: Option<Vec<PathBuf>>,
    /// Its private key, PEM; repeatable, in the order of --tls-cert
    #[arg(long, value_name = "FILE", help_heading = "Addresses")]
    pub(crate) tls_key: Option<Vec<PathBuf>>,
    /// Authorities of client certificates, PEM: a client may show one, and it must be theirs
    #[arg(long, value_name = "FILE", help_heading = "Addresses")]
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// The common name of a client's certificate is its user
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Addresses")]
    pub(crate) tls_client_user: Option<bool>,
    /// Whether /echo sends every message back [default: on; off with --auth early or late]
    #[arg(long, value_name = "ON|OFF", help_heading = "Addresses")]
    pub(crate) echo: Option<Switch>,
    /// Whether a browser gets the page at /
    #[arg(long, value_name = "ON|OFF", help_heading = "Addresses")]
    pub(crate) page: Option<Switch>,
    /// Origin that may connect, as browsers write it, beside the server's own; repeatable [default: any]
    #[arg(long, value_name = "ORIGIN", help_heading = "Addresses")]
    pub(crate) origin: Option<Vec<String>>,
    /// Subprotocol to accept; repeatable
    #[arg(long, value_name = "NAME", help_heading = "Addresses")]
    pub(crate) subprotocol: Option<Vec<String>>,

    /// Key of the API and /metrics, for `Authorization: Bearer KEY` [default: one made for the run, which `rollcall key`
    /// prints]. Others can see a flag: rather set ROLLCALL_API_KEY, or a file
    #[arg(long, value_name = "KEY", help_heading = "API")]
    pub(crate) api_key: Option<Secret>,
    /// File of keys of the API, one a line, `#` begins a comment; read again on SIGHUP
    #[arg(long, value_name = "FILE", help_heading = "API")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Origin whose pages may use the API, as browsers write it; repeatable. `*`, with a key: any
    #[arg(long, value_name = "ORIGIN", help_heading = "API")]
    pub(crate) cors_origin: Option<Vec<String>>,
    /// When clients of /ws show a token: never, with the upgrade, or by a command soon after [default: none; early with a key]
    #[arg(long, value_name = "WHEN", help_heading = "Identity")]
    pub(crate) auth: Option<AuthFlag>,
    /// From the upgrade to the command auth, with `--auth late`; past it: close 4408
    #[arg(long, value_name = "TIME", help_heading = "Identity")]
    pub(crate) auth_timeout: Option<Span>,
    /// File with the secret that tokens are signed with (HS256), 32 bytes or more; repeatable, read again on SIGHUP
    #[arg(long, value_name = "FILE", help_heading = "Identity")]
    #[serde(deserialize_with = "one_or_more")]
    pub(crate) token_secret_file: Option<Vec<PathBuf>>,
    /// File with the public key of what signs tokens: RSA, P-256 or Ed25519, PEM; repeatable, read again on SIGHUP
    #[arg(long, value_name = "FILE", help_heading = "Identity")]
    #[serde(deserialize_with = "one_or_more")]
    pub(crate) token_public_key: Option<Vec<PathBuf>>,
    /// Where the keys that sign tokens are published (JWKS): https://…, fetched at the start, again and again, and on SIGHUP
    #[arg(long, value_name = "URL", help_heading = "Identity")]
    pub(crate) token_jwks: Option<String>,
    /// Whom tokens are for: their `aud` has to name it [default: a token with an `aud` is refused]
    #[arg(long, value_name = "AUDIENCE", help_heading = "Identity")]
    pub(crate) token_audience: Option<String>,
    /// Who makes tokens: their `iss` has to be it [default: not looked at]
    #[arg(long, value_name = "ISSUER", help_heading = "Identity")]
    pub(crate) token_issuer: Option<String>,

    /// Worker threads [default: one per core, or as many as --max-connections needs]
    #[arg(long, value_name = "N", help_heading = "Size")]
    pub(crate) workers: Option<usize>,
    /// Descriptor tables: the limit on descriptors counts per table; auto: private with several workers
    #[arg(long, value_name = "HOW", help_heading = "Size")]
    pub(crate) fd_tables: Option<FdTablesFlag>,
    /// Connections held at once; past it a request gets 503 [default: as descriptors allow]
    #[arg(long, value_name = "N", help_heading = "Size")]
    pub(crate) max_connections: Option<usize>,

    /// Connections at once of one address, IPv6 by /64 (and 16 times as many by /48), loopback and proxies apart; past it: 429. 0: no limit
    #[arg(long, value_name = "N", help_heading = "Addresses")]
    pub(crate) max_connections_per_address: Option<usize>,
    /// New connections of one address in a second, over two seconds; past it: 429. 0: no limit
    #[arg(long, value_name = "N", help_heading = "Addresses")]
    pub(crate) max_handshakes_per_address: Option<usize>,
    /// Proxy whose X-Forwarded-For is believed, an address or network, or unix: whoever speaks on a Unix socket; repeatable
    /// [default: none]
    #[arg(long, value_name = "CIDR|unix", help_heading = "Addresses")]
    pub(crate) trusted_proxy: Option<Vec<String>>,
    /// Trusted proxies begin each connection with a PROXY header, version 1 or 2
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Addresses")]
    pub(crate) proxy_protocol: Option<bool>,

    /// Who proves that a connection lives: server (Pings), client (no Pings), both
    #[arg(long, value_name = "WHO", help_heading = "Heartbeat")]
    pub(crate) heartbeat: Option<HeartbeatFlag>,
    /// Silence after which a client is sent a Ping
    #[arg(long, value_name = "TIME", help_heading = "Heartbeat")]
    pub(crate) heartbeat_interval: Option<Span>,
    /// How long a Ping may stay unanswered
    #[arg(long, value_name = "TIME", help_heading = "Heartbeat")]
    pub(crate) heartbeat_timeout: Option<Span>,
    /// Silence after which a client is dead with `--heartbeat client`, and its page away with `both`
    #[arg(long, value_name = "TIME", help_heading = "Heartbeat")]
    pub(crate) client_silence: Option<Span>,
    /// How long a Ping stays unanswered before watchers who ask for it are told `suspect`
    #[arg(long, value_name = "TIME", help_heading = "Heartbeat")]
    pub(crate) suspect_after: Option<Span>,
    /// Text that pages send as a heartbeat, answered with itself (`ping` with `pong`); repeatable
    #[arg(long, value_name = "TEXT", help_heading = "Heartbeat")]
    pub(crate) heartbeat_text: Option<Vec<String>>,
    /// Key of JSON objects that pages send as a heartbeat, answered with themselves; repeatable
    #[arg(long, value_name = "KEY", help_heading = "Heartbeat")]
    pub(crate) heartbeat_key: Option<Vec<String>>,

    /// How long a user whose connection closed or broke may take to come back unnoticed
    #[arg(long, value_name = "TIME", help_heading = "Presence")]
    pub(crate) offline_grace: Option<Span>,
    /// Time without a poll after which a client that polls is gone, unless it asks for another [5s to 10m]
    #[arg(long, value_name = "TIME", help_heading = "Presence")]
    pub(crate) poll_gap: Option<Span>,
    /// Connections of one user; the newest takes the place of the oldest
    #[arg(long, value_name = "N", help_heading = "Presence")]
    pub(crate) max_connections_per_user: Option<usize>,
    /// Members of a room beyond which it is told of them once a second; small again below four fifths of that
    #[arg(long, value_name = "N", help_heading = "Presence")]
    pub(crate) big_room: Option<usize>,
    /// Commands of one connection in a second, over four seconds; past it: 429
    #[arg(long, value_name = "N", help_heading = "Presence")]
    pub(crate) max_commands_per_second: Option<usize>,

    /// From accept to the end of the first request
    #[arg(long, value_name = "TIME", help_heading = "Time-outs")]
    pub(crate) handshake_timeout: Option<Span>,
    /// From our Close to the client's
    #[arg(long, value_name = "TIME", help_heading = "Time-outs")]
    pub(crate) close_timeout: Option<Span>,
    /// Window over which clients are sent away on SIGTERM
    #[arg(long, value_name = "TIME", help_heading = "Time-outs")]
    pub(crate) drain: Option<Span>,

    /// Payload of a message; past it: close 1009
    #[arg(long, value_name = "SIZE", help_heading = "Bounds")]
    pub(crate) max_message: Option<Size>,
    /// Payload of a frame; past it: close 1009 [default: as --max-message]
    #[arg(long, value_name = "SIZE", help_heading = "Bounds")]
    pub(crate) max_frame: Option<Size>,
    /// The `data` of a say, a tell or a broadcast; past it: 413 [default: 64KiB, or what --max-message and --max-backlog leave]
    #[arg(long, value_name = "SIZE", help_heading = "Bounds")]
    pub(crate) max_data: Option<Size>,
    /// Request line and headers; past it: 431
    #[arg(long, value_name = "SIZE", help_heading = "Bounds")]
    pub(crate) max_header: Option<Size>,
    /// Frames of a message; past it: close 1009
    #[arg(long, value_name = "N", help_heading = "Bounds")]
    pub(crate) max_fragments: Option<u32>,
    /// Output queued for one client; past it: close 1013
    #[arg(long, value_name = "SIZE", help_heading = "Bounds")]
    pub(crate) max_backlog: Option<Size>,

    /// Compress messages with clients that offer it: each by itself (shared), or with those before it (per-connection)
    #[arg(long, value_name = "HOW", help_heading = "Bounds")]
    pub(crate) deflate: Option<DeflateFlag>,
    /// Time for the rest of a message that was begun; past it: close 4408
    #[arg(long, value_name = "TIME", help_heading = "Time-outs")]
    pub(crate) message_timeout: Option<Span>,
    /// Resident memory of the process; past it an upgrade gets 503. 0: no limit
    #[arg(long, value_name = "SIZE", help_heading = "Bounds")]
    pub(crate) max_memory: Option<Size>,
    /// Rooms whose slow members lose the oldest messages instead of being closed: a name, or a prefix and `*`; repeatable
    #[arg(long, value_name = "ROOM", help_heading = "Presence")]
    pub(crate) drop_oldest: Option<Vec<String>>,

    /// Rooms that keep what was said, as PATTERN=COUNT or PATTERN=COUNT/AGE: the first that fits a room counts; repeatable
    #[arg(long, value_name = "ROOM=COUNT/AGE", help_heading = "Presence")]
    pub(crate) history: Option<Vec<String>>,
    /// Bytes of what rooms keep, of all together; past it the oldest messages of those with the most go
    #[arg(long, value_name = "SIZE", help_heading = "Presence")]
    pub(crate) history_bytes: Option<Size>,

    /// Command that runs for each connection to a path: its output are messages, messages are its input; repeatable
    #[arg(long, value_name = "/PATH=COMMAND", help_heading = "Commands")]
    pub(crate) exec: Option<Vec<String>>,
    /// Directory whose programs are served below a path; repeatable
    #[arg(long, value_name = "/PATH=DIR", help_heading = "Commands")]
    pub(crate) exec_dir: Option<Vec<String>>,
    /// Every connection is for a command: no presence
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Commands")]
    pub(crate) exec_alone: Option<bool>,
    /// Bytes as they come in the place of lines
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Commands")]
    pub(crate) exec_binary: Option<bool>,
    /// Where a command's standard error goes
    #[arg(long, value_name = "WHERE", help_heading = "Commands")]
    pub(crate) exec_stderr: Option<StderrFlag>,
    /// User that commands run as: a name, or UID:GID
    #[arg(long, value_name = "USER", help_heading = "Commands")]
    pub(crate) exec_user: Option<String>,
    /// Working directory of commands [default: the server's]
    #[arg(long, value_name = "DIR", help_heading = "Commands")]
    pub(crate) exec_cwd: Option<PathBuf>,
    /// Variable of the server's environment that commands get; repeatable
    #[arg(long, value_name = "NAME", help_heading = "Commands")]
    pub(crate) exec_env: Option<Vec<String>>,
    /// Commands at once, and behind a slash those of one address; past it: 503
    #[arg(long, value_name = "N[/M]", help_heading = "Commands")]
    pub(crate) exec_processes: Option<String>,
    /// CPU time of a process [default: no limit]
    #[arg(long, value_name = "TIME", help_heading = "Commands")]
    pub(crate) exec_cpu: Option<Span>,
    /// Address space of a process [default: no limit]
    #[arg(long, value_name = "SIZE", help_heading = "Commands")]
    pub(crate) exec_memory: Option<Size>,
    /// Descriptors of a process [default: as many as the server]
    #[arg(long, value_name = "N", help_heading = "Commands")]
    pub(crate) exec_files: Option<usize>,
    /// How long a command may run; past it: close 4408 [default: as long as its client stays]
    #[arg(long, value_name = "TIME", help_heading = "Commands")]
    pub(crate) exec_time: Option<Span>,
    /// Time from the end of its client to the first signal, beyond 100 ms
    #[arg(long, value_name = "TIME", help_heading = "Commands")]
    pub(crate) exec_patience: Option<Span>,

    /// Form of the log on stderr
    #[arg(long, value_name = "FORM", help_heading = "Log")]
    pub(crate) log: Option<LogForm>,
    /// What is logged; one line a connection only at debug
    #[arg(long, value_name = "LEVEL", help_heading = "Log")]
    pub(crate) log_level: Option<LogLevel>,
}

/// What holds where nobody says otherwise. `workers` and `max-connections` depend on the machine: see
/// [`capacity`](super::capacity).
pub(crate) const DEFAULTS: &str = r#"
listen = ["127.0.0.1:8080"]
unix-mode = "0660"
tls-cert = []
tls-key = []
tls-client-user = false
page = "on"
origin = []
cors-origin = []
subprotocol = ["rollcall.v1", "chat"]
fd-tables = "auto"
max-connections-per-address = 10000
max-handshakes-per-address = 1000
trusted-proxy = []
proxy-protocol = false
heartbeat = "server"
heartbeat-interval = "25s"
heartbeat-timeout = "20s"
client-silence = "90s"
suspect-after = "8s"
heartbeat-text = ["ping", "123456789", "HeartBeat"]
heartbeat-key = ["heart", "req_type"]
offline-grace = "5s"
poll-gap = "10s"
max-connections-per-user = 16
big-room = 100
max-commands-per-second = 50
auth-timeout = "10s"
handshake-timeout = "10s"
close-timeout = "5s"
drain = "10s"
max-message = "1MiB"
max-header = "16KiB"
max-fragments = 1024
max-backlog = "1MiB"
deflate = "off"
message-timeout = "2m"
max-memory = "0B"
drop-oldest = []
history = []
history-bytes = "64MiB"
exec = []
exec-dir = []
exec-alone = false
exec-binary = false
exec-stderr = "log"
exec-env = ["PATH", "LD_LIBRARY_PATH"]
exec-processes = "1000/100"
exec-patience = "0ms"
log = "text"
log-level = "info"
"#;

/// A parser of a layer alone, for the names of its settings and for values from the environment.
#[derive(Parser)]
#[command(no_binary_name = true)]
pub(crate) struct LayerParser {
    #[command(flatten)]
    pub(crate) layer: Layer,
}

/// The names of all settings, in the order of the help.
pub(crate) fn keys() -> Vec<String> {
    explained().into_iter().map(|(key, _)| key).collect()
}

/// The same, each with its sentence in the help.
pub(crate) fn explained() -> Vec<(String, String)> {
    let command = LayerParser::command();
    let settings = command.get_arguments().filter(|arg| arg.get_long().is_some_and(|key| key != "help"));
    let help = |arg: &clap::Arg| arg.get_help().map(ToString::to_string).unwrap_or_default();
    settings.map(|arg| (arg.get_long().unwrap_or_default().to_owned(), help(arg))).collect()
}

/// The command with every setting's default in its help, taken from [`DEFAULTS`], so that they are written once.
pub(crate) fn with_defaults_in_help(command: clap::Command) -> clap::Command {
    let defaults: toml::Table = DEFAULTS.parse().expect("DEFAULTS is TOML");
    let command = command.mut_args(|arg| {
        let default =
            arg.get_long().and_then(|key| defaults.get(key)).map(plain).filter(|text| !text.is_empty());
        match (default, arg.get_help().cloned()) {
            (Some(default), Some(help)) => arg.help(format!("{help} [default: {default}]")),
            _ => arg,
        }
    });
    command.mut_subcommands(with_defaults_in_help)
}

/// A value as one would type it after a flag.
fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// clap's several lines as one: what is wrong, and its tip where it has one.
pub(crate) fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim);
    let what = lines.next().unwrap_or_default();
    let mut line = what.strip_prefix("error: ").unwrap_or(what).to_owned();
    for further in lines {
        if let Some(tip) = further.strip_prefix("tip: ") {
            line.push_str("; ");
            line.push_str(tip);
        } else if further.starts_with("[possible values") {
            line.push(' ');
            line.push_str(further);
        }
    }
    line
}

/// A path, or a list of them.
fn one_or_more<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<PathBuf>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a path or a list of paths")]
    enum Paths {
        One(PathBuf),
        More(Vec<PathBuf>),
    }
    Ok(Some(match Paths::deserialize(from)? {
        Paths::One(path) => vec![path],
        Paths::More(paths) => paths,
    }))
}

/// Whether something is served.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Switch {
    On,
    Off,
}

/// When clients show a token.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AuthFlag {
    None,
    Early,
    Late,
}

/// Whether each worker has a descriptor table of its own.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FdTablesFlag {
    Auto,
    Private,
    Shared,
}

/// Who proves that a connection lives.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HeartbeatFlag {
    Server,
    Client,
    Both,
}

/// Whether messages are compressed.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DeflateFlag {
    Off,
    Shared,
    PerConnection,
}

/// Where what commands print on their standard error goes.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StderrFlag {
    Log,
    Client,
}

/// The log's form.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogForm {
    Text,
    Json,
}

/// The log's level.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}
