//! Close codes (RFC 6455 §7.4).

/// The status code of a Close frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// 1000: the purpose is fulfilled.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// 1001: the server goes away (drain), or the page does.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// 1002: a rule of the protocol was broken.
    pub const PROTOCOL: CloseCode = CloseCode(1002);
    /// 1003: a kind of data that can't be accepted.
    pub const UNSUPPORTED: CloseCode = CloseCode(1003);
    /// 1007: data that doesn't fit its type (text that isn't UTF-8).
    pub const INVALID_DATA: CloseCode = CloseCode(1007);
    /// 1009: too big.
    pub const TOO_BIG: CloseCode = CloseCode(1009);
    /// 1010: the client missed an extension.
    pub const MISSING_EXTENSION: CloseCode = CloseCode(1010);
    /// 1011: the server met a condition it did not expect.
    pub const INTERNAL: CloseCode = CloseCode(1011);
    /// 1013: try again later; here: too slow a reader.
    pub const TRY_AGAIN: CloseCode = CloseCode(1013);
    /// 4000: a client that will not be back: its page was logged out.
    pub const GOODBYE: CloseCode = CloseCode(4000);
    /// 4408: no heartbeat or authentication in time.
    pub const TIMEOUT: CloseCode = CloseCode(4408);

    /// Whether the code may stand in a Close frame.
    ///
    /// RFC 6455 §7.4.1 reserves 1004, 1005, 1006 and 1015; §7.4.2 leaves 0–999 unused, 1016–2999 to later revisions,
    /// and 3000–4999 to libraries and applications. 1012–1014 are registered with IANA.
    #[must_use]
    pub const fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}
