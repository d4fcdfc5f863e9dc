//! `/api/v1`: what is asked of a running server by who runs it, in JSON. Homes are asked by mail, so that most answers come
//! a turn or two after their request.
//!
//! | file | subject |
//! |---|---|
//! | [`guard`], [`keys`] | who may ask: by a key, on a Unix socket or on an admin listener; pages of other origins |
//! | `audit` | the lines of the log about writes and about requests that were refused |
//! | `path`, `route`, `body`, `refusal` | paths, queries and bodies, what they ask, and why it is not done |
//! | `answer` | replies, as JSON |
//! | `stats`, [`memory`](crate::http::memory) | figures, from the workers' counters |

mod answer;
mod audit;
mod body;
pub mod guard;
pub mod keys;
mod path;
mod refusal;
mod route;
mod stats;

use std::sync::Arc;

use slab::Slab;

use crate::http::api::audit::{Refusals, Write};
use crate::http::api::guard::{Caller, Guard, Way};
use crate::http::api::refusal::ApiRefusal;
use crate::http::api::route::{ApiRoute, Figures};
use crate::http::memory::{MeasureProcess, Receipt};
use crate::http::recent::Recent;
use crate::limits::ANSWER_TICKS_MAX;
use crate::reactor::{Answer, Context, RequestId};
use crate::service::presence::{Presence, PresenceMail};
use crate::time::Tick;
use crate::wire::http::{Head, Refusal, Response};

/// The API of one worker.
#[derive(Debug)]
pub struct Api {
    guard: Arc<Guard>,
    measure_process: Option<MeasureProcess>,
    stats: Recent,
    memory: Recent,
    /// Requests that wait, by the tag that their reply will carry.
    waiting: Slab<OpenRequest>,
    refusals: Refusals,
}

#[derive(Debug)]
struct OpenRequest {
    request: RequestId,
    /// The origin of the page that asks, if it may read the answer.
    origin: Option<String>,
    /// The line for the audit log, where it changes something.
    write: Option<Write>,
}

impl Api {
    /// The API of a worker.
    #[must_use]
    pub fn new(guard: Arc<Guard>, measure_process: Option<MeasureProcess>) -> Api {
        Api {
            guard,
            measure_process,
            stats: Recent::default(),
            memory: Recent::default(),
            waiting: Slab::new(),
            refusals: Refusals::default(),
        }
    }

    /// Whether a path is the API's.
    #[must_use]
    pub fn is_path(path: &str) -> bool {
        path == "/api" || path.starts_with("/api/")
    }

    /// A request, on one of the listeners that serve the API.
    pub fn request(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        presence: &mut Presence,
        request: RequestId,
        head: &Head<'_>,
        body: &[u8],
    ) -> Answer {
        let origin = self.guard.reader(head);
        if head.method == "OPTIONS" {
            let preflight = route::allow(head.path()).map(|allow| self.guard.preflight(head, allow));
            return Answer::Now(shared(preflight.unwrap_or_else(|refused| refused.response()), origin));
        }
        let caller = match self.admit(cx, request, head) {
            Ok(caller) => caller,
            Err(refused) => return Answer::Now(shared(refused.response(), origin)),
        };
        let write = Write::of(cx, caller, head);
        let now = match route::route(head, body) {
            Ok(ApiRoute::Figures(Figures::Stats)) => self.stats(cx),
            Ok(ApiRoute::Figures(Figures::Memory)) => self.memory(cx),
            Ok(ApiRoute::Admin(ask)) => {
                let write = write.map(|write| write.to(&ask));
                let tag = self.waiting.insert(OpenRequest { request, origin, write }) as u64;
                presence.ask(cx, tag, ask);
                return Answer::Later { by: cx.now().tick.after(ANSWER_TICKS_MAX) };
            }
            Err(refused) => refused.response(),
        };
        if let Some(write) = write {
            write.log(now.status);
        }
        Answer::Now(shared(now, origin))
    }

    /// Why a request is refused whatever its body is, where it is.
    pub fn judge<M>(&mut self, cx: &Context<'_, M>, request: RequestId, head: &Head<'_>) -> Option<Response> {
        let judged = if head.method == "OPTIONS" {
            route::allow(head.path()).map(drop)
        } else {
            self.admit(cx, request, head).and_then(|_| route::judge(head).map(drop))
        };
        judged.err().map(|refused| shared(refused.response(), self.guard.reader(head)))
    }

    /// Lets a request to the API or to `/metrics` in, and says by what. A refusal leaves a line in the log.
    ///
    /// # Errors
    /// 401 or 403, and what to do about it.
    pub fn admit<M>(
        &mut self,
        cx: &Context<'_, M>,
        request: RequestId,
        head: &Head<'_>,
    ) -> Result<Caller, ApiRefusal> {
        let admitted = self.guard.admit(head, way(cx, request));
        if let Err(refused) = &admitted {
            self.refusals.note(cx, head, refused.status);
        }
        admitted
    }

    /// Whether a request for what everybody may ask is the operator's, who is told more. A wrong key leaves a line in the log.
    pub fn is_operator<M>(&mut self, cx: &Context<'_, M>, request: RequestId, head: &Head<'_>) -> bool {
        let has_key = head.values("Authorization").next().is_some();
        if has_key {
            return self.admit(cx, request, head).is_ok();
        }
        self.guard.admit(head, way(cx, request)).is_ok()
    }

    /// Sends the replies that have come since the last turn. Returns when it has to be called again at the latest.
    #[inline]
    pub fn tick(&mut self, cx: &mut Context<'_, PresenceMail>, presence: &mut Presence) -> Option<Tick> {
        if presence.has_replies() {
            self.send(cx, presence);
        }
        self.refusals.tick(cx.now())
    }

    fn send(&mut self, cx: &mut Context<'_, PresenceMail>, presence: &mut Presence) {
        for (tag, reply) in presence.replies() {
            let tag = usize::try_from(tag).unwrap_or(usize::MAX);
            if let Some(OpenRequest { request, origin, write }) = self.waiting.try_remove(tag) {
                let response = answer::response(reply);
                if let Some(write) = write {
                    write.log(response.status);
                }
                cx.answer(request, shared(response, origin));
            }
        }
    }

    /// The answer to a request that the reactor refused, in the API's own form.
    #[must_use]
    pub fn refusal(refusal: &Refusal) -> Response {
        answer::error(refusal.status, refusal.reason)
    }

    /// The figures of a live chart.
    fn stats<M>(&mut self, cx: &Context<'_, M>) -> Response {
        let now = cx.now();
        figures(self.stats.get(now.tick, || Some(stats::json(cx.shared(), now))))
    }

    /// The memory receipt.
    fn memory<M>(&mut self, cx: &Context<'_, M>) -> Response {
        let measure_process = self.measure_process;
        let receipt =
            || Receipt::of(cx.shared(), measure_process.map(|measure_process| measure_process())).json();
        figures(self.memory.get(cx.now().tick, || Some(receipt())))
    }
}

fn way<M>(cx: &Context<'_, M>, request: RequestId) -> Way {
    Way {
        listener: cx.listener(request.conn),
        is_named: cx.addressing().requester().is_some(),
        is_secure: cx.is_secure(request.conn),
    }
}

fn figures(json: Option<&str>) -> Response {
    answer::json(200, json.unwrap_or_default().to_owned())
}

/// The response as a page of another origin may read it. `Vary` stands there whoever asks: a cache that keeps one answer
/// must not give it to another origin.
fn shared(mut response: Response, origin: Option<String>) -> Response {
    response = response.with("Cache-Control", "no-store").with("Vary", "Origin");
    match origin {
        Some(origin) => response.with("Access-Control-Allow-Origin", origin),
        None => response,
    }
}
