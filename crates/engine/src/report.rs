//! What the engine has to say to people.

use core::fmt;

use sidereal_time::Span;

const NANOS_PER_DAY: i128 = 86_400_000_000_000;

/// Something that happened to the clock. `Display` gives the words for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// There is a model of the reference: from here on we are synchronised.
    Synchronised {
        /// How far the model may be from the reference, either way.
        error: Span,
    },
    /// The reference has not been read with success for too long: from here on we are not synchronised.
    Lost {
        /// How long ago the last good reading was.
        silent: Span,
    },
    /// The reference, or the counter it is followed with, has jumped; we followed.
    Stepped {
        /// How far: positive where the reference went forward.
        by: Span,
        /// The generation of models that begins here.
        generation: u32,
    },
    /// The kernel says that nobody keeps the system clock synchronised.
    ReferenceUnsynchronised {
        /// How wrong it may be by its own account.
        max_error: Span,
    },
    /// The kernel says that the system clock is kept synchronised again.
    ReferenceSynchronised {
        /// How wrong it may be by its own account.
        max_error: Span,
    },
    /// The kernel was told another TAI - UTC than the table of leap seconds holds.
    TaiOffsetDiffers {
        /// TAI - UTC as the kernel has it, in seconds.
        kernel_s: i32,
        /// TAI - UTC by the table, in seconds.
        table_s: i32,
    },
    /// The system clock has not made a leap second that the table holds; its time is corrected for that.
    LeapSecondMissed {
        /// What the system clock should have added to UTC, in seconds.
        step: i8,
    },
    /// The system clock has made up for the leap second that it missed.
    LeapSecondMade,
    /// The kernel is about to make a leap second that the table does not hold.
    LeapSecondUnlisted {
        /// What the kernel will add to UTC at the end of this UTC day, in seconds.
        step: i8,
    },
    /// The new table of leap seconds has another TAI - UTC for the present: TAI, as told, has moved; UTC has not.
    TaiMoved {
        /// How far: positive where it went forward.
        by: Span,
    },
    /// The table of leap seconds has expired: it may lack one. Said once a day.
    LeapTableExpired {
        /// How long ago.
        ago: Span,
    },
}

/// How much a report matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Good to know.
    Notice,
    /// Somebody should look at it.
    Warning,
}

impl Report {
    /// How much it matters.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Synchronised { .. } | Self::ReferenceSynchronised { .. } | Self::LeapSecondMade => Severity::Notice,
            Self::Lost { .. }
            | Self::Stepped { .. }
            | Self::ReferenceUnsynchronised { .. }
            | Self::TaiOffsetDiffers { .. }
            | Self::LeapSecondMissed { .. }
            | Self::LeapSecondUnlisted { .. }
            | Self::TaiMoved { .. }
            | Self::LeapTableExpired { .. } => Severity::Warning,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Synchronised { error } => write!(f, "synchronised to the system clock within {error} s"),
            Self::Lost { silent } => {
                write!(f, "no good reading of the system clock for {silent} s: served as unsynchronised")
            }
            Self::Stepped { by, generation } => {
                write!(
                    f,
                    "the system clock jumped by {by} s against the local counter: followed (generation {generation})"
                )
            }
            Self::ReferenceUnsynchronised { max_error } => write!(
                f,
                "the kernel says that the system clock is not synchronised (maximum error {max_error} s); it is served all the same"
            ),
            Self::ReferenceSynchronised { max_error } => {
                write!(f, "the kernel says that the system clock is synchronised (maximum error {max_error} s)")
            }
            Self::TaiOffsetDiffers { kernel_s, table_s } => write!(
                f,
                "the kernel has TAI-UTC = {kernel_s} s, the leap-second table {table_s} s: the table is used, one of them is out of date"
            ),
            Self::LeapSecondMissed { step } => write!(
                f,
                "the system clock missed the leap second ({step:+} s): corrected for up to a day; set the system clock"
            ),
            Self::LeapSecondMade => f.write_str("the system clock has made up for the leap second it missed"),
            Self::LeapSecondUnlisted { step } => write!(
                f,
                "the kernel is armed for a leap second ({step:+} s) at the end of this day that the leap-second table does not have: update the table"
            ),
            Self::TaiMoved { by } => {
                write!(f, "the new leap-second table moves TAI by {by} s (a new generation); UTC stays")
            }
            Self::LeapTableExpired { ago } => {
                let days = ago.as_nanos_rounded() / NANOS_PER_DAY;
                write!(f, "the leap-second table expired {days} days ago: it may lack a leap second; update it")
            }
        }
    }
}
