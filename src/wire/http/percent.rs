//! Percent-encoding (RFC 3986 §2.1), read strictly.

/// The text behind escapes; `None` where one is cut or no hexadecimal number, or where what comes out is not UTF-8.
#[must_use]
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' { digit(bytes.next()?)? << 4 | digit(bytes.next()?)? } else { byte });
    }
    String::from_utf8(decoded).ok()
}

/// The same of a value in a query, where a `+` is a space, as forms, `URLSearchParams` and the libraries of most languages write
/// it (WHATWG URL §5.1); a plus is `%2B` there.
#[must_use]
pub fn query_decoded(text: &str) -> Option<String> {
    percent_decoded(&text.replace('+', " "))
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_bytes_of_utf8_or_nothing() {
        for (text, decoded) in [
            ("", Some("")),
            ("a%40b", Some("a@b")),
            ("%2F%2f", Some("//")),
            ("%C3%A4", Some("ä")),
            ("a+b", Some("a+b")),
        ] {
            assert_eq!(percent_decoded(text).as_deref(), decoded, "{text}");
        }
        assert_eq!(query_decoded("a+b%2Bc%20d").as_deref(), Some("a b+c d"));
        for text in ["%", "%4", "a%", "%zz", "%+f", "%ff", "%C3"] {
            assert_eq!(percent_decoded(text), None, "{text}");
        }
    }
}
