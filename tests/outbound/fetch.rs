//! The thread that fetches keys, against a provider that rotates them, fails, and answers what it should not.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, EncodingKey};
use rollcall::internals::identity::{Invalid, Keys, Parties};
use rollcall::internals::limits::JWKS_BYTES_MAX;
use rollcall::internals::outbound::jwks::schedule::FetchPace;
use rollcall::internals::outbound::jwks::{Fetcher, KeyUrl};
use serde_json::{Value, json};

use super::provider::{Provider, Reply, answer, set};
use crate::bounds::PATIENCE;
use crate::identity::{ED25519, P256, der, jwk, signed};

/// In seconds since 1970: the time of all tokens here.
const NOW: u64 = 1_700_000_000;

/// So fast that nobody waits for it, where nothing else is said.
fn pace() -> FetchPace {
    FetchPace {
        fresh: 10..=3_600_000,
        usual: 3_600_000,
        asked: 20,
        missed: 5..=5,
        failed: 10..=20,
        answer: 60_000,
    }
}

fn start(provider: &Provider, pace: FetchPace) -> (Fetcher, Arc<Keys>) {
    let keys = Arc::new(Keys::fetching(Vec::new(), Parties::default()));
    let url = KeyUrl::parse(&provider.url()).unwrap();
    (Fetcher::start(url, Arc::clone(&keys), pace).unwrap(), keys)
}

fn claims() -> Value {
    json!({ "sub": "anna", "exp": NOW + 60 })
}

/// The P-256 key of the fixtures as it is published under this name, and a token of it.
fn p256(kid: &str) -> (Value, String) {
    let key = EncodingKey::from_ec_der(&der(P256[1]));
    let token = signed(&json!({ "alg": "ES256", "kid": kid }), &claims(), Algorithm::ES256, &key);
    (jwk("p256", |key| key["kid"] = json!(kid)), token)
}

/// The same of the Ed25519 key.
fn ed25519(kid: &str) -> (Value, String) {
    let key = EncodingKey::from_ed_der(&der(ED25519[1]));
    let token = signed(&json!({ "alg": "EdDSA", "kid": kid }), &claims(), Algorithm::EdDSA, &key);
    (jwk("ed25519", |key| key["kid"] = json!(kid)), token)
}

fn verify(keys: &Keys, token: &str) -> Result<(), Invalid> {
    keys.verify(token, NOW * 1_000).map(|claims| assert_eq!(claims.user, "anna"))
}

/// Waits until a token fares so; until then it may only have fared as `meanwhile` has it.
fn until(keys: &Keys, token: &str, then: Result<(), Invalid>, meanwhile: &[Result<(), Invalid>]) {
    let end = Instant::now() + PATIENCE;
    loop {
        let now = verify(keys, token);
        if now == then {
            return;
        }
        assert!(meanwhile.contains(&now), "{now:?}, not {then:?}");
        assert!(Instant::now() < end, "{now:?}, not {then:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_key_that_is_published_while_the_server_runs_is_fetched_when_a_token_names_it() {
    let ((old_key, old), (new_key, new)) = (p256("old"), ed25519("new"));
    let provider = Provider::new(set(std::slice::from_ref(&old_key), ""));
    let (fetcher, keys) = start(&provider, pace());
    assert!(fetcher.wait(PATIENCE));
    assert_eq!(verify(&keys, &old), Ok(()));
    let head = provider.requests()[0].to_ascii_lowercase();
    assert!(
        head.starts_with("get /jwks.json http/1.1\r\n") && head.contains("user-agent: rollcall/"),
        "{head}"
    );
    assert_eq!(provider.requests().len(), 1);
    provider.reply(set(&[new_key, old_key], ""));
    until(&keys, &new, Ok(()), &[Err(Invalid::Pending)]);
    assert_eq!((verify(&keys, &old), provider.requests().len()), (Ok(()), 2));
    // And one that is taken away counts no more from the next fetch on.
    provider.reply(set(&[ed25519("new").0], ""));
    fetcher.again();
    until(&keys, &old, Err(Invalid::Unpublished), &[Ok(()), Err(Invalid::Pending)]);
    assert_eq!(verify(&keys, &new), Ok(()));
}

#[test]
fn a_key_that_is_published_after_it_was_looked_for_is_found_all_the_same() {
    let provider = Provider::new(set(&[p256("old").0], ""));
    let (fetcher, keys) = start(&provider, FetchPace { asked: 3_600_000, missed: 50..=3_600_000, ..pace() });
    assert!(fetcher.wait(PATIENCE));
    let (key, token) = ed25519("new");
    assert_eq!(verify(&keys, &token), Err(Invalid::Pending));
    provider.until_more(1, 1);
    provider.reply(set(&[p256("old").0, key], ""));
    until(&keys, &token, Ok(()), &[Err(Invalid::Pending)]);
}

#[test]
fn what_is_no_set_of_keys_changes_nothing() {
    let (key, token) = p256("a");
    let elsewhere = Provider::new(set(&[ed25519("b").0], ""));
    let (provider, other) = (Provider::new(set(std::slice::from_ref(&key), "")), ed25519("b").1);
    // An answer that does not end is given up after a moment.
    let (fetcher, keys) = start(&provider, FetchPace { answer: 300, asked: 3_600_000, ..pace() });
    assert!(fetcher.wait(PATIENCE));
    let huge = format!(r#"{{"keys":[{key}],"x":"{}"}}"#, "x".repeat(JWKS_BYTES_MAX));
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{huge}\r\n0\r\n\r\n",
        huge.len()
    );
    let redirect = format!("Location: {}\r\n", elsewhere.url());
    let set_of_other = json!({ "keys": [ed25519("b").0] }).to_string();
    for (nth, reply) in [
        answer("404 Not Found", "", &set_of_other),
        answer("500 Internal Server Error", "", &set_of_other),
        answer("201 Created", "", &set_of_other),
        answer("302 Found", &redirect, &set_of_other),
        answer("308 Permanent Redirect", &redirect, ""),
        answer("200 OK", "Content-Type: text/html\r\n", "<html>maintenance</html>"),
        answer("200 OK", "", ""),
        set(&[], ""),
        set(&[json!({ "kty": "oct", "kid": "b", "k": "c2VjcmV0" })], ""),
        answer("200 OK", "", &huge),
        Reply::Bytes(chunked.into_bytes()),
        Reply::Bytes(format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{set_of_other}").into_bytes()),
        Reply::Bytes(
            format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n{set_of_other}", "x".repeat(64 << 10)).into_bytes(),
        ),
        Reply::Bytes(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()),
        Reply::Bytes(Vec::new()),
        Reply::Drips,
        Reply::Silence,
    ]
    .into_iter()
    .enumerate()
    {
        let before = provider.requests().len();
        provider.reply(reply);
        fetcher.again();
        // The second one begins when the first one has failed.
        provider.until_more(before, 2);
        assert_eq!(verify(&keys, &token), Ok(()), "{nth}");
        assert_eq!(verify(&keys, &other), Err(Invalid::Pending), "{nth}");
    }
    assert_eq!(elsewhere.requests().len(), 0, "no redirect is followed");
    provider.reply(set(&[key, ed25519("b").0], ""));
    until(&keys, &other, Ok(()), &[Err(Invalid::Pending)]);
}

#[test]
fn a_provider_that_is_not_there_at_the_start_is_asked_until_it_is() {
    let provider = Provider::new(answer("503 Service Unavailable", "", ""));
    let (fetcher, keys) = start(&provider, pace());
    let (key, token) = p256("a");
    provider.until_more(0, 4);
    assert!(!fetcher.wait(Duration::ZERO) && !keys.are_here());
    assert_eq!(verify(&keys, &token), Err(Invalid::Unready));
    provider.reply(set(&[key], ""));
    assert!(fetcher.wait(PATIENCE) && keys.are_here());
    assert_eq!(verify(&keys, &token), Ok(()));
}

#[test]
fn a_set_is_fetched_again_after_the_time_that_its_sender_says() {
    let provider = Provider::new(set(&[p256("a").0], "Cache-Control: public, max-age=0\r\n"));
    let (_fetcher, keys) = start(&provider, pace());
    provider.until_more(0, 3);
    provider.reply(set(&[p256("b").0], ""));
    let token = p256("b").1;
    until(&keys, &token, Ok(()), &[Err(Invalid::Unready), Err(Invalid::Pending), Err(Invalid::Unpublished)]);
}

#[test]
fn strangers_have_it_fetched_a_few_times_and_a_token_that_names_no_key_is_refused_then() {
    let provider = Provider::new(set(&[p256("a").0], ""));
    let (fetcher, keys) = start(&provider, FetchPace { asked: 3_600_000, ..pace() });
    assert!(fetcher.wait(PATIENCE));
    let nobodys = ed25519("0").1;
    until(&keys, &nobodys, Err(Invalid::Unpublished), &[Err(Invalid::Pending)]);
    for nth in 1..500 {
        assert_eq!(verify(&keys, &ed25519(&nth.to_string()).1), Err(Invalid::Pending), "{nth}");
    }
    // Once more a moment later: it might have been published late.
    assert_eq!(provider.requests().len(), 3);
    // An order is carried out nonetheless, however full the queue is.
    let (key, token) = ed25519("7");
    provider.reply(set(&[key], ""));
    fetcher.again();
    until(&keys, &token, Ok(()), &[Err(Invalid::Pending)]);
    assert_eq!(provider.requests().len(), 4);
}

#[test]
fn the_thread_ends_when_nobody_has_use_for_it() {
    let provider = Provider::new(set(&[p256("a").0], ""));
    let (fetcher, keys) = start(&provider, pace());
    assert!(fetcher.wait(PATIENCE));
    drop(fetcher);
    let end = Instant::now() + PATIENCE;
    while Arc::strong_count(&keys) > 1 {
        assert!(Instant::now() < end, "it still has the keys");
        thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(verify(&keys, &p256("a").1), Ok(()), "what was fetched stays");
}
