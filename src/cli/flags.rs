//! The settings of the command line, and where the others are read.

use std::path::PathBuf;

use clap::Args;

use crate::cli::failure::Failure;
use crate::config::{Layer, Sources};

#[derive(Args, Clone)]
pub(super) struct CliFlags {
    /// File of settings, TOML
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) layer: Layer,
}

/// All settings, and where each comes from.
pub(super) fn read(flags: CliFlags) -> Result<Sources, Failure> {
    Sources::read(&flags.layer, flags.config, std::env::vars_os()).map_err(Failure::usage)
}
