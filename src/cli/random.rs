//! Secrets that the program makes.

use std::fs::File;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// So many random bytes, as letters, digits, `-` and `_`.
///
/// # Errors
/// The system gives none: one line.
pub(super) fn text<const BYTES: usize>() -> Result<String, String> {
    let mut random = [0; BYTES];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .map_err(|error| format!("/dev/urandom: {error}"))?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}
