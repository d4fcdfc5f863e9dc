//! The judgement of a client that asks for a command: the origin, the token, the limits.

use crate::limits::exec::EXEC_ORDER_BYTES_MAX;
use crate::presence::Entry;
use crate::reactor::processes::Command;
use crate::reactor::{ConnId, Context};
use crate::service::exec::cgi::{self, Circumstances};
use crate::service::exec::counts::{Full, Ticket};
use crate::service::exec::settings::{ExecSettings, Found};
use crate::wire::http::{Head, Response, percent_decoded};
use crate::wire::upgrade::Upgrade;

const FOREIGN: &str =
    "pages of this origin may not run commands: --origin names those that may, beside the server's own";
const ANYBODYS: &str = "any name can be made to lead here, so pages are known by an address, localhost or https: --origin names this one";
const LATE: &str = "a command takes a token with the upgrade";
const NOTHING: &str = "no command is served at this path";
const ALL_RUN: &str = "as many commands run as may at once: try again later";
const ADDRESS_RUNS: &str = "as many commands run for this address as may at once: try again later";
const TOO_BIG: &str = "the request's header fields are more than a command's environment holds";

/// A client that was let in, and its command.
#[derive(Debug)]
pub struct Coming {
    pub(super) command: Command,
    pub(super) ticket: Ticket,
}

/// Judges who asks for a command: 403 for pages of strangers, 401 without a token where one is asked for, 404 where there is no
/// command, 503 where as many run as may.
pub(super) fn judge(
    settings: &ExecSettings,
    cx: &mut Context<'_, ()>,
    conn: ConnId,
    upgrade: &Upgrade<'_>,
) -> Result<Coming, Response> {
    let is_secure = cx.is_secure(conn);
    // Any page can open a WebSocket to this machine; its own origin is all that tells it from ours.
    if !upgrade.is_of_ours(&settings.origins, is_secure) {
        return Err(Response::text(403, FOREIGN));
    }
    // A page of strangers has none of the tokens that are asked for.
    if settings.authenticator.keys.is_none() && !upgrade.is_surely_of_ours(&settings.origins, is_secure) {
        return Err(Response::text(403, ANYBODYS));
    }
    let user = user_of(settings, cx, conn, upgrade.head)?;
    let path = percent_decoded(upgrade.head.path()).filter(|path| !path.contains('\0'));
    let found = path.as_deref().and_then(|path| settings.find(path));
    let found = found.ok_or_else(|| Response::text(404, NOTHING))?;
    let address = cx.addressing().peer_key(conn);
    let ticket = settings.counts.take(settings.processes, address, cx.now().tick).map_err(|full| {
        let reason = if full == Full::All { ALL_RUN } else { ADDRESS_RUNS };
        Response::text(503, reason).with("Retry-After", "1".to_owned())
    })?;
    let client = cx.addressing().requester().map(|address| address.to_string());
    let around = Circumstances {
        address: client.as_deref(),
        user: user.as_deref(),
        is_secure,
        script_name: &found.script_name,
        path_info: &found.path_info,
        number: (cx.now().unix_millis, cx.worker().0, conn.to_bits()),
    };
    let environment = cgi::environment(&settings.environment, upgrade.head, around);
    let bytes: usize = environment.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    if bytes > EXEC_ORDER_BYTES_MAX / 2 {
        return Err(Response::text(431, TOO_BIG));
    }
    Ok(Coming { command: command(settings, &found, environment), ticket })
}

/// The user, where tokens are asked for.
fn user_of(
    settings: &ExecSettings,
    cx: &mut Context<'_, ()>,
    conn: ConnId,
    head: &Head<'_>,
) -> Result<Option<String>, Response> {
    if let Some(keys) = &settings.authenticator.keys {
        cx.charge(keys.units());
    }
    // Of strangers nobody has come this far.
    match settings.authenticator.admit(cx.now(), (head, true), || cx.certified(conn))? {
        Some(Entry::Token(user, _)) => Ok(Some(user.to_string())),
        Some(Entry::Late(_)) => Err(Response::text(401, LATE)),
        Some(Entry::Open(_)) | None => Ok(None),
    }
}

fn command(settings: &ExecSettings, found: &Found<'_>, environment: Vec<cgi::Variable>) -> Command {
    Command {
        program: found.program.path.clone(),
        arguments: found.program.arguments.clone(),
        environment,
        directory: settings.directory.clone(),
        user: settings.user,
        limits: settings.limits,
        patience_millis: settings.patience_millis,
    }
}
