//! Settings of messages, what they relay, and what of them waits for slow readers: each has to fit into the next.

use crate::limits::{BACKLOG_BYTES_PAUSE, DATA_BYTES_MAX, MessageLimits};

use super::{Check, set};
use crate::config::units::Size;

impl Check<'_> {
    pub(super) fn messages(&self) -> Result<MessageLimits, String> {
        let max_message_bytes = self.size("max-message", self.layer.max_message, 1..=1 << 30)?;
        // A message may be one frame, unless somebody says otherwise.
        let frame = self.layer.max_frame.unwrap_or(Size(max_message_bytes));
        let max_frame_bytes = self.size("max-frame", Some(frame), 1..=1 << 30)?;
        if max_frame_bytes > max_message_bytes {
            return Err(self.at(
                "max-frame",
                &format!(
                    "{} is more than max-message, {}: a frame is part of a message",
                    Size(max_frame_bytes),
                    Size(max_message_bytes)
                ),
            ));
        }
        let max_fragments = set(self.layer.max_fragments);
        if max_fragments == 0 {
            return Err(self.at("max-fragments", "0 leaves no message; at least 1"));
        }
        Ok(MessageLimits { max_message_bytes, max_frame_bytes, max_fragments })
    }

    pub(super) fn backlog(&self) -> Result<usize, String> {
        self.size("max-backlog", self.layer.max_backlog, BACKLOG_BYTES_PAUSE..=1 << 30)
    }

    /// Bytes of `data`. If nobody says how many: as many as usual, or the rest that the other two leave.
    pub(super) fn data(&self) -> Result<usize, String> {
        let (message, backlog) = (self.messages()?.max_message_bytes, self.backlog()?);
        let Some(Size(data)) = self.layer.max_data else {
            return Ok(DATA_BYTES_MAX.min(message).min(backlog));
        };
        let data = self.size("max-data", Some(Size(data)), 1..=1 << 30)?;
        let more_than = |key, most, why| {
            let error = format!("{} is more than {key}, {}: {why}", Size(data), Size(most));
            Err(self.at("max-data", &error))
        };
        if data > message {
            return more_than("max-message", message, "data is part of a message");
        }
        if data > backlog {
            return more_than("max-backlog", backlog, "data waits there for who reads slowly");
        }
        Ok(data)
    }
}
