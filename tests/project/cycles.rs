//! Nouns below verbs: no file imports one that imports it, straight or around. A type that two files need lies below both.
//!
//! An import is a path in code that leads into another file's module, whatever it is reached through: a name that a module
//! only passes on counts for where it is defined. Paths of `#[cfg(test)]` modules are no imports.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::{self, Source, code, paths};

type Module = Vec<String>;

/// What the files of a crate name of each other.
struct Imports {
    /// By the names passed on, where they come from.
    passed_on: BTreeMap<Module, Module>,
    modules: BTreeSet<Module>,
    /// By module, the modules that it names, and the line that does.
    named: BTreeMap<Module, BTreeMap<Module, usize>>,
}

/// The module of a file below `src`; none for the crate's root and the binary.
fn module_of(file: &str) -> Option<Module> {
    let path = file.strip_prefix("src/")?.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    (!["lib", "main"].contains(&path)).then(|| path.split('/').map(str::to_owned).collect())
}

/// The file's code before its tests.
fn before_tests(text: &str) -> String {
    let code = code(text);
    let end = code.find("#[cfg(test)]\nmod tests").unwrap_or(code.len());
    code[..end].to_owned()
}

/// A path in the crate as one from its root; `None` where it leads out of it, or names nothing: `pub(super)`.
fn absolute(segments: &[String], module: &Module) -> Option<Module> {
    let up = segments.iter().take_while(|segment| *segment == "super").count();
    if segments.len() <= up.max(1) {
        return None;
    }
    match segments.first()?.as_str() {
        "crate" => Some(segments[1..].to_vec()),
        "self" => Some([module, &segments[1..]].concat()),
        "super" => Some([&module[..module.len().checked_sub(up)?], &segments[up..]].concat()),
        _ => None,
    }
}

impl Imports {
    fn of(sources: &[Source]) -> Imports {
        let files = || sources.iter().filter_map(|source| Some((module_of(&source.file)?, &source.text)));
        let modules: BTreeSet<Module> = files().map(|(module, _)| module).collect();
        let mut imports = Imports { passed_on: BTreeMap::new(), modules, named: BTreeMap::new() };
        let mut all = Vec::new();
        for (module, text) in files() {
            let code = before_tests(text);
            imports.pass_on(&module, &code);
            all.push((module, code));
        }
        for (module, code) in all {
            let found: Vec<(Module, usize)> = paths(&code)
                .iter()
                .filter_map(|named| {
                    Some((imports.home(&imports.root(&named.segments, &module)?, 8)?, named.line))
                })
                .filter(|(other, _)| *other != module)
                .collect();
            let named = imports.named.entry(module).or_default();
            for (other, line) in found {
                named.entry(other).or_insert(line);
            }
        }
        imports
    }

    /// As [`absolute`], where a path may begin with a module's child too.
    fn root(&self, segments: &[String], module: &Module) -> Option<Module> {
        absolute(segments, module).or_else(|| {
            let child = [module, &segments[..1]].concat();
            (segments.len() > 1 && self.modules.contains(&child)).then(|| [module, segments].concat())
        })
    }

    /// Notes what a module passes on of others: `pub use`.
    fn pass_on(&mut self, module: &Module, code: &str) {
        for part in code.split(';') {
            let Some(at) = part
                .find("pub use ")
                .or_else(|| part.find("pub(crate) use ").or_else(|| part.find("pub(super) use ")))
            else {
                continue;
            };
            for named in paths(&part[at..]).into_iter().filter(|named| named.segments.len() > 1) {
                if let (Some(path), Some(name)) = (self.root(&named.segments, module), named.segments.last())
                {
                    self.passed_on.insert([module, std::slice::from_ref(name)].concat(), path);
                }
            }
        }
    }

    /// The module in which what a path names is defined.
    fn home(&self, path: &[String], depth: usize) -> Option<Module> {
        for len in (1..=path.len()).rev() {
            if let Some(from) = self.passed_on.get(&path[..len]).filter(|_| depth > 0) {
                let found = self.home(&[from, &path[len..]].concat(), depth - 1);
                if found.is_some() {
                    return found;
                }
            }
            if self.modules.contains(&path[..len]) {
                return Some(path[..len].to_vec());
            }
        }
        None
    }

    /// The shortest way from each module back to itself.
    fn cycles(&self) -> Vec<String> {
        let mut cycles = BTreeMap::new();
        for start in self.named.keys() {
            let Some(way) = self.way_back(start) else { continue };
            let mut members: Vec<&Module> = way.iter().collect();
            members.sort();
            let told = way
                .iter()
                .zip(way.iter().cycle().skip(1))
                .map(|(from, to)| format!("{} (line {}) ->", from.join("::"), self.named[from][to]));
            cycles
                .entry(members.into_iter().cloned().collect::<Vec<_>>())
                .or_insert(told.collect::<Vec<_>>().join(" "));
        }
        cycles.into_values().collect()
    }

    /// A shortest cycle through a module.
    fn way_back(&self, start: &Module) -> Option<Vec<Module>> {
        let mut came_from: BTreeMap<&Module, &Module> = BTreeMap::new();
        let mut next = vec![start];
        while !next.is_empty() {
            let mut later = Vec::new();
            for module in next {
                for other in self.named.get(module).into_iter().flat_map(BTreeMap::keys) {
                    if other == start {
                        let mut way = vec![module.clone()];
                        let mut at = module;
                        while at != start {
                            at = came_from[at];
                            way.push(at.clone());
                        }
                        way.reverse();
                        return Some(way);
                    }
                    if !came_from.contains_key(other) {
                        came_from.insert(other, module);
                        later.push(other);
                    }
                }
            }
            next = later;
        }
        None
    }
}

#[test]
fn no_file_imports_one_that_imports_it() {
    let cycles = Imports::of(&sources::all(&["src"])).cycles();
    assert!(
        cycles.is_empty(),
        "{} import cycles: move what both ends need into a file below them\n{}",
        cycles.len(),
        cycles.join("\n")
    );
}

#[test]
fn each_kind_of_cycle_is_found() {
    let source = |file: &str, text: &str| Source { file: file.to_owned(), text: text.to_owned() };
    let cycles = |sources: &[Source]| Imports::of(sources).cycles();
    let straight = [source("src/a.rs", "use crate::b::B;"), source("src/b.rs", "\nfn f() { crate::a::f() }")];
    assert_eq!(cycles(&straight), ["a (line 1) -> b (line 2) ->"]);
    let around = [
        source("src/a/mod.rs", "pub mod b;\npub use b::B;"),
        source("src/a/b.rs", "use super::c::C;"),
        source("src/a/c.rs", "use crate::a::{d::D, B};"),
        source("src/a/d.rs", ""),
    ];
    assert_eq!(cycles(&around), ["a::b (line 1) -> a::c (line 1) ->"]);
    let child = [source("src/a.rs", "mod b;\nuse b::B;"), source("src/a/b.rs", "use super::A;")];
    assert_eq!(cycles(&child).len(), 1);
}

#[test]
fn what_only_looks_like_a_cycle_is_none() {
    let source = |file: &str, text: &str| Source { file: file.to_owned(), text: text.to_owned() };
    let sources = [
        source(
            "src/a.rs",
            "//! See [`B`](crate::b::B).\nfn f() {}\n#[cfg(test)]\nmod tests {\n use crate::b::B;\n}",
        ),
        source("src/b.rs", "use crate::a::f;\nuse std::fmt::Debug;"),
        source("src/c/mod.rs", "mod d;\nmod e;\npub use d::D;"),
        source("src/c/d.rs", "use crate::c::e::E;"),
        source("src/c/e.rs", ""),
    ];
    assert_eq!(Imports::of(&sources).cycles(), Vec::<String>::new());
}
