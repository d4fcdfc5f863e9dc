//! The JSON that a command is, before anybody asks what it means. Strings that need no unescaping are borrowed, a list of users is
//! read no further than a command may name them, and no error quotes what was sent: a string of a megabyte that stands where it
//! should not is not to be written out, nor sent back.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits::USERS_PER_COMMAND_MAX;
use crate::protocol::refusal::TOO_MANY_USERS;

/// A command.
#[derive(Deserialize)]
pub(super) struct ClientMessage<'a> {
    #[serde(borrow)]
    pub(super) seq: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) cmd: Option<TextField<'a>>,
    #[serde(borrow)]
    pub(super) params: Option<Object<'a>>,
}

/// A command whose `params` are yet to be read.
#[derive(Deserialize)]
pub(super) struct CommandParts<'a> {
    #[serde(borrow)]
    pub(super) seq: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) cmd: Option<TextField<'a>>,
    #[serde(borrow)]
    pub(super) params: Option<&'a RawValue>,
}

/// The parameters of all commands.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Params<'a> {
    #[serde(borrow)]
    pub(super) room: Option<TextField<'a>>,
    #[serde(borrow)]
    pub(super) user: Option<TextField<'a>>,
    #[serde(borrow)]
    pub(super) token: Option<TextField<'a>>,
    #[serde(borrow)]
    pub(super) users: Option<UserList<'a>>,
    #[serde(borrow, deserialize_with = "given")]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "given")]
    pub(super) info: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) info_ttl: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) state: Option<TextField<'a>>,
    #[serde(borrow)]
    pub(super) after: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) limit: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) echo: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) suspect: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) id: Option<TextField<'a>>,
    #[serde(borrow)]
    pub(super) since: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) before: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) binary: Option<&'a RawValue>,
    /// The bytes behind the text of a binary message.
    #[serde(skip)]
    pub(super) bytes: Option<&'a [u8]>,
}

/// A position in a room.
#[derive(Deserialize)]
pub(super) struct Position<'a> {
    #[serde(borrow)]
    pub(super) epoch: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) offset: Option<&'a RawValue>,
}

/// A `null` that was given is JSON as any other: something to say, or an `info` that is to go.
fn given<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// Parameters, which are an object.
pub(super) struct Object<'a>(pub(super) Params<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Objects;
        impl<'de> Visitor<'de> for Objects {
            type Value = Params<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Params::deserialize(MapAccessDeserializer::new(map))
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
                Err(E::custom("invalid type: string, expected an object"))
            }
        }
        from.deserialize_any(Objects).map(Object)
    }
}

/// A string, borrowed where it has no escapes: a `Cow` behind an `Option` or in a list would be owned.
pub(super) struct TextField<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for TextField<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Strings;
        impl<'de> Visitor<'de> for Strings {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        from.deserialize_str(Strings).map(TextField)
    }
}

/// Users: [`USERS_PER_COMMAND_MAX`] of them at most. If there are more, the rest of the text is not read.
pub(super) struct UserList<'a>(pub(super) Vec<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for UserList<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Lists;
        impl<'de> Visitor<'de> for Lists {
            type Value = Vec<Cow<'de, str>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
                Err(E::custom("invalid type: string, expected a sequence"))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut users = Vec::new();
                while let Some(TextField(user)) = list.next_element()? {
                    if users.len() == USERS_PER_COMMAND_MAX {
                        return Err(A::Error::custom(TOO_MANY_USERS));
                    }
                    users.push(user);
                }
                Ok(users)
            }
        }
        from.deserialize_any(Lists).map(UserList)
    }
}
