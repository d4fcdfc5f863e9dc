//! The endpoint and the route of each path, the listeners that serve them, and what is switched off.

use crate::http::api::Api;
use crate::http::assets::Asset;
use crate::http::docs::Page;
use crate::service::presence::is_session_path;

/// The paths that a server does not serve, though it could.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Off {
    /// `/echo`.
    pub echo: bool,
    /// The page at `/`, which is a line of text then, and the manual; the client for other pages stays.
    pub page: bool,
}

impl Off {
    pub(crate) fn hides(self, path: &str) -> bool {
        (self.echo && path == ECHO) || (self.page && (path == "/page.js" || Page::of_path(path).is_some()))
    }
}

/// The path of echo.
pub(crate) const ECHO: &str = "/echo";

/// Whether a service stands behind a path. Clients in the field connect to a bare host.
pub(crate) fn is_service(path: &str) -> bool {
    matches!(path, ECHO | "/ws" | "/")
}

/// The route of a plain request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Route {
    Index,
    Healthz,
    Readyz,
    Metrics,
    Api,
    Asset(Asset),
    Docs(Page),
    /// `/events` and `/poll`, and what lies below them: presence without a WebSocket.
    Sessions,
    /// A service's path, which only an upgrade gets anything from.
    Upgradable,
}

impl Route {
    pub(crate) fn of_path(path: &str) -> Option<Route> {
        match path {
            "/" => Some(Route::Index),
            "/healthz" => Some(Route::Healthz),
            "/readyz" => Some(Route::Readyz),
            "/metrics" => Some(Route::Metrics),
            path if Api::is_path(path) => Some(Route::Api),
            path if is_session_path(path) => Some(Route::Sessions),
            _ => {
                let upgradable = || is_service(path).then_some(Route::Upgradable);
                let docs = || Page::of_path(path).map(Route::Docs);
                Asset::of_path(path).map(Route::Asset).or_else(docs).or_else(upgradable)
            }
        }
    }

    /// Whether a listener serves it: `/metrics` and `/api` move to the admin listener where there is one, upgrades don't follow.
    pub(crate) fn is_served(self, scope: ListenerScope) -> bool {
        match self {
            Route::Metrics | Route::Api => scope != ListenerScope::Public,
            Route::Upgradable | Route::Sessions => scope != ListenerScope::Admin,
            Route::Index | Route::Healthz | Route::Readyz | Route::Asset(_) | Route::Docs(_) => true,
        }
    }
}

/// The routes that a listener serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ListenerScope {
    /// The only kind there is: it serves all.
    Whole,
    /// For everybody; the metrics are elsewhere.
    Public,
    /// For who runs the server.
    Admin,
}

impl ListenerScope {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            ListenerScope::Whole => "whole",
            ListenerScope::Public => "public",
            ListenerScope::Admin => "admin",
        }
    }
}

pub(crate) const fn no_service(off: Off) -> &'static str {
    if off.echo {
        "no WebSocket lives here; /ws knows who is there"
    } else {
        "no WebSocket lives here; /ws knows who is there, /echo sends every message back"
    }
}

pub(crate) fn index(scope: ListenerScope, off: Off) -> String {
    let paths = [
        (Route::Upgradable, "/ws       a WebSocket that knows who is there; so is / itself"),
        (Route::Upgradable, "/echo     a WebSocket that sends every message back"),
        (Route::Sessions, "/events   the same as an event stream; commands by POST"),
        (Route::Sessions, "/poll     the same by polling: long, short, or a heartbeat by request"),
        (Route::Asset(Asset::Client), "/rollcall.js  the client for pages: import { connect } from it"),
        (Route::Healthz, "/healthz  200 while every worker turns"),
        (Route::Readyz, "/readyz   200 while connections are welcome"),
        (Route::Metrics, "/metrics  figures in OpenMetrics text, for who has the API's key"),
        (Route::Api, "/api/v1   who is there, and what to do with them, in JSON; /docs/api says how"),
    ];
    let mut text = format!("rollcall {}: a WebSocket server\n", env!("CARGO_PKG_VERSION"));
    let is_served =
        |page: Route, line: &str| page.is_served(scope) && !(off.echo && line.starts_with("/echo "));
    for (_, line) in paths.into_iter().filter(|(page, line)| is_served(*page, line)) {
        text.push('\n');
        text.push_str(if off.page { line.trim_end_matches("; /docs/api says how") } else { line });
    }
    if !off.page {
        text.push_str("\n/docs     the manual: every setting, message, limit and figure");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_host_is_presence() {
        assert!(is_service("/") && is_service("/ws") && !is_service("/ws/"));
        assert_eq!(Route::of_path("/"), Some(Route::Index), "to a plain request");
    }

    #[test]
    fn what_is_off_is_not_named() {
        let off = Off { echo: true, page: true };
        assert!(
            off.hides("/echo")
                && off.hides("/page.js")
                && !off.hides("/rollcall.js")
                && off.hides("/docs")
                && off.hides("/docs/api")
                && !off.hides("/")
        );
        let text = index(ListenerScope::Whole, off);
        assert!(
            !text.contains("/echo")
                && !text.contains("/docs")
                && text.contains("/ws ")
                && !no_service(off).contains("/echo")
        );
    }
}
