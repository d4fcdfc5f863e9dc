//! The posts of a session: commands in a request, and their answers in its answer. One at a time is open; one that comes again, since
//! its answer was lost, is not done again and gets the same answers.

use crate::limits::POST_ANSWER_BYTES_MAX;

/// The posts of a session. `R` is the way back of an answer.
#[derive(Debug)]
pub struct Posts<R> {
    /// The number of the last one that had any.
    last: u64,
    /// The answers to it, lines.
    lines: String,
    /// The post that is yet to be answered.
    open: Option<Open<R>>,
}

#[derive(Debug)]
struct Open<R> {
    /// `None`: its client is gone; the answers are kept for when it comes again.
    reply: Option<R>,
    /// Commands without an answer.
    pending: usize,
}

/// The outcome of a post.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Begun<R> {
    /// Its commands are to be done; each has one answer, which [`Posts::answer`] is told.
    Do,
    /// It was done before: it gets those answers again.
    Again(String),
    /// It is being done: it gets the answers, and who waited for them before gets 409.
    Waits(Option<R>),
    /// It is older than one that was done, or another one is being done: 409.
    Refused,
}

impl<R> Default for Posts<R> {
    fn default() -> Self {
        Posts { last: 0, lines: String::new(), open: None }
    }
}

impl<R: Copy + PartialEq> Posts<R> {
    /// A post comes, with a number if it has one and with so many commands.
    pub fn begin(&mut self, number: Option<u64>, reply: R, commands: usize) -> Begun<R> {
        // Commands of a post that was given up are answered with the next one: each line says which command it answers.
        let mut pending = 0;
        match &mut self.open {
            Some(open) if number == Some(self.last) => return Begun::Waits(open.reply.replace(reply)),
            Some(open) if open.reply.is_some() => return Begun::Refused,
            Some(open) => pending = open.pending,
            None => {}
        }
        match number {
            Some(number) if number == self.last => return Begun::Again(self.lines.clone()),
            Some(number) if number < self.last => return Begun::Refused,
            Some(number) => self.last = number,
            None => {}
        }
        self.lines = String::new();
        pending += commands;
        self.open = (pending > 0).then_some(Open { reply: Some(reply), pending });
        Begun::Do
    }

    /// Commands come whose answers are events. Says what is to be done with them: [`Begun::Do`], [`Begun::Refused`], or nothing, since
    /// they were done before.
    pub fn begin_unanswered(&mut self, number: Option<u64>) -> Begun<R> {
        // The answers of both could not be told apart.
        if self.open.is_some() || number.is_some_and(|number| number < self.last) {
            return Begun::Refused;
        }
        if number == Some(self.last) {
            return Begun::Again(String::new());
        }
        self.last = number.unwrap_or(self.last);
        self.lines = String::new();
        Begun::Do
    }

    /// Whether answers are awaited.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// A command was answered, by a line without its end. Says whether it is one of this post's; the others go the way of events.
    pub fn answer(&mut self, line: &str) -> bool {
        let Some(open) = self.open.as_mut().filter(|open| open.pending > 0) else { return false };
        open.pending -= 1;
        if self.lines.len() + line.len() >= POST_ANSWER_BYTES_MAX && !self.lines.is_empty() {
            return false;
        }
        self.lines.push_str(line);
        self.lines.push('\n');
        true
    }

    /// The client that waits and the lines for it, once all commands are answered. The post is done by that.
    pub fn finish(&mut self) -> Option<(R, String)> {
        let open = self.open.take_if(|open| open.pending == 0)?;
        Some((open.reply?, self.lines.clone()))
    }

    /// A client gave up a request. Says whether it was the open post, whose answers are kept for when it comes again.
    pub fn abandoned(&mut self, reply: R) -> bool {
        self.open.as_mut().is_some_and(|open| open.reply.take_if(|waits| *waits == reply).is_some())
    }

    /// The session ends: returns the client that waits.
    pub fn end(&mut self) -> Option<R> {
        self.open.take()?.reply
    }

    /// Bytes of answers that are kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lines.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_answered_when_all_its_commands_are() {
        let mut posts = Posts::default();
        assert_eq!(posts.begin(Some(1), 'a', 2), Begun::Do);
        assert!(posts.answer("x") && posts.finish().is_none());
        assert!(posts.answer("y") && !posts.answer("z"), "the third is no answer to it");
        assert_eq!(posts.finish(), Some(('a', "x\ny\n".to_owned())));
        assert_eq!(posts.begin(None, 'b', 0), Begun::Do);
        assert!(!posts.is_open(), "nothing is to be answered");
    }

    #[test]
    fn a_post_that_comes_again_is_not_done_again() {
        let mut posts = Posts::default();
        assert_eq!(posts.begin(Some(1), 'a', 1), Begun::Do);
        assert_eq!(posts.begin(Some(1), 'b', 1), Begun::Waits(Some('a')), "the first was given up");
        assert_eq!(posts.begin(Some(2), 'c', 1), Begun::Refused, "one at a time");
        assert_eq!(posts.begin(None, 'c', 1), Begun::Refused);
        assert!(posts.answer("x"));
        assert_eq!(posts.finish(), Some(('b', "x\n".to_owned())));
        assert_eq!(posts.begin(Some(1), 'd', 1), Begun::Again("x\n".to_owned()));
        assert_eq!(posts.begin(Some(5), 'e', 1), Begun::Do);
        assert_eq!(posts.begin(Some(1), 'f', 1), Begun::Refused);
        assert!(posts.abandoned('e') && !posts.abandoned('e'));
        assert!(posts.answer("y") && posts.finish().is_none() && !posts.is_open());
        assert_eq!(posts.begin(Some(5), 'g', 1), Begun::Again("y\n".to_owned()));
        assert_eq!(posts.begin(Some(4), 'g', 1), Begun::Refused, "it is older");
    }

    #[test]
    fn a_post_that_was_given_up_makes_way_for_the_next() {
        let mut posts = Posts::default();
        posts.begin(Some(1), 'a', 2);
        assert!(posts.answer("x") && posts.abandoned('a'));
        assert_eq!(posts.begin(Some(2), 'b', 1), Begun::Do);
        assert!(posts.answer("y") && posts.finish().is_none(), "one of the first is yet to come");
        assert!(posts.answer("z") && !posts.answer("one too many"));
        assert_eq!(posts.finish(), Some(('b', "y\nz\n".to_owned())));
        posts.begin(Some(3), 'c', 1);
        assert_eq!((posts.end(), posts.is_open()), (Some('c'), false));
    }

    #[test]
    fn answers_that_are_too_long_together_go_another_way() {
        let mut posts = Posts::default();
        posts.begin(None, 'a', 2);
        let long = "x".repeat(POST_ANSWER_BYTES_MAX);
        assert!(posts.answer(&long) && !posts.answer("y"));
        assert_eq!(posts.finish(), Some(('a', format!("{long}\n"))), "and are not waited for");
    }

    #[test]
    fn commands_that_are_answered_by_events_wait_for_no_post() {
        let mut posts = Posts::default();
        posts.begin(Some(2), 'a', 1);
        assert_eq!(posts.begin_unanswered(Some(2)), Begun::Refused);
        assert_eq!(posts.begin_unanswered(None), Begun::Refused, "whose answer would it be?");
        assert!(posts.answer("x") && posts.finish().is_some());
        assert_eq!(posts.begin_unanswered(Some(1)), Begun::Refused);
        assert_eq!(posts.begin_unanswered(Some(3)), Begun::Do);
        assert_eq!(posts.begin_unanswered(Some(3)), Begun::Again(String::new()));
        assert!(!posts.is_open() && posts.begin_unanswered(None) == Begun::Do);
    }
}
