//! What a page says to show that it is there, and what it says to tell who it is: shapes that real clients use, told
//! apart from commands.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::presence::is_name;

/// The shapes of a page's own heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shapes {
    /// Exact texts: each is answered with itself, `ping` with `pong`.
    pub texts: Vec<String>,
    /// Keys of JSON objects: an object with one of them, and no `cmd`, is answered with itself.
    pub keys: Vec<String>,
}

impl Default for Shapes {
    fn default() -> Self {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Shapes { texts: owned(&["ping", "123456789", "HeartBeat"]), keys: owned(&["heart", "req_type"]) }
    }
}

/// What a text message is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
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

impl Shapes {
    /// Tells what a text is. A heartbeat's shape wins over a name's: nobody is called `ping`.
    #[must_use]
    pub fn tell(&self, text: &str) -> Said {
        if self.texts.iter().any(|known| known == text) {
            return if text == "ping" { Said::Heartbeat("pong") } else { Said::HeartbeatEcho };
        }
        if is_name(text) {
            return Said::Name(text.to_owned());
        }
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let Ok(seen) = deserializer.deserialize_map(Keys(self)) else { return Said::Other };
        match seen {
            Seen { command: true, .. } => Said::Command,
            Seen { heartbeat: true, .. } => Said::HeartbeatEcho,
            Seen { name: Some(name), .. } => Said::Name(name),
            Seen { .. } => Said::Other,
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

struct Keys<'s>(&'s Shapes);

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Seen, A::Error> {
        let mut seen = Seen::default();
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match &*key {
                "cmd" => seen.command = true,
                "id" => {
                    if let serde_json::Value::String(id) = map.next_value()? {
                        seen.name = Some(id).filter(|id| is_name(id));
                    }
                    continue;
                }
                key if self.0.keys.iter().any(|known| known == key) => seen.heartbeat = true,
                _ => {}
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_win_over_names_and_commands_over_heartbeats() {
        let shapes = Shapes::default();
        for (text, said) in [
            ("ping", Said::Heartbeat("pong")),
            ("123456789", Said::HeartbeatEcho),
            ("HeartBeat", Said::HeartbeatEcho),
            (r#"{"heart":1}"#, Said::HeartbeatEcho),
            (r#"{"req_type":8,"req_no":"1"}"#, Said::HeartbeatEcho),
            (r#"{"id":"a1","heart":1}"#, Said::HeartbeatEcho),
            (r#"{"cmd":"heartbeat","heart":1}"#, Said::Command),
            ("u-1001", Said::Name("u-1001".into())),
            (r#"{"id":"a1b2c3"}"#, Said::Name("a1b2c3".into())),
            (r#"{"id":7}"#, Said::Other),
            (r#"{"id":"not a name"}"#, Said::Other),
            (r#"{"event":"heartbeat","time_ms":1}"#, Said::Other),
            ("hello there", Said::Other),
            (r#"["heart"]"#, Said::Other),
            (r#"{"heart":"#, Said::Other),
            ("", Said::Other),
        ] {
            assert_eq!(shapes.tell(text), said, "{text}");
        }
    }
}
