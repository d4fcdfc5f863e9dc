//! Verification without a server: every algorithm, every way to be wrong.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use rollcall::internals::identity::token::{sign, sign_between, verify};
use rollcall::internals::identity::{Claims, Invalid, Key, Keys, Parties, SigningKey, provider};
use rollcall::internals::limits::{TOKEN_BYTES_MAX, TOKEN_LEEWAY_MILLIS};

use super::{P256, RSA, SECRET, pairs};

/// Within the time in which the fixtures are good.
const NOW: u64 = 1_700_001_000_000;
const BEGIN: u64 = 1_700_000_000_000;
const END: u64 = 1_700_003_600_000;

fn fixtures(text: &'static str) -> BTreeMap<&'static str, &'static str> {
    text.lines().map(|line| line.split_once(' ').unwrap()).collect()
}

fn good() -> BTreeMap<&'static str, &'static str> {
    fixtures(include_str!("fixtures/tokens.txt"))
}

fn keys() -> Vec<Key> {
    pairs().into_iter().map(|(key, _)| key).collect()
}

fn claims(user: &str) -> Claims {
    Claims { user: user.to_owned(), expires_millis: END, rooms: None, see: Vec::new(), info: None }
}

#[test]
fn tokens_of_another_implementation_are_good() {
    let good = good();
    assert_eq!(good.len(), 4);
    for key in keys() {
        let token = good[key.algorithm()];
        let claims = verify(token, std::slice::from_ref(&key), &Parties::default(), NOW).unwrap();
        assert_eq!((claims.user.as_str(), claims.expires_millis), ("anna", END));
        assert_eq!(claims.rooms.unwrap(), ["support.*", "lobby"]);
        assert_eq!(claims.see, ["staff-*"]);
        // Byte for byte: a number is not written anew.
        assert_eq!(claims.info.unwrap(), r#"{"role":"staff","n":150.0}"#);
    }
}

#[test]
fn a_token_is_good_for_its_own_key_alone() {
    for key in keys() {
        for (algorithm, token) in good() {
            let verified = verify(token, std::slice::from_ref(&key), &Parties::default(), NOW);
            let expected = if algorithm == key.algorithm() { None } else { Some(Invalid::Algorithm) };
            assert_eq!(verified.err(), expected, "{algorithm} with {key:?}");
        }
    }
    let together = Keys::new(keys());
    for (algorithm, token) in good() {
        assert!(together.verify(token, NOW).is_ok(), "{algorithm}");
    }
    together.replace(Vec::new());
    for (algorithm, token) in good() {
        assert_eq!(together.verify(token, NOW), Err(Invalid::Algorithm), "{algorithm}");
    }
}

#[test]
fn what_is_signed_here_is_good_here() {
    for (key, signing) in pairs() {
        let info = Some(r#"{ "role":1e2,"role":"\u00e4" }"#.to_owned());
        let all = Claims { rooms: Some(vec!["a.*".into()]), see: vec!["*".into()], info, ..claims("anna") };
        for claims in [all, claims("ben")] {
            let token = sign(&claims, &signing, NOW).unwrap();
            assert_eq!(
                verify(&token, std::slice::from_ref(&key), &Parties::default(), NOW).unwrap(),
                claims,
                "{key:?}"
            );
        }
    }
}

#[test]
fn forged_and_foreign_tokens_are_refused_each_for_its_reason() {
    let bad = fixtures(include_str!("fixtures/bad.txt"));
    let expected = [
        ("none", Invalid::Algorithm),
        ("public-key-as-secret", Invalid::Signature),
        ("public-key-as-secret-rs256", Invalid::Signature),
        ("other-secret", Invalid::Signature),
        ("other-hash", Invalid::Algorithm),
        ("other-rsa", Invalid::Signature),
        ("pss", Invalid::Algorithm),
        ("critical", Invalid::Critical),
        ("endless", Invalid::Endless),
        ("nobody", Invalid::Nobody),
        ("exp-text", Invalid::Malformed),
        ("rooms-text", Invalid::Malformed),
    ];
    assert_eq!(bad.len(), expected.len());
    let keys = keys();
    for (name, error) in expected {
        assert_eq!(verify(bad[name], &keys, &Parties::default(), NOW).unwrap_err(), error, "{name}");
    }
    // Where the public key is the only key, an algorithm for secrets finds none.
    let public = Key::from_public_pem(RSA[0]).unwrap();
    assert_eq!(
        verify(bad["public-key-as-secret"], &[public], &Parties::default(), NOW).unwrap_err(),
        Invalid::Algorithm
    );
}

#[test]
fn a_token_is_good_from_nbf_to_exp() {
    let (keys, token) = (keys(), good()["HS256"]);
    let at = |millis| verify(token, &keys, &Parties::default(), millis).err();
    assert_eq!(at(BEGIN - TOKEN_LEEWAY_MILLIS - 1), Some(Invalid::Early));
    assert_eq!(at(BEGIN - TOKEN_LEEWAY_MILLIS), None);
    assert_eq!(at(END - 1), None);
    assert_eq!(at(END), Some(Invalid::Expired));
    assert_eq!(at(u64::MAX), Some(Invalid::Expired));
}

/// A token of this text, signed with the secret of the fixtures.
fn made(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(SECRET.trim_ascii_end());
    provider::install();
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

/// What comes of a token with these members beside `sub` and `exp`.
fn verified(parties: &Parties, members: &str) -> Option<Invalid> {
    let token = made(r#"{"alg":"HS256"}"#, &format!(r#"{{"sub":"anna","exp":1700003600{members}}}"#));
    verify(&token, &keys(), parties, NOW).err()
}

#[test]
fn a_token_is_for_the_audience_that_it_names_and_for_no_other() {
    let ours = Parties { audience: Some("chat".to_owned()), issuer: None };
    let nobodys = Parties::default();
    for (aud, with, without) in [
        ("", Some(Invalid::Audience), None),
        (r#","aud":"chat""#, None, Some(Invalid::Audience)),
        (r#","aud":["shop","chat"]"#, None, Some(Invalid::Audience)),
        (r#","aud":"shop""#, Some(Invalid::Audience), Some(Invalid::Audience)),
        (r#","aud":"Chat""#, Some(Invalid::Audience), Some(Invalid::Audience)),
        (r#","aud":[]"#, Some(Invalid::Audience), Some(Invalid::Audience)),
        (r#","aud":null"#, Some(Invalid::Malformed), Some(Invalid::Malformed)),
        (r#","aud":[null]"#, Some(Invalid::Malformed), Some(Invalid::Malformed)),
        (r#","aud":{"chat":1}"#, Some(Invalid::Malformed), Some(Invalid::Malformed)),
    ] {
        assert_eq!((verified(&ours, aud), verified(&nobodys, aud)), (with, without), "{aud}");
    }
}

#[test]
fn a_token_is_of_the_issuer_that_is_asked_for() {
    let theirs = Parties { audience: None, issuer: Some("https://login".to_owned()) };
    for (iss, with) in [
        ("", Some(Invalid::Issuer)),
        (r#","iss":"https://login""#, None),
        (r#","iss":"https://login/""#, Some(Invalid::Issuer)),
        (r#","iss":["https://login"]"#, Some(Invalid::Issuer)),
        (r#","iss":null"#, Some(Invalid::Issuer)),
    ] {
        assert_eq!((verified(&theirs, iss), verified(&Parties::default(), iss)), (with, None), "{iss}");
    }
}

#[test]
fn parties_that_are_signed_for_are_verified() {
    let parties = Parties { audience: Some("chat".to_owned()), issuer: Some("login".to_owned()) };
    for (key, signing) in pairs() {
        let token = sign_between(&claims("anna"), &parties, &signing, NOW).unwrap();
        let keys = Keys::between(vec![key], parties.clone());
        assert!(keys.verify(&token, NOW).is_ok());
        keys.replace(Vec::new());
        assert_eq!(keys.verify(&token, NOW), Err(Invalid::Algorithm));
    }
}

#[test]
fn a_header_with_anything_critical_is_refused() {
    let claims = r#"{"sub":"anna","exp":1700003600}"#;
    for crit in ["null", "[]", r#"["exp"]"#, "0"] {
        let token = made(&format!(r#"{{"alg":"HS256","crit":{crit}}}"#), claims);
        assert_eq!(verify(&token, &keys(), &Parties::default(), NOW), Err(Invalid::Critical), "{crit}");
    }
    assert!(verify(&made(r#"{"alg":"HS256"}"#, claims), &keys(), &Parties::default(), NOW).is_ok());
}

#[test]
fn claims_that_not_every_reader_can_read_are_refused() {
    let nested = |depth: usize| format!(r#","info":{}{}"#, "[".repeat(depth), "]".repeat(depth));
    let unreadable = |members: &str| verified(&Parties::default(), members);
    assert_eq!(unreadable(&nested(31)), None);
    for members in [nested(32), r#","info":"\ud800""#.to_owned(), format!(r#","x":{}"#, "9".repeat(65))] {
        let found = unreadable(&members).unwrap();
        assert!(matches!(found, Invalid::Unreadable(_)), "{members:.40}: {found:?}");
    }
    let deep = Claims { info: Some("[".repeat(40) + &"]".repeat(40)), ..claims("anna") };
    assert!(sign(&deep, &pairs().remove(0).1, NOW).unwrap_err().contains("32 deep"));
}

#[test]
fn every_change_of_a_token_makes_it_bad() {
    let (keys, token) = (keys(), good()["ES256"]);
    for (i, _) in token.char_indices() {
        let mut changed = token.to_owned();
        let other = if &token[i..=i] == "A" { "B" } else { "A" };
        changed.replace_range(i..=i, other);
        // The last character of a part may have bits that mean nothing: such a token is not decoded.
        assert!(verify(&changed, &keys, &Parties::default(), NOW).is_err(), "at {i}");
        assert!(verify(&token[..i], &keys, &Parties::default(), NOW).is_err(), "cut at {i}");
    }
}

#[test]
fn garbage_is_refused_in_words_that_do_not_quote_it() {
    let keys = keys();
    let long = "x".repeat(10 << 10);
    let longest = "a".repeat(TOKEN_BYTES_MAX);
    for (text, error) in [
        ("", Invalid::Malformed),
        ("hunter2", Invalid::Malformed),
        ("a.b", Invalid::Malformed),
        ("..", Invalid::Malformed),
        ("a.b.c.d", Invalid::Malformed),
        ("ä.ö.ü", Invalid::Malformed),
        ("e30.e30.", Invalid::Malformed),
        (&longest, Invalid::Malformed),
        (&long, Invalid::TooLong),
    ] {
        let found = verify(text, &keys, &Parties::default(), NOW).unwrap_err();
        assert_eq!(found, error, "{text:.20}");
        assert!(text.len() < 6 || !found.to_string().contains(&text[..6]));
    }
}

#[test]
fn keys_that_are_none_or_too_weak_say_what_to_do() {
    let secret = |file: &[u8]| Key::from_secret(file).unwrap_err();
    assert!(secret(b"too short\n").contains("9 bytes, and 32 are the least"));
    assert!(secret(&[b'x'; 31]).contains("--new-secret"));
    assert!(
        secret(b"\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n").contains("0 bytes")
    );
    assert!(secret(RSA[0]).contains("--token-public-key"));
    for (file, part) in [
        (RSA[1], "openssl pkey -pubout"),
        (SECRET, "-----BEGIN PUBLIC KEY-----"),
        (include_bytes!("fixtures/rsa1024.public.pem"), "fewer than 2048 bits"),
        (include_bytes!("fixtures/p384.public.pem"), "another curve than P-256"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "can be read"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no public key"),
        (b"", "holds no public key"),
    ] {
        let error = Key::from_public_pem(file).unwrap_err();
        assert!(error.contains(part) && !error.contains('\n'), "{part}: {error}");
    }
    assert_eq!(
        Key::from_public_pem(include_bytes!("fixtures/rsa.pkcs1.public.pem")).unwrap().algorithm(),
        "RS256"
    );
    let signing = |file: &[u8]| SigningKey::from_private_pem(file).unwrap_err();
    assert!(signing(include_bytes!("fixtures/p256.sec1.pem")).contains("openssl pkcs8"));
    assert!(signing(P256[0]).contains("holds no private key"));
    assert!(format!("{:?}", pairs()).len() < 600, "keys are not printed");
}
