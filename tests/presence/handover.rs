//! Homes that are handed over, record by record, to other workers of any number: what they know is known there, clients that were
//! there and come back are told to nobody, and numbers go on where they were.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rollcall::internals::presence::admin::AdminRequest;
use rollcall::internals::presence::{Entry, Grants, Name, Reason, Record, Rules, State};

use super::dice::Dice;
use super::rig::command;
use super::server::{Server, WAIT, names, say};
use super::simulation::Run;
use crate::bounds;

const SEEDS: u64 = 2_000;
const STEPS: usize = 40;
const DEEDS: usize = 15;

/// A connection of the old server, which comes back.
struct Session {
    user: Name,
    token: Option<Option<Arc<str>>>,
    rooms: Vec<String>,
    worker: usize,
    slot: u32,
}

fn same(before: &[String], after: &[String], when: &str) {
    for (before, after) in before.iter().zip(after) {
        // Lists are long: from a little before the first difference on.
        let same = before.bytes().zip(after.bytes()).take_while(|(one, other)| one == other).count();
        let [before, after] = [before, after].map(|text| &text[same.saturating_sub(80)..]);
        assert_eq!(after, before, "{when}");
    }
    assert_eq!(before.len(), after.len());
}

/// What somebody does at a server, and then at another one.
#[derive(Clone, Debug)]
enum Deed {
    Open { user: Name, worker: usize },
    Close { client: usize, reason: Reason },
    Command { client: usize, text: String },
    Pass(u32),
    Order(AdminRequest),
}

impl Deed {
    fn any(dice: &mut Dice, grace: u32) -> Deed {
        let (user, room) =
            (Name::from(format!("u{}", dice.below(7))), Name::from(format!("r{}", dice.below(4))));
        let client = dice.below(4);
        match dice.below(12) {
            0..3 => Deed::Open { user, worker: dice.below(7) },
            3 => Deed::Close { client, reason: dice.of(&[Reason::Closed, Reason::Lost, Reason::Timeout]) },
            4..7 => {
                let state = dice.of(&["online", "away", "busy", "invisible"]);
                let text = dice.of(&[
                    format!(r#"{{"seq":1,"cmd":"join","params":{{"room":"{room}"}}}}"#),
                    format!(r#"{{"seq":1,"cmd":"leave","params":{{"room":"{room}"}}}}"#),
                    format!(r#"{{"seq":1,"cmd":"status","params":{{"state":"{state}"}}}}"#),
                ]);
                Deed::Command { client, text }
            }
            7..10 => Deed::Pass(dice.of(&[1, 30, 100, grace / 2, grace])),
            10 => Deed::Order(AdminRequest::Disconnect { user, seconds: None, reason: "out".into() }),
            _ => Deed::Order(AdminRequest::ForceJoin { user, room, joins: dice.once_in(2) }),
        }
    }

    fn carry_out(self, server: &mut Server, clients: &mut Vec<(usize, u32)>) {
        let now = server.now;
        match self {
            Deed::Open { user, worker } => {
                let worker = worker % server.nodes.len();
                clients
                    .push((worker, server.nodes[worker].open(now, clients.len() as u64, Some(user), false)));
            }
            Deed::Close { client, reason } if client < clients.len() => {
                let (worker, slot) = clients.swap_remove(client);
                server.nodes[worker].closed(now, slot, reason, now.unix_millis);
            }
            Deed::Command { client, text } if client < clients.len() => {
                let (worker, slot) = clients[client];
                command(&mut server.nodes[worker], now, slot, &text);
            }
            Deed::Pass(ticks) => server.pass(ticks),
            Deed::Order(ask) => drop(server.ask(ask)),
            Deed::Close { .. } | Deed::Command { .. } => {}
        }
        server.settle();
    }
}

/// What happens at one server and at the other comes to the same.
fn same_from_then_on(
    old: &mut Server,
    new: &mut Server,
    (users, rooms): (&[Name], &[Name]),
    dice: &mut Dice,
    grace: u32,
) {
    let mut clients = [Vec::new(), Vec::new()];
    let mut deeds = Vec::new();
    for _ in 0..DEEDS {
        let deed = Deed::any(dice, grace);
        deeds.push(deed.clone());
        deed.clone().carry_out(old, &mut clients[0]);
        deed.carry_out(new, &mut clients[1]);
        same(&old.knows(users, rooms), &new.knows(users, rooms), &format!("{deeds:?}"));
    }
    for (server, clients) in [old, new].into_iter().zip(clients) {
        for (worker, slot) in clients {
            server.nodes[worker].closed(server.now, slot, Reason::Kicked, server.now.unix_millis);
            server.settle();
        }
    }
}

/// Plays a random server for a while, and has all clients go where `is_left`. Returns it with all its mail delivered, and its sessions, once they are known.
fn old_server(seed: u64, is_left: bool) -> (Server, impl Fn(&Server, &[Record]) -> Vec<Session>, Rules) {
    // One that loses letters is somebody else's story.
    let runs = (0..).map(|n| Run::new(seed + n * 1_000_003, false));
    let mut run = runs.into_iter().find(|run| run.world.lossy.is_none()).expect("most are not");
    for _ in 0..STEPS {
        run.step();
        let deliveries = run.dice.below(8);
        run.deliver(deliveries);
    }
    run.world.frozen.fill(false);
    run.world.full.fill(false);
    run.world.settle();
    for c in 0..run.world.clients.len() {
        if is_left && run.world.clients[c].open {
            run.world.close(c, run.dice.of(&[Reason::Closed, Reason::Lost]));
            let ticks = run.dice.of(&[0, 0, 7, 50]);
            run.world.pass(ticks);
        }
    }
    run.world.settle();
    let Run { mut world, rules, .. } = run;
    let nodes = std::mem::take(&mut world.nodes);
    let server = Server {
        now: world.now,
        homes: world.homes,
        nodes,
        replies: Vec::new(),
        epochs: None,
        heard: Vec::new(),
    };
    let sessions = move |server: &Server, records: &[Record]| {
        let mut sessions = Vec::new();
        for record in records {
            let Record::User(user) = record else { continue };
            for (n, connection) in (0..).zip(&user.connections).filter(|(_, one)| one.gone.is_none()) {
                let c = world.client_at(connection.at.worker, connection.at.client.slot);
                let c = c.expect("a connection that is there has a client");
                let peer = &world.clients[c];
                let (edge, rooms) = (server.nodes[usize::from(peer.worker)].edge(), peer.ears.rooms.iter());
                let claim = user.words.iter().find(|word| word.is_claim && word.connection == n);
                sessions.push(Session {
                    user: user.user.clone(),
                    token: connection.has_token.then(|| claim.and_then(|word| word.text.clone())),
                    rooms: rooms.filter(|room| edge.hears_in(peer.slot, room).is_some()).cloned().collect(),
                    worker: 0,
                    slot: 0,
                });
            }
        }
        sessions
    };
    (server, sessions, rules)
}

/// A session goes on at another server.
fn come_back(server: &mut Server, session: &mut Session, dice: &mut Dice) {
    session.worker = dice.below(server.nodes.len());
    let entry = match &session.token {
        None => Entry::Open(Some(session.user.clone())),
        Some(info) => {
            let grants = Grants::new(None, &[], info.as_deref(), u64::MAX).unwrap();
            Entry::Token(session.user.clone(), Arc::new(grants))
        }
    };
    session.slot = server.nodes[session.worker].enter(server.now, 1, entry, None, true);
    server.settle();
    for room in &session.rooms {
        let join = format!(r#"{{"seq":1,"cmd":"join","params":{{"room":"{room}"}}}}"#);
        command(&mut server.nodes[session.worker], server.now, session.slot, &join);
        server.settle();
    }
}

fn run(seed: u64) {
    let mut dice = Dice::new(seed ^ 0x5eed);
    let (is_left, returns) = (dice.once_in(2), dice.once_in(2));
    let (mut old, sessions, rules) = old_server(seed, is_left);
    let (users, rooms) = (names("u", 10), names("r", 5));
    let before = old.knows(&users, &rooms);
    let records = old.export(&mut dice);
    let workers = dice.of(&[1, 2, 3, 5]);
    let mut new = Server::new(workers, dice.below(1_000) as u128, rules.clone(), old.now);
    new.import(&records, &mut dice);
    same(&before, &new.knows(&users, &rooms), "handed over");
    let watch = new.nodes[0].open(new.now, 0, None, true);
    let list: Vec<String> = users.iter().map(|user| format!("{user:?}")).collect();
    let text =
        format!(r#"{{"seq":1,"cmd":"watch","params":{{"suspect":true,"users":[{}]}}}}"#, list.join(","));
    command(&mut new.nodes[0], new.now, watch, &text);
    new.settle();
    new.heard.clear();
    let mut sessions = sessions(&old, &records);
    if is_left {
        let epochs = records.iter().filter_map(|record| match record {
            Record::Member(member) => Some((member.room.clone(), member.epoch)),
            _ => None,
        });
        let epochs: Vec<(Name, u64)> = epochs.collect();
        (old.epochs, new.epochs) = (Some(epochs.clone()), Some(epochs));
        same_from_then_on(&mut old, &mut new, (&users, &rooms), &mut dice, rules.grace);
    } else if returns {
        for session in &mut sessions {
            come_back(&mut new, session, &mut dice);
        }
        let is_news = |(session, text): &&(u64, String)| *session == 0 || text.contains(r#""event":"join""#);
        let told: Vec<&(u64, String)> = new.heard.iter().filter(is_news).collect();
        assert!(told.is_empty(), "nobody is told who comes back: {told:?}");
        same(&before, &new.knows(&users, &rooms), "all are back");
    }
    if !is_left {
        go_on(&mut old, &mut new, &rooms, &records);
    }
    for session in sessions.into_iter().filter(|_| returns && !is_left) {
        new.nodes[session.worker].closed(new.now, session.slot, Reason::Kicked, new.now.unix_millis);
        new.settle();
    }
    new.nodes[0].closed(new.now, watch, Reason::Kicked, new.now.unix_millis);
    new.settle();
    same(&old.lift(&users, &rooms), &new.lift(&users, &rooms), "bans from rooms");
    new.pass(WAIT.max(rules.grace));
    new.pass(8_000);
    for node in &new.nodes {
        let held = (node.edge().len(), node.users().present(), node.rooms().len());
        assert_eq!(held, (0, 0, 0), "clients, users and rooms are left");
    }
    versions_ascend(&new, &records);
}

/// Offsets and epochs go on where they were.
fn go_on(old: &mut Server, new: &mut Server, rooms: &[Name], records: &[Record]) {
    let is_here = |room: &&Name| old.home(room).rooms().members(room).next().is_some();
    let here: Vec<&Name> = rooms.iter().filter(is_here).collect();
    for room in here {
        assert_eq!(say(new, room), say(old, room), "{room}");
    }
    let slot = new.nodes[0].open(new.now, 2, Some("fresh".into()), true);
    command(&mut new.nodes[0], new.now, slot, r#"{"seq":1,"cmd":"join","params":{"room":"fresh"}}"#);
    new.settle();
    let (epoch, _) = say(new, &"fresh".into());
    for record in records {
        if let Record::Floors { epoch: highest, .. } = record {
            assert!(epoch > *highest, "epoch {epoch} may have been one of up to {highest}");
        }
    }
    new.nodes[0].closed(new.now, slot, Reason::Kicked, new.now.unix_millis);
    new.settle();
}

/// Once everybody is gone: no version went back, and who was here went offline by a newer one.
fn versions_ascend(server: &Server, records: &[Record]) {
    for record in records {
        let Record::User(user) = record else { continue };
        let version = server.home(&user.user).users().view(&user.user, server.now).version;
        let was_seen = !user.connections.is_empty() && user.own != Some(State::Invisible);
        assert!(version >= user.version + u64::from(was_seen), "{version}: {user:?}");
    }
}

#[test]
fn homes_are_handed_over_to_any_number_of_workers() {
    let seeds = bounds::seeds(SEEDS);
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let own =
            std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < seeds.end));
        own.filter(|seed| catch_unwind(AssertUnwindSafe(|| run(*seed))).is_err()).collect::<Vec<_>>()
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(8);
    let broken: Vec<u64> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let first = broken.iter().min();
    assert!(
        first.is_none(),
        "{} seeds are broken, the first is ROLLCALL_SEED={first:?} {broken:?}",
        broken.len()
    );
}
