//! Settings of commands: what is served where, as whom, and within which limits.

use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

use crate::limits::exec::EXEC_PROCESSES_MAX;
use crate::reactor::processes::ProcessLimits;
use crate::service::authenticator::Authenticator;
use crate::service::exec::counts::{Counts, ProcessCounts};
use crate::service::exec::settings::{ExecMount, ExecSettings, Program, Target};

use super::{Check, DAY, set};
use crate::config::layer;
use crate::config::programs::{self, User};
use crate::config::words;

/// Paths that are the server's own.
const TAKEN: [&str; 16] = [
    "/ws",
    "/echo",
    "/api",
    "/metrics",
    "/healthz",
    "/readyz",
    "/events",
    "/poll",
    "/socket.io",
    "/console",
    "/docs",
    "/rollcall.js",
    "/rollcall.d.ts",
    "/refused",
    "/page.js",
    "/favicon.svg",
];

impl Check<'_> {
    /// The commands; `None`: there are none.
    pub(super) fn exec(&self, authenticator: &Authenticator) -> Result<Option<ExecSettings>, String> {
        let mounts = self.mounts()?;
        let processes = self.processes()?;
        let user = self.exec_user()?;
        let time = self
            .layer
            .exec_time
            .map(|_| self.span("exec-time", self.layer.exec_time, Duration::from_millis(10)..=30 * DAY));
        let settings = ExecSettings {
            mounts,
            alone: set(self.layer.exec_alone),
            origins: self.origins("origin", self.layer.origin.as_ref())?,
            authenticator: authenticator.clone(),
            binary: set(self.layer.exec_binary),
            errors_to_client: set(self.layer.exec_stderr) == layer::StderrFlag::Client,
            message_bytes_max: set(self.layer.max_message).0,
            processes,
            counts: Counts::new(processes),
            limits: self.process_limits()?,
            time: time.transpose()?,
            environment: self.exec_environment(user.as_ref()),
            user: user.map(|user| (user.id, user.group)),
            directory: self.exec_directory()?,
            patience_millis: self.patience()?,
            ..ExecSettings::none()
        };
        if settings.mounts.is_empty() && settings.alone {
            return Err(self.at("exec-alone", "without a command: --exec names one"));
        }
        Ok(Some(settings).filter(|settings| !settings.mounts.is_empty()))
    }

    fn mounts(&self) -> Result<Vec<ExecMount>, String> {
        let mut mounts: Vec<ExecMount> = Vec::new();
        let commands = self.layer.exec.iter().flatten().map(|text| ("exec", text));
        let directories = self.layer.exec_dir.iter().flatten().map(|text| ("exec-dir", text));
        for (key, text) in commands.chain(directories) {
            let mount = self.mount(key, text).map_err(|error| self.at(key, &error))?;
            if mounts.iter().any(|other| other.path == mount.path) {
                return Err(self.at(key, &format!("{} is served twice", mount.path)));
            }
            mounts.push(mount);
        }
        Ok(mounts)
    }

    fn mount(&self, key: &str, text: &str) -> Result<ExecMount, String> {
        let shape = if key == "exec" { "/PATH=COMMAND" } else { "/PATH=DIRECTORY" };
        let divided = text.split_once('=').filter(|(path, _)| path.starts_with('/'));
        let (path, rest) = divided.ok_or_else(|| format!("`{text}` is no {shape}"))?;
        let path = if path == "/" { path } else { path.trim_end_matches('/') };
        let is_taken = |taken: &str| {
            path.strip_prefix(taken).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let taken = TAKEN.into_iter().find(|taken| is_taken(taken));
        if let Some(taken) = taken.filter(|_| !set(self.layer.exec_alone)) {
            return Err(format!("{taken} is a path of the server's own"));
        }
        let target = if key == "exec" {
            Target::Program(program(&words::split(rest)?)?)
        } else {
            Target::Directory(programs::below(rest.as_ref())?)
        };
        Ok(ExecMount { path: path.to_owned(), target })
    }

    fn processes(&self) -> Result<ProcessCounts, String> {
        let text = set(self.layer.exec_processes.clone());
        let (all, per_address) = match text.split_once('/') {
            Some((all, per_address)) => (all, Some(per_address)),
            None => (text.as_str(), None),
        };
        let bad = || {
            self.at("exec-processes", &format!("`{text}` is no N or N/M within 1 and {EXEC_PROCESSES_MAX}"))
        };
        let all = all.parse().ok().filter(|all| (1..=EXEC_PROCESSES_MAX).contains(all)).ok_or_else(bad)?;
        let per_address = match per_address {
            Some(text) => text.parse().map_err(|_| bad())?,
            None => ProcessCounts::default().per_address,
        };
        Ok(ProcessCounts { all, per_address })
    }

    fn process_limits(&self) -> Result<ProcessLimits, String> {
        let layer = &self.layer;
        let cpu = layer.exec_cpu.map(|_| self.span("exec-cpu", layer.exec_cpu, Duration::from_secs(1)..=DAY));
        let memory =
            layer.exec_memory.map(|_| self.size("exec-memory", layer.exec_memory, 1 << 20..=1 << 50));
        Ok(ProcessLimits {
            // The kernel counts whole seconds.
            cpu_seconds: cpu.transpose()?.map(|cpu| cpu.as_secs_f64().ceil() as u64),
            memory_bytes: memory.transpose()?.map(|bytes| bytes as u64),
            files: self.number("exec-files", layer.exec_files, 4..=1 << 20)?.map(|files| files as u64),
        })
    }

    fn patience(&self) -> Result<u32, String> {
        let most = Duration::from_secs(60);
        let patience = self.span("exec-patience", self.layer.exec_patience, Duration::ZERO..=most)?;
        Ok(u32::try_from(patience.as_millis()).unwrap_or(u32::MAX))
    }

    fn exec_user(&self) -> Result<Option<User>, String> {
        let Some(text) = &self.layer.exec_user else { return Ok(None) };
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let user = programs::user(text, &passwd).map_err(|error| self.at("exec-user", &error))?;
        let own = rustix::process::geteuid().as_raw();
        if own != 0 && own != user.id {
            return Err(self.at("exec-user", "only root can run commands as somebody else"));
        }
        Ok(Some(user))
    }

    fn exec_directory(&self) -> Result<Option<Vec<u8>>, String> {
        let Some(directory) = &self.layer.exec_cwd else { return Ok(None) };
        let found = directory.canonicalize().map_err(|error| error.to_string());
        let found =
            found.and_then(|found| if found.is_dir() { Ok(found) } else { Err("no directory".into()) });
        let found =
            found.map_err(|error| self.at("exec-cwd", &format!("{}: {error}", directory.display())))?;
        Ok(Some(found.into_os_string().into_vec()))
    }

    /// The part of the server's environment that commands get: the variables that are named, and those of the user that they run as.
    fn exec_environment(&self, user: Option<&User>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let names = self.layer.exec_env.iter().flatten().filter(|name| !name.is_empty());
        let passed =
            names.filter_map(|name| Some((name.clone().into_bytes(), std::env::var_os(name)?.into_vec())));
        let of_user = user.into_iter().flat_map(|user| {
            [("USER", &user.name), ("LOGNAME", &user.name), ("HOME", &user.home)]
                .map(|(name, value)| (name.as_bytes().to_vec(), value.clone().into_bytes()))
        });
        passed.chain(of_user).collect()
    }
}

/// The program that these words name.
fn program(words: &[String]) -> Result<Program, String> {
    let (name, arguments) = words.split_first().ok_or("the command is empty")?;
    let path = programs::find(name, &std::env::var("PATH").unwrap_or_default())?;
    let arguments = arguments.iter().map(|argument| argument.clone().into_bytes()).collect();
    Ok(Program { path: path.into_os_string().into_vec(), arguments })
}
