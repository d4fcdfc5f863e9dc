//! `loadtest`: a load generator for WebSocket servers.
//!
//! Exit codes: 0 all went well; 1 errors, lost messages or a condition (`--expect`) that does not hold; 2 wrong usage.

#![expect(unreachable_pub, reason = "a program has no outside: pub here means for the sibling modules")]

mod bare;
mod bench;
mod chatter;
mod checks;
mod child;
mod churn;
mod clock;
mod compare;
mod comparison;
mod echo;
mod encodings;
mod engine;
mod exec;
mod expect;
mod files;
mod footprint;
mod group;
mod herd;
mod idle;
mod keys;
mod machine;
mod measure;
mod numbers;
mod options;
mod outcome;
mod process;
mod progress;
mod refusal;
mod report;
mod result;
mod resume;
mod roster;
mod run_state;
mod scenario;
mod soak;
mod stuck;
mod sys;
mod target;
mod units;

use std::process::ExitCode;

use clap::Parser;

use crate::options::Failure;

/// A load generator for WebSocket servers: one process, any number of connections, any server by its URL.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110, after_help = NEEDS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What each command needs and how long it takes, as it is without flags.
const NEEDS: &str = "\
What each needs, and how long it takes without further flags:
  echo       a server that sends every message back (--url)           6 s
  idle       any WebSocket server, 8 KB of memory a connection        1 min
  churn      any WebSocket server                                     6 s
  fanout     a rollcall, or another server by --protocol              7 s
  chat       the same                                                 7 s
  presence   a rollcall                                               1 min
  death      a rollcall; with short heartbeats it is short            2 min
  herd       the address of --url free: a rollcall is started there   20 s
  resume     nothing: a rollcall is started                           1 min, with --quick 10 s
  million    12 GiB of memory, or fewer --users                       10 min, with --quick 1 min
  bare       nothing: it is a server                                  until Ctrl-C
  compare    two cores; for its --peers cargo and npm                 2 h, with --quick 1 min
  encodings  two cores                                                10 min, with --quick 1 min
  soak       two cores                                                30 min
  stuck      two cores                                                4 min, with --quick 1 min
  exec       two cores; websocketd to compare with                    3 min, with --quick 15 s
  report     results of the others (--json); with --index reports     a moment

From resume on a command starts its servers itself. A rollcall that is started is --ours, else the
one beside this program or in target/release, else it is built. The key of the API of one that runs
already is --key, or in the file that it leaves for its user.";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Messages go out and come back: rate, latencies, cost of each
    Echo(Box<echo::Args>),
    /// Connections that say nothing: memory of each, heartbeats, losses
    Idle(idle::Args),
    /// Connections that open, upgrade, close: rate, and the time of each step
    Churn(churn::Args),
    /// One says something, N hear it
    Fanout(group::fanout::Args),
    /// All to all in lockstep
    Chat(group::chat::Args),
    /// Named users that hold on, in rooms and watching each other: memory of each, losses
    Presence(roster::presence::Args),
    /// A share of the users falls silent: how late each is said to be gone, and whether a live one is
    Death(roster::death::Args),
    /// A server goes away and comes back: how its clients return
    Herd(herd::Args),
    /// Rooms that keep what was said: what recovery costs, what a message takes, and a herd that comes back to it
    #[command(mut_arg("url", |url| url.required(false).default_value("").hide_default_value(true)))]
    Resume(resume::Args),
    /// As many named users as the machine holds, from the first connection to the last; starts the server itself
    #[command(mut_arg("url", |url| url.required(false).default_value("").hide_default_value(true)))]
    Million(Box<roster::million::Args>),
    /// The least that an echo or a fan-out can cost on this machine, to compare servers with
    Bare(bare::Args),
    /// The same load on rollcall, its peers and the bare loop, in turns
    Compare(compare::Args),
    /// What TLS and compression cost: the same loads on servers with and without, in turns
    Encodings(encodings::Args),
    /// All of it at once and for long, hostile peers too: does memory stay flat, is anything lost?
    Soak(soak::Args),
    /// A busy room with and without members that read nothing, in turns: what the others notice, and what it takes of memory
    Stuck(stuck::Args),
    /// A command per connection, beside websocketd: what it costs, and what it leaves behind
    Exec(exec::Args),
    /// Turn results into a document with drawings
    Report(report::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Echo(args) => scenario::run(&*args),
        Command::Idle(args) => scenario::run(&args),
        Command::Churn(args) => scenario::run(&args),
        Command::Fanout(args) => scenario::run(&args),
        Command::Chat(args) => scenario::run(&args),
        Command::Presence(args) => scenario::run(&args),
        Command::Death(args) => scenario::run(&args),
        Command::Herd(args) => herd::run(&args),
        Command::Resume(args) => resume::run(&args),
        Command::Million(args) => roster::million::run(&args),
        Command::Bare(args) => bare::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Encodings(args) => encodings::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Stuck(args) => stuck::run(&args),
        Command::Exec(args) => exec::run(&args),
        Command::Report(args) => report::run(&args).map_err(Failure::from),
    };
    let (line, code) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Failed(line)) => (line, 1),
        Err(Failure::Usage(line)) => (line, 2),
    };
    for line in line.lines() {
        eprintln!("loadtest: {line}");
    }
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_help_says_of_every_command_what_it_needs() {
        let cli = Cli::command();
        let names: Vec<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
        let told: Vec<&str> =
            NEEDS.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
        assert_eq!(told, names);
        assert!(NEEDS.lines().all(|line| line.chars().count() <= 100));
    }

    #[test]
    fn the_flags_of_all_commands_fit_together() {
        Cli::command().debug_assert();
    }
}
