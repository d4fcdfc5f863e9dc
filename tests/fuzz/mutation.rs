//! Inputs out of inputs: bits are flipped, bytes set, taken out and put in, parts repeated, moved and crossed.

/// Longer ones are cut.
const LONGEST: usize = 3_000;
/// Bytes at which formats change their mind.
const BYTES: [u8; 16] =
    [0, 1, 2, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0x88, 0x89, 0xfe, 0xff, b'\r', b'\n', b'"', b' '];
/// Words that mean something to one of the targets.
const WORDS: [&[u8]; 25] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"Host: a\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Upgrade: websocket\r\n",
    b"Connection: Upgrade\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b" HTTP/1.1\r\n",
    b"http://a/",
    &[0x81, 0x80, 0, 0, 0, 0],
    &[0x00, 0x80, 0, 0, 0, 0],
    &[0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8],
    &[0xf0, 0x9f, 0x98, 0x80],
    &[0xe2, 0x82],
    br#""cmd":"watch""#,
    br#""params":{"users":["anna","ben"]}"#,
    br#""room":"r""#,
    br#""room":"\u0022\\|\u00e4""#,
    b"\\u0000",
    b"9223372036854775808",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

/// SplitMix64, and what it does to bytes.
pub(super) struct Mutation(u64);

impl Mutation {
    pub(super) fn new(seed: u64) -> Mutation {
        Mutation(seed)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }

    /// A new input out of one or two of these.
    pub(super) fn of(&mut self, pool: &[Vec<u8>]) -> Vec<u8> {
        let mut input = pool[self.below(pool.len())].clone();
        for _ in 0..=self.below(6) {
            self.change(&mut input, pool);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, pool: &[Vec<u8>]) {
        let (start, end) = self.range(input.len());
        let at = self.below(input.len() + 1);
        match self.below(9) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = BYTES[self.below(BYTES.len())],
            2 if at < input.len() => input[at] = self.below(256) as u8,
            3 => drop(input.drain(start..end)),
            4 => drop(input.splice(at..at, WORDS[self.below(WORDS.len())].iter().copied())),
            5 => {
                let part = input[start..end].to_vec();
                drop(input.splice(at..at, part));
            }
            6 => {
                let other = &pool[self.below(pool.len())];
                let (from, to) = self.range(other.len());
                drop(input.splice(start..end, other[from..to].iter().copied()));
            }
            7 => input.truncate(at),
            _ => input.insert(at, self.below(256) as u8),
        }
    }

    /// A part of so many bytes, mostly a short one.
    fn range(&mut self, len: usize) -> (usize, usize) {
        let start = self.below(len + 1);
        let most = if self.below(4) == 0 { len } else { 16 };
        (start, start + self.below((len - start).min(most) + 1))
    }
}
