//! `rollcall cert`: a certificate that nobody has signed, for trying TLS.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use crate::cli::failure::{Failure, say};

#[derive(Args)]
pub(super) struct CertFlags {
    /// Name or IP address that the certificate is for; repeatable [default: localhost, 127.0.0.1, ::1]
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// Directory to write cert.pem and key.pem into
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// Writes `cert.pem` and `key.pem`; neither replaces a file.
pub(super) fn make(flags: CertFlags) -> Result<(), Failure> {
    let names = if flags.name.is_empty() {
        ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec()
    } else {
        flags.name
    };
    let wrong = |error: rcgen::Error| Failure::usage(format!("--name {}: {error}", names.join(", ")));
    let mut params = CertificateParams::new(names.clone()).map_err(wrong)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, names[0].as_str());
    let pair = KeyPair::generate().map_err(wrong)?;
    let made = params.self_signed(&pair).map_err(wrong)?;
    let (certificate, key) = (flags.dir.join("cert.pem"), flags.dir.join("key.pem"));
    write(&key, 0o600, &pair.serialize_pem())?;
    write(&certificate, 0o644, &made.pem())?;
    let (certificate, key) = (certificate.display(), key.display());
    say(&format!(
        "{certificate} and {key} are for {}. No browser trusts them unasked: they are for trying.\n\
         rollcall --listen wss://127.0.0.1:8443 --tls-cert {certificate} --tls-key {key}\n\
         curl --cacert {certificate} https://localhost:8443/healthz",
        names.join(", ")
    ));
    Ok(())
}

fn write(path: &Path, mode: u32, text: &str) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        let why = match error.kind() {
            ErrorKind::AlreadyExists => "exists; remove it, or choose another --dir".to_owned(),
            _ => format!("can't be written: {error}"),
        };
        Failure::system(format!("{} {why}", path.display()))
    })
}
