//! Sessions that are carried by polls: what waits for a client is fetched by its requests, numbered, and again until it says that it
//! has it.

use crate::limits::POST_COMMANDS_MAX;
use crate::presence::{Entry, State};
use crate::protocol::event_stream;
use crate::reactor::Context;
use crate::service::presence::sessions::mail::{Beat, Reply, ReturnPath};
use crate::service::presence::sessions::table::{Carrier, SessionPolls, Sessions};
use crate::service::presence::{Presence, PresenceMail};
use crate::session::{Begun, Due, Polled, Polls, Posts};
use crate::time::Tick;

const NEWER: &str = "a newer poll has taken its place";
const OLD: &str = "a newer poll has come before it";
const NEVER_SENT: &str = "ack is higher than any number that was sent";
const OTHERWISE: &str = "this session is not carried by polls";
const ELSEWHERE: &str = "this session takes no posts any more";
const OLD_POST: &str = "n is lower than that of an earlier post, or another post is being answered";
const ANOTHER: &str = "the same post has come again";
pub(super) const TOO_MANY: &str = "too many commands in one request";

impl Sessions {
    fn polls(&mut self, place: usize) -> Option<&mut SessionPolls> {
        match &mut self.table.get_mut(place)?.carrier {
            Carrier::Polls(polls) | Carrier::Over(polls) => Some(polls),
            Carrier::Stream(_) | Carrier::Away(..) => None,
        }
    }

    pub(super) fn posts(&mut self, place: usize) -> Option<&mut Posts<ReturnPath>> {
        Some(self.table.get_mut(place)?.posts.get_or_insert_default())
    }

    /// The lines of a poll's answer.
    pub(super) fn lines(&mut self, place: usize) -> String {
        let mut lines = String::new();
        if let Some(polls) = self.polls(place) {
            for (number, frame) in polls.batch() {
                event_stream::numbered(number, frame.as_text().unwrap_or_default(), &mut lines);
            }
        }
        lines
    }

    /// A client has given up a request.
    pub(super) fn gave_up(&mut self, place: usize, now: Tick, reply_to: ReturnPath) {
        if let Some(posts) = self.table.get_mut(place).and_then(|session| session.posts.as_mut()) {
            posts.abandoned(reply_to);
        }
        if self.polls(place).is_some_and(|polls| polls.abandoned(now, reply_to)) {
            self.arm(place, now, false);
        }
    }
}

impl Presence {
    /// Begins a session that is carried by polls: returns its place.
    pub(super) fn begin_polls(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        (entry, state): (Entry, Option<State>),
        (gap, counted): (u32, Option<u32>),
    ) -> Option<usize> {
        let now = cx.now();
        let place = self.sessions.begin(Carrier::Polls(Box::new(Polls::new(now.tick, gap))))?;
        self.sessions.table.get_mut(place)?.counted = counted;
        let handle = self.sessions.handle(place)?;
        self.enter_session(cx, place, (handle, entry, state));
        self.sessions.arm(place, now.tick, true);
        Some(place)
    }

    /// A poll, with commands perhaps.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        (place, reply_to): (usize, ReturnPath),
        (ack, wait, gap): (u64, u32, Option<u32>),
        (number, body): (Option<u64>, &str),
    ) {
        let now = cx.now().tick;
        if commands_of(body).nth(POST_COMMANDS_MAX).is_some() {
            return self.reply(cx, reply_to, Reply::refused(413, TOO_MANY));
        }
        let Some(polls) = self.sessions.polls(place) else {
            return self.reply(cx, reply_to, Reply::refused(409, OTHERWISE));
        };
        match polls.poll(now, reply_to, ack, (wait, gap)) {
            Polled::Old => return self.reply(cx, reply_to, Reply::refused(409, OLD)),
            Polled::Bad => return self.reply(cx, reply_to, Reply::refused(400, NEVER_SENT)),
            Polled::Held(None) => {}
            Polled::Held(Some(older)) => self.reply(cx, older, Reply::refused(409, NEWER)),
        }
        self.acquit(cx, place);
        self.sessions.arm(place, now, false);
        if !body.is_empty() {
            // A poll that comes again gets again what its commands were answered: that is not acknowledged.
            match self.sessions.posts(place).map(|posts| posts.begin_unanswered(number)) {
                Some(Begun::Do) => self.commands(cx, place, body),
                // The poll is refused with them: its client must not take them for done.
                Some(Begun::Refused) => {
                    self.sessions.gave_up(place, now, reply_to);
                    return self.reply(cx, reply_to, Reply::refused(409, OLD_POST));
                }
                _ => {}
            }
        }
        if let Some(handle) = self.sessions.handle(place) {
            self.sessions.news.push(handle);
        }
    }

    /// Commands in a request of their own, whose answers are its answer, or `by_events` come in order with all else.
    pub(super) fn post_commands(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        (place, reply_to): (usize, ReturnPath),
        (number, by_events): (Option<u64>, bool),
        body: &str,
    ) {
        let now = cx.now().tick;
        let count = commands_of(body).count();
        if count > POST_COMMANDS_MAX {
            return self.reply(cx, reply_to, Reply::refused(413, TOO_MANY));
        }
        match self.sessions.table.get_mut(place).map(|session| &mut session.carrier) {
            Some(Carrier::Polls(polls)) => polls.heard(now),
            Some(Carrier::Stream(_)) => {}
            // A post from before may have been overtaken.
            Some(Carrier::Over(_) | Carrier::Away(..)) | None => {
                return self.reply(cx, reply_to, Reply::refused(409, ELSEWHERE));
            }
        }
        self.acquit(cx, place);
        let Some(posts) = self.sessions.posts(place) else { return };
        let begun =
            if by_events { posts.begin_unanswered(number) } else { posts.begin(number, reply_to, count) };
        match begun {
            Begun::Do if by_events => {
                self.commands(cx, place, body);
                self.reply(cx, reply_to, Reply::lines(String::new()));
            }
            Begun::Do if count == 0 => self.reply(cx, reply_to, Reply::lines(String::new())),
            Begun::Do => {
                self.commands(cx, place, body);
                self.act(cx);
            }
            Begun::Again(lines) => self.reply(cx, reply_to, Reply::lines(lines)),
            Begun::Waits(Some(older)) => self.reply(cx, older, Reply::refused(409, ANOTHER)),
            Begun::Waits(None) => {}
            Begun::Refused => self.reply(cx, reply_to, Reply::refused(409, OLD_POST)),
        }
    }

    /// Does the commands of a request, a line each.
    pub(super) fn commands(&mut self, cx: &mut Context<'_, PresenceMail>, place: usize, body: &str) {
        let Some(handle) = self.sessions.handle(place) else { return };
        for line in commands_of(body).take(POST_COMMANDS_MAX) {
            let Some(session) = self.sessions.table.get(place) else { return };
            let client = session.client;
            cx.charge(1);
            self.command(cx, handle, client, line);
            self.act(cx);
        }
    }

    /// A heartbeat by request: its user is online until a gap from now.
    pub(super) fn beat(&mut self, cx: &mut Context<'_, PresenceMail>, beat: Beat) {
        let now = cx.now();
        let known = self.sessions.beats.get(&beat.user).copied();
        let place = known.and_then(|handle| self.sessions.place_of(handle));
        let place = place.filter(|place| {
            matches!(self.sessions.table.get(*place).map(|session| &session.carrier), Some(Carrier::Polls(_)))
        });
        let place = match place {
            Some(place) => {
                if let Some(counted) = beat.counted {
                    cx.addressing().uncount(counted);
                }
                self.beat_again(cx, place, &beat);
                Some(place)
            }
            None => self.begin_polls(cx, (beat.entry, beat.state), (beat.gap, beat.counted)),
        };
        let Some(place) = place else {
            return self.reply(cx, beat.reply_to, Reply::refused(503, "try again"));
        };
        self.act(cx);
        if let Some(handle) = self.sessions.handle(place) {
            self.sessions.beats.insert(beat.user, handle);
        }
        let lines = self.sessions.lines(place);
        self.sessions.arm(place, now.tick, false);
        self.reply(cx, beat.reply_to, Reply::lines(lines));
    }

    /// Another heartbeat of the same user. Its client keeps nothing between two of them: what it was answered before has arrived.
    fn beat_again(&mut self, cx: &mut Context<'_, PresenceMail>, place: usize, beat: &Beat) {
        let now = cx.now();
        let Some(client) = self.sessions.table.get(place).map(|session| session.client) else { return };
        if let Some(polls) = self.sessions.polls(place) {
            let answered = polls.queue().sent();
            let older = polls.close(now.tick);
            polls.poll(now.tick, beat.reply_to, answered, (0, Some(beat.gap)));
            polls.close(now.tick);
            if let Some(older) = older {
                self.reply(cx, older, Reply::refused(409, NEWER));
            }
        }
        self.acquit(cx, place);
        self.node.page_heartbeat(now, client);
        if let Entry::Token(user, grants) = &beat.entry {
            self.node.authenticate(now, client, 0, user.clone(), grants.clone());
        }
    }

    /// Answers polls for which something has come.
    pub(super) fn answer_polls(&mut self, cx: &mut Context<'_, PresenceMail>) {
        for handle in std::mem::take(&mut self.sessions.news) {
            let Some(place) = self.sessions.place_of(handle) else { continue };
            let now = cx.now().tick;
            let Some(reply_to) = self.sessions.polls(place).and_then(|polls| polls.ready(now)) else {
                continue;
            };
            let lines = self.sessions.lines(place);
            self.sessions.arm(place, now, false);
            self.reply(cx, reply_to, Reply::lines(lines));
        }
    }

    /// The client of a session was heard.
    fn acquit(&mut self, cx: &mut Context<'_, PresenceMail>, place: usize) {
        if self.sessions.polls(place).is_some_and(Polls::acquit) {
            self.suspect_session(cx, place, false);
        }
    }

    fn suspect_session(&mut self, cx: &mut Context<'_, PresenceMail>, place: usize, suspect: bool) {
        let Some(session) = self.sessions.table.get(place) else { return };
        if matches!(session.carrier, Carrier::Polls(_)) {
            self.node.suspect(cx.now(), session.client, suspect);
            self.act(cx);
        }
    }

    /// A session's time may have come.
    pub(super) fn polls_due(&mut self, cx: &mut Context<'_, PresenceMail>, place: usize) {
        let now = cx.now().tick;
        let Some(polls) = self.sessions.polls(place) else { return };
        match polls.due(now) {
            Due::Nothing(_) => self.sessions.arm(place, now, true),
            Due::Over(reply_to) => {
                // A poll that waits for nothing is over as soon as it comes.
                let lines = self.sessions.lines(place);
                self.sessions.arm(place, now, true);
                self.reply(cx, reply_to, Reply::lines(lines));
            }
            Due::Suspect => {
                self.sessions.arm(place, now, true);
                self.suspect_session(cx, place, true);
            }
            Due::Gone => self.session_died(cx, place),
        }
    }

    /// A text for a session's client that is the answer to a command of its post, where it is. Says whether it was.
    pub(super) fn answers_post(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        place: usize,
        text: &str,
    ) -> bool {
        let Some(session) = self.sessions.table.get_mut(place) else { return false };
        let Some(posts) = session.posts.as_mut().filter(|_| text.starts_with(r#"{"seq":"#)) else {
            return false;
        };
        let line = event_stream::in_one_line(text);
        let is_its = posts.answer(&line);
        if let Some((reply_to, lines)) = posts.finish() {
            self.reply(cx, reply_to, Reply::lines(lines));
        }
        is_its
    }
}

/// The commands of a body, a line each.
pub(super) fn commands_of(body: &str) -> impl Iterator<Item = &str> {
    body.lines().map(str::trim).filter(|line| !line.is_empty())
}
