//! One request for a set of keys. It ends in time whatever the other side does, follows no redirect, and keeps no
//! connection.

use std::sync::Arc;
use std::time::Duration;

use ureq::http::{HeaderMap, StatusCode};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Error};

use super::url::KeyUrl;
use crate::limits::JWKS_BYTES_MAX;

/// The document that came.
pub(super) struct Download {
    pub(super) bytes: Vec<u8>,
    /// For how many seconds the sender says that it is fresh, if it says anything.
    pub(super) fresh_seconds: Option<u64>,
}

/// Downloads the document at `url`, from looking up its host to the last byte within `time`.
///
/// # Errors
/// What is wrong, as the rest of a sentence that begins with the URL.
pub(super) fn download(url: &KeyUrl, time: Duration) -> Result<Download, String> {
    let failed = |error: &Error| failed(error, time);
    let mut response = agent(url, time)?.get(url.as_str()).call().map_err(|error| failed(&error))?;
    let (status, headers) = (response.status(), response.headers());
    if status.is_redirection() {
        let to = headers.get("Location").and_then(|to| to.to_str().ok()).unwrap_or("elsewhere");
        let to: String = to.chars().take(200).collect();
        return Err(format!("answers {} and names {to:?}: redirects are not followed", status.as_u16()));
    }
    if status != StatusCode::OK {
        return Err(format!("answers {}", status.as_u16()));
    }
    let fresh_seconds = fresh_seconds(headers);
    // One byte more shows that it is too large.
    let reading = response.body_mut().with_config().limit(JWKS_BYTES_MAX as u64 + 1);
    match reading.read_to_vec() {
        Ok(bytes) => Ok(Download { bytes, fresh_seconds }),
        Err(Error::BodyExceedsLimit(_)) => Err(format!("is over {} KiB", JWKS_BYTES_MAX >> 10)),
        Err(error) => Err(failed(&error)),
    }
}

/// Made for each request: certificates that the machine has trusted since count, and none is held in between.
fn agent(url: &KeyUrl, time: Duration) -> Result<Agent, String> {
    let config = Agent::config_builder()
        .timeout_global(Some(time))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_response_header_size(16 << 10)
        .user_agent(concat!("rollcall/", env!("CARGO_PKG_VERSION")))
        .accept("application/jwk-set+json, application/json")
        .max_idle_connections(0);
    // A proxy sees what is asked for without TLS, and could answer itself.
    let config = if url.is_local() { config.proxy(None) } else { config };
    let config = if url.is_secure() {
        config.tls_config(TlsConfig::builder().root_certs(roots()?).build())
    } else {
        config
    };
    Ok(config.build().new_agent())
}

/// The authorities that the machine trusts, among them a company's own; where it has none, as many containers, those
/// that browsers trust.
fn roots() -> Result<RootCerts, String> {
    let found = rustls_native_certs::load_native_certs();
    match (found.certs.is_empty(), found.errors.first()) {
        (true, Some(error)) => Err(format!(
            "can't be asked, since the certificates that are trusted here can't be read: {error}"
        )),
        (true, None) => Ok(RootCerts::WebPki),
        (false, _) => {
            let certificates = found.certs.iter().map(|one| Certificate::from_der(one).to_owned());
            Ok(RootCerts::Specific(Arc::new(certificates.collect())))
        }
    }
}

fn failed(error: &Error, time: Duration) -> String {
    match error {
        Error::Timeout(_) => format!("did not answer within {time:?}"),
        Error::HostNotFound => "is on a host that is not found".to_owned(),
        error => format!("can't be read: {error}"),
    }
}

/// RFC 9111 §5.2.2 and §5.1: `max-age` less the time that the answer has lain in caches.
fn fresh_seconds(headers: &HeaderMap) -> Option<u64> {
    let text = |name: &'static str| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let directives = || text("Cache-Control").flat_map(|value| value.split(',')).map(str::trim);
    let is = |one: &str, name: &str| one.eq_ignore_ascii_case(name);
    if directives().any(|one| is(one, "no-store") || is(one, "no-cache")) {
        return Some(0);
    }
    let seconds = directives().find_map(|one| {
        let (name, value) = one.split_once('=')?;
        if is(name, "max-age") { value.trim_matches('"').parse::<u64>().ok() } else { None }
    })?;
    let age = text("Age").find_map(|value| value.trim().parse::<u64>().ok()).unwrap_or(0);
    Some(seconds.saturating_sub(age))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_sender_says_of_its_freshness_is_read() {
        for (fields, seconds) in [
            (&[][..], None),
            (&[("Cache-Control", "public, max-age=300")], Some(300)),
            (&[("Cache-Control", "Max-Age=\"300\""), ("Age", "100")], Some(200)),
            (&[("Cache-Control", "max-age=300"), ("Age", "400")], Some(0)),
            (&[("Cache-Control", "public"), ("Cache-Control", "max-age=15, stale-if-error=86400")], Some(15)),
            (&[("Cache-Control", "max-age=300, no-cache")], Some(0)),
            (&[("Cache-Control", "no-store")], Some(0)),
            (&[("Cache-Control", "s-maxage=300, max-age=x, private")], None),
            (&[("Cache-Control", "max-age=99999999999999999999")], None),
            (&[("Age", "5")], None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, value.parse().unwrap());
            }
            assert_eq!(fresh_seconds(&headers), seconds, "{fields:?}");
        }
    }
}
