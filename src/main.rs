//! The `rollcall` binary: flags, environment and file to settings, settings to a running server.

fn main() -> std::process::ExitCode {
    rollcall::internals::cli::run(std::env::args_os(), rollcall::internals::http::Router::new).into()
}
