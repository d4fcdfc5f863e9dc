//! The `rollcall` binary: flags, environment and file to settings, settings to a running server.

fn main() -> std::process::ExitCode {
    rollcall::cli::run(std::env::args_os(), rollcall::http::Router::new).into()
}
