//! The routes of the API: a request's path, query and body as what it asks.

use crate::http::api::body::{self, WriteBody};
use crate::http::api::path::Path;
use crate::http::api::refusal::{ApiRefusal, checked};
use crate::limits::{PAGE_DEFAULT, PAGE_MAX, PAST_DEFAULT, PAST_MAX};
use crate::presence::admin::AdminRequest;
use crate::presence::{HistoryFrom, Name, State};
use crate::wire::http::{Head, percent_decoded, query_decoded};

/// The action that a request asks for.
#[derive(Debug)]
pub(crate) enum ApiRoute {
    /// Of presence.
    Admin(AdminRequest),
    /// Of the workers' counters.
    Figures(Figures),
}

/// Figures of the whole server.
#[derive(Debug)]
pub(crate) enum Figures {
    Stats,
    Memory,
}

/// The methods that a path allows.
///
/// # Errors
/// 404.
pub(crate) fn allow(path: &str) -> Result<&'static str, ApiRefusal> {
    Path::parse(path).map(Path::allow).ok_or(ApiRefusal::new(404, NO_PATH))
}

/// Judges a request before its body has come; says whether it brings one that counts.
///
/// # Errors
/// 404, 405, 415, with what to do.
pub(crate) fn judge(head: &Head<'_>) -> Result<bool, ApiRefusal> {
    let path = Path::parse(head.path()).ok_or(ApiRefusal::new(404, NO_PATH))?;
    let (allow, writes) = (path.allow(), head.method == "POST");
    if !path.is_allowed(head.method) {
        let error = format!("{} is not allowed here, only {allow}", shortened(head.method));
        return Err(ApiRefusal { allow: Some(allow), ..ApiRefusal::new(405, error) });
    }
    // A form that some page posts can't have this type, and what has it a browser asks about first.
    if writes && !is_json(head) {
        return Err(ApiRefusal::new(415, "send JSON, with Content-Type: application/json"));
    }
    Ok(writes)
}

fn is_json(head: &Head<'_>) -> bool {
    let media = head.values("Content-Type").next().and_then(|value| value.split(|byte| *byte == b';').next());
    media.is_some_and(|media| media.trim_ascii().eq_ignore_ascii_case(b"application/json"))
}

/// The action that a request asks for.
///
/// # Errors
/// 400, 404, 405, 415, with what to do.
pub(crate) fn route(head: &Head<'_>, body: &[u8]) -> Result<ApiRoute, ApiRefusal> {
    let writes = judge(head)?;
    let path = Path::parse(head.path()).ok_or(ApiRefusal::new(404, NO_PATH))?;
    let body = if writes { WriteBody::read(body)? } else { WriteBody::default() };
    let deletes = head.method == "DELETE";
    let query = if deletes { Query::none(head.query())? } else { Query::read(head.query(), path)? };
    Ok(ApiRoute::Admin(match path {
        Path::Stats => return Ok(ApiRoute::Figures(Figures::Stats)),
        Path::Memory => return Ok(ApiRoute::Figures(Figures::Memory)),
        Path::Users => AdminRequest::Users { state: query.state, limit: query.limit, after: query.after },
        Path::User(user) if deletes => AdminRequest::DeleteUser { user: of_path("user", user)? },
        Path::User(user) => AdminRequest::User { user: of_path("user", user)? },
        Path::Tell(user) => AdminRequest::Tell { user: of_path("user", user)?, data: body.data()?.into() },
        Path::Disconnect(user) => {
            let seconds = body.seconds()?;
            let reason = body.reason(if seconds.is_some() { "banned" } else { "kicked" })?;
            AdminRequest::Disconnect { user: of_path("user", user)?, reason, seconds }
        }
        Path::UserBan(user) => AdminRequest::Lift { user: of_path("user", user)?, room: None },
        Path::Rooms => AdminRequest::Rooms { limit: query.limit, after: query.after },
        Path::Room(room) if deletes => AdminRequest::DeleteRoom { room: of_path("room", room)? },
        Path::Room(room) => {
            AdminRequest::Members { room: of_path("room", room)?, limit: query.limit, after: query.after }
        }
        Path::History(room) => {
            let (room, from) = (of_path("room", room)?, query.from);
            AdminRequest::History { room, from, limit: query.limit }
        }
        Path::Say(room) => {
            AdminRequest::Say { room: of_path("room", room)?, data: body.data()?.into(), id: body.id()? }
        }
        Path::ForceJoin(room, joins) => {
            AdminRequest::ForceJoin { room: of_path("room", room)?, user: body.user()?, joins }
        }
        Path::RoomBan(room) => {
            let seconds = body.seconds()?.ok_or(ApiRefusal::new(400, body::NO_TIME))?;
            AdminRequest::Ban { room: of_path("room", room)?, user: body.user()?, seconds }
        }
        Path::Banned(room, user) => {
            AdminRequest::Lift { user: of_path("user", user)?, room: Some(of_path("room", room)?) }
        }
        Path::Broadcast => AdminRequest::Broadcast { data: body.data()? },
    }))
}

/// A name that is a part of a path.
fn of_path(what: &str, encoded: &str) -> Result<Name, ApiRefusal> {
    name(what, percent_decoded(encoded))
}

/// A name that stood in a path or a query; `None`: it could not be decoded.
fn name(what: &str, decoded: Option<String>) -> Result<Name, ApiRefusal> {
    let Some(decoded) = decoded else {
        let error =
            format!("the {what}'s name has a bad escape: %XX is a byte of UTF-8, in hexadecimal digits");
        return Err(ApiRefusal::new(400, error));
    };
    checked(what, &decoded)
}

struct Query {
    state: Option<State>,
    limit: usize,
    after: Option<Name>,
    /// The part of a room's history.
    from: HistoryFrom,
}

impl Query {
    fn read(query: &str, path: Path<'_>) -> Result<Query, ApiRefusal> {
        let mut read =
            Query { state: None, limit: PAGE_DEFAULT, after: None, from: HistoryFrom::Before(None) };
        if matches!(path, Path::History(_)) {
            return read.history(query);
        }
        let pages = matches!(path, Path::Users | Path::Rooms | Path::Room(_));
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("after", value) if pages => {
                    read.after = Some(value)
                        .filter(|value| !value.is_empty())
                        .map(|value| name("`after`", query_decoded(value)))
                        .transpose()?;
                }
                ("limit", value) if pages => read.limit = limit(value, PAGE_MAX)?,
                ("state", value) if matches!(path, Path::Users) => read.state = Some(state(value)?),
                (key, _) => {
                    let known = match path {
                        Path::Users => "state, limit and after",
                        _ if pages => "limit and after",
                        _ => "none",
                    };
                    return Err(unknown(key, known));
                }
            }
        }
        Ok(read)
    }

    /// What is deleted is named by its path alone.
    fn none(query: &str) -> Result<Query, ApiRefusal> {
        Query::read(query, Path::Stats)
    }

    /// The part of a history: the newest messages, or those before an offset, or behind one.
    fn history(mut self, query: &str) -> Result<Query, ApiRefusal> {
        let mut sides = 0;
        self.limit = PAST_DEFAULT;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("before", value) => {
                    (self.from, sides) = (HistoryFrom::Before(Some(offset(value)?)), sides + 1);
                }
                ("after", value) => (self.from, sides) = (HistoryFrom::After(offset(value)?), sides + 1),
                ("limit", value) => self.limit = limit(value, PAST_MAX)?,
                (key, _) => return Err(unknown(key, "before or after, and limit")),
            }
        }
        if sides > 1 {
            return Err(ApiRefusal::new(400, "give `before` or `after`, once: an offset"));
        }
        Ok(self)
    }
}

fn unknown(key: &str, known: &str) -> ApiRefusal {
    ApiRefusal::new(400, format!("unknown parameter `{}`: here are {known}", shortened(key)))
}

fn offset(value: &str) -> Result<u64, ApiRefusal> {
    value.parse().map_err(|_| ApiRefusal::new(400, "`before` and `after` are offsets: whole numbers"))
}

fn limit(value: &str, most: usize) -> Result<usize, ApiRefusal> {
    match value.parse() {
        Ok(limit) if (1..=most).contains(&limit) => Ok(limit),
        _ => Err(ApiRefusal::new(
            400,
            format!("`limit` is a number from 1 to {most}; further requests lead to the rest"),
        )),
    }
}

fn state(value: &str) -> Result<State, ApiRefusal> {
    [State::Online, State::Busy, State::Away, State::Invisible, State::Suspect, State::Offline]
        .into_iter()
        .find(|state| state.name() == value)
        .ok_or(ApiRefusal::new(
            400,
            "`state` is online, busy, away, invisible, suspect or offline; without it: all but offline",
        ))
}

fn shortened(text: &str) -> String {
    text.chars().take(32).collect()
}

const NO_PATH: &str = "the API has no such path: /docs/api has those that exist";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::api::answer;
    use crate::wire::http::Fields;

    fn ask(line: &str, body: &str) -> Result<String, (u16, String)> {
        let text =
            format!("{line} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json; charset=utf-8\r\n\r\n");
        let mut fields = Fields::new();
        let head = Head::parse(text.as_bytes(), &mut fields).unwrap();
        match route(&head, body.as_bytes()) {
            Ok(ApiRoute::Admin(ask)) => Ok(format!("{ask:?}")),
            Ok(ApiRoute::Figures(figures)) => Ok(format!("{figures:?}")),
            Err(ApiRefusal { status, error, .. }) => Err((status, error.into_owned())),
        }
    }

    #[test]
    fn paths_and_bodies_become_questions() {
        for (line, body, expected) in [
            ("GET /api/v1/users", "", "Users { state: None, limit: 100, after: None }"),
            (
                "GET /api/v1/users?state=away&limit=7&after=a%40b",
                "",
                r#"Users { state: Some(Away), limit: 7, after: Some("a@b") }"#,
            ),
            ("HEAD /api/v1/users/anna%2Eb", "", r#"User { user: "anna.b" }"#),
            ("GET /api/v1/users/user%2F42", "", r#"User { user: "user/42" }"#),
            ("GET /api/v1/users/auth0%7C5+f%2B", "", r#"User { user: "auth0|5+f+" }"#),
            (
                "GET /api/v1/users?after=a+b%2B",
                "",
                r#"Users { state: None, limit: 100, after: Some("a b+") }"#,
            ),
            (
                "POST /api/v1/users/anna/tell",
                r#"{"data": [1,  2] }"#,
                r#"Tell { user: "anna", data: Json("[1,  2]") }"#,
            ),
            ("POST /api/v1/broadcast", r#"{"data":null}"#, r#"Broadcast { data: "null" }"#),
            (
                "POST /api/v1/users/a/disconnect",
                "",
                r#"Disconnect { user: "a", seconds: None, reason: "kicked" }"#,
            ),
            (
                "POST /api/v1/users/a/disconnect",
                r#"{"for":"30d"}"#,
                r#"Disconnect { user: "a", seconds: Some(2592000), reason: "banned" }"#,
            ),
            (
                "POST /api/v1/users/a/disconnect",
                r#"{"for":90,"reason":"out"}"#,
                r#"Disconnect { user: "a", seconds: Some(90), reason: "out" }"#,
            ),
            ("DELETE /api/v1/users/a/ban", "", r#"Lift { user: "a", room: None }"#),
            (
                "POST /api/v1/rooms/r/ban",
                r#"{"user":"u","for":"10 m"}"#,
                r#"Ban { room: "r", user: "u", seconds: 600 }"#,
            ),
            ("DELETE /api/v1/rooms/r/ban/u%40x", "", r#"Lift { user: "u@x", room: Some("r") }"#),
            (
                "POST /api/v1/rooms/r/leave",
                r#"{"user":"u"}"#,
                r#"ForceJoin { user: "u", room: "r", joins: false }"#,
            ),
            ("DELETE /api/v1/rooms/r%2Fs", "", r#"DeleteRoom { room: "r/s" }"#),
            ("DELETE /api/v1/users/anna", "", r#"DeleteUser { user: "anna" }"#),
            ("GET /api/v1/rooms/r/history", "", r#"History { room: "r", from: Before(None), limit: 100 }"#),
            (
                "GET /api/v1/rooms/r/history?before=9&limit=512",
                "",
                r#"History { room: "r", from: Before(Some(9)), limit: 512 }"#,
            ),
            (
                "HEAD /api/v1/rooms/r/history?after=0&limit=1",
                "",
                r#"History { room: "r", from: After(0), limit: 1 }"#,
            ),
            (
                "POST /api/v1/rooms/r/say",
                r#"{"data":1,"id":"order-7"}"#,
                r#"Say { room: "r", data: Json("1"), id: Some("order-7") }"#,
            ),
            ("GET /api/v1/rooms/r?after=", "", r#"Members { room: "r", limit: 100, after: None }"#),
            ("GET /api/v1/stats", "", "Stats"),
        ] {
            assert_eq!(ask(line, body).as_deref(), Ok(expected), "{line}");
        }
    }

    #[test]
    fn no_error_quotes_more_than_a_line_of_what_was_sent() {
        let long = "\\n".repeat(500_000);
        for body in [
            format!("\"{long}\""),
            format!("[\"{long}\"]"),
            format!(r#"{{"user":["{long}"]}}"#),
            format!(r#"{{"user":"{long}"}}"#),
            format!(r#"{{"reason":"{long}"}}"#),
            format!(r#"{{"reason":{}}}"#, "9".repeat(1_000_000)),
            format!(r#"{{"{long}":1"#),
            long.clone(),
        ] {
            for line in ["POST /api/v1/rooms/r/join", "POST /api/v1/users/a/disconnect"] {
                let Err((status, error)) = ask(line, &body) else { continue };
                let answer = answer::error(status, &error);
                assert!(answer.body.len() < 1_024 && error.len() < 1_024, "{line} {}", &body[..20]);
            }
        }
        let (query, method) = ("x".repeat(5_000), "Y".repeat(5_000));
        for line in [format!("GET /api/v1/users?{query}"), format!("{method} /api/v1/users")] {
            assert!(ask(&line, "").unwrap_err().1.len() < 1_024);
        }
        assert!(answer::error(400, &"\u{e4}".repeat(1_000_000)).body.len() < 1_024);
    }

    #[test]
    fn what_can_be_said_before_the_body_has_come_is_said_then() {
        let status = |line: &str, media: &str| {
            let text = format!("{line} HTTP/1.1\r\nHost: a\r\nContent-Type: {media}\r\n\r\n");
            let mut fields = Fields::new();
            judge(&Head::parse(text.as_bytes(), &mut fields).unwrap()).map_err(|refused| refused.status)
        };
        let json = "application/json; charset=\u{fc}";
        assert_eq!(status("POST /api/v1/broadcast", json), Ok(true));
        assert_eq!(status("GET /api/v1/users", "x"), Ok(false));
        assert_eq!(status("POST /api/v1/broadcast", "text/plain"), Err(415));
        assert_eq!(status("PUT /api/v1/broadcast", json), Err(405));
        assert_eq!(status("POST /api/v1/nothing", json), Err(404));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let deep = format!(r#"{{"data":{}{}}}"#, "[".repeat(33), "]".repeat(33));
        for (line, body, status, part) in [
            ("GET /api/v2/users", "", 404, "/docs/api"),
            ("GET /api/v1/users/", "", 400, "1 to 128"),
            ("GET /api/v1/users/a/b", "", 404, "/docs/api"),
            ("GET /api/v1/users/a%2A", "", 400, "1 to 128"),
            ("GET /api/v1/users/a%0Ab", "", 400, "control characters"),
            ("GET /api/v1/users/%20a", "", 400, "a space at either end"),
            ("GET /api/v1/users/%C3", "", 400, "bad escape"),
            ("GET /api/v1/users/a%4", "", 400, "bad escape"),
            ("GET /api/v1/users?limit=0", "", 400, "1 to 256"),
            ("GET /api/v1/users?limit=257", "", 400, "1 to 256"),
            ("GET /api/v1/users?state=dead", "", 400, "online, busy, away"),
            (
                "GET /api/v1/users?page=2",
                "",
                400,
                "unknown parameter `page`: here are state, limit and after",
            ),
            ("GET /api/v1/stats?x", "", 400, "here are none"),
            ("GET /api/v1/rooms/r/history?before=1&after=2", "", 400, "`before` or `after`, once"),
            ("GET /api/v1/rooms/r/history?before=-1", "", 400, "are offsets"),
            ("GET /api/v1/rooms/r/history?limit=513", "", 400, "1 to 512"),
            ("GET /api/v1/rooms/r/history?state=away", "", 400, "here are before or after, and limit"),
            ("DELETE /api/v1/rooms/r?limit=1", "", 400, "here are none"),
            ("DELETE /api/v1/rooms/r/history", "", 405, "only GET, HEAD, OPTIONS"),
            ("PUT /api/v1/rooms/r", "", 405, "only GET, HEAD, DELETE, OPTIONS"),
            ("POST /api/v1/rooms/r/say", r#"{"data":1,"id":""}"#, 400, "`id` is 1 to 64 characters"),
            ("POST /api/v1/rooms/r/say", r#"{"data":1,"id":5}"#, 400, "can't be read"),
            ("POST /api/v1/users", "{}", 405, "GET, HEAD, OPTIONS"),
            ("DELETE /api/v1/broadcast", "", 405, "POST"),
            ("POST /api/v1/broadcast", "", 400, "`data` is missing"),
            ("POST /api/v1/broadcast", "{", 400, "can't be read"),
            ("POST /api/v1/broadcast", r#"{"data":1,"data":2}"#, 400, "duplicate"),
            ("POST /api/v1/broadcast", r#"{"data":"\udead"}"#, 400, "`data` has half a surrogate pair"),
            ("POST /api/v1/users/a/tell", &deep, 400, "`data` is more than 32 deep"),
            ("POST /api/v1/rooms/r/say", r#"{"data":-1e400}"#, 400, "`data` has a number"),
            ("POST /api/v1/rooms/r/join", "{}", 400, "`user` is missing"),
            ("POST /api/v1/rooms/r/join", r#"{"user":"a*"}"#, 400, "1 to 128"),
            ("POST /api/v1/rooms/r/ban", r#"{"user":"u"}"#, 400, "`for` is missing"),
            ("POST /api/v1/rooms/r/ban/u", "{}", 405, "only DELETE, OPTIONS"),
            ("GET /api/v1/users/a/ban", "", 405, "only DELETE, OPTIONS"),
            ("DELETE /api/v1/rooms/r/ban", "", 405, "only POST, OPTIONS"),
            ("DELETE /api/v1/rooms/r/ban/u/v", "", 404, "/docs/api"),
        ] {
            let (got, error) = ask(line, body).expect_err(line);
            assert!(got == status && error.contains(part), "{line}: {got} {error}");
        }
        for time in [
            "0",
            "-1",
            "1.5",
            "1e3",
            "2592001",
            r#""0s""#,
            r#""31d""#,
            r#""721h""#,
            r#""10""#,
            r#""10w""#,
            r#""m""#,
            r#""1.5h""#,
            r#""99999999999999999999s""#,
            r#""1ms""#,
            "true",
            "[]",
            r#""""#,
            "99999999999999999999",
        ] {
            let body = format!(r#"{{"user":"u","for":{time}}}"#);
            for line in ["POST /api/v1/users/a/disconnect", "POST /api/v1/rooms/r/ban"] {
                let (status, error) = ask(line, &body).expect_err(time);
                assert!(status == 400 && error.starts_with("`for` is "), "{time}: {status} {error}");
            }
        }
        let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(124));
        assert_eq!(ask("POST /api/v1/users/a/disconnect", &long).unwrap_err().0, 400);
    }
}
