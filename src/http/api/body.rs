//! Bodies of the API's writes.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::api::route::{Refused, checked};
use crate::json;
use crate::limits::CLOSE_REASON_BYTES_MAX;
use crate::presence::Name;
use crate::presence::command::is_object;

/// What a write brings.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Body<'a> {
    #[serde(borrow, deserialize_with = "given")]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    user: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
}

/// A `null` that was given is data as any other.
fn given<'de: 'a, 'a, D: serde::Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

impl Body<'_> {
    pub(super) fn read(body: &[u8]) -> Result<Body<'_>, Refused> {
        if body.is_empty() {
            return Ok(Body::default());
        }
        let text = std::str::from_utf8(body).map_err(|_| Refused::new(400, "the body is not UTF-8"))?;
        if !is_object(text) {
            // The error of the reader below would quote all of it.
            return Err(Refused::new(400, "the body can't be read: send an object, as {\"data\":…}"));
        }
        serde_json::from_str(text)
            .map_err(|error| Refused::new(400, format!("the body can't be read: {error}")))
    }

    pub(super) fn data(&self) -> Result<Box<str>, Refused> {
        let data = self.data.ok_or(Refused::new(400, r#"`data` is missing: send {"data":…}, any JSON"#))?;
        let data = data.get();
        json::judge(data).map_err(|fault| Refused::new(400, format!("`data` {fault}")))?;
        Ok(data.into())
    }

    pub(super) fn user(&self) -> Result<Name, Refused> {
        let user =
            self.user.as_deref().ok_or(Refused::new(400, r#"`user` is missing: send {"user":"NAME"}"#))?;
        checked("user", user)
    }

    pub(super) fn reason(&self) -> Result<Arc<str>, Refused> {
        let reason = self.reason.as_deref().filter(|reason| !reason.is_empty()).unwrap_or("kicked");
        if reason.len() > CLOSE_REASON_BYTES_MAX {
            let error = format!("`reason` is over {CLOSE_REASON_BYTES_MAX} bytes, which a Close can't hold");
            return Err(Refused::new(400, error));
        }
        Ok(reason.into())
    }
}
