//! The bounds of the API.

/// Bytes of an error that the API answers with. Past it the error is cut: it may quote what was sent.
pub const API_ERROR_BYTES_MAX: usize = 512;
/// Bytes of a path that the log shows of a request of the API. Past it the path is cut.
pub const AUDIT_PATH_BYTES_MAX: usize = 256;
/// Refused requests of the API that a worker logs in a second. Past it they are counted, and the count is logged.
pub const AUDIT_REFUSALS_PER_SECOND: u64 = 5;
