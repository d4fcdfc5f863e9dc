//! Masking (RFC 6455 §5.3), in place and in safe code that the compiler turns into SIMD.

/// XORs `bytes` with `key`, which belongs to the first of them. Masks and unmasks alike.
pub fn apply(bytes: &mut [u8], key: [u8; 4]) {
    let _ = (bytes, key);
    todo!()
}

/// The key for what follows `len` bytes that were masked with `key`, so that a frame split over reads just goes on.
#[must_use]
pub const fn rotate(key: [u8; 4], len: usize) -> [u8; 4] {
    let _ = len;
    key
}
