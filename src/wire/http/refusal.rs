//! Why a request is not served.

/// A refusal: the request is answered with this, and the connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 400, 403, 404, 405, 413, 417, 426, 431, 501, 503, 505.
    pub status: u16,
    /// One line for a person, in the body.
    pub reason: &'static str,
}
