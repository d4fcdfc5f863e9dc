//! The site: which path is which service or page, and who is let in. This is the service that the binary runs.
//!
//! | path | |
//! |---|---|
//! | `/` | an upgrade: presence; a plain request: the [page](assets), or as text what this is |
//! | `/rollcall.js`, `/rollcall.d.ts`, … | [`Asset`](assets::Asset): the client, and what the page needs |
//! | `/ws` | an upgrade: [`Presence`]; a plain request: 426 |
//! | `/events`, `/poll` | [`Presence`] without a WebSocket |
//! | `/echo` | an upgrade: [`Echo`]; a plain request: 426 |
//! | `/healthz`, `/readyz` | [`health`]; figures in `/readyz` for those alone that may use the API |
//! | `/metrics` | [`metrics`](super::metrics); on the admin listeners alone where there are any, and for those that may use the API |
//! | `/api/…` | [`api`](super::api); like `/metrics` |
//!
//! A further service is mounted beside the others, and its path named in `is_service`.

use std::sync::Arc;

use crate::http::api::Api;
use crate::http::api::guard::Guard;
use crate::http::assets;
pub use crate::http::gauges::{EXEC_GAUGE, ROOMS_GAUGE, USERS_GAUGE};
use crate::http::gauges::{HISTORY_GAUGE, RECOVERIES, SESSIONS};
use crate::http::health;
use crate::http::memory::MeasureProcess;
use crate::http::metrics::Metrics;
pub use crate::http::paths::Off;
use crate::http::paths::{ECHO, ListenerScope, Route, index, is_service, no_service};
use crate::http::refused::{RefusedUpgrade, TurnedAway};
use crate::reactor::{
    Admission, Answer, Cause, ConnId, Context, Mount, Mounted, Part, RequestId, Service, Shared, WorkerId,
    Wrapper,
};
use crate::service::authenticator::Auth;
use crate::service::echo::Echo;
use crate::service::exec::{Exec, ExecSettings};
use crate::service::presence::{FOREIGN_ORIGIN, Presence, PresenceSettings};
use crate::slots::CHUNK;
use crate::time::Tick;
use crate::wire::http::{Head, Refusal, Response, percent_decoded};
use crate::wire::upgrade::Upgrade;

/// The settings of a router.
#[derive(Clone, Debug, Default)]
pub struct RouterSettings {
    /// Origins that may connect, as a browser writes them; empty: any.
    pub origins: Vec<String>,
    /// Subprotocols that are accepted. The client's order decides; one that offers none of them gets none.
    pub subprotocols: Vec<String>,
    /// How many of the server's listeners are for everybody; those after them are admin listeners, which serve
    /// `/metrics` and `/api` in the place of the others, and no upgrades. `None`: there are no admin listeners.
    pub public_listeners: Option<usize>,
    /// The rules of presence.
    pub presence: Arc<PresenceSettings>,
    /// Measures the process's own memory.
    pub measure_process: Option<MeasureProcess>,
    /// Has the allocator let go of what it keeps for the calling thread: for a worker whose clients have left.
    pub trim_allocator: Option<fn()>,
    /// Access to the API and `/metrics`.
    pub api: Arc<Guard>,
    /// The paths that are not served.
    pub off: Off,
    /// Commands; `None`: there are none.
    pub exec: Option<Arc<ExecSettings>>,
}

/// Presence, echo, commands, and whoever is told why it is refused.
type Services = Mounted<Mounted<Presence, Echo>, Mounted<Exec, TurnedAway>>;
/// No request has this path: the paths of commands are settings.
const EXEC: &str = "\0exec";
/// Messages between the routers of two workers.
pub type SiteMail = <Services as Service>::Mail;
type Admitted = <Services as Service>::Admitted;

/// A worker's site.
#[derive(Debug)]
pub struct Router {
    settings: Arc<RouterSettings>,
    metrics: Metrics,
    services: Services,
    api: Api,
    /// Clients when memory was measured last.
    measured: usize,
}

impl RouterSettings {
    fn scope(&self, listener: usize) -> ListenerScope {
        match self.public_listeners {
            None => ListenerScope::Whole,
            Some(public) if listener < public => ListenerScope::Public,
            Some(_) => ListenerScope::Admin,
        }
    }
}

impl Router {
    /// The site of one worker.
    #[must_use]
    pub fn new(settings: Arc<RouterSettings>, worker: WorkerId, shared: &Arc<Shared>) -> Router {
        let (now, workers) = (shared.clock().now(), shared.workers().len());
        let presence = Presence::new(Arc::clone(&settings.presence), worker, workers, now)
            .for_origins(settings.origins.clone())
            .speaking(settings.subprotocols.clone());
        let exec = settings.exec.clone().unwrap_or_else(|| Arc::new(ExecSettings::none()));
        // Messages are for presence and echo more often than not: one step fewer to them.
        let others = Exec::new(exec).mount("/refused", TurnedAway);
        let services = presence.mount(ECHO, Echo).mount(EXEC, others);
        let metrics = Metrics::new(Arc::clone(shared), settings.measure_process);
        let api = Api::new(Arc::clone(&settings.api), settings.measure_process);
        Router { settings, metrics, services, api, measured: 0 }
    }

    /// Refuses an upgrade so that its client can see why, and when to come back.
    fn refuse(
        &mut self,
        cx: &mut Context<'_, SiteMail>,
        conn: ConnId,
        upgrade: &Upgrade<'_>,
        response: Response,
    ) -> Admission<Admitted> {
        let retry = (response.status == 503).then(|| cx.retry_millis());
        match (RefusedUpgrade::of(upgrade, &self.settings.subprotocols, &response, retry), retry) {
            (Some(refused), _) => {
                self.services.in_mounted(cx, |others, cx| others.claim(cx, conn));
                Admission::Accept(refused.accept()).map(Part::Mounted).map(Part::Mounted)
            }
            (None, None) => Admission::Refuse(response),
            (None, Some(millis)) => {
                Admission::Refuse(response.with("Retry-After", millis.div_ceil(1000).to_string()))
            }
        }
    }

    /// Whether something waits for readers that are too slow.
    #[must_use]
    pub fn holds_for_slow(&self) -> bool {
        self.presence().holds_for_slow()
    }

    fn presence(&self) -> &Presence {
        self.services.rest().rest()
    }

    /// Whether an upgrade to a path is for a command: also where there is none below a path that is for commands.
    fn is_command(&self, path: &str) -> bool {
        let Some(exec) = &self.settings.exec else { return false };
        // A setting says so of `/`; presence and echo keep the paths that are their own.
        let is_named = |path: &str| path == "/" || !is_service(path);
        percent_decoded(path).is_some_and(|path| exec.is_path(&path) && (exec.alone || is_named(&path)))
    }

    fn admit_command(
        &mut self,
        cx: &mut Context<'_, SiteMail>,
        conn: ConnId,
        upgrade: &Upgrade<'_>,
    ) -> Admission<Admitted> {
        self.services.claim(cx, conn);
        let admission = self
            .services
            .in_mounted(cx, |others, cx| others.in_rest(cx, |exec, cx| exec.admit(cx, conn, upgrade)));
        match admission.map(Part::Rest).map(Part::Mounted) {
            Admission::Refuse(response) => self.refuse(cx, conn, upgrade, response),
            accepted => accepted,
        }
    }

    /// Has commands go on, where there are any.
    fn tick_commands(&mut self, cx: &mut Context<'_, SiteMail>) -> Option<Tick> {
        self.settings.exec.as_ref()?;
        self.services.in_mounted(cx, |others, cx| {
            let processes = others.rest().len();
            cx.shared().workers()[cx.worker().index()].counters.service[EXEC_GAUGE].set(processes as u64);
            others.in_rest(cx, Exec::tick)
        })
    }
}

impl Wrapper for Router {
    type Inner = Services;

    fn inner(&mut self) -> &mut Services {
        &mut self.services
    }

    fn admit(
        &mut self,
        cx: &mut Context<'_, SiteMail>,
        conn: ConnId,
        upgrade: &Upgrade<'_>,
    ) -> Admission<Admitted> {
        let (path, off) = (upgrade.head.path(), self.settings.off);
        let is_public = Route::Upgradable.is_served(self.settings.scope(cx.listener(conn)));
        if is_public && self.is_command(path) {
            return self.admit_command(cx, conn, upgrade);
        }
        if !is_public || off.hides(path) || !is_service(path) {
            return Admission::Refuse(Response::text(404, no_service(off)));
        }
        if !upgrade.origin_allowed(&self.settings.origins, cx.is_secure(conn)) {
            return self.refuse(cx, conn, upgrade, Response::text(403, FOREIGN_ORIGIN));
        }
        match self.services.admit(cx, conn, upgrade) {
            Admission::Refuse(response) => self.refuse(cx, conn, upgrade, response),
            Admission::Accept(mut accept) => {
                let ours = || upgrade.subprotocol(&self.settings.subprotocols).map(str::to_owned);
                accept.subprotocol = accept.subprotocol.or_else(ours);
                Admission::Accept(accept)
            }
        }
    }

    fn open(&mut self, cx: &mut Context<'_, SiteMail>, conn: ConnId, admitted: Admitted) {
        tracing::debug!(conn = conn.to_bits(), "opened");
        self.services.open(cx, conn, admitted);
    }

    fn closed(&mut self, cx: &mut Context<'_, SiteMail>, conn: ConnId, cause: Cause) {
        tracing::debug!(conn = conn.to_bits(), cause = cause.label(), "closed");
        self.services.closed(cx, conn, cause);
    }

    fn tick(&mut self, cx: &mut Context<'_, SiteMail>) -> Option<Tick> {
        let commands = self.tick_commands(cx);
        let api = &mut self.api;
        let due = in_presence(&mut self.services, cx, |presence, cx| {
            let due = presence.tick(cx);
            [commands, due, api.tick(cx, presence)].into_iter().flatten().reduce(Tick::min)
        });
        if !self.presence().has_rested() {
            let (users, rooms) = self.presence().counts();
            let gauges = &cx.shared().workers()[cx.worker().index()].counters.service;
            gauges[USERS_GAUGE].set(users as u64);
            gauges[ROOMS_GAUGE].set(rooms as u64);
            gauges[HISTORY_GAUGE].set(self.presence().history().0);
            for (gauge, count) in gauges[SESSIONS..].iter().zip(self.presence().carriers()) {
                gauge.set(count as u64);
            }
            for (gauge, count) in gauges[RECOVERIES..].iter().zip(self.presence().recoveries()) {
                gauge.set(count);
            }
        }
        due
    }

    fn measure_memory(&mut self, cx: &mut Context<'_, SiteMail>) {
        self.services.measure_memory(cx);
        let clients = self.presence().clients();
        if let Some(trim_allocator) = self.settings.trim_allocator
            && (clients == 0 || clients + CHUNK <= self.measured)
        {
            trim_allocator();
        }
        self.measured = clients;
        let gauges = &cx.shared().workers()[cx.worker().index()].counters.memory.service;
        for (gauge, bytes) in gauges.iter().zip(self.presence().bytes()) {
            gauge.set(bytes as u64);
        }
    }

    fn judge(
        &mut self,
        cx: &mut Context<'_, SiteMail>,
        request: RequestId,
        head: &Head<'_>,
    ) -> Option<Response> {
        match (self.page_of(cx, request, head), head.method) {
            (None, _) => Some(Response::text(404, NOT_FOUND)),
            (Some((Route::Api, _)), _) => self.api.judge(cx, request, head),
            (Some((Route::Sessions, _)), _) => self.services.judge(cx, request, head),
            (Some((Route::Metrics, _)), "GET" | "HEAD") => {
                self.api.admit(cx, request, head).err().map(|refused| refused.response())
            }
            (Some(_), "GET" | "HEAD" | "OPTIONS") => None,
            (Some(_), _) => Some(not_allowed()),
        }
    }

    fn request(
        &mut self,
        cx: &mut Context<'_, SiteMail>,
        request: RequestId,
        head: &Head<'_>,
        body: &[u8],
    ) -> Answer {
        let Some((page, scope)) = self.page_of(cx, request, head) else {
            return Answer::Now(Response::text(404, NOT_FOUND));
        };
        if page == Route::Sessions {
            return self.services.request(cx, request, head, body);
        }
        if page == Route::Api {
            let api = &mut self.api;
            return in_presence(&mut self.services, cx, |presence, cx| {
                api.request(cx, presence, request, head, body)
            });
        }
        Answer::Now(match head.method {
            "GET" | "HEAD" => self.page(cx, request, page, scope, head),
            "OPTIONS" => Response::text(200, ALLOW).with("Allow", ALLOW),
            _ => not_allowed(),
        })
    }

    fn refusal(&mut self, head: &Head<'_>, refusal: &Refusal) -> Response {
        if Api::is_path(head.path()) { Api::refusal(refusal) } else { Response::refusal(refusal) }
    }
}

impl Router {
    /// The route of a plain request, where its listener serves it, and the listener's scope.
    fn page_of(
        &self,
        cx: &Context<'_, SiteMail>,
        request: RequestId,
        head: &Head<'_>,
    ) -> Option<(Route, ListenerScope)> {
        let scope = self.settings.scope(cx.listener(request.conn));
        let hidden = self.settings.off.hides(head.path());
        if self.is_command(head.path()) && Route::of_path(head.path()).is_none_or(|page| page == Route::Index)
        {
            return Route::Upgradable.is_served(scope).then_some((Route::Upgradable, scope));
        }
        Route::of_path(head.path()).filter(|page| page.is_served(scope) && !hidden).map(|page| (page, scope))
    }

    /// When clients have to show a token, as `--auth` has it.
    fn auth(&self) -> &'static str {
        let authenticator = &self.settings.presence.authenticator;
        match authenticator.auth {
            // A certificate is shown by the browser: the page has nothing to ask for.
            Auth::Early if authenticator.keys.is_none() => "none",
            Auth::None => "none",
            Auth::Early => "early",
            Auth::Late => "late",
        }
    }

    fn page(
        &mut self,
        cx: &Context<'_, SiteMail>,
        request: RequestId,
        page: Route,
        scope: ListenerScope,
        head: &Head<'_>,
    ) -> Response {
        match page {
            Route::Index if !self.settings.off.page && assets::wants_page(head) => {
                assets::page(head, self.auth(), scope.name())
            }
            Route::Index => Response::text(200, &index(scope, self.settings.off)).with("Vary", "Accept"),
            Route::Asset(asset) => asset.response(head),
            Route::Docs(page) => page.response(head),
            Route::Healthz => health::healthz(cx.shared(), cx.now()),
            Route::Readyz => {
                let is_operator = self.api.is_operator(cx, request, head);
                let keys = self.settings.presence.authenticator.keys.as_ref();
                let lacks_keys = keys.is_some_and(|keys| !keys.are_here());
                health::readyz(cx.shared(), cx.shortages(), lacks_keys, is_operator)
            }
            Route::Metrics => match self.api.admit(cx, request, head) {
                Ok(_) => self.metrics.response(cx.now().tick),
                Err(refused) => refused.response(),
            },
            // Its requests are not answered here.
            Route::Api | Route::Sessions => Response::text(404, NOT_FOUND),
            // RFC 9110 §15.5.22: a 426 names what to upgrade to.
            Route::Upgradable => Response::refusal(&Refusal {
                status: 426,
                reason: "a WebSocket lives here: connect with ws://",
            }),
        }
    }
}

/// Has presence do something in its own context.
fn in_presence<T>(
    services: &mut Services,
    cx: &mut Context<'_, SiteMail>,
    call: impl FnOnce(&mut Presence, &mut Context<'_, <Presence as Service>::Mail>) -> T,
) -> T {
    services.in_rest(cx, |services, cx| services.in_rest(cx, |presence, cx| call(presence, cx)))
}

fn not_allowed() -> Response {
    Response::text(405, "only GET and HEAD").with("Allow", ALLOW)
}

const ALLOW: &str = "GET, HEAD, OPTIONS";
const NOT_FOUND: &str = "not found; / says what exists";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_move_to_the_admin_listener_and_upgrades_stay() {
        let settings = RouterSettings { public_listeners: Some(2), ..RouterSettings::default() };
        assert_eq!(
            [0, 1, 2, 3].map(|i| settings.scope(i)),
            [ListenerScope::Public, ListenerScope::Public, ListenerScope::Admin, ListenerScope::Admin]
        );
        assert!(
            !Route::Metrics.is_served(ListenerScope::Public)
                && Route::Metrics.is_served(ListenerScope::Admin)
        );
        assert!(
            Route::Upgradable.is_served(ListenerScope::Public)
                && !Route::Upgradable.is_served(ListenerScope::Admin)
        );
        assert_eq!(RouterSettings::default().scope(0), ListenerScope::Whole);
        assert!(
            Route::Metrics.is_served(ListenerScope::Whole)
                && Route::Upgradable.is_served(ListenerScope::Whole)
        );
        let index = |scope| index(scope, Off::default());
        assert!(
            !index(ListenerScope::Public).contains("/metrics")
                && !index(ListenerScope::Admin).contains("/echo")
        );
    }
}
