//! What the engine has to say to people.

use core::fmt;
use std::collections::VecDeque;

use sidereal_ntp::{KissCode, Stratum};
use sidereal_ptp::{Address, ClockClass, ClockIdentity, IgnoreReason, PortIdentity, PortState, Suspicion};
use sidereal_time::Span;

use crate::selection::mistake;
use crate::{SavedFault, SourceState};

const NANOS_PER_DAY: i128 = 86_400_000_000_000;

/// Something that happened to the clock. `Display` gives the words for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The sources are followed: from here on we are synchronised.
    Followed {
        /// The source that our time is said to come from.
        source: String,
        /// How far our time may be from the truth, either way.
        bound: Span,
    },
    /// Our time is said to come from another source. It does not move for that.
    Following {
        /// Which.
        source: String,
        /// Its stratum.
        stratum: Stratum,
    },
    /// A source is judged otherwise than before.
    Judged {
        /// Which.
        source: String,
        /// How it is judged now.
        state: SourceState,
        /// Why.
        reason: String,
    },
    /// A server asks us to stop, or to ask more rarely (RFC 5905 §7.4).
    Kissed {
        /// The source.
        source: String,
        /// What it says.
        code: KissCode,
    },
    /// A name could not be resolved; it is asked for again. Said when it begins.
    Unresolved {
        /// The source.
        source: String,
    },
    /// A member of a pool is given up for another one.
    Replaced {
        /// The member.
        source: String,
        /// Why.
        reason: &'static str,
    },
    /// There are more sources, clocks or groups than are looked after.
    LeftOut {
        /// Of what.
        what: &'static str,
        /// How many are left out.
        count: usize,
    },
    /// No source is left to follow: the time runs on by what was learned of the counter.
    Holdover {
        /// Why.
        reason: String,
        /// How far our time may be from the truth, either way; it grows.
        bound: Span,
    },
    /// The time is no longer good enough to be served: from here on we are not synchronised.
    Unsynchronised {
        /// How far our time may be from the truth, either way.
        bound: Span,
        /// Since when no source is followed.
        alone: Span,
    },
    /// The sources say that our time was wrong, and it was set.
    TimeStepped {
        /// How far: positive where it went forward.
        by: Span,
        /// The generation of models that begins here.
        generation: u32,
    },
    /// The local counter stood still, or was set: the time is asked for anew.
    CounterJumped {
        /// How much of the time it did not see; `None` where nobody knows.
        by: Option<Span>,
    },
    /// A clock of the host was set by somebody else. What is served did not move.
    ClockJumped {
        /// Which.
        clock: String,
        /// How far: positive where it went forward.
        by: Span,
    },
    /// A clock of the host was set by us, or would have been if it were not steered dry.
    ClockStepped {
        /// Which.
        clock: String,
        /// How far: positive where it went forward.
        by: Span,
        /// Whether it was not done.
        dry: bool,
    },
    /// A clock of the host cannot be read.
    ClockLost {
        /// Which.
        clock: String,
    },
    /// A clock of the host can be read again.
    ClockFound {
        /// Which.
        clock: String,
    },
    /// A clock of the host refused to be steered. Said when it begins.
    SteerFailed {
        /// Which.
        clock: String,
    },
    /// Somebody else steers a clock of the host: we leave it alone until nothing is seen of that for a while.
    Rival {
        /// Which.
        clock: String,
        /// Who, if it is known.
        who: Option<String>,
    },
    /// The table of leap seconds has expired, and the sources say that a leap second comes at the end of this UTC day: it is
    /// made.
    LeapSecondHeard {
        /// What is then added to UTC, in seconds.
        step: i8,
    },
    /// A PTP Port does something else than before, or follows another master.
    PtpPort {
        /// Its source.
        source: String,
        /// What it does now.
        state: PortState,
        /// The master that it follows, if it does.
        master: Option<PortIdentity>,
        /// The grandmaster, which may be itself.
        grandmaster: ClockIdentity,
        /// What that one's time comes from.
        clock_class: ClockClass,
    },
    /// Messages of a kind that somebody should know of are ignored: of a master that is not acceptable, or under an identity
    /// that is somebody else's. Said once in five minutes.
    PtpIgnored {
        /// The source whose port they came to.
        source: String,
        /// Where they come from, where that is known.
        from: Option<Address>,
        /// Why they are ignored.
        reason: IgnoreReason,
    },
    /// A PTP master's time is off by what a well-known mistake makes: it is not believed for five minutes.
    PtpMistaken {
        /// The source that follows it.
        source: String,
        /// What it looks like.
        suspicion: Suspicion,
        /// How far it is ahead of our time.
        by: Span,
    },
    /// What was saved when the program last ran is not used.
    SavedIgnored {
        /// Why.
        fault: SavedFault,
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
            Self::Synchronised { .. }
            | Self::ReferenceSynchronised { .. }
            | Self::LeapSecondMade
            | Self::Followed { .. }
            | Self::Following { .. }
            | Self::Replaced { .. }
            | Self::ClockFound { .. } => Severity::Notice,
            Self::PtpPort { state, .. } if !matches!(state, PortState::Faulty) => Severity::Notice,
            Self::Judged { state, .. } if is_fine(*state) => Severity::Notice,
            _ => Severity::Warning,
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
            Self::Followed { source, bound } => {
                write!(f, "synchronised within {bound} s; the system peer is {source}")
            }
            Self::Following { source, stratum } => write!(f, "the system peer is now {source} (stratum {stratum})"),
            Self::Judged { source, state, reason } => write!(f, "{source} is {state}: {reason}"),
            Self::Kissed { source, code: KissCode::Rate } => {
                write!(f, "{source} asks us to ask more rarely (RATE): done")
            }
            Self::Kissed { source, code } => {
                write!(f, "{source} refuses to serve us ({}): it is no longer asked", code.reference_id())
            }
            Self::Unresolved { source } => write!(f, "the name {source} cannot be resolved: asking again"),
            Self::Replaced { source, reason } => {
                write!(f, "{source} is given up for another member of its pool: {reason}")
            }
            Self::LeftOut { what, count } => write!(f, "{count} {what} too many: they are left out"),
            Self::Holdover { reason, bound } => {
                write!(f, "holdover: {reason}; the time is right within {bound} s, and that grows")
            }
            Self::Unsynchronised { bound, alone } => {
                write!(f, "no source followed for {alone} s, the time may be {bound} s off: served as unsynchronised")
            }
            Self::TimeStepped { by, generation } => {
                write!(f, "the sources agree that the time was off: set by {by} s (generation {generation})")
            }
            Self::CounterJumped { by: Some(by) } => {
                write!(f, "the local counter missed {by} s (the host was suspended or moved): asking for the time anew")
            }
            Self::CounterJumped { by: None } => {
                f.write_str("the local counter was set back (the host was moved): asking for the time anew")
            }
            Self::ClockJumped { clock, by } => {
                write!(f, "somebody set the clock {clock} by {by} s; the time served did not move")
            }
            Self::ClockStepped { clock, by, dry: false } => write!(f, "the clock {clock} was set by {by} s"),
            Self::ClockStepped { clock, by, dry: true } => {
                write!(f, "the clock {clock} would have been set by {by} s, were it steered")
            }
            Self::ClockLost { clock } => write!(f, "the clock {clock} cannot be read"),
            Self::ClockFound { clock } => write!(f, "the clock {clock} can be read again"),
            Self::SteerFailed { clock } => write!(f, "the clock {clock} refuses to be steered; trying on"),
            Self::Rival { clock, who: Some(who) } => {
                write!(f, "{who} steers the clock {clock} too: leaving it alone; stop one of the two")
            }
            Self::Rival { clock, who: None } => {
                write!(
                    f,
                    "somebody else steers the clock {clock} too: leaving it alone; find out who and stop one of the two"
                )
            }
            Self::LeapSecondHeard { step } => write!(
                f,
                "the sources announce a leap second ({step:+} s) at the end of this day, which the expired leap-second table lacks: it is made; update the table"
            ),
            Self::PtpPort { source, state, master: Some(master), grandmaster, clock_class } => write!(
                f,
                "{source} is {}: it follows {master} (grandmaster {grandmaster}, clockClass {clock_class})",
                state.name()
            ),
            Self::PtpPort { source, state: PortState::Master, grandmaster, clock_class, .. } => {
                write!(f, "{source} is MASTER: it leads as {grandmaster} (clockClass {clock_class})")
            }
            Self::PtpPort { source, state, .. } => write!(f, "{source} is {}", state.name()),
            Self::PtpIgnored { source, from, reason } => {
                let from = from.map_or_else(String::new, |from| format!(" from {}", Place(from)));
                match reason {
                    IgnoreReason::NotAcceptable => {
                        write!(f, "{source}: a master{from} is not in acceptable_masters: it is not followed")
                    }
                    IgnoreReason::DuplicateIdentity => {
                        write!(f, "{source}: two clocks have one identity; messages{from} are ignored")
                    }
                    reason => write!(f, "{source}: messages{from} are ignored: {}", reason.name()),
                }
            }
            Self::PtpMistaken { source, suspicion, by } => {
                let mistake = mistake(*suspicion);
                write!(f, "the master of {source} is {by} s ahead, as if {mistake}: not believed for five minutes")
            }
            Self::SavedIgnored { fault } => {
                write!(f, "what was saved of the counter's frequency is ignored: {}", fault.words())
            }
        }
    }
}

/// An address of PTP, for people.
struct Place(Address);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Address::Ip(ip) => ip.fmt(f),
            Address::Link([a, b, c, d, e, g]) => write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"),
        }
    }
}

/// Whether nobody needs to look at a source in this state.
pub(crate) const fn is_fine(state: SourceState) -> bool {
    matches!(
        state,
        SourceState::Selected
            | SourceState::Combined
            | SourceState::Outlier
            | SourceState::NoSelect
            | SourceState::Unpreferred
            | SourceState::Waiting
            | SourceState::Idle
    )
}

/// Reports kept for a caller who does not fetch them; beyond, the oldest are dropped.
const MAX_REPORTS: usize = 32;

/// Reports that wait to be fetched.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reports(VecDeque<Report>);

impl Reports {
    pub(crate) fn say(&mut self, report: Report) {
        if self.0.len() == MAX_REPORTS {
            self.0.pop_front();
        }
        self.0.push_back(report);
    }

    pub(crate) fn next(&mut self) -> Option<Report> {
        self.0.pop_front()
    }
}
