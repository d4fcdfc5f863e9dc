//! The bounds on sets of keys that are fetched.

/// A set of keys that is fetched (`--token-jwks`). Past it the set is not taken, and the last good one stays.
pub const JWKS_BYTES_MAX: usize = 256 << 10;
/// Keys in such a set, of any kind. Past it the set is not taken.
pub const JWKS_KEYS_MAX: usize = 64;
/// Keys of it that a token is tried with that does not say which has signed it. Past it: 401.
pub const JWKS_TRIED_MAX: usize = 2;
/// Keys that tokens named and that are looked for at once. Past it the others are when the client comes back.
pub const JWKS_ASKED_MAX: usize = 64;
/// For how long a set may be fresh, whatever its sender says.
pub const JWKS_FRESH_MILLIS: std::ops::RangeInclusive<u64> = 60_000..=3_600_000;
/// For how long a set is fresh whose sender says nothing of it.
pub const JWKS_USUAL_MILLIS: u64 = 600_000;
/// From the first fetch for a key that a token named to the first for another, and for how long a key is absent that was looked for.
pub const JWKS_ASKED_MILLIS: u64 = 30_000;
/// From a fetch that did not bring a key that a token named to the next one that looks for it: doubled each time. Past the end the
/// key is absent: 401.
pub const JWKS_MISSED_MILLIS: std::ops::RangeInclusive<u64> = 1_000..=4_000;
/// From a fetch that has failed to the next one: doubled each time.
pub const JWKS_FAILED_MILLIS: std::ops::RangeInclusive<u64> = 1_000..=30_000;
/// A fetch. Past it it has failed.
pub const JWKS_ANSWER_MILLIS: u64 = 10_000;
/// How long the start waits for the first set. Past it the server starts nonetheless, and tokens by the set's keys are refused
/// until it is there: 503.
pub const JWKS_START_MILLIS: u64 = 5_000;
