//! The programs of commands: where they lie, which a directory holds, and the user that they run as. All is looked up once, when the
//! server starts.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::limits::exec::{EXEC_DEPTH_MAX, EXEC_PROGRAMS_MAX};
use crate::service::exec::settings::Program;

/// The program of a name: a path, or a file in one of the directories of `PATH`.
///
/// # Errors
/// There is none that can be run: one line.
pub(crate) fn find(name: &str, path: &str) -> Result<PathBuf, String> {
    if name.contains('/') {
        let found = Path::new(name).canonicalize().map_err(|error| format!("{name}: {error}"))?;
        return if is_program(&found) { Ok(found) } else { Err(format!("{name} can't be executed")) };
    }
    // Not canonical: a program may go by the name it is called.
    let mut all = path.split(':').filter(|directory| !directory.is_empty()).map(|d| Path::new(d).join(name));
    all.find(|file| is_program(file)).ok_or_else(|| format!("no program `{name}` in PATH"))
}

/// The programs in a directory and below, by their paths in it. Files whose names begin with a dot are not served.
///
/// # Errors
/// It can't be read, or holds too many: one line.
pub(crate) fn below(directory: &Path) -> Result<BTreeMap<String, Program>, String> {
    let directory = directory.canonicalize().map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut found = BTreeMap::new();
    collect(&directory, "", 0, &mut found)?;
    Ok(found)
}

fn collect(
    directory: &Path,
    above: &str,
    depth: usize,
    found: &mut BTreeMap<String, Program>,
) -> Result<(), String> {
    let unreadable = |error| format!("{}: {error}", directory.display());
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.starts_with('.') {
            continue;
        }
        let name = format!("{above}{name}");
        if path.is_dir() {
            if depth + 1 < EXEC_DEPTH_MAX {
                collect(&path, &format!("{name}/"), depth + 1, found)?;
            }
        } else if is_program(&path) {
            if found.len() >= EXEC_PROGRAMS_MAX {
                return Err(format!("{} holds more than {EXEC_PROGRAMS_MAX} programs", directory.display()));
            }
            found.insert(name, Program { path: path.into_os_string().into_vec(), arguments: Vec::new() });
        }
    }
    Ok(())
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// A user, as the system's files know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct User {
    pub(crate) id: u32,
    pub(crate) group: u32,
    pub(crate) name: String,
    pub(crate) home: String,
}

/// The user of a name, or of a number with a group: `www-data`, `1000:1000`.
///
/// # Errors
/// There is none: one line.
pub(crate) fn user(text: &str, passwd: &str) -> Result<User, String> {
    if let Some((id, group)) = text.split_once(':')
        && let (Ok(id), Ok(group)) = (id.parse(), group.parse())
    {
        return Ok(User { id, group, name: id.to_string(), home: "/".to_owned() });
    }
    let lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let of_line = |fields: Vec<&str>| {
        let [name, _, id, group, _, home, ..] = fields[..] else { return None };
        let (id, group) = (id.parse().ok()?, group.parse().ok()?);
        (name == text).then(|| User { id, group, name: name.to_owned(), home: home.to_owned() })
    };
    let mut users = lines.filter_map(of_line);
    users.next().ok_or_else(|| format!("no user `{text}` in /etc/passwd; UID:GID works too"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_go_by_name_or_by_numbers() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nbroken\nanna:x:1007:1008:,,,:/home/anna:/bin/sh\n";
        let anna = user("anna", passwd).unwrap();
        assert_eq!((anna.id, anna.group, anna.home.as_str()), (1007, 1008, "/home/anna"));
        let numbered = user("12:34", passwd).unwrap();
        assert_eq!((numbered.id, numbered.group), (12, 34));
        assert!(user("otto", passwd).unwrap_err().contains("no user `otto`"));
    }

    #[test]
    fn a_directory_shows_its_programs_and_nothing_else() {
        let top = std::env::temp_dir().join(format!("rollcall-programs-{}", std::process::id()));
        fs::create_dir_all(top.join("deep")).unwrap();
        for (name, mode) in [("run.sh", 0o755), ("data.txt", 0o644), (".hidden", 0o755), ("deep/er", 0o755)] {
            fs::write(top.join(name), "#!/bin/sh\n").unwrap();
            fs::set_permissions(top.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let found = below(&top).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["deep/er", "run.sh"]);
        let path = top.to_str().unwrap();
        assert!(find("run.sh", path).is_ok() && find(&format!("{path}/run.sh"), "").is_ok());
        assert!(find("data.txt", path).unwrap_err().contains("no program"));
        assert!(find(&format!("{path}/data.txt"), "").unwrap_err().contains("can't be executed"));
        fs::remove_dir_all(top).unwrap();
    }
}
