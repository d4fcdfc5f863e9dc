//! Request heads and body framing, RFC 9112: what is read, and what is refused so that nothing can be smuggled.

use super::cases;
use proptest::prelude::*;
use rollcall::internals::limits::HEADERS_MAX;
use rollcall::internals::wire::client::check_response;
use rollcall::internals::wire::http::{Body, Chunks, Fields, Head, Refusal, head_len};
use rollcall::internals::wire::upgrade::{Upgrade, is_upgrade};

fn with<T>(request: &str, then: impl FnOnce(&Head<'_>) -> T) -> Result<T, u16> {
    assert_eq!(head_len(request.as_bytes(), 0), Some(request.len()), "{request:?}");
    let mut fields = Fields::new();
    Head::parse(request.as_bytes(), &mut fields).map(|head| then(&head)).map_err(|refusal| refusal.status)
}

fn status(request: &str) -> u16 {
    with(request, |_| ()).err().unwrap_or(200)
}

/// Whether the connection stays open, and whether the client waits for a 100.
fn wishes(request: &str) -> (bool, bool) {
    with(request, |head| (head.keeps_alive(), head.expects_continue())).expect("a request")
}

fn body(fields: &str, limit: usize) -> Result<Body, u16> {
    let request = format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    with(&request, |head| head.body(limit).map_err(|Refusal { status, .. }| status)).and_then(|body| body)
}

#[test]
fn head_ends_at_its_empty_line_wherever_it_is_cut() {
    let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\nbehind";
    let end = request.len() - 6;
    assert_eq!(head_len(request, 0), Some(end));
    for scanned in 0..end {
        assert_eq!(head_len(&request[..scanned], 0), None);
        assert_eq!(head_len(request, scanned), Some(end), "{scanned}");
        for again in scanned..end {
            assert_eq!(head_len(&request[..again], scanned), None);
        }
    }
}

#[test]
fn head_is_taken_apart() {
    let request = "GET /ws?token=a%20b?c HTTP/1.1\r\nHost: example.com:80\r\nX-List: a, b,,\tc \r\nx-list: d\r\nEmpty:\r\n\r\n";
    with(request, |head| {
        assert_eq!((head.method, head.target, head.minor_version), ("GET", "/ws?token=a%20b?c", 1));
        assert_eq!((head.path(), head.query()), ("/ws", "token=a%20b?c"));
        assert_eq!(head.field("HOST"), Some("example.com:80"));
        assert_eq!(head.field("empty"), Some(""));
        assert_eq!(head.field("none"), None);
        assert_eq!(head.values("x-LIST").collect::<Vec<_>>(), [&b"a, b,,\tc"[..], b"d"]);
        assert_eq!(head.list("x-list").collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert!(head.has_token("X-List", "C") && !head.has_token("X-List", "a, b"));
    })
    .unwrap();
}

#[test]
fn field_that_is_not_ascii_is_not_seen_as_text() {
    with("GET / HTTP/1.1\r\nHost: h\r\nName: ü\r\nName: u\r\n\r\n", |head| {
        assert_eq!(head.field("name"), None);
        assert_eq!(head.list("name").collect::<Vec<_>>(), ["u"]);
    })
    .unwrap();
}

#[test]
fn an_element_that_is_not_ascii_hides_none_beside_it() {
    with("GET / HTTP/1.1\r\nHost: h\r\nConnection: ü, close\r\nList: a,ü , b\r\nExpect: ü,100-continue\r\n\r\n", |head| {
        assert_eq!(head.list("list").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(head.elements("list").collect::<Vec<_>>(), [&b"a"[..], "ü".as_bytes(), b"b"]);
        assert!(!head.keeps_alive() && head.expects_continue());
    })
    .unwrap();
}

#[test]
fn absolute_target_is_reduced_to_its_path() {
    // RFC 9112 §3.2.2
    for (target, expected) in [
        ("http://h/a?b", "/a?b"),
        ("HTTP://H/", "/"),
        ("ws://h", "/"),
        ("wss://h/ws", "/ws"),
        ("https://h/?x=http://y/", "/?x=http://y/"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(with(&request, |head| head.target.to_owned()).as_deref(), Ok(expected));
    }
}

#[test]
fn host_beside_an_absolute_target_is_ignored() {
    // RFC 9112 §3.2.2
    for (target, host, expected) in
        [("http://other:80/a", "h", "other:80"), ("http://h/a", "h", "h"), ("/a", "h:81", "h:81")]
    {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(with(&request, |head| head.host().to_owned()).as_deref(), Ok(expected));
    }
    assert_eq!(with("GET / HTTP/1.0\r\n\r\n", |head| head.host().to_owned()).as_deref(), Ok(""));
}

#[test]
fn target_that_is_no_path_is_refused() {
    for target in
        ["*", "h:80", "http:///", "http://u@h/", "http://a,b/", "http://h?q", "ftp://h/", "/a#b", "/ü", "a"]
    {
        assert_eq!(status(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")), 400, "{target}");
    }
}

#[test]
fn host_must_be_there_once_in_http_1_1() {
    // RFC 9112 §3.2
    assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: u@h\r\n\r\n"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"), 200);
    assert_eq!(status("GET / HTTP/1.0\r\n\r\n"), 200);
    assert_eq!(status("GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n"), 400);
}

#[test]
fn other_versions_are_refused() {
    // RFC 9110 §15.6.6
    assert_eq!(status("PRI * HTTP/2.0\r\n\r\n"), 505);
    assert_eq!(status("GET / HTTP/1.2\r\nHost: h\r\n\r\n"), 505);
    assert_eq!(status("GET / HTTP/0.9\r\nHost: h\r\n\r\n"), 505);
    assert_eq!(status("GET / HTTX/1.1\r\nHost: h\r\n\r\n"), 400);
    assert_eq!(status("GET /\r\n\r\n"), 400);
}

#[test]
fn lines_that_two_readers_could_read_differently_are_refused() {
    // RFC 9112 §2.2, §5.1, §5.2
    for request in [
        "GET / HTTP/1.1\nHost: h\n\n",
        "GET / HTTP/1.1\r\nHost: h\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA: b\nC: d\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n: none\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA: \0\r\n\r\n",
        "\r\n\r\n",
        "\n\n",
    ] {
        assert_eq!(status(request), 400, "{request:?}");
    }
}

#[test]
fn too_many_fields_are_refused() {
    // RFC 6585 §5
    let head = |fields| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(fields));
    assert_eq!(status(&head(HEADERS_MAX - 1)), 200);
    assert_eq!(status(&head(HEADERS_MAX)), 431);
}

#[test]
fn body_has_one_length_or_chunks() {
    // RFC 9112 §6.3
    assert_eq!(body("", 0), Ok(Body::Length(0)));
    assert_eq!(body("Content-Length: 007\r\n", 7), Ok(Body::Length(7)));
    assert_eq!(body("Content-Length: 7\r\ncontent-length: 7\r\n", 7), Ok(Body::Length(7)));
    assert_eq!(body("Transfer-Encoding: Chunked\r\n", 0), Ok(Body::Chunked));
}

#[test]
fn length_that_is_none_is_refused() {
    // RFC 9112 §6.3
    for length in ["", "+7", "-7", "0x7", "7 7", "7, 7", "7,8", "seven", "7.0", "\u{662}"] {
        assert_eq!(body(&format!("Content-Length: {length}\r\n"), 100), Err(400), "{length}");
    }
    assert_eq!(body("Content-Length: 7\r\nContent-Length: 8\r\n", 100), Err(400));
    assert_eq!(body("Content-Length: 7\r\nContent-Length: 07\r\n", 100), Err(400));
    assert_eq!(body("Content-Length: 8\r\n", 7), Err(413));
    assert_eq!(body("Content-Length: 99999999999999999999999999\r\n", usize::MAX), Err(413));
}

#[test]
fn length_beside_chunks_is_refused() {
    // RFC 9112 §6.3
    assert_eq!(body("Content-Length: 7\r\nTransfer-Encoding: chunked\r\n", 100), Err(400));
    assert_eq!(body("Transfer-Encoding: identity\r\nContent-Length: 7\r\n", 100), Err(400));
    assert_eq!(status("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

#[test]
fn transfer_coding_other_than_chunked_is_refused() {
    // RFC 9112 §6.1
    for codings in [
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: \u{b}chunked\u{fc}\r\n",
        "Transfer-Encoding: chunked\u{fc}\r\n",
        "Transfer-Encoding:\r\n",
    ] {
        assert!(matches!(body(codings, 100), Err(400 | 501)), "{codings:?}");
    }
    assert_eq!(body("Transfer-Encoding: xchunked\r\n", 100), Err(501));
    assert_eq!(body("Transfer-Encoding: chunked\u{fc}\r\n", 100), Err(501));
}

#[test]
fn connection_stays_open_as_its_version_says() {
    // RFC 9112 §9.3
    for (request, stays) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\n", false),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        ("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false),
    ] {
        assert_eq!(wishes(request), (stays, false), "{request:?}");
    }
}

#[test]
fn continue_is_expected_in_http_1_1_only() {
    // RFC 9110 §10.1.1
    let request = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\n\r\n";
    assert_eq!(wishes(request), (true, true));
    assert_eq!(wishes(&request.replace("/1.1", "/1.0")), (false, false));
}

/// The plainest reading of where a head ends.
fn head_len_oracle(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).find_map(|at| {
        let rest = &bytes[at..];
        let empty = if rest.starts_with(b"\n\n") { 2 } else { 3 };
        (rest.starts_with(b"\n\n") || rest.starts_with(b"\n\r\n")).then_some(at + empty)
    })
}

/// Something like a head: pieces that matter, in any order.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        &b"GET / HTTP/1.1\r\n"[..],
        b"Host: h\r\n",
        b"Upgrade: websocket\r\nConnection: upgrade\r\n",
        b"Sec-WebSocket-Version: 13\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"HTTP/1.1 101 S\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b": ",
        b",",
    ])
    .prop_map(<[u8]>::to_vec);
    let piece = prop_oneof![6 => known, 1 => prop::collection::vec(any::<u8>(), 0..40)];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn head_len_is_the_oracles_however_it_is_cut(bytes in pieces(), cut in any::<prop::sample::Index>()) {
        let expected = head_len_oracle(&bytes);
        prop_assert_eq!(head_len(&bytes, 0), expected);
        let cut = cut.index(bytes.len() + 1);
        if head_len(&bytes[..cut], 0).is_none() {
            prop_assert_eq!(head_len(&bytes, cut), expected);
        }
    }

    #[test]
    fn no_bytes_panic(mut bytes in pieces()) {
        let _ = check_response(&bytes, [0; 16], &[]);
        bytes.truncate(head_len(&bytes, 0).unwrap_or(bytes.len()));
        let mut fields = Fields::new();
        if let Ok(head) = Head::parse(&bytes, &mut fields) {
            prop_assert!(head.target.starts_with('/') && head.path().starts_with('/'));
            let _ = (head.query(), head.body(100), head.keeps_alive(), head.expects_continue(), is_upgrade(&head));
            let _ = Upgrade::check(&head).map(|upgrade| upgrade.origin_allowed(&["x".to_owned()], false));
        }
    }

    #[test]
    fn chunks_are_the_same_under_any_chunking(
        data in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
        broken in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        sizes in prop::collection::vec(1..30usize, 1..5),
    ) {
        let mut input = Vec::new();
        for chunk in &data {
            input.extend_from_slice(format!("{:X};x=y\r\n", chunk.len()).as_bytes());
            input.extend_from_slice(chunk);
            input.extend_from_slice(b"\r\n");
        }
        input.extend_from_slice(b"0\r\nTrailer: z\r\n\r\nbehind");
        if let Some((at, byte)) = broken {
            let at = at.index(input.len());
            input[at] = byte;
        }
        let mut body = Vec::new();
        let whole = Chunks::default().read(&input, &mut body, 1000).map(|(taken, done)| (taken, done, body.clone()));
        if broken.is_none() {
            prop_assert_eq!(&whole, &Ok((input.len() - 6, true, data.concat())));
        }
        let (mut chunks, mut body, mut at, mut done) = (Chunks::default(), Vec::new(), 0, false);
        for size in sizes.iter().cycle() {
            if at == input.len() || done {
                break;
            }
            let end = input.len().min(at + size);
            match chunks.read(&input[at..end], &mut body, 1000) {
                Ok((taken, now)) => (at, done) = (at + taken, now),
                Err(refusal) => {
                    prop_assert_eq!(&whole, &Err(refusal));
                    return Ok(());
                }
            }
        }
        prop_assert_eq!(whole, Ok((at, done, body)));
    }
}
