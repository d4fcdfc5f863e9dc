//! One who is connected to servers at random: what it asked, and what it hears.

use std::collections::{BTreeMap, VecDeque};

use rollcall::internals::wire::frame::{self, Header, Opcode, Parsed};
use serde_json::Value;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Nature {
    /// Named, speaks the protocol, reads, answers Pings.
    Good,
    /// Nobody, and does as it likes.
    Wild,
}

pub(super) struct Client {
    pub(super) worker: usize,
    pub(super) id: usize,
    pub(super) nature: Nature,
    pub(super) user: String,
    pub(super) outgoing: VecDeque<u8>,
    pub(super) incoming: Vec<u8>,
    pub(super) upgraded: bool,
    pub(super) over: bool,
    pub(super) seq: i64,
    /// Commands by seq that wait for their answer.
    pub(super) asked: BTreeMap<i64, &'static str>,
    /// Rooms that it has joined, with the epoch and offset heard last.
    pub(super) rooms: BTreeMap<String, (u64, u64)>,
    /// Whom it watches: the version and state seen last.
    pub(super) watched: BTreeMap<String, (u64, String)>,
    /// Messages heard, and commands answered with 200.
    pub(super) heard: usize,
    pub(super) granted: usize,
}

impl Client {
    pub(super) fn ask(&mut self, cmd: &'static str, params: &str) {
        self.seq += 1;
        self.asked.insert(self.seq, cmd);
        let text = format!(r#"{{"seq":{},"cmd":"{cmd}","params":{params}}}"#, self.seq);
        let mut bytes = Vec::new();
        frame::write(&mut bytes, Opcode::Text, text.as_bytes(), Some([5, 6, 7, 8]));
        self.outgoing.extend(bytes);
    }

    pub(super) fn take(&mut self) {
        if !self.upgraded {
            let Some(end) = self.incoming.windows(4).position(|window| window == b"\r\n\r\n") else { return };
            self.upgraded = self.incoming.starts_with(b"HTTP/1.1 101 ");
            // One that has broken off may be answered nevertheless.
            self.over |= !self.upgraded;
            self.incoming.drain(..end + 4);
        }
        while !self.over {
            let Parsed::Header(header, at) = Header::parse(&self.incoming).expect("frames") else { return };
            let end = at + header.len as usize;
            if self.incoming.len() < end {
                return;
            }
            let payload: Vec<u8> = self.incoming.drain(..end).skip(at).collect();
            match header.opcode {
                Opcode::Ping => {
                    let mut pong = Vec::new();
                    frame::write(&mut pong, Opcode::Pong, &payload, Some([1; 4]));
                    self.outgoing.extend(pong);
                }
                Opcode::Text => self.hear(&serde_json::from_slice(&payload).expect("JSON")),
                Opcode::Close => {
                    let code = u16::from_be_bytes([payload[0], payload[1]]);
                    assert!([1001, 4409].contains(&code), "{} was closed with {code}", self.user);
                    self.over = true;
                }
                other => panic!("a {other:?}"),
            }
        }
    }

    fn hear(&mut self, json: &Value) {
        if let Some(seq) = json["seq"].as_i64() {
            let cmd = self.asked.remove(&seq).expect("one answer to each command");
            return self.answered(cmd, &json["body"]);
        }
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        match json["event"].as_str() {
            Some("say") => {
                let (epoch, offset) = (json["epoch"].as_u64().unwrap(), json["offset"].as_u64().unwrap());
                let last = self.rooms.get_mut(&text("room")).expect("a room that it is in");
                assert_eq!((epoch, offset), (last.0, last.1 + 1), "the room's next message");
                *last = (epoch, offset);
                self.heard += 1;
            }
            Some("presence") => self.see(&text("user"), json),
            Some("welcome") => assert_eq!(text("user"), self.user),
            Some("join" | "leave" | "room" | "tell" | "goodbye") => {}
            other => panic!("the event {other:?}"),
        }
    }

    fn answered(&mut self, cmd: &str, body: &Value) {
        let code = body["code"].as_u64().unwrap();
        assert!([200, 403, 404, 429, 503].contains(&code), "{cmd} was answered {body}");
        self.granted += usize::from(code == 200);
        match (cmd, code) {
            ("join", 200) => {
                let at = (body["epoch"].as_u64().unwrap(), body["offset"].as_u64().unwrap());
                self.rooms.entry("r0".to_owned()).or_insert(at);
            }
            ("watch", 200) => {
                for view in body["users"].as_array().unwrap() {
                    self.see(view["user"].as_str().unwrap(), view);
                }
            }
            _ => {}
        }
    }

    fn see(&mut self, user: &str, view: &Value) {
        let version = view["version"].as_u64().unwrap();
        let seen = self.watched.entry(user.to_owned()).or_default();
        assert!(version >= seen.0, "the version of {user} went back from {} to {version}", seen.0);
        *seen = (version, view["state"].as_str().unwrap().to_owned());
    }
}
