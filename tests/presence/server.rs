//! A server of nodes without a model beside it, whose mail is delivered at once: for what two servers have to agree on.

use rollcall::internals::presence::admin::{AdminReply, AdminRequest};
use rollcall::internals::presence::record::Cursor;
use rollcall::internals::presence::{Effect, Homes, Name, Node, Record, Rules, State, View};
use rollcall::internals::protocol::rollcall_v1;
use rollcall::internals::time::Now;

use super::dice::Dice;
use super::rig::written;

/// Ticks for which connections are waited for that were handed over.
pub(super) const WAIT: u32 = 9_000;

/// Nodes whose mail is delivered at once.
pub(super) struct Server {
    pub(super) now: Now,
    pub(super) homes: Homes,
    pub(super) nodes: Vec<Node>,
    pub(super) replies: Vec<AdminReply>,
    /// Epochs of rooms that were handed over. Those of others are not looked at: which home begins which number of rooms is another
    /// matter.
    pub(super) epochs: Option<Vec<(Name, u64)>>,
    /// Of clients, by link.
    pub(super) heard: Vec<(u64, String)>,
}

impl Server {
    pub(super) fn new(workers: u16, secret: u128, rules: Rules, now: Now) -> Server {
        let homes = Homes::new(workers, secret);
        let mut nodes: Vec<Node> =
            (1..workers).map(|worker| Node::new(worker, homes, rules.clone(), now)).collect();
        nodes.insert(0, Node::new(0, homes, rules, now));
        Server { now, homes, nodes, replies: Vec::new(), epochs: None, heard: Vec::new() }
    }

    pub(super) fn settle(&mut self) {
        while let Some(worker) = self.nodes.iter().position(Node::has_effects) {
            for effect in self.nodes[worker].effects() {
                self.carry_out(worker, effect);
            }
        }
    }

    fn carry_out(&mut self, worker: usize, effect: Effect) {
        let (node, now) = (&mut self.nodes[worker], self.now);
        match effect {
            Effect::Send { session, event } => self.heard.push((session, rollcall_v1::encode(&event))),
            Effect::Publish { sessions, event, .. } => {
                self.heard.extend(sessions.iter().map(|session| (*session, written(&event).to_owned())));
            }
            Effect::Tell { reply_to, .. } => node.told(now, reply_to, 1, 0),
            Effect::Spread { broadcast, sessions, .. } => node.spread(now, broadcast, sessions.len(), 0),
            Effect::Reply { reply, .. } => self.replies.push(reply),
            Effect::Post { to, message } => self.nodes[usize::from(to)].mail(now, message),
            Effect::Capacity { slot, session } => node.capacity(now, slot, session, 128 << 10),
            Effect::Close { .. } | Effect::Verify { .. } => {}
        }
    }

    pub(super) fn pass(&mut self, ticks: u32) {
        self.now.tick = self.now.tick.after(ticks);
        self.now.micros += u64::from(ticks) * 10_000;
        self.now.unix_millis += u64::from(ticks) * 10;
        for worker in 0..self.nodes.len() {
            while self.nodes[worker].next_due().is_some_and(|due| self.now.tick.has_reached(due)) {
                self.nodes[worker].due(self.now);
                self.settle();
                while self.nodes[worker].resume(self.now) {
                    self.settle();
                }
            }
        }
    }

    pub(super) fn ask(&mut self, ask: AdminRequest) -> AdminReply {
        self.nodes[0].ask(self.now, 1, ask);
        self.settle();
        self.replies.pop().expect("an answer")
    }

    pub(super) fn home(&self, name: &str) -> &Node {
        &self.nodes[usize::from(self.homes.of(name))]
    }

    pub(super) fn export(&mut self, dice: &mut Dice) -> Vec<Record> {
        (0..self.nodes.len()).flat_map(|worker| self.export_of(worker, dice)).collect()
    }

    pub(super) fn export_of(&mut self, worker: usize, dice: &mut Dice) -> Vec<Record> {
        let mut all = Vec::new();
        let mut cursor = Some(Cursor::default());
        while let Some(from) = cursor {
            let most = 1 + dice.below(5);
            let (records, next) = self.nodes[worker].export(self.now, from, most);
            assert!(records.len() <= 3 * most, "{} records of {most}", records.len());
            all.extend(records);
            cursor = next;
        }
        all
    }

    /// Takes records over, some of them twice.
    pub(super) fn import(&mut self, records: &[Record], dice: &mut Dice) {
        for record in records {
            let bytes = record.to_bytes();
            let record = Record::from_bytes(&bytes).unwrap();
            assert_eq!(record.to_bytes(), bytes);
            let home = record.key().map(|name| usize::from(self.homes.of(name)));
            for (worker, node) in self.nodes.iter_mut().enumerate() {
                for _ in 0..1 + dice.below(2) {
                    let is_taken = node.import(self.now, record.clone(), WAIT);
                    assert_eq!(is_taken, home.is_none_or(|home| home == worker), "{record:?}");
                }
            }
            self.settle();
        }
        self.nodes.iter_mut().for_each(|node| node.imported(self.now));
        self.settle();
    }

    /// Everything that anybody outside can find out about these users and rooms, but for bans from rooms.
    pub(super) fn knows(&mut self, users: &[Name], rooms: &[Name]) -> Vec<String> {
        let mut all = Vec::new();
        let states = [None, Some(State::Offline), Some(State::Invisible), Some(State::Suspect)];
        for state in states {
            all.push(format!("{:?}", self.ask(AdminRequest::Users { state, limit: 256, after: None })));
        }
        all.push(format!("{:?}", self.ask(AdminRequest::Rooms { limit: 256, after: None })));
        for user in users {
            all.push(format!("{:?}", self.ask(AdminRequest::User { user: user.clone() })));
            let home = self.home(user).users();
            let view = home.view(user, self.now);
            // Of a user that was only watched it is not known that everybody may be out of its sight.
            let view = View { rooms: Some(view.rooms.clone().unwrap_or_default()), ..view };
            all.push(format!("{user}: {view:?}, {:?}", home.given_to(user)));
            let banned = self.nodes.iter().map(|node| node.edge().banned(self.now, user).cloned());
            let mut banned: Vec<_> = banned.collect();
            banned.dedup();
            all.push(format!("{user} is banned: {banned:?}"));
        }
        for room in rooms {
            let members = AdminRequest::Members { room: room.clone(), limit: 256, after: None };
            let mut reply = self.ask(members);
            if let AdminReply::Members(page, _) = &mut reply
                && self
                    .epochs
                    .as_ref()
                    .is_some_and(|epochs| !epochs.contains(&(room.clone(), page.place.epoch)))
            {
                page.place.epoch = 0;
            }
            all.push(format!("{reply:?}"));
            let home = self.home(room).rooms();
            let members: Vec<_> = home.members(room).collect();
            all.push(format!("{room}: {members:?}, {:?}", home.unseen(room).collect::<Vec<_>>()));
        }
        let taken: usize = self.nodes.iter().map(|node| node.users().taken()).sum();
        all.push(format!("{taken} rooms were taken"));
        all
    }

    /// Lifts all bans from rooms, and says which there were.
    pub(super) fn lift(&mut self, users: &[Name], rooms: &[Name]) -> Vec<String> {
        let mut all = Vec::new();
        for (user, room) in users.iter().flat_map(|user| rooms.iter().map(move |room| (user, room))) {
            let lift = AdminRequest::Lift { user: user.clone(), room: Some(room.clone()) };
            all.push(format!("{user} in {room}: {:?}", self.ask(lift)));
        }
        all
    }
}

pub(super) fn names(start: &str, count: usize) -> Vec<Name> {
    (0..count).map(|n| format!("{start}{n}").into()).collect()
}

/// What the answer to `say` shows: epoch and offset.
pub(super) fn say(server: &mut Server, room: &Name) -> (u64, u64) {
    match server.ask(AdminRequest::Say { room: room.clone(), data: "1".into(), id: None }) {
        AdminReply::Said(place) => (place.epoch, place.offset),
        reply => panic!("{reply:?}"),
    }
}
