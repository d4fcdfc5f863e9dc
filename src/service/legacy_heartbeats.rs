//! Heartbeats and names as pages of older clients send them: shapes that real clients use, told apart from commands.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::is_object;
use crate::limits::NAME_BYTES_MAX;
use crate::presence::{is_bare_name, is_name};

/// The shapes of a page's own heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyHeartbeats {
    /// Exact texts: each is answered with itself, `ping` with `pong`.
    pub texts: Vec<String>,
    /// Keys of JSON objects: an object with one of them, and no `cmd`, is answered with itself.
    pub keys: Vec<String>,
}

impl Default for LegacyHeartbeats {
    fn default() -> Self {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        LegacyHeartbeats {
            texts: owned(&["ping", "123456789", "HeartBeat"]),
            keys: owned(&["heart", "req_type"]),
        }
    }
}

/// Bytes of a text that take a microsecond to tell what it is and, where that is a heartbeat, to send it back: JSON of commas
/// and digits takes the longest.
const BYTES_PER_UNIT: usize = 256;

/// The cost of telling what so many bytes are, in units of work.
#[must_use]
pub fn cost(bytes: usize) -> u32 {
    u32::try_from(bytes / BYTES_PER_UNIT).unwrap_or(u32::MAX)
}

/// The kind of a text message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TextKind {
    /// A heartbeat; answer with this text.
    Heartbeat(&'static str),
    /// A heartbeat; answer with the same text.
    HeartbeatEcho,
    /// It may be a command of `rollcall.v1`.
    Command,
    /// A name: the sender's, where this is its first message.
    Name(String),
    /// Something else.
    Other,
}

impl LegacyHeartbeats {
    /// Tells what a text is. A heartbeat's shape wins over a name's: nobody is called `ping`.
    #[must_use]
    pub fn tell(&self, text: &str) -> TextKind {
        if self.texts.iter().any(|known| known == text) {
            return if text == "ping" { TextKind::Heartbeat("pong") } else { TextKind::HeartbeatEcho };
        }
        if is_bare_name(text) {
            return TextKind::Name(text.to_owned());
        }
        if !is_object(text) {
            return TextKind::Other;
        }
        let mut seen = Seen::default();
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = deserializer.deserialize_map(KeyVisitor { legacy_heartbeats: self, seen: &mut seen });
        match seen {
            // The rest of the object is for the command's codec.
            Seen { command: true, .. } => TextKind::Command,
            _ if read.is_err() => TextKind::Other,
            Seen { heartbeat: true, .. } => TextKind::HeartbeatEcho,
            Seen { name: Some(name), .. } => TextKind::Name(name),
            Seen { .. } => TextKind::Other,
        }
    }

    /// The meaning of an object's key.
    fn key(&self, key: &str) -> FieldKey {
        match key {
            "cmd" => FieldKey::Command,
            "id" => FieldKey::Name,
            key if self.keys.iter().any(|known| known == key) => FieldKey::Heartbeat,
            _ => FieldKey::Other,
        }
    }
}

/// The keys of an object that matter.
#[derive(Default)]
struct Seen {
    command: bool,
    heartbeat: bool,
    name: Option<String>,
}

enum FieldKey {
    Command,
    Heartbeat,
    Name,
    Other,
}

/// Looks at the keys of an object, up to one that makes it a command. Nothing of its values is kept but what may be a name.
struct KeyVisitor<'s> {
    legacy_heartbeats: &'s LegacyHeartbeats,
    seen: &'s mut Seen,
}

impl<'de> Visitor<'de> for KeyVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(KeyOf(self.legacy_heartbeats))? {
            match key {
                FieldKey::Command => {
                    self.seen.command = true;
                    return Ok(());
                }
                FieldKey::Name => {
                    let value: &RawValue = map.next_value()?;
                    self.seen.name = name(value.get());
                    continue;
                }
                FieldKey::Heartbeat => self.seen.heartbeat = true,
                FieldKey::Other => {}
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// A key, which is looked at where it lies.
struct KeyOf<'s>(&'s LegacyHeartbeats);

impl<'de> DeserializeSeed<'de> for KeyOf<'_> {
    type Value = FieldKey;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<FieldKey, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyOf<'_> {
    type Value = FieldKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<FieldKey, E> {
        Ok(self.0.key(key))
    }
}

/// Each byte of a name may be written as an escape of six, and quotes stand around it.
const NAME_JSON_BYTES_MAX: usize = 6 * NAME_BYTES_MAX + 2;

/// The name that a JSON value is. One that is too long for any is not even read.
fn name(json: &str) -> Option<String> {
    let is_short_text = json.starts_with('"') && json.len() <= NAME_JSON_BYTES_MAX;
    let text: String = is_short_text.then(|| serde_json::from_str(json).ok())??;
    Some(text).filter(|text| is_name(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_win_over_names_and_commands_over_heartbeats() {
        let legacy_heartbeats = LegacyHeartbeats::default();
        for (text, said) in [
            ("ping", TextKind::Heartbeat("pong")),
            ("123456789", TextKind::HeartbeatEcho),
            ("HeartBeat", TextKind::HeartbeatEcho),
            (r#"{"heart":1}"#, TextKind::HeartbeatEcho),
            (r#"{"req_type":8,"req_no":"1"}"#, TextKind::HeartbeatEcho),
            (r#"{"id":"a1","heart":1}"#, TextKind::HeartbeatEcho),
            (r#"{"cmd":"heartbeat","heart":1}"#, TextKind::Command),
            ("u-1001", TextKind::Name("u-1001".into())),
            (r#"{"id":"a1b2c3"}"#, TextKind::Name("a1b2c3".into())),
            (r#"{"id":7}"#, TextKind::Other),
            (r#"{"id":"auth0|5f7c"}"#, TextKind::Name("auth0|5f7c".into())),
            (r#"{"id":"J\u00f6rg \"J\""}"#, TextKind::Name("J\u{f6}rg \"J\"".into())),
            (r#"{"id":"no name*"}"#, TextKind::Other),
            (r#"{"id":"\ud83d"}"#, TextKind::Other),
            ("auth0|5f7c", TextKind::Other),
            ("J\u{f6}rg", TextKind::Other),
            (r#"{"event":"heartbeat","time_ms":1}"#, TextKind::Other),
            ("hello there", TextKind::Other),
            (r#"["heart"]"#, TextKind::Other),
            (r#"{"heart":"#, TextKind::Other),
            ("", TextKind::Other),
            (r#"{"\u0069d":"\u0061\u0062"}"#, TextKind::Name("ab".into())),
            (r#"{"id":"a1","x":[{"cmd":"who"}]}"#, TextKind::Name("a1".into())),
            (r#"{"id":["a1"]}"#, TextKind::Other),
            (r#"{"seq":1,"cmd":"heartbeat","params":{"#, TextKind::Command),
        ] {
            assert_eq!(legacy_heartbeats.tell(text), said, "{text}");
        }
    }
}
