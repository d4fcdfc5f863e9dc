//! A worker is put together of parts: a type that does everything, in files that all may change it, is what it once was.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::{all, code};

/// Methods of a type, and files that add some to it.
const METHODS_MAX: usize = 40;
const FILES_MAX: usize = 2;
/// One cache line, whose state no other type may change, and of which each file has one subject: the bounds of its own.
const CONN: (&str, usize, usize) = ("Conn", 130, 10);

/// What a type has.
#[derive(Default)]
struct Methods {
    count: usize,
    files: BTreeSet<String>,
}

/// Whose methods a line begins to list, where it does: `impl<N: Net> Worker<N> {`, and no trait's.
fn implemented(line: &str) -> Option<&str> {
    let rest =
        line.strip_prefix("impl").filter(|rest| rest.starts_with(['<', ' ']) && !rest.contains(" for "))?;
    let (mut depth, mut before) = (0_usize, ' ');
    let end_of_parameters = rest.char_indices().find_map(|(at, c)| {
        match c {
            '<' => depth += 1,
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        before = c;
        (depth == 0).then_some(at + usize::from(c == '>'))
    })?;
    let name = rest[end_of_parameters..].trim_start();
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

fn is_method(line: &str) -> bool {
    let Some(item) = line.strip_prefix("    ").filter(|item| !item.starts_with(' ')) else { return false };
    let words = item.split_whitespace().map(|word| word.split('(').next().unwrap_or_default());
    words.take_while(|word| ["pub", "const", "unsafe", "fn"].contains(word)).any(|word| word == "fn")
}

fn note(methods: &mut BTreeMap<String, Methods>, file: &str, text: &str) {
    let code = code(text);
    let code = code.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let mut current = None;
    for line in code.lines() {
        if let Some(name) = implemented(line) {
            current = Some(name.to_owned());
        } else if line.starts_with('}') {
            current = None;
        } else if let Some(name) = current.as_ref().filter(|_| is_method(line)) {
            let methods = methods.entry(name.clone()).or_default();
            methods.count += 1;
            methods.files.insert(file.to_owned());
        }
    }
}

fn too_much(methods: &BTreeMap<String, Methods>) -> Vec<String> {
    let bounds = |name: &str| if name == CONN.0 { (CONN.1, CONN.2) } else { (METHODS_MAX, FILES_MAX) };
    let is_over = |(name, methods): &(&String, &Methods)| {
        let (count, files) = bounds(name);
        methods.count > count || methods.files.len() > files
    };
    let told = |(name, Methods { count, files }): (&String, &Methods)| {
        format!("{name}: {count} methods in {files:?}: make a part of it, with fields of its own")
    };
    methods.iter().filter(is_over).map(told).collect()
}

#[test]
fn no_type_does_everything() {
    let mut methods = BTreeMap::new();
    for source in all(&["src/reactor", "src/conn"]) {
        note(&mut methods, &source.file, &source.text);
    }
    assert!(methods["Worker"].count > 5 && methods["Conn"].count > 5, "they are found");
    let found = too_much(&methods);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_type_that_does_is_found() {
    let method = "    pub(crate) const fn act<T: Fn(u8) -> u8>(&self) {}\n";
    let block = |count: usize| {
        format!("impl<N: Into<Option<u8>>, F: Fn(u8) -> u8> Worker<N, F> {{\n{}}}\n", method.repeat(count))
    };
    let found = |texts: &[(&str, String)]| {
        let mut methods = BTreeMap::new();
        texts.iter().for_each(|(file, text)| note(&mut methods, file, text));
        too_much(&methods)
    };
    assert_eq!(found(&[("a.rs", block(METHODS_MAX))]), Vec::<String>::new());
    assert_eq!(found(&[("a.rs", block(METHODS_MAX + 1))]).len(), 1);
    assert_eq!(found(&[("a.rs", block(1)), ("b.rs", block(1))]), Vec::<String>::new());
    assert_eq!(found(&[("a.rs", block(1)), ("b.rs", block(1)), ("c.rs", block(1))]).len(), 1);
    let traits = "impl Drop for Worker {\n    fn drop(&mut self) {}\n}\n".repeat(METHODS_MAX + 1);
    assert_eq!(found(&[("a.rs", traits)]), Vec::<String>::new());
}
