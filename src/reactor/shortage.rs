//! What there isn't enough of for one more client: in words, as a figure of the metrics, and as what was found when it came.

use std::fmt::{Display, Formatter};

use crate::conn::origin::Over;
use crate::limits::{DESCRIPTORS_FLOOR, MAIL_ADMISSION_MAX, MAIL_BYTES_ADMISSION_MAX};
use crate::reactor::ids::WorkerId;
use crate::wire::http::Refusal;

/// What there isn't enough of, with figures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Shortage {
    /// The server goes away.
    Draining,
    /// So many connections are held, of so many.
    Connections(usize, usize),
    /// So many bytes are resident, of so many.
    Memory(u64, u64),
    /// A worker has hardly a descriptor left.
    Descriptors(WorkerId),
    /// So many letters wait for a worker, of so many bytes.
    Mail(WorkerId, usize, usize),
    /// The client's address has too many connections.
    AddressConnections,
    /// The client's address has come too often.
    AddressHandshakes,
}

impl Shortage {
    /// The values of the metric's label `reason`.
    pub const LABELS: [&str; 7] =
        ["draining", "full", "memory", "descriptors", "mail", "address_connections", "address_handshakes"];

    /// Which of [`Shortage::LABELS`] it counts as.
    #[must_use]
    pub const fn index(&self) -> usize {
        match self {
            Shortage::Draining => 0,
            Shortage::Connections(..) => 1,
            Shortage::Memory(..) => 2,
            Shortage::Descriptors(_) => 3,
            Shortage::Mail(..) => 4,
            Shortage::AddressConnections => 5,
            Shortage::AddressHandshakes => 6,
        }
    }

    /// What a client is told; figures are for who runs the server.
    pub(crate) const fn refusal(&self) -> Refusal {
        let (status, reason) = match self {
            Shortage::Draining => (503, "the server is going away"),
            Shortage::Connections(..) => (503, "the server is full"),
            Shortage::Memory(..) => (503, "the server is short of memory"),
            Shortage::Descriptors(_) => (503, "the server is short of descriptors"),
            Shortage::Mail(..) => (503, "the server is behind with its work"),
            Shortage::AddressConnections => (429, "too many connections from your address"),
            Shortage::AddressHandshakes => (429, "too many new connections from your address"),
        };
        Refusal { status, reason }
    }
}

impl From<Over> for Shortage {
    fn from(over: Over) -> Shortage {
        match over {
            Over::Connections => Shortage::AddressConnections,
            Over::Handshakes => Shortage::AddressHandshakes,
        }
    }
}

impl Display for Shortage {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Shortage::Draining => f.write_str("draining: this server goes away"),
            Shortage::Connections(held, most) => write!(f, "full: {held} of {most} connections"),
            Shortage::Memory(held, most) => {
                write!(f, "out of memory: {} of {} MiB resident (--max-memory)", held >> 20, most >> 20)
            }
            Shortage::Descriptors(worker) => {
                write!(f, "out of descriptors: worker {worker} has at most {DESCRIPTORS_FLOOR} left")
            }
            Shortage::Mail(worker, waiting, bytes) => {
                let (mib, most) = (bytes >> 20, MAIL_BYTES_ADMISSION_MAX >> 20);
                write!(f, "behind: {waiting} letters wait for worker {worker}, {mib} MiB, ")?;
                write!(f, "over {MAIL_ADMISSION_MAX} or {most} MiB")
            }
            Shortage::AddressConnections | Shortage::AddressHandshakes => f.write_str(self.refusal().reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shortage_has_its_label() {
        let all = [
            Shortage::Draining,
            Shortage::Connections(10, 10),
            Shortage::Memory(2 << 20, 1 << 20),
            Shortage::Descriptors(WorkerId(3)),
            Shortage::Mail(WorkerId(1), 40_000, 3 << 20),
            Shortage::AddressConnections,
            Shortage::AddressHandshakes,
        ];
        for (i, shortage) in all.iter().enumerate() {
            assert_eq!(shortage.index(), i, "{}", Shortage::LABELS[i]);
            assert!(matches!(shortage.refusal().status, 429 | 503));
        }
        assert_eq!(all[1].to_string(), "full: 10 of 10 connections");
        assert_eq!(all[2].to_string(), "out of memory: 2 of 1 MiB resident (--max-memory)");
    }
}
