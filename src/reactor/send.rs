//! Messages on their way into a connection's output: as they are, shared, or compressed.
//!
//! These are functions of the shard and of no service's mail, so that a [`Context`](crate::reactor::Context), which is one of each
//! kind of mail, only hands them on.

use crate::conn::Conn;
use crate::limits::{DEFLATE_BYTES_MIN, FRAME_HEADER_BYTES_MAX, OWN_BUFFER_BYTES_MIN};
use crate::reactor::ids::ConnId;
use crate::reactor::shard::{SendError, Shard};
use crate::wire::deflate::RSV1;
use crate::wire::frame;
use crate::wire::session::Kind;
use crate::wire::shared::SharedFrame;

/// Queues a message, which is UTF-8 where it is a text.
pub(crate) fn message(shard: &mut Shard, id: ConnId, kind: Kind, payload: &[u8]) -> Result<(), SendError> {
    shard.backlog_with(id, payload.len())?;
    if payload.len() >= DEFLATE_BYTES_MIN && deflated(shard, id, kind, payload) {
        // It went, compressed.
    } else if payload.len() < OWN_BUFFER_BYTES_MIN {
        shard.append(id, false, |out| frame::write(out, kind.opcode(), payload, None));
    } else {
        let mut frame = Vec::with_capacity(FRAME_HEADER_BYTES_MAX + payload.len());
        frame::write(&mut frame, kind.opcode(), payload, None);
        shard.append_own(id, frame);
    }
    shard.counters().messages_sent.add(1);
    Ok(())
}

/// Sends a message compressed, if that was agreed and makes it shorter; says whether it did.
fn deflated(shard: &mut Shard, id: ConnId, kind: Kind, message: &[u8]) -> bool {
    let Some(agreement) = shard.get(id).and_then(Conn::agreement) else { return false };
    shard.work.charge_deflated(message.len());
    let Some(data) = shard.deflate.compress(id, agreement, message) else { return false };
    shard.append(id, false, |out| frame::write_reserved(out, kind.opcode(), RSV1, &data, None));
    shard.deflate.recycle(data);
    true
}

/// Queues a frame that is shared with other connections.
pub(crate) fn shared(shard: &mut Shard, id: ConnId, frame: &SharedFrame) -> Result<(), SendError> {
    shard.backlog_with(id, frame.bytes().len())?;
    let form = match shard.get(id).and_then(Conn::agreement) {
        None => frame,
        Some(agreement) => shard.deflate.form(id, agreement, frame, &mut shard.work),
    };
    shard.append_shared(id, form);
    shard.counters().messages_sent.add(1);
    Ok(())
}
