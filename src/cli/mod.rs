//! The command line: `rollcall [serve] [flags]`, `rollcall exec`, `rollcall key`, `rollcall token`, `rollcall cert`,
//! `rollcall config check|print`, `rollcall --version`.
//!
//! It ends with 0, or with one line on stderr: 2 for what was asked wrongly (flags, environment, file), 1 for what the
//! system refused (a taken port), 70 where a worker panicked, 130 or 143 where a second signal cut the drain short.

mod cert;
mod check;
mod exec;
mod failure;
mod flags;
mod guard;
mod heap;
mod jwks;
mod key;
mod log;
mod random;
mod reload;
mod screen;
mod serve;
mod tls;
mod token;
mod watchdog;

use std::ffi::OsString;
use std::sync::Arc;

use crate::http::RouterSettings;
use crate::reactor::{Service, Shared, WorkerId};
use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::cli::failure::{Failure, complain, complain_as_json, foresee_form, say, warn};
use crate::cli::flags::{CliFlags, read};
use crate::config::capacity::{Capacity, Machine};
use crate::config::layer::LogForm;
use crate::config::layer::one_line;
use crate::config::{Settings, exposed, unwise};

/// A WebSocket server that knows who is there.
#[derive(Parser)]
#[command(name = "rollcall", version, args_conflicts_with_subcommands = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Option<CliCommand>,
    #[command(flatten)]
    flags: CliFlags,
}

const AFTER_HELP: &str = "Every setting can also stand in the environment (ROLLCALL_MAX_MESSAGE=64KiB, lists by comma) or in the \
     file that --config names (max-message = \"64KiB\"). A flag wins over the environment, that over the file.";

#[derive(Subcommand)]
enum CliCommand {
    /// Runs the server; what happens without a command, too
    #[command(after_help = AFTER_HELP)]
    Serve(CliFlags),
    /// Runs a command for each connection, with websocketd's flags
    Exec(exec::ExecArgs),
    /// Prints the API key that a running server made for its run
    Key(key::KeyArgs),
    /// Makes a token that the server takes, or a secret to sign tokens with, or checks a token
    Token(token::TokenArgs),
    /// Makes a self-signed certificate and its key, for trying wss://
    Cert(cert::CertFlags),
    /// Looks at the settings without running the server
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Says whether a server would start with these settings
    Check(CliFlags),
    /// Prints all settings as a file that --config takes, with where each comes from
    Print(CliFlags),
}

/// Runs the program to its end, and returns its exit code. `args` are its name and what follows; `make` makes the service of a worker.
pub fn run<S: Service + 'static>(
    args: impl IntoIterator<Item = OsString>,
    make: impl Fn(Arc<RouterSettings>, WorkerId, &Arc<Shared>) -> S + Send + Sync + 'static,
) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    foresee_form(&args);
    match try_run(args, make) {
        Ok(()) => 0,
        Err(Failure { line, code }) => {
            complain(&line);
            code
        }
    }
}

fn try_run<S: Service + 'static>(
    args: Vec<OsString>,
    make: impl Fn(Arc<RouterSettings>, WorkerId, &Arc<Shared>) -> S + Send + Sync + 'static,
) -> Result<(), Failure> {
    if guard::is_asked_for(&args) {
        return guard::run();
    }
    let Some(cli) = parse(args)? else { return Ok(()) };
    match cli.command.unwrap_or(CliCommand::Serve(cli.flags)) {
        CliCommand::Serve(flags) => serve(flags, make),
        CliCommand::Exec(args) => match exec::read(args)? {
            exec::Asked::Serve(flags) => serve(*flags, make),
            exec::Asked::Say(text) => {
                say(&text);
                Ok(())
            }
        },
        CliCommand::Key(args) => key::print(&args),
        CliCommand::Token(args) => token::make(args),
        CliCommand::Cert(flags) => cert::make(flags),
        CliCommand::Config(ConfigCommand::Check(flags)) => {
            let sources = read(flags)?;
            complain_as_json(sources.merged().log == Some(LogForm::Json));
            let settings = Settings::resolve(&sources).map_err(Failure::usage)?;
            let capacity = Capacity::plan(&settings, Machine::here()).map_err(Failure::usage)?;
            tls::acceptor(settings.tls.as_ref())?;
            let (exposed, unwise) =
                (exposed::warnings(&settings, &sources), unwise::warnings(&settings, &sources));
            for warning in sources.warnings.iter().chain(&exposed).chain(&unwise) {
                warn(warning);
            }
            say(&format!("the settings are good\n{}", screen::capacity(&capacity)));
            Ok(())
        }
        CliCommand::Config(ConfigCommand::Print(flags)) => {
            let sources = read(flags)?;
            Settings::resolve(&sources).map_err(Failure::usage)?;
            say(&sources.print());
            Ok(())
        }
    }
}

fn serve<S: Service + 'static>(
    flags: CliFlags,
    make: impl Fn(Arc<RouterSettings>, WorkerId, &Arc<Shared>) -> S + Send + Sync + 'static,
) -> Result<(), Failure> {
    let sources = read(flags.clone())?;
    complain_as_json(sources.merged().log == Some(LogForm::Json));
    let settings = Settings::resolve(&sources).map_err(Failure::usage)?;
    let capacity = Capacity::plan(&settings, Machine::here()).map_err(Failure::usage)?;
    serve::serve(settings, &capacity, (flags, sources), make)
}

/// The command whose help says more about a mistake in these arguments: `rollcall token`.
fn command_of(args: &[OsString]) -> String {
    let (mut command, mut path) = (Cli::command(), "rollcall".to_owned());
    for word in args.iter().skip(1) {
        let Some(next) = word.to_str().and_then(|word| command.find_subcommand(word)).cloned() else { break };
        path = format!("{path} {}", next.get_name());
        command = next;
    }
    path
}

/// The command line, or nothing where help or version was asked for and is now said.
fn parse(args: Vec<OsString>) -> Result<Option<Cli>, Failure> {
    let command = command_of(&args);
    let matches = crate::config::layer::with_defaults_in_help(Cli::command()).try_get_matches_from(args);
    match matches.and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches)) {
        Ok(cli) => Ok(Some(cli)),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                say(&error.to_string());
                Ok(None)
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Err(Failure::usage(
                "`rollcall config` needs one of: check, print; see `rollcall config --help`".to_owned(),
            )),
            _ => Err(Failure::usage(format!("{}; see `{command} --help`", one_line(&error)))),
        },
    }
}
