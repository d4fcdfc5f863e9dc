//! The opening handshake, RFC 6455 §4: what the server refuses, what the client does, and both against each other.

use rollcall::internals::wire::client::{Accepted, HandshakeError, Request, check_response};
use rollcall::internals::wire::http::{Fields, Head, Response};
use rollcall::internals::wire::upgrade::{Upgrade, accept_key, is_upgrade, write_accept};

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const NONCE: [u8; 16] = *b"the sample nonce";

fn upgrade<T>(request: &str, then: impl FnOnce(&Upgrade<'_>) -> T) -> Result<T, u16> {
    let mut fields = Fields::new();
    let head = Head::parse(request.as_bytes(), &mut fields).expect("a request");
    assert!(is_upgrade(&head), "{request:?}");
    Upgrade::check(&head).map(|upgrade| then(&upgrade)).map_err(|refusal| refusal.status)
}

fn status(request: &str) -> u16 {
    upgrade(request, |_| ()).err().unwrap_or(101)
}

fn with_field(field: &str) -> String {
    REQUEST.replace("\r\n\r\n", &format!("\r\n{field}\r\n\r\n"))
}

#[test]
fn valid_request_is_accepted() {
    // §4.2.1
    assert_eq!(upgrade(REQUEST, |upgrade| upgrade.key.to_owned()).as_deref(), Ok("dGhlIHNhbXBsZSBub25jZQ=="));
    let browser = REQUEST.replace("websocket", "WebSocket").replace(": Upgrade", ": keep-alive, upgrade");
    assert_eq!(status(&browser), 101);
    assert_eq!(status(&with_field("Content-Length: 0")), 101);
}

#[test]
fn other_requests_are_no_upgrade() {
    for request in [
        REQUEST.replace("Upgrade: websocket\r\n", ""),
        REQUEST.replace(": websocket", ": h2c"),
        // RFC 9110 §7.8
        REQUEST.replace("HTTP/1.1", "HTTP/1.0"),
    ] {
        let mut fields = Fields::new();
        assert!(!is_upgrade(&Head::parse(request.as_bytes(), &mut fields).unwrap()));
    }
}

#[test]
fn broken_request_is_refused() {
    // §4.2.1
    assert_eq!(status(&REQUEST.replace("GET", "POST")), 405);
    assert_eq!(status(&REQUEST.replace(": Upgrade", ": keep-alive")), 400);
    assert_eq!(status(&REQUEST.replace("Connection: Upgrade\r\n", "")), 400);
    assert_eq!(status(&REQUEST.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "")), 400);
    assert_eq!(status(&REQUEST.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==")), 400);
    assert_eq!(status(&with_field("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")), 400);
    assert_eq!(status(&with_field("Content-Length: 3")), 400);
    assert_eq!(status(&with_field("Transfer-Encoding: chunked")), 400);
}

#[test]
fn version_other_than_13_is_told_so() {
    // §4.2.2, §4.4
    for version in ["8", "7, 8, 13", "130", "", "1 3"] {
        assert_eq!(status(&REQUEST.replace(": 13", &format!(": {version}"))), 426, "{version}");
    }
    assert_eq!(status(&REQUEST.replace("Sec-WebSocket-Version: 13\r\n", "")), 426);
    assert_eq!(status(&with_field("Sec-WebSocket-Version: 13")), 426);
}

#[test]
fn first_subprotocol_of_the_client_that_is_ours_is_chosen() {
    // §4.2.2
    let ours = ["chat".to_owned(), "rollcall.v1".to_owned()];
    for (field, expected) in [
        ("Sec-WebSocket-Protocol: other, rollcall.v1, chat", Some("rollcall.v1")),
        ("Sec-WebSocket-Protocol: other\r\nSec-WebSocket-Protocol: chat", Some("chat")),
        ("Sec-WebSocket-Protocol: CHAT", None),
        ("Sec-WebSocket-Protocol: chatter", None),
        ("X: chat", None),
    ] {
        let chosen = upgrade(&with_field(field), |upgrade| upgrade.subprotocol(&ours));
        assert_eq!(chosen, Ok(expected), "{field}");
    }
}

#[test]
fn origin_is_allowed_exactly_or_not_at_all() {
    // §4.2.2, §10.2
    let listed = ["https://example.com".to_owned()];
    for (field, allowed) in [
        ("X: no origin", true),
        ("Origin: https://example.com", true),
        ("Origin: https://example.com.evil.org", false),
        ("Origin: https://example.com/", false),
        ("Origin: http://example.com", false),
        ("Origin: null", false),
        ("Origin:", false),
        ("Origin: https://ex\u{e4}mple.com", false),
        ("Origin: https://example.com\r\nOrigin: https://example.com", false),
    ] {
        let request = with_field(field);
        assert_eq!(
            upgrade(&request, |upgrade| upgrade.origin_allowed(&listed, false)),
            Ok(allowed),
            "{field}"
        );
        assert_eq!(upgrade(&request, |upgrade| upgrade.origin_allowed(&[], false)), Ok(true), "{field}");
        assert_eq!(upgrade(&request, |upgrade| upgrade.is_of_ours(&listed, true)), Ok(allowed), "{field}");
        let is_no_browser = field.starts_with('X');
        assert_eq!(upgrade(&request, |upgrade| upgrade.is_of_ours(&[], false)), Ok(is_no_browser), "{field}");
    }
}

#[test]
fn accept_response_is_written_byte_for_byte() {
    // §4.2.2
    let mut out = Vec::new();
    write_accept("dGhlIHNhbXBsZSBub25jZQ==", Some("chat"), Some("x"), &mut out);
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\
                    Sec-WebSocket-Extensions: x\r\n\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn our_client_and_our_server_agree() {
    let request = Request {
        host: "h:1",
        target: "/ws?a=b",
        subprotocols: &["new", "chat"],
        fields: &[("Authorization", "Bearer x")],
    };
    let mut out = Vec::new();
    request.write(NONCE, &mut out);
    let ours = ["chat".to_owned()];
    let mut answer = Vec::new();
    upgrade(std::str::from_utf8(&out).unwrap(), |upgrade| {
        assert_eq!(upgrade.head.target, "/ws?a=b");
        assert_eq!(upgrade.head.field("authorization"), Some("Bearer x"));
        write_accept(upgrade.key, upgrade.subprotocol(&ours), None, &mut answer);
    })
    .unwrap();
    let len = answer.len();
    answer.extend_from_slice(b"\x81\x00");
    let accepted = Accepted { len, subprotocol: Some("chat".into()), deflate: None };
    assert_eq!(check_response(&answer, NONCE, request.subprotocols), Ok(Some(accepted)));
    for cut in 0..len {
        assert_eq!(check_response(&answer[..cut], NONCE, request.subprotocols), Ok(None), "{cut}");
    }
}

fn checked(response: &str) -> Result<Option<Accepted>, HandshakeError> {
    check_response(response.as_bytes(), NONCE, &["chat"])
}

#[test]
fn client_refuses_what_is_no_acceptance() {
    // §4.1
    let mut out = Vec::new();
    write_accept("dGhlIHNhbXBsZSBub25jZQ==", None, None, &mut out);
    let good = String::from_utf8(out).unwrap();
    assert!(matches!(checked(&good), Ok(Some(Accepted { subprotocol: None, .. }))));
    let with = |field: &str| good.replace("\r\n\r\n", &format!("\r\n{field}\r\n\r\n"));
    for (response, error) in [
        ("SSH-2.0".to_owned(), HandshakeError::NotHttp),
        (good.replace("HTTP/1.1", "HTTP/1.0"), HandshakeError::NotHttp),
        (good.replace("Upgrade: websocket\r\n", ""), HandshakeError::Field("Upgrade")),
        (good.replace("Connection: Upgrade", "Connection: close"), HandshakeError::Field("Connection")),
        (good.replace("s3p", "s3q"), HandshakeError::Field("Sec-WebSocket-Accept")),
        (good.replace("Sec-WebSocket-Accept", "X"), HandshakeError::Field("Sec-WebSocket-Accept")),
        (with("Sec-WebSocket-Protocol: other"), HandshakeError::NotOffered("Sec-WebSocket-Protocol")),
        (with("Sec-WebSocket-Protocol: chat, chat"), HandshakeError::NotOffered("Sec-WebSocket-Protocol")),
        (with("Sec-WebSocket-Protocol: \u{fc}"), HandshakeError::NotOffered("Sec-WebSocket-Protocol")),
        (with("Sec-WebSocket-Extensions: x"), HandshakeError::NotOffered("Sec-WebSocket-Extensions")),
        (with("A: b\r\n").replace("A: b\r\n", &"A: b\r\n".repeat(64)), HandshakeError::TooLarge),
        (format!("HTTP/1.1 101 Switching Protocols\r\nA: {}", "b".repeat(20_000)), HandshakeError::TooLarge),
    ] {
        assert_eq!(checked(&response), Err(error), "{response}");
    }
}

#[test]
fn client_is_told_the_status_of_a_refusal() {
    // §4.1
    let mut out = Vec::new();
    Response::text(503, "full").write(false, false, &mut out);
    assert_eq!(check_response(&out, NONCE, &[]), Err(HandshakeError::Status(503)));
}

#[test]
fn accept_key_matches_tungstenite() {
    for key in ["dGhlIHNhbXBsZSBub25jZQ==", "x3JJHMbDL1EzLkh9GBhXDw=="] {
        let theirs = tungstenite::handshake::derive_accept_key(key.as_bytes());
        assert_eq!(std::str::from_utf8(&accept_key(key)).unwrap(), theirs);
    }
}
