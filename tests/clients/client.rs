//! A server for a test, and a client that speaks JSON to it.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bounds::PATIENCE;
use rollcall::internals::http::api::guard::{Access, Guard};
use rollcall::internals::http::{Router, RouterSettings};
use rollcall::internals::presence::{HistoryRule, Pattern, Rules};
use rollcall::internals::reactor::{Config, Heartbeat, HeartbeatMode, Server};
use rollcall::internals::service::authenticator::Authenticator;
use rollcall::internals::service::presence::PresenceSettings;
use rollcall::internals::time::{Tick, ticks};
use serde_json::Value;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::CloseFrame;
use tungstenite::{HandshakeError, Message, WebSocket};

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Runs a test with one worker, with three and with 52.
pub(crate) fn with_workers(test: impl Fn(usize)) {
    for workers in [1, 3, 52] {
        test(workers);
    }
}

pub(crate) struct Times {
    pub(crate) mode: HeartbeatMode,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) silence: Duration,
    pub(crate) suspect: Duration,
    pub(crate) grace: Duration,
}

impl Default for Times {
    /// Heartbeats that no test lives to see, and a grace that it can wait for.
    fn default() -> Self {
        Times {
            mode: HeartbeatMode::Server,
            interval: Duration::from_secs(300),
            timeout: Duration::from_secs(300),
            silence: Duration::from_secs(300),
            suspect: Duration::from_secs(300),
            grace: millis(300),
        }
    }
}

pub(crate) fn start(workers: usize, times: &Times) -> Server {
    start_with(workers, times, Authenticator::default())
}

pub(crate) fn start_with(workers: usize, times: &Times, authenticator: Authenticator) -> Server {
    start_for(workers, times, authenticator, Vec::new())
}

/// The same, with origins that are named.
pub(crate) fn start_for(
    workers: usize,
    times: &Times,
    authenticator: Authenticator,
    origins: Vec<String>,
) -> Server {
    start_by(workers, times, authenticator, origins, &[])
}

/// A server whose rooms keep so many messages, each for a day.
pub(crate) fn start_keeping(workers: usize, times: &Times, rooms: &[(&str, u32)]) -> Server {
    start_by(workers, times, Authenticator::default(), Vec::new(), rooms)
}

fn start_by(
    workers: usize,
    times: &Times,
    authenticator: Authenticator,
    origins: Vec<String>,
    rooms: &[(&str, u32)],
) -> Server {
    let age = ticks(Duration::from_secs(24 * 3_600));
    let rule = |(pattern, count): &(&str, u32)| HistoryRule {
        pattern: Pattern::new(pattern).unwrap(),
        count: *count,
        age,
    };
    let history = rooms.iter().map(rule).collect();
    let heartbeat = Heartbeat {
        mode: times.mode,
        interval: times.interval,
        timeout: times.timeout,
        suspect_after: Some(times.suspect),
        client_silence: times.silence,
    };
    let page_silence = (times.mode == HeartbeatMode::Both).then(|| ticks(times.silence));
    let presence = PresenceSettings {
        rules: Rules { grace: ticks(times.grace), page_silence, history, ..Rules::default() },
        authenticator,
        secret: 7,
        ..PresenceSettings::default()
    };
    let settings = Arc::new(RouterSettings {
        origins,
        subprotocols: vec!["rollcall.v1".into(), "chat".into()],
        presence: Arc::new(presence),
        api: Arc::new(Guard { listeners: vec![Access::Admin { loopback: true }], ..Guard::default() }),
        ..RouterSettings::default()
    });
    let first_tick = Tick(u32::MAX - 20);
    let config = Config { workers, heartbeat, first_tick, drain: millis(200), ..Config::default() };
    let make = move |worker, shared: &_| Router::new(settings.clone(), worker, shared);
    Server::start(config, &["127.0.0.1:0".parse().unwrap()], make).unwrap()
}

/// A client, connected.
pub(crate) struct Client {
    socket: WebSocket<TcpStream>,
    pub(crate) subprotocol: Option<String>,
    /// Events that came while an answer was waited for.
    early: std::collections::VecDeque<Value>,
    seq: i64,
}

impl Client {
    /// Connects with the given path and query and subprotocols.
    pub(crate) fn connect(server: &Server, target: &str, subprotocols: Option<&str>) -> Client {
        let names = subprotocols.map(|names| ("Sec-WebSocket-Protocol", names));
        let refused = |(status, body)| panic!("{target} is refused: {status} {body}");
        Client::try_connect(server, target, names.as_slice()).unwrap_or_else(refused)
    }

    /// Connects with further header fields; or the status and body of the refusal.
    pub(crate) fn try_connect(
        server: &Server,
        target: &str,
        fields: &[(&'static str, &str)],
    ) -> Result<Client, (u16, String)> {
        let address = server.addresses()[0];
        let mut request = format!("ws://{address}{target}").into_client_request().unwrap();
        for (name, value) in fields {
            request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
        }
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let (socket, response) = match tungstenite::client(request, stream) {
            Ok(open) => open,
            Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                let body = response.body().as_deref().unwrap_or_default();
                return Err((response.status().as_u16(), String::from_utf8_lossy(body).into_owned()));
            }
            Err(error) => panic!("{error}"),
        };
        let subprotocol = response.headers().get("Sec-WebSocket-Protocol");
        let subprotocol = subprotocol.map(|name| name.to_str().unwrap().to_owned());
        Ok(Client { socket, subprotocol, early: Default::default(), seq: 0 })
    }

    /// A client in the field: a path, and nothing else.
    pub(crate) fn plain(server: &Server, target: &str) -> Client {
        Client::connect(server, target, None)
    }

    /// A client that speaks `rollcall.v1`, welcomed.
    pub(crate) fn named(server: &Server, user: &str) -> Client {
        let mut client = Client::connect(server, &format!("/ws?user={user}"), Some("rollcall.v1"));
        let welcome = client.event();
        assert_eq!((&welcome["event"], &welcome["user"]), (&"welcome".into(), &user.into()));
        client
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    /// Sends a command with bytes behind it and waits for its answer's body.
    pub(crate) fn command_with(&mut self, cmd: &str, params: &str, bytes: &[u8]) -> Value {
        self.seq += 1;
        let seq = self.seq;
        let text = format!(r#"{{"seq":{seq},"cmd":"{cmd}","params":{params}}}"#);
        self.socket.send(Message::binary([text.as_bytes(), &[0], bytes].concat())).unwrap();
        self.answer(seq)
    }

    /// Sends bytes that are no command.
    pub(crate) fn send_binary(&mut self) {
        self.socket.send(Message::binary(vec![1, 2, 3])).unwrap();
    }

    /// The next text message; Pings are answered on the way.
    pub(crate) fn text(&mut self) -> String {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return text.to_string(),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => panic!("a text message, not {other:?}"),
            }
        }
    }

    /// The next message; the bytes behind one are its `bytes`.
    fn json(&mut self) -> Value {
        let parse = |text: &str| -> Value {
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
        };
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return parse(&text),
                Ok(Message::Binary(message)) => {
                    let end = message.iter().position(|byte| *byte == 0).expect("U+0000 ends the JSON");
                    let mut value = parse(std::str::from_utf8(&message[..end]).unwrap());
                    value["bytes"] = message[end + 1..].into();
                    return value;
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => panic!("a message, not {other:?}"),
            }
        }
    }

    /// The next event.
    pub(crate) fn event(&mut self) -> Value {
        self.early.pop_front().unwrap_or_else(|| self.json())
    }

    /// The next event of that kind; others are passed over.
    pub(crate) fn event_named(&mut self, name: &str) -> Value {
        loop {
            let event = self.event();
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Sends a command and waits for its answer's body.
    pub(crate) fn command(&mut self, cmd: &str, params: &str) -> Value {
        self.seq += 1;
        let seq = self.seq;
        self.send(&format!(r#"{{"seq":{seq},"cmd":"{cmd}","params":{params}}}"#));
        self.answer(seq)
    }

    fn answer(&mut self, seq: i64) -> Value {
        loop {
            let mut json = self.json();
            if json["seq"] == seq {
                return json["body"].take();
            }
            self.early.push_back(json);
        }
    }

    /// Sends a command that has to succeed.
    pub(crate) fn done(&mut self, cmd: &str, params: &str) -> Value {
        let body = self.command(cmd, params);
        assert_eq!(body["code"], 200, "{cmd} {params}: {body}");
        body
    }

    /// Nothing has come that was not taken: what is sent back for a heartbeat is the next message.
    pub(crate) fn assert_quiet(&mut self) {
        self.done("heartbeat", "{}");
        assert_eq!(self.early, [] as [Value; 0]);
    }

    /// Closes as a browser does.
    pub(crate) fn close(mut self) {
        self.socket.close(None).unwrap();
        while self.socket.read().is_ok() {}
    }

    /// Closes with a code and a reason.
    pub(crate) fn close_with(mut self, code: u16, reason: &str) {
        let close = CloseFrame { code: code.into(), reason: reason.into() };
        self.socket.close(Some(close)).unwrap();
        while self.socket.read().is_ok() {}
    }

    /// Waits for the server's Close; returns its code.
    pub(crate) fn close_code(&mut self) -> u16 {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match self.socket.read() {
                Ok(Message::Close(Some(close))) => return close.code.into(),
                Ok(_) => {}
                Err(error) => panic!("a Close, not {error}"),
            }
        }
        panic!("no Close came");
    }

    /// Answers Pings and keeps reading for so long.
    pub(crate) fn linger(&mut self, time: Duration) {
        let end = Instant::now() + time;
        self.socket.get_mut().set_read_timeout(Some(millis(20))).unwrap();
        while Instant::now() < end {
            let _ = self.socket.read();
        }
        self.socket.get_mut().set_read_timeout(Some(PATIENCE)).unwrap();
    }
}

/// What a look at one user shows: state and connections.
pub(crate) fn look(client: &mut Client, user: &str) -> (String, u64) {
    let body = client.done("presence", &format!(r#"{{"users":["{user}"]}}"#));
    let view = &body["users"][0];
    (view["state"].as_str().unwrap().to_owned(), view["connections"].as_u64().unwrap())
}

/// Looks again and again until a user is seen so.
pub(crate) fn until(client: &mut Client, user: &str, state: &str) {
    let end = Instant::now() + PATIENCE;
    while look(client, user).0 != state {
        assert!(Instant::now() < end, "{user} is never {state}");
        client.linger(millis(30));
    }
}
