//! What a server refuses for a limit of its own. That is no fault and no loss but a setting: each is named, with rollcall's flag
//! that changes it.

/// What stands before the flag in the kind of such an error.
const SEE: &str = "see --max-";

/// Why an upgrade was answered with a status, as the end of a sentence; empty where no limit does that.
pub fn of_upgrade(status: u16) -> &'static str {
    match status {
        429 => ": more connections of one address than it takes, see --max-connections-per-address",
        503 => ": more than it has room for, see --max-connections, --max-memory",
        _ => "",
    }
}

/// Why a connection was closed with a code.
pub fn of_close(code: u16) -> &'static str {
    match code {
        1009 => ": longer messages than it takes, see --max-message",
        1013 => ": more waited for the client than it queues, see --max-backlog, --max-memory",
        4409 => ": more connections of one user than it keeps, see --max-connections-per-user",
        4429 => ": more messages than it takes, see --max-commands-per-second",
        _ => "",
    }
}

/// Why a command was answered with a code.
pub fn of_command(code: u16) -> &'static str {
    match code {
        413 => ": more data than it takes at once, see --max-data",
        429 => ": more commands a second than it lets a connection send, see --max-commands-per-second",
        503 => ": more at once than it carries, see --max-commands-per-second, --max-memory",
        _ => "",
    }
}

/// Whether an error of this kind is such a refusal.
pub fn is_one(kind: &str) -> bool {
    kind.contains(SEE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_known_again_by_its_flag() {
        let codes = || 400..=5000;
        let reasons = codes().flat_map(|code| [of_upgrade(code), of_close(code), of_command(code)]);
        let reasons: Vec<&str> = reasons.filter(|reason| !reason.is_empty()).collect();
        assert_eq!(reasons.len(), 9);
        assert!(reasons.into_iter().all(is_one) && !is_one("lost: no reply"));
    }
}
