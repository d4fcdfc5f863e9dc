//! The `rollcall` binary: flags, environment and file to settings, settings to a running server.

mod cli;
mod config;

fn main() -> std::process::ExitCode {
    cli::run(std::env::args_os(), rollcall::http::Site::new).into()
}
