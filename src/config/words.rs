//! A command as one writes it in a shell, cut into its words. No shell reads it: quotes and backslashes keep spaces, and nothing else
//! means anything.

/// The words.
///
/// # Errors
/// A quote has no end.
pub(crate) fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        None => return Err(format!("a {c} has no end in `{text}`")),
                        Some(end) if end == c => break,
                        Some('\\') if c == '"' => word.extend(chars.next()),
                        Some(other) => word.push(other),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Words as a text that is cut into them again.
pub(crate) fn join<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let quoted = words.into_iter().map(|word| {
        let is_plain = |c: char| c.is_alphanumeric() || "_-./=:,@%+".contains(c);
        if !word.is_empty() && word.chars().all(is_plain) {
            word.to_owned()
        } else {
            format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_as_in_a_shell_without_its_magic() {
        for (text, words) in [
            ("bash ./counter.sh", &["bash", "./counter.sh"][..]),
            ("  sh -c 'echo \"$A\" | cat'  ", &["sh", "-c", "echo \"$A\" | cat"]),
            (r#"a\ b "c \"d\"" '' e"f"g"#, &["a b", "c \"d\"", "", "efg"]),
            ("", &[]),
        ] {
            assert_eq!(split(text).unwrap(), words, "{text}");
            assert_eq!(split(&join(words.iter().copied())).unwrap(), words, "{text}, written again");
        }
        assert!(split("sh -c 'x").is_err());
    }
}
