//! Masking (RFC 6455 §5.3), in place and in safe code that the compiler turns into SIMD.

/// One cache line: what the loop works on at a time.
const BLOCK: usize = 64;

/// XORs `bytes` with `key`, which belongs to the first of them. Masks and unmasks alike.
pub fn apply(bytes: &mut [u8], key: [u8; 4]) {
    // A payload starts 6, 8 or 14 bytes into its frame, so most of its blocks would straddle two cache lines.
    let peel = if bytes.len() < 4 * BLOCK { 0 } else { bytes.as_ptr().align_offset(BLOCK).min(bytes.len()) };
    let (front, body) = bytes.split_at_mut(peel);
    blocks(front, key);
    blocks(body, rotate(key, peel));
}

fn blocks(bytes: &mut [u8], key: [u8; 4]) {
    let word = u32::from_ne_bytes(key);
    let (blocks, rest) = bytes.as_chunks_mut::<BLOCK>();
    for block in blocks {
        for four in block.as_chunks_mut::<4>().0 {
            *four = (u32::from_ne_bytes(*four) ^ word).to_ne_bytes();
        }
    }
    let (fours, rest) = rest.as_chunks_mut::<4>();
    for four in fours {
        *four = (u32::from_ne_bytes(*four) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// The key for what follows `len` bytes that were masked with `key`, so that a frame split over reads just goes on.
#[must_use]
pub const fn rotate(key: [u8; 4], len: usize) -> [u8; 4] {
    let by = len % 4;
    [key[by], key[(by + 1) % 4], key[(by + 2) % 4], key[(by + 3) % 4]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oracle(bytes: &[u8], key: [u8; 4]) -> Vec<u8> {
        bytes.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect()
    }

    #[test]
    fn masking_matches_the_oracle_at_every_length_alignment_and_key_offset() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let bytes: Vec<u8> = (0..64 + 300).map(|i: u32| i.to_le_bytes()[0].wrapping_mul(31)).collect();
        for start in 0..64 {
            for len in 0..=300 {
                let key = rotate(key, start + len);
                let mut masked = bytes.clone();
                apply(&mut masked[start..start + len], key);
                assert_eq!(
                    masked[start..start + len],
                    oracle(&bytes[start..start + len], key),
                    "{start} {len}"
                );
                assert_eq!(
                    (&masked[..start], &masked[start + len..]),
                    (&bytes[..start], &bytes[start + len..])
                );
            }
        }
    }

    #[test]
    fn masking_resumes_at_any_offset() {
        let key = [1, 2, 3, 4];
        let bytes = [0x55; 150];
        for cut in 0..=bytes.len() {
            let mut parts = bytes;
            apply(&mut parts[..cut], key);
            apply(&mut parts[cut..], rotate(key, cut));
            assert_eq!(parts[..], oracle(&bytes, key)[..], "{cut}");
        }
    }

    #[test]
    fn rotating_by_four_changes_nothing() {
        assert_eq!(rotate([1, 2, 3, 4], 8), [1, 2, 3, 4]);
        assert_eq!(rotate([1, 2, 3, 4], 5), [2, 3, 4, 1]);
        assert_eq!(rotate([1, 2, 3, 4], usize::MAX), [4, 1, 2, 3]);
    }
}
