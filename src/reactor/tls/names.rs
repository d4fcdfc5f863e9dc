//! The names in a certificate: those it is for (RFC 5280 §4.2.1.6), and its subject's own (§4.1.2.6); and until when.

use rustls::pki_types::CertificateDer;

use crate::der::{
    Elements, GENERALIZED_TIME, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, PRINTABLE_STRING, SEQUENCE,
    UTC_TIME, UTF8_STRING,
};

/// The names in a client's certificate, one that an authority of ours has signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certified {
    /// Its subject's common name, where there is exactly one and it is text.
    pub name: Option<String>,
    /// It is good until then, in Unix milliseconds.
    pub until_millis: u64,
}

/// Tags of what has no type of its own where it stands (RFC 5280 §4.1 and §4.2.1.6).
const VERSION: u8 = 0xa0;
const ISSUER_ID: u8 = 0x81;
const SUBJECT_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;
const DNS_NAME: u8 = 0x82;
const BOOLEAN: u8 = 0x01;
const SET: u8 = 0x31;
/// `id-at-commonName`, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
/// `id-ce-subjectAltName`, 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];

/// Reads it; `None` where it can't be.
pub(crate) fn certified(certificate: &CertificateDer<'_>) -> Option<Certified> {
    let parts = NameParts::of(certificate)?;
    Some(Certified { name: common_name(parts.subject)?, until_millis: parts.until_seconds * 1_000 })
}

/// The DNS names that a certificate is for, in lower case; empty where it can't be read.
pub(crate) fn dns_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    NameParts::of(certificate).and_then(|parts| parts.dns_names()).unwrap_or_default()
}

/// The parts that are read of a certificate.
struct NameParts<'a> {
    subject: Elements<'a>,
    until_seconds: u64,
    extensions: Elements<'a>,
}

impl<'a> NameParts<'a> {
    /// RFC 5280 §4.1.
    fn of(certificate: &'a [u8]) -> Option<NameParts<'a>> {
        let mut signed = Elements::of_sequence(certificate)?.enter(SEQUENCE)?;
        signed.take(VERSION);
        let (_serial, _algorithm, _issuer) =
            (signed.take(INTEGER)?, signed.take(SEQUENCE)?, signed.take(SEQUENCE)?);
        let mut validity = signed.enter(SEQUENCE)?;
        let (_not_before, not_after) = (validity.any()?, validity.any()?);
        let subject = signed.enter(SEQUENCE)?;
        let _key = signed.take(SEQUENCE)?;
        signed.take(ISSUER_ID);
        signed.take(SUBJECT_ID);
        let extensions = match signed.enter(EXTENSIONS) {
            Some(mut explicit) => explicit.enter(SEQUENCE)?,
            None => Elements::of(&[]),
        };
        Some(NameParts { subject, until_seconds: unix_seconds(not_after)?, extensions })
    }

    /// `None` where its extensions, or its names, can't be read to their end.
    fn dns_names(&self) -> Option<Vec<String>> {
        let (mut extensions, mut found) = (self.extensions, Vec::new());
        while !extensions.is_over() {
            let mut extension = extensions.enter(SEQUENCE)?;
            let id = extension.take(OBJECT_IDENTIFIER)?;
            extension.take(BOOLEAN);
            let value = extension.take(OCTET_STRING)?;
            if id != SUBJECT_ALT_NAME {
                continue;
            }
            let mut names = Elements::of_sequence(value)?;
            while !names.is_over() {
                let (kind, name) = names.any()?;
                if kind == DNS_NAME {
                    found
                        .push(str::from_utf8(name).ok().filter(|name| name.is_ascii())?.to_ascii_lowercase());
                }
            }
        }
        Some(found)
    }
}

/// A subject's common name, if it is readable and the only one: with two, two readers could differ on whose certificate it is.
/// `None` where the subject can't be read to its end.
fn common_name(mut subject: Elements<'_>) -> Option<Option<String>> {
    let mut found = Vec::new();
    while !subject.is_over() {
        let mut attributes = subject.enter(SET)?;
        while !attributes.is_over() {
            let mut attribute = attributes.enter(SEQUENCE)?;
            if attribute.take(OBJECT_IDENTIFIER)? == COMMON_NAME {
                found.push(attribute.any()?);
            }
        }
    }
    Some(match *found {
        [(UTF8_STRING | PRINTABLE_STRING, name)] => String::from_utf8(name.to_vec()).ok(),
        _ => None,
    })
}

/// A time of a certificate in Unix seconds (RFC 5280 §4.1.2.5): always in whole seconds and in Greenwich.
fn unix_seconds((tag, text): (u8, &[u8])) -> Option<u64> {
    const CUMULATED_DAYS: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let digits = text.strip_suffix(b"Z")?;
    let mut pairs = digits.chunks(2).map(|pair| match pair {
        [ten @ b'0'..=b'9', one @ b'0'..=b'9'] => Some(u64::from(ten - b'0') * 10 + u64::from(one - b'0')),
        _ => None,
    });
    let mut next = || pairs.next().flatten();
    let year = match (tag, digits.len()) {
        (UTC_TIME, 12) => next().map(|year| if year < 50 { 2_000 + year } else { 1_900 + year })?,
        (GENERALIZED_TIME, 14) => next()? * 100 + next()?,
        _ => return None,
    };
    let (month, day, hour, minute, second) = (next()?, next()?, next()?, next()?, next()?);
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let is_real =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    if year < 1_970 || !is_real {
        return None;
    }
    let before = year - 1;
    let leap_days = before / 4 - before / 100 + before / 400 - 477 + u64::from(is_leap && month > 2);
    let month = usize::try_from(month).ok()?;
    let days = (year - 1_970) * 365 + leap_days + CUMULATED_DAYS[month - 1] + day - 1;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// Whether a certificate's name covers the one that a client asked for; `*` stands for the first label (RFC 6125 §6.4.3).
pub(crate) fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(rest) => name.split_once('.').is_some_and(|(first, parent)| !first.is_empty() && parent == rest),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn a_star_covers_one_label() {
        assert!(covers("a.example", "a.example") && covers("*.example", "a.example"));
        for name in ["example", "a.b.example", ".example", "b.example.org"] {
            assert!(!covers("*.example", name), "{name}");
        }
    }

    #[test]
    fn a_name_and_an_end_are_read_where_they_are_not_in_doubt() {
        let issued = |change: &dyn Fn(&mut CertificateParams)| {
            let mut params = CertificateParams::new(["A.test".to_owned(), "127.0.0.1".to_owned()]).unwrap();
            params.distinguished_name = DistinguishedName::new();
            params.not_after = date_time_ymd(2031, 3, 1);
            change(&mut params);
            let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let names = dns_names(made.der());
            (names, certified(made.der()).map(|certified| (certified.name, certified.until_millis)))
        };
        let end = 1_930_089_600_000;
        let named = |name: &str| Some((Some(name.to_owned()), end));
        assert_eq!(issued(&|_| ()), (vec!["a.test".to_owned()], Some((None, end))));
        let anna =
            |params: &mut CertificateParams| params.distinguished_name.push(DnType::CommonName, "anna");
        assert_eq!(issued(&anna).1, named("anna"));
        let printable = |params: &mut CertificateParams| {
            let name = DnValue::PrintableString("Ben 2".try_into().unwrap());
            params.distinguished_name.push(DnType::OrganizationName, "somewhere");
            params.distinguished_name.push(DnType::CommonName, name);
        };
        assert_eq!(issued(&printable).1, named("Ben 2"));
        let wide = |params: &mut CertificateParams| {
            let name = DnValue::BmpString(rcgen::string::BmpString::try_from("ben").unwrap());
            params.distinguished_name.push(DnType::CommonName, name);
        };
        assert_eq!(issued(&wide).1, Some((None, end)));
        let two = |params: &mut CertificateParams| {
            params.distinguished_name.push(DnType::CommonName, "anna");
            params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "ben");
        };
        assert_eq!(issued(&two).1, Some((None, end)));
        let nowhere = |params: &mut CertificateParams| params.subject_alt_names.clear();
        assert_eq!(issued(&nowhere).0, Vec::<String>::new());
    }

    #[test]
    fn a_certificate_that_is_cut_or_changed_breaks_nothing() {
        let params = CertificateParams::new(["a.test".to_owned()]).unwrap();
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let whole: &[u8] = made.der();
        for at in 0..whole.len() {
            let cut = CertificateDer::from_slice(&whole[..at]);
            assert!(dns_names(&cut).is_empty() && certified(&cut).is_none(), "cut at {at}");
            for other in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut changed = whole.to_vec();
                changed[at] = other;
                let changed = CertificateDer::from(changed);
                let _ = (dns_names(&changed), certified(&changed));
            }
        }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let at = |tag, text: &str| unix_seconds((tag, text.as_bytes()));
        for (text, seconds) in [
            ("700101000000Z", Some(0)),
            ("000229235959Z", Some(951_868_799)),
            ("491231235959Z", Some(2_524_607_999)),
            ("500101000000Z", None),
            ("240301000000Z", Some(1_709_251_200)),
            ("241331000000Z", None),
            ("240300000000Z", None),
            ("240301240000Z", None),
            ("2403010000Z", None),
            ("240301000000", None),
            ("24030100000aZ", None),
            ("240301000000+0000", None),
        ] {
            assert_eq!(at(UTC_TIME, text), seconds, "{text}");
        }
        for (text, seconds) in [
            ("20500101000000Z", Some(2_524_608_000)),
            ("21000301000000Z", Some(4_107_542_400)),
            ("99991231235959Z", Some(253_402_300_799)),
            ("00000101000000Z", None),
        ] {
            assert_eq!(at(GENERALIZED_TIME, text), seconds, "{text}");
        }
        assert_eq!(at(INTEGER, "700101000000Z"), None);
    }

    #[test]
    fn what_is_no_certificate_has_no_names() {
        let rubbish = CertificateDer::from_slice(b"rubbish");
        assert!(dns_names(&rubbish).is_empty() && certified(&rubbish).is_none());
    }
}
