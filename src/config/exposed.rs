//! Files with secrets that others on the machine can read, or write: no failure, since a container may have one user, but a warning.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::settings::Settings;
use super::sources::{SettingSource, Sources};
use super::tls::TlsFiles;

/// Read or written by others than the owner and the group.
const OTHERS: u32 = 0o006;

/// A line for each such file.
pub(crate) fn warnings(settings: &Settings, sources: &Sources) -> Vec<String> {
    let secrets = settings.key_files.secrets.iter().map(|path| ("--token-secret-file", &**path));
    let api_keys = settings.api_keys.file.iter().map(|path| ("--api-key-file", &**path));
    let tls = settings.tls.iter().flat_map(TlsFiles::private_keys).map(|path| ("--tls-key", path));
    let config = sources.origin("api-key").and_then(|origin| match origin {
        SettingSource::File(path) => Some(path),
        _ => None,
    });
    let config = config.iter().map(|path| ("--config, with an api-key,", &**path));
    let files = secrets.chain(api_keys).chain(tls).chain(config);
    files.filter(|(_, path)| is_exposed(path)).map(|(flag, path)| line(flag, path)).collect()
}

fn is_exposed(path: &Path) -> bool {
    // A file that can't be looked at was read a moment ago, or is complained of elsewhere.
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & OTHERS != 0)
}

fn line(flag: &str, path: &Path) -> String {
    let path = path.display();
    format!("{flag} {path} can be read or written by everybody on this machine: chmod 600 {path}")
}
