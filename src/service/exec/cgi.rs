//! The environment of a command: CGI variables (RFC 3875 §4.1) as websocketd sets them, and the request's header fields. Pure.

use crate::wire::http::Head;

/// The facts of a request that are not in its head.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The client's address, where it has one.
    pub address: Option<&'a str>,
    /// The user, as a verified token has it.
    pub user: Option<&'a str>,
    /// The connection came over TLS.
    pub is_secure: bool,
    /// The part of the path that names the command.
    pub script_name: &'a str,
    /// The rest of the path.
    pub path_info: &'a str,
    /// The time, the worker and the connection's number there: together it is told from all others.
    pub number: (u64, u16, u64),
}

/// A variable.
pub type Variable = (Vec<u8>, Vec<u8>);

/// The variables of a request, behind those that every command has.
#[must_use]
pub fn environment(common: &[Variable], head: &Head<'_>, around: Circumstances<'_>) -> Vec<Variable> {
    let mut all = common.to_vec();
    let (name, port) = server(head.host(), around.is_secure);
    let decoded_path = format!("{}{}", around.script_name.trim_end_matches('/'), around.path_info);
    let address = around.address.unwrap_or_default();
    let (millis, worker, conn) = around.number;
    let software = concat!("rollcall/", env!("CARGO_PKG_VERSION"));
    for (name, value) in [
        ("REMOTE_ADDR", address),
        ("REMOTE_HOST", address),
        ("SERVER_NAME", name),
        ("SERVER_PORT", port),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_SOFTWARE", software),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("REQUEST_METHOD", "GET"),
        ("SCRIPT_NAME", around.script_name),
        ("PATH_INFO", around.path_info),
        ("PATH_TRANSLATED", &decoded_path),
        ("QUERY_STRING", head.query()),
        ("REQUEST_URI", head.target),
        ("UNIQUE_ID", &format!("{millis:x}-{worker:x}-{conn:x}")),
        ("REMOTE_USER", around.user.unwrap_or_default()),
        // They are never set, and are there so that a script finds nothing in their place.
        ("REMOTE_PORT", ""),
        ("REMOTE_IDENT", ""),
        ("AUTH_TYPE", ""),
        ("CONTENT_LENGTH", ""),
        ("CONTENT_TYPE", ""),
    ] {
        all.push((name.into(), cleaned(value.as_bytes())));
    }
    if around.is_secure {
        all.push(("HTTPS".into(), "on".into()));
    }
    fields(head, &mut all);
    all
}

/// Appends the header fields: `X-Forwarded-For` is `HTTP_X_FORWARDED_FOR`. Those of one name stand in one variable, with commas
/// between.
fn fields(head: &Head<'_>, all: &mut Vec<Variable>) {
    let first = all.len();
    for field in head.fields {
        let Some(name) = variable_of(field.name) else { continue };
        let value = cleaned(field.value);
        match all[first..].iter_mut().find(|(other, _)| *other == name) {
            Some((_, values)) => {
                values.extend_from_slice(b", ");
                values.extend_from_slice(&value);
            }
            None => all.push((name, value)),
        }
    }
}

/// The variable of a header field. There is none where two names would share it (`X_A` and `X-A`), nor for `Proxy`: programs take
/// HTTP_PROXY for their own setting.
fn variable_of(name: &str) -> Option<Vec<u8>> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_plain || name.eq_ignore_ascii_case("Proxy") {
        return None;
    }
    Some([b"HTTP_", name.to_ascii_uppercase().replace('-', "_").as_bytes()].concat())
}

/// A value without control characters: shells and logs would make something of them.
fn cleaned(value: &[u8]) -> Vec<u8> {
    let spaced = value.iter().map(|byte| if byte.is_ascii_control() { b' ' } else { *byte });
    spaced.collect::<Vec<u8>>().trim_ascii().to_vec()
}

/// Name and port of the server, as the client asked for it.
fn server(host: &str, is_secure: bool) -> (&str, &str) {
    let usual = if is_secure { "443" } else { "80" };
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (name, port)
        }
        _ => (host, usual),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::Fields;

    fn of(request: &str) -> Vec<(String, String)> {
        let mut fields = Fields::new();
        let head = Head::parse(request.as_bytes(), &mut fields).unwrap();
        let around = Circumstances {
            address: Some("192.0.2.7"),
            user: None,
            is_secure: false,
            script_name: "/count",
            path_info: "/a b",
            number: (1, 2, 3),
        };
        let common = [("PATH".into(), "/bin".into())];
        let all = environment(&common, &head, around);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        all.into_iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    #[test]
    fn a_request_is_told_as_cgi_has_it() {
        let all =
            of("GET /count/a%20b?x=1&y HTTP/1.1\r\nHost: example.org:8080\r\nX-Id: 1\r\nx-id: 2\r\n\r\n");
        for (name, value) in [
            ("PATH", "/bin"),
            ("REMOTE_ADDR", "192.0.2.7"),
            ("SERVER_NAME", "example.org"),
            ("SERVER_PORT", "8080"),
            ("SCRIPT_NAME", "/count"),
            ("PATH_INFO", "/a b"),
            ("QUERY_STRING", "x=1&y"),
            ("REQUEST_URI", "/count/a%20b?x=1&y"),
            ("REQUEST_METHOD", "GET"),
            ("HTTP_HOST", "example.org:8080"),
            ("HTTP_X_ID", "1, 2"),
            ("CONTENT_LENGTH", ""),
        ] {
            let found: Vec<_> = all.iter().filter(|(other, _)| other == name).collect();
            assert_eq!(found.len(), 1, "{name}");
            assert_eq!(found[0].1, value, "{name}");
        }
        assert!(all.iter().all(|(name, _)| name != "HTTPS"));
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_left_out() {
        let all =
            of("GET / HTTP/1.1\r\nHost: [::1]\r\nProxy: http://evil\r\nX_Id: forged\r\nA: x\ty\r\n\r\n");
        assert!(all.iter().all(|(name, _)| name != "HTTP_PROXY" && name != "HTTP_X_ID"));
        assert!(all.contains(&("HTTP_A".into(), "x y".into())));
        assert!(
            all.contains(&("SERVER_NAME".into(), "[::1]".into()))
                && all.contains(&("SERVER_PORT".into(), "80".into()))
        );
    }
}
