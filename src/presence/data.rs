//! The data that clients send to each other: JSON that was checked when it came in, or bytes that nobody looks at.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The data of a message, as it is relayed and kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Data {
    /// JSON, byte for byte as it was sent.
    Json(Box<str>),
    /// Any bytes.
    Binary(Box<[u8]>),
}

impl Data {
    /// Its length in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Data::Json(text) => text.len(),
            Data::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it has no byte, which JSON never is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        match self {
            Data::Json(text) => text.as_bytes(),
            Data::Binary(bytes) => bytes,
        }
    }
}

impl From<&str> for Data {
    fn from(json: &str) -> Data {
        Data::Json(json.into())
    }
}

impl From<Box<str>> for Data {
    fn from(json: Box<str>) -> Data {
        Data::Json(json)
    }
}

/// The same in a command: borrowed from the text that it was read from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SentData<'a> {
    /// JSON.
    Json(Cow<'a, str>),
    /// Any bytes.
    Binary(Cow<'a, [u8]>),
}

impl SentData<'_> {
    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            SentData::Json(text) => text.len(),
            SentData::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it has no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same, for longer than what it was read from.
    #[must_use]
    pub fn into_owned(self) -> SentData<'static> {
        match self {
            SentData::Json(text) => SentData::Json(Cow::Owned(text.into_owned())),
            SentData::Binary(bytes) => SentData::Binary(Cow::Owned(bytes.into_owned())),
        }
    }
}

impl<'a> From<&'a str> for SentData<'a> {
    fn from(json: &'a str) -> SentData<'a> {
        SentData::Json(json.into())
    }
}

impl From<String> for SentData<'_> {
    fn from(json: String) -> Self {
        SentData::Json(json.into())
    }
}

impl From<SentData<'_>> for Data {
    fn from(data: SentData<'_>) -> Data {
        match data {
            SentData::Json(text) => Data::Json(text.into_owned().into()),
            SentData::Binary(bytes) => Data::Binary(bytes.into_owned().into()),
        }
    }
}
