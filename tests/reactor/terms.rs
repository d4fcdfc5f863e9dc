//! Connections with heartbeats and limits of their own.

use std::sync::Arc;
use std::time::Duration;

use rollcall::internals::limits::{MessageLimits, TERMS_MAX};
use rollcall::internals::reactor::{
    Accept, Admission, Cause, Config, ConnId, Context, Heartbeat, HeartbeatMode, Limits, SendError, Service,
    Shared, Snapshot, Terms, Worker,
};
use rollcall::internals::wire::frame::Opcode;
use rollcall::internals::wire::session::Kind;
use rollcall::internals::wire::upgrade::Upgrade;

use super::kit::{config, frames, masked, number, seconds, upgrade_request};
use super::script::Script;

/// Accepts each client on the terms that its path names.
#[derive(Debug, Default)]
struct Inn {
    closed: Vec<Cause>,
    sent: Vec<Result<(), SendError>>,
}

fn terms_of(path: &str) -> Terms {
    let heartbeat = Heartbeat { interval: seconds(2), timeout: seconds(1), ..Heartbeat::default() };
    match path {
        "/quick" => Terms { heartbeat: Some(heartbeat), ..Terms::default() },
        "/client" => {
            let mode = HeartbeatMode::Client;
            let heartbeat = Heartbeat { mode, client_silence: seconds(300), ..heartbeat };
            Terms { heartbeat: Some(heartbeat), ..Terms::default() }
        }
        "/small" => Terms {
            messages: Some(MessageLimits { max_message_bytes: 10, ..MessageLimits::default() }),
            max_backlog_bytes: Some(1_000),
            ..Terms::default()
        },
        path => Terms {
            max_backlog_bytes: Some(number(&path.as_bytes()[1..]) as usize).filter(|most| *most > 0),
            ..Terms::default()
        },
    }
}

impl Service for Inn {
    type Mail = ();
    type Admitted = ();

    fn admit(&mut self, _: &mut Context<'_, ()>, _: ConnId, upgrade: &Upgrade<'_>) -> Admission {
        let terms = terms_of(upgrade.head.path());
        Admission::Accept(Accept { tag: 5, terms, ..Accept::default() })
    }

    fn message(&mut self, cx: &mut Context<'_, ()>, conn: ConnId, _: Kind, _: &[u8]) {
        assert_eq!(cx.tag(conn), Some(5));
        cx.set_tag(conn, 5);
        self.sent.extend((0..20).map(|_| cx.send(conn, Kind::Binary, &[0; 100])));
    }

    fn closed(&mut self, _: &mut Context<'_, ()>, _: ConnId, cause: Cause) {
        self.closed.push(cause);
    }

    fn released(&mut self, _: &mut Context<'_, ()>, _: ConnId) -> Option<Vec<u8>> {
        Some(Vec::new())
    }

    fn adopted(&mut self, cx: &mut Context<'_, ()>, conn: ConnId, _: &[u8]) {
        assert_eq!(cx.tag(conn), Some(5));
    }
}

struct Scene {
    script: Script,
    worker: Worker<Script, Inn>,
    shared: Arc<Shared>,
}

impl Scene {
    fn new(config: &Config) -> Scene {
        let script = Script::new(config.first_tick);
        let (worker, shared) = script.worker(config, Inn::default());
        Scene { script, worker, shared }
    }

    fn settle(&mut self) {
        self.script.settle(&mut self.worker);
    }

    fn come(&mut self, path: &str) -> (usize, String) {
        let id = self.script.connect();
        self.script.arrive(id, &upgrade_request(path));
        self.settle();
        (id, String::from_utf8(self.script.written(id)).unwrap())
    }

    fn accepts(&mut self, path: &str) -> bool {
        let (_, answer) = self.come(path);
        assert!(answer.starts_with("HTTP/1.1 101 ") || answer.starts_with("HTTP/1.1 503 "), "{answer}");
        answer.starts_with("HTTP/1.1 101 ")
    }

    /// Lets time pass; the connection's Pings.
    fn pings(&mut self, id: usize, time: Duration) -> usize {
        self.script.pass(&mut self.worker, time);
        frames(&self.script.written(id)).iter().filter(|(opcode, _)| *opcode == Opcode::Ping).count()
    }

    /// How many messages of a hundred bytes may be queued for a connection that has no room.
    fn queued(&mut self, id: usize) -> usize {
        self.script.peer(id, |peer| peer.room = 0);
        self.script.arrive(id, &masked(Opcode::Binary, &[0; 10]));
        self.settle();
        let sent = std::mem::take(&mut self.worker.service().sent);
        self.script.make_room(id, usize::MAX);
        self.settle();
        self.script.written(id);
        sent.iter().filter(|sent| sent.is_ok()).count()
    }

    /// Whether a message of so many bytes is too long.
    fn is_too_long(&mut self, id: usize, len: usize) -> bool {
        self.script.arrive(id, &masked(Opcode::Binary, &vec![0; len]));
        self.settle();
        self.worker.service().sent.clear();
        let last = frames(&self.script.written(id)).pop().unwrap();
        last.0 == Opcode::Close && last.1[..2] == 1009_u16.to_be_bytes()
    }

    fn limit(&mut self, limits: Limits) {
        self.shared.change(limits);
        self.settle();
    }

    /// Moves a connection to another scene, where it is there; what it is goes through its bytes.
    fn move_to(&mut self, id: usize, other: &mut Scene) -> std::io::Result<usize> {
        let conn = ConnId::from_bits(self.script.peer(id, |peer| peer.token).unwrap());
        let (socket, snapshot) = self.worker.release(conn).unwrap();
        let snapshot = Snapshot::from_bytes(&snapshot.to_bytes()).unwrap();
        let id = self.script.carry(&socket, &other.script);
        other.worker.adopt(socket, snapshot)?;
        other.settle();
        Ok(id)
    }
}

#[test]
fn each_connection_has_its_own_heartbeat() {
    let mut scene = Scene::new(&config());
    let (usual, _) = scene.come("/");
    let (quick, _) = scene.come("/quick");
    let (client, _) = scene.come("/client");
    assert_eq!(
        (scene.pings(usual, seconds(5)), scene.worker.service().closed.len()),
        (0, 1),
        "the quick one"
    );
    assert_eq!(scene.pings(quick, seconds(0)), 1);
    assert_eq!(scene.pings(usual, seconds(60)), 1);
    assert_eq!(scene.worker.service().closed, [Cause::Timeout; 2]);
    assert_eq!((scene.pings(client, seconds(200)), scene.worker.service().closed.len()), (0, 2));
    assert_eq!((scene.pings(client, seconds(60)), scene.worker.service().closed.len()), (0, 3));
}

#[test]
fn each_connection_has_its_own_limits() {
    let mut scene = Scene::new(&config());
    for (path, queued) in [("/", 20), ("/small", 9)] {
        let (id, _) = scene.come(path);
        assert_eq!(scene.queued(id), queued, "{path}");
        assert_eq!(scene.is_too_long(id, 11), path == "/small");
    }
}

#[test]
fn a_worker_has_room_for_so_many_terms_and_says_so_then() {
    let mut scene = Scene::new(&config());
    for n in 1..=TERMS_MAX {
        assert!(scene.accepts(&format!("/{n}0000")), "{n}");
    }
    assert!(!scene.accepts("/990000"));
    assert!(scene.accepts("/30000"), "those are there");
    assert!(scene.accepts("/"));
}

#[test]
fn what_terms_do_not_say_follows_the_server() {
    let mut scene = Scene::new(&config());
    let (usual, _) = scene.come("/");
    let (quick, _) = scene.come("/quick");
    let (small, _) = scene.come("/small");
    let limits = Limits::of(&config());
    let messages = MessageLimits { max_message_bytes: 12, ..limits.messages };
    scene.limit(Limits { max_backlog_bytes: 600, messages, ..limits });
    assert_eq!([usual, quick, small].map(|id| scene.queued(id)), [5, 5, 9]);
    let too_long = [(usual, 12), (usual, 13), (quick, 12), (quick, 13), (small, 10), (small, 12)];
    assert_eq!(too_long.map(|(id, len)| scene.is_too_long(id, len)), [false, true, false, true, false, true]);
    assert!(scene.worker.service().closed.iter().all(|cause| *cause == Cause::Protocol));
    // The time for a message is the server's for all of them.
    let (half, _) = scene.come("/client");
    scene.limit(Limits { message_timeout: seconds(3), ..limits });
    let closed = scene.worker.service().closed.len();
    scene.script.arrive(half, &masked(Opcode::Binary, &[0; 10])[..8]);
    assert_eq!((scene.pings(half, seconds(2)), scene.worker.service().closed.len()), (0, closed));
    scene.script.pass(&mut scene.worker, seconds(2));
    assert_eq!(scene.worker.service().closed[closed..], [Cause::Timeout]);
}

#[test]
fn terms_go_with_a_connection_that_moves() {
    let (mut from, mut to) = (Scene::new(&config()), Scene::new(&config()));
    // Its terms have another number there.
    assert!(to.accepts("/77777"));
    let (small, _) = from.come("/small");
    let (usual, _) = from.come("/");
    let small = from.move_to(small, &mut to).unwrap();
    let usual = from.move_to(usual, &mut to).unwrap();
    assert_eq!([small, usual].map(|id| to.queued(id)), [9, 20]);
    let small = to.move_to(small, &mut from).unwrap();
    assert!(from.is_too_long(small, 11) && !to.is_too_long(usual, 11));
    // A worker that has no room for them does not take it.
    for n in 2..TERMS_MAX {
        assert!(to.accepts(&format!("/{n}0000")), "{n}");
    }
    let (quick, _) = from.come("/quick");
    assert!(from.move_to(quick, &mut to).is_err());
    let (usual, _) = from.come("/");
    assert!(from.move_to(usual, &mut to).is_ok());
}
