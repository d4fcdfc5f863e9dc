//! What connections take of memory, as a slope between two moments: what a server takes once does not count.

use crate::options::Setup;
use crate::outcome::Reading;
use crate::process::{self, Usage};

/// The memory of a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Footprint {
    pub connections: u64,
    /// The server, where its process is known.
    pub server: Option<Usage>,
    /// Anonymous bytes of this process.
    pub own: u64,
    /// Bytes that the kernel holds for all sockets, both ends.
    pub kernel: Option<u64>,
}

impl Footprint {
    pub fn now(setup: &Setup) -> Footprint {
        let reading = Reading::now(setup);
        Footprint {
            connections: setup.run_state.counts().live,
            server: reading.server,
            own: reading.load.map_or(0, |usage| usage.anonymous_bytes),
            kernel: process::kernel_socket_bytes(),
        }
    }

    pub fn resident(&self) -> Option<u64> {
        self.server.map(|usage| usage.resident_bytes)
    }

    pub fn anonymous(&self) -> Option<u64> {
        self.server.map(|usage| usage.anonymous_bytes)
    }

    /// Bytes that each connection took that came since an earlier moment; `None` where none came.
    pub fn each_since(&self, earlier: &Footprint, bytes: impl Fn(&Footprint) -> Option<u64>) -> Option<f64> {
        let connections = self.connections.checked_sub(earlier.connections).filter(|count| *count > 0)?;
        Some((bytes(self)? as f64 - bytes(earlier)? as f64) / connections as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_leaves_out_what_was_there_before() {
        let at = |connections: u64, own: u64| Footprint { connections, own, ..Footprint::default() };
        let each = |from: Footprint, to: Footprint| to.each_since(&from, |moment| Some(moment.own));
        let full = |connections: u64| at(connections, 40_000_000 + connections * 176);
        assert_eq!(each(full(5_000), full(15_000)), Some(176.0));
        assert_eq!(each(full(5_000), full(5_000)), None);
        assert_eq!(each(full(5_000), full(4_000)), None);
        assert_eq!(each(at(10, 1_000), at(20, 900)), Some(-10.0));
        assert_eq!(full(2).each_since(&full(1), Footprint::resident), None);
    }
}
