//! The commands of `rollcall.v1`, as a client writes them.

use rollcall::internals::presence::State;

/// A command.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Join(String),
    Leave(String),
    Who { room: String, limit: usize, after: Option<String> },
    Say { room: String, data: String, echo: bool },
    Tell { user: String, data: String },
    Watch { users: Vec<String>, suspect: bool },
    Unwatch(Vec<String>),
    Presence(Vec<String>),
    Status { state: Option<State>, info: Option<String>, ttl: Option<u32> },
    Heartbeat,
}

impl Ask {
    /// As it is sent.
    pub(super) fn text(&self, seq: i64) -> String {
        let list = |users: &[String]| serde_json::to_string(users).unwrap();
        let (cmd, params) = match self {
            Ask::Join(room) => ("join", format!(r#""room":"{room}""#)),
            Ask::Leave(room) => ("leave", format!(r#""room":"{room}""#)),
            Ask::Who { room, limit, after: None } => ("who", format!(r#""room":"{room}","limit":{limit}"#)),
            Ask::Who { room, limit, after: Some(after) } => {
                ("who", format!(r#""room":"{room}","limit":{limit},"after":"{after}""#))
            }
            Ask::Say { room, data, echo: true } => ("say", format!(r#""room":"{room}","data":{data}"#)),
            Ask::Say { room, data, echo } => {
                ("say", format!(r#""echo":{echo},"room":"{room}","data":{data}"#))
            }
            Ask::Tell { user, data } => ("tell", format!(r#""user":"{user}","data":{data}"#)),
            Ask::Watch { users, suspect } => {
                ("watch", format!(r#""suspect":{suspect},"users":{}"#, list(users)))
            }
            Ask::Unwatch(users) => ("unwatch", format!(r#""users":{}"#, list(users))),
            Ask::Presence(users) => ("presence", format!(r#""users":{}"#, list(users))),
            Ask::Status { state, info, ttl } => {
                let state = state.map(|state| format!(r#""state":"{}""#, state.name()));
                let info = info.as_ref().map(|info| format!(r#""info":{info}"#));
                let ttl = ttl.map(|ttl| format!(r#""info_ttl":{ttl}"#));
                ("status", state.into_iter().chain(info).chain(ttl).collect::<Vec<_>>().join(","))
            }
            Ask::Heartbeat => ("heartbeat", String::new()),
        };
        format!(r#"{{"seq":{seq},"cmd":"{cmd}","params":{{{params}}}}}"#)
    }

    /// Whether it is a watch of that user.
    pub(super) fn watches(&self, user: &str) -> bool {
        matches!(self, Ask::Watch { users, .. } if users.iter().any(|other| other == user))
    }
}
