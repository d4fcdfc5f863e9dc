//! Why a request of the API is not done.

use std::borrow::Cow;

use crate::http::api::answer;
use crate::presence::{NAME_RULE, Name, is_name};
use crate::wire::http::Response;

/// Why a request is not done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiRefusal {
    pub(crate) status: u16,
    pub(super) error: Cow<'static, str>,
    /// The allowed methods, for a 405.
    pub(super) allow: Option<&'static str>,
}

impl ApiRefusal {
    pub(crate) fn new(status: u16, error: impl Into<Cow<'static, str>>) -> ApiRefusal {
        ApiRefusal { status, error: error.into(), allow: None }
    }

    /// As it is answered.
    pub(crate) fn response(&self) -> Response {
        let response = answer::error(self.status, &self.error);
        match self.allow {
            // RFC 9110 §15.5.6.
            Some(allow) => response.with("Allow", allow),
            // RFC 6750 §3.
            None if self.status == 401 => response.with("WWW-Authenticate", "Bearer"),
            None => response,
        }
    }
}

/// A name as the API takes it.
pub(super) fn checked(what: &str, name: &str) -> Result<Name, ApiRefusal> {
    if is_name(name) {
        return Ok(name.into());
    }
    Err(ApiRefusal::new(400, format!("the {what}'s name has to be {NAME_RULE}")))
}
