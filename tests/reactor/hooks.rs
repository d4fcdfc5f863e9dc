//! Presence beside a service of a program's own, and what the program has to say in it: on one worker and on three.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rollcall::{
    Admission, Config, ConnId, Context, Hooks, Kind, Mount as _, Presence, PresenceSettings, Server, Service,
    Upgrade,
};
use serde_json::Value;

use super::kit::{config, masked, upgrade_request};
use super::script::Script;
use crate::bounds::PATIENCE;
use rollcall::internals::reactor::WorkerId;
use rollcall::internals::sys::net::Net as _;
use rollcall::internals::wire::frame::{Header, Opcode, Parsed};

struct Shout;

impl Service for Shout {
    type Mail = ();
    type Admitted = ();

    fn admit(&mut self, _: &mut Context<'_, ()>, _: ConnId, _: &Upgrade<'_>) -> Admission {
        Admission::accept(())
    }

    fn message(&mut self, cx: &mut Context<'_, ()>, conn: ConnId, _: Kind, payload: &[u8]) {
        let _ = cx.send_text(conn, &String::from_utf8_lossy(payload).to_uppercase());
    }
}

struct House;

impl Hooks for House {
    fn may_join(&self, user: Option<&str>, room: &str) -> Result<(), String> {
        if room != "cellar" || user == Some("anna") { Ok(()) } else { Err("the cellar is anna's".into()) }
    }

    fn command(&self, user: Option<&str>, name: &str, params: &str) -> Option<Result<String, String>> {
        match name {
            "motto" => Some(Ok(format!(r#"{{"user":"{}","params":{params}}}"#, user.unwrap_or_default()))),
            "secret" => Some(Err("it is one".into())),
            "broken" => Some(Ok("no JSON".into())),
            _ => None,
        }
    }
}

struct Line(TcpStream, Vec<u8>);

impl Line {
    fn open(address: SocketAddr, path: &str) -> Line {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: rollcall.v1\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut line = Line(stream, Vec::new());
        let end = loop {
            if let Some(at) = line.1.windows(4).position(|end| end == b"\r\n\r\n") {
                break at + 4;
            }
            line.more();
        };
        assert!(line.1.starts_with(b"HTTP/1.1 101 "));
        line.1.drain(..end);
        line
    }

    fn more(&mut self) {
        let mut buffer = [0; 4096];
        let len = self.0.read(&mut buffer).unwrap();
        assert!(len > 0, "it was closed");
        self.1.extend_from_slice(&buffer[..len]);
    }

    fn send(&mut self, text: &str) {
        self.0.write_all(&masked(Opcode::Text, text.as_bytes())).unwrap();
    }

    fn text(&mut self) -> String {
        loop {
            if let Ok(Parsed::Header(header, at)) = Header::parse(&self.1) {
                let end = at + usize::try_from(header.len).unwrap();
                if self.1.len() >= end {
                    let text = String::from_utf8(self.1[at..end].to_vec()).unwrap();
                    self.1.drain(..end);
                    if header.opcode == Opcode::Text {
                        return text;
                    }
                    continue;
                }
            }
            self.more();
        }
    }

    /// The answer to a command.
    fn ask(&mut self, command: &str, params: &str) -> Value {
        self.send(&format!(r#"{{"seq":7,"cmd":"{command}","params":{params}}}"#));
        loop {
            let event: Value = serde_json::from_str(&self.text()).unwrap();
            if event["seq"] == 7 {
                return event["body"].clone();
            }
        }
    }
}

#[test]
fn a_program_has_its_say_in_presence_and_a_service_of_its_own_beside_it() {
    for workers in [1, 3] {
        let settings = Arc::new(PresenceSettings::default());
        let config = Config { workers, ..Config::default() };
        let server = Server::start(config, &["127.0.0.1:0".parse().unwrap()], move |worker, shared| {
            Presence::of(&settings, worker, shared).with_hooks(Arc::new(House)).mount("/shout", Shout)
        })
        .unwrap();
        let address = server.addresses()[0];
        let mut anna = Line::open(address, "/ws?user=anna");
        let mut ben = Line::open(address, "/?user=ben");
        let code = |body: &Value| body["code"].as_u64().unwrap();
        assert_eq!(code(&anna.ask("join", r#"{"room":"cellar"}"#)), 200);
        assert_eq!(
            ben.ask("join", r#"{"room":"cellar"}"#),
            serde_json::json!({"code": 403, "error": "the cellar is anna's"})
        );
        // Nor does it read what was said there, as if there were no such room.
        assert_eq!(code(&ben.ask("history", r#"{"room":"cellar"}"#)), 404);
        assert_eq!(code(&anna.ask("history", r#"{"room":"cellar"}"#)), 200);
        assert_eq!(code(&ben.ask("join", r#"{"room":"lobby"}"#)), 200);
        assert_eq!(code(&anna.ask("history", r#"{"room":"lobby"}"#)), 200);
        assert_eq!(
            ben.ask("motto", r#"{"of": [1]}"#),
            serde_json::json!({"code": 200, "data": {"user": "ben", "params": {"of": [1]}}})
        );
        assert_eq!(ben.ask("secret", "{}"), serde_json::json!({"code": 403, "error": "it is one"}));
        assert_eq!(code(&ben.ask("broken", "{}")), 503);
        assert_eq!(ben.ask("fly", "{}"), serde_json::json!({"code": 400, "error": "unknown command `fly`"}));
        let mut shout = Line::open(address, "/shout?user=anna");
        shout.send("hello");
        assert_eq!(shout.text(), "HELLO");
        assert_eq!(code(&anna.ask("who", r#"{"room":"cellar"}"#)), 200);
        // Its own commands cost what others cost.
        let refused = (0..2_000).map(|_| code(&ben.ask("motto", "{}"))).find(|code| *code != 200);
        assert_eq!(refused, Some(429), "on {workers} workers");
    }
}

#[test]
fn a_client_that_presence_cannot_number_is_told_to_come_back() {
    let script = Script::new(config().first_tick);
    let presence = Presence::new(Arc::default(), WorkerId(0), 1, script.now()).with_room_for(2);
    let (mut worker, _) = script.worker(&config(), presence);
    let mut come = |gone: Option<usize>| {
        gone.iter().for_each(|gone| script.reset(*gone));
        script.settle(&mut worker);
        let id = script.connect();
        script.arrive(id, &upgrade_request("/?user=anna"));
        script.settle(&mut worker);
        let answer = String::from_utf8_lossy(&script.written(id)).into_owned();
        (id, answer.starts_with("HTTP/1.1 101 "), answer)
    };
    let (first, is_in, _) = come(None);
    assert!(is_in && come(None).1);
    let (_, _, answer) = come(None);
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: "), "{answer}");
    assert!(come(Some(first)).1, "there is room again");
    assert!(!come(None).1);
}
