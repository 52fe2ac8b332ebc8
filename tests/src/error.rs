use core::fmt;
use core::time::Duration;
use std::io;

/// What the testbed's functions return.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// Why a test, or the testbed itself, failed.
pub enum Error {
    /// The system refused something; the text says what was tried.
    Io(String, io::Error),
    /// A program ended badly: the program, and what it printed.
    Failed(String, String),
    /// A condition did not hold in time: the condition, how long it was waited for, and what was seen instead.
    TimedOut(String, Duration, String),
    /// An output or a document did not have the form that was expected.
    Unexpected(String),
    /// Something that the testbed needs is not on this machine, and what to do about it.
    Missing(String, &'static str),
}

impl Error {
    /// For `map_err`: an I/O error of what was being done.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io(what, source)
    }

    /// The same for the error numbers of system calls.
    pub(crate) fn errno(what: impl Into<String>) -> impl FnOnce(nix::Error) -> Self {
        let what = what.into();
        move |errno| Self::Io(what, errno.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(what, source) => write!(f, "{what}: {source}"),
            Self::Failed(what, output) => write!(f, "{what} failed:\n{output}"),
            Self::TimedOut(what, after, seen) => write!(f, "{what}: not within {after:?}; seen: {seen}"),
            Self::Unexpected(what) => f.write_str(what),
            Self::Missing(what, remedy) => write!(f, "{what} is missing: {remedy}"),
        }
    }
}

/// As `Display`: a test that returns an error shows it by `Debug`, and a person reads it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Error {}
