//! Keys as files hold them: a secret, or PEM. Each has one algorithm, told from what it is.

use std::fmt;
use std::ops::RangeInclusive;

use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey, crypto};

use crate::identity::algorithm::{name, only};
use crate::identity::ed25519;
use crate::identity::pem::{PemBlock, PemKind, rsa_numbers};
use crate::identity::provider;
use crate::limits::{TOKEN_SECRET_BYTES_MIN, VERIFY_UNITS};

/// A key that tells good tokens from bad ones.
pub struct Key {
    /// The algorithms that it verifies by: one, unless it was published without saying which.
    pub(crate) algorithms: &'static [Algorithm],
    /// Its id in tokens (`kid`). A key of a file has no name.
    pub(crate) id: Option<Box<str>>,
    pub(crate) key: DecodingKey,
}

/// A key that makes tokens.
pub struct SigningKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: EncodingKey,
}

/// RFC 7518 §3.3: 2,048 or more. A key above the other end can't be verified.
const RSA_BITS: RangeInclusive<usize> = 2_048..=8_192;
/// A key of more bits takes twice as long as one of 2,048.
const RSA_SHORT_BITS: usize = 2_048;
/// A key of more bits takes longer than most others.
const RSA_LONG_BITS: usize = 4_096;
/// An exponent of more can't be verified by, nor signed with. It is 65537 nearly always.
pub(crate) const RSA_EXPONENT_BITS_MAX: usize = 33;

impl Key {
    /// HS256 with the secret that a file holds: its bytes, line ends at the end left out.
    ///
    /// # Errors
    /// It is shorter than [`TOKEN_SECRET_BYTES_MIN`]: half a sentence that says what to do.
    pub fn from_secret(file: &[u8]) -> Result<Key, String> {
        let key = DecodingKey::from_secret(secret(file)?);
        Ok(Key::new(only(Algorithm::HS256), None, key))
    }

    /// RS256, ES256 or EdDSA with a public key in PEM (`-----BEGIN PUBLIC KEY-----`).
    ///
    /// # Errors
    /// It is something else, or too weak: half a sentence that says what to do.
    pub fn from_public_pem(file: &[u8]) -> Result<Key, String> {
        let pem = match PemBlock::first(file) {
            Some(pem) if pem.label.ends_with("PRIVATE KEY") => {
                return Err(
                    "holds a private key; the server takes the public one: openssl pkey -pubout -in \
                            PRIVATE.pem"
                        .to_owned(),
                );
            }
            Some(pem) if ["PUBLIC KEY", "RSA PUBLIC KEY"].contains(&pem.label) => pem,
            _ => return Err("holds no public key: a line -----BEGIN PUBLIC KEY----- begins one".to_owned()),
        };
        let der = pem.bytes().unwrap_or_default();
        // A key without an algorithm's identifier is RSA's (RFC 8017 §A.1.1).
        let read =
            if pem.label == "PUBLIC KEY" { PemKind::of_public(&der) } else { Some((PemKind::Rsa, &*der)) };
        let (algorithm, key) = match read {
            Some((PemKind::Rsa, der)) => (Algorithm::RS256, rsa(der)?),
            Some((PemKind::P256, [2 | 3, ..])) => {
                return Err("holds a point in its compressed form: openssl ec -pubin -conv_form uncompressed -in FILE \
                            makes a whole one"
                    .to_owned());
            }
            Some((PemKind::P256, point)) => (Algorithm::ES256, Key::point(Algorithm::ES256, point)),
            Some((PemKind::Ed25519, point)) => {
                (Algorithm::EdDSA, point.try_into().ok().and_then(Key::ed25519))
            }
            Some((PemKind::OtherCurve, _)) => {
                return Err("holds a key on another curve than P-256".to_owned());
            }
            None => return Err(UNREADABLE.to_owned()),
        };
        let key = key.ok_or("holds a public key that is damaged")?;
        Ok(Key::new(only(algorithm), None, key))
    }

    pub(crate) fn new(algorithms: &'static [Algorithm], id: Option<Box<str>>, key: DecodingKey) -> Key {
        provider::install();
        Key { algorithms, id, key }
    }

    /// A key of ES256 or ES384; `None` where it is no point of the algorithm's curve. That is found here, and not at the first
    /// token.
    pub(crate) fn point(algorithm: Algorithm, point: &[u8]) -> Option<DecodingKey> {
        provider::is_point(algorithm, point).then(|| DecodingKey::from_ec_der(point))
    }

    /// A key of EdDSA; `None` where it can be nobody's. Whether it is a point of the curve shows at the first token.
    pub(crate) fn ed25519(point: &[u8; ed25519::BYTES]) -> Option<DecodingKey> {
        ed25519::may_be_key(point).then(|| DecodingKey::from_ed_der(point))
    }

    /// A key of RSA, of a modulus and an exponent that are without zeros before them; `None` where they can't be a key's.
    pub(crate) fn rsa(n: &[u8], e: &[u8]) -> Option<DecodingKey> {
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        let can_be = is_odd(n) && is_odd(e) && e != [1] && bits(e) <= RSA_EXPONENT_BITS_MAX;
        can_be.then(|| DecodingKey::from_rsa_raw_components(n, e))
    }

    /// Units of work that it is to verify a token by it, in [`VERIFY_UNITS`]: measured, and rounded up.
    pub(crate) fn units(&self) -> u32 {
        match self.algorithms.first() {
            Some(Algorithm::ES384) => 8 * VERIFY_UNITS,
            _ => match self.key.kind() {
                DecodingKeyKind::RsaModulusExponent { n, .. } if bits(n) > RSA_LONG_BITS => 9 * VERIFY_UNITS,
                DecodingKeyKind::RsaModulusExponent { n, .. } if bits(n) > RSA_SHORT_BITS => 2 * VERIFY_UNITS,
                _ => VERIFY_UNITS,
            },
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
        Ok(SigningKey::new(Algorithm::HS256, EncodingKey::from_secret(secret(file)?)))
    }

    /// RS256, ES256 or EdDSA with a private key in PEM (PKCS #8, or PKCS #1 for RSA), not encrypted. An RSA key has 2,048, 3,072 or
    /// 4,096 bits.
    ///
    /// # Errors
    /// It is something else: half a sentence that says what to do.
    pub fn from_private_pem(file: &[u8]) -> Result<SigningKey, String> {
        const CONVERT: &str = "openssl pkcs8 -topk8 -nocrypt -in FILE makes it";
        let pem = match PemBlock::first(file) {
            Some(pem) if pem.is_encrypted() => {
                return Err("holds a private key that is encrypted; openssl pkcs8 -topk8 -nocrypt -in FILE makes one that is not"
                    .to_owned());
            }
            Some(pem) if ["PRIVATE KEY", "RSA PRIVATE KEY"].contains(&pem.label) => pem,
            Some(pem) if pem.label.ends_with("PRIVATE KEY") => {
                return Err(format!(
                    "holds a private key in another form than -----BEGIN PRIVATE KEY-----; {CONVERT}"
                ));
            }
            _ => return Err("holds no private key: a line -----BEGIN PRIVATE KEY----- begins one".to_owned()),
        };
        let der = pem.bytes().unwrap_or_default();
        let kind = if pem.label == "PRIVATE KEY" { PemKind::of_private(&der) } else { Some(PemKind::Rsa) };
        let (algorithm, key, otherwise) = match kind {
            Some(PemKind::Rsa) => (Algorithm::RS256, EncodingKey::from_rsa_der(&der), CANT_SIGN_RSA),
            Some(PemKind::P256) => (Algorithm::ES256, EncodingKey::from_ec_der(&der), CANT_SIGN_P256),
            Some(PemKind::Ed25519) => (Algorithm::EdDSA, EncodingKey::from_ed_der(&der), CANT_SIGN),
            Some(PemKind::OtherCurve) => return Err(CANT_SIGN.to_owned()),
            None => return Err(UNREADABLE.to_owned()),
        };
        let key = SigningKey::new(algorithm, key);
        crypto::sign(b"", &key.key, algorithm).map_err(|_| otherwise)?;
        Ok(key)
    }

    fn new(algorithm: Algorithm, key: EncodingKey) -> SigningKey {
        provider::install();
        SigningKey { algorithm, key }
    }
}

const UNREADABLE: &str = "holds no RSA, P-256 or Ed25519 key that can be read";
const CANT_SIGN: &str = "holds a private key that can't sign: RSA, P-256 or Ed25519 can";
const CANT_SIGN_RSA: &str = "holds an RSA key that can't sign: one of 2048, 3072 or 4096 bits with the exponent 65537 can, if it is \
                             not damaged";
const CANT_SIGN_P256: &str = "holds a P-256 key that is damaged or without its public half, and can't sign: openssl genpkey -algorithm EC \
                              -pkeyopt ec_paramgen_curve:P-256 makes one that can";

/// An `RSAPublicKey`; `None` where it is damaged.
fn rsa(der: &[u8]) -> Result<Option<DecodingKey>, String> {
    let (n, e) = rsa_numbers(der).ok_or(UNREADABLE)?;
    let bits = bits(n);
    if bits < *RSA_BITS.start() {
        return Err(format!("holds an RSA key of fewer than {} bits", RSA_BITS.start()));
    }
    if bits > *RSA_BITS.end() {
        return Err(format!("holds an RSA key of more than {} bits", RSA_BITS.end()));
    }
    if self::bits(e) > RSA_EXPONENT_BITS_MAX {
        return Err(format!("holds an RSA key whose exponent has more than {RSA_EXPONENT_BITS_MAX} bits"));
    }
    Ok(Key::rsa(n, e))
}

/// The length of a number without zeros before it.
pub(crate) fn bits(number: &[u8]) -> usize {
    number.len() * 8 - number.first().map_or(0, |first| first.leading_zeros() as usize)
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
    if PemBlock::first(file).is_some() {
        return Err("holds a key in PEM, not a secret: that is for --token-public-key".to_owned());
    }
    Ok(secret)
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
