//! Any bytes as a connection's snapshot: they are none, or one that is written and read again as it was.

use rollcall::internals::reactor::Snapshot;

pub(super) fn run(data: &[u8]) {
    let Ok(snapshot) = Snapshot::from_bytes(data) else { return };
    let bytes = snapshot.to_bytes();
    let again = Snapshot::from_bytes(&bytes).expect("what was read can be read again");
    assert_eq!(again.to_bytes(), bytes);
}
