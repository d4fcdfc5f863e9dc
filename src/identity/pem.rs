//! Keys in files: PEM to DER (RFC 7468), and DER to what a key is (RFC 5280 §4.1, RFC 5958 §2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::der::{Elements, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE};

/// The first PEM block of a file that is not the name of a curve, not decoded yet.
pub(super) struct PemBlock<'a> {
    /// The kind that its first line names.
    pub(super) label: &'a str,
    lines: &'a str,
}

impl<'a> PemBlock<'a> {
    /// The block of a key; before it OpenSSL may name the curve in one of its own (`ecparam -genkey`), which is passed over.
    pub(super) fn first(file: &'a [u8]) -> Option<PemBlock<'a>> {
        let first = PemBlock::of(str::from_utf8(file).ok()?)?;
        match first.label {
            "EC PARAMETERS" => PemBlock::of(first.lines).or(Some(first)),
            _ => Some(first),
        }
    }

    fn of(text: &'a str) -> Option<PemBlock<'a>> {
        let line = text.lines().map(str::trim).find(|line| line.starts_with("-----BEGIN "))?;
        let label = line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")?;
        let (_, lines) = text.split_once(line)?;
        Some(PemBlock { label, lines })
    }

    /// Whether a password is needed to read it (RFC 7468 §11, RFC 1421 §4.6.1.1).
    pub(super) fn is_encrypted(&self) -> bool {
        let mut fields = self.lines.lines().map(str::trim).skip_while(|line| line.is_empty());
        self.label.starts_with("ENCRYPTED ")
            || fields
                .next()
                .is_some_and(|field| field.starts_with("Proc-Type:") && field.ends_with("ENCRYPTED"))
    }

    /// Its bytes; `None` where it does not end, or is not base64.
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        let (text, end) = self.lines.split_once("-----END ")?;
        end.trim_start().strip_prefix(self.label)?.strip_prefix("-----")?;
        STANDARD.decode(text.split_ascii_whitespace().collect::<String>()).ok()
    }
}

/// The kind of key, by its algorithm's identifier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PemKind {
    Rsa,
    P256,
    OtherCurve,
    Ed25519,
}

impl PemKind {
    /// An `AlgorithmIdentifier`.
    fn of(mut identifier: Elements<'_>) -> Option<PemKind> {
        /// `rsaEncryption`, 1.2.840.113549.1.1.1 (RFC 3279 §2.3.1).
        const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
        /// `id-ecPublicKey`, 1.2.840.10045.2.1 (RFC 5480 §2.1.1), and a curve of it, 1.2.840.10045.3.1.7.
        const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
        const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        /// `id-Ed25519`, 1.3.101.112 (RFC 8410 §3).
        const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
        match identifier.take(OBJECT_IDENTIFIER)? {
            RSA => Some(PemKind::Rsa),
            ED25519 => Some(PemKind::Ed25519),
            EC if identifier.take(OBJECT_IDENTIFIER) == Some(P256) => Some(PemKind::P256),
            EC => Some(PemKind::OtherCurve),
            _ => None,
        }
    }

    /// A `SubjectPublicKeyInfo`: the kind of key, and the key.
    pub(super) fn of_public(der: &[u8]) -> Option<(PemKind, &[u8])> {
        let mut info = Elements::of_sequence(der)?;
        let kind = PemKind::of(info.enter(SEQUENCE)?)?;
        Some((kind, info.bits()?))
    }

    /// A `PrivateKeyInfo` of PKCS #8.
    pub(super) fn of_private(der: &[u8]) -> Option<PemKind> {
        let mut info = Elements::of_sequence(der)?;
        let _version = info.take(INTEGER)?;
        let kind = PemKind::of(info.enter(SEQUENCE)?)?;
        info.take(OCTET_STRING).map(|_| kind)
    }
}

/// The modulus and the exponent of an `RSAPublicKey` (RFC 8017 §A.1.1), without zeros before them.
pub(super) fn rsa_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut key = Elements::of_sequence(der)?;
    let numbers = (key.number()?, key.number()?);
    key.is_over().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_read_from_among_other_lines() {
        let text =
            b"Bag Attributes\r\n -----BEGIN A KEY----- \r\n  AAEC\r\n\r\nAw==\r\n-----END A KEY-----\r\nmore";
        let pem = PemBlock::first(text).unwrap();
        assert_eq!((pem.label, pem.is_encrypted()), ("A KEY", false));
        assert_eq!(pem.bytes(), Some(vec![0, 1, 2, 3]));
        for broken in [
            "-----BEGIN A-----\nAAEC\n",
            "-----BEGIN A-----\nAAEC\n-----END B-----\n",
            "-----BEGIN A-----\nAA!C\n-----END A-----\n",
            "-----BEGIN A-----\nAAE\n-----END A-----\n",
        ] {
            assert_eq!(PemBlock::first(broken.as_bytes()).unwrap().bytes(), None, "{broken}");
        }
        let curve = "-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n";
        let key = "-----BEGIN EC PRIVATE KEY-----\nAAEC\n-----END EC PRIVATE KEY-----\n";
        let label = |text: &str| PemBlock::first(text.as_bytes()).unwrap().label.to_owned();
        assert_eq!(PemBlock::first(format!("{curve}{key}").as_bytes()).unwrap().bytes(), Some(vec![0, 1, 2]));
        assert_eq!(
            [label(&[curve, key].concat()), label(curve)],
            ["EC PRIVATE KEY".to_owned(), "EC PARAMETERS".to_owned()]
        );
        for none in [&b"-----BEGIN A"[..], b"BEGIN A KEY", b"\xff-----BEGIN A-----\n"] {
            assert!(PemBlock::first(none).is_none());
        }
    }

    #[test]
    fn a_password_is_seen_in_either_form() {
        let is_encrypted = |text: &str| PemBlock::first(text.as_bytes()).unwrap().is_encrypted();
        assert!(is_encrypted("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAEC\n"));
        assert!(is_encrypted(
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: X\n\nAAEC\n"
        ));
        assert!(!is_encrypted("-----BEGIN RSA PRIVATE KEY-----\nAAEC\n"));
    }
}
