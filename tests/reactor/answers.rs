//! Answers that come later, in pieces or never; timers; connections that are not read for a while.

use std::time::Duration;

use rollcall::internals::limits::BACKLOG_BYTES_MAX;
use rollcall::internals::reactor::{
    Accept, Admission, Answer, Cause, Config, ConnId, Context, Heartbeat, HeartbeatMode, RequestId,
    SendError, Service, Worker,
};
use rollcall::internals::time::Tick;
use rollcall::internals::wire::frame::Opcode;
use rollcall::internals::wire::http::{Head, Response};
use rollcall::internals::wire::session::Kind;
use rollcall::internals::wire::upgrade::Upgrade;

use super::kit::{config, frames, masked, number, seconds, upgrade_request};
use super::script::{In, Script};

const TICK: Duration = Duration::from_millis(10);

/// Streams at `/stream`, answers after as many ticks as the path says, and notes what it is told.
#[derive(Debug, Default)]
struct Desk {
    waiting: Vec<RequestId>,
    abandoned: Vec<RequestId>,
    sent: Vec<Result<(), SendError>>,
    /// Sent, or the end, in the next turn.
    pieces: Vec<Option<Vec<u8>>>,
    timers: Vec<Tick>,
    heard: Vec<String>,
    writable: usize,
    resumes: Vec<ConnId>,
    closed: Vec<Cause>,
}

impl Service for Desk {
    type Mail = ();
    type Admitted = ();

    fn admit(&mut self, _: &mut Context<'_, ()>, _: ConnId, _: &Upgrade<'_>) -> Admission {
        Admission::Accept(Accept::default())
    }

    fn message(&mut self, cx: &mut Context<'_, ()>, conn: ConnId, _: Kind, payload: &[u8]) {
        let text = String::from_utf8_lossy(payload).into_owned();
        if let Some(ticks) = text.strip_prefix("timer ") {
            let at = cx.now().tick.after(number(ticks.as_bytes()));
            cx.timer(conn, (ticks != "none").then_some(at));
        }
        if text == "pause" {
            cx.pause(conn);
        }
        self.heard.push(text);
    }

    fn timer(&mut self, cx: &mut Context<'_, ()>, conn: ConnId) {
        self.timers.push(cx.now().tick);
        cx.send_text(conn, "time").unwrap();
    }

    fn closed(&mut self, _: &mut Context<'_, ()>, _: ConnId, cause: Cause) {
        self.closed.push(cause);
    }

    fn writable(&mut self, _: &mut Context<'_, ()>, _: ConnId) {
        self.writable += 1;
    }

    fn request(&mut self, cx: &mut Context<'_, ()>, request: RequestId, head: &Head<'_>, _: &[u8]) -> Answer {
        if head.path() == "/now" {
            return Answer::Now(Response::text(200, "now"));
        }
        if head.path() == "/pause" {
            cx.pause(request.conn);
            return Answer::Now(Response::text(200, "paused"));
        }
        self.waiting.push(request);
        if head.path() == "/held" {
            return Answer::Held { by: cx.now().tick.after(3000) };
        }
        if head.path() == "/stream" {
            assert_eq!(cx.stream(request, b"too early"), Err(SendError::Gone));
            return Answer::Stream(Response::text(200, "first"));
        }
        Answer::Later { by: cx.now().tick.after(number(&head.path().as_bytes()[1..])) }
    }

    fn abandoned(&mut self, cx: &mut Context<'_, ()>, request: RequestId) {
        cx.answer(request, Response::text(200, "nobody hears it"));
        self.abandoned.push(request);
    }

    fn tick(&mut self, cx: &mut Context<'_, ()>) -> Option<Tick> {
        for piece in std::mem::take(&mut self.pieces) {
            for request in self.waiting.clone() {
                match &piece {
                    Some(piece) => self.sent.push(cx.stream(request, piece)),
                    None => cx.end_stream(request),
                }
            }
        }
        for conn in std::mem::take(&mut self.resumes) {
            cx.resume(conn);
        }
        None
    }
}

struct Scene {
    script: Script,
    worker: Worker<Script, Desk>,
}

impl Scene {
    fn new(config: &Config) -> Scene {
        let script = Script::new(config.first_tick);
        let (worker, _) = script.worker(config, Desk::default());
        Scene { script, worker }
    }

    fn ask(&mut self, request: &str) -> usize {
        let id = self.script.connect();
        self.arrive(id, request.as_bytes());
        id
    }

    fn arrive(&mut self, id: usize, bytes: &[u8]) {
        self.script.arrive(id, bytes);
        self.script.settle(&mut self.worker);
    }

    fn pass(&mut self, time: Duration) {
        self.script.pass(&mut self.worker, time);
    }

    /// Sends these pieces of each stream, or (`None`) its end.
    fn stream(&mut self, pieces: &[Option<&[u8]>]) {
        self.worker.service().pieces.extend(pieces.iter().map(|piece| piece.map(<[u8]>::to_vec)));
        // A turn for something else.
        let id = self.ask("GET /now HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        assert!(self.read(id).ends_with("now\n"));
    }

    fn read(&self, id: usize) -> String {
        String::from_utf8(self.script.written(id)).unwrap()
    }

    fn open(&mut self) -> usize {
        let id = self.script.connect();
        self.arrive(id, &upgrade_request("/"));
        self.script.written(id);
        id
    }
}

fn get(path: &str, version: &str) -> String {
    format!("GET {path} HTTP/1.{version}\r\nHost: h\r\n\r\n")
}

#[test]
fn each_answer_has_its_own_time_and_the_service_hears_that_it_is_over() {
    let mut scene = Scene::new(&config());
    let (soon, late) = (scene.ask(&get("/50", "1")), scene.ask(&get("/3000", "1")));
    scene.pass(seconds(1));
    assert!(scene.read(soon).starts_with("HTTP/1.1 503 ") && scene.read(late).is_empty());
    let waiting = scene.worker.service().waiting.clone();
    assert_eq!(scene.worker.service().abandoned, waiting[..1]);
    scene.pass(seconds(28));
    assert!(scene.read(late).is_empty());
    scene.pass(seconds(2));
    assert!(scene.read(late).starts_with("HTTP/1.1 503 "));
    assert_eq!(scene.worker.service().abandoned, waiting);
    // The connection goes on.
    scene.arrive(late, get("/now", "1").as_bytes());
    assert!(scene.read(late).ends_with("now\n"));
    assert_eq!(scene.worker.service().abandoned, waiting);
}

#[test]
fn a_service_hears_that_a_client_is_gone_that_waited() {
    let mut scene = Scene::new(&config());
    let id = scene.ask(&get("/3000", "1"));
    scene.script.reset(id);
    scene.script.settle(&mut scene.worker);
    let waiting = scene.worker.service().waiting.clone();
    assert_eq!(scene.worker.service().abandoned, waiting);
}

#[test]
fn a_held_answer_is_given_up_by_the_end_of_its_clients_stream_and_another_is_not() {
    let mut scene = Scene::new(&config());
    let (patient, held) = (scene.ask(&get("/3000", "1")), scene.ask(&get("/held", "1")));
    let waiting = scene.worker.service().waiting.clone();
    for id in [patient, held] {
        scene.script.end(id);
    }
    scene.script.settle(&mut scene.worker);
    assert_eq!(scene.worker.service().abandoned, waiting[1..]);
    assert!(scene.script.peer(held, |peer| peer.closed) && scene.read(held).is_empty());
    scene.pass(seconds(31));
    assert!(scene.read(patient).starts_with("HTTP/1.1 503 "), "it was waited for");
}

#[test]
fn what_was_answered_before_a_held_one_that_is_given_up_still_leaves() {
    for version in ["1", "0"] {
        let mut scene = Scene::new(&config());
        let id = scene.script.connect();
        let keep = if version == "0" { "GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" } else { "" };
        let now = if keep.is_empty() { get("/now", "1") } else { keep.to_owned() };
        scene.script.arrive(id, (now + &get("/held", version)).as_bytes());
        scene.script.end(id);
        scene.script.settle(&mut scene.worker);
        scene.pass(TICK * 3);
        let text = scene.read(id);
        assert!(text.contains("\r\n\r\nnow\n"), "{text}");
        let waiting = scene.worker.service().waiting.clone();
        assert_eq!((scene.worker.service().abandoned.clone(), waiting.len()), (waiting, 1));
        assert!(scene.script.peer(id, |peer| peer.closed));
    }
}

#[test]
fn an_answer_comes_in_pieces_until_it_ends() {
    let mut scene = Scene::new(&config());
    let id = scene.ask(&(get("/stream", "1") + &get("/now", "1")));
    let head = scene.read(id);
    assert!(
        head.contains("\r\nTransfer-Encoding: chunked\r\n") && head.ends_with("\r\n\r\n6\r\nfirst\n\r\n")
    );
    // It has no time by which it has to end, and what stands behind it waits.
    scene.pass(seconds(3600));
    scene.stream(&[Some(b"two"), Some(b""), Some(b"three")]);
    assert_eq!(scene.read(id), "3\r\ntwo\r\n5\r\nthree\r\n");
    scene.stream(&[None, Some(b"too late")]);
    let rest = scene.read(id);
    assert!(rest.starts_with("0\r\n\r\nHTTP/1.1 200 OK\r\n") && rest.ends_with("now\n"), "{rest}");
    assert_eq!(scene.worker.service().sent, [Ok(()), Ok(()), Ok(()), Err(SendError::Gone)]);
    assert!(scene.worker.service().abandoned.is_empty());
}

#[test]
fn to_an_old_client_the_body_ends_with_the_connection() {
    let mut scene = Scene::new(&config());
    let id = scene.ask("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let head = scene.read(id);
    assert!(
        !head.contains("chunked")
            && head.contains("\r\nConnection: close\r\n")
            && head.ends_with("\r\n\r\nfirst\n")
    );
    scene.stream(&[Some(b"two"), None]);
    assert_eq!(scene.read(id), "two");
    assert!(scene.script.peer(id, |peer| peer.finished), "our stream has ended");
}

#[test]
fn a_stream_ends_for_one_who_only_asks_for_its_head_or_leaves() {
    let mut scene = Scene::new(&config());
    let id = scene.ask("HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(scene.read(id).ends_with("chunked\r\n\r\n"));
    assert_eq!(scene.worker.service().abandoned.len(), 1);
    scene.arrive(id, get("/stream", "1").as_bytes());
    assert_eq!(scene.worker.service().abandoned.len(), 1);
    scene.script.end(id);
    scene.script.settle(&mut scene.worker);
    let waiting = scene.worker.service().waiting.clone();
    assert_eq!(scene.worker.service().abandoned, waiting);
}

#[test]
fn a_stream_that_is_not_read_is_bounded_and_goes_on_later() {
    let mut scene = Scene::new(&config());
    let id = scene.ask(&get("/stream", "1"));
    scene.script.written(id);
    scene.script.peer(id, |peer| peer.room = 0);
    let piece = vec![b'x'; 100_000];
    scene.stream(&[Some(&piece[..]); 20]);
    let sent = std::mem::take(&mut scene.worker.service().sent);
    assert_eq!(sent.iter().filter(|sent| sent.is_ok()).count(), BACKLOG_BYTES_MAX / 100_020);
    assert_eq!(sent.last(), Some(&Err(SendError::Backlogged)));
    assert_eq!(scene.worker.service().writable, 0);
    scene.script.make_room(id, usize::MAX);
    scene.script.settle(&mut scene.worker);
    assert_eq!(scene.worker.service().writable, 1);
    scene.stream(&[Some(b"on")]);
    assert!(scene.read(id).ends_with("\r\n2\r\non\r\n"));
    // One who never reads is given up.
    scene.script.peer(id, |peer| peer.room = 0);
    scene.stream(&[Some(b"x")]);
    scene.pass(seconds(60));
    assert_eq!(scene.worker.service().abandoned.len(), 1);
}

#[test]
fn a_stream_that_was_too_much_for_one_turn_goes_on_in_the_next() {
    let mut scene = Scene::new(&config());
    let id = scene.ask(&get("/stream", "1"));
    scene.script.written(id);
    let piece = vec![b'x'; 100_000];
    scene.stream(&[Some(&piece[..]); 20]);
    assert_eq!(scene.worker.service().sent.last(), Some(&Err(SendError::Backlogged)));
    assert_eq!(scene.worker.service().writable, 1, "its socket took all at once, and says nothing");
    scene.pass(seconds(5));
    assert_eq!(scene.worker.service().writable, 1);
}

#[test]
fn a_timer_comes_once_at_its_time_or_not_at_all() {
    let mut scene = Scene::new(&config());
    let ids: Vec<usize> = (0..4).map(|_| scene.open()).collect();
    let began = scene.script.tick();
    for (id, texts) in ids.iter().zip([
        &["timer 500"][..],
        &["timer 30", "timer 700"],
        &["timer 30", "timer none"],
        &["timer 900"],
    ]) {
        texts.iter().for_each(|text| scene.arrive(*id, &masked(Opcode::Text, text.as_bytes())));
    }
    scene.script.reset(ids[3]);
    scene.script.settle(&mut scene.worker);
    scene.pass(seconds(20));
    let after: Vec<u32> = scene.worker.service().timers.iter().map(|at| at.since(began)).collect();
    assert_eq!(after, [500, 700]);
    let mut frames = frames(&scene.script.written(ids[0]));
    frames.retain(|(opcode, _)| *opcode == Opcode::Text);
    assert_eq!(frames, [(Opcode::Text, b"time".to_vec())]);
    // It may be set again, to an earlier time too.
    for text in ["timer 900", "timer 20"] {
        scene.arrive(ids[0], &masked(Opcode::Text, text.as_bytes()));
    }
    scene.pass(TICK * 30);
    assert_eq!(scene.worker.service().timers.len(), 3);
    scene.pass(seconds(20));
    assert_eq!(scene.worker.service().timers.len(), 3);
}

#[test]
fn a_connection_that_is_paused_is_not_read_and_not_taken_for_dead() {
    let mut scene = Scene::new(&config());
    let id = scene.open();
    let text = |text: &str| masked(Opcode::Text, text.as_bytes());
    scene.arrive(id, &[text("pause"), text("one"), text("two")[..5].to_vec()].concat());
    scene.arrive(id, &text("two")[5..]);
    for _ in 0..30 {
        scene.pass(seconds(20));
    }
    assert_eq!(scene.worker.service().heard, ["pause"]);
    let turns = scene.script.calls()[1];
    scene.pass(seconds(1));
    assert!(scene.script.calls()[1] - turns < 20, "it waits, and does not spin");
    let conn = ConnId::from_bits(scene.script.peer(id, |peer| peer.token.unwrap()));
    scene.worker.service().resumes.push(conn);
    scene.ask(&get("/now", "1"));
    scene.script.settle(&mut scene.worker);
    assert_eq!(scene.worker.service().heard, ["pause", "one", "two"]);
}

impl Scene {
    fn resume(&mut self, id: usize) {
        let conn = ConnId::from_bits(self.script.peer(id, |peer| peer.token.unwrap()));
        self.worker.service().resumes.push(conn);
        self.ask(&get("/now", "1"));
        self.script.settle(&mut self.worker);
    }
}

#[test]
fn requests_behind_one_that_pauses_the_connection_wait_until_it_is_read_again() {
    let half = get("/now", "1");
    for (behind, answers) in [
        (get("/now", "1") + &get("/now", "1"), 2),
        (get("/now", "1") + &half[..9], 1),
        (half[..9].to_owned(), 0),
        (String::new(), 0),
    ] {
        let mut scene = Scene::new(&config());
        let id = scene.ask(&(get("/pause", "1") + &behind));
        assert!(scene.read(id).ends_with("paused\n"), "{behind}");
        scene.pass(seconds(600));
        let turns = scene.script.calls()[1];
        scene.pass(seconds(30));
        assert!(scene.script.calls()[1] - turns < 20, "it waits, and does not spin");
        assert!(scene.read(id).is_empty() && !scene.script.is_closed(id), "{behind}");
        scene.resume(id);
        assert_eq!(scene.read(id).matches("HTTP/1.1 200 ").count(), answers);
        // It has its time from here on, as if it had come just now.
        let more = if behind.ends_with("\n") || behind.is_empty() { &half[..] } else { &half[9..] };
        scene.pass(seconds(5));
        scene.arrive(id, more.as_bytes());
        assert!(scene.read(id).ends_with("now\n"), "{behind}");
        scene.pass(seconds(200));
        assert!(scene.script.is_closed(id), "it asks for nothing");
    }
}

#[test]
fn a_paused_connection_whose_socket_fails_is_gone_at_once_whoever_does_the_heartbeats() {
    for mode in [HeartbeatMode::Client, HeartbeatMode::Server] {
        let heartbeat = Heartbeat { mode, ..Heartbeat::default() };
        let pause = masked(Opcode::Text, b"pause");
        for told in 0..3 {
            let mut scene = Scene::new(&Config { heartbeat, ..config() });
            let id = scene.open();
            scene.script.arrive(id, &pause);
            match told {
                // While it is paused; with what pauses it; never.
                0 => {
                    scene.script.settle(&mut scene.worker);
                    scene.script.reset(id);
                }
                1 => scene.script.reset(id),
                _ => {
                    scene.script.settle(&mut scene.worker);
                    scene.script.peer(id, |peer| peer.inbound.push_back(In::Reset));
                    scene.pass(seconds(100));
                }
            }
            scene.script.settle(&mut scene.worker);
            assert_eq!(scene.worker.service().closed, [Cause::Reset], "{mode:?} {told}");
        }
    }
}
