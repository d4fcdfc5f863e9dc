//! The logic of `rollcall.js` in the engine that it is for, against a stand-in for WebSocket and for time. The module is
//! imported as a page elsewhere would.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::alone;
use super::chromium::{Browser, found};
use super::server::Server;

#[test]
fn the_client_keeps_its_word() {
    let Some(chromium) = found("the client keeps its word") else { return };
    let _alone = alone();
    let server = Server::start(&[]);
    let browser = Browser::start(&chromium, "client");
    let tab = browser.open(&elsewhere());
    let logic = include_str!("logic.js");
    let passed = tab.eval(&format!(
        "const logic = (\n{logic}\n); import('{}').then(logic).catch((error) => error.message)",
        server.url("/rollcall.js")
    ));
    let Some(passed) = passed.as_array() else { panic!("{passed}") };
    assert_eq!(passed.len(), 22, "{passed:?}");
}

/// A page of another origin, which has no policy: every request is answered with it.
fn elsewhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\nConnection: close\r\n\r\n<!doctype html>";
            let _ = stream.write_all(page.as_bytes());
        }
    });
    format!("http://{address}/")
}
