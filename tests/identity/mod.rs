//! Tokens: those of another implementation, forged ones, and keys that are none. The fixtures were made with PyJWT; their
//! tokens are good from 1,700,000,000 s to 1,700,003,600 s.

mod binary;
mod refusals;
pub(crate) mod server;
mod tokens;

use rollcall::identity::{Key, SigningKey};

pub(super) const SECRET: &[u8] = include_bytes!("fixtures/secret.txt");
pub(super) const RSA: [&[u8]; 2] =
    [include_bytes!("fixtures/rsa.public.pem"), include_bytes!("fixtures/rsa.private.pem")];
pub(super) const P256: [&[u8]; 2] =
    [include_bytes!("fixtures/p256.public.pem"), include_bytes!("fixtures/p256.private.pem")];
pub(super) const ED25519: [&[u8]; 2] =
    [include_bytes!("fixtures/ed25519.public.pem"), include_bytes!("fixtures/ed25519.private.pem")];

/// All keys of the fixtures, each with what signs for it.
pub(super) fn pairs() -> Vec<(Key, SigningKey)> {
    let mut pairs = vec![(Key::from_secret(SECRET).unwrap(), SigningKey::from_secret(SECRET).unwrap())];
    for [public, private] in [RSA, P256, ED25519] {
        pairs.push((Key::from_public_pem(public).unwrap(), SigningKey::from_private_pem(private).unwrap()));
    }
    pairs
}
