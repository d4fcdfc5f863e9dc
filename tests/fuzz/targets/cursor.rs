//! Choices out of bytes: the first bytes of an input decide how the rest is used, so that every input means something.

/// What is left of an input. An input that is used up chooses zero for ever.
pub(super) struct Cursor<'d>(&'d [u8]);

impl<'d> Cursor<'d> {
    pub(super) fn new(data: &'d [u8]) -> Cursor<'d> {
        Cursor(data)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Below `bound`, which is at most 256.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(super) fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// The next bytes, as many as there are up to `len`.
    pub(super) fn take(&mut self, len: usize) -> &'d [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(super) fn rest(self) -> &'d [u8] {
        self.0
    }
}

/// `input` in parts of the given sizes (of a byte each, plus one), over and over.
pub(super) fn parts<'d>(mut input: &'d [u8], sizes: &'d [u8]) -> impl Iterator<Item = &'d [u8]> {
    let sizes = if sizes.is_empty() { &[0][..] } else { sizes };
    sizes.iter().cycle().map_while(move |size| {
        let (part, rest) = input.split_at(input.len().min(usize::from(*size) + 1));
        input = rest;
        (!part.is_empty()).then_some(part)
    })
}
