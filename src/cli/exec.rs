//! `rollcall exec [flags] COMMAND ARGUMENTS`: a command alone, with the flags of websocketd. They become settings of the server; its
//! own flags work here too.

use clap::{Args, Parser};

use crate::cli::failure::Failure;
use crate::cli::flags::CliFlags;
use crate::config::layer::{keys, one_line};
use crate::config::words;
use crate::limits::exec::EXEC_PROCESSES_MAX;

#[derive(Args)]
#[command(disable_help_flag = true)]
pub(super) struct ExecArgs {
    /// Flags, then the command and its arguments
    #[arg(value_name = "FLAGS COMMAND ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// An order of the command line.
pub(super) enum Asked {
    /// A server with these settings.
    Serve(Box<CliFlags>),
    /// To be told something.
    Say(String),
}

#[derive(Parser)]
#[command(no_binary_name = true)]
struct Settings {
    #[command(flatten)]
    flags: CliFlags,
}

/// Flags, before they are settings.
#[derive(Default)]
struct Said {
    port: Option<String>,
    addresses: Vec<String>,
    tls: bool,
    directory: Option<String>,
    /// Settings as one would write them as flags.
    settings: Vec<String>,
}

/// Settings whose flag stands alone.
const ALONE: [&str; 4] = ["tls-client-user", "proxy-protocol", "exec-alone", "exec-binary"];

const HELP: &str = "\
Runs a command for each connection: what it prints are messages, a message is a line of its input

Usage: rollcall exec [flags] COMMAND [ARGUMENTS]
       rollcall exec [flags] --dir=DIR

  --port=PORT              8080
  --address=ADDRESS        127.0.0.1; repeatable. Beyond this machine with a token's key, or with `--auth none`
  --ssl --sslcert=FILE --sslkey=FILE
                           wss://
  --binary                 bytes as they come in the place of lines
  --dir=DIR                the programs of a directory, each at its path
  --origin=HOST[:PORT],…   pages that may run commands beside the server's own, which always may
  --passenv=NAME,…         variables that commands get: PATH,LD_LIBRARY_PATH
  --maxforks=N             commands at once: 1000
  --closems=N              milliseconds beyond 100 from the end of a client to the first signal
  --loglevel=LEVEL         debug, trace, access, info, error, fatal

and all flags of `rollcall serve --help`: --exec-cpu, --exec-memory, --exec-time, --max-message, --token-secret-file, …
";

/// Reads the command line.
pub(super) fn read(args: ExecArgs) -> Result<Asked, Failure> {
    let mut said = Said::default();
    let mut args = args.args.into_iter().peekable();
    while let Some(arg) = args.next_if(|arg| arg.starts_with('-') && arg != "-") {
        if arg == "--" {
            break;
        }
        let flag = arg.trim_start_matches('-');
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        match name {
            "help" | "h" => return Ok(Asked::Say(HELP.to_owned())),
            "version" => return Ok(Asked::Say(format!("rollcall {}", env!("CARGO_PKG_VERSION")))),
            "license" => return Ok(Asked::Say("MIT; see the file LICENSE".to_owned())),
            "ssl" | "binary" | "reverselookup" | "sameorigin" | "devconsole" => {
                let is_on = !matches!(value.as_deref(), Some("false" | "0" | "f"));
                said.switch(name, is_on)?;
            }
            _ if ALONE.contains(&name) => said.settings.push(arg),
            _ => {
                let value = value.or_else(|| args.next());
                let value = value.ok_or_else(|| Failure::usage(format!("--{name} needs a value; {SEE}")))?;
                said.flag(name, &value)?;
            }
        }
    }
    said.into_settings(&args.collect::<Vec<_>>())
}

const SEE: &str = "see `rollcall exec --help`";

impl Said {
    fn switch(&mut self, name: &str, is_on: bool) -> Result<(), Failure> {
        match name {
            "ssl" => self.tls = is_on,
            "binary" => self.settings.push(format!("--exec-binary={is_on}")),
            // Only the server's own origin counts as it is.
            "sameorigin" => {}
            "reverselookup" if is_on => {
                return Err(instead(
                    "reverselookup",
                    "REMOTE_HOST is the address: `getent hosts $REMOTE_ADDR` in the command looks it up, and keeps nobody else waiting",
                ));
            }
            "devconsole" if is_on => {
                return Err(instead(
                    "devconsole",
                    "in a browser's console: w = new WebSocket(\"ws://localhost:8080/\"); w.onmessage = m => console.log(m.data)",
                ));
            }
            _ => {}
        }
        Ok(())
    }

    fn flag(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        let bad = |what: &str| Err(Failure::usage(format!("--{name}: `{value}` is no {what}; {SEE}")));
        match name {
            "port" => self.port = Some(value.to_owned()),
            "address" => self.addresses.push(value.to_owned()),
            "sslcert" => self.settings.push(format!("--tls-cert={value}")),
            "sslkey" => self.settings.push(format!("--tls-key={value}")),
            "dir" => self.directory = Some(value.to_owned()),
            "origin" => self.settings.extend(value.split(',').flat_map(origins)),
            "passenv" => {
                self.settings.extend(value.split(',').map(|name| format!("--exec-env={}", name.trim())));
            }
            "maxforks" => match value.parse::<i64>() {
                Ok(most @ 1..) => self.settings.push(format!("--exec-processes={most}/0")),
                Ok(_) => self.settings.push(format!("--exec-processes={EXEC_PROCESSES_MAX}/0")),
                Err(_) => return bad("number"),
            },
            "closems" => match value.parse::<u32>() {
                Ok(millis) => self.settings.push(format!("--exec-patience={millis}ms")),
                Err(_) => return bad("number of milliseconds"),
            },
            "loglevel" => self.settings.push(match value {
                "debug" | "trace" => "--log-level=debug".to_owned(),
                "access" | "info" => "--log-level=info".to_owned(),
                "error" | "fatal" => "--log-level=error".to_owned(),
                _ => return bad("level"),
            }),
            "staticdir" | "cgidir" => {
                return Err(instead(
                    name,
                    "a web server in front serves files and CGI: the manual's chapter on proxies has an nginx that does, and passes WebSockets on",
                ));
            }
            "redirport" => {
                return Err(instead(
                    name,
                    "a web server in front redirects: `return 301 https://$host$request_uri;` in nginx",
                ));
            }
            "header" | "header-ws" | "header-http" => {
                return Err(instead(name, "a web server in front adds header fields: `add_header` in nginx"));
            }
            _ if name == "config" || keys().iter().any(|key| key == name) => {
                self.settings.push(format!("--{name}={value}"));
            }
            _ => return Err(Failure::usage(format!("there is no flag --{name}; {SEE}"))),
        }
        Ok(())
    }

    fn into_settings(self, command: &[String]) -> Result<Asked, Failure> {
        let mut all = vec!["--exec-alone=true".to_owned()];
        match (self.directory, command.is_empty()) {
            (None, true) => return Err(Failure::usage(format!("which command? {SEE}"))),
            (Some(_), false) => {
                return Err(Failure::usage("either a command or --dir, not both".to_owned()));
            }
            (Some(directory), true) => all.push(format!("--exec-dir=/={directory}")),
            (None, false) => {
                all.push(format!("--exec=/={}", words::join(command.iter().map(String::as_str))));
            }
        }
        let is_said = |key: &str| self.settings.iter().any(|flag| flag.starts_with(&format!("--{key}=")));
        if !is_said("page") {
            all.push("--page=off".to_owned());
        }
        if !is_said("listen") {
            let (scheme, port) =
                (if self.tls { "wss" } else { "ws" }, self.port.unwrap_or("8080".to_owned()));
            let addresses =
                if self.addresses.is_empty() { vec!["127.0.0.1".to_owned()] } else { self.addresses };
            all.extend(addresses.iter().map(|address| format!("--listen={scheme}://{address}:{port}")));
        }
        all.extend(self.settings);
        match Settings::try_parse_from(all) {
            Ok(Settings { flags }) => Ok(Asked::Serve(Box::new(flags))),
            Err(error) => Err(Failure::usage(format!("{}; {SEE}", one_line(&error)))),
        }
    }
}

/// The flags for an origin as websocketd has it: a host, with either scheme.
fn origins(host: &str) -> Vec<String> {
    let host = host.trim();
    if host.contains("://") || host == "null" {
        return vec![format!("--origin={host}")];
    }
    ["http", "https"].iter().map(|scheme| format!("--origin={scheme}://{host}")).collect()
}

fn instead(flag: &str, what: &str) -> Failure {
    Failure::usage(format!("there is no --{flag} here; {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(args: &[&str]) -> Result<CliFlags, String> {
        let args = ExecArgs { args: args.iter().map(|arg| (*arg).to_owned()).collect() };
        match read(args) {
            Ok(Asked::Serve(flags)) => Ok(*flags),
            Ok(Asked::Say(text)) => Err(text),
            Err(failure) => Err(failure.line),
        }
    }

    #[test]
    fn a_line_for_websocketd_is_a_line_for_us() {
        for args in [
            &["--port=8080", "bash", "./counter.sh", "--port=1"][..],
            &["-port", "8080", "--", "bash", "./counter.sh", "--port=1"],
        ] {
            let layer = settings(args).unwrap().layer;
            assert_eq!(layer.exec.unwrap(), ["/=bash ./counter.sh --port=1"]);
            assert_eq!(layer.listen.unwrap()[0].to_string(), "127.0.0.1:8080");
            assert_eq!(layer.exec_alone, Some(true));
        }
        let layer = settings(&[
            "--ssl",
            "--sslcert",
            "c.pem",
            "--sslkey=k.pem",
            "--address=127.0.0.2",
            "--binary",
            "--maxforks=3",
            "--closems=70",
            "--passenv=A,B",
            "--origin=example.org,a.example:81",
            "--loglevel=error",
            "--sameorigin",
            "--exec-cpu",
            "5s",
            "cat",
        ]);
        let layer = layer.unwrap().layer;
        assert_eq!(layer.listen.unwrap()[0].to_string(), "wss://127.0.0.2:8080");
        assert_eq!((layer.exec_binary, layer.exec_processes.as_deref()), (Some(true), Some("3/0")));
        assert_eq!(layer.exec_env.unwrap(), ["A", "B"]);
        assert_eq!(layer.origin.unwrap().len(), 4);
        assert!(layer.exec_cpu.is_some() && layer.exec_patience.is_some());
        assert_eq!(settings(&["--dir=/srv"]).unwrap().layer.exec_dir.unwrap(), ["/=/srv"]);
    }

    #[test]
    fn flags_that_have_no_meaning_here_say_what_has() {
        for (flag, part) in [
            ("--staticdir=x", "web server"),
            ("--cgidir=x", "web server"),
            ("--redirport=80", "redirects"),
            ("--header=A: b", "add_header"),
            ("--reverselookup", "getent"),
            ("--devconsole", "new WebSocket"),
            ("--nonsense=1", "no flag --nonsense"),
            ("--help", "Usage: rollcall exec"),
            ("--port", "needs a value"),
        ] {
            let line = settings(&[flag]).err().unwrap();
            assert!(line.contains(part), "{flag}: {line}");
        }
        assert!(settings(&[]).err().unwrap().contains("which command?"));
        assert!(settings(&["--reverselookup=false", "cat"]).is_ok());
    }
}
