//! Settings that are allowed and foolish: each alone is a value like others, and what comes of it is hardly what was meant.

use std::time::Duration;

use super::layer::{HeartbeatFlag, Layer};
use super::settings::Settings;
use super::sources::Sources;

/// A key of the API that is shorter can be found by trying.
const API_KEY_BYTES: usize = 16;
/// A server takes as much before anybody has come.
const MEMORY_BYTES: u64 = 16 << 20;
/// Proxies and routers end a connection that says nothing for so long.
const SILENCE: Duration = Duration::from_secs(60);

/// A line for each such setting.
pub(crate) fn warnings(settings: &Settings, sources: &Sources) -> Vec<String> {
    let layer = sources.merged();
    let lines = [suspect(&layer), silence(&layer), api_key(settings), memory(settings), two_kinds(settings)];
    lines.into_iter().flatten().collect()
}

fn suspect(layer: &Layer) -> Option<String> {
    let (after, timeout) = (layer.suspect_after?, layer.heartbeat_timeout?);
    let never = after.0 >= timeout.0 && layer.heartbeat != Some(HeartbeatFlag::Client);
    never.then(|| {
        format!(
            "--suspect-after {after} is not before --heartbeat-timeout {timeout}: nobody is ever told `suspect`, since the \
             client is dead by then"
        )
    })
}

fn silence(layer: &Layer) -> Option<String> {
    let interval = layer.heartbeat_interval.filter(|interval| interval.0 >= SILENCE)?;
    (layer.heartbeat != Some(HeartbeatFlag::Client)).then(|| {
        format!("--heartbeat-interval {interval}: most proxies end a connection that is silent for 60s, before its first Ping")
    })
}

fn api_key(settings: &Settings) -> Option<String> {
    let keys = settings.api_keys.read().ok()?;
    let (nth, key) = keys.iter().enumerate().find(|(_, key)| key.len() < API_KEY_BYTES)?;
    let which =
        if keys.len() == 1 { "the API's key".to_owned() } else { format!("key {} of the API", nth + 1) };
    Some(format!(
        "{which} has {} characters, which can be found by trying: `openssl rand -base64 24` makes a good one",
        key.len()
    ))
}

fn memory(settings: &Settings) -> Option<String> {
    let bytes = settings.reactor.max_memory_bytes.filter(|bytes| *bytes < MEMORY_BYTES)?;
    Some(format!(
        "--max-memory is {bytes} bytes, less than the server takes for itself: every client gets 503. It is the memory of the \
         whole process; 64MiB is little"
    ))
}

fn two_kinds(settings: &Settings) -> Option<String> {
    let files = &settings.key_files;
    let both = !files.secrets.is_empty() && (!files.public_keys.is_empty() || settings.token_jwks.is_some());
    both.then(|| {
        "tokens are taken that are signed by a secret, and such as are signed by a private key: who has --token-secret-file can \
         make tokens for everybody. Keep one kind, unless you are going over from one to the other"
            .to_owned()
    })
}
