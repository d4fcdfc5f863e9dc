//! Letters between workers, any of them in any order, also such as no worker would write: nobody panics, what comes of
//! each is bounded, and those who are there can still be spoken to.

use rollcall::internals::presence::admin::Listing;
use rollcall::internals::presence::message::{
    Announced, Announcement, Claim, Highest, HomeAnswer, Leaving, MemberPage, MembershipChange, ReplyTo,
    RequestRef, RoomPosition,
};
use rollcall::internals::presence::{
    Catchup, ClientId, ClientRef, Data, Event, HistoryFrom, HistoryPage, Message, Moderation, Name, Past,
    Pattern, Reason, Recovery, SharedEvent, Since, State, Veil, View,
};

use super::binary::reads_back;
use super::cursor::Cursor;
use super::messages::{World, command};

const WORKERS: u16 = 3;
const NAMES: [&str; 6] = ["anna", "ben", "cleo", "r", "s", "a@b.c:d-e_f"];
const REASONS: [Reason; 8] = [
    Reason::Closed,
    Reason::Goodbye,
    Reason::Lost,
    Reason::Timeout,
    Reason::Kicked,
    Reason::Expired,
    Reason::Replaced,
    Reason::Drain,
];
const STATES: [State; 6] =
    [State::Online, State::Busy, State::Away, State::Invisible, State::Suspect, State::Offline];
/// What one letter may lead to, however many it speaks of: all are few here.
const EFFECTS_MAX: usize = 2_000;

pub(super) fn run(data: &[u8]) {
    let mut cursor = Cursor::new(data);
    let mut world = World::new(WORKERS);
    for (client, user) in [Some("anna"), Some("ben"), None, Some("anna")].into_iter().enumerate() {
        world.open(client % usize::from(WORKERS), user);
    }
    for _ in 0..300 {
        if cursor.is_empty() {
            break;
        }
        step(&mut world, &mut cursor);
        let effects = world.settle();
        assert!(effects <= EFFECTS_MAX, "{effects} effects of one letter");
        world.heard.clear();
    }
    for (client, seat) in world.clients.iter().enumerate().filter(|(_, seat)| seat.open && !seat.closing) {
        let node = &mut world.nodes[seat.worker];
        command(node, world.now, seat.slot, r#"{"seq":77,"cmd":"heartbeat"}"#);
        let answered = node.effects().iter().any(|effect| format!("{effect:?}").contains("77"));
        assert!(answered, "client {client} is no longer answered");
    }
    world.leave(Reason::Timeout);
    assert!(world.nodes.iter().all(|node| node.edge().is_empty()), "clients that are gone");
}

fn step(world: &mut World, cursor: &mut Cursor<'_>) {
    let client = cursor.below(4);
    match cursor.below(12) {
        0 => world.pass(u32::from(cursor.byte()) * 8),
        1 => world.close(client, cursor.of(&REASONS)),
        2 if world.clients[client].open => {
            let text = cursor.of(&COMMANDS);
            let seat = &world.clients[client];
            command(&mut world.nodes[seat.worker], world.now, seat.slot, text);
        }
        3 if world.clients[client].open => {
            let suspect = cursor.flag();
            let seat = &world.clients[client];
            world.nodes[seat.worker].suspect(world.now, seat.slot, suspect);
        }
        _ => {
            let to = cursor.below(usize::from(WORKERS));
            let letter = letter(cursor);
            reads_back(&letter);
            if cursor.below(8) == 0 {
                world.nodes[to].refused(world.now, letter);
            } else {
                world.nodes[to].mail(world.now, letter);
            }
        }
    }
}

const COMMANDS: [&str; 8] = [
    r#"{"seq":1,"cmd":"join","params":{"room":"r"}}"#,
    r#"{"seq":2,"cmd":"leave","params":{"room":"r"}}"#,
    r#"{"seq":3,"cmd":"say","params":{"room":"r","data":1}}"#,
    r#"{"seq":4,"cmd":"who","params":{"room":"r"}}"#,
    r#"{"seq":5,"cmd":"watch","params":{"users":["anna","ben","cleo"],"suspect":true}}"#,
    r#"{"seq":6,"cmd":"unwatch","params":{"users":["anna","ben"]}}"#,
    r#"{"seq":7,"cmd":"status","params":{"state":"invisible","info":{"a":1},"info_ttl":5}}"#,
    r#"{"seq":8,"cmd":"tell","params":{"user":"ben","data":[]}}"#,
];

fn claim(cursor: &mut Cursor<'_>) -> Claim {
    match cursor.below(3) {
        0 => Claim::NoToken,
        1 => Claim::Nothing,
        _ => Claim::Info("1".into()),
    }
}

fn letter(cursor: &mut Cursor<'_>) -> Message {
    let (name, other) = (name(cursor), name(cursor));
    let (at, reply_to) = (address(cursor), reply_to(cursor));
    let event = SharedEvent::new(Event::Broadcast { data: "{}".into(), unix_millis: 1 });
    match cursor.below(35) {
        0 => Message::Up {
            user: name,
            at,
            claim: claim(cursor),
            state: cursor.of(&[None, Some(State::Online), Some(State::Away), Some(State::Invisible)]),
        },
        1 => Message::Down {
            user: name,
            at,
            reason: cursor.of(&REASONS),
            seen_millis: cursor.of(&[0, 1_700_000_000_000, u64::MAX]),
        },
        2 => Message::Status {
            user: name,
            at,
            state: cursor.of(&[
                None,
                Some(State::Online),
                Some(State::Away),
                Some(State::Busy),
                Some(State::Invisible),
                Some(State::Offline),
            ]),
            info: cursor.flag().then(|| "1".into()),
            ttl_seconds: cursor.of(&[None, Some(0), Some(9), Some(u32::MAX)]),
            reply_to,
        },
        3 => Message::Suspect { user: name, at, suspect: cursor.flag() },
        4 => Message::Watch { user: name, reply_to, suspect: cursor.flag() },
        5 => Message::Unwatch { user: name, worker: at.edge(), suspect: cursor.flag() },
        6 => Message::Look { user: name, reply_to },
        7 => Message::Tell {
            user: name,
            from: cursor.flag().then_some(other),
            data: data(cursor),
            within: cursor.flag().then(|| ["r".into()].into()),
            reply_to,
        },
        8 => Message::Join {
            room: name,
            user: other,
            again: cursor.flag(),
            visit: cursor.of(&[0, 1, 2, u16::MAX]),
            hides: cursor.flag(),
            catchup: cursor.flag().then(|| {
                let since =
                    Since { epoch: cursor.of(&[0, 1, u64::MAX]), offset: cursor.of(&[0, 1, u64::MAX]) };
                Box::new(Catchup { since, bytes: cursor.of(&[0, 100, 1 << 17, u32::MAX]) })
            }),
            reply_to,
        },
        9 => Message::Leave {
            room: name,
            user: other,
            at,
            visit: cursor.of(&[0, 1, 2, u16::MAX]),
            hides: cursor.flag(),
            leaving: cursor.of(&[Leaving::Now, Leaving::Perhaps]),
            reply_to: cursor.flag().then_some(reply_to),
        },
        10 => Message::Say {
            room: name,
            from: cursor.flag().then_some(other),
            data: data(cursor),
            echo: cursor.flag(),
            id: cursor.flag().then(|| cursor.of(&["a", "b"]).into()),
            reply_to,
        },
        11 => Message::List {
            room: name,
            limit: cursor.of(&[1, 2, 256, 0, usize::MAX]),
            after: cursor.flag().then_some(other),
            only: cursor.flag().then(|| Pattern::new("a*").into_iter().collect()),
            reply_to,
        },
        12 => Message::Seen { reply_to, user: name, view: view(cursor) },
        13 => {
            let plain = cursor.flag().then(|| event.clone());
            Message::Changed { user: name, view: view(cursor), plain, full: cursor.flag().then_some(event) }
        }
        14 => Message::Told { client: at.client, event, reply_to },
        15 => Message::Evict {
            client: at.client,
            reason: cursor.of(&REASONS),
            words: cursor.flag().then(|| "out".into()),
        },
        16 => Message::Answered { reply_to, answer: answer(cursor, name) },
        17 => Message::Listed {
            reply_to,
            page: MemberPage {
                room: cursor.flag().then_some(name),
                place: place(cursor),
                next: cursor.flag().then(|| other.clone()),
                users: vec![other; cursor.below(5)],
            },
        },
        18 => Message::Place { user: name, room: other, is_in: cursor.flag() },
        19 => Message::ListUsers {
            state: cursor.of(&[None, Some(State::Online), Some(State::Invisible)]),
            limit: cursor.of(&[1, 256, 0, usize::MAX]),
            after: cursor.flag().then_some(other),
            reply_to,
        },
        20 => Message::ListRooms {
            limit: cursor.of(&[1, 256, 0, usize::MAX]),
            after: cursor.flag().then_some(other),
            reply_to,
        },
        21 => Message::Kick {
            user: name,
            reason: "out".into(),
            seconds: cursor.flag().then(|| cursor.of(&[0, 1, u32::MAX])),
            reply_to,
        },
        22 => Message::ForceJoin { user: name, room: other, joins: cursor.flag(), reply_to },
        23 => Message::ForceJoinClient { client: at.client, room: name, joins: cursor.flag(), reply_to },
        24 => Message::Broadcast { event, reply_to },
        25 => Message::UsersListed { reply_to, part: listing(cursor, name, view) },
        26 => Message::RoomsListed { reply_to, part: listing(cursor, name, |cursor| cursor.below(9)) },
        27 => Message::Renewed { user: name, at, claim: claim(cursor) },
        28 => Message::Silent { user: name, at, silent: cursor.flag() },
        29 => Message::Moderate {
            what: moderation(cursor, name, other),
            reply_to: cursor.flag().then_some(reply_to),
        },
        30 => Message::Veil(veil(cursor, (name, other), at)),
        33 => Message::History {
            room: name,
            user: cursor.flag().then_some(other),
            from: cursor.of(&[
                HistoryFrom::Before(None),
                HistoryFrom::Before(Some(0)),
                HistoryFrom::Before(Some(u64::MAX)),
                HistoryFrom::After(0),
                HistoryFrom::After(u64::MAX),
            ]),
            most: (cursor.of(&[0, 1, 512, u32::MAX]), cursor.of(&[0, 100, 1 << 17, u32::MAX])),
            reply_to,
        },
        31 | 32 => Message::Announce(announcement(cursor, (name, other), at)),
        _ => Message::Deliver {
            room: name,
            event,
            except: cursor.flag().then_some(at.client),
            change: cursor.flag().then(|| change(cursor).into()),
        },
    }
}

fn announcement(cursor: &mut Cursor<'_>, (room, user): (Name, Name), at: ClientRef) -> Announcement {
    let (edge, numbers) = (at.edge(), [0, 1, 1_700_000_000_000_000, u64::MAX]);
    let hides = cursor.flag();
    match cursor.below(9) {
        0 => {
            let told = Highest { version: cursor.of(&numbers), epoch: cursor.of(&numbers) };
            Announcement::Begin { edge, told }
        }
        1 => Announcement::End { edge },
        2 => Announcement::Heard { home: edge },
        3 => Announcement::Member { room, user, at, visit: cursor.of(&[0, 1, 2, u16::MAX]), hides },
        4 => {
            let [plain, full] = [(); 2].map(|()| cursor.of(&[0, 1, u32::MAX]));
            Announcement::Watched { user, edge, plain, full }
        }
        5 => Announcement::PlacesBegin { home: edge },
        6 => Announcement::PlacesEnd { home: edge },
        _ => {
            let (claim, said) = (claim(cursor), cursor.of(&[None, Some(State::Away), Some(State::Offline)]));
            let (silent, suspect) = (cursor.flag(), cursor.flag());
            Announcement::User { user, at, is: Announced { claim, said, hides, silent, suspect } }
        }
    }
}

fn moderation(cursor: &mut Cursor<'_>, room: Name, user: Name) -> Moderation {
    match cursor.below(13) {
        12 => Moderation::Silenced { user },
        8 => Moderation::DeleteRoom { room },
        9 => Moderation::DeleteUser { user },
        10 => Moderation::Erase { user },
        11 => Moderation::Disband { room },
        7 => {
            Moderation::Banned { user, ban: cursor.flag().then(|| (cursor.of(&[0, u64::MAX]), "out".into())) }
        }
        0 => Moderation::EndGraces { user, room: cursor.flag().then_some(room) },
        1 => Moderation::EndGrace { room, user },
        2 => Moderation::Ban { room, user, seconds: cursor.of(&[0, 1, u32::MAX]) },
        3 | 4 => Moderation::Lift { user, room: cursor.flag().then_some(room) },
        5 => Moderation::Invite { room, user },
        _ => Moderation::Expel { room, user },
    }
}

fn data(cursor: &mut Cursor<'_>) -> Data {
    if cursor.flag() { "1".into() } else { Data::Binary([0, 255].into()) }
}

fn veil(cursor: &mut Cursor<'_>, (room, user): (Name, Name), at: ClientRef) -> Veil {
    let hides = cursor.flag();
    match cursor.below(4) {
        0 => Veil::Client { client: at.client, hides },
        1 => Veil::Departed { user, hides },
        2 => Veil::Lingering { room, user, hides },
        _ => Veil::Member { room, user, at, visit: cursor.of(&[0, 1, 2, u16::MAX]), hides },
    }
}

fn name(cursor: &mut Cursor<'_>) -> Name {
    cursor.of(&NAMES).into()
}

fn address(cursor: &mut Cursor<'_>) -> ClientRef {
    let worker = cursor.below(usize::from(WORKERS)) as u16;
    let slot = cursor.of(&[0, 1, 0, 1, 2, 900, u32::MAX]);
    ClientRef::here(worker, ClientId { slot, serial: cursor.of(&[0, 1, 2, (1 << 30) - 1, u32::MAX]) })
}

fn reply_to(cursor: &mut Cursor<'_>) -> ReplyTo {
    let at = address(cursor);
    let request = if cursor.flag() {
        RequestRef::Command(cursor.of(&[0, 1, i64::MIN, i64::MAX]))
    } else if cursor.below(4) == 0 {
        RequestRef::Tell { tell: cursor.of(&[0, 1, 2, u32::MAX]) }
    } else if cursor.below(4) == 0 {
        RequestRef::CatchUp(cursor.of(&[0, 1, i64::MAX]))
    } else if cursor.below(4) == 0 {
        RequestRef::Awaited { slot: cursor.of(&[0, 1, u32::MAX]), serial: cursor.of(&[0, 1, 2, u32::MAX]) }
    } else {
        RequestRef::Part {
            pending_reply: cursor.of(&[0, 1, 2, u32::MAX]),
            serial: cursor.of(&[0, 1, 2, u32::MAX]),
            index: cursor.of(&[0, 1, 2, 300, u32::MAX]),
        }
    };
    ReplyTo { at, request }
}

fn place(cursor: &mut Cursor<'_>) -> RoomPosition {
    RoomPosition {
        count: cursor.of(&[0, 1, 200, usize::MAX]),
        epoch: cursor.of(&[0, 1, u64::MAX]),
        offset: cursor.of(&[0, 1, u64::MAX]),
        membership: cursor.of(&[0, 1, 2, u64::MAX]),
    }
}

fn change(cursor: &mut Cursor<'_>) -> MembershipChange {
    MembershipChange {
        since: cursor.of(&[0, 1, u64::MAX]),
        place: place(cursor),
        users: cursor.flag().then(|| (0..cursor.below(4)).map(|_| (name(cursor), cursor.flag())).collect()),
    }
}

fn answer(cursor: &mut Cursor<'_>, room: Name) -> HomeAnswer {
    match cursor.below(8) {
        6 => HomeAnswer::NoRoom,
        7 => HomeAnswer::History(cursor.flag().then(|| {
            let (epoch, first, last) = (1, cursor.of(&[0, 1, u64::MAX]), cursor.of(&[0, 1, u64::MAX]));
            Box::new(HistoryPage { room, epoch, first, last, messages: past(cursor) })
        })),
        5 => HomeAnswer::Barred(room, cursor.flag().then(|| cursor.of(&[0, 1, 2]))),
        0 => {
            let (place, visit) = (place(cursor), cursor.of(&[0, 1, 2]));
            let recovery = cursor.flag().then(|| {
                let (recovered, gap) = (cursor.flag(), cursor.flag().then_some((1, u64::MAX)));
                Box::new(Recovery { recovered, messages: past(cursor), gap })
            });
            HomeAnswer::Joined(room, place, visit, recovery)
        }
        1 => HomeAnswer::Left(room, place(cursor)),
        2 => HomeAnswer::Said(place(cursor)),
        3 => HomeAnswer::Told { to: cursor.below(4), without: cursor.of(&[0, 1, 0, usize::MAX / 2]) },
        _ => HomeAnswer::Status(cursor.of(&STATES)),
    }
}

fn past(cursor: &mut Cursor<'_>) -> Vec<Past> {
    let (from, data) = (cursor.flag().then(|| name(cursor)), cursor.flag().then(|| data(cursor)));
    vec![Past { from, data, offset: cursor.of(&[0, 1, u64::MAX]), unix_millis: 1 }; cursor.below(3)]
}

fn listing<T>(cursor: &mut Cursor<'_>, name: Name, row: impl Fn(&mut Cursor<'_>) -> T) -> Listing<T> {
    let rows = (0..cursor.below(3)).map(|_| (name.clone(), row(cursor))).collect();
    Listing { rows, next: cursor.flag().then_some(name) }
}

fn view(cursor: &mut Cursor<'_>) -> View {
    View {
        state: cursor.of(&STATES),
        plain: cursor.of(&STATES),
        version: cursor.of(&[0, 1, 1_700_000_000_000, u64::MAX]),
        since_millis: cursor.of(&[0, u64::MAX]),
        last_seen_millis: cursor.of(&[0, 1_700_000_000_000, u64::MAX]),
        connections: cursor.below(4),
        unseen: cursor.of(&[0, 0, 1, u8::MAX]),
        info: cursor.flag().then(|| "1".into()),
        reason: cursor.flag().then(|| cursor.of(&REASONS)),
        rooms: cursor.flag().then(|| [name(cursor)].into()),
    }
}
