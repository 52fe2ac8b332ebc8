//! Files and directories that are open to nobody else.

use std::fs::{DirBuilder, File, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::values::Invalid;

/// The permissions of everybody but the owner.
const OTHERS: u32 = 0o077;

/// Checks that `path` is a file that only its owner may read.
///
/// # Errors
/// It is missing, no file, or open to others.
pub fn check_file(path: &Path) -> Result<(), Invalid> {
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        return Err(Invalid::new(format!("{} is not a file", quoted(path)), "name a file"));
    }
    only_owner(path, &metadata, "600")
}

/// Checks that `path`, if it exists, is a directory that only its owner may enter.
///
/// # Errors
/// It is no directory, or open to others.
pub(super) fn check_directory(path: &Path) -> Result<(), Invalid> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unreadable(path, &error)),
        Ok(metadata) if !metadata.is_dir() => {
            Err(Invalid::new(format!("{} is not a directory", quoted(path)), "name a directory"))
        }
        Ok(metadata) => only_owner(path, &metadata, "700"),
    }
}

fn only_owner(path: &Path, metadata: &Metadata, mode: &str) -> Result<(), Invalid> {
    if metadata.mode() & OTHERS == 0 {
        return Ok(());
    }
    Err(Invalid::new(
        format!("{} is open to others (mode {:o})", quoted(path), metadata.mode() & 0o7777),
        format!("chmod {mode} {}", path.display()),
    ))
}

fn unreadable(path: &Path, error: &io::Error) -> Invalid {
    Invalid::new(format!("{} cannot be read: {error}", quoted(path)), "name a path that this user may read")
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

/// The state directory, held by this process alone.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    /// The lock lasts as long as the file is open.
    _lock: File,
}

impl StateDirectory {
    /// Makes the directory at `path` if it is missing, for its owner only, and takes its lock.
    ///
    /// # Errors
    /// It cannot be made, is open to others, or another process holds it.
    pub fn open(path: &Path) -> Result<Self, Invalid> {
        let unusable = |error: &io::Error| {
            let remedy = "set `state.directory` to a path that this user may write";
            Invalid::new(format!("the state directory {} cannot be used: {error}", quoted(path)), remedy)
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| unusable(&error))?;
        check_directory(path)?;
        let lock = File::create(path.join("lock")).map_err(|error| unusable(&error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Invalid::new(
                format!("another sidereal runs with the state directory {}", quoted(path)),
                "stop it, or give each its own `state.directory`",
            )),
            Err(TryLockError::Error(error)) => Err(unusable(&error)),
        }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_command_that_helps() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        fs::write(&path, "").unwrap();
        for (mode, private) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)] {
            set_mode(&path, mode);
            assert_eq!(check_file(&path).is_ok(), private, "{mode:o}");
        }
        let refused = check_file(&path).unwrap_err();
        assert_eq!(refused.remedy, format!("chmod 600 {}", path.display()));
        assert!(check_file(directory.path()).unwrap_err().what.contains("is not a file"));
        assert!(check_file(&directory.path().join("none")).unwrap_err().what.contains("cannot be read"));
    }

    #[test]
    fn the_state_directory_is_made_private_and_held_by_one() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let held = StateDirectory::open(&path).unwrap();
        assert_eq!(fs::metadata(held.path()).unwrap().mode() & 0o777, 0o700);
        assert!(StateDirectory::open(&path).unwrap_err().what.starts_with("another sidereal runs"));
        drop(held);
        StateDirectory::open(&path).unwrap();

        set_mode(&path, 0o755);
        assert_eq!(StateDirectory::open(&path).unwrap_err().remedy, format!("chmod 700 {}", path.display()));
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(StateDirectory::open(&file).unwrap_err().what.contains("cannot be used"));
        assert!(check_directory(&file).unwrap_err().what.contains("is not a directory"));
    }
}
