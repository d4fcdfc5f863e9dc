//! The process that starts and ends the commands of connections: this program, called again.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use crate::cli::failure::Failure;
use crate::http::RouterSettings;
use crate::reactor::processes::Guard;
use crate::service::exec::ExecSettings;
use crate::sys::guard;

/// The word that this program is called with to be one. Nobody types it.
const WORD: &str = "guard-of-commands";

/// Whether this process is to be one.
pub(super) fn is_asked_for(args: &[OsString]) -> bool {
    args.len() == 2 && args[1] == WORD
}

/// Is one, until the server is gone and all that it has started.
pub(super) fn run() -> Result<(), Failure> {
    guard::run().map_err(|error| Failure::system(format!("the guard of commands: {error}")))
}

/// Starts one where there are commands to start, and lets the workers have it. It ends with the value that is returned.
pub(super) fn start(site: RouterSettings) -> Result<(RouterSettings, Option<Guard>), Failure> {
    let Some(exec) = &site.exec else { return Ok((site, None)) };
    let guard = Guard::start(Path::new("/proc/self/exe"), &[WORD])
        .map_err(|error| Failure::system(format!("can't start the guard of commands: {error}")))?;
    let exec = ExecSettings { access: Some(guard.access()), ..ExecSettings::clone(exec) };
    Ok((RouterSettings { exec: Some(Arc::new(exec)), ..site }, Some(guard)))
}
