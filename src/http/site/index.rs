//! What `/` says to who is no browser: which paths there are.

use crate::http::assets::Asset;
use crate::http::site::{Page, Side};

/// The paths that a listener serves, a line each.
pub(super) fn index(side: Side) -> String {
    let paths = [
        (Page::Upgradable, "/ws       a WebSocket that knows who is there; so is / itself"),
        (Page::Upgradable, "/echo     a WebSocket that sends every message back"),
        (Page::Asset(Asset::Client), "/rollcall.js  the client for pages: import { connect } from it"),
        (Page::Healthz, "/healthz  200 while every worker turns"),
        (Page::Readyz, "/readyz   200 while connections are welcome"),
        (Page::Metrics, "/metrics  figures in OpenMetrics text, for who has the API's key"),
        (Page::Api, "/api/v1   who is there, and what to do with them, in JSON; see the README"),
    ];
    let mut text = format!("rollcall {}: a WebSocket server\n", env!("CARGO_PKG_VERSION"));
    for (_, line) in paths.into_iter().filter(|(page, _)| page.is_served(side)) {
        text.push('\n');
        text.push_str(line);
    }
    text
}
