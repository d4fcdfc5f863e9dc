//! Where a comparison goes: the flags that all who measure one have, and what they do.

use std::io;
use std::path::{Path, PathBuf};

use crate::comparison::Comparison;
use crate::{files, report};

/// The flags.
#[derive(Clone, Debug, clap::Args)]
pub struct Output {
    /// Write the result as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a report of this name
    #[arg(long)]
    name: Option<String>,
    /// Where the report goes
    #[arg(long, value_name = "DIR", default_value = report::FOLDER)]
    out: PathBuf,
}

impl Output {
    /// Makes the folders that will be needed.
    pub fn prepare(&self) -> io::Result<()> {
        self.json.as_deref().map_or(Ok(()), files::prepare)?;
        self.report().as_deref().map_or(Ok(()), files::prepare)
    }

    fn report(&self) -> Option<PathBuf> {
        self.name.as_ref().map(|name| self.out.join(format!("{name}.md")))
    }

    /// Writes the JSON where it is asked for.
    pub fn save(&self, comparison: &Comparison) -> io::Result<()> {
        self.json.as_deref().map_or(Ok(()), |file: &Path| files::write_json(file, comparison))
    }

    /// Writes a report with its drawings where it is asked for, and says where it is.
    pub fn draw(&self, comparison: &Comparison) -> io::Result<()> {
        let Some(name) = &self.name else { return Ok(()) };
        println!("{}", report::write(comparison, name, None, &self.out)?.display());
        Ok(())
    }

    /// Writes a report of text alone and says where it is; prints it where none is asked for.
    pub fn tell(&self, text: &str) -> io::Result<()> {
        let Some(file) = self.report() else {
            print!("{text}");
            return Ok(());
        };
        files::write(&file, text)?;
        println!("{}", file.display());
        Ok(())
    }
}
