//! The last bytes of one direction of a connection: all that its next message may refer to.

/// The tail of all compressed messages of one direction, oldest byte first. Bounded by who pushes.
#[derive(Debug, Default)]
pub struct DeflateContext {
    bytes: Vec<u8>,
}

impl DeflateContext {
    /// The tail.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A message has passed; of all that has, the last `max` bytes are kept.
    pub fn push(&mut self, message: &[u8], max: usize) {
        let tail = &message[message.len().saturating_sub(max)..];
        let keep = (max - tail.len()).min(self.bytes.len());
        self.bytes.drain(..self.bytes.len() - keep);
        self.bytes.reserve_exact(tail.len());
        self.bytes.extend_from_slice(tail);
    }

    /// Gives the memory back. For the sending direction only: what was received may be referred to.
    pub fn forget(&mut self) {
        self.bytes = Vec::new();
    }

    /// Bytes of heap.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_all_messages_is_kept() {
        let all: Vec<u8> = (0..200).collect();
        for step in 1..50 {
            let mut context = DeflateContext::default();
            let mut passed = 0;
            for message in all.chunks(step) {
                context.push(message, 16);
                passed += message.len();
                assert_eq!(context.bytes(), &all[passed.saturating_sub(16)..passed]);
                assert!(context.held_bytes() <= 32);
            }
            context.forget();
            assert_eq!(context.held_bytes(), 0);
        }
    }
}
