//! Origins as browsers send them (RFC 6454 §6.1, as the URL standard serialises hosts): what is written otherwise and means one is
//! rewritten to it, and what no browser sends is refused, since it would refuse every page.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::config::address::port;

/// The origin as a browser sends it.
///
/// # Errors
/// No browser sends such a one: the rest of a sentence, with what to do.
pub(crate) fn normal(text: &str) -> Result<String, String> {
    if text == "null" {
        return Ok(text.to_owned());
    }
    let refused = |error: &str| Err(format!("`{text}` is not what a browser sends, {error}"));
    let Some((scheme, rest)) = text.split_once("://") else {
        return refused("like https://example.org:8443");
    };
    let scheme = scheme.to_ascii_lowercase();
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    match scheme.as_str() {
        "ws" | "wss" => {
            let http = scheme.replace("ws", "http");
            return refused(&format!("but the page's own address: {http}://{rest}"));
        }
        // An app's page from a file, whose host is empty.
        "file" if rest.is_empty() => return Ok("file://".to_owned()),
        _ => {}
    }
    if rest.contains('*') {
        return refused("and * stands for nothing here: name each origin");
    }
    if rest.contains(['/', '?', '#', '@']) {
        return refused("which is a scheme, a host and perhaps a port, like https://example.org:8443");
    }
    let Some((host, port)) = split(rest) else { return refused("the port is a number up to 65535") };
    let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if host.is_empty() || scheme.is_empty() || !is_scheme {
        return refused("like https://example.org:8443");
    }
    let default = match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        // Of extensions and apps: browsers leave their hosts as they are.
        _ => return Ok(format!("{scheme}://{rest}")),
    };
    let host = match host_of(host) {
        Ok(host) => host,
        Err(error) => return refused(error),
    };
    Ok(match port.filter(|port| Some(*port) != default) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

/// Host, with its brackets, and port; `None` where the port is none.
fn split(rest: &str) -> Option<(&str, Option<u16>)> {
    let end = match rest.rfind(']') {
        // A text that is no address is complained of as one.
        None if rest.starts_with('[') => return Some((rest, None)),
        end => end.unwrap_or(0),
    };
    match rest[end..].find(':').map(|colon| end + colon) {
        // An empty port is the default one.
        Some(colon) if colon + 1 == rest.len() => Some((&rest[..colon], None)),
        Some(colon) => Some((&rest[..colon], Some(port(&rest[colon + 1..])?))),
        None => Some((rest, None)),
    }
}

fn host_of(host: &str) -> Result<String, &'static str> {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').and_then(|address| address.parse().ok());
        return address.map(bracketed).ok_or("no IPv6 address stands in the brackets");
    }
    if !host.is_ascii() {
        return Err("which writes such a host in ASCII: xn--…");
    }
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if !host.bytes().all(is_of_name) || host.starts_with('.') || host.contains("..") {
        return Err("the host has characters that no host has");
    }
    // A host that ends in a number is an IPv4 address, and written in no other way than this.
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let is_number =
        last.bytes().all(|byte| byte.is_ascii_digit()) || last.to_ascii_lowercase().starts_with("0x");
    if is_number && host.parse::<Ipv4Addr>().is_err() {
        return Err("which writes an IPv4 address as four numbers, like 192.0.2.1");
    }
    Ok(host.to_ascii_lowercase())
}

/// An IPv6 address as the URL standard has it: never with an IPv4 address in it.
fn bracketed(address: Ipv6Addr) -> String {
    match address.to_ipv4_mapped() {
        Some(_) => {
            let [.., high, low] = address.segments();
            format!("[::ffff:{high:x}:{low:x}]")
        }
        None => format!("[{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_an_origin_is_written_as_browsers_do() {
        for (text, sent) in [
            ("https://example.org", "https://example.org"),
            ("https://Example.org", "https://example.org"),
            ("HTTPS://EXAMPLE.ORG/", "https://example.org"),
            ("https://example.org:443", "https://example.org"),
            ("http://example.org:80/", "http://example.org"),
            ("http://example.org:443", "http://example.org:443"),
            ("https://example.org:08443", "https://example.org:8443"),
            ("https://example.org:", "https://example.org"),
            ("https://example.org.", "https://example.org."),
            ("https://xn--mnchen-3ya.de", "https://xn--mnchen-3ya.de"),
            ("http://my_host:3000", "http://my_host:3000"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("https://[2001:DB8:0:0::1]:443", "https://[2001:db8::1]"),
            ("http://[::ffff:127.0.0.1]", "http://[::ffff:7f00:1]"),
            ("chrome-extension://abcDEF", "chrome-extension://abcDEF"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("file://", "file://"),
            ("file:///", "file://"),
            ("null", "null"),
        ] {
            assert_eq!(normal(text).as_deref(), Ok(sent), "{text}");
            assert_eq!(normal(sent).as_deref(), Ok(sent), "once more");
        }
    }

    #[test]
    fn what_no_browser_sends_is_refused_with_what_to_do() {
        for (text, part) in [
            ("", "like https://"),
            ("example.org", "like https://"),
            ("Null", "like https://"),
            ("*", "like https://"),
            ("://example.org", "like https://"),
            ("https://", "like https://"),
            ("https://:443", "like https://"),
            ("https://*.example.org", "name each"),
            ("https://example.org/chat", "a scheme, a host"),
            ("https://example.org?", "a scheme, a host"),
            ("https://anna@example.org", "a scheme, a host"),
            ("wss://example.org", "https://example.org"),
            ("ws://example.org:8080/", "http://example.org:8080"),
            ("https://example.org:99999", "65535"),
            ("https://example.org:x", "65535"),
            ("https://example.org:+80", "65535"),
            ("https://münchen.de", "xn--"),
            ("https://exa mple.org", "characters"),
            ("https://example..org", "characters"),
            ("http://127.1", "four numbers"),
            ("http://0x7f000001", "four numbers"),
            ("http://192.168.0.010", "four numbers"),
            ("http://[::1", "IPv6"),
            ("http://[1.2.3.4]", "IPv6"),
        ] {
            let error = normal(text).expect_err(text);
            assert!(error.contains(part) && error.contains(&format!("`{text}`")), "{text}: {error}");
        }
    }
}
