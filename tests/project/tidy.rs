//! What a reviewer would otherwise say every time: each file says first what it is, none has more than one subject's
//! worth of lines, and nothing is left open.

use std::path::Path;

use super::sources::{self, code, paths};

const LINES_MAX: usize = 450;

/// What is untidy about a file.
fn untidy(file: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if !text.starts_with("//! ") {
        found.push(format!("{file}:1: begin with `//! ` and what this file is"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        found.push(format!("{file}: {lines} lines, over {LINES_MAX}: has it still one subject?"));
    }
    let code = code(text);
    for named in paths(&code) {
        if ["todo", "unimplemented", "dbg"].contains(&named.segments[named.segments.len() - 1].as_str())
            && code.lines().nth(named.line - 1).is_some_and(|line| line.contains("!("))
        {
            found.push(format!("{file}:{}: finish it", named.line));
        }
    }
    for (i, line) in code.lines().enumerate() {
        if line.contains("#[allow") || line.contains("#![allow") {
            found.push(format!("{file}:{}: `expect` with a reason, not `allow`", i + 1));
        }
        if line.contains("#[ignore") {
            found.push(format!("{file}:{}: a test that isn't run tests nothing", i + 1));
        }
    }
    found
}

#[test]
fn every_source_is_tidy() {
    let sources = sources::all(&["src", "loadtest", "tests", "benches"]);
    let found: Vec<String> = sources.iter().flat_map(|source| untidy(&source.file, &source.text)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn each_untidiness_is_found() {
    let long = format!("//! Long.\n{}", "\n".repeat(LINES_MAX));
    for text in [
        "use std::io;\n",
        &long,
        "//! A.\nfn f() { todo!() }\n",
        "//! A.\nfn f() { dbg!(1); }\n",
        "//! A.\n#[allow(dead_code)]\nfn f() {}\n",
        "//! A.\n#[test]\n#[ignore]\nfn f() {}\n",
    ] {
        assert_eq!(untidy("sample.rs", text).len(), 1, "{text:.60}");
    }
    assert!(untidy("sample.rs", "//! A.\n// todo!() in a comment\nlet todo = \"dbg!(1)\";\n").is_empty());
}

/// Files that documentation names, in backquotes, and that `exists` doesn't know.
fn strangers(text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let docs = text.lines().filter_map(|line| line.trim_start().strip_prefix("//!"));
    let quoted = docs.flat_map(|line| line.split('`').skip(1).step_by(2));
    quoted.filter(|name| name.ends_with(".rs") && !exists(name)).map(str::to_owned).collect()
}

#[test]
fn files_that_the_crate_documentation_names_exist() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(top.join("src/lib.rs")).unwrap();
    let exists = |name: &str| top.join("src").join(name).is_file() || top.join(name).is_file();
    assert_eq!(strangers(&text, exists), [""; 0]);
    let sample = "//! `a.rs`, `b.rs` | not code: `c`\nlet `d.rs`";
    assert_eq!(strangers(sample, |name| name == "a.rs"), ["b.rs"]);
}
