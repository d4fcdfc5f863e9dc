//! `loadtest`: a load generator for WebSocket servers.

#![expect(unreachable_pub, reason = "a program has no outside: pub here means for the sibling modules")]
#![expect(dead_code, reason = "the scenarios that use these modules are on their way")]

mod comparison;
mod machine;
mod process;
mod report;
mod result;

use clap::Parser;

#[derive(Parser)]
enum Command {
    /// Turn results into a document with drawings
    Report(report::Args),
}

fn main() -> std::process::ExitCode {
    let result = match Command::parse() {
        Command::Report(args) => report::run(&args),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadtest: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
