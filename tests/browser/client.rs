//! The logic of `rollcall.js` in the engine that it is for, against a stand-in for WebSocket and for time. The module is
//! imported as a page elsewhere would.

use super::alone;
use super::chromium::{Browser, found};
use super::server::Server;

#[test]
fn the_client_keeps_its_word() {
    let Some(chromium) = found("the client keeps its word") else { return };
    let _alone = alone();
    let server = Server::start(&[]);
    let browser = Browser::start(&chromium, "client");
    let elsewhere = Server::start(&[]);
    let tab = browser.open(&elsewhere.url("/healthz"));
    let logic = include_str!("logic.js");
    let passed = tab.eval(&format!(
        "const logic = (\n{logic}\n); import('{}').then(logic).catch((error) => error.message)",
        server.url("/rollcall.js")
    ));
    let Some(passed) = passed.as_array() else { panic!("{passed}") };
    assert_eq!(passed.len(), 20, "{passed:?}");
}
