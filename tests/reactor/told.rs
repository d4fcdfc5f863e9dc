//! What a service brings about in one of its calls, and is told in another of the same turn.

use rollcall::internals::reactor::{
    Accept, Admission, Answer, Cause, ConnId, Context, RequestId, Service, Stays, Worker,
};
use rollcall::internals::time::Tick;
use rollcall::internals::wire::close::{Close, CloseCode};
use rollcall::internals::wire::frame::Opcode;
use rollcall::internals::wire::http::{Head, Response};
use rollcall::internals::wire::session::Kind;
use rollcall::internals::wire::upgrade::Upgrade;
use std::time::Duration;

use super::kit::{config, masked, plain, seconds, upgrade_request};
use super::script::Script;

/// Does what its requests and messages say, and notes what it is told.
#[derive(Debug, Default)]
struct Clerk {
    conns: Vec<ConnId>,
    closed: usize,
    heard: usize,
    moves: bool,
    timers: usize,
    waiting: Option<RequestId>,
    abandoned: Vec<RequestId>,
    /// What the answer that waits ends with, once a connection has closed.
    ends: bool,
    /// Sent to all in the next call of these.
    in_tick: Option<&'static str>,
    in_weigh: Option<&'static str>,
}

impl Clerk {
    fn send_all(&self, cx: &mut Context<'_, ()>, text: &str) {
        for conn in &self.conns {
            let _ = cx.send_text(*conn, text);
        }
    }
}

impl Service for Clerk {
    type Mail = ();
    type Admitted = ();

    fn admit(&mut self, _: &mut Context<'_, ()>, _: ConnId, _: &Upgrade<'_>) -> Admission {
        Admission::Accept(Accept::default())
    }

    fn open(&mut self, _: &mut Context<'_, ()>, conn: ConnId, (): ()) {
        self.conns.push(conn);
    }

    fn message(&mut self, cx: &mut Context<'_, ()>, conn: ConnId, _: Kind, payload: &[u8]) {
        self.heard += 1;
        cx.timer(conn, Some(cx.now().tick.after(5)));
        cx.pause(conn);
        if payload == b"wait" {
            return;
        }
        cx.close(conn, &Close::new(CloseCode::NORMAL, "that was it"));
    }

    fn timer(&mut self, _: &mut Context<'_, ()>, _: ConnId) {
        self.timers += 1;
    }

    fn closed(&mut self, cx: &mut Context<'_, ()>, _: ConnId, _: Cause) {
        self.closed += 1;
        let Some(request) = self.waiting else { return };
        if self.ends { cx.end_stream(request) } else { cx.answer(request, Response::text(200, "it is gone")) }
    }

    fn released(&mut self, _: &mut Context<'_, ()>, _: ConnId) -> Option<Vec<u8>> {
        self.moves.then(Vec::new)
    }

    fn request(&mut self, cx: &mut Context<'_, ()>, request: RequestId, head: &Head<'_>, _: &[u8]) -> Answer {
        self.waiting = Some(request);
        match head.path() {
            "/kick" => {
                cx.close(self.conns[0], &Close::new(CloseCode::NORMAL, "out"));
                Answer::Later { by: cx.now().tick.after(500) }
            }
            "/follow" => {
                self.ends = true;
                cx.close(self.conns[0], &Close::new(CloseCode::NORMAL, "out"));
                Answer::Stream(Response::text(200, "first"))
            }
            "/whole" => {
                cx.end_stream(request);
                Answer::Stream(Response::text(200, "all of it"))
            }
            _ => Answer::Stream(Response::text(200, &"x".repeat(1 << 20))),
        }
    }

    fn abandoned(&mut self, _: &mut Context<'_, ()>, request: RequestId) {
        self.abandoned.push(request);
    }

    fn tick(&mut self, cx: &mut Context<'_, ()>) -> Option<Tick> {
        if let Some(text) = self.in_tick.take() {
            self.send_all(cx, text);
        }
        None
    }

    fn measure_memory(&mut self, cx: &mut Context<'_, ()>) {
        if let Some(text) = self.in_weigh.take() {
            self.send_all(cx, text);
        }
    }
}

struct Scene {
    script: Script,
    worker: Worker<Script, Clerk>,
}

impl Scene {
    fn new() -> Scene {
        let script = Script::new(config().first_tick);
        let (worker, _) = script.worker(&config(), Clerk::default());
        Scene { script, worker }
    }

    fn ask(&mut self, bytes: &[u8]) -> usize {
        let id = self.script.connect();
        self.script.arrive(id, bytes);
        self.script.settle(&mut self.worker);
        id
    }

    fn get(&mut self, path: &str) -> String {
        let id = self.ask(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        String::from_utf8(self.script.written(id)).unwrap()
    }

    fn open(&mut self) -> usize {
        let id = self.ask(&upgrade_request("/"));
        self.script.written(id);
        id
    }
}

#[test]
fn what_an_end_tells_the_service_behind_its_tick_is_no_reason_to_sleep() {
    let mut scene = Scene::new();
    let id = scene.open();
    scene.script.pass(&mut scene.worker, seconds(2));
    // It is written to at the end of the turn, behind the service's last call, and breaks by that.
    scene.script.peer(id, |peer| peer.reset_on_write = true);
    scene.worker.service().in_tick = Some("hello");
    scene.worker.turn().unwrap();
    assert_eq!(scene.worker.service().closed, 1);
    scene.worker.turn().unwrap();
    assert_eq!(scene.script.timeout(), Some(Duration::ZERO), "when it wants to be called is yet to be asked");
    scene.worker.turn().unwrap();
    assert_ne!(scene.script.timeout(), Some(Duration::ZERO));
}

#[test]
fn what_releasing_tells_the_service_is_no_reason_to_sleep() {
    let mut scene = Scene::new();
    scene.open();
    scene.script.pass(&mut scene.worker, seconds(2));
    let conn = scene.worker.service().conns[0];
    assert_eq!(scene.worker.release(conn).map(drop), Err(Stays::Kept));
    scene.worker.turn().unwrap();
    assert_eq!(scene.script.timeout(), Some(Duration::ZERO));
}

#[test]
fn an_answer_that_the_end_of_another_connection_brings_at_once_is_not_lost() {
    let mut scene = Scene::new();
    scene.open();
    let answer = scene.get("/kick");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("it is gone\n"), "{answer}");
}

#[test]
fn a_stream_that_ends_in_the_call_that_begins_it_or_in_one_behind_that_is_whole() {
    for path in ["/whole", "/follow"] {
        let mut scene = Scene::new();
        scene.open();
        let answer = scene.get(path);
        assert!(answer.ends_with("\r\n0\r\n\r\n"), "{path}: {answer}");
        assert!(scene.worker.service().abandoned.is_empty());
    }
}

#[test]
fn a_stream_whose_first_write_fails_is_abandoned() {
    let mut scene = Scene::new();
    let id = scene.script.connect();
    scene.script.peer(id, |peer| peer.reset_on_write = true);
    scene.script.arrive(id, b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
    scene.script.settle(&mut scene.worker);
    assert!(scene.script.is_closed(id));
    let request = scene.worker.service().waiting.unwrap();
    assert_eq!(scene.worker.service().abandoned, [request]);
}

#[test]
fn a_connection_that_its_service_has_ended_has_no_timer_and_is_read_to_its_end() {
    let mut scene = Scene::new();
    let id = scene.open();
    let close = [&1000_u16.to_be_bytes()[..]].concat();
    scene.script.arrive(id, &[masked(Opcode::Text, b"bye"), masked(Opcode::Close, &close)].concat());
    scene.script.pass(&mut scene.worker, Duration::from_millis(100));
    let said = [&1000_u16.to_be_bytes()[..], b"that was it"].concat();
    assert_eq!(scene.script.written(id), plain(Opcode::Close, &said));
    assert_eq!((scene.worker.service().closed, scene.worker.service().timers), (1, 0));
    assert!(scene.script.is_closed(id), "its Close was read");
}

#[test]
fn what_is_sent_when_memory_is_weighed_leaves_in_that_turn() {
    let mut scene = Scene::new();
    let id = scene.open();
    scene.script.pass(&mut scene.worker, seconds(2));
    scene.script.advance(seconds(2));
    scene.worker.service().in_weigh = Some("weighed");
    scene.worker.turn().unwrap();
    assert!(scene.worker.service().in_weigh.is_none());
    assert_eq!(scene.script.written(id), plain(Opcode::Text, b"weighed"));
}

#[test]
fn a_paused_connection_whose_machine_is_gone_is_the_kernels_to_find() {
    let mut scene = Scene::new();
    let id = scene.open();
    scene.script.arrive(id, &masked(Opcode::Text, b"wait"));
    scene.script.settle(&mut scene.worker);
    assert_eq!(scene.script.peer(id, |peer| peer.acknowledges_within), None);
    for _ in 0..60 {
        scene.script.pass(&mut scene.worker, seconds(2));
    }
    assert_eq!(scene.worker.service().closed, 0, "its Pongs are not read, which is held against nobody");
    assert_eq!(scene.script.peer(id, |peer| peer.acknowledges_within), Some(seconds(20)));
}

#[test]
fn a_timer_and_a_pause_go_along_with_their_connection() {
    let (mut from, mut to) = (Scene::new(), Scene::new());
    let id = from.open();
    from.script.arrive(id, &[masked(Opcode::Text, b"wait"), masked(Opcode::Text, b"wait")].concat());
    from.script.settle(&mut from.worker);
    from.worker.service().moves = true;
    let conn = from.worker.service().conns[0];
    let (socket, snapshot) = from.worker.release(conn).unwrap();
    from.script.carry(&socket, &to.script);
    to.worker.adopt(socket, snapshot).unwrap();
    to.script.pass(&mut to.worker, Duration::from_millis(100));
    assert_eq!((to.worker.service().heard, to.worker.service().timers), (0, 1));
    assert_eq!((from.worker.service().heard, from.worker.service().timers), (1, 0));
}
