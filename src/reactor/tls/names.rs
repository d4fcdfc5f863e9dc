//! What a certificate says of names: those it is for (RFC 5280 §4.2.1.6), and its subject's own (§4.1.2.6); and until when.

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Tag, Tagged as _, asn1::ObjectIdentifier};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// What the certificate says that a client has shown, one that an authority of ours has signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certified {
    /// Its subject's common name, where there is exactly one and it is text.
    pub name: Option<String>,
    /// It is good until then, in Unix milliseconds.
    pub until_millis: u64,
}

/// Reads it; `None` where it can't be.
pub(crate) fn certified(certificate: &CertificateDer<'_>) -> Option<Certified> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let until = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    let until_millis = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
    Some(Certified { name: common_name(&certificate), until_millis })
}

/// `id-at-commonName`.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The DNS names that a certificate is for, in lower case; empty where it can't be read.
pub(crate) fn dns_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some((_, names))) = certificate.tbs_certificate().get_extension::<SubjectAltName>() else {
        return Vec::new();
    };
    let dns = |name: GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase()),
        _ => None,
    };
    names.0.into_iter().filter_map(dns).collect()
}

/// With two common names, two readers could differ on whose certificate it is.
fn common_name(certificate: &Certificate) -> Option<String> {
    let subject = certificate.tbs_certificate().subject();
    let mut found = subject.iter().filter(|attribute| attribute.oid == COMMON_NAME);
    let value = &found.next()?.value;
    if found.next().is_some() || !matches!(value.tag(), Tag::Utf8String | Tag::PrintableString) {
        return None;
    }
    String::from_utf8(value.value().to_vec()).ok()
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
    use super::*;

    #[test]
    fn a_star_covers_one_label() {
        assert!(covers("a.example", "a.example") && covers("*.example", "a.example"));
        for name in ["example", "a.b.example", ".example", "b.example.org"] {
            assert!(!covers("*.example", name), "{name}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_names() {
        let rubbish = CertificateDer::from_slice(b"rubbish");
        assert!(dns_names(&rubbish).is_empty() && certified(&rubbish).is_none());
    }
}
