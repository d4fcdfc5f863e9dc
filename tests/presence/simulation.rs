//! Seeded runs of whole servers: people come, go, freeze, flood and vanish at random, mail between workers is delayed and
//! overtaken, or lost, mailboxes refuse, the clock jumps; and after every step the invariants hold.
//!
//! | invariant | it holds that |
//! |---|---|
//! | `no_ghost` | who is shown has a connection, or had one within the grace; in rooms too |
//! | `kicked_is_gone` | who is kicked is shown nowhere once the letters of that have arrived, though the connections still close |
//! | `banned_is_out` | who is banned is nowhere that the ban is of, once its letter has arrived |
//! | `given_is_joined` | who was given a room is in it with each later connection, until it is taken; and is told by whom |
//! | `no_false_offline`, `no_false_leave` | who has a connection, or had one within the grace, is shown; in rooms too |
//! | `told_with_its_reason` | who went offline did so for the reason of the last connection |
//! | `unseen` | who is invisible is offline, in no list and in no count: no event and no answer says otherwise |
//! | `best_of_devices` | state, connections and info are those of the connections |
//! | `joins_equal_leaves` | each member's view of a room alternates by user, counts right, and ends at the truth |
//! | `one_order_per_room` | everybody hears the same at the same epoch and offset, without gaps from the join on |
//! | `versions_ascend` | a version is new exactly where something is, and no watcher sees one go back |
//! | `no_time_ahead` | nobody was last seen, or is what they are, since a time that is yet to come by the clock as it was set |
//! | `snapshot_then_changes` | a snapshot, then every change that the watcher may see, then the truth |
//! | `every_command_answered_once` | by its `seq` |
//! | `told_once` | a `tell` reaches a connection once |
//! | `delivered_is_delivered` | the answer to a `tell` says to how many it came, and 503 only where nobody had room |
//! | `every_order_answered_once` | from outside: by its ticket, with an answer of its kind |
//! | `broadcast_once` | who was there and still is got it, once; as many as was said |
//! | `pages_are_in_order` | of users, rooms and members; all pages together name everybody, once |
//! | `no_leak` | in half of the runs sight is restricted: nobody is told of whom they may not see, and who goes out of sight is offline |
//! | `places_are_known` | where sight is restricted: once all is delivered a user's home knows which rooms the user is in |
//! | `few_answers_in_the_making` | a client has eight at most; what it asks for beyond them waits, in order |
//! | `work_is_counted` | no command costs nothing |
//! | `who_is_paged` | by name, behind `after`, within `limit` |
//! | `page_believes_the_truth` | a page that keeps lists has the right ones, two seconds after the last change; no position is left out or goes back |
//! | `heard_out` | in a quarter of the runs with several workers letters are lost, doubled and late, homes lose what they knew and workers are started anew: once nothing is lost any more, announcements are complete within some graces, and one grace later all of the above holds |
//! | `nothing_left` | when all have gone nothing remains, and nobody who is gone is sent anything |
//!
//! A seed that fails is printed. `ROLLCALL_SEED=17 cargo test --test main presence::simulation -- --nocapture` replays one
//! with a trace; `ROLLCALL_SEEDS=100000` tries more of them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rollcall::internals::presence::admin::AdminRequest as Order;
use rollcall::internals::presence::{Name, Reason, Rules, State};
use rollcall::internals::time::wheel::SPAN_TICKS;

use super::ask::Ask;
use super::comings::Come;
use super::dice::Dice;
use super::model::{Broken, Judge};
use super::page::Manner;
use super::rig::World;
use crate::bounds::number;

const SEEDS: u64 = 2_000;
const STEPS: usize = 250;
const REASONS: [Reason; 7] = [
    Reason::Closed,
    Reason::Goodbye,
    Reason::Lost,
    Reason::Timeout,
    Reason::Kicked,
    Reason::Expired,
    Reason::Drain,
];

/// A page that reloads: when it is back, and as whom.
struct Reload {
    steps: usize,
    user: Option<String>,
    rooms: Vec<String>,
}

pub(super) struct Run {
    pub(super) world: World,
    pub(super) dice: Dice,
    pub(super) rules: Rules,
    users: Vec<String>,
    rooms: Vec<String>,
    reloads: Vec<Reload>,
    said: u64,
}

impl Run {
    pub(super) fn new(seed: u64, trace: bool) -> Run {
        let mut dice = Dice::new(seed);
        let workers = dice.of(&[1, 3, 3, 7]);
        let is_lossy = workers > 1 && dice.once_in(4);
        let rules = Rules {
            grace: dice.of(&[500, 500, 200, 0, 5000]),
            page_silence: dice.of(&[None, None, None, Some(900), Some(6000)]),
            connections_per_user: dice.of(&[16, if is_lossy { 16 } else { 3 }]),
            restricted: dice.once_in(2),
            big_room: dice.of(&[100, 5, 3, 2]),
            big_room_names: dice.of(&[200_000, 12, 5]),
            ..Rules::default()
        };
        let mut world = World::with_secret(workers, rules.clone(), seed.into());
        if is_lossy {
            world.be_lossy(rules.clone(), seed);
        }
        world.judge = Judge::default();
        world.trace = trace;
        world.note(|| format!("seed {seed}: {workers} workers, {rules:?}"));
        let users = (0..2 + dice.below(6)).map(|n| format!("u{n}")).collect();
        let rooms = (0..1 + dice.below(4)).map(|n| format!("r{n}")).collect();
        Run { world, dice, rules, users, rooms, reloads: Vec::new(), said: 0 }
    }

    fn go(&mut self) -> Option<Broken> {
        for step in 0..STEPS {
            self.step();
            let deliveries = self.dice.below(8);
            self.deliver(deliveries);
            if self.dice.once_in(2) {
                self.world.pages_ask();
            }
            if step == STEPS / 2 && self.dice.once_in(2) {
                self.world.rest(self.rules.grace);
            }
            if self.world.judge.first.is_some() {
                return self.world.judge.first.take();
            }
        }
        self.world.rest(self.rules.grace);
        self.everybody_leaves();
        self.world.judge.first.take()
    }

    fn everybody_leaves(&mut self) {
        for c in self.open() {
            let reason = self.dice.of(&REASONS);
            self.world.close(c, reason);
        }
        self.world.rest(self.rules.grace);
        self.world.end_moderation();
        // Timers of those who are gone are void, and have to run out.
        self.world.pass(self.rules.grace.max(self.rules.page_silence.unwrap_or(0)).max(SPAN_TICKS) + 200);
        self.world.check_empty();
    }

    fn open(&self) -> Vec<usize> {
        (0..self.world.clients.len()).filter(|c| self.world.clients[*c].open).collect()
    }

    pub(super) fn deliver(&mut self, n: usize) {
        for _ in 0..n {
            let mail = self.world.mail();
            if mail.is_empty() {
                return;
            }
            let lane = self.dice.of(&mail);
            self.world.deliver(lane);
        }
    }

    /// A client comes: with a token, where sight is restricted.
    fn come(&mut self, worker: u16, user: Option<&str>) -> usize {
        let see: &[&str] = self.dice.of(&[&[][..], &[], &["u1"], &["u2", "u3*"], &["*"]]);
        let see = Some(see).filter(|_| self.rules.restricted);
        // Nobody comes without a token then.
        let user = user.or(see.and(Some("u0")));
        let info = self.dice.of(&[None, None, Some(r#"{"i":2}"#)]).filter(|_| see.is_some());
        let state = self.dice.of(&[State::Online, State::Away, State::Busy, State::Invisible]);
        let state = self.sayable(Some(state)).filter(|_| self.dice.once_in(3));
        let is_even = self.world.clients.len().is_multiple_of(2);
        let manner = Some(if is_even { Manner::Trusting } else { Manner::Comparing });
        self.world.come(worker, Come { user, see, info, state, manner })
    }

    /// A state that clients may say: where pages can be silent the model can't know what ends being invisible.
    fn sayable(&self, state: Option<State>) -> Option<State> {
        state.map(|state| match (state, self.rules.page_silence) {
            (State::Invisible, Some(_)) => State::Busy,
            _ => state,
        })
    }

    fn worker(&mut self) -> u16 {
        self.dice.below(self.world.nodes.len()) as u16
    }

    pub(super) fn step(&mut self) {
        self.reloaded();
        match self.dice.below(100) {
            0..10 => {
                let user = (!self.dice.once_in(6)).then(|| self.dice.of(&self.users));
                let worker = self.worker();
                if self.open().len() < 24 {
                    self.come(worker, user.as_deref());
                }
            }
            10..13 => self.freeze_or_fill(),
            13 => self.world.clients.iter_mut().for_each(|peer| peer.stalled = false),
            14..16 => {
                let worker = self.worker();
                self.world.frozen[usize::from(worker)] = false;
                self.world.full.fill(false);
                self.world.post_held();
            }
            16..30 => {
                let ticks = self.dice.of(&[1, 3, 10, 30, 100, 250, 499, 500, 501, 600]);
                self.world.pass(ticks as u32);
            }
            30 if self.dice.once_in(2) => self.world.jump(6_000),
            30 => self.set_the_clock(),
            31 if self.world.lossy.is_some() => {
                let (worker, what) = (self.worker(), self.dice.below(4));
                self.world.break_down(worker, what);
            }
            31 if self.dice.once_in(3) => self.kick(),
            31 => self.mass_disconnect(),
            32 => self.deliver(1_000),
            33..41 => {
                let (worker, ask) = (self.worker(), self.any_order());
                self.world.order(worker, ask);
            }
            _ => {
                let open = self.open();
                if !open.is_empty() {
                    let c = self.dice.of(&open);
                    self.act(c);
                }
            }
        }
    }

    /// The machine's clock is set right, by up to a day: no version may go back for that, and nothing waits by it.
    fn set_the_clock(&mut self) {
        let day = 86_400_000;
        let ahead = self.dice.below(2 * day) as u64;
        self.world.now.unix_millis = (self.world.now.unix_millis + ahead).saturating_sub(day as u64);
        self.world.note(|| format!("the wall clock is set to {}", self.world.now.unix_millis));
    }

    fn freeze_or_fill(&mut self) {
        let (worker, open) = (usize::from(self.worker()), self.open());
        if self.dice.once_in(2) && !open.is_empty() {
            let c = self.dice.of(&open);
            self.world.note(|| format!("c{c} takes nothing"));
            self.world.clients[c].stalled = true;
        } else if self.dice.once_in(2) {
            self.world.note(|| format!("w{worker} freezes"));
            self.world.frozen[worker] = true;
        } else {
            self.world.note(|| format!("w{worker}'s mailbox is full"));
            self.world.full[worker] = true;
        }
    }

    /// Somebody is sent away, and every letter arrives.
    fn kick(&mut self) {
        self.world.frozen.fill(false);
        self.world.full.fill(false);
        let (worker, user) = (self.worker(), self.dice.of(&self.users));
        // Who comes meanwhile would come after it, and what has been on its way for minutes is known to no edge any more.
        self.world.settle();
        self.world.pass(self.rules.grace + 20);
        self.world.settle();
        let theirs = |c: &usize| self.world.clients[*c].user.as_ref() == Some(&user);
        for c in self.open().into_iter().filter(theirs).collect::<Vec<_>>() {
            if self.world.clients[c].closing.is_none() && self.dice.once_in(2) {
                let reason = self.dice.of(&[Reason::Closed, Reason::Lost]);
                self.world.close(c, reason);
            }
        }
        let deliveries = self.dice.below(8);
        self.deliver(deliveries);
        let seconds = self.dice.of(&[None, Some(3)]);
        self.world
            .order(worker, Order::Disconnect { user: user.as_str().into(), seconds, reason: "out".into() });
        self.world.settle();
        self.world.check_gone(&user);
    }

    fn mass_disconnect(&mut self) {
        let reason = self.dice.of(&REASONS);
        for c in self.open() {
            if !self.dice.once_in(4) {
                self.close(c, reason);
            }
        }
    }

    /// A connection ends; half of those that may be back are.
    fn close(&mut self, c: usize, reason: Reason) {
        let peer = &self.world.clients[c];
        if !reason.is_final() && self.dice.once_in(2) {
            let (user, rooms) = (peer.user.clone(), peer.ears.rooms.iter().cloned().collect());
            self.reloads.push(Reload { steps: 1 + self.dice.below(8), user, rooms });
        }
        self.world.close(c, reason);
    }

    fn reloaded(&mut self) {
        self.reloads.iter_mut().for_each(|reload| reload.steps -= 1);
        let back: Vec<Reload> = self.reloads.extract_if(.., |reload| reload.steps == 0).collect();
        for Reload { user, rooms, .. } in back {
            let worker = self.worker();
            let c = self.come(worker, user.as_deref());
            for room in rooms {
                self.world.ask(c, &Ask::Join(room));
            }
        }
    }

    /// A client does something.
    fn act(&mut self, c: usize) {
        if self.world.clients[c].closing.is_some() {
            return self.close(c, Reason::Kicked);
        }
        match self.dice.below(60) {
            0..5 => {
                let reason = self.dice.of(&REASONS);
                self.close(c, reason);
            }
            5..7 => {
                let reason = self.dice.of(&[Reason::Closed, Reason::Lost]);
                self.close(c, reason);
            }
            7..9 => {
                let user = self.dice.of(&self.users);
                let is_nobody = self.world.clients[c].user.is_none();
                let taken = self.world.identify(c, &user);
                assert_eq!(taken, is_nobody, "a named connection is never renamed");
            }
            9..12 => self.world.page_heartbeat(c),
            12..15 => {
                let suspect = !self.world.clients[c].suspect;
                if self.world.clients[c].user.is_some() {
                    self.world.suspect(c, suspect);
                }
            }
            _ => {
                // Pages send several commands in a row, and don't wait for answers.
                let most = self.dice.of(&[3, 3, 3, 3, 3, 3, 3, 3, 3, 40]);
                for _ in 0..1 + self.dice.below(most) {
                    let ask = self.any();
                    self.world.ask(c, &ask);
                }
            }
        }
    }

    /// Somebody outside asks something.
    fn any_order(&mut self) -> Order {
        self.said += 1;
        let data: Box<str> = format!(r#"{{ "n":{} }}"#, self.said).into();
        let (room, user) = (self.dice.of(&self.rooms).into(), Name::from(self.dice.of(&self.users)));
        let (limit, after) = (1 + self.dice.below(4), self.dice.once_in(3).then(|| user.clone()));
        let seconds = self.dice.of(&[1, 3, 10, 60]);
        let is_lossy = self.world.lossy.is_some();
        match self.dice.below(20) {
            // Orders that edges know nothing of.
            10..14 | 16..20 if is_lossy => Order::Say { room, data: data.into(), id: None },
            0..2 => {
                let state = self.dice.of(&[None, None, Some(State::Online), Some(State::Offline)]);
                Order::Users { state, limit, after }
            }
            2 => Order::User { user },
            3..5 => Order::Tell { user, data: data.into() },
            5 => {
                let seconds = self.dice.once_in(2).then_some(seconds).filter(|_| !is_lossy);
                Order::Disconnect { user, seconds, reason: "out".into() }
            }
            16..18 => Order::Ban { room, user, seconds },
            18..20 => {
                let room = (!self.dice.once_in(3)).then_some(room);
                Order::Lift { user, room }
            }
            6 => Order::Rooms { limit, after },
            7 => Order::Members { room, limit, after },
            8..10 => Order::Say { room, data: data.into(), id: None },
            10..14 => Order::ForceJoin { user, room, joins: !self.dice.once_in(3) },
            _ => Order::Broadcast { data },
        }
    }

    fn any(&mut self) -> Ask {
        self.said += 1;
        let data = format!(r#"{{ "n":{} }}"#, self.said);
        let (room, user) = (self.dice.of(&self.rooms), self.dice.of(&self.users));
        let users = |dice: &mut Dice| (0..dice.below(4)).map(|n| format!("u{}", n + dice.below(6))).collect();
        match self.dice.below(32) {
            0..7 => Ask::Join(room),
            7..9 => Ask::Leave(room),
            9..15 => Ask::Say { room, data, echo: !self.dice.once_in(3) },
            15..17 => Ask::Tell { user, data },
            17..22 => Ask::Watch { users: users(&mut self.dice), suspect: self.dice.once_in(3) },
            22..24 => Ask::Unwatch(users(&mut self.dice)),
            24..26 => Ask::Presence(users(&mut self.dice)),
            26..28 => {
                let after = self.dice.once_in(3).then_some(user);
                Ask::Who { room, limit: 1 + self.dice.below(4), after }
            }
            28..31 => {
                let (online, away) = (Some(State::Online), Some(State::Away));
                let own = Some(self.dice.of(&[State::Busy, State::Invisible]));
                let state = self.dice.of(&[None, None, online, online, away, away, own, own]);
                let state = self.sayable(state);
                let info = self.dice.of(&["null", r#"{"i":1}"#, r#""b""#]).to_owned();
                let info = (state.is_none() || self.dice.once_in(3)).then_some(info);
                let ttl =
                    self.dice.of(&[None, None, None, Some(1), Some(3), Some(70)]).filter(|_| info.is_some());
                Ask::Status { state, info, ttl }
            }
            _ => Ask::Heartbeat,
        }
    }
}

/// Runs a seed. A panic of ours inside presence is a broken invariant too.
fn run(seed: u64, trace: bool) -> Option<Broken> {
    let ran = catch_unwind(AssertUnwindSafe(|| Run::new(seed, trace).go()));
    ran.unwrap_or_else(|_| Some(Broken { invariant: "no_panic", detail: "see above".to_owned() }))
}

#[test]
fn simulation() {
    if let Some(seed) = number("ROLLCALL_SEED") {
        let broken = run(seed, true);
        assert!(broken.is_none(), "seed {seed}: {broken:?}");
        return;
    }
    let (seeds, next) = (number("ROLLCALL_SEEDS").unwrap_or(SEEDS), AtomicU64::new(0));
    let work = || {
        let seeds =
            std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds));
        seeds.filter_map(|seed| Some((seed, run(seed, false)?))).collect::<Vec<_>>()
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(8);
    let mut broken: Vec<(u64, Broken)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    broken.sort_by_key(|(seed, _)| *seed);
    let Some((first, Broken { invariant, detail })) = broken.first() else { return };
    let mut by_invariant: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    broken.iter().for_each(|(seed, broken)| by_invariant.entry(broken.invariant).or_default().push(*seed));
    let mut table = String::new();
    for (invariant, seeds) in by_invariant {
        table += &format!("  {invariant}: {} seeds, {:?} …\n", seeds.len(), &seeds[..seeds.len().min(5)]);
    }
    panic!(
        "{} of {seeds} seeds are broken:\n{table}seed {first}, {invariant}: {detail}\n\
         ROLLCALL_SEED={first} cargo test --test main presence::simulation -- --nocapture\n",
        broken.len()
    );
}
