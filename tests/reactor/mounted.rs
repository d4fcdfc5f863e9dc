//! Services beside each other: each hears of its own connections and requests, and gets its own mail, on one worker and on three.

use rollcall::internals::reactor::mail::Mailboxes;
use rollcall::internals::reactor::{
    Accept, Admission, Answer, Cause, ConnId, Context, Latency, Mail, Mount, Mounted, Part, RequestId,
    Service, Shared, Terms, Worker, WorkerId, Wrapper,
};
use rollcall::internals::wire::close::{Close, CloseCode};
use rollcall::internals::wire::frame::Opcode;
use rollcall::internals::wire::http::{Head, Response};
use rollcall::internals::wire::session::Kind;
use rollcall::internals::wire::upgrade::Upgrade;

use super::kit::{Stage, config, frames, masked, upgrade_request};
use super::script::{Script, mailboxes};

/// Says its name and what it knows of a connection, and tells the others of its kind what it hears.
#[derive(Debug)]
struct Shop(&'static str, Vec<String>);

#[derive(Debug, PartialEq, Eq)]
struct Note(&'static str, String);

impl Mail for Note {
    fn bytes(&self) -> usize {
        self.1.len()
    }
}

impl Service for Shop {
    type Mail = Note;
    type Admitted = String;

    fn admit(&mut self, _: &mut Context<'_, Note>, _: ConnId, upgrade: &Upgrade<'_>) -> Admission<String> {
        match upgrade.head.query() {
            "closed" => Admission::Refuse(Response::text(403, self.0)),
            query => Admission::Accept(Accept { admitted: query.to_owned(), tag: 7, ..Accept::default() }),
        }
    }

    fn open(&mut self, cx: &mut Context<'_, Note>, conn: ConnId, admitted: String) {
        assert_eq!(cx.tag(conn), Some(7));
        cx.set_tag(conn, rollcall::internals::reactor::TAG_MAX);
        cx.send_text(conn, &format!("{} {admitted}", self.0)).unwrap();
    }

    fn message(&mut self, cx: &mut Context<'_, Note>, conn: ConnId, _: Kind, payload: &[u8]) {
        let text = String::from_utf8_lossy(payload).into_owned();
        if text == "close" {
            return cx.close(conn, &Close::new(CloseCode::NORMAL, self.0));
        }
        for to in 0..u16::try_from(cx.shared().workers().len()).unwrap() {
            cx.post(WorkerId(to), Note(self.0, text.clone()), Latency::Now).unwrap();
        }
        let lost = Note(self.0, "comes back".into());
        assert_eq!(cx.post(WorkerId(99), lost, Latency::Now), Err(Note(self.0, "comes back".into())));
    }

    fn closed(&mut self, cx: &mut Context<'_, Note>, conn: ConnId, cause: Cause) {
        assert_eq!(cx.tag(conn), Some(rollcall::internals::reactor::TAG_MAX));
        self.1.push(format!("closed {cause:?}"));
    }

    fn released(&mut self, _: &mut Context<'_, Note>, _: ConnId) -> Option<Vec<u8>> {
        Some(self.0.as_bytes().to_vec())
    }

    fn adopted(&mut self, cx: &mut Context<'_, Note>, conn: ConnId, state: &[u8]) {
        assert_eq!(cx.tag(conn), Some(rollcall::internals::reactor::TAG_MAX));
        assert_eq!(state, self.0.as_bytes());
        self.1.push("adopted".into());
    }

    fn request(&mut self, _: &mut Context<'_, Note>, _: RequestId, head: &Head<'_>, _: &[u8]) -> Answer {
        Answer::Now(Response::text(200, &format!("{} {}", self.0, head.path())))
    }

    fn mail(&mut self, _: &mut Context<'_, Note>, from: Option<WorkerId>, note: Note) {
        assert_eq!(note.0, self.0, "somebody else's");
        self.1.push(format!("{}: {}", from.unwrap(), note.1));
    }
}

/// Lets nobody in who says so.
#[derive(Debug)]
struct Guarded(Mall);

type Mall = Mounted<Mounted<Shop, Shop>, Shop>;

impl Wrapper for Guarded {
    type Inner = Mall;

    fn inner(&mut self) -> &mut Mall {
        &mut self.0
    }

    fn admit(
        &mut self,
        cx: &mut Context<'_, <Mall as Service>::Mail>,
        conn: ConnId,
        upgrade: &Upgrade<'_>,
    ) -> Admission<<Mall as Service>::Admitted> {
        match upgrade.head.query() {
            "nobody" => Admission::Refuse(Response::text(401, "nobody")),
            // In the place of the one whose path it is.
            "moved" => {
                self.0.claim(cx, conn);
                Admission::Accept(Accept {
                    admitted: Part::Mounted("moved".into()),
                    tag: 7,
                    subprotocol: None,
                    terms: Terms::default(),
                })
            }
            _ => self.0.admit(cx, conn, upgrade),
        }
    }
}

fn mall() -> Guarded {
    let shop = |name| Shop(name, Vec::new());
    Guarded(shop("bread").mount("/tea", shop("tea")).mount("/books", shop("books")))
}

struct World {
    scripts: Vec<Script>,
    workers: Vec<Worker<Script, Guarded>>,
}

impl World {
    fn new(workers: u16) -> World {
        let boxes: Mailboxes<<Mall as Service>::Mail> = mailboxes(usize::from(workers));
        let config = config();
        let shared = std::sync::Arc::new(Shared::new(usize::from(workers), 100, config.first_tick));
        let scripts: Vec<Script> = (0..workers).map(|_| Script::new(config.first_tick)).collect();
        let made = scripts.iter().zip(0..);
        let workers = made
            .map(|(script, id)| script.worker_of(WorkerId(id), &config, &shared, &boxes, mall()))
            .collect();
        World { scripts, workers }
    }

    fn settle(&mut self) {
        for _ in 0..3 {
            for (script, worker) in self.scripts.iter().zip(&mut self.workers) {
                script.settle(worker);
            }
        }
    }

    fn ask(&mut self, worker: usize, request: &[u8]) -> (usize, String) {
        let id = self.scripts[worker].connect();
        self.scripts[worker].arrive(id, request);
        self.settle();
        (id, String::from_utf8_lossy(&self.scripts[worker].written(id)).into_owned())
    }

    fn send(&mut self, worker: usize, id: usize, text: &str) {
        self.scripts[worker].arrive(id, &masked(Opcode::Text, text.as_bytes()));
        self.settle();
    }

    fn notes(&mut self, worker: usize) -> [Vec<String>; 3] {
        let mall = self.workers[worker].service().inner();
        [&mall.rest().rest().1, &mall.rest().service().1, &mall.service().1].map(Clone::clone)
    }
}

#[test]
fn each_service_hears_of_its_own() {
    for workers in [1, 3] {
        let mut world = World::new(workers);
        let last = usize::from(workers) - 1;
        for (path, shop) in [
            ("/?1", "bread 1"),
            ("/teas?2", "bread 2"),
            ("/tea?3", "tea 3"),
            ("/tea/green?4", "tea 4"),
            ("/books?5", "books 5"),
            ("/tea?moved", "books moved"),
        ] {
            let (id, answer) = world.ask(last, &upgrade_request(path));
            assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with(shop), "{path}: {answer}");
            world.send(last, id, shop);
            world.send(last, id, "close");
            let close = frames(&world.scripts[last].written(id)).pop().unwrap().1;
            assert_eq!(&close[2..], shop.split(' ').next().unwrap().as_bytes(), "{path}");
        }
        for (path, status) in [("/tea?closed", "403"), ("/?nobody", "401")] {
            let (_, answer) = world.ask(last, &upgrade_request(path));
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        }
        for (path, body) in [("/x", "bread /x"), ("/tea", "tea /tea"), ("/books/1", "books /books/1")] {
            let (_, answer) = world.ask(0, format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
            assert!(answer.trim_end().ends_with(body), "{path}: {answer}");
        }
        for worker in 0..=last {
            let mut heard = world.notes(worker);
            heard.iter_mut().for_each(|notes| notes.retain(|note| !note.starts_with("closed")));
            let all = |texts: &[&str]| texts.iter().map(|text| format!("{last}: {text}")).collect();
            let expected: [Vec<String>; 3] =
                [all(&["bread 1", "bread 2"]), all(&["tea 3", "tea 4"]), all(&["books 5", "books moved"])];
            assert_eq!(heard, expected, "worker {worker} of {workers}");
        }
        let ends = world.notes(last).map(|notes| notes.iter().filter(|n| n.starts_with("closed")).count());
        assert_eq!(ends, [2, 2, 2]);
    }
}

#[test]
fn a_connection_that_moves_is_its_services_own_there_too() {
    let mut world = World::new(2);
    for path in ["/?1", "/tea?2", "/books?3"] {
        let (id, _) = world.ask(0, &upgrade_request(path));
        let conn = ConnId::from_bits(world.scripts[0].peer(id, |peer| peer.token).unwrap());
        let (socket, snapshot) = world.workers[0].release(conn).unwrap();
        let id = world.scripts[0].carry(&socket, &world.scripts[1]);
        world.workers[1].adopt(socket, snapshot).unwrap();
        world.send(1, id, "close");
    }
    let told = ["adopted".to_owned(), "closed ServiceClosed".to_owned()];
    assert_eq!(
        (world.notes(0), world.notes(1)),
        ([(); 3].map(|()| Vec::new()), [(); 3].map(|()| told.to_vec()))
    );
}

#[test]
fn a_number_that_is_too_large_changes_no_service() {
    let mut world = World::new(1);
    let (id, _) = world.ask(0, &upgrade_request("/books?1"));
    world.send(0, id, "after the number was set");
    assert_eq!(world.notes(0)[2], ["0: after the number was set"]);
    // A service by itself has the whole of it, too.
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.send(id, &masked(Opcode::Text, b"x"));
    assert_eq!(stage.frames(id), [(Opcode::Text, b"x".to_vec())]);
}
