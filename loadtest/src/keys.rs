//! A certificate for servers that are started here, made by the server's own program.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A certificate for the run, in a folder that goes when this is dropped.
#[derive(Debug)]
pub struct Keys {
    folder: PathBuf,
    cert: PathBuf,
    key: PathBuf,
}

impl Keys {
    /// Has a rollcall make them.
    pub fn make(program: &Path) -> io::Result<Keys> {
        let folder = std::env::temp_dir().join(format!("loadtest-{}-keys", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let keys = Keys { cert: folder.join("cert.pem"), key: folder.join("key.pem"), folder };
        let mut command = Command::new(program);
        command.args(["cert", "--dir"]).arg(&keys.folder).stdin(Stdio::null()).stdout(Stdio::null());
        let named = |why: String| io::Error::other(format!("{} cert: {why}", program.display()));
        let status = command.status().map_err(|error| named(error.to_string()))?;
        if status.success() { Ok(keys) } else { Err(named(status.to_string())) }
    }

    /// Flags of a rollcall that shows it behind `wss://`.
    pub fn flags(&self) -> Vec<OsString> {
        vec!["--tls-cert".into(), (&self.cert).into(), "--tls-key".into(), (&self.key).into()]
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
