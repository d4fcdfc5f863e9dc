//! Tokens: those of another implementation, forged ones, and keys that are none. The fixtures were made with PyJWT; their
//! tokens are good from 1,700,000,000 s to 1,700,003,600 s.

mod binary;
mod jwks;
mod keys;
mod refusals;
pub(crate) mod server;
mod tokens;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use rollcall::internals::identity::{Key, SigningKey, provider};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

pub(crate) const SECRET: &[u8] = include_bytes!("fixtures/secret.txt");
pub(crate) const RSA: [&[u8]; 2] =
    [include_bytes!("fixtures/rsa.public.pem"), include_bytes!("fixtures/rsa.private.pem")];
pub(crate) const P256: [&[u8]; 2] =
    [include_bytes!("fixtures/p256.public.pem"), include_bytes!("fixtures/p256.private.pem")];
pub(crate) const ED25519: [&[u8]; 2] =
    [include_bytes!("fixtures/ed25519.public.pem"), include_bytes!("fixtures/ed25519.private.pem")];

/// Public keys as a provider publishes them, by the names `rsa`, `p256`, `p384` and `ed25519`, and one for encryption.
pub(crate) const JWKS: &str = include_str!("fixtures/jwks.json");

/// All keys of the fixtures, each with what signs for it.
pub(crate) fn pairs() -> Vec<(Key, SigningKey)> {
    let mut pairs = vec![(Key::from_secret(SECRET).unwrap(), SigningKey::from_secret(SECRET).unwrap())];
    for [public, private] in [RSA, P256, ED25519] {
        pairs.push((Key::from_public_pem(public).unwrap(), SigningKey::from_private_pem(private).unwrap()));
    }
    pairs
}

/// A private key of the fixtures as its PEM holds it.
pub(crate) fn der(private: &[u8]) -> Vec<u8> {
    PrivatePkcs8KeyDer::from_pem_slice(private).unwrap().secret_pkcs8_der().to_vec()
}

/// The key of the set that has this name, changed.
pub(crate) fn jwk(kid: &str, change: impl FnOnce(&mut Value)) -> Value {
    let set: Value = serde_json::from_str(JWKS).unwrap();
    let mut key = set["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid).unwrap().clone();
    change(&mut key);
    key
}

/// A token whose header and claims are these.
pub(crate) fn signed(header: &Value, claims: &Value, algorithm: Algorithm, key: &EncodingKey) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let message = format!("{header}.{claims}");
    provider::install();
    let signature = crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}
