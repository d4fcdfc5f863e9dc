//! Sets of published keys, without a server: what of a set counts, which key a token is verified with, and what becomes
//! of a token whose key is not there yet. The set and its tokens were made with PyJWT.

use std::sync::mpsc::{Receiver, channel};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use rollcall::internals::identity::fetched::{KeyName, PublishedKeys};
use rollcall::internals::identity::jwks::KeySet;
use rollcall::internals::identity::{Claims, Invalid, Key, Keys, Parties, SigningKey, token};
use rollcall::internals::limits::{JWKS_BYTES_MAX, JWKS_KEYS_MAX, JWKS_TRIED_MAX};
use serde_json::{Value, json};

use super::{ED25519, JWKS, P256, RSA, SECRET, der, jwk, signed};

const TOKENS: &str = include_str!("fixtures/jwks.tokens.txt");
/// Within the time in which the tokens are good, and its end.
const NOW: u64 = 1_700_001_000_000;
const END: u64 = 1_700_003_600_000;

fn parties() -> Parties {
    Parties {
        audience: Some("https://chat.example.org".to_owned()),
        issuer: Some("https://tenant.eu.auth0.com/".to_owned()),
    }
}

fn without(kid: &str, field: &str) -> Value {
    jwk(kid, |key| drop(key.as_object_mut().unwrap().remove(field)))
}

fn parse(keys: &[Value]) -> Result<KeySet, String> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
}

/// Keys of a set, and what is asked for.
fn keys_of(set: KeySet, given: Vec<Key>, parties: Parties) -> (Keys, Receiver<KeyName>) {
    let (keys, (send, asked)) = (Keys::fetching(given, parties), channel());
    keys.ask_by(move |name| send.send(name).unwrap_or_default());
    keys.publish(PublishedKeys { keys: set.keys.into(), absent: Vec::new() });
    (keys, asked)
}

fn claims() -> Value {
    json!({ "sub": "anna", "exp": END / 1_000 })
}

/// Signed with the P-256 key of the fixtures.
fn by_p256(header: &Value) -> String {
    signed(header, &claims(), Algorithm::ES256, &EncodingKey::from_ec_der(&der(P256[1])))
}

#[test]
fn tokens_of_another_implementation_are_good_by_its_set() {
    let set = KeySet::parse(JWKS.as_bytes()).unwrap();
    assert_eq!((set.keys.len(), &*set.left_out()), (4, ""), "the key for encryption is no mistake");
    let (keys, asked) = keys_of(set, Vec::new(), parties());
    for (algorithm, token) in TOKENS.lines().map(|line| line.split_once(' ').unwrap()) {
        let claims = keys.verify(token, NOW).unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        assert_eq!((claims.user.as_str(), claims.expires_millis), ("anna", END), "{algorithm}");
        // A changed signature is not.
        let (message, signature) = token.rsplit_once('.').unwrap();
        let other = if signature.starts_with('A') { "B" } else { "A" };
        let forged = format!("{message}.{other}{}", &signature[1..]);
        assert_eq!(keys.verify(&forged, NOW), Err(Invalid::Signature), "{algorithm}");
    }
    assert_eq!(asked.try_iter().count(), 0);
}

#[test]
fn a_key_that_can_not_count_is_left_out_and_said_why() {
    let good = jwk("p256", |_| ());
    for (key, why) in [
        (json!({ "kty": "oct", "kid": "s", "alg": "HS256", "k": "c2VjcmV0" }), "key `s` is a secret"),
        (jwk("p256", |key| key["d"] = json!("AA")), "key `p256` is published with its private half"),
        (jwk("p256", |key| key["crv"] = json!("P-521")), "is on a curve that is not known"),
        (jwk("p256", |key| key["crv"] = json!("secp256k1")), "is on a curve that is not known"),
        (jwk("ed25519", |key| key["crv"] = json!("Ed448")), "is on a curve that is not known"),
        (jwk("p256", |key| key["kty"] = json!("AKP")), "is of a type that is not known"),
        (jwk("p256", |key| key["kid"] = json!("a\nb")), ""),
        (json!({ "kty": "AKP", "kid": "a\nb" }), r"key `a\nb` is of a type"),
        (json!({ "kty": "AKP", "kid": "x".repeat(99) }), "xxx…` is of a type"),
        (json!({ "kty": "AKP" }), "key 1 is of a type"),
        (json!({ "kid": "x" }), "key 1 can't be read"),
        (json!("x"), "key 1 can't be read"),
        (jwk("p256", |key| key["kid"] = json!(7)), "key 1 can't be read"),
        (without("p256", "x"), "lacks a part"),
        (without("p256", "crv"), "lacks a part"),
        (without("rsa", "e"), "lacks a part"),
        (without("ed25519", "x"), "lacks a part"),
        // Half a coordinate, and a point that is not on the curve.
        (jwk("p256", |key| key["x"] = json!("AAAA")), "lacks a part"),
        (jwk("p256", |key| key["x"] = key["y"].clone()), "is damaged"),
        (jwk("p384", |key| key["x"] = key["y"].clone()), "is damaged"),
        (jwk("p384", |key| key["crv"] = json!("P-256")), "lacks a part"),
        (jwk("ed25519", |key| key["x"] = json!("AAAA")), "lacks a part"),
        // The point that is nothing, with which everybody can sign.
        (jwk("ed25519", |key| key["x"] = json!(format!("AQ{}", "A".repeat(41)))), "is damaged"),
        (jwk("rsa", |key| key["n"] = json!(URL_SAFE_NO_PAD.encode([0xff; 255]))), "has 2040 bits"),
        (
            jwk("rsa", |key| {
                key["n"] = json!(URL_SAFE_NO_PAD.encode([[0; 1].as_slice(), &[0x7f; 256]].concat()));
            }),
            "has 2047 bits",
        ),
        (jwk("rsa", |key| key["n"] = json!(URL_SAFE_NO_PAD.encode([0xff; 513]))), "has 4104 bits"),
        (jwk("rsa", |key| key["n"] = json!(URL_SAFE_NO_PAD.encode([0xfe; 256]))), "is damaged"),
        (jwk("rsa", |key| key["e"] = json!("AQ")), "is damaged"),
        (jwk("rsa", |key| key["e"] = json!("Ag")), "is damaged"),
        // 33 bits are the most: here are 34, and an even number of 33.
        (jwk("rsa", |key| key["e"] = json!("AgAAAAE")), "has an exponent of more than 33 bits"),
        (jwk("rsa", |key| key["e"] = json!("AQAAAAI")), "is damaged"),
        (jwk("rsa", |key| key["e"] = json!("AQAAAAE")), ""),
        // A type decides which algorithms it has.
        (jwk("rsa", |key| key["alg"] = json!("ES256")), "names an algorithm"),
        (jwk("rsa", |key| key["alg"] = json!("HS256")), "names an algorithm"),
        (jwk("rsa", |key| key["alg"] = json!("none")), "names an algorithm"),
        (jwk("p256", |key| key["alg"] = json!("ES384")), "names an algorithm"),
        (jwk("p384", |key| key["alg"] = json!("ES256")), "names an algorithm"),
    ] {
        let set = parse(&[key.clone(), good.clone()]).unwrap();
        if why.is_empty() {
            assert_eq!((set.keys.len(), &*set.left_out()), (2, ""), "{key}");
            continue;
        }
        assert_eq!(set.keys.len(), 1, "{key}: {set:?}");
        assert!(set.left_out().contains(why), "{key}: {}", set.left_out());
        // Alone it leaves nothing that could count.
        let error = parse(std::slice::from_ref(&key)).unwrap_err();
        assert!(error.contains("has no key") && error.contains(why), "{error}");
    }
}

#[test]
fn a_key_for_something_else_than_signatures_is_no_news() {
    for (field, value, counts) in [
        ("use", json!("sig"), true),
        ("use", json!("enc"), false),
        ("use", json!("SIG"), false),
        ("key_ops", json!(["verify"]), true),
        ("key_ops", json!(["encrypt", "verify"]), true),
        ("key_ops", json!(["encrypt"]), false),
        ("key_ops", json!([]), false),
    ] {
        let mut key = without("p256", "use");
        key[field] = value.clone();
        match parse(&[key]) {
            Ok(set) => assert!(counts && set.left_out().is_empty(), "{field} {value}"),
            Err(error) => {
                assert!(!counts && error == "has no key for signatures", "{field} {value}: {error}");
            }
        }
    }
}

#[test]
fn what_is_no_set_is_refused() {
    let many = vec![jwk("ed25519", |_| ()); JWKS_KEYS_MAX + 1];
    assert_eq!(parse(&many[1..]).unwrap().keys.len(), JWKS_KEYS_MAX);
    let padded = |bytes: usize| {
        let set = JWKS.trim_end().strip_suffix('}').unwrap();
        format!("{set}{}}}", " ".repeat(bytes - set.len() - 1))
    };
    assert!(KeySet::parse(padded(JWKS_BYTES_MAX).as_bytes()).is_ok());
    let unknown = vec![json!({ "kty": "AKP" }); JWKS_KEYS_MAX];
    let error = parse(&unknown).unwrap_err();
    assert!(error.ends_with("key 8 is of a type that is not known here, and 56 more"), "{error}");
    for (document, why) in [
        (json!({ "keys": many }).to_string(), "has 65 keys, and 64 are the most"),
        (padded(JWKS_BYTES_MAX + 1), "is over 256 KiB"),
        (String::new(), "is not a set of keys"),
        ("<html>Not found</html>".to_owned(), "is not a set of keys"),
        ("{}".to_owned(), "is not a set of keys"),
        (r#"{"keys":{}}"#.to_owned(), "is not a set of keys"),
        (jwk("p256", |_| ()).to_string(), "is not a set of keys"),
        (r#"{"keys":[]}"#.to_owned(), "has no key for signatures"),
    ] {
        let error = KeySet::parse(document.as_bytes()).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_key_that_names_its_algorithm_has_no_other() {
    let by_rsa =
        |algorithm: &str| TOKENS.lines().find_map(|line| line.strip_prefix(algorithm)).unwrap().trim();
    let set = parse(&[jwk("rsa", |key| key["alg"] = json!("PS256"))]).unwrap();
    let (keys, asked) = keys_of(set, Vec::new(), parties());
    assert!(keys.verify(by_rsa("PS256 "), NOW).is_ok());
    for other in ["RS256 ", "RS512 ", "PS384 "] {
        assert_eq!(keys.verify(by_rsa(other), NOW), Err(Invalid::Algorithm), "{other}");
    }
    // RFC 9864: the newer name of the same algorithm, in a key and in a token.
    let set = parse(&[jwk("ed25519", |key| key["alg"] = json!("Ed25519"))]).unwrap();
    let (keys, _) = keys_of(set, Vec::new(), Parties::default());
    let key = EncodingKey::from_ed_der(&der(ED25519[1]));
    for alg in ["EdDSA", "Ed25519"] {
        let token = signed(&json!({ "alg": alg, "kid": "ed25519" }), &claims(), Algorithm::EdDSA, &key);
        assert!(keys.verify(&token, NOW).is_ok(), "{alg}");
    }
    assert_eq!(asked.try_iter().count(), 0);
}

#[test]
fn a_published_key_is_no_secret() {
    let (keys, asked) = keys_of(KeySet::parse(JWKS.as_bytes()).unwrap(), Vec::new(), Parties::default());
    let n = jwk("rsa", |_| ())["n"].as_str().unwrap().to_owned();
    for secret in [n.clone().into_bytes(), URL_SAFE_NO_PAD.decode(&n).unwrap(), RSA[0].to_vec()] {
        let header = json!({ "alg": "HS256", "kid": "rsa" });
        let token = signed(&header, &claims(), Algorithm::HS256, &EncodingKey::from_secret(&secret));
        assert_eq!(keys.verify(&token, NOW), Err(Invalid::Algorithm));
    }
    let none = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"rsa"}"#),
        URL_SAFE_NO_PAD.encode(claims().to_string())
    );
    assert_eq!(keys.verify(&none, NOW), Err(Invalid::Algorithm));
    assert_eq!(asked.try_iter().count(), 0, "no key is fetched for such a token");
}

#[test]
fn a_token_that_names_its_key_is_verified_with_no_other() {
    let good = || jwk("p256", |key| key["kid"] = json!("good"));
    let other = || jwk("rsa", |key| key["kid"] = json!("other"));
    let (keys, asked) = keys_of(parse(&[other(), good()]).unwrap(), Vec::new(), Parties::default());
    for (kid, verified) in [
        (json!("good"), None),
        (json!("other"), Some(Invalid::Algorithm)),
        (json!("unknown"), Some(Invalid::Pending)),
        (json!(""), Some(Invalid::Pending)),
        (json!(null), None),
        (json!(7), Some(Invalid::Malformed)),
    ] {
        let token = by_p256(&json!({ "alg": "ES256", "kid": kid }));
        assert_eq!(keys.verify(&token, NOW).err(), verified, "{kid}");
    }
    assert_eq!(asked.try_iter().collect::<Vec<_>>(), [KeyName::of(Some("unknown")), KeyName::of(Some(""))]);
    // One that no name is published for may be meant by any.
    let (keys, asked) =
        keys_of(parse(&[other(), without("p256", "kid")]).unwrap(), Vec::new(), Parties::default());
    for header in [json!({ "alg": "ES256" }), json!({ "alg": "ES256", "kid": "unknown" })] {
        assert!(keys.verify(&by_p256(&header), NOW).is_ok(), "{header}");
    }
    assert_eq!(asked.try_iter().count(), 0);
}

#[test]
fn a_token_that_names_no_key_is_tried_with_a_few() {
    let foreign = |nth: usize| {
        let pair = rcgen::KeyPair::generate().unwrap();
        let point = pair.public_key_raw();
        let [x, y] = [&point[1..33], &point[33..]].map(|part| URL_SAFE_NO_PAD.encode(part));
        json!({ "kty": "EC", "crv": "P-256", "kid": nth.to_string(), "x": x, "y": y })
    };
    let foreign: Vec<Value> = (0..JWKS_TRIED_MAX).map(foreign).collect();
    let token = by_p256(&json!({ "alg": "ES256" }));
    let with = |others: &[Value]| {
        // Keys of another type don't count.
        let set = [others, &[jwk("p256", |_| ()), jwk("rsa", |_| ()), jwk("p384", |_| ())]].concat();
        keys_of(parse(&set).unwrap(), Vec::new(), Parties::default()).0
    };
    assert!(with(&foreign[1..]).verify(&token, NOW).is_ok());
    let keys = with(&foreign);
    assert_eq!(keys.verify(&token, NOW), Err(Invalid::Ambiguous));
    assert!(keys.verify(&by_p256(&json!({ "alg": "ES256", "kid": "p256" })), NOW).is_ok());
}

#[test]
fn what_it_takes_to_verify_goes_by_the_keys_that_may_be_tried() {
    let units = |set: &[Value]| keys_of(parse(set).unwrap(), Vec::new(), Parties::default()).0.units();
    let (short, long) = (jwk("p256", |_| ()), jwk("p384", |_| ()));
    let one = units(std::slice::from_ref(&short));
    assert!(units(std::slice::from_ref(&long)) > 5 * one);
    assert_eq!(units(&[short.clone(), long.clone()]), one + units(std::slice::from_ref(&long)));
    // However many there are, a token is tried with few.
    let others = (0..40).map(|nth| jwk("p384", |key| key["kid"] = json!(nth.to_string())));
    assert_eq!(units(&others.collect::<Vec<_>>()), JWKS_TRIED_MAX as u32 * units(&[long]));
}

#[test]
fn a_key_that_is_not_there_yet_is_asked_for_and_refused_once_it_was_looked_for() {
    let set = || parse(&[jwk("rsa", |_| ())]).unwrap();
    let (keys, asked) = keys_of(set(), Vec::new(), Parties::default());
    let (named, nameless) =
        (by_p256(&json!({ "alg": "ES256", "kid": "new" })), by_p256(&json!({ "alg": "ES256" })));
    let names = [Some("new"), None].map(KeyName::of);
    assert_eq!(
        [&named, &nameless].map(|token| keys.verify(token, NOW)),
        [Err(Invalid::Pending), Err(Invalid::Pending)]
    );
    assert_eq!(asked.try_iter().collect::<Vec<_>>(), names);
    assert!(Invalid::Pending.may_pass() && Invalid::Unready.may_pass() && !Invalid::Unpublished.may_pass());
    keys.publish(PublishedKeys { keys: set().keys.into(), absent: names.to_vec() });
    assert_eq!(keys.verify(&named, NOW), Err(Invalid::Unpublished));
    assert!(keys.verify(&nameless, NOW).is_err_and(|error| !error.may_pass()));
    keys.publish(PublishedKeys {
        keys: parse(&[jwk("p256", |key| key["kid"] = json!("new"))]).unwrap().keys.into(),
        absent: Vec::new(),
    });
    assert!([&named, &nameless].iter().all(|token| keys.verify(token, NOW).is_ok()));
    assert_eq!(asked.try_iter().count(), 0);
}

#[test]
fn nothing_is_fetched_for_a_token_that_would_be_bad_anyway() {
    let (keys, asked) = keys_of(KeySet::parse(JWKS.as_bytes()).unwrap(), Vec::new(), parties());
    let key = EncodingKey::from_ec_der(&der(P256[1]));
    let all = json!({ "sub": "anna", "exp": END / 1_000, "aud": "https://chat.example.org", "iss": "https://tenant.eu.auth0.com/" });
    for (field, value, error) in [
        ("exp", json!(1), Invalid::Expired),
        ("exp", json!(null), Invalid::Endless),
        ("nbf", json!(END / 1_000), Invalid::Early),
        ("aud", json!("another"), Invalid::Audience),
        ("iss", json!("another"), Invalid::Issuer),
        ("sub", json!(null), Invalid::Nobody),
        ("sub", json!(7), Invalid::Malformed),
    ] {
        let mut claims = all.clone();
        claims[field] = value;
        let token = signed(&json!({ "alg": "ES256", "kid": "unknown" }), &claims, Algorithm::ES256, &key);
        assert_eq!(keys.verify(&token, NOW), Err(error), "{field}");
        assert_eq!(asked.try_iter().count(), 0, "{field}");
    }
    let token = signed(&json!({ "alg": "ES256", "kid": "unknown" }), &all, Algorithm::ES256, &key);
    assert_eq!((keys.verify(&token, NOW), asked.try_iter().count()), (Err(Invalid::Pending), 1));
}

#[test]
fn until_the_set_is_there_only_the_given_keys_let_in() {
    let given = || vec![Key::from_secret(SECRET).unwrap(), Key::from_public_pem(ED25519[0]).unwrap()];
    let keys = Keys::fetching(given(), Parties::default());
    let secret = SigningKey::from_secret(SECRET).unwrap();
    let anna = Claims { user: "anna".into(), expires_millis: END, rooms: None, see: Vec::new(), info: None };
    let by_given = [secret, SigningKey::from_private_pem(ED25519[1]).unwrap()]
        .map(|key| token::sign(&anna, &key, NOW).unwrap());
    let by_set = by_p256(&json!({ "alg": "ES256", "kid": "p256" }));
    assert!(!keys.are_here());
    assert!(by_given.iter().all(|token| keys.verify(token, NOW).is_ok()));
    assert_eq!(keys.verify(&by_set, NOW), Err(Invalid::Unready));
    let header = json!({ "alg": "HS256" });
    let forged = signed(&header, &claims(), Algorithm::HS256, &EncodingKey::from_secret(&[7; 40]));
    assert_eq!(keys.verify(&forged, NOW), Err(Invalid::Signature), "a secret is never fetched");
    keys.publish(PublishedKeys {
        keys: KeySet::parse(JWKS.as_bytes()).unwrap().keys.into(),
        absent: Vec::new(),
    });
    assert!(keys.are_here() && keys.verify(&by_set, NOW).is_ok());
    assert!(by_given.iter().all(|token| keys.verify(token, NOW).is_ok()), "the given keys count on");
    // A key of a file has no name, and is meant by any.
    let named = signed(
        &json!({ "alg": "EdDSA", "kid": "x" }),
        &claims(),
        Algorithm::EdDSA,
        &EncodingKey::from_ed_der(&der(ED25519[1])),
    );
    assert!(keys.verify(&named, NOW).is_ok());
    keys.replace(Vec::new());
    assert!(keys.verify(&by_set, NOW).is_ok(), "the fetched keys are none of the given ones");
    assert_eq!(keys.verify(&by_given[0], NOW), Err(Invalid::Algorithm));
    assert!(Keys::new(Vec::new()).are_here());
}
