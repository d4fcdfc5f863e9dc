//! What the dependencies may be, by `deny.toml`: their licences, where they come from, which are not taken. It is what
//! `cargo deny check bans licenses sources` holds them to, without building that tool for each change; `.ci/long` runs the
//! tool itself, advisories and all.

use std::process::Command;

use serde_json::Value;
use toml::Table;

/// What `deny.toml` says.
struct Policy {
    licences: Vec<String>,
    denied: Vec<String>,
}

impl Policy {
    fn read() -> Policy {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml")).unwrap();
        let table: Table = text.parse().unwrap();
        let list = |section: &str, key: &str| table[section][key].as_array().unwrap().clone();
        let word = |value: &toml::Value| value.as_str().unwrap().to_owned();
        Policy {
            licences: list("licenses", "allow").iter().map(word).collect(),
            denied: list("bans", "deny").iter().map(|entry| word(&entry["name"])).collect(),
        }
    }

    /// What is wrong with a package, as `cargo metadata` describes it.
    fn complaints(&self, package: &Value) -> Vec<String> {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        let name = text("name");
        let mut found = Vec::new();
        if !self.allows(text("license")) {
            found.push(format!("{name}: its licence is {:?}", text("license")));
        }
        if self.denied.iter().any(|denied| denied == name) {
            found.push(format!("{name}: denied"));
        }
        match &package["source"] {
            Value::Null => {
                for dependency in package["dependencies"].as_array().unwrap() {
                    if dependency["req"] == "*" && dependency["path"].is_null() {
                        found.push(format!("{name}: any version of {}", dependency["name"]));
                    }
                }
            }
            source if source.as_str().unwrap().starts_with("registry+") => {}
            source => found.push(format!("{name}: it comes from {source}")),
        }
        found
    }

    /// Whether an SPDX expression can be met with the licences allowed.
    fn allows(&self, expression: &str) -> bool {
        let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut at = 0;
        !words.is_empty() && self.any(&words, &mut at) && at == words.len()
    }

    fn any(&self, words: &[&str], at: &mut usize) -> bool {
        let mut met = self.all(words, at);
        while words.get(*at) == Some(&"OR") {
            *at += 1;
            met |= self.all(words, at);
        }
        met
    }

    fn all(&self, words: &[&str], at: &mut usize) -> bool {
        let mut met = self.one(words, at);
        while words.get(*at) == Some(&"AND") {
            *at += 1;
            met &= self.one(words, at);
        }
        met
    }

    fn one(&self, words: &[&str], at: &mut usize) -> bool {
        let Some(&word) = words.get(*at) else { return false };
        *at += 1;
        if word == "(" {
            let met = self.any(words, at);
            *at += 1;
            return met;
        }
        if words.get(*at) == Some(&"WITH") {
            *at += 2;
        }
        self.licences.iter().any(|allowed| allowed == word)
    }
}

#[test]
fn dependencies_are_what_deny_toml_allows() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform"])
        .arg("x86_64-unknown-linux-gnu")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = all["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "{} packages", packages.len());
    let policy = Policy::read();
    let found: Vec<String> = packages.iter().flat_map(|package| policy.complaints(package)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_is_not_allowed_is_found() {
    let policy = Policy { licences: vec!["MIT".into(), "ISC".into()], denied: vec!["tokio".into()] };
    for expression in ["MIT", "GPL-3.0 OR MIT", "MIT/Apache-2.0", "(GPL-3.0 OR ISC) AND MIT", "ISC WITH x"] {
        assert!(policy.allows(expression), "{expression}");
    }
    for expression in ["", "GPL-3.0", "GPL-3.0 AND MIT", "(MIT OR GPL-3.0) AND GPL-3.0", "MIT )"] {
        assert!(!policy.allows(expression), "{expression}");
    }
    for package in [
        r#"{"name":"tokio","license":"MIT","source":"registry+x"}"#,
        r#"{"name":"a","license":"GPL-3.0","source":"registry+x"}"#,
        r#"{"name":"a","license":"MIT","source":"git+x"}"#,
        r#"{"name":"a","license":"MIT","source":null,"dependencies":[{"name":"b","req":"*","path":null}]}"#,
    ] {
        assert_eq!(policy.complaints(&serde_json::from_str(package).unwrap()).len(), 1, "{package}");
    }
    let good = r#"{"name":"a","license":"MIT OR GPL-3.0","source":"registry+x"}"#;
    assert!(policy.complaints(&serde_json::from_str(good).unwrap()).is_empty());
}
