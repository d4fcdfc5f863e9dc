//! `/api/v1`: what is asked of a running server by who runs it, in JSON. Homes are asked by mail, so that most answers come
//! a turn or two after their request.
//!
//! | file | subject |
//! |---|---|
//! | [`guard`], [`keys`] | who may ask: keys, or this machine alone; pages of other origins |
//! | `route` | paths, queries and bodies, and what they ask |
//! | `answer` | replies, as JSON |
//! | `stats`, [`memory`](crate::http::memory) | figures, from the workers' counters |

mod answer;
pub mod guard;
pub mod keys;
mod route;
mod stats;

use std::sync::Arc;

use slab::Slab;

use crate::http::api::guard::Guard;
use crate::http::api::route::{Figures, Refused, Route};
use crate::http::memory::{Receipt, Weigh};
use crate::http::recent::Recent;
use crate::reactor::{Answer, Context, RequestId};
use crate::service::presence::{Letter, Presence};
use crate::wire::http::{Head, Refusal, Response};

/// The API of one worker.
#[derive(Debug)]
pub struct Api {
    guard: Arc<Guard>,
    weigh: Option<Weigh>,
    stats: Recent,
    memory: Recent,
    /// Requests that wait, by the ticket that their reply will carry.
    waiting: Slab<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    request: RequestId,
    /// The origin of the page that asks, if it may read the answer.
    origin: Option<String>,
}

impl Api {
    /// The API of a worker.
    #[must_use]
    pub fn new(guard: Arc<Guard>, weigh: Option<Weigh>) -> Api {
        Api { guard, weigh, stats: Recent::default(), memory: Recent::default(), waiting: Slab::new() }
    }

    /// Whether a path is the API's.
    #[must_use]
    pub fn is_path(path: &str) -> bool {
        path == "/api" || path.starts_with("/api/")
    }

    /// A request, on one of the listeners that serve the API.
    pub fn request(
        &mut self,
        cx: &mut Context<'_, Letter>,
        presence: &mut Presence,
        request: RequestId,
        head: &Head<'_>,
        body: &[u8],
    ) -> Answer {
        let origin = self.guard.reader(head);
        let listener = cx.listener(request.conn);
        let now = match self.respond(cx, head, body, listener) {
            Ok(Asked::Now(response)) => response,
            Ok(Asked::Presence(ask)) => {
                let ticket = self.waiting.insert(Waiting { request, origin }) as u64;
                presence.ask(cx, ticket, ask);
                return Answer::Later;
            }
            Err(refused) => refused.response(),
        };
        Answer::Now(shared(now, origin))
    }

    /// Sends the replies that have come since the last turn.
    pub fn answer(&mut self, cx: &mut Context<'_, Letter>, presence: &mut Presence) {
        for (ticket, reply) in presence.replies() {
            let ticket = usize::try_from(ticket).unwrap_or(usize::MAX);
            if let Some(Waiting { request, origin }) = self.waiting.try_remove(ticket) {
                cx.answer(request, shared(answer::response(reply), origin));
            }
        }
    }

    /// What a request that the reactor refused is answered with: in the API's own form.
    #[must_use]
    pub fn refusal(refusal: &Refusal) -> Response {
        answer::error(refusal.status, refusal.reason)
    }

    fn respond(
        &mut self,
        cx: &Context<'_, Letter>,
        head: &Head<'_>,
        body: &[u8],
        listener: usize,
    ) -> Result<Asked, Refused> {
        if head.method == "OPTIONS" {
            let allow = route::allow(head.path())?;
            return Ok(Asked::Now(self.guard.preflight(head, allow)));
        }
        self.guard.admit(head, listener)?;
        Ok(match route::route(head, body)? {
            Route::Figures(Figures::Stats) => Asked::Now(self.stats(cx)),
            Route::Figures(Figures::Memory) => Asked::Now(self.memory(cx)),
            Route::Ask(ask) => Asked::Presence(ask),
        })
    }
}

impl Api {
    /// The figures of a live chart.
    fn stats(&mut self, cx: &Context<'_, Letter>) -> Response {
        let now = cx.now();
        figures(self.stats.get(now.tick, || Some(stats::json(cx.fleet(), now))))
    }

    /// The memory receipt.
    fn memory(&mut self, cx: &Context<'_, Letter>) -> Response {
        let weigh = self.weigh;
        let receipt = || Receipt::of(cx.fleet(), weigh.map(|weigh| weigh())).json();
        figures(self.memory.get(cx.now().tick, || Some(receipt())))
    }
}

fn figures(json: Option<&str>) -> Response {
    answer::json(200, json.unwrap_or_default().to_owned())
}

/// What a request comes to.
enum Asked {
    Now(Response),
    Presence(crate::presence::admin::Ask),
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
