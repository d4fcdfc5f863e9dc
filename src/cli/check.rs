//! `rollcall token --check`: what a token is good for, by the keys of a server.

use std::fmt::Write as _;
use std::time::Duration;

use crate::cli::failure::Failure;
use crate::config::keys::KeyFiles;
use crate::config::units::Span;
use crate::identity::{Claims, Keys, Parties};
use crate::presence::{Grants, NAME_RULE, is_name};
use crate::protocol::refusal;
use crate::time::{Clock, Tick};

/// The token's claims in words, where a server with these keys takes it.
pub(super) fn check(token: &str, files: &KeyFiles, parties: Parties) -> Result<String, Failure> {
    if files.is_empty() {
        let line = "say what to check with: --token-secret-file FILE, or --token-public-key FILE.pem";
        return Err(Failure::usage(line.to_owned()));
    }
    let keys = files.read().map_err(|(setting, error)| Failure::usage(format!("--{setting} {error}")))?;
    let now = Clock::starting_at(Tick(0)).now().unix_millis;
    let claims = Keys::between(keys, parties)
        .verify(token.trim(), now)
        .map_err(|invalid| Failure::system(invalid.to_string()))?;
    if !is_name(&claims.user) {
        return Err(Failure::system(format!("the token's sub is not a name: {NAME_RULE}")));
    }
    Grants::new(claims.rooms.as_deref(), &claims.see, claims.info.as_deref(), claims.expires_millis)
        .map_err(|error| Failure::system(refusal::of_claim(error).to_owned()))?;
    Ok(in_words(&claims, now))
}

fn in_words(claims: &Claims, now: u64) -> String {
    let left = Span(Duration::from_secs(claims.expires_millis.saturating_sub(now) / 1_000));
    let rooms = claims.rooms.as_ref().map_or_else(|| "all".to_owned(), |rooms| listed(rooms, "none"));
    let mut text = "the token is good\n".to_owned();
    for (name, value) in [
        ("user", claims.user.clone()),
        ("for", left.to_string()),
        ("rooms", rooms),
        ("sees", listed(&claims.see, "those in its rooms")),
        ("info", claims.info.clone().unwrap_or_else(|| "none".to_owned())),
    ] {
        // Writing to a String can't fail.
        let _ = writeln!(text, "  {name:<6} {value}");
    }
    text
}

fn listed(patterns: &[String], none: &str) -> String {
    if patterns.is_empty() { none.to_owned() } else { patterns.join(", ") }
}
