//! The binary with `--token-jwks`: who comes in while keys change, and while there are none.

use std::io::BufRead as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, thread};

use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rollcall::internals::time::{Clock, Tick};
use rustix::process::Signal;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::provider::{Provider, answer, set};
use crate::bounds::PATIENCE;
use crate::face::binary::{Running, complaint, rollcall, run};
use crate::face::client::{get, upgrade};
use crate::identity::{ED25519, P256, RSA, der, jwk, signed};

/// Tokens for an audience, good for an hour, as each kind of key signs them; the names of the keys are those of the fixtures.
fn token(kid: &str, audience: &str) -> String {
    let now = Clock::starting_at(Tick(0)).now().unix_millis / 1_000;
    let claims =
        json!({ "sub": "anna", "aud": [audience, "x"], "iss": "https://login/", "exp": now + 3_600 });
    let (algorithm, key) = match kid.split('-').next().unwrap() {
        "rsa" => (Algorithm::RS256, EncodingKey::from_rsa_der(&der(RSA[1]))),
        "p256" => (Algorithm::ES256, EncodingKey::from_ec_der(&der(P256[1]))),
        _ => (Algorithm::EdDSA, EncodingKey::from_ed_der(&der(ED25519[1]))),
    };
    signed(&json!({ "alg": algorithm, "kid": kid, "typ": "JWT" }), &claims, algorithm, &key)
}

fn published(kid: &str) -> Value {
    jwk(kid.split('-').next().unwrap(), |key| key["kid"] = json!(kid))
}

fn flags(url: &str) -> [&str; 8] {
    ["--token-jwks", url, "--token-audience", "chat", "--token-issuer", "https://login/", "--workers", "3"]
}

fn comes_in(server: &Running, token: &str) -> Result<(), u16> {
    upgrade(server.address, &format!("/ws?token={token}"), &[]).map(|_| ())
}

/// Waits until a token fares so; until then it is to come back.
fn until(server: &Running, token: &str, then: Result<(), u16>) {
    let end = Instant::now() + PATIENCE;
    loop {
        let now = comes_in(server, token);
        if now == then {
            return;
        }
        assert_eq!(now, Err(503));
        assert!(Instant::now() < end);
        thread::sleep(Duration::from_millis(20));
    }
}

fn text<S: std::io::Read + std::io::Write>(socket: &mut WebSocket<S>) -> Value {
    loop {
        match socket.read().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Close(close) => return json!({ "close": u16::from(close.unwrap().code) }),
            _ => {}
        }
    }
}

#[test]
fn tokens_of_published_keys_come_in_and_new_keys_count_as_they_are_published() {
    let provider = Provider::new(set(&["rsa", "p256", "ed25519"].map(published), ""));
    let server = Running::start(&flags(&provider.url()));
    assert!(server.screen.contains("by a token"), "{}", server.screen);
    for kid in ["rsa", "p256", "ed25519"] {
        assert_eq!(comes_in(&server, &token(kid, "chat")), Ok(()), "{kid}");
        assert_eq!(comes_in(&server, &token(kid, "shop")), Err(401), "{kid}");
    }
    assert_eq!(comes_in(&server, ""), Err(401));
    assert_eq!(get(server.address, "/readyz").status, 200);
    let (mut anna, _) =
        upgrade(server.address, &format!("/ws?token={}", token("p256", "chat")), &[]).unwrap();

    // A client that has words for it is told when to come back.
    provider.reply(set(&[published("p256-new")], ""));
    let target = format!("/ws?token={}", token("p256-new", "chat"));
    let (mut early, _) =
        upgrade(server.address, &target, &[("Sec-WebSocket-Protocol", "rollcall.v1")]).unwrap();
    let told = text(&mut early);
    assert_eq!((&told["event"], &told["code"]), (&json!("goodbye"), &json!(1013)), "{told}");
    assert!(told["retry_ms"].is_u64(), "{told}");
    assert_eq!(text(&mut early), json!({ "close": 1013 }));
    until(&server, &token("p256-new", "chat"), Ok(()));
    // The old one is published no more, and nobody is sent away for that. Whether it is about to be published is waited for.
    assert_eq!(comes_in(&server, &token("p256", "chat")), Err(503));
    until(&server, &token("p256", "chat"), Err(401));
    anna.send(Message::Ping("there".into())).unwrap();
    while !matches!(anna.read().unwrap(), Message::Pong(_)) {}
}

#[test]
fn sighup_fetches_the_keys_again() {
    let provider = Provider::new(set(&[published("p256")], "Cache-Control: max-age=3600\r\n"));
    let server = Running::start(&flags(&provider.url()));
    assert_eq!(provider.requests().len(), 1);
    provider.reply(set(&[published("ed25519")], ""));
    server.signal(Signal::HUP);
    provider.until_more(1, 1);
    until(&server, &token("ed25519", "chat"), Ok(()));
}

#[test]
fn without_any_keys_clients_are_to_come_back_and_each_failure_is_logged_once() {
    let provider = Provider::new(answer("500 Internal Server Error", "", ""));
    let begun = Instant::now();
    let url = provider.url();
    let mut server = Running::start(&[&flags(&url)[..], &["--auth", "late", "--log-level", "info"]].concat());
    assert!(begun.elapsed() < PATIENCE, "the start does not wait for ever");
    assert!(provider.requests().len() > 1, "it has tried again");
    let ready = server.get("/readyz");
    assert!(ready.status == 503 && ready.body.contains("--token-jwks was not fetched yet"), "{}", ready.body);
    assert_eq!(get(server.address, "/healthz").status, 200);
    let mine = token("p256", "chat");
    assert_eq!(comes_in(&server, &mine), Err(503));
    assert_eq!(comes_in(&server, "garbage"), Err(401));
    let (mut late, _) = upgrade(server.address, "/ws", &[("Sec-WebSocket-Protocol", "rollcall.v1")]).unwrap();
    assert_eq!(text(&mut late)["event"], "welcome");
    let command = json!({ "seq": 1, "cmd": "auth", "params": { "token": mine } }).to_string();
    late.send(Message::Text(command.into())).unwrap();
    assert_eq!(text(&mut late)["body"]["code"], 503);
    let told = text(&mut late);
    assert!(told["code"] == 1013 && told["retry_ms"].is_u64(), "{told}");
    assert_eq!(text(&mut late), json!({ "close": 1013 }));

    provider.reply(set(&[published("p256")], ""));
    until(&server, &mine, Ok(()));
    assert_eq!(get(server.address, "/readyz").status, 200);
    let (mut lines, mut log) = (String::new(), server.stderr());
    while !lines.contains("1 key for tokens") {
        assert_ne!(log.read_line(&mut lines).unwrap(), 0, "{lines}");
    }
    assert_eq!(lines.matches("answers 500").count(), 1, "{lines}");
}

#[test]
fn a_signal_ends_a_start_that_waits_for_keys() {
    let provider = Provider::new(super::provider::Reply::Silence);
    let mut child = rollcall(&["--listen", "127.0.0.1:0", "--token-jwks", &provider.url()]).spawn().unwrap();
    provider.until_more(0, 1);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    let end = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(Instant::now() < end, "it goes on"),
        }
        thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{status}");
}

#[test]
fn what_is_wrong_with_the_url_is_said_in_one_line() {
    for (args, part) in [
        (&["--token-jwks", "http://sso.example.org/certs"][..], "https:// is needed"),
        (&["config", "check", "--token-jwks", "sso.example.org"], "is not a URL like"),
        (&["config", "check", "--token-jwks", "https://sso.example.org:99999/"], "the port is a number"),
        (&["--token-jwks", "https://a:b@sso.example.org/"], "a name and password"),
    ] {
        let line = complaint(&run(args), 2);
        assert!(line.contains("--token-jwks") && line.contains(part), "{args:?}: {line}");
    }
    // Nothing is fetched to look at settings.
    let good = ["config", "check", "--token-jwks", "http://127.0.0.1:9/certs", "--listen", "0.0.0.0:0"];
    assert!(run(&good).status.success());
    let line = complaint(&run(&["--auth", "early"]), 2);
    assert!(line.contains("--token-jwks URL"), "{line}");
}

/// A directory that is gone when the test is over.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        let path = std::env::temp_dir().join(format!("rollcall-outbound-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An authority, and what a server needs that it has certified as `localhost`.
fn certified() -> (String, ServerConfig) {
    let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let leaf =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(leaf.der().to_vec())],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (root.pem(), config)
}

#[test]
fn a_provider_is_believed_by_the_certificates_that_the_machine_trusts() {
    let directory = Directory::new();
    let ((trusted, config), (other, _)) = (certified(), certified());
    let provider = Provider::with_tls(set(&[published("p256")], ""), Arc::new(config));
    let url = format!("https://localhost:{}/certs", provider.address.port());
    let start = |roots: &str, name: &str| {
        let path = directory.0.join(name);
        fs::write(&path, roots).unwrap();
        let args = [&["--listen", "127.0.0.1:0"], &flags(&url)[..]].concat();
        Running::of(rollcall(&args).env("SSL_CERT_FILE", path).env_remove("SSL_CERT_DIR"))
    };
    let server = start(&trusted, "trusted.pem");
    assert_eq!(comes_in(&server, &token("p256", "chat")), Ok(()));
    let asked = provider.requests().len();
    for (roots, name, part) in [(&*other, "other.pem", "certificate"), ("", "empty.pem", "certificate")] {
        let mut server = start(roots, name);
        assert_eq!(comes_in(&server, &token("p256", "chat")), Err(503), "{name}");
        let (mut line, mut log) = (String::new(), server.stderr());
        while !line.contains(&url) {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0);
        }
        assert!(line.contains("ERROR") && line.contains(part), "{line}");
    }
    assert_eq!(provider.requests().len(), asked, "nothing is asked of who is not believed");
}
