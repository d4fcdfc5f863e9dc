//! Keys as files hold them: a secret, or PEM. Each has one algorithm, told from what it is.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey, crypto};

use crate::identity::algorithm::{name, only};
use crate::limits::{TOKEN_SECRET_BYTES_MIN, VERIFY_UNITS};

/// A key that tells good tokens from bad ones.
pub struct Key {
    /// The algorithms that it verifies by: one, unless it was published without saying which.
    pub(crate) algorithms: &'static [Algorithm],
    /// What tokens call it (`kid`). A key of a file has no name.
    pub(crate) id: Option<Box<str>>,
    pub(crate) key: DecodingKey,
}

/// A key that makes tokens.
pub struct SigningKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: EncodingKey,
}

/// The DER of an RSA key with a modulus of 2,048 bits is longer than this.
const RSA_DER_BYTES_MIN: usize = 2_048 / 8;
/// A key of 3,072 bits and more.
const RSA_LONG_BYTES: usize = 3_072 / 8;
/// A point of P-256, uncompressed (SEC 1 §2.3.3).
const P256_POINT_BYTES: usize = 65;

impl Key {
    /// HS256 with the secret that a file holds: its bytes, line ends at the end left out.
    ///
    /// # Errors
    /// It is shorter than [`TOKEN_SECRET_BYTES_MIN`]: half a sentence that says what to do.
    pub fn from_secret(file: &[u8]) -> Result<Key, String> {
        let secret = secret(file)?;
        Ok(Key { algorithms: only(Algorithm::HS256), id: None, key: DecodingKey::from_secret(secret) })
    }

    /// RS256, ES256 or EdDSA with a public key in PEM (`-----BEGIN PUBLIC KEY-----`).
    ///
    /// # Errors
    /// It is something else, or too weak: half a sentence that says what to do.
    pub fn from_public_pem(file: &[u8]) -> Result<Key, String> {
        match label(file) {
            Some(label) if label.ends_with("PRIVATE KEY") => {
                return Err(
                    "holds a private key; the server takes the public one: openssl pkey -pubout -in \
                            PRIVATE.pem"
                        .to_owned(),
                );
            }
            Some("PUBLIC KEY" | "RSA PUBLIC KEY") => {}
            _ => return Err("holds no public key: a line -----BEGIN PUBLIC KEY----- begins one".to_owned()),
        }
        let (algorithm, key) = if let Ok(key) = DecodingKey::from_ec_pem(file) {
            if bytes(&key).len() != P256_POINT_BYTES {
                return Err("holds a key on another curve than P-256".to_owned());
            }
            (Algorithm::ES256, key)
        } else if let Ok(key) = DecodingKey::from_ed_pem(file) {
            (Algorithm::EdDSA, key)
        } else if let Ok(key) = DecodingKey::from_rsa_pem(file) {
            if bytes(&key).len() <= RSA_DER_BYTES_MIN {
                return Err("holds an RSA key of fewer than 2048 bits".to_owned());
            }
            (Algorithm::RS256, key)
        } else {
            return Err("holds no RSA, P-256 or Ed25519 key that can be read".to_owned());
        };
        Key::checked(only(algorithm), None, key).ok_or("holds a public key that is damaged".to_owned())
    }

    /// A public key, unless it is damaged: one that is no point of its curve is found here, and not at the first token.
    pub(crate) fn checked(
        algorithms: &'static [Algorithm],
        id: Option<Box<str>>,
        key: DecodingKey,
    ) -> Option<Key> {
        let algorithm = *algorithms.first()?;
        crypto::verify("AAAA", b"", &key, algorithm).ok().map(|_| Key { algorithms, id, key })
    }

    /// Units of work that it is to verify a token by it, in [`VERIFY_UNITS`]: measured, and rounded up.
    pub(crate) fn units(&self) -> u32 {
        match self.algorithms.first() {
            Some(Algorithm::ES384) => 7 * VERIFY_UNITS,
            Some(Algorithm::ES256 | Algorithm::EdDSA | Algorithm::HS256) | None => VERIFY_UNITS,
            Some(_) if bytes(&self.key).len() < RSA_LONG_BYTES => 2 * VERIFY_UNITS,
            Some(_) => 6 * VERIFY_UNITS,
        }
    }

    /// The algorithm that its tokens name, like `HS256` or `EdDSA`; of several, the most usual one.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        self.algorithms.first().map_or("", |algorithm| name(*algorithm))
    }
}

impl SigningKey {
    /// As [`Key::from_secret`].
    ///
    /// # Errors
    /// It is too short.
    pub fn from_secret(file: &[u8]) -> Result<SigningKey, String> {
        let secret = secret(file)?;
        Ok(SigningKey { algorithm: Algorithm::HS256, key: EncodingKey::from_secret(secret) })
    }

    /// RS256, ES256 or EdDSA with a private key in PEM (PKCS #8, or PKCS #1 for RSA), not encrypted.
    ///
    /// # Errors
    /// It is something else: half a sentence that says what to do.
    pub fn from_private_pem(file: &[u8]) -> Result<SigningKey, String> {
        const CONVERT: &str = "openssl pkcs8 -topk8 -nocrypt -in FILE makes it";
        match label(file) {
            Some("PRIVATE KEY" | "RSA PRIVATE KEY") => {}
            Some(label) if label.ends_with("PRIVATE KEY") => {
                return Err(format!(
                    "holds a private key in another form than -----BEGIN PRIVATE KEY-----; {CONVERT}"
                ));
            }
            _ => return Err("holds no private key: a line -----BEGIN PRIVATE KEY----- begins one".to_owned()),
        }
        let (algorithm, key) = if let Ok(key) = EncodingKey::from_ec_pem(file) {
            (Algorithm::ES256, key)
        } else if let Ok(key) = EncodingKey::from_ed_pem(file) {
            (Algorithm::EdDSA, key)
        } else if let Ok(key) = EncodingKey::from_rsa_pem(file) {
            (Algorithm::RS256, key)
        } else {
            return Err("holds no RSA, P-256 or Ed25519 key that can be read".to_owned());
        };
        crypto::sign(b"", &key, algorithm)
            .map_err(|_| "holds a private key that can't sign: RSA, P-256 or Ed25519 can".to_owned())?;
        Ok(SigningKey { algorithm, key })
    }
}

fn secret(file: &[u8]) -> Result<&[u8], String> {
    let end = file.iter().rposition(|byte| !b"\r\n".contains(byte)).map_or(0, |last| last + 1);
    let secret = &file[..end];
    // RFC 7518 §3.2: a key as long as the hash, or longer.
    if secret.len() < TOKEN_SECRET_BYTES_MIN {
        return Err(format!(
            "holds a secret of {} bytes, and {TOKEN_SECRET_BYTES_MIN} are the least: `rollcall token --new-secret \
             FILE` makes a good one",
            secret.len()
        ));
    }
    if label(file).is_some() {
        return Err("holds a key in PEM, not a secret: that is for --token-public-key".to_owned());
    }
    Ok(secret)
}

/// The label of the first PEM block (RFC 7468 §2).
fn label(file: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(file).ok()?;
    let line = text.lines().map(str::trim).find(|line| line.starts_with("-----BEGIN "))?;
    line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")
}

fn bytes(key: &DecodingKey) -> &[u8] {
    match key.kind() {
        DecodingKeyKind::SecretOrDer(bytes) => bytes,
        DecodingKeyKind::RsaModulusExponent { n, .. } => n,
    }
}

/// Its algorithms, and nothing of the key.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

/// Its algorithm, and nothing of the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
