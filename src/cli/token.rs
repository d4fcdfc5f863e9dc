//! `rollcall token`: makes a token, or the secret that tokens are signed with, or says what a token is good for.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::identity::{Claims, Parties, SigningKey, token};
use crate::limits::TOKEN_BYTES_MAX;
use crate::presence::{Grants, NAME_RULE, is_name};
use crate::protocol::refusal;
use crate::time::{Clock, Tick};
use clap::Args;

use super::{check, random};
use crate::cli::failure::{Failure, say};
use crate::config::keys::{self, KeyFiles};
use crate::config::units::Span;

#[derive(Args)]
pub(super) struct TokenArgs {
    /// Who its holder is: 1 to 128 bytes without control characters and *, and without a space at either end
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// How long it is good
    #[arg(long, value_name = "TIME", default_value = "1h")]
    ttl: Span,
    /// Rooms that its holder may join, and speak in without joining: a name, or its beginning and `*`; repeatable
    /// [default: may join all]
    #[arg(long, value_name = "PATTERN")]
    room: Vec<String>,
    /// Users that its holder sees beside those it shares a room with: a name, or its beginning and `*`; repeatable
    #[arg(long, value_name = "PATTERN")]
    see: Vec<String>,
    /// Whom it is for, as the server has it: its claim `aud` [env: ROLLCALL_TOKEN_AUDIENCE]
    #[arg(long, value_name = "AUDIENCE")]
    token_audience: Option<String>,
    /// Who makes it, as the server has it: its claim `iss` [env: ROLLCALL_TOKEN_ISSUER]
    #[arg(long, value_name = "ISSUER")]
    token_issuer: Option<String>,
    /// What others are shown of the user, JSON
    #[arg(long, value_name = "JSON")]
    info: Option<String>,
    /// File with the secret to sign with (HS256), as the server has it [env: ROLLCALL_TOKEN_SECRET_FILE]
    #[arg(long, value_name = "FILE", conflicts_with = "token_private_key")]
    token_secret_file: Option<PathBuf>,
    /// File with the private key to sign with in the place of a secret: RSA of 2048, 3072 or 4096 bits,
    /// P-256 or Ed25519, PEM
    #[arg(long, value_name = "FILE")]
    token_private_key: Option<PathBuf>,
    /// Makes a file with a new secret, in the place of a token; an existing file is left alone
    #[arg(long, value_name = "FILE", exclusive = true)]
    new_secret: Option<PathBuf>,
    /// Says what this token is good for, and whether a server with the same --token-secret-file or --token-public-key takes
    /// it; makes none
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["user", "room", "see", "info", "token_private_key"])]
    check: Option<String>,
    /// File with the public key to check it with, as the server has it, PEM [env: ROLLCALL_TOKEN_PUBLIC_KEY]
    #[arg(long, value_name = "FILE", requires = "check")]
    token_public_key: Option<PathBuf>,
}

/// Bytes of a new secret: more than the hash has, and 64 characters.
const SECRET_BYTES: usize = 48;

pub(super) fn make(args: TokenArgs) -> Result<(), Failure> {
    if let Some(path) = &args.new_secret {
        return new_secret(path).map_err(Failure::system);
    }
    let args = args.with(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    match &args.check {
        Some(token) => {
            let files = KeyFiles {
                secrets: args.token_secret_file.iter().cloned().collect(),
                public_keys: args.token_public_key.iter().cloned().collect(),
            };
            check::check(token, &files, args.parties()).map(|said| say(&said))
        }
        None => token(args).map(|token| say(&token)).map_err(Failure::usage),
    }
}

impl TokenArgs {
    /// With the server's own variables where no flag says otherwise. They are no flags: a server's environment hinders nobody from
    /// making a secret, or signing with another key.
    fn with(mut self, variable: impl Fn(&str) -> Option<String>) -> TokenArgs {
        let file = |name| variable(name).map(PathBuf::from);
        if self.token_private_key.is_none() && self.token_public_key.is_none() {
            self.token_secret_file = self.token_secret_file.or_else(|| file("ROLLCALL_TOKEN_SECRET_FILE"));
        }
        if self.check.is_some() && self.token_secret_file.is_none() {
            self.token_public_key = self.token_public_key.or_else(|| file("ROLLCALL_TOKEN_PUBLIC_KEY"));
        }
        self.token_audience = self.token_audience.or_else(|| variable("ROLLCALL_TOKEN_AUDIENCE"));
        self.token_issuer = self.token_issuer.or_else(|| variable("ROLLCALL_TOKEN_ISSUER"));
        self
    }

    /// The tokens' maker, and whom they are for.
    fn parties(&self) -> Parties {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        Parties { audience: given(&self.token_audience), issuer: given(&self.token_issuer) }
    }
}

fn token(args: TokenArgs) -> Result<String, String> {
    let now = Clock::starting_at(Tick(0)).now().unix_millis;
    let parties = args.parties();
    let user = args
        .user
        .filter(|user| is_name(user))
        .ok_or_else(|| format!("say whose it is by --user NAME, {NAME_RULE}; see `rollcall token --help`"))?;
    let key = signing_key(args.token_private_key.as_deref(), args.token_secret_file.as_deref())?;
    if args.ttl.0.as_secs() == 0 {
        return Err("--ttl: at least 1s".to_owned());
    }
    // Whole seconds: what is cut off would be missing from the time it is good.
    let expires_millis = now.div_ceil(1_000) * 1_000 + args.ttl.0.as_secs() * 1_000;
    let rooms = Some(args.room).filter(|rooms| !rooms.is_empty());
    let claims = Claims { user, expires_millis, rooms, see: args.see, info: args.info };
    Grants::new(claims.rooms.as_deref(), &claims.see, claims.info.as_deref(), expires_millis)
        .map_err(refusal::of_claim)?;
    let token = token::sign_between(&claims, &parties, &key, now)?;
    if token.len() > TOKEN_BYTES_MAX {
        return Err(format!(
            "the token would have {} bytes, and {TOKEN_BYTES_MAX} are the most",
            token.len()
        ));
    }
    Ok(token)
}

fn signing_key(private: Option<&Path>, secret: Option<&Path>) -> Result<SigningKey, String> {
    let (path, key) = match (private, secret) {
        (Some(path), _) => (path, keys::read(path).and_then(|bytes| SigningKey::from_private_pem(&bytes))),
        (None, Some(path)) => (path, keys::read(path).and_then(|bytes| SigningKey::from_secret(&bytes))),
        (None, None) => {
            return Err("say what to sign with: --token-secret-file FILE, or --token-private-key FILE.pem; \
                        `rollcall token --new-secret FILE` makes a secret"
                .to_owned());
        }
    };
    key.map_err(|error| format!("{} {error}", path.display()))
}

/// Writes a new secret to a file that only its owner can read.
fn new_secret(path: &Path) -> Result<(), String> {
    let secret = random::text::<SECRET_BYTES>()?;
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| writeln!(file, "{secret}"))
        .map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => format!(
                "{0} is there already, and tokens may be signed with it: use it (--token-secret-file {0}), or name another file",
                path.display()
            ),
            _ => format!("{}: {error}", path.display()),
        })?;
    let path = path.display();
    say(&format!(
        "a new secret is in {path}\n  rollcall --token-secret-file {path}\n  rollcall token --user anna --token-secret-file {path}"
    ));
    Ok(())
}
