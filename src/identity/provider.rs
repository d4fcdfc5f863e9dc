//! The cryptography of `jsonwebtoken`: *ring*, which TLS uses too.
//!
//! *ring* verifies by RSA keys of 2,048 to 8,192 bits with an odd exponent of 3 or more, in 33 bits at most. It signs by RSA keys of
//! 2,048, 3,072 and 4,096 bits with two primes and an odd exponent of 65,537 or more, in 33 bits too, and by P-256 keys that have
//! their public half with them. P-384 is verified only: no key of a file is on it.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::signature::{Error, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::agreement::{ECDH_P256, ECDH_P384, EphemeralPrivateKey, agree_ephemeral};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaKeyPair, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

static RING: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    // For keys as JSON, which are read in `jwks`.
    key_utils: KeyUtils::new_unimplemented(),
};

/// From now on `jsonwebtoken` computes with *ring* in this program, unless it was told to compute with something else before. Each
/// [`Key`](super::Key) and [`SigningKey`](super::SigningKey) sees to it; a program that calls `jsonwebtoken` before it has any
/// does so itself.
pub fn install() {
    let _ = RING.install_default();
}

/// Whether these bytes are a point of the curve that the algorithm is on (SEC 1 §2.3.4). An agreement with it shows that.
pub(super) fn is_point(algorithm: Algorithm, point: &[u8]) -> bool {
    let curve = match algorithm {
        Algorithm::ES256 => &ECDH_P256,
        Algorithm::ES384 => &ECDH_P384,
        _ => return false,
    };
    let theirs = ring::agreement::UnparsedPublicKey::new(curve, point);
    EphemeralPrivateKey::generate(curve, &SystemRandom::new())
        .is_ok_and(|ours| agree_ephemeral(ours, &theirs, |_| ()).is_ok())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let computed = match Family::of(*algorithm) {
        Some(_) if !key.family().algorithms().contains(algorithm) => None,
        family => family,
    };
    let family = computed.ok_or_else(|| new_error(ErrorKind::InvalidAlgorithm))?;
    Ok(Box::new(ByKey { algorithm: *algorithm, family, key: key.clone() }))
}

/// How an algorithm verifies.
enum Family {
    Secret,
    Rsa(&'static RsaParameters),
    Point(&'static dyn VerificationAlgorithm),
}

impl Family {
    fn of(algorithm: Algorithm) -> Option<Family> {
        Some(match algorithm {
            Algorithm::HS256 => Family::Secret,
            Algorithm::RS256 => Family::Rsa(&RSA_PKCS1_2048_8192_SHA256),
            Algorithm::RS384 => Family::Rsa(&RSA_PKCS1_2048_8192_SHA384),
            Algorithm::RS512 => Family::Rsa(&RSA_PKCS1_2048_8192_SHA512),
            Algorithm::PS256 => Family::Rsa(&RSA_PSS_2048_8192_SHA256),
            Algorithm::PS384 => Family::Rsa(&RSA_PSS_2048_8192_SHA384),
            Algorithm::PS512 => Family::Rsa(&RSA_PSS_2048_8192_SHA512),
            Algorithm::ES256 => Family::Point(&ECDSA_P256_SHA256_FIXED),
            Algorithm::ES384 => Family::Point(&ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDSA => Family::Point(&ED25519),
            _ => return None,
        })
    }
}

/// Verifies by a key of the algorithm's own type.
struct ByKey {
    algorithm: Algorithm,
    family: Family,
    key: DecodingKey,
}

impl Verifier<Vec<u8>> for ByKey {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let verified = match (&self.family, self.key.kind()) {
            (Family::Secret, DecodingKeyKind::SecretOrDer(secret)) => {
                hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), message, signature)
            }
            (Family::Rsa(parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (Family::Rsa(parameters), DecodingKeyKind::SecretOrDer(der)) => {
                UnparsedPublicKey::new(*parameters, der).verify(message, signature)
            }
            (Family::Point(algorithm), DecodingKeyKind::SecretOrDer(point)) => {
                UnparsedPublicKey::new(*algorithm, point).verify(message, signature)
            }
            (Family::Secret | Family::Point(_), DecodingKeyKind::RsaModulusExponent { .. }) => {
                Err(ring::error::Unspecified)
            }
        };
        verified.map_err(|_| Error::new())
    }
}

impl JwtVerifier for ByKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    if !key.family().algorithms().contains(algorithm) {
        return Err(new_error(ErrorKind::InvalidAlgorithm));
    }
    let bytes = key.as_bytes();
    let pair = match algorithm {
        Algorithm::HS256 => SigningPair::Secret(hmac::Key::new(hmac::HMAC_SHA256, bytes)),
        Algorithm::RS256 => {
            let pair = RsaKeyPair::from_pkcs8(bytes).or_else(|_| RsaKeyPair::from_der(bytes));
            SigningPair::Rsa(pair.map_err(|why| new_error(ErrorKind::InvalidRsaKey(why.to_string())))?)
        }
        Algorithm::ES256 => {
            let pair =
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes, &SystemRandom::new());
            SigningPair::P256(pair.map_err(|_| new_error(ErrorKind::InvalidEcdsaKey))?)
        }
        Algorithm::EdDSA => {
            // Unchecked against its public half, where it is without: OpenSSL writes none.
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes);
            SigningPair::Ed25519(pair.map_err(|_| new_error(ErrorKind::InvalidEddsaKey))?)
        }
        _ => return Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    };
    Ok(Box::new(pair))
}

/// Signers, by one algorithm each.
enum SigningPair {
    Secret(hmac::Key),
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer<Vec<u8>> for SigningPair {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        let random = SystemRandom::new();
        let signed = match self {
            SigningPair::Secret(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            SigningPair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map(|()| signature)
            }
            SigningPair::P256(pair) => {
                pair.sign(&random, message).map(|signature| signature.as_ref().to_vec())
            }
            SigningPair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        };
        signed.map_err(|_| Error::new())
    }
}

impl JwtSigner for SigningPair {
    fn algorithm(&self) -> Algorithm {
        match self {
            SigningPair::Secret(_) => Algorithm::HS256,
            SigningPair::Rsa(_) => Algorithm::RS256,
            SigningPair::P256(_) => Algorithm::ES256,
            SigningPair::Ed25519(_) => Algorithm::EdDSA,
        }
    }
}
