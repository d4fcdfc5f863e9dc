//! A token's text to its claims, and claims to a token: the compact form of RFC 7515 §7.1.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, crypto};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::identity::algorithm::{name, named};
use crate::identity::key::{Key, SigningKey};
use crate::json::{self, Fault};
use crate::limits::{TOKEN_BYTES_MAX, TOKEN_LEEWAY_MILLIS};

/// The claims of a good token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `sub`: who it is. The form of names is not checked here.
    pub user: String,
    /// `exp`, in Unix milliseconds: from then on the token is no longer good.
    pub expires_millis: u64,
    /// `rooms`: patterns; `None` where the token doesn't say.
    pub rooms: Option<Vec<String>>,
    /// `see`: patterns.
    pub see: Vec<String>,
    /// `info`: JSON, byte for byte.
    pub info: Option<String>,
}

/// The audience and the issuer of tokens, as the server is told; and as a token that is made here says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Parties {
    /// A token is for this audience (`aud`). `None`: for none, and one that names an audience is somebody else's.
    pub audience: Option<String>,
    /// A token is made by this issuer (`iss`). `None`: whoever has the key.
    pub issuer: Option<String>,
}

/// The fault of a token. Its text is a sentence for the token's user, and has no part of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invalid {
    /// Over [`TOKEN_BYTES_MAX`].
    TooLong,
    /// Not three parts of base64url, the first two of which are JSON objects; or a claim has another type than it should.
    Malformed,
    /// No key has the algorithm that it names.
    Algorithm,
    /// It names extensions that have to be understood (`crit`).
    Critical,
    /// No key has signed it.
    Signature,
    /// It names no key, and too many of those published could have signed it.
    Ambiguous,
    /// It names a key that was looked for and is not published.
    Unpublished,
    /// It names a key that is not known yet, and is looked for.
    Pending,
    /// No keys were fetched yet.
    Unready,
    /// `exp` has passed.
    Expired,
    /// `nbf` is yet to come.
    Early,
    /// It has no `exp`: it would be good for ever.
    Endless,
    /// It has no `sub`.
    Nobody,
    /// Its `aud` does not name the server, or it has none and the server asks for one.
    Audience,
    /// Its `iss` is not the one that the server asks for.
    Issuer,
    /// Its claims are JSON that not every reader can read.
    Unreadable(Fault),
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Invalid::TooLong => "the token is over 4 KiB",
            Invalid::Malformed => "the token is not a JSON Web Token with claims that can be read",
            Invalid::Algorithm => "the token's algorithm is not that of the server's key",
            Invalid::Critical => "the token asks for extensions (crit) that the server does not know",
            Invalid::Signature => "the token was not signed with the server's key",
            Invalid::Ambiguous => {
                "the token does not say which of the published keys has signed it: give it a kid"
            }
            Invalid::Unpublished => "the token was signed with a key (kid) that is not published",
            Invalid::Pending => "the token's key (kid) is not known yet: come back in a moment",
            Invalid::Unready => {
                "the keys that tokens are verified with are not here yet: come back in a moment"
            }
            Invalid::Expired => "the token has expired: get a new one",
            Invalid::Early => "the token is not good yet (nbf): is the clock of its maker right?",
            Invalid::Endless => "the token has no end: give it an exp",
            Invalid::Nobody => "the token names nobody: give it a sub",
            Invalid::Audience => "the token's aud does not name this server: see --token-audience",
            Invalid::Issuer => "the token's iss is not the one that this server takes: see --token-issuer",
            Invalid::Unreadable(fault) => {
                return write!(f, "the token's claims can't be taken: the JSON {fault}");
            }
        })
    }
}

impl std::error::Error for Invalid {}

impl Invalid {
    /// Whether the same token may be good in a moment: nothing is wrong with it that is known yet.
    #[must_use]
    pub fn may_pass(self) -> bool {
        matches!(self, Invalid::Pending | Invalid::Unready)
    }
}

/// The fields that are read of a header: verification depends on nothing else.
#[derive(Deserialize)]
struct TokenHeader {
    alg: String,
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<IgnoredAny>,
}

/// A member that is there, `null` too: an absent one is the default, and this is not asked.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// RFC 7519 §4.1.3: one audience, or a list of them.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn names(&self, audience: &str) -> bool {
        match self {
            Audience::One(one) => one == audience,
            Audience::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

/// The claims as they are written.
#[derive(Serialize, Deserialize)]
struct WrittenClaims<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<f64>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    nbf: Option<f64>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    aud: Option<Audience>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    see: Option<Vec<String>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    info: Option<&'a RawValue>,
}

/// A token in its parts. Nobody has said yet that any of it is true.
pub(crate) struct Unverified<'a> {
    /// The signed text.
    message: &'a str,
    signature: &'a str,
    algorithm: Algorithm,
    /// `kid`: what it calls its key.
    key_id: Option<String>,
    claims: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// It is none, or none that any key can have signed.
    pub(crate) fn read(token: &'a str) -> Result<Unverified<'a>, Invalid> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Invalid::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Invalid::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(Invalid::Malformed)?;
        let header: TokenHeader =
            serde_json::from_slice(&decoded(header)?).map_err(|_| Invalid::Malformed)?;
        let claims = decoded(claims)?;
        // RFC 7515 §4.1.11: what is critical and not understood makes a token invalid, and a list of nothing is not allowed.
        if header.crit.is_some() {
            return Err(Invalid::Critical);
        }
        let algorithm = named(&header.alg).ok_or(Invalid::Algorithm)?;
        Ok(Unverified { message, signature, algorithm, key_id: header.kid, claims })
    }

    /// The id of its key.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// Whether a secret has signed it, which none but its holders may know.
    pub(crate) fn is_by_secret(&self) -> bool {
        self.algorithm == Algorithm::HS256
    }

    /// Whether a key verifies by its algorithm.
    pub(crate) fn fits(&self, key: &Key) -> bool {
        key.algorithms.contains(&self.algorithm)
    }

    /// Says that one of these keys has signed it.
    ///
    /// # Errors
    /// None has its algorithm, or none has signed it.
    pub(crate) fn signed_by_any<'k>(&self, keys: impl Iterator<Item = &'k Key>) -> Result<(), Invalid> {
        let mut fitting = keys.filter(|key| self.fits(key)).peekable();
        if fitting.peek().is_none() {
            return Err(Invalid::Algorithm);
        }
        let message = self.message.as_bytes();
        let signed =
            |key: &Key| crypto::verify(self.signature, message, &key.key, self.algorithm).unwrap_or(false);
        if fitting.any(signed) { Ok(()) } else { Err(Invalid::Signature) }
    }

    /// Its claims, where it is good at `unix_millis`. `nbf` may lie [`TOKEN_LEEWAY_MILLIS`] ahead, since no two clocks
    /// agree; `exp` is exact. The signature is not looked at.
    ///
    /// # Errors
    /// The first thing that is wrong with the claims.
    pub(crate) fn claims(&self, parties: &Parties, unix_millis: u64) -> Result<Claims, Invalid> {
        let claims = str::from_utf8(&self.claims).map_err(|_| Invalid::Malformed)?;
        json::judge(claims).map_err(Invalid::Unreadable)?;
        let claims: WrittenClaims<'_> = serde_json::from_str(claims).map_err(|_| Invalid::Malformed)?;
        let expires_millis = millis(claims.exp.ok_or(Invalid::Endless)?);
        if unix_millis >= expires_millis {
            return Err(Invalid::Expired);
        }
        if claims.nbf.is_some_and(|nbf| unix_millis.saturating_add(TOKEN_LEEWAY_MILLIS) < millis(nbf)) {
            return Err(Invalid::Early);
        }
        parties.check(&claims)?;
        Ok(Claims {
            user: claims.sub.ok_or(Invalid::Nobody)?,
            expires_millis,
            rooms: claims.rooms,
            see: claims.see.unwrap_or_default(),
            info: claims.info.map(|info| info.get().to_owned()),
        })
    }
}

/// The claims of a token that one of `keys` has signed, where it is good at `unix_millis`.
///
/// # Errors
/// The first thing that is wrong, the signature before anything that is signed.
pub fn verify(token: &str, keys: &[Key], parties: &Parties, unix_millis: u64) -> Result<Claims, Invalid> {
    let token = Unverified::read(token)?;
    token.signed_by_any(keys.iter())?;
    token.claims(parties, unix_millis)
}

impl Parties {
    /// RFC 7519 §4.1.3: a token with an audience that the server is not has to be refused. One without, where the server
    /// asks for it, was made for nobody in particular.
    fn check(&self, claims: &WrittenClaims<'_>) -> Result<(), Invalid> {
        match (&self.audience, &claims.aud) {
            (None, None) => {}
            (Some(audience), Some(named)) if named.names(audience) => {}
            _ => return Err(Invalid::Audience),
        }
        match &self.issuer {
            Some(issuer) if claims.iss.as_ref().and_then(Value::as_str) != Some(issuer) => {
                Err(Invalid::Issuer)
            }
            _ => Ok(()),
        }
    }
}

/// A token that says this, and when it was made.
///
/// # Errors
/// `info` is not JSON, or the key can't sign: half a sentence.
pub fn sign(claims: &Claims, key: &SigningKey, unix_millis: u64) -> Result<String, String> {
    sign_between(claims, &Parties::default(), key, unix_millis)
}

/// As [`sign`], for an audience and by an issuer.
///
/// # Errors
/// As [`sign`].
pub fn sign_between(
    claims: &Claims,
    parties: &Parties,
    key: &SigningKey,
    unix_millis: u64,
) -> Result<String, String> {
    let info = claims.info.as_deref().map(serde_json::from_str).transpose();
    let written = WrittenClaims {
        sub: Some(claims.user.clone()),
        iat: None,
        exp: None,
        nbf: None,
        aud: parties.audience.clone().map(Audience::One),
        iss: parties.issuer.clone().map(Value::String),
        rooms: claims.rooms.clone(),
        see: Some(claims.see.clone()).filter(|see| !see.is_empty()),
        info: info.map_err(|error| format!("the info is not JSON: {error}"))?,
    };
    let written = serde_json::to_string(&written).map_err(|error| error.to_string())?;
    json::judge(&written).map_err(|fault| format!("the info {fault}"))?;
    // Whole seconds, as everybody writes them.
    let (iat, exp) = (unix_millis / 1_000, claims.expires_millis / 1_000);
    let written = format!(r#"{{"iat":{iat},"exp":{exp},{}"#, &written[1..]);
    let header = format!(r#"{{"alg":"{}","typ":"JWT"}}"#, name(key.algorithm));
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(written));
    let signature = crypto::sign(message.as_bytes(), &key.key, key.algorithm)
        .map_err(|_| "the key can't sign".to_owned())?;
    Ok(format!("{message}.{signature}"))
}

fn decoded(part: &str) -> Result<Vec<u8>, Invalid> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Invalid::Malformed)
}

/// RFC 7519 §2: seconds since 1970, perhaps with a fraction. One before 1970 is 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn millis(seconds: f64) -> u64 {
    (seconds * 1_000.0) as u64
}
