//! The binary form of messages and records, for where they cross more than a worker's mailbox: a format's number in a byte, then postcard
//! (<https://postcard.jamesmunns.com/wire-format>): variants by their number, integers as varints, text with its length.
//!
//! The form follows the types: a field or a variant that is added, taken away or moved makes another format.

use serde::{Deserialize, Serialize};

use crate::presence::message::Message;
use crate::presence::record::Record;

/// The first byte of a message. Messages of another format are not read.
pub const FORMAT: u8 = 1;
/// The first byte of a record. Records of another format are not read.
pub const RECORD_FORMAT: u8 = 1;

/// Why bytes are no message, or no record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreadable {
    /// They have another format, or none: this one.
    Format(Option<u8>),
    /// They break the format, or go on behind the data.
    Malformed,
}

impl Message {
    /// The message's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        written(FORMAT, self)
    }

    /// Reads a message. Its content is not judged: names and numbers are whatever its writer put there.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Message, Unreadable> {
        read(FORMAT, bytes)
    }
}

impl Record {
    /// The record's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        written(RECORD_FORMAT, self)
    }

    /// Reads a record. What it says is not judged.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Record, Unreadable> {
        read(RECORD_FORMAT, bytes)
    }
}

fn written<T: Serialize>(format: u8, data: &T) -> Vec<u8> {
    postcard::to_extend(data, vec![format]).expect("its lists have lengths, and a vector grows")
}

fn read<'de, T: Deserialize<'de>>(format: u8, bytes: &'de [u8]) -> Result<T, Unreadable> {
    let Some((_, data)) = bytes.split_first().filter(|(first, _)| **first == format) else {
        return Err(Unreadable::Format(bytes.first().copied()));
    };
    match postcard::take_from_bytes(data) {
        Ok((data, [])) => Ok(data),
        _ => Err(Unreadable::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::membership::RoomPosition;
    use crate::presence::message::{HomeAnswer, Leaving, ReplyTo, RequestRef};
    use crate::presence::record::{
        ConnectionRecord, HistoryRecord, MemberRecord, PastRecord, PlaceRecord, Sight, UserRecord, WordRecord,
    };
    use crate::presence::{
        ClientId, ClientRef, CommandRefusal, Event, Name, Reason, SharedEvent, State, View,
    };

    const AT: ClientRef = ClientRef::here(300, ClientId { slot: 5, serial: 70_000 });

    /// Pins the format. From the first release on: change it, and count [`FORMAT`] up.
    #[test]
    fn letters_are_the_bytes_that_other_builds_read() {
        let reply_to = ReplyTo { at: AT, request: RequestRef::Command(-1) };
        let said = Event::Said {
            room: "r".into(),
            from: None,
            data: "1".into(),
            place: RoomPosition { count: 1, epoch: 2, offset: 3, membership: 4 },
            unix_millis: 5,
        };
        for (message, bytes) in [
            (
                Message::Leave {
                    room: "r".into(),
                    user: "ann".into(),
                    at: AT,
                    visit: 2,
                    leaving: Leaving::Perhaps,
                    hides: true,
                    reply_to: Some(reply_to),
                },
                "010d017203616e6e00ac0205f0a2040201010100ac0205f0a2040001",
            ),
            (
                Message::Deliver {
                    room: "r".into(),
                    event: SharedEvent::new(said),
                    except: Some(AT.client),
                    change: None,
                },
                "012001720601720000013101020304050105f0a20400",
            ),
            (
                Message::Answered {
                    reply_to,
                    answer: HomeAnswer::NotForced(CommandRefusal::DataTooLong { most: 300 }),
                },
                "011c00ac0205f0a20400011103ac02",
            ),
            (
                Message::Seen {
                    reply_to,
                    user: "J\u{f6}rg".into(),
                    view: View { state: State::Away, version: 9, ..View::default() },
                },
                "011800ac0205f0a2040001054ac3b6726703000900000000000000",
            ),
        ] {
            let written = message.to_bytes();
            let hex: String = written.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, bytes, "{message:?}");
            assert_eq!(format!("{:?}", Message::from_bytes(&written).unwrap()), format!("{message:?}"));
        }
    }

    #[test]
    fn records_are_the_bytes_that_other_builds_read() {
        let gone = Some((Reason::Lost, 300));
        let connection =
            ConnectionRecord { at: AT, away: true, silent: false, suspect: false, has_token: true, gone };
        let words = WordRecord { connection: 1, text: Some("{}".into()), is_claim: false, ticks: Some(7) };
        let places = [(Sight::Hidden, Some(4)), (Sight::Visible, None)];
        let ann: Name = "ann".into();
        for (record, bytes) in [
            (
                Record::User(Box::new(UserRecord {
                    user: ann.clone(),
                    version: 1,
                    since_millis: 2,
                    last_seen_millis: 3,
                    reason: Some(Reason::Closed),
                    own: Some(State::Busy),
                    connections: vec![connection, ConnectionRecord { gone: None, ..connection }],
                    words: vec![words],
                    rooms: vec!["r".into(), "s".into()],
                    left: vec!["s".into()],
                })),
                "010003616e6e010203010001050200ac0205f0a204010000010102ac0200ac0205f0a20401000001000101010\
                 27b7d0001070201720173010173",
            ),
            (Record::Given { user: ann.clone(), rooms: vec!["r".into()] }, "010103616e6e010172"),
            (
                Record::Taken { user: ann.clone(), rooms: vec![("r".into(), None), ("s".into(), Some(9))] },
                "010203616e6e0201720001730109",
            ),
            (
                Record::Ban {
                    user: ann.clone(),
                    room: Some("r".into()),
                    micros: 1_000_000,
                    words: "".into(),
                },
                "010303616e6e010172c0843d00",
            ),
            (
                Record::Member(Box::new(MemberRecord {
                    room: "r".into(),
                    epoch: 1,
                    offset: 2,
                    membership: 3,
                    told: Some(2),
                    user: ann.clone(),
                    is_seen: true,
                    places: places.map(|(sight, ticks)| PlaceRecord { sight, ticks }).into(),
                })),
                "01040172010203010203616e6e01020101040000",
            ),
            (
                Record::History(Box::new(HistoryRecord {
                    room: "r".into(),
                    epoch: 1,
                    offset: 9,
                    membership: 3,
                    first: 8,
                    messages: vec![
                        PastRecord {
                            from: Some(ann.clone()),
                            id: Some("i".into()),
                            data: Some("1".into()),
                            is_deleted: false,
                            unix_millis: 300,
                            ticks: 2,
                        },
                        PastRecord {
                            from: None,
                            id: None,
                            data: None,
                            is_deleted: true,
                            unix_millis: 0,
                            ticks: 1,
                        },
                    ],
                })),
                "0106017201090308020103616e6e0101690100013100ac0202000000010001",
            ),
            (Record::Departed { user: ann, rooms: vec![("r".into(), 900)] }, "010503616e6e0101728407"),
            (Record::Floors { version: 300, epoch: 4, serial: 5 }, "0107ac020405"),
        ] {
            let written = record.to_bytes();
            let hex: String = written.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, bytes, "{record:?}");
            assert_eq!(Record::from_bytes(&written), Ok(record));
        }
    }

    #[test]
    fn what_is_no_letter_is_said_to_be_none() {
        let unreadable = |bytes: &[u8]| Message::from_bytes(bytes).map(|_| ()).unwrap_err();
        assert_eq!(unreadable(&[]), Unreadable::Format(None));
        let message = Message::Look {
            user: "ann".into(),
            reply_to: ReplyTo { at: AT, request: RequestRef::Command(1) },
        };
        let bytes = message.to_bytes();
        assert_eq!(unreadable(&[&[FORMAT + 1], &bytes[1..]].concat()), Unreadable::Format(Some(FORMAT + 1)));
        for len in 1..bytes.len() {
            assert_eq!(unreadable(&bytes[..len]), Unreadable::Malformed, "{len}");
        }
        assert_eq!(unreadable(&[&bytes[..], &[0]].concat()), Unreadable::Malformed);
        let mut longer = bytes;
        longer[1] = 0x7f;
        assert_eq!(unreadable(&longer), Unreadable::Malformed, "no such letter");
    }
}
