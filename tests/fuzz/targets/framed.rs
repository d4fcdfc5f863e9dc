//! Binary messages of clients: any bytes are a command with bytes or a refusal with the `seq` to answer; and what is relayed is told
//! in two forms that say the same.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rollcall::internals::presence::message::RoomPosition;
use rollcall::internals::presence::{Command, Data, Event, SentData};
use rollcall::internals::protocol::{refusal, rollcall_v1};
use serde_json::{Value, json};

pub(super) fn run(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == 0);
    match rollcall_v1::decode_framed(data) {
        Err((_, why)) => {
            assert_eq!(refusal::code(&why), 400, "{why:?}");
            assert!(refusal::sentence(&why).len() < 300, "{why:?}");
        }
        Ok((seq, command)) => {
            let end = end.expect("a command without U+0000");
            let text = std::str::from_utf8(&data[..end]).expect("a command that is no text");
            let (Command::Say { data: SentData::Binary(bytes), .. }
            | Command::Tell { data: SentData::Binary(bytes), .. }) = command
            else {
                panic!("it takes no bytes: {command:?}")
            };
            assert_eq!(*bytes, data[end + 1..], "other bytes");
            let read: Value = serde_json::from_str(text).expect("a command that is no JSON");
            assert_eq!(read["seq"].as_i64().unwrap_or(0), seq);
            assert!(rollcall_v1::decode(text).is_err(), "without its bytes it is none");
        }
    }
    told(data);
}

/// What is said with these bytes, as clients of both kinds get it.
fn told(data: &[u8]) {
    let place = RoomPosition { count: 1, epoch: 2, offset: 3, membership: 4 };
    let said =
        |data| Event::Said { room: "r".into(), from: Some("anna".into()), data, place, unix_millis: 5 };
    let told = |data| Event::Told { from: None, data, unix_millis: 5 };
    for event in [said(Data::Binary(data.into())), told(Data::Binary(data.into()))] {
        let framed = rollcall_v1::encode_framed(&event).expect("it has bytes");
        let end = framed.iter().position(|byte| *byte == 0).expect("U+0000");
        assert_eq!(framed[end + 1..], *data);
        let mut head: Value = serde_json::from_slice(&framed[..end]).expect("JSON");
        head["data"] = json!({ "$binary": STANDARD.encode(data) });
        assert_eq!(head, serde_json::from_str::<Value>(&rollcall_v1::encode(&event)).expect("JSON"));
    }
}
