//! Requests for sessions by path and query, on the worker where they landed.

use crate::limits::{
    CLIENTS_MAX, POLL_GAP_TICKS, POLL_GAP_TICKS_ALLOWED, POLL_WAIT_TICKS, POLL_WAIT_TICKS_MAX,
    POST_COMMANDS_MAX, POST_TICKS_MAX, ROOMS_PER_CONNECTION_MAX, USERS_PER_COMMAND_MAX,
};
use crate::presence::{Entry, Name, State};
use crate::reactor::{Answer, Context, RequestId};
use crate::service::presence::comings::NO_ROOM;
use crate::service::presence::sessions::door::Door;
use crate::service::presence::sessions::mail::{
    Ask, Asked, Beat, Reply, ReturnPath, SessionMail, UNKNOWN, patience,
};
use crate::service::presence::sessions::polling::{TOO_MANY, commands_of};
use crate::service::presence::{Presence, PresenceMail};
use crate::session::SessionKey;
use crate::time::TICK_MILLIS;
use crate::wire::http::{Head, Response, query_decoded};

const EVENTS: &str = "GET, HEAD, OPTIONS";
const POLL: &str = "POST, OPTIONS";
const SESSION: &str = "POST, DELETE, OPTIONS";
const NO_TEXT: &str = "the body is not UTF-8";

/// A user that comes, by what, and how.
type Comer = (Name, Entry, Option<State>);

/// The part of a request's path that says what it is for.
enum Place {
    /// `/events`.
    Events,
    /// `/poll`.
    Poll,
    /// Either with the name of a session behind it, and whether that is one.
    Session { key: Option<SessionKey>, polls: bool },
}

impl Place {
    fn of(path: &str) -> Option<Place> {
        match path {
            "/events" => return Some(Place::Events),
            "/poll" => return Some(Place::Poll),
            _ => {}
        }
        let of = |prefix, polls| {
            let name = path.strip_prefix(prefix)?;
            Some(Place::Session { key: SessionKey::parse(name), polls })
        };
        of("/events/", false).or_else(|| of("/poll/", true))
    }

    const fn allow(&self) -> &'static str {
        match self {
            Place::Events => EVENTS,
            Place::Poll => POLL,
            Place::Session { .. } => SESSION,
        }
    }
}

impl Presence {
    /// Why a request for a session is refused whatever its body is, where it is.
    pub(crate) fn judge_session_request(
        &self,
        cx: &Context<'_, PresenceMail>,
        request: RequestId,
        head: &Head<'_>,
    ) -> Option<Response> {
        match Door::of(head, &self.origins, cx.is_secure(request.conn)) {
            Err(refused) => Some(refused),
            Ok((door, _)) => match Place::of(head.path()) {
                None => Some(door.dress(Response::text(404, UNKNOWN))),
                Some(place) if !is_allowed(&place, head.method) => Some(door.dress(not_allowed(&place))),
                Some(_) => None,
            },
        }
    }

    /// A request for a session, or for one to begin.
    pub(crate) fn session_request(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        request: RequestId,
        head: &Head<'_>,
        body: &[u8],
    ) -> Answer {
        if let Some(refused) = self.judge_session_request(cx, request, head) {
            return Answer::Now(refused);
        }
        let (Ok((door, is_ours)), Some(place)) =
            (Door::of(head, &self.origins, cx.is_secure(request.conn)), Place::of(head.path()))
        else {
            return Answer::Now(Response::text(404, UNKNOWN));
        };
        if head.method == "OPTIONS" {
            return Answer::Now(door.preflight(head, place.allow()));
        }
        let Ok(body) = std::str::from_utf8(body) else {
            return Answer::Now(door.dress(Response::text(400, NO_TEXT)));
        };
        cx.charge(u32::try_from(body.len() / 256).unwrap_or(u32::MAX));
        let answered = match place {
            Place::Events => self.ask_for_stream(cx, request, (head, is_ours), &door),
            Place::Poll => self.ask_for_polls(cx, request, (head, is_ours), (&door, body)),
            Place::Session { key: Some(key), polls } => {
                self.ask_of_session(cx, request, (key, polls), (head, &door, body))
            }
            Place::Session { key: None, .. } => Err(Response::text(404, UNKNOWN)),
        };
        answered.unwrap_or_else(|refused| Answer::Now(door.dress(refused)))
    }

    /// Whether a client may come in by a request, as by an upgrade, and as whom.
    pub(super) fn admit_request(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        request: RequestId,
        (head, is_ours): (&Head<'_>, bool),
    ) -> Result<(Entry, Option<State>), Response> {
        if let Some(refused) = cx.addressing().refusal(request.conn) {
            return Err(later(cx, refused));
        }
        let most = self.clients_max.min(CLIENTS_MAX - 1).min(cx.shared().max_connections());
        if self.clients() + self.sessions.over >= most {
            return Err(later(cx, Response::text(503, NO_ROOM)));
        }
        if let Some(keys) = &self.settings.authenticator.keys {
            cx.charge(keys.units());
        }
        self.coming(cx, request.conn, (head, is_ours)).map(|coming| (coming.entry, coming.state))
    }

    fn ask_for_polls(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        request: RequestId,
        (head, is_ours): (&Head<'_>, bool),
        (door, body): (&Door, &str),
    ) -> Result<Answer, Response> {
        let query = Query(head.query());
        let gap = query.gap()?.or(self.settings.poll_gap).unwrap_or(POLL_GAP_TICKS);
        let is_beat = query.wait()? == Some(0) && body.trim().is_empty();
        if commands_of(body).nth(POST_COMMANDS_MAX).is_some() {
            return Err(Response::text(413, TOO_MANY));
        }
        let (entry, state) = self.admit_request(cx, request, (head, is_ours))?;
        // It outlives its connection, which is counted beside it.
        let counted = cx.addressing().count().map_err(|refused| later(cx, refused))?;
        if let (true, Some(user)) = (is_beat, user_of(&entry)) {
            return Ok(self.ask_for_beat(cx, request, door, ((user, entry, state), (gap, counted))));
        }
        let Some(place) = self.begin_polls(cx, (entry, state), (gap, counted)) else {
            return Err(Response::text(503, "no randomness for a session's name"));
        };
        self.commands(cx, place, body);
        let lines = self.sessions.lines(place);
        Ok(Answer::Now(door.dress(Reply::lines(lines).response())))
    }

    /// A heartbeat by request goes to its user's home, which knows the session that the last one has begun.
    fn ask_for_beat(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        request: RequestId,
        door: &Door,
        ((user, entry, state), (gap, counted)): (Comer, (u32, Option<u32>)),
    ) -> Answer {
        let reply_to = ReturnPath { worker: cx.worker(), request };
        let home = self.node.homes().of(&user);
        let beat = Beat { user, entry, state, gap, counted, reply_to };
        self.sessions.doors.insert(request, door.clone());
        if home == cx.worker().0 {
            self.beat(cx, beat);
            self.act(cx);
        } else {
            self.post_session(cx, home, SessionMail::Beat(Box::new(beat)));
        }
        Answer::Later { by: cx.now().tick.after(patience(0)) }
    }

    fn ask_of_session(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        request: RequestId,
        (key, polls): (SessionKey, bool),
        (head, door, body): (&Head<'_>, &Door, &str),
    ) -> Result<Answer, Response> {
        let query = Query(head.query());
        let number = query.number("n")?;
        if number == Some(0) {
            return Err(Response::text(400, "`n` counts from 1"));
        }
        let (ask, wait) = match (head.method, query.number("ack")?) {
            ("DELETE", _) => (Ask::Leave { goodbye: query.number("code")? == Some(4000) }, 0),
            (_, Some(ack)) if polls => {
                let wait = query.wait()?.unwrap_or(POLL_WAIT_TICKS);
                (Ask::Poll { ack, wait, gap: query.gap()?, number, body: body.into() }, wait)
            }
            _ => (
                Ask::Post { number, by_events: query.answers_by_events()?, body: body.into() },
                POST_TICKS_MAX,
            ),
        };
        let reply_to = ReturnPath { worker: cx.worker(), request };
        self.sessions.doors.insert(request, door.to(key));
        let is_poll = matches!(ask, Ask::Poll { .. });
        self.ask_session(cx, Asked { key, reply_to, ask });
        self.act(cx);
        let by = cx.now().tick.after(patience(wait));
        Ok(if is_poll { Answer::Held { by } } else { Answer::Later { by } })
    }
}

/// A refusal that says when to come back.
pub(super) fn later(cx: &mut Context<'_, PresenceMail>, refused: Response) -> Response {
    // RFC 9110 §10.2.3: whole seconds.
    refused.with("Retry-After", cx.retry_millis().div_ceil(1_000).to_string())
}

fn is_allowed(place: &Place, method: &str) -> bool {
    place.allow().split(", ").any(|allowed| allowed == method)
}

fn not_allowed(place: &Place) -> Response {
    let allow = place.allow();
    Response::text(405, &format!("this takes {allow}")).with("Allow", allow)
}

fn user_of(entry: &Entry) -> Option<Name> {
    match entry {
        Entry::Open(user) => user.clone(),
        Entry::Token(user, _) => Some(user.clone()),
        Entry::Late(_) => None,
    }
}

/// The query of a request.
pub(super) struct Query<'a>(pub(super) &'a str);

impl<'a> Query<'a> {
    fn raw(&self, key: &str) -> Option<&'a str> {
        self.0.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
    }

    /// A number.
    fn number(&self, key: &str) -> Result<Option<u64>, Response> {
        let Some(text) = self.raw(key) else { return Ok(None) };
        let bad = |_| Response::text(400, &format!("`{key}` is a number"));
        text.parse().map(Some).map_err(bad)
    }

    /// A time in ticks, rounded up; a number without a unit is seconds.
    fn ticks(&self, key: &str) -> Result<Option<u32>, Response> {
        let Some(text) = self.raw(key) else { return Ok(None) };
        let millis = millis_of(text)
            .ok_or_else(|| Response::text(400, &format!("`{key}` is a time like 25s or 500ms")))?;
        Ok(Some(u32::try_from(millis.div_ceil(TICK_MILLIS)).unwrap_or(u32::MAX)))
    }

    /// Whether commands are to be answered by events, in order with all others.
    fn answers_by_events(&self) -> Result<bool, Response> {
        match self.raw("answers") {
            None => Ok(false),
            Some("events") => Ok(true),
            Some(_) => Err(Response::text(400, "`answers` is events, or is left out")),
        }
    }

    /// For how long a poll is to be held.
    fn wait(&self) -> Result<Option<u32>, Response> {
        Ok(self.ticks("wait")?.map(|ticks| ticks.min(POLL_WAIT_TICKS_MAX)))
    }

    /// The time without a request after which the client is gone.
    fn gap(&self) -> Result<Option<u32>, Response> {
        let (least, most) = (*POLL_GAP_TICKS_ALLOWED.start(), *POLL_GAP_TICKS_ALLOWED.end());
        Ok(self.ticks("gap")?.map(|ticks| ticks.clamp(least, most)))
    }

    /// The values of a key that may stand there again and again.
    ///
    /// # Errors
    /// 400: one can't be read. 413: there are more than `most`.
    fn all(&self, key: &str, most: usize) -> Result<Vec<String>, Response> {
        let values = self.0.split('&').filter_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
        let values: Option<Vec<String>> = values.map(query_decoded).collect();
        match values {
            None => Err(Response::text(400, &format!("`{key}` is percent-encoded UTF-8"))),
            Some(values) if values.len() > most => {
                Err(Response::text(413, &format!("`{key}` stands there more than {most} times")))
            }
            Some(values) => Ok(values),
        }
    }

    /// The rooms that an event stream begins in.
    pub(super) fn rooms(&self) -> Result<Vec<String>, Response> {
        self.all("room", ROOMS_PER_CONNECTION_MAX)
    }

    /// The users that it begins with watching.
    pub(super) fn watches(&self) -> Result<Vec<String>, Response> {
        self.all("watch", USERS_PER_COMMAND_MAX)
    }

    /// The id of the last event that a client got of an earlier stream.
    pub(super) fn last_event_id(&self) -> Option<String> {
        self.raw("last_event_id").and_then(query_decoded)
    }
}

/// The milliseconds of a time, as people write it.
fn millis_of(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let times = match unit {
        "" | "s" => 1_000,
        "ms" => 1,
        "m" => 60_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_elsewhere() {
        for (text, millis) in [
            ("25s", Some(25_000)),
            ("500ms", Some(500)),
            ("2m", Some(120_000)),
            ("0", Some(0)),
            ("", None),
            ("s", None),
            ("1h", None),
            ("-1s", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(millis_of(text), millis, "{text}");
        }
        let ticks = |query, key| Query(query).ticks(key).map_err(|refused| refused.status);
        assert_eq!(ticks("user=a&wait=15ms", "wait"), Ok(Some(2)));
        assert_eq!(ticks("wait=x", "wait"), Err(400));
        assert_eq!(Query("gap=1s").gap().ok().flatten(), Some(*POLL_GAP_TICKS_ALLOWED.start()));
        assert_eq!(Query("wait=5m").wait().ok().flatten(), Some(POLL_WAIT_TICKS_MAX));
    }

    #[test]
    fn rooms_and_users_stand_there_again_and_again() {
        let query = Query("user=a&room=x%20y&room=z&watch=b+c");
        assert_eq!(query.rooms().unwrap(), ["x y", "z"]);
        assert_eq!(query.watches().unwrap(), ["b c"]);
        let many = vec!["room=r"; ROOMS_PER_CONNECTION_MAX + 1].join("&");
        assert_eq!(Query(&many).rooms().unwrap_err().status, 413);
        assert_eq!(Query("room=%f").rooms().unwrap_err().status, 400);
    }
}
