//! A client of the simulation: as a library for pages would be one.

use super::house::{Line, events, field, request, texts};
use super::simulation::{GAP, WAIT, World};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// It has asked for a session.
    Opening,
    Polling,
    Streaming,
    /// It has opened a WebSocket, and gone silent.
    Moving,
    /// It has said how much it has.
    Resuming,
    Socket,
}

pub(super) struct Client {
    pub(super) user: String,
    pub(super) phase: Phase,
    pub(super) streams: bool,
    session: String,
    /// The number of the last event that it has.
    ack: u64,
    /// The offset of the last message of the room that it has, once it is in.
    offset: Option<u64>,
    opening: Line,
    polls: Vec<Line>,
    /// Its post: number, body, and where it waits for the answer.
    post: Option<(u64, String, Vec<Line>)>,
    posts: u64,
    /// Messages that it has begun to say.
    pub(super) said: u64,
    /// Its stream, and what has come on it.
    stream: Option<(Line, String)>,
    taken: usize,
    moved: bool,
    socket: Option<Line>,
    /// What came on the WebSocket, while there may be more of the stream.
    early: Vec<String>,
}

impl Client {
    pub(super) fn new(world: &mut World, number: usize, streams: bool) -> Client {
        let user = format!("c{number}");
        let opening = world.connect();
        let mut client = Client {
            user,
            phase: Phase::Opening,
            streams,
            session: String::new(),
            ack: 0,
            offset: None,
            opening,
            polls: Vec::new(),
            post: None,
            posts: 0,
            said: 0,
            stream: None,
            taken: 0,
            moved: false,
            socket: None,
            early: Vec::new(),
        };
        let bytes = if streams {
            client.stream = Some((opening, String::new()));
            request("GET", &format!("/events?user={}&room=r", client.user), "")
        } else {
            let join = r#"{"seq":0,"cmd":"join","params":{"room":"r"}}"#;
            request("POST", &format!("/poll?user={}&gap={GAP}ms", client.user), join)
        };
        world.send(opening, bytes.into_bytes());
        client
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        let posts = self.post.iter().flat_map(|(_, _, lines)| lines.clone());
        let all = [self.opening].into_iter().chain(self.polls.clone()).chain(posts).chain(self.socket);
        all.collect()
    }

    /// Does something.
    pub(super) fn act(&mut self, world: &mut World) {
        match self.phase {
            Phase::Opening | Phase::Resuming => {}
            Phase::Polling | Phase::Streaming => match world.dice.below(8) {
                0 | 1 if self.post.is_none() && self.offset.is_some() => self.speak(world),
                2 if self.post.is_some() => self.send_post(world),
                3 => self.lose(world),
                4 if self.post.is_none() && world.dice.one_in(4) && self.offset.is_some() => {
                    let line = world.connect();
                    self.socket = Some(line);
                    self.phase = Phase::Moving;
                    world.send(line, upgrade(&self.session).into_bytes());
                }
                _ => self.poll(world),
            },
            Phase::Moving | Phase::Socket => self.act_calmly(world, true),
        }
    }

    /// Does what has to be done; `speaks`: and says something, where that takes no request.
    pub(super) fn act_calmly(&mut self, world: &mut World, speaks: bool) {
        match self.phase {
            Phase::Polling | Phase::Streaming => {
                if self.post.is_some() {
                    self.send_post(world);
                }
                self.poll(world);
            }
            Phase::Socket if speaks && world.dice.one_in(2) => {
                let text = self.next_say();
                if let Some(line) = self.socket {
                    // On one connection nothing overtakes.
                    world.house.say(line, &text);
                }
            }
            _ => {}
        }
    }

    fn next_say(&mut self) -> String {
        let text = format!(
            r#"{{"seq":7,"cmd":"say","params":{{"room":"r","data":"{}-{}"}}}}"#,
            self.user, self.said
        );
        self.said += 1;
        text
    }

    fn poll(&mut self, world: &mut World) {
        if self.streams || self.polls.len() > 3 || (!self.polls.is_empty() && !world.dice.one_in(10)) {
            return;
        }
        let line = world.connect();
        let wait = world.dice.below(WAIT as usize);
        let target = format!("/poll/{}?ack={}&wait={wait}ms", self.session, self.ack);
        world.send(line, request("POST", &target, "").into_bytes());
        self.polls.push(line);
    }

    fn speak(&mut self, world: &mut World) {
        self.posts += 1;
        let body = self.next_say();
        self.post = Some((self.posts, body, Vec::new()));
        self.send_post(world);
    }

    /// Sends its post, again perhaps, and twice perhaps.
    fn send_post(&mut self, world: &mut World) {
        for _ in 0..=usize::from(world.dice.one_in(4)) {
            let line = world.connect();
            let Some((number, body, lines)) = &mut self.post else { return };
            if lines.len() > 4 {
                return;
            }
            lines.push(line);
            let path = if self.streams { "events" } else { "poll" };
            let target = format!("/{path}/{}?n={number}", self.session);
            world.send(line, request("POST", &target, body).into_bytes());
        }
    }

    /// An answer is lost on its way.
    fn lose(&mut self, world: &mut World) {
        if let Some(line) = self.polls.pop() {
            world.house.reset(line);
        }
        if let Some((_, _, lines)) = &mut self.post
            && let Some(line) = lines.pop()
        {
            world.house.reset(line);
        }
    }

    pub(super) fn hear(&mut self, world: &mut World) {
        match self.phase {
            Phase::Opening if !self.streams => {
                for (status, lines) in world.house.answers(self.opening) {
                    assert_eq!(status, 200, "{lines}");
                    self.session = field(&lines, "session").unwrap().to_owned();
                    self.phase = Phase::Polling;
                    self.take_lines(&lines);
                }
            }
            Phase::Opening | Phase::Streaming => self.hear_stream(world),
            Phase::Polling => {}
            Phase::Moving | Phase::Resuming | Phase::Socket => self.hear_socket(world),
        }
        self.hear_posts(world);
        for line in self.polls.clone() {
            for (status, lines) in world.house.answers(line) {
                self.polls.retain(|other| *other != line);
                let has_gone_over = matches!(self.phase, Phase::Resuming | Phase::Socket);
                assert!([200, 409].contains(&status) || status == 404 && has_gone_over, "{status} {lines}");
                // From `resume` on the WebSocket brings all that it has not acknowledged there.
                if status == 200 && matches!(self.phase, Phase::Polling | Phase::Moving) {
                    self.take_lines(&lines);
                }
            }
        }
    }

    fn hear_posts(&mut self, world: &mut World) {
        let Some((_, _, lines)) = &mut self.post else { return };
        for line in lines.clone() {
            for (status, answer) in world.house.answers(line) {
                lines.retain(|other| *other != line);
                assert!([200, 409].contains(&status), "{status} {answer}");
                if status == 200 {
                    assert!(answer.contains(r#""code":200"#), "{answer}");
                    self.post = None;
                    return;
                }
            }
        }
    }

    fn hear_stream(&mut self, world: &mut World) {
        let Some((line, text)) = &mut self.stream else { return };
        text.push_str(&world.house.read(*line));
        if !text.contains("\r\n\r\n") {
            return;
        }
        let all = events(text);
        for event in all.iter().skip(self.taken) {
            let json = event.split("data: ").nth(1).unwrap_or_default();
            match field(json, "event") {
                Some("welcome") => {
                    self.session = field(json, "session").unwrap().to_owned();
                    self.phase = Phase::Streaming;
                }
                Some("moved") => self.moved = true,
                _ => take(&mut self.offset, json),
            }
        }
        self.taken = all.len();
    }

    fn hear_socket(&mut self, world: &mut World) {
        if self.streams {
            self.hear_stream(world);
        }
        let Some(line) = self.socket else { return };
        let bytes = world.house.scripts[line.0].written(line.1);
        if self.phase == Phase::Moving && self.post.is_none() && bytes.starts_with(b"HTTP/1.1 101 ") {
            self.phase = Phase::Resuming;
            let resume = format!(r#"{{"seq":5,"cmd":"resume","params":{{"ack":{}}}}}"#, self.ack);
            world.house.say(line, &resume);
            return;
        }
        self.early.extend(texts(&bytes));
        assert!(!self.early.iter().any(|text| text.starts_with("close")), "{}: {:?}", self.user, self.early);
        // What is left of the stream comes first.
        if self.streams && !self.moved {
            return;
        }
        for text in std::mem::take(&mut self.early) {
            if self.phase == Phase::Resuming {
                let next = if self.streams { 0 } else { self.ack + 1 };
                assert_eq!(field(&text, "next"), Some(&*next.to_string()), "{text}");
                self.phase = Phase::Socket;
            } else {
                take(&mut self.offset, &text);
            }
        }
    }

    fn take_lines(&mut self, lines: &str) {
        for line in lines.lines() {
            let number: u64 = field(line, "n").unwrap().parse().unwrap();
            if number <= self.ack {
                continue;
            }
            assert_eq!(number, self.ack + 1, "{} missed one: {line}", self.user);
            self.ack = number;
            take(&mut self.offset, line);
        }
    }

    /// Whether it is known to be in the room.
    pub(super) fn has_come(&self) -> bool {
        self.offset.is_some()
    }

    /// All that was said since it came was heard.
    pub(super) fn has_heard_all(&self, offset: u64) {
        assert!(
            self.offset.is_none_or(|heard| heard == offset),
            "{} in {:?} has heard {:?} of {offset}",
            self.user,
            self.phase,
            self.offset
        );
        assert!(self.offset.is_some(), "{} never came: {:?}", self.user, self.phase);
    }
}

/// Takes in a message of the room, or the answer to `join`.
fn take(offset: &mut Option<u64>, json: &str) {
    let number = || field(json, "offset").unwrap().parse::<u64>().unwrap();
    if field(json, "event") == Some("say") {
        let heard = offset.as_mut().unwrap_or_else(|| panic!("heard before it was in: {json}"));
        assert_eq!(number(), *heard + 1, "lost, twice or out of order: {json}");
        *heard += 1;
    } else if json.contains(r#""seq":0,"#) {
        *offset = Some(number());
    }
}

fn upgrade(session: &str) -> String {
    format!(
        "GET /ws?session={session} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: rollcall.v1\r\n\r\n"
    )
}
