//! Terms of single connections that differ from the server's: a table of them, and in each connection's tag the number of its own.

use serde::{Deserialize, Serialize};

use crate::conn::timing::{PingRound, Timing};
use crate::limits::{MessageLimits, TERMS_MAX};
use crate::reactor::config::{Config, Heartbeat};
use crate::reactor::ids::WorkerId;

/// The bits of a connection's tag that have the number of its terms. The service's own number lies below them, the service's id above.
pub(crate) const TERMS_SHIFT: u32 = 24;
const TERMS_BITS: u32 = 0xf << TERMS_SHIFT;

/// The terms of a connection; what is `None` is as in the server's [`Config`], and follows it where that changes.
///
/// A worker has room for 15 that differ from one another and from the server's, and never gives up any of them: a program has some
/// kinds of connections, and no terms of each user.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Terms {
    /// When its client is asked whether it lives, and when it is given up.
    pub heartbeat: Option<Heartbeat>,
    /// Bounds on its frames and messages. [`Config::half_read_bytes_max`] bounds them too.
    pub messages: Option<MessageLimits>,
    /// Bytes that may be queued for it. A message is refused where it would pass the bound, unless nothing is queued.
    pub max_backlog_bytes: Option<usize>,
}

/// Some terms, and the timing that follows from them.
#[derive(Debug)]
struct Entry {
    terms: Terms,
    timing: Timing,
}

/// A worker's table. Number 0 is the server's own terms, which stand elsewhere.
#[derive(Debug, Default)]
pub(crate) struct TermsTable(Vec<Entry>);

impl Terms {
    fn timing(&self, server: Timing, worker: WorkerId, connections: usize) -> Timing {
        let Some(heartbeat) = &self.heartbeat else { return server };
        let timing = heartbeat.timing(server);
        Timing { round: PingRound::of(timing.interval, worker.0, connections), ..timing }
    }
}

/// The tag with another number of terms.
pub(crate) fn with_terms(tag: u32, number: u8) -> u32 {
    tag & !TERMS_BITS | u32::from(number) << TERMS_SHIFT & TERMS_BITS
}

impl TermsTable {
    /// The number of these terms, which they are given where they are new; `None` where there is no room for more.
    pub(crate) fn number(&mut self, terms: Terms, server: Timing, worker: WorkerId) -> Option<u8> {
        if terms == Terms::default() {
            return Some(0);
        }
        let known = self.0.iter().position(|entry| entry.terms == terms);
        let at = match known {
            Some(at) => at,
            None if self.0.len() < TERMS_MAX => {
                self.0.push(Entry { terms, timing: terms.timing(server, worker, 0) });
                self.0.len() - 1
            }
            None => return None,
        };
        u8::try_from(at + 1).ok()
    }

    /// The server's timing has changed, or the worker has so many connections now.
    pub(crate) fn follow(&mut self, server: Timing, worker: WorkerId, connections: usize) {
        for entry in &mut self.0 {
            entry.timing = entry.terms.timing(server, worker, connections);
        }
    }

    /// The terms of a connection with that tag.
    pub(crate) fn terms(&self, tag: u32) -> Terms {
        self.own(tag).map_or_else(Terms::default, |entry| entry.terms)
    }

    /// The entry of a connection with that tag, where it isn't the server's.
    #[inline]
    fn own(&self, tag: u32) -> Option<&Entry> {
        if tag & TERMS_BITS == 0 { None } else { self.entry(tag) }
    }

    #[cold]
    fn entry(&self, tag: u32) -> Option<&Entry> {
        self.0.get(((tag & TERMS_BITS) >> TERMS_SHIFT) as usize - 1)
    }

    /// The timing of a connection with that tag, where that of others is `server`.
    #[inline]
    pub(crate) fn timing<'t>(&'t self, tag: u32, server: &'t Timing) -> &'t Timing {
        self.own(tag).map_or(server, |entry| &entry.timing)
    }

    /// The bounds on the messages of a connection with that tag.
    #[inline]
    pub(crate) fn messages(&self, tag: u32, config: &Config) -> MessageLimits {
        self.own(tag).and_then(|entry| entry.terms.messages).unwrap_or(config.messages)
    }

    /// Bytes that may be queued for a connection with that tag.
    #[inline]
    pub(crate) fn max_backlog_bytes(&self, tag: u32, config: &Config) -> usize {
        self.own(tag).and_then(|entry| entry.terms.max_backlog_bytes).unwrap_or(config.max_backlog_bytes)
    }
}

const _: () = assert!(TERMS_MAX == (TERMS_BITS >> TERMS_SHIFT) as usize);
