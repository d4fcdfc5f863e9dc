//! The resource that is short for one more client: in words, as a figure of the metrics, and as what was found when it came.

use std::fmt::{Display, Formatter};

use crate::conn::origin::Over;
use crate::limits::{DESCRIPTORS_FLOOR, MAIL_ADMISSION_MAX, MAIL_BYTES_ADMISSION_MAX};
use crate::reactor::ids::WorkerId;
use crate::wire::http::Refusal;

/// The resource that is short, with figures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Overload {
    /// The server goes away.
    Draining,
    /// So many connections are held, of so many.
    Connections(usize, usize),
    /// So many bytes are resident, of so many.
    Memory(u64, u64),
    /// A worker has hardly a descriptor left.
    Descriptors(WorkerId),
    /// So many messages wait for a worker, of so many bytes.
    Mail(WorkerId, usize, usize),
    /// The client's address has too many connections.
    AddressConnections,
    /// The client's address has come too often.
    AddressHandshakes,
}

impl Overload {
    /// The values of the metric's label `reason`.
    pub const LABELS: [&str; 7] =
        ["draining", "full", "memory", "descriptors", "mail", "address_connections", "address_handshakes"];

    /// The index in [`Overload::LABELS`] that it counts as.
    #[must_use]
    pub const fn index(&self) -> usize {
        match self {
            Overload::Draining => 0,
            Overload::Connections(..) => 1,
            Overload::Memory(..) => 2,
            Overload::Descriptors(_) => 3,
            Overload::Mail(..) => 4,
            Overload::AddressConnections => 5,
            Overload::AddressHandshakes => 6,
        }
    }

    /// The sentence for a client; figures are for the server's admin.
    pub(crate) const fn refusal(&self) -> Refusal {
        let (status, reason) = match self {
            Overload::Draining => (503, "the server is going away"),
            Overload::Connections(..) => (503, "the server is full"),
            Overload::Memory(..) => (503, "the server is short of memory"),
            Overload::Descriptors(_) => (503, "the server is short of descriptors"),
            Overload::Mail(..) => (503, "the server is behind with its work"),
            Overload::AddressConnections => (429, "too many connections from your address"),
            Overload::AddressHandshakes => (429, "too many new connections from your address"),
        };
        Refusal { status, reason }
    }
}

impl From<Over> for Overload {
    fn from(over: Over) -> Overload {
        match over {
            Over::Connections => Overload::AddressConnections,
            Over::Handshakes => Overload::AddressHandshakes,
        }
    }
}

impl Display for Overload {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Overload::Draining => f.write_str("draining: this server goes away"),
            Overload::Connections(held, most) => write!(f, "full: {held} of {most} connections"),
            Overload::Memory(held, most) => {
                write!(f, "out of memory: {} of {} MiB resident (--max-memory)", held >> 20, most >> 20)
            }
            Overload::Descriptors(worker) => {
                write!(f, "out of descriptors: worker {worker} has at most {DESCRIPTORS_FLOOR} left")
            }
            Overload::Mail(worker, waiting, bytes) => {
                let (mib, most) = (bytes >> 20, MAIL_BYTES_ADMISSION_MAX >> 20);
                write!(f, "behind: {waiting} letters wait for worker {worker}, {mib} MiB, ")?;
                write!(f, "over {MAIL_ADMISSION_MAX} or {most} MiB")
            }
            Overload::AddressConnections | Overload::AddressHandshakes => f.write_str(self.refusal().reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shortage_has_its_label() {
        let all = [
            Overload::Draining,
            Overload::Connections(10, 10),
            Overload::Memory(2 << 20, 1 << 20),
            Overload::Descriptors(WorkerId(3)),
            Overload::Mail(WorkerId(1), 40_000, 3 << 20),
            Overload::AddressConnections,
            Overload::AddressHandshakes,
        ];
        for (i, overload) in all.iter().enumerate() {
            assert_eq!(overload.index(), i, "{}", Overload::LABELS[i]);
            assert!(matches!(overload.refusal().status, 429 | 503));
        }
        assert_eq!(all[1].to_string(), "full: 10 of 10 connections");
        assert_eq!(all[2].to_string(), "out of memory: 2 of 1 MiB resident (--max-memory)");
    }
}
