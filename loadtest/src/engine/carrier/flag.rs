//! Which carrier it is, as the flag has it, and the request that opens a session by it.

/// Where a server of Socket.IO is polled.
pub(super) const ENGINE_PATH: &str = "/socket.io/";

/// What carries the messages of a run's connections.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, clap::ValueEnum)]
pub enum Carrier {
    #[default]
    Websocket,
    /// An event stream; commands are posted
    Events,
    /// Polls, each held until there is something to tell
    Poll,
}

/// The flag of the scenarios that leave it open what carries them.
#[derive(Clone, Copy, Default, Debug, clap::Args)]
pub struct Carried {
    /// What carries the connections; where it is not a WebSocket, the path `/ws` of the URL stands for the server's own
    #[arg(long, value_enum, default_value = "websocket")]
    pub carrier: Carrier,
}

impl Carried {
    pub fn name(self) -> &'static str {
        self.carrier.name()
    }
}

impl Carrier {
    pub fn is_websocket(self) -> bool {
        self == Carrier::Websocket
    }

    /// As the flag has it.
    pub fn name(self) -> &'static str {
        match self {
            Carrier::Websocket => "websocket",
            Carrier::Events => "events",
            Carrier::Poll => "poll",
        }
    }

    /// The path of a server for it: `/ws` is where a rollcall serves WebSockets.
    fn path(self, path: &str) -> String {
        let (place, query) = path.split_at(path.find('?').unwrap_or(path.len()));
        let place = match (self, place) {
            (Carrier::Events, "/ws" | "/") => "/events",
            (Carrier::Poll, "/ws" | "/") => "/poll",
            _ => place,
        };
        format!("{place}{query}")
    }

    /// Appends the request that opens a session, by a path with its query.
    pub fn write_request(self, host: &str, path: &str, out: &mut Vec<u8>) {
        let path = self.path(path);
        let request = match self {
            Carrier::Websocket => unreachable!("a WebSocket is opened by an upgrade"),
            Carrier::Events => {
                format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n")
            }
            Carrier::Poll if path.starts_with(ENGINE_PATH) => {
                format!("GET {ENGINE_PATH}?EIO=4&transport=polling HTTP/1.1\r\nHost: {host}\r\n\r\n")
            }
            Carrier::Poll => format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"),
        };
        out.extend_from_slice(request.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_ones_own_is_kept() {
        let mut out = Vec::new();
        Carrier::Events.write_request("h", "/ws?user=a", &mut out);
        Carrier::Poll.write_request("h", "/other?user=a", &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with("GET /events?user=a HTTP/1.1\r\n") && text.contains("POST /other?user=a "),
            "{text}"
        );
    }
}
