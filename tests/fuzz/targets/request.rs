//! Any bytes as a request: where its head ends is the same however it dribbles in, a head that is taken can be read in one
//! way only, and a chunked body is the same however it is cut.

use rollcall::internals::wire::http::{Body, Chunks, Fields, Head, head_len};
use rollcall::internals::wire::upgrade::{Upgrade, accept_key, is_upgrade};

use super::cursor::{Cursor, parts};

const BODY_LIMIT: usize = 10_000;

pub(super) fn run(data: &[u8]) {
    let mut cursor = Cursor::new(data);
    let sizes = cursor.take(4);
    let input = cursor.rest();
    let end = head_len(input, 0);
    assert_eq!(end, dribbled(input, sizes), "where the head ends");
    if let Some(end) = end {
        head(&input[..end], &input[end..], sizes);
    }
    chunks(input, sizes);
}

/// Where the head ends, when what came before was looked at before.
fn dribbled(input: &[u8], sizes: &[u8]) -> Option<usize> {
    let mut arrived = 0;
    for part in parts(input, sizes) {
        let scanned = arrived;
        arrived += part.len();
        let found = head_len(&input[..arrived], scanned);
        if found.is_some() {
            return found;
        }
    }
    None
}

fn head(bytes: &[u8], behind: &[u8], sizes: &[u8]) {
    let mut fields = Fields::new();
    let head = match Head::parse(bytes, &mut fields) {
        Ok(head) => head,
        Err(refusal) => return assert!((400..600).contains(&refusal.status) && !refusal.reason.is_empty()),
    };
    is_read_in_one_way(bytes, &head);
    match head.body(BODY_LIMIT) {
        Ok(Body::Length(length)) => assert!(length <= BODY_LIMIT),
        Ok(Body::Chunked) => chunks(behind, sizes),
        Err(refusal) => assert!([400, 413, 501].contains(&refusal.status)),
    }
    let (_, _) = (head.keeps_alive(), head.expects_continue());
    assert!(head.target.starts_with(head.path()) && head.target.ends_with(head.query()));
    if is_upgrade(&head)
        && let Ok(upgrade) = Upgrade::check(&head)
    {
        assert_eq!((head.method, head.minor_version), ("GET", 1), "an upgrade is a GET of HTTP/1.1");
        // Behind it there are frames: nothing may be taken for a body.
        assert!(matches!(head.body(0), Ok(Body::Length(0))), "an upgrade with a body");
        assert_eq!((upgrade.key.len(), accept_key(upgrade.key).len()), (24, 28));
        let _ = upgrade.origin_allowed(&["https://a.example".to_owned()], true);
        let ours = ["chat".to_owned()];
        assert!(upgrade.subprotocol(&ours).is_none_or(|chosen| chosen == "chat"));
    }
}

/// Another hop finds the same request in these bytes: the same lines, one host, one framing.
fn is_read_in_one_way(bytes: &[u8], head: &Head<'_>) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split("\r\n").skip_while(|line| line.is_empty());
    let line = lines.next().expect("a request line");
    assert!(
        line.starts_with(head.method) && line.ends_with(&format!("HTTP/1.{}", head.minor_version)),
        "{line}"
    );
    assert!(line.contains(head.target) || head.target == "/", "{line}");
    let count = lines.take_while(|line| !line.is_empty()).count();
    assert_eq!(count, head.fields.len(), "lines, and fields");
    let named = |name: &str| head.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count();
    assert!(named("Host") <= 1 && (named("Host") == 1 || head.minor_version == 0));
    assert!(named("Transfer-Encoding") == 0 || named("Content-Length") == 0, "framed in two ways");
    for field in head.fields {
        assert!(
            !field.name.is_empty() && field.name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
        );
        assert!(!field.value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "a line within a value");
    }
    written_again(head);
}

/// A head that is written as it was understood is understood the same.
fn written_again(head: &Head<'_>) {
    let mut bytes = format!("{} {} HTTP/1.{}\r\n", head.method, head.target, head.minor_version).into_bytes();
    for field in head.fields {
        bytes.extend([field.name.as_bytes(), b": ", field.value, b"\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    let mut fields = Fields::new();
    let again = Head::parse(&bytes, &mut fields).expect("taken once, taken again");
    assert_eq!((again.method, again.target), (head.method, head.target));
    assert_eq!(again.body(BODY_LIMIT), head.body(BODY_LIMIT), "the framing");
}

fn chunks(input: &[u8], sizes: &[u8]) {
    let whole = decode([input]);
    assert!(whole == decode(parts(input, sizes)), "a chunked body, cut");
    if let Ok((body, taken, _)) = whole {
        assert!(body.len() <= BODY_LIMIT && body.len() <= taken && taken <= input.len());
    }
}

/// The body, the bytes that it took, and whether it is complete; or the status of the refusal.
fn decode<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Result<(Vec<u8>, usize, bool), u16> {
    let (mut chunks, mut body, mut at) = (Chunks::default(), Vec::new(), 0);
    for part in parts {
        let (taken, done) = chunks.read(part, &mut body, BODY_LIMIT).map_err(|refusal| refusal.status)?;
        assert!(taken <= part.len() && (done || taken == part.len()), "{taken} of {}", part.len());
        at += taken;
        if done {
            return Ok((body, at, true));
        }
    }
    Ok((body, at, false))
}
