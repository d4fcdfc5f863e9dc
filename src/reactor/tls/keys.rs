//! Keys at rest: what opens the records of a TLS 1.3 connection stays as short as the handshake gave it.
//!
//! Expanded, a key is *ring*'s 544 bytes: AES's round keys, and a table for GCM's tag. rustls's own suites keep that for
//! either direction of each connection; these keep it for sealing alone, and expand the key that opens for each record. That
//! takes 145 ns with AES and 15 with ChaCha20, where sealing takes 115 to 165 of a short record, 240 to 570 of 1 KiB. Of the two
//! directions it is the quieter one: what one client says goes to a whole room. TLS 1.2 is left as it is.
//!
//! A key is wiped with its owner, by [`AeadKey`]; what *ring* expands it to is not wiped by *ring*, on the heap or, as
//! here, on the stack.

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, UnboundKey};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter, Nonce,
    Tls13AeadAlgorithm, UnsupportedOperationError, make_tls13_aad,
};
use rustls::crypto::ring::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::crypto::ring::default_provider;
use rustls::crypto::{CipherSuiteCommon, CryptoProvider};
use rustls::{ConnectionTrafficSecrets, Error, SupportedCipherSuite, Tls13CipherSuite};

/// The cryptography of *ring*, its suites in their order, those of TLS 1.3 with keys at rest.
pub(super) fn provider() -> CryptoProvider {
    let mut provider = default_provider();
    for suite in &mut provider.cipher_suites {
        if let Some(ours) = SUITES.iter().find(|ours| ours.common.suite == suite.suite()) {
            *suite = SupportedCipherSuite::Tls13(ours);
        }
    }
    provider
}

static AEADS: [Aead; 3] = [
    Aead::new(&TLS13_AES_256_GCM_SHA384, &AES_256_GCM),
    Aead::new(&TLS13_AES_128_GCM_SHA256, &AES_128_GCM),
    Aead::new(&TLS13_CHACHA20_POLY1305_SHA256, &CHACHA20_POLY1305),
];

static SUITES: [Tls13CipherSuite; 3] = [AEADS[0].suite(), AEADS[1].suite(), AEADS[2].suite()];

/// The AEAD of a suite: rustls's, but for what opens.
struct Aead {
    theirs: &'static Tls13CipherSuite,
    algorithm: &'static Algorithm,
}

impl Aead {
    const fn new(suite: &'static SupportedCipherSuite, algorithm: &'static Algorithm) -> Aead {
        let SupportedCipherSuite::Tls13(theirs) = suite else { panic!("a suite of TLS 1.3") };
        Aead { theirs, algorithm }
    }

    const fn suite(&'static self) -> Tls13CipherSuite {
        let CipherSuiteCommon { suite, hash_provider, confidentiality_limit } = self.theirs.common;
        Tls13CipherSuite {
            common: CipherSuiteCommon { suite, hash_provider, confidentiality_limit },
            hkdf_provider: self.theirs.hkdf_provider,
            aead_alg: self,
            quic: None,
        }
    }
}

impl Tls13AeadAlgorithm for Aead {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        self.theirs.aead_alg.encrypter(key, iv)
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Opener { key, iv, algorithm: self.algorithm })
    }

    fn key_len(&self) -> usize {
        self.theirs.aead_alg.key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.theirs.aead_alg.extract_keys(key, iv)
    }
}

/// The key that opens the records of one direction of one connection, until its keys change.
struct Opener {
    key: AeadKey,
    iv: Iv,
    algorithm: &'static Algorithm,
}

/// That is what a connection pays for it, and it has something to wipe.
const _: () = assert!(size_of::<Opener>() <= 64 && std::mem::needs_drop::<Opener>());

impl MessageDecrypter for Opener {
    // RFC 8446 §5.2: the header is authenticated with the record; §5.3: its nonce is its number with the IV.
    fn decrypt<'a>(
        &mut self,
        mut record: InboundOpaqueMessage<'a>,
        number: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let key = UnboundKey::new(self.algorithm, self.key.as_ref()).map_err(|_| Error::DecryptError)?;
        let nonce = ring::aead::Nonce::assume_unique_for_key(Nonce::new(&self.iv, number).0);
        let header = Aad::from(make_tls13_aad(record.payload.len()));
        // A record shorter than a tag is refused here too.
        let opened = LessSafeKey::new(key).open_in_place(nonce, header, &mut record.payload);
        let len = opened.map_err(|_| Error::DecryptError)?.len();
        record.payload.truncate(len);
        record.into_tls13_unpadded_message()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_suites_stay_in_their_order_and_those_of_tls_1_3_are_ours() {
        let (theirs, ours) = (default_provider().cipher_suites, provider().cipher_suites);
        assert_eq!(ours, theirs, "by name");
        for suite in ours.iter().filter_map(SupportedCipherSuite::tls13) {
            assert!(SUITES.iter().any(|ours| std::ptr::eq(ours, suite)), "{suite:?} keeps its keys expanded");
        }
    }
}
