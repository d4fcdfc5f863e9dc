//! Where a comparison goes: the flags that all who measure one have, and what they do.

use std::path::PathBuf;
use std::{fs, io};

use crate::comparison::Comparison;
use crate::report;

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
    #[arg(long, value_name = "DIR", default_value = "loadtest/reports")]
    out: PathBuf,
}

impl Output {
    /// Writes the JSON where it is asked for.
    pub fn save(&self, comparison: &Comparison) -> io::Result<()> {
        let Some(path) = &self.json else { return Ok(()) };
        let text = serde_json::to_string_pretty(comparison).expect("plain data");
        fs::write(path, text + "\n")
    }

    /// Writes a report with its drawings where it is asked for, and says where it is.
    pub fn draw(&self, comparison: &Comparison) -> io::Result<()> {
        let Some(name) = &self.name else { return Ok(()) };
        println!("{}", report::write(comparison, name, None, &self.out)?.display());
        Ok(())
    }

    /// Writes a report of text alone and says where it is; prints it where none is asked for.
    pub fn tell(&self, text: &str) -> io::Result<()> {
        let Some(name) = &self.name else {
            print!("{text}");
            return Ok(());
        };
        let path = self.out.join(format!("{name}.md"));
        fs::create_dir_all(&self.out)?;
        fs::write(&path, text)?;
        println!("{}", path.display());
        Ok(())
    }
}
