//! Bodies of the API's writes.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::api::refusal::{ApiRefusal, checked};
use crate::json::{self, is_object};
use crate::limits::{BAN_SECONDS_MAX, CLOSE_REASON_BYTES_MAX, SAY_ID_CHARS_MAX};
use crate::presence::Name;

/// The body of a write.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct WriteBody<'a> {
    #[serde(borrow, deserialize_with = "given")]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    user: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "for")]
    time: Option<&'a RawValue>,
}

/// Units of a duration, in seconds.
const UNITS: [(&str, u32); 4] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 24 * 3_600)];
pub(super) const NO_TIME: &str =
    "`for` is missing: how long the ban is to last, like \"10m\", \"2h\" or \"30d\"";
const BAD_TIME: &str = "`for` is how long a ban lasts: 1 second to 30 days, like \"90s\", \"10m\", \"2h\" or \"30d\", or a number of \
                        seconds";

/// A `null` that was given is data as any other.
fn given<'de: 'a, 'a, D: serde::Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

impl WriteBody<'_> {
    pub(super) fn read(body: &[u8]) -> Result<WriteBody<'_>, ApiRefusal> {
        if body.is_empty() {
            return Ok(WriteBody::default());
        }
        let text = std::str::from_utf8(body).map_err(|_| ApiRefusal::new(400, "the body is not UTF-8"))?;
        if !is_object(text) {
            // The error of the reader below would quote all of it.
            return Err(ApiRefusal::new(400, "the body can't be read: send an object, as {\"data\":…}"));
        }
        serde_json::from_str(text)
            .map_err(|error| ApiRefusal::new(400, format!("the body can't be read: {error}")))
    }

    pub(super) fn data(&self) -> Result<Box<str>, ApiRefusal> {
        let data =
            self.data.ok_or(ApiRefusal::new(400, r#"`data` is missing: send {"data":…}, any JSON"#))?;
        let data = data.get();
        json::judge(data).map_err(|fault| ApiRefusal::new(400, format!("`data` {fault}")))?;
        Ok(data.into())
    }

    /// The name of what is said, under which it is said once.
    pub(super) fn id(&self) -> Result<Option<Box<str>>, ApiRefusal> {
        match self.id.as_deref() {
            Some(id) if !(1..=SAY_ID_CHARS_MAX).contains(&id.chars().count()) => {
                Err(ApiRefusal::new(400, format!("`id` is 1 to {SAY_ID_CHARS_MAX} characters")))
            }
            id => Ok(id.map(Into::into)),
        }
    }

    pub(super) fn user(&self) -> Result<Name, ApiRefusal> {
        let user =
            self.user.as_deref().ok_or(ApiRefusal::new(400, r#"`user` is missing: send {"user":"NAME"}"#))?;
        checked("user", user)
    }

    pub(super) fn reason(&self, default: &str) -> Result<Arc<str>, ApiRefusal> {
        let reason = self.reason.as_deref().filter(|reason| !reason.is_empty()).unwrap_or(default);
        if reason.len() > CLOSE_REASON_BYTES_MAX {
            let error = format!("`reason` is over {CLOSE_REASON_BYTES_MAX} bytes, which a Close can't hold");
            return Err(ApiRefusal::new(400, error));
        }
        Ok(reason.into())
    }

    /// How long a ban is to last.
    pub(super) fn seconds(&self) -> Result<Option<u32>, ApiRefusal> {
        let Some(time) = self.time.map(RawValue::get).filter(|time| *time != "null") else { return Ok(None) };
        let seconds = match serde_json::from_str::<Cow<'_, str>>(time) {
            Ok(text) => written(&text),
            Err(_) => time.parse().ok(),
        };
        let seconds = seconds.filter(|seconds| (1..=BAN_SECONDS_MAX).contains(seconds));
        seconds.map(Some).ok_or(ApiRefusal::new(400, BAD_TIME))
    }
}

/// A duration as people write it.
fn written(text: &str) -> Option<u32> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = (text[..digits].parse::<u32>().ok()?, text[digits..].trim_start());
    let (_, seconds) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*seconds)
}
