//! `loadtest report`: from the JSON of runs to a document that a person reads, with drawings beside it.

pub mod bars;
pub mod canvas;
pub mod cells;
pub mod curves;
pub mod document;
#[cfg(test)]
mod fixture;
pub mod glance;
pub mod goals;
mod index;
pub mod markdown;
pub mod measures;
pub mod plots;
pub mod scale;

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use self::document::Document;
use crate::comparison::Comparison;
use crate::files::{self, about};
use crate::result::Run;

/// The folder of reports, in the repository.
pub const FOLDER: &str = "loadtest/reports";

/// What is asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Results: a run each, lists of runs, or one comparison
    #[arg(required_unless_present = "index", value_name = "JSON")]
    pub files: Vec<PathBuf>,
    /// The report's name: NAME.md and NAME-….svg
    #[arg(long, required_unless_present = "index")]
    pub name: Option<String>,
    /// Its heading, if not its name
    #[arg(long)]
    pub title: Option<String>,
    /// Where it goes
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    pub out: PathBuf,
    /// Make the index of all reports there, README.md in the folder above, instead of a report
    #[arg(long, conflicts_with_all = ["files", "name", "title"])]
    pub index: bool,
}

/// Reads the results, writes the report, and says where it is.
pub fn run(args: &Args) -> io::Result<()> {
    let Some(name) = &args.name else {
        let page = args.out.parent().unwrap_or(Path::new("")).join("README.md");
        index::write(&args.out, &page)?;
        println!("{}", page.display());
        return Ok(());
    };
    let comparison = read_files(&args.files)?;
    let written = write(&comparison, name, args.title.as_deref(), &args.out)?;
    println!("{}", written.display());
    Ok(())
}

/// Writes `NAME.md` and its drawings into a folder, which is made if need be. Returns the document's path.
pub fn write(comparison: &Comparison, name: &str, title: Option<&str>, folder: &Path) -> io::Result<PathBuf> {
    let document = Document::of(comparison, name, title.unwrap_or(name));
    for plot in &document.plots {
        files::write(&folder.join(format!("{name}-{}.svg", plot.file)), &plot.svg)?;
    }
    let path = folder.join(format!("{name}.md"));
    files::write(&path, &document.text)?;
    Ok(path)
}

/// One comparison of all that these files hold.
pub fn read_files(files: &[PathBuf]) -> io::Result<Comparison> {
    let texts = files.iter().map(|file| files::read(file)).collect::<io::Result<Vec<String>>>()?;
    read(files.iter().map(PathBuf::as_path).zip(texts.iter().map(String::as_str)))
}

/// One comparison of all that the texts hold.
fn read<'a>(files: impl Iterator<Item = (&'a Path, &'a str)>) -> io::Result<Comparison> {
    let mut runs: Vec<Run> = Vec::new();
    let mut comparisons: Vec<Comparison> = Vec::new();
    for (path, text) in files {
        let invalid = |error: serde_json::Error| about(path, &error.to_string());
        let value: Value = serde_json::from_str(text).map_err(invalid)?;
        match value {
            Value::Array(list) => {
                for run in list {
                    runs.push(serde_json::from_value(run).map_err(invalid)?);
                }
            }
            value if value.get("rows").is_some() => {
                comparisons.push(serde_json::from_value(value).map_err(invalid)?);
            }
            value => runs.push(serde_json::from_value(value).map_err(invalid)?),
        }
    }
    let mut all = comparisons.into_iter();
    let Some(mut first) = all.next() else { return Ok(Comparison::of_runs(&runs)) };
    let rest = (!runs.is_empty()).then(|| Comparison::of_runs(&runs));
    for other in all.chain(rest) {
        if other.machine != first.machine {
            first.notes.push("The runs were made on different machines; the first one's is shown.".into());
        }
        first.versions.extend(other.versions);
        first.rows.extend(other.rows);
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(texts: &[&str]) -> io::Result<Comparison> {
        read(texts.iter().map(|text| (Path::new("x.json"), *text)))
    }

    fn run(target: &str, rate: f64) -> Run {
        Run::example("echo", target, &[("messages_per_second", rate)])
    }

    #[test]
    fn runs_lists_and_comparisons_are_all_read() {
        let one = serde_json::to_string(&run("a", 1.0)).expect("plain data");
        let list = serde_json::to_string(&[run("a", 3.0), run("b", 2.0)]).expect("plain data");
        let both = read_all(&[&one, &list]).expect("valid");
        assert_eq!(both.rows[0].cell("a").expect("two rounds").figures["messages_per_second"], 2.0);
        let again = serde_json::to_string(&both).expect("plain data");
        assert_eq!(read_all(&[&again]).expect("valid"), both);
        assert_eq!(read_all(&[&again, &one]).expect("valid").rows.len(), 2);
    }

    #[test]
    fn a_broken_file_is_named() {
        let error = read_all(&["{"]).expect_err("not JSON");
        assert!(error.to_string().starts_with("x.json: "));
    }
}
