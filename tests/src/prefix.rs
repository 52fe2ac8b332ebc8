use std::env;
use std::path::PathBuf;

use crate::{Error, Result};

/// The libraries of the unpacked packages, below the prefix.
const LIBRARIES: [&str; 2] = ["libraries", "libraries/ntp"];

/// The private prefix of the peers, `peers` beside the profile's directory that this program was built in.
///
/// # Errors
/// It is not there.
pub(crate) fn peers() -> Result<PathBuf> {
    let here = env::current_exe().map_err(Error::io("this program's path"))?;
    here.ancestors()
        .map(|directory| directory.join("peers"))
        .find(|peers| peers.join("unpacked").is_file())
        .ok_or(Error::Missing("the prefix with the peers".into(), "run scripts/setup --test"))
}

/// One of the peers' programs, by its path in the prefix (`usr/sbin/chronyd`).
///
/// # Errors
/// It is not there.
pub(crate) fn peer(path: &str) -> Result<PathBuf> {
    let program = peers()?.join(path);
    if program.is_file() { Ok(program) } else { Err(Error::Missing(path.into(), "run scripts/setup --test")) }
}

/// What a peer's environment needs to find its libraries in the prefix.
///
/// # Errors
/// There is no prefix.
pub(crate) fn environment() -> Result<[(&'static str, String); 2]> {
    let peers = peers()?;
    let libraries = LIBRARIES.map(|path| peers.join(path).display().to_string()).join(":");
    let python = peers.join("usr/lib/python3/dist-packages").display().to_string();
    Ok([("LD_LIBRARY_PATH", libraries), ("PYTHONPATH", python)])
}

/// A program of this workspace, from the profile that the caller was built in.
///
/// # Errors
/// It was not built.
pub fn program(name: &str) -> Result<PathBuf> {
    let here = env::current_exe().map_err(Error::io("this program's path"))?;
    here.ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .ok_or(Error::Missing(name.into(), "build it in the same profile: cargo build -p sidereal"))
}
