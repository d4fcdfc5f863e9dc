//! The places where settings are said: flag > environment > file > default.
//!
//! Each place becomes a TOML table under the settings' names, so that one rule merges them and `config print` can say
//! where each value comes from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use toml::{Spanned, Table, Value};

use super::layer::{DEFAULTS, Layer, LayerParser, explained, keys, one_line};

/// The settings of each source.
#[derive(Clone, Default, Debug)]
pub(crate) struct Sources {
    flags: Table,
    environment: Table,
    file: Table,
    path: Option<PathBuf>,
    /// Things that are probably not meant: a line each, for the log.
    pub(crate) warnings: Vec<String>,
}

/// The source of a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum SettingSource {
    Default,
    File(PathBuf),
    Environment(String),
    Flag(String),
}

impl Sources {
    /// Reads the environment and the file beside the flags.
    ///
    /// # Errors
    /// One line: what is wrong and where.
    pub(crate) fn read(
        flags: &Layer,
        path: Option<PathBuf>,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Sources, String> {
        let mut sources = Sources { flags: table_of(flags), path, ..Sources::default() };
        let mut path_said = None;
        for (name, value) in environment {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
            if name == "ROLLCALL_CONFIG" {
                path_said = Some(PathBuf::from(value)).filter(|path| !path.as_os_str().is_empty());
            } else {
                let value = value.to_str().ok_or_else(|| format!("{name} is not UTF-8"))?;
                sources.read_variable(name, value)?;
            }
        }
        sources.path = sources.path.or(path_said);
        if let Some(path) = &sources.path {
            sources.file = read_file(path)?;
        }
        Ok(sources)
    }

    /// The layer in which every place has had its say, by precedence.
    ///
    /// # Panics
    /// Never: each table is a layer's, or [`DEFAULTS`], which a test reads.
    pub(crate) fn merged(&self) -> Layer {
        let merged = self.merged_table();
        merged.try_into().expect("every table was a layer")
    }

    /// The source of a setting's value; `None` where it is nowhere set.
    pub(crate) fn origin(&self, key: &str) -> Option<SettingSource> {
        if self.flags.contains_key(key) {
            Some(SettingSource::Flag(format!("--{key}")))
        } else if self.environment.contains_key(key) {
            Some(SettingSource::Environment(variable_of(key)))
        } else if self.file.contains_key(key) {
            self.path.clone().map(SettingSource::File)
        } else {
            defaults().contains_key(key).then_some(SettingSource::Default)
        }
    }

    /// All settings as a file that `--config` takes, each with what it is for and where it comes from.
    pub(crate) fn print(&self) -> String {
        let merged = self.merged_table();
        let mut text = String::new();
        for (key, help) in explained() {
            if !text.is_empty() {
                text.push('\n');
            }
            comment(&mut text, &help);
            // Writing to a String can't fail.
            let _ = match (merged.get(&key), self.origin(&key)) {
                (Some(_), Some(origin)) if SECRET.contains(&&*key) => {
                    writeln!(text, "{:<44} # {origin}; not shown", format!("#{key} ="))
                }
                (Some(value), Some(origin)) => {
                    writeln!(text, "{:<44} # {origin}", format!("{key} = {value}"))
                }
                _ => writeln!(text, "{:<44} # not set", format!("#{key} =")),
            };
        }
        text
    }

    /// The settings whose values differ in `newer`, by name.
    pub(crate) fn changes(&self, newer: &Sources) -> Vec<String> {
        let (old, new) = (self.merged_table(), newer.merged_table());
        keys().into_iter().filter(|key| old.get(key) != new.get(key)).collect()
    }

    /// Takes over these settings' values from the file and the environment of `newer`; the others stay what the server
    /// was started with.
    pub(crate) fn follow(&mut self, newer: &Sources, keys: &[&str]) {
        for key in keys {
            for (old, new) in [(&mut self.file, &newer.file), (&mut self.environment, &newer.environment)] {
                match new.get(*key) {
                    Some(value) => drop(old.insert((*key).to_owned(), value.clone())),
                    None => drop(old.remove(*key)),
                }
            }
        }
    }

    fn merged_table(&self) -> Table {
        let mut merged = defaults();
        for table in [&self.file, &self.environment, &self.flags] {
            merged.extend(table.clone());
        }
        merged
    }

    fn read_variable(&mut self, name: &str, value: &str) -> Result<(), String> {
        let key = name[PREFIX.len()..].to_ascii_lowercase().replace('_', "-");
        if !keys().contains(&key) {
            if let Some(near) = nearest(&key) {
                self.warnings.push(format!("{name} is not a setting; did you mean {}?", variable_of(&near)));
            }
            return Ok(());
        }
        if value.is_empty() {
            return Ok(());
        }
        // Lists are separated by commas, which no single value holds.
        let args = value.split(',').map(|element| format!("--{key}={}", element.trim()));
        let parsed = LayerParser::try_parse_from(args).map_err(|error| {
            let line = one_line(&error);
            let reason = line.split_once(">': ").map_or(line.as_str(), |(_, reason)| reason);
            format!("{name}: {reason}")
        })?;
        self.environment.extend(table_of(&parsed.layer));
        Ok(())
    }
}

const PREFIX: &str = "ROLLCALL_";
/// Settings whose values are not printed.
const SECRET: [&str; 1] = ["api-key"];

fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('-', "_"))
}

/// A sentence as lines of comment.
fn comment(text: &mut String, sentence: &str) {
    let mut width = 0;
    for word in sentence.split_whitespace() {
        if width == 0 || width + 1 + word.len() > COMMENT_WIDTH {
            text.push_str(if width == 0 { "#" } else { "\n#" });
            width = 1;
        }
        text.push(' ');
        text.push_str(word);
        width += 1 + word.len();
    }
    text.push('\n');
}

const COMMENT_WIDTH: usize = 100;

fn defaults() -> Table {
    DEFAULTS.parse().expect("DEFAULTS is TOML")
}

/// A layer as a table of what it says.
fn table_of(layer: &Layer) -> Table {
    Table::try_from(layer).expect("a layer has a table's shape")
}

/// The setting that `key` is probably meant to be.
fn nearest(key: &str) -> Option<String> {
    let near = |known: &String| strsim::damerau_levenshtein(known, key);
    keys().into_iter().min_by_key(near).filter(|known| near(known) <= 2.max(known.len() / 4))
}

fn read_file(path: &Path) -> Result<Table, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("can't read {}: {error}", path.display()))?;
    parse_file(&text).map_err(|(line, message)| format!("{}:{line}: {message}", path.display()))
}

/// The settings in a file's text, or the line of the first mistake and what it is.
fn parse_file(text: &str) -> Result<Table, (usize, String)> {
    let line_of = |offset: usize| 1 + text[..offset.min(text.len())].matches('\n').count();
    let whole: BTreeMap<Spanned<String>, Value> = toml::from_str(text).map_err(|error| {
        let line = line_of(error.span().map_or(0, |span| span.start));
        (line, first_line(error.message()))
    })?;
    let mut entries: Vec<_> = whole.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut file = Table::new();
    for (key, value) in entries {
        let (line, key) = (line_of(key.span().start), key.into_inner());
        if !keys().contains(&key) {
            let hint = nearest(&key.replace('_', "-")).map_or_else(
                || "`rollcall config print` lists all".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            return Err((line, format!("unknown setting `{key}`; {hint}")));
        }
        let entry = Table::from_iter([(key.clone(), value)]);
        let layer: Layer = entry
            .try_into()
            .map_err(|error: toml::de::Error| (line, format!("{key}: {}", first_line(error.message()))))?;
        file.extend(table_of(&layer));
    }
    Ok(file)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

impl std::fmt::Display for SettingSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SettingSource::Default => f.write_str("default"),
            SettingSource::File(path) => write!(f, "file {}", path.display()),
            SettingSource::Environment(name) | SettingSource::Flag(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::units::Size;

    fn read(flags: &[&str], variables: &[(&str, &str)]) -> Result<Sources, String> {
        let layer = LayerParser::try_parse_from(flags).unwrap().layer;
        Sources::read(&layer, None, variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn the_flag_wins_over_the_environment_over_the_file() {
        let mut sources = read(
            &["--workers=3"],
            &[
                ("ROLLCALL_WORKERS", "4"),
                ("ROLLCALL_MAX_MESSAGE", "2MiB"),
                ("ROLLCALL_ORIGIN", "http://a, http://b"),
            ],
        )
        .unwrap();
        sources.path = Some("f.toml".into());
        sources.file = parse_file("workers = 5\nmax-message = \"3MiB\"\nmax-frame = 4096").unwrap();
        let layer = sources.merged();
        assert_eq!((layer.workers, layer.max_message), (Some(3), Some(Size(2 << 20))));
        assert_eq!(layer.max_frame, Some(Size(4096)));
        assert_eq!(layer.origin.unwrap(), ["http://a", "http://b"]);
        for (key, origin) in [
            ("workers", Some("--workers")),
            ("max-message", Some("ROLLCALL_MAX_MESSAGE")),
            ("max-frame", Some("file f.toml")),
            ("drain", Some("default")),
            ("admin-listen", None),
        ] {
            assert_eq!(sources.origin(key).map(|origin| origin.to_string()).as_deref(), origin, "{key}");
        }
    }

    #[test]
    fn what_is_printed_is_a_file_that_says_the_same() {
        let sources = read(&["--workers=3", "--listen=[::1]:0", "--listen=localhost:9"], &[]).unwrap();
        let mut again = Sources { file: parse_file(&sources.print()).unwrap(), ..Sources::default() };
        again.path = Some("f.toml".into());
        assert_eq!(again.merged_table(), sources.merged_table());
        let printed = sources.print();
        let settings = printed.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
        assert_eq!(settings.count(), keys().len());
        assert!(
            printed.contains("# Output queued for one client; past it: close 1013\nmax-backlog = "),
            "{printed}"
        );
        assert!(
            printed.lines().all(|line| !line.starts_with('#') || line.len() <= COMMENT_WIDTH + 1),
            "{printed}"
        );
    }

    #[test]
    fn a_mistake_in_a_file_is_named_by_line() {
        for (text, line, part) in [
            ("\nmax_mesage = 1", 2, "unknown setting `max_mesage`; did you mean `max-message`?"),
            ("[server]\nworkers = 1", 1, "unknown setting `server`; `rollcall config print`"),
            ("workers = 1\ndrain = 5", 2, "drain: `5` has no unit"),
            ("workers = \"x\"", 1, "workers: invalid type"),
            ("log = \"xml\"", 1, "log: unknown variant `xml`"),
            ("unix-mode = \"rw\"", 1, "no mode"),
            ("workers = 1\n\nworkers = 2", 3, "duplicate key"),
            ("workers 1", 1, ""),
        ] {
            let (found, message) = parse_file(text).unwrap_err();
            assert!(found == line && message.contains(part), "{text}: {found}: {message}");
            assert!(!message.contains('\n'));
        }
    }

    #[test]
    fn a_mistake_in_the_environment_is_named_by_variable() {
        let error = read(&[], &[("ROLLCALL_DRAIN", "5")]).unwrap_err();
        assert_eq!(error, "ROLLCALL_DRAIN: `5` has no unit: 5ms, 5s, 5m or 5h");
        let sources = read(&[], &[("ROLLCALL_LISEN", "x"), ("ROLLCALL_SERVICE_HOST", "10.0.0.1")]).unwrap();
        assert_eq!(sources.warnings, ["ROLLCALL_LISEN is not a setting; did you mean ROLLCALL_LISTEN?"]);
        assert!(read(&[], &[("ROLLCALL_WORKERS", "")]).unwrap().merged().workers.is_none());
    }
}
