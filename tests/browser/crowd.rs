//! A thousand users and a hundred changes a second: the page stays small, still and true. Its pictures are taken here.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

use super::alone;
use super::chromium::{Browser, found};
use super::server::Server;

const USERS: usize = 999;

fn member(server: &Server, user: &str) -> WebSocket<TcpStream> {
    let mut request = format!("ws://{}/ws?user={user}", server.address).into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "rollcall.v1".parse().unwrap());
    let socket = TcpStream::connect(server.address).unwrap();
    let (mut socket, _) = tungstenite::client(request, socket).unwrap();
    socket.send(Message::text(r#"{"cmd":"join","params":{"room":"lobby"}}"#)).unwrap();
    socket
}

fn status(socket: &mut WebSocket<TcpStream>, state: &str) {
    let text = format!(r#"{{"cmd":"status","params":{{"state":"{state}"}}}}"#);
    socket.send(Message::text(text)).unwrap();
}

#[test]
fn a_thousand_users_move_nothing_but_themselves() {
    let Some(chromium) = found("a thousand users move nothing but themselves") else { return };
    let _alone = alone();
    // Nobody here reads what comes: it has to fit the kernel's buffers.
    let server = Server::start(&["--workers", "2", "--heartbeat-interval", "5m"]);
    let browser = Browser::start(&chromium, "crowd");
    let anna = browser.open(&server.url("/?user=anna"));
    anna.until("window.rollcall?.state === 'open'");
    anna.eval(
        "window.moved = 0; new PerformanceObserver((list) => { for (const shift of list.getEntries()) moved += shift.value; })\
         .observe({ type: 'layout-shift', buffered: true }); true",
    );
    let mut crowd: Vec<_> = (0..USERS).map(|i| member(&server, &format!("user-{i}"))).collect();
    anna.until("document.querySelector('#count').textContent === '1,000'");

    let start = Instant::now();
    for i in 0..300_u32 {
        let socket = &mut crowd[i as usize * 7 % USERS];
        status(socket, if i % 3 == 0 { "away" } else { "online" });
        let due = start + Duration::from_millis(10) * (i + 1);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    status(&mut crowd[0], "away");
    anna.until("document.querySelector('[data-user=\"user-0\"]')?.dataset.state === 'away'");
    let (rows, nodes) = (
        anna.eval("document.querySelectorAll('.row').length"),
        anna.eval("document.querySelectorAll('*').length"),
    );
    assert!(rows.as_u64().unwrap() < 30 && nodes.as_u64().unwrap() < 600, "{rows} rows, {nodes} elements");
    let moved = anna.eval("moved").as_f64().unwrap();
    assert!(moved < 0.01, "the layout shifted by {moved}");

    // The list goes to its end.
    anna.eval("document.querySelector('#list').scrollTop = 1e6; true");
    anna.until("[...document.querySelectorAll('.row b span')].length > 3 && !document.querySelector('[data-user=anna]')");
    anna.eval("document.querySelector('#list').scrollTop = 0; true");
    anna.until("document.querySelector('[data-user=anna]') !== null");
    anna.until("document.querySelector('#v-messages').textContent !== '–'");

    let scheme = |scheme: &str| {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        anna.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    };
    let size = |width: u32, height: u32, mobile: bool| {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        anna.call("Emulation.setDeviceMetricsOverride", size);
        let wide = anna.eval("document.documentElement.scrollWidth");
        assert!(wide.as_u64().unwrap() <= u64::from(width), "{wide} wide on {width}");
    };
    size(1280, 1500, false);
    anna.screenshot("thousand-light");
    scheme("dark");
    anna.screenshot("thousand-dark");
    size(390, 2200, true);
    anna.screenshot("phone-dark");
    scheme("light");
    anna.screenshot("phone-light");

    drop(crowd);
    anna.until("document.querySelector('#count').textContent === '1'");
    assert_eq!(anna.complaints(), Vec::<String>::new());
}
