//! Files that results and reports go to. A run may take hours: whether its result can be written shows before it begins, and an error
//! names the path that stands in the way.

use std::path::Path;
use std::{fs, io};

use serde::Serialize;

/// Makes the folders above a file that is to be written.
pub fn prepare(file: &Path) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder).map_err(|error| match folder.ancestors().find(|above| above.is_file()) {
        Some(above) => about(folder, &format!("no such folder can be made: {} is a file", above.display())),
        None => about(folder, &error.to_string()),
    })?;
    if file.is_dir() { Err(about(file, "it is a folder")) } else { Ok(()) }
}

/// Writes a file, and the folders above it.
pub fn write(file: &Path, text: &str) -> io::Result<()> {
    prepare(file)?;
    fs::write(file, text).map_err(|error| about(file, &error.to_string()))
}

/// Writes a result.
pub fn write_json(file: &Path, result: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(result).expect("plain data");
    write(file, &(text + "\n"))
}

/// Reads a file of text.
pub fn read(file: &Path) -> io::Result<String> {
    fs::read_to_string(file).map_err(|error| about(file, &error.to_string()))
}

/// An error that names a path.
pub fn about(path: &Path, what: &str) -> io::Error {
    io::Error::other(format!("{}: {what}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_way_is_named() {
        let folder = std::env::temp_dir().join(format!("loadtest-{}-files", std::process::id()));
        write(&folder.join("a/b.md"), "b").expect("the folders are made");
        let blocked = write(&folder.join("a/b.md/reports/c.md"), "c").expect_err("b.md is a file");
        let named = format!("{} is a file", folder.join("a/b.md").display());
        assert!(blocked.to_string().ends_with(&named), "{blocked}");
        let taken = prepare(&folder.join("a")).expect_err("a is a folder");
        assert_eq!(taken.to_string(), format!("{}: it is a folder", folder.join("a").display()));
        let missing = read(&folder.join("d")).expect_err("there is no d");
        assert!(missing.to_string().starts_with(&folder.join("d").display().to_string()), "{missing}");
        fs::remove_dir_all(&folder).expect("it is ours");
    }
}
