//! Keys in the forms in which OpenSSL writes them: which are taken, and what is said of the others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rollcall::internals::identity::token::{sign, verify};
use rollcall::internals::identity::{Claims, Key, Parties, SigningKey};

use super::{ED25519, P256, RSA, der};

/// Within the time in which the tokens are good, and its end.
const NOW: u64 = 1_700_001_000_000;
const END: u64 = 1_700_003_600_000;

fn claims() -> Claims {
    Claims { user: "anna".to_owned(), expires_millis: END, rooms: None, see: Vec::new(), info: None }
}

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der)).into_bytes()
}

/// What the file of a public key holds.
fn public_der(file: &[u8]) -> Vec<u8> {
    let text = str::from_utf8(file).unwrap();
    STANDARD.decode(text.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap()
}

/// An `RSAPublicKey` with a modulus of so many bytes.
fn rsa_public(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let long = |tag: u8, content: &[u8]| {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82][..], &length, content].concat()
    };
    let exponent = [&[2, exponent.len() as u8][..], exponent].concat();
    pem("RSA PUBLIC KEY", &long(0x30, &[long(2, &[&[0][..], modulus].concat()), exponent].concat()))
}

#[test]
fn rsa_keys_of_both_forms_are_taken() {
    // RFC 5958 §2: an octet string of PKCS #8 has the key of PKCS #1 in it, here from its 26th byte.
    let traditional = pem("RSA PRIVATE KEY", &der(RSA[1])[26..]);
    let traditional_public = include_bytes!("fixtures/rsa.pkcs1.public.pem");
    let publics = [Key::from_public_pem(RSA[0]).unwrap(), Key::from_public_pem(traditional_public).unwrap()];
    for private in [RSA[1], &traditional] {
        let token = sign(&claims(), &SigningKey::from_private_pem(private).unwrap(), NOW).unwrap();
        for public in &publics {
            let verified = verify(&token, std::slice::from_ref(public), &Parties::default(), NOW);
            assert_eq!(verified, Ok(claims()));
        }
    }
}

#[test]
fn what_signs_with_a_wide_exponent_is_verified_by_it() {
    // 2^33 - 1.
    let private = SigningKey::from_private_pem(include_bytes!("fixtures/rsa.wide.private.pem")).unwrap();
    let public = Key::from_public_pem(include_bytes!("fixtures/rsa.wide.public.pem")).unwrap();
    let token = sign(&claims(), &private, NOW).unwrap();
    assert_eq!(verify(&token, &[public], &Parties::default(), NOW), Ok(claims()));
}

#[test]
fn rsa_keys_have_2048_to_8192_bits() {
    let longest = Key::from_public_pem(include_bytes!("fixtures/rsa8192.public.pem")).unwrap();
    let token = include_str!("fixtures/rsa8192.token.txt").trim_end();
    assert_eq!(verify(token, std::slice::from_ref(&longest), &Parties::default(), NOW), Ok(claims()));
    for (bytes, first, exponent, part) in [
        (256, 0xff, &[1, 0, 1][..], None),
        (1_024, 0xff, &[3], None),
        (256, 0x7f, &[1, 0, 1], Some("holds no RSA")),
        (255, 0xff, &[1, 0, 1], Some("fewer than 2048 bits")),
        (1_025, 0xff, &[1, 0, 1], Some("more than 8192 bits")),
        (256, 0xff, &[1], Some("is damaged")),
        (256, 0xff, &[2], Some("is damaged")),
        (256, 0xff, &[1, 0xff, 0xff, 0xff, 0xff], None),
        (256, 0xff, &[1, 0, 0, 0, 0], Some("is damaged")),
        (256, 0xff, &[2, 0, 0, 0, 1], Some("exponent has more than 33 bits")),
        (256, 0xff, &[1, 0, 0, 0, 0, 1], Some("exponent has more than 33 bits")),
    ] {
        let mut modulus = vec![0xff; bytes];
        modulus[0] = first;
        let error = Key::from_public_pem(&rsa_public(&modulus, exponent)).err();
        match part {
            Some(part) => assert!(error.as_ref().is_some_and(|error| error.contains(part)), "{error:?}"),
            None => assert_eq!(error, None, "{bytes} bytes"),
        }
    }
}

#[test]
fn a_public_key_that_is_no_point_of_its_curve_is_damaged() {
    let mut whole = public_der(P256[0]);
    assert!(Key::from_public_pem(&pem("PUBLIC KEY", &whole)).is_ok());
    *whole.last_mut().unwrap() ^= 1;
    assert!(Key::from_public_pem(&pem("PUBLIC KEY", &whole)).unwrap_err().contains("damaged"));
    // SEC 1 §2.3.3: one coordinate, and which of two the other is.
    let compressed = [&whole[..23], &[3, 34, 0, 2], &whole[27..59]].concat();
    let compressed = [&[0x30, 57], &compressed[2..]].concat();
    assert!(Key::from_public_pem(&pem("PUBLIC KEY", &compressed)).unwrap_err().contains("uncompressed"));
    for end in 0..whole.len() {
        assert!(Key::from_public_pem(&pem("PUBLIC KEY", &whole[..end])).unwrap_err().contains("can be read"));
    }
}

#[test]
fn an_ed25519_key_with_which_everybody_can_sign_is_damaged() {
    let whole = public_der(ED25519[0]);
    let with = |point: [u8; 32]| {
        Key::from_public_pem(&pem("PUBLIC KEY", &[&whole[..12], &point].concat())).map(drop)
    };
    assert_eq!(with(whole[12..].try_into().unwrap()), Ok(()));
    let (mut nothing, mut beyond) = ([0; 32], [0xff; 32]);
    nothing[0] = 1;
    beyond[31] = 0x7f;
    for point in [nothing, [0; 32], beyond, [0xff; 32]] {
        assert!(with(point).is_err_and(|error| error.contains("is damaged")), "{point:x?}");
    }
    assert!(Key::from_public_pem(&pem("PUBLIC KEY", &[&whole[..12], &[2; 31]].concat())).is_err());
}

#[test]
fn a_private_key_that_can_not_sign_says_what_can() {
    /// P-256, as `openssl ecparam -genkey` writes it before the key.
    const PARAMETERS: &[u8] =
        b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let legacy =
        b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    for (file, part) in [
        (&include_bytes!("fixtures/p256.encrypted.pem")[..], "is encrypted; openssl pkcs8 -topk8 -nocrypt"),
        (legacy, "is encrypted; openssl pkcs8 -topk8 -nocrypt"),
        (include_bytes!("fixtures/p256.sec1.pem"), "in another form"),
        (&[PARAMETERS, include_bytes!("fixtures/p256.sec1.pem")].concat(), "in another form"),
        (PARAMETERS, "holds no private key"),
        (include_bytes!("fixtures/p256.bare.private.pem"), "openssl genpkey -algorithm EC"),
        (include_bytes!("fixtures/p384.private.pem"), "RSA, P-256 or Ed25519 can"),
        (include_bytes!("fixtures/rsa1024.private.pem"), "2048, 3072 or 4096 bits"),
        (&pem("RSA PRIVATE KEY", b"rubbish"), "not damaged"),
        (&pem("PRIVATE KEY", b"rubbish"), "can be read"),
        (&pem("PRIVATE KEY", &der(RSA[1])[..900]), "can be read"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n", "can be read"),
    ] {
        let error = SigningKey::from_private_pem(file).unwrap_err();
        assert!(error.contains(part) && !error.contains('\n'), "{part}: {error}");
    }
}
