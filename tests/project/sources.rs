//! The project's own sources, for the tests that hold them to the design: code without comments and strings, the paths
//! that it names, and the files.

use std::fs;
use std::path::Path;

/// A source file.
pub(crate) struct Source {
    /// From the top of the repository: `src/wire/frame.rs`.
    pub(crate) file: String,
    /// As it stands.
    pub(crate) text: String,
}

/// A path that code names, one for each leaf of a `use` tree: `std::net::TcpStream`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
}

/// Every Rust file under these directories of the repository.
pub(crate) fn all(directories: &[&str]) -> Vec<Source> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for directory in directories {
        collect(top, &top.join(directory), &mut sources);
    }
    sources.sort_by(|a, b| a.file.cmp(&b.file));
    assert!(!sources.is_empty(), "no sources under {directories:?}");
    sources
}

fn collect(top: &Path, directory: &Path, sources: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            if !["target", "peers"].iter().any(|other| path.ends_with(other)) {
                collect(top, &path, sources);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
            sources.push(Source { file, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

/// The text with every comment, string and character blanked; lines stay where they are.
pub(crate) fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let end = match chars[i] {
            '/' if chars.get(i + 1) == Some(&'/') => end_of_line(&chars, i),
            '/' if chars.get(i + 1) == Some(&'*') => end_of_block(&chars, i),
            '"' => end_of_string(&chars, i),
            'r' if raw_hashes(&chars, i).is_some() => end_of_raw(&chars, i),
            '\'' => end_of_char(&chars, i),
            _ => i,
        };
        if end == i {
            code.push(chars[i]);
            i += 1;
        } else {
            code.extend(chars[i..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            i = end;
        }
    }
    code
}

fn end_of_line(chars: &[char], start: usize) -> usize {
    chars[start..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| start + n)
}

fn end_of_block(chars: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut i = start;
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn end_of_string(chars: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

/// The number of `#` of a raw string that starts here.
fn raw_hashes(chars: &[char], start: usize) -> Option<usize> {
    let before = start.checked_sub(1).map(|i| chars[i]);
    if before.is_some_and(|c| c != 'b' && is_word(c)) {
        return None;
    }
    let hashes = chars[start + 1..].iter().take_while(|c| **c == '#').count();
    (chars.get(start + 1 + hashes) == Some(&'"')).then_some(hashes)
}

fn end_of_raw(chars: &[char], start: usize) -> usize {
    let hashes = raw_hashes(chars, start).unwrap_or(0);
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = start + 2 + hashes;
    let found = chars[body..].windows(end.len()).position(|window| window == end);
    found.map_or(chars.len(), |n| body + n + end.len())
}

/// A character literal ends; a lifetime is none.
fn end_of_char(chars: &[char], start: usize) -> usize {
    match (chars.get(start + 1), chars.get(start + 2)) {
        (Some('\\'), _) => {
            let body = start + 3;
            chars[body..].iter().position(|c| *c == '\'').map_or(chars.len(), |n| body + n + 1)
        }
        (Some(_), Some('\'')) => start + 3,
        _ => start,
    }
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The paths that `code` names, `use` trees taken apart. A path of one segment is any word.
pub(crate) fn paths(code: &str) -> Vec<Named> {
    let mut reader = Reader { chars: code.chars().collect(), at: 0, line: 1, named: Vec::new() };
    while reader.at < reader.chars.len() {
        if reader.peek().is_some_and(is_word) {
            reader.path(&[]);
        } else {
            reader.step();
        }
    }
    reader.named
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    line: usize,
    named: Vec<Named>,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn step(&mut self) {
        if self.peek() == Some('\n') {
            self.line += 1;
        }
        self.at += 1;
    }

    fn space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.step();
        }
    }

    /// From the start of a word: the path it begins, under `prefix`.
    fn path(&mut self, prefix: &[String]) {
        let line = self.line;
        let mut segments = prefix.to_vec();
        loop {
            let start = self.at;
            while self.peek().is_some_and(is_word) {
                self.at += 1;
            }
            segments.push(self.chars[start..self.at].iter().collect());
            if self.chars.get(self.at..self.at + 2) != Some(&[':', ':']) {
                break;
            }
            self.at += 2;
            match self.peek() {
                Some('{') => return self.group(&segments),
                Some(c) if is_word(c) => {}
                _ => break,
            }
        }
        self.named.push(Named { line, segments });
    }

    /// From the `{` of a `use` tree to behind its `}`.
    fn group(&mut self, prefix: &[String]) {
        self.step();
        loop {
            self.space();
            match self.peek() {
                Some(c) if is_word(c) => self.path(prefix),
                Some('}') | None => return self.step(),
                Some(_) => self.step(),
            }
        }
    }
}

#[test]
fn comments_and_strings_are_no_code() {
    let text = "a // b\n\"c \\\" d\" e /* f /* g */ h */ i r#\"j \" k\"# l 'm' '\\'' n<'o> b\"p\" var\"q\"";
    let words: Vec<String> = paths(&code(text)).into_iter().flat_map(|named| named.segments).collect();
    assert_eq!(words, ["a", "e", "i", "l", "n", "o", "b", "var"]);
    assert_eq!(code(text).lines().count(), 2);
}

#[test]
fn use_trees_are_taken_apart() {
    let named = paths("use std::{\n  net::{TcpStream, UdpSocket},\n  thread,\n};\ncrate::http::router()");
    let found: Vec<(usize, String)> =
        named.into_iter().map(|named| (named.line, named.segments.join("::"))).collect();
    let expected = [
        (1, "use"),
        (2, "std::net::TcpStream"),
        (2, "std::net::UdpSocket"),
        (3, "std::thread"),
        (5, "crate::http::router"),
    ];
    assert_eq!(found, expected.map(|(line, path)| (line, path.to_owned())));
}
