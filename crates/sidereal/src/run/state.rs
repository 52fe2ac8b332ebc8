//! What is kept from one run to the next: what was learned of the counter, in `clock.json` of the state directory.

use sidereal_engine::Saved;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tracing::warn;

/// No state that we wrote is longer.
const FILE_MAX: u64 = 4096;

/// The file that outlives the program.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    /// Whether the last attempt to write it failed: said once.
    failed: bool,
}

impl StateFile {
    /// The file in `directory`, which exists.
    pub(super) fn new(directory: &Path) -> Self {
        Self { path: directory.join("clock.json"), failed: false }
    }

    /// What was saved, if that is there and can be read. What cannot is reported and left out: the time is then learned
    /// anew.
    pub(super) fn load(&self) -> Option<Saved> {
        match read(&self.path) {
            Ok(saved) => Some(saved),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                warn!("{}: {error}: what was learned before is not used", self.path.display());
                None
            }
        }
    }

    /// Writes `saved`, so that the file is either the old one or the new one, whatever happens meanwhile.
    pub(super) fn save(&mut self, saved: &Saved) {
        match write(&self.path, saved) {
            Ok(()) => self.failed = false,
            Err(error) => {
                if !self.failed {
                    warn!("{}: cannot be written: {error}: the next start has to learn anew", self.path.display());
                }
                self.failed = true;
            }
        }
    }
}

fn read(path: &Path) -> io::Result<Saved> {
    let mut bytes = Vec::new();
    // One byte more than there may be shows that there are more.
    File::open(path)?.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("longer than {FILE_MAX} bytes")));
    }
    Ok(serde_json::from_slice(&bytes)?)
}

fn write(path: &Path, saved: &Saved) -> io::Result<()> {
    let new = path.with_extension("json.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec_pretty(saved)?)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    // The new name is on the disk only when the directory is.
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> Saved {
        Saved {
            counter: "monotonic_raw".into(),
            counter_hertz: 1e9 + 12.5,
            frequency_deviation: 1e-9,
            wander: 1e-10,
            aging: -1e-16,
        }
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = StateFile::new(directory.path());
        assert_eq!(file.load(), None);
        file.save(&saved());
        file.save(&Saved { aging: 0.0, ..saved() });
        assert_eq!(StateFile::new(directory.path()).load(), Some(Saved { aging: 0.0, ..saved() }));
        let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["clock.json"], "nothing else is left behind");
    }

    #[test]
    fn garbage_is_ignored_and_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clock.json");
        let mut file = StateFile::new(directory.path());
        let whole = serde_json::to_vec(&saved()).unwrap();
        let cut = whole.get(..whole.len() / 2).unwrap().to_vec();
        let long = [whole.clone(), vec![b' '; 5000]].concat();
        for garbage in [b"".to_vec(), b"\xff\x00garbage".to_vec(), b"{}".to_vec(), b"[1e999]".to_vec(), cut, long] {
            fs::write(&path, &garbage).unwrap();
            assert_eq!(file.load(), None, "{:?}", String::from_utf8_lossy(&garbage));
        }
        // What a crash between writing and renaming leaves behind.
        fs::write(directory.path().join("clock.json.new"), "half").unwrap();
        file.save(&saved());
        assert_eq!(file.load(), Some(saved()));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(file.load(), None);
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_told_once_and_harms_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = StateFile::new(&directory.path().join("gone"));
        file.save(&saved());
        assert!(file.failed);
        fs::create_dir(directory.path().join("gone")).unwrap();
        file.save(&saved());
        assert!(!file.failed);
    }
}
