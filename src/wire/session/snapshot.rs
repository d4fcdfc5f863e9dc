//! A session as plain data: what it keeps from one read to the next, so that another can go on where it stands.

use serde::{Deserialize, Serialize};

use crate::limits::{CONTROL_BYTES_MAX, FRAME_HEADER_BYTES_MAX};
use crate::time::Tick;
use crate::wire::assembly::{Assembly, Frame, Partial};
use crate::wire::message::Kind;
use crate::wire::session::{Phase, Role, Session};

/// A session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SessionSnapshot {
    phase: Phase,
    close_sent: bool,
    half: Option<PartialSnapshot>,
}

/// The input that is half received.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct PartialSnapshot {
    frame: Frame,
    message: Option<MessageSnapshot>,
    /// Of a control frame.
    payload: Vec<u8>,
    /// In ticks from now.
    since: Option<i32>,
}

/// The message under way. How far its UTF-8 has been checked follows from its data.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct MessageSnapshot {
    kind: Kind,
    encoded: bool,
    fragments: u32,
    data: Vec<u8>,
}

impl Session {
    /// The session as plain data; its times are relative to `now`.
    pub(crate) fn snapshot(&self, now: Tick) -> SessionSnapshot {
        let half = self.partial.as_ref().map(|partial| {
            let message = partial.message.as_ref().map(|message| MessageSnapshot {
                kind: message.kind,
                encoded: message.encoded,
                fragments: message.fragments,
                data: message.data.clone(),
            });
            let since = partial.since.map(|since| since.from_now(now));
            PartialSnapshot { frame: partial.frame, message, payload: partial.payload.clone(), since }
        });
        SessionSnapshot { phase: self.phase, close_sent: self.close_sent, half }
    }

    /// The session that goes on from there; `None` where none can.
    pub(crate) fn restore(snapshot: SessionSnapshot, role: Role, now: Tick) -> Option<Session> {
        let SessionSnapshot { phase, close_sent, half } = snapshot;
        let partial = match half {
            Some(half) => Some(Box::new(half.restore(now)?)),
            None => None,
        };
        Some(Session { partial, role, phase, close_sent })
    }
}

impl PartialSnapshot {
    fn restore(self, now: Tick) -> Option<Partial> {
        let PartialSnapshot { frame, message, payload, since } = self;
        let is_sound = match frame {
            Frame::Start => payload.is_empty(),
            Frame::Header { len, .. } => (1..FRAME_HEADER_BYTES_MAX).contains(&len) && payload.is_empty(),
            // RFC 6455 §5.5: control frames carry at most 125 bytes.
            Frame::Control { opcode, left, .. } => {
                opcode.is_control() && left <= CONTROL_BYTES_MAX - payload.len().min(CONTROL_BYTES_MAX)
            }
            // RFC 6455 §5.2: the most significant bit of a length is 0.
            Frame::Data { left, .. } => message.is_some() && left <= usize::MAX / 4 && payload.is_empty(),
        };
        if !is_sound || payload.len() > CONTROL_BYTES_MAX {
            return None;
        }
        let message = match message {
            Some(MessageSnapshot { kind, encoded, fragments, data }) => {
                Some(Assembly::resumed(kind, encoded, fragments, data)?)
            }
            None => None,
        };
        let since = since.map(|ticks| Tick::at(now, ticks));
        Some(Partial { frame, message, payload, since })
    }
}
