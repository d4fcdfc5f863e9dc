//! The HTTP face over real sockets: routes, keep-alive, pipelining, who is let in where.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use rollcall::internals::http::router::Off;
use rollcall::internals::http::{Router, RouterSettings, health};
use rollcall::internals::reactor::{Accept, Admission, Config, ConnId, Context, Server, Service};
use rollcall::internals::time::Now;
use rollcall::internals::wire::session::Kind;
use rollcall::internals::wire::upgrade::Upgrade;
use tungstenite::Message;

use super::client::{Http, get, open_site, upgrade};
use crate::bounds::PATIENCE;

fn local() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn start(config: Config, listen: &[SocketAddr], settings: RouterSettings) -> Server {
    let settings = Arc::new(settings);
    Server::start(config, listen, move |worker, shared| Router::new(settings.clone(), worker, shared))
        .unwrap()
}

/// A site on a port of its own.
pub(crate) fn start_site(config: Config, settings: RouterSettings) -> Server {
    start(config, &[local()], settings)
}

fn site() -> (Server, SocketAddr) {
    let server = start(Config::default(), &[local()], open_site());
    let address = server.addresses()[0];
    (server, address)
}

#[test]
fn each_path_answers() {
    let (_server, address) = site();
    for (path, status, body) in [
        ("/", 200, "/echo"),
        ("/healthz", 200, "ok\n"),
        ("/readyz", 200, "ready\n"),
        ("/metrics", 200, "# EOF\n"),
        ("/metrics?x=1", 200, "# EOF\n"),
        ("/echo", 426, "ws://"),
        ("/ws", 426, "ws://"),
        ("/healthz/", 404, "not found"),
        ("/nothing", 404, "not found"),
    ] {
        let answer = get(address, path);
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.body.contains(body), "{path}: {}", answer.body);
    }
}

#[test]
fn a_connection_serves_one_request_after_another() {
    let (_server, address) = site();
    let mut http = Http::connect(address);
    for path in ["/healthz", "/nothing", "/readyz", "/echo", "/metrics", "/healthz"] {
        let answer = http.ask("GET", path);
        assert_ne!(answer.field("Connection"), Some("close"), "{path}");
    }
    http.send("GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    assert_eq!(http.answer(false).field("Connection"), Some("close"));
    assert!(http.is_ended());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (_server, address) = site();
    let mut http = Http::connect(address);
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    http.send(&["/healthz", "/nothing", "/readyz"].map(request).concat());
    assert_eq!([(); 3].map(|()| http.answer(false).status), [200, 404, 200]);
    // Split anywhere, too.
    let (first, second) = (request("/nothing"), request("/healthz"));
    http.send(&format!("{first}{}", &second[..9]));
    assert_eq!(http.answer(false).status, 404);
    http.send(&second[9..]);
    assert_eq!(http.answer(false).status, 200);
}

#[test]
fn a_head_is_answered_without_its_body() {
    let (_server, address) = site();
    let mut http = Http::connect(address);
    for path in ["/", "/healthz", "/readyz", "/metrics", "/echo", "/nothing"] {
        let (with, without) = (http.ask("GET", path), http.ask("HEAD", path));
        assert_eq!((without.status, without.body.as_str()), (with.status, ""), "{path}");
        assert_eq!(without.field("Content-Type"), with.field("Content-Type"), "{path}");
    }
}

#[test]
fn other_methods_are_refused_with_what_is_allowed() {
    let (_server, address) = site();
    for method in ["POST", "PUT", "DELETE", "BREW"] {
        let answer = Http::connect(address).ask(method, "/healthz");
        assert_eq!((answer.status, answer.field("Allow")), (405, Some("GET, HEAD, OPTIONS")), "{method}");
    }
    let answer = Http::connect(address).ask("OPTIONS", "/metrics");
    assert_eq!((answer.status, answer.field("Allow")), (200, Some("GET, HEAD, OPTIONS")));
    assert_eq!(Http::connect(address).ask("POST", "/nothing").status, 404);
}

#[test]
fn a_plain_request_for_a_websocket_says_what_to_upgrade_to() {
    let (_server, address) = site();
    let answer = get(address, "/echo");
    assert_eq!(answer.status, 426);
    // RFC 9110 §15.5.22 and RFC 6455 §4.4.
    assert_eq!(answer.field("Upgrade"), Some("websocket"));
    assert_eq!(answer.field("Sec-WebSocket-Version"), Some("13"));
}

#[test]
fn echo_sends_each_message_back_with_its_kind() {
    for workers in [1, 3] {
        let server = start(Config { workers, ..Config::default() }, &[local()], open_site());
        for _ in 0..workers * 4 {
            let (mut socket, _) = upgrade(server.addresses()[0], "/echo?x=1", &[]).unwrap();
            let big = Message::binary(vec![7; 300_000]);
            for message in [Message::text("é"), Message::text(""), Message::binary(vec![0, 255]), big] {
                socket.send(message.clone()).unwrap();
                assert_eq!(socket.read().unwrap(), message);
            }
        }
    }
}

#[test]
fn the_clients_first_known_subprotocol_is_chosen() {
    let subprotocols = vec!["rollcall.v1".to_owned(), "chat".to_owned()];
    let server = start(Config::default(), &[local()], RouterSettings { subprotocols, ..open_site() });
    for (offered, chosen) in [("chat, rollcall.v1", Some("chat")), ("soap, rollcall.v1", Some("rollcall.v1"))]
    {
        let (_, response) =
            upgrade(server.addresses()[0], "/echo", &[("Sec-WebSocket-Protocol", offered)]).unwrap();
        let header = response.headers().get("Sec-WebSocket-Protocol").map(|value| value.to_str().unwrap());
        assert_eq!(header, chosen);
    }
    // RFC 6455 §4.2.2: a server that wants none of them sends no such header. tungstenite calls that an error.
    let mut http = Http::connect(server.addresses()[0]);
    http.send(
        "GET /echo HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: soap\r\n\r\n",
    );
    let answer = http.answer(true);
    assert_eq!((answer.status, answer.field("Sec-WebSocket-Protocol")), (101, None));
    assert_eq!(answer.field("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

#[test]
fn upgrades_are_refused_where_nothing_lives_and_to_foreign_origins() {
    let origins = vec!["https://example.org".to_owned()];
    let server = start(Config::default(), &[local()], RouterSettings { origins, ..open_site() });
    let address = server.addresses()[0];
    for path in ["/ws/", "/wss", "/healthz", "/echo/x"] {
        assert_eq!(upgrade(address, path, &[]).err(), Some(404), "{path}");
    }
    for (origin, refused) in [
        ("https://example.org", None),
        ("https://example.org.evil.test", Some(403)),
        ("http://example.org", Some(403)),
        ("null", Some(403)),
        (&format!("http://{address}"), None),
        (&format!("https://{address}"), None),
        ("http://127.0.0.1", Some(403)),
    ] {
        assert_eq!(upgrade(address, "/echo", &[("Origin", origin)]).err(), refused, "{origin}");
    }
    assert!(upgrade(address, "/echo", &[]).is_ok(), "what sends no Origin is no browser");
    let refused = get(address, "/metrics").body;
    assert!(refused.contains("rollcall_handshakes_refused_total{reason=\"not_found\"} 4\n"), "{refused}");
    assert!(refused.contains("rollcall_handshakes_refused_total{reason=\"forbidden\"} 4\n"), "{refused}");
}

#[test]
fn metrics_move_to_the_admin_listener() {
    let settings = RouterSettings { public_listeners: Some(1), ..open_site() };
    let server = start(Config::default(), &[local(), local()], settings);
    let (public, admin) = (server.addresses()[0], server.addresses()[1]);
    assert_eq!(["/metrics", "/healthz", "/echo"].map(|path| get(public, path).status), [404, 200, 426]);
    assert_eq!(["/metrics", "/healthz", "/echo"].map(|path| get(admin, path).status), [200, 200, 404]);
    assert!(upgrade(public, "/echo", &[]).is_ok());
    assert_eq!(upgrade(admin, "/echo", &[]).err(), Some(404));
}

#[test]
fn metrics_count_what_happened() {
    let (_server, address) = site();
    let (mut socket, _) = upgrade(address, "/echo", &[]).unwrap();
    for _ in 0..5 {
        socket.send(Message::text("twelve bytes")).unwrap();
        socket.read().unwrap();
    }
    let text = get(address, "/metrics").body;
    for line in [
        "rollcall_connections 2",
        "rollcall_websockets 1",
        "rollcall_accepts_total 2",
        "rollcall_upgrades_total 1",
        "rollcall_messages_received_total 5",
        "rollcall_messages_sent_total 5",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
    // For a moment figures are told again as they were.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = get(address, "/metrics").body;
        let has = |line: &str| text.lines().any(|found| found == line);
        if has("rollcall_ended_total{cause=\"closed\"} 1") && has("rollcall_websockets 0") {
            break;
        }
        assert!(Instant::now() < deadline, "the end is missing in\n{text}");
    }
}

#[test]
fn a_full_server_is_not_ready_but_healthy() {
    let server = start(Config { max_connections: 1, ..Config::default() }, &[local()], open_site());
    let mut http = Http::connect(server.addresses()[0]);
    let answer = http.ask("GET", "/readyz");
    assert_eq!((answer.status, answer.body.as_str()), (503, "full: 1 of 1 connections\n"));
    assert_eq!(http.ask("GET", "/healthz").status, 200);
}

/// A service that stays in a message until it is told to go on.
struct Sticky {
    entered: Sender<()>,
    go_on: Arc<Mutex<Receiver<()>>>,
}

impl Service for Sticky {
    type Mail = ();
    type Admitted = ();

    fn admit(&mut self, _: &mut Context<'_, ()>, _: ConnId, _: &Upgrade<'_>) -> Admission {
        Admission::Accept(Accept::default())
    }

    fn message(&mut self, _: &mut Context<'_, ()>, _: ConnId, _: Kind, _: &[u8]) {
        self.entered.send(()).unwrap();
        // The test's end lets go, too.
        let _ = self.go_on.lock().unwrap().recv();
    }
}

#[test]
fn a_stuck_worker_is_named() {
    let (entered, has_entered) = channel();
    let (go_on, told) = channel();
    let told = Arc::new(Mutex::new(told));
    let make = move |_, _: &_| Sticky { entered: entered.clone(), go_on: told.clone() };
    let server = Server::start(Config::default(), &[local()], make).unwrap();
    // Dropped before the server, which waits for its worker.
    let lets_go = go_on;
    let shared = server.shared().clone();
    let (mut socket, _) = upgrade(server.addresses()[0], "/", &[]).unwrap();
    socket.send(Message::text("stick")).unwrap();
    has_entered.recv().unwrap();
    let now = shared.clock().now();
    let later = Now { micros: now.micros + 3_000_000, ..now };
    assert_eq!(health::healthz(&shared, now).status, 200);
    let response = health::healthz(&shared, later);
    let body = String::from_utf8(response.body.into_owned()).unwrap();
    assert_eq!(response.status, 503);
    assert!(body.starts_with("stuck: worker 0 in one turn for 3."), "{body}");
    lets_go.send(()).unwrap();
}

#[test]
fn a_page_that_is_off_is_a_line_of_text_and_the_client_stays() {
    let off = Off { page: true, ..Off::default() };
    let server = start_site(Config::default(), RouterSettings { off, ..open_site() });
    let mut http = Http::connect(server.addresses()[0]);
    http.send("GET / HTTP/1.1\r\nHost: test\r\nAccept: text/html\r\n\r\n");
    let answer = http.answer(false);
    assert_eq!((answer.status, answer.field("Content-Type")), (200, Some("text/plain; charset=utf-8")));
    assert!(answer.body.starts_with("rollcall "), "{answer:?}");
    assert_eq!([http.ask("GET", "/page.js").status, http.ask("GET", "/rollcall.js").status], [404, 200]);
    assert_eq!([http.ask("GET", "/docs").status, http.ask("GET", "/docs/api").status], [404, 404]);
    assert!(!answer.body.contains("/docs"), "{answer:?}");
}

#[test]
fn the_manual_is_a_page_to_browsers_and_markdown_to_others() {
    let (_server, address) = site();
    let mut http = Http::connect(address);
    let mut ask = |line: &str, fields: &str| {
        http.send(&format!("{line} HTTP/1.1\r\nHost: test\r\n{fields}\r\n"));
        http.answer(line.starts_with("HEAD"))
    };
    let html = "Accept: text/html,*/*;q=0.8\r\n";
    let page = ask("GET /docs/settings", html);
    assert_eq!((page.status, page.field("Content-Type")), (200, Some("text/html; charset=utf-8")));
    assert!(
        page.body.contains("<h1 id=\"settings\">Settings</h1>") && !page.body.contains("<script"),
        "{page:?}"
    );
    assert!(
        page.field("Content-Security-Policy").is_some_and(|policy| policy.starts_with("default-src 'none'"))
    );
    assert_eq!((page.field("Vary"), page.field("Cache-Control")), (Some("Accept"), Some("no-cache")));
    let tag = page.field("ETag").unwrap().to_owned();
    assert_eq!(ask("GET /docs/settings", &format!("{html}If-None-Match: {tag}\r\n")).status, 304);
    let head = ask("HEAD /docs/settings", html);
    assert_eq!((head.status, head.field("Content-Length")), (200, Some(&*page.body.len().to_string())));
    let text = ask("GET /docs/settings", "Accept: */*\r\n");
    assert_eq!(text.field("Content-Type"), Some("text/markdown; charset=utf-8"));
    assert!(text.body.starts_with("# Settings\n") && text.field("ETag") != Some(&*tag), "{text:?}");
    assert_eq!(ask("OPTIONS /docs/settings", "").field("Allow"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(ask("POST /docs/settings", "Content-Length: 0\r\n").status, 405);
    assert_eq!([ask("GET /docs", "").status, ask("GET /docs/", "").status], [200, 200]);
    assert_eq!([ask("GET /docs/nothing", "").status, ask("GET /docs/../Cargo.toml", "").status], [404, 404]);
}
