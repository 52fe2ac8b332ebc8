//! How a source is spoken with, and what it says of itself.

use core::net::SocketAddr;

use sidereal_ntp::{LeapIndicator, ReferenceId, Stratum, SystemVariables};
use sidereal_time::{LocalClock, Span, Ticks};

use super::measure::{Raw, Said};
use crate::config::ReferenceKind;
use crate::identity::Identity;
use crate::ptp::Ptp;
use crate::remote::Remote;
use crate::wire::Wire;

/// How a source is spoken with.
#[derive(Debug)]
pub(crate) enum Speaker {
    /// By NTP.
    Remote(Box<Remote>),
    /// By PTP.
    Ptp(Box<Ptp>),
    /// By a wire.
    Wire(Box<Wire>),
}

/// What is told on of the source that our time is said to come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Upstream {
    pub(crate) stratum: Stratum,
    pub(crate) reference_id: ReferenceId,
    /// To its primary reference, by way of it.
    pub(crate) root_delay: Span,
}

impl Speaker {
    /// What it has to say, if there is something new.
    pub(super) fn poll_said(&mut self, local: &LocalClock) -> Option<Said> {
        match self {
            // What a server says before it knows the time is no time.
            Self::Remote(remote) => core::iter::from_fn(|| remote.poll_measured())
                .find(|measured| measured.server.is_synchronised())
                .map(Said::of_remote),
            Self::Ptp(ptp) => ptp.poll_measured().map(Said::of_ptp),
            Self::Wire(wire) => wire.poll_measured(local).map(|reading| Said {
                reading: Raw::Tai(reading),
                dispersion: wire.options().delay.abs(),
                authenticated: true,
                interleaved: false,
            }),
        }
    }

    /// When something is next to be done.
    pub(crate) fn poll_timeout(&self, local: &LocalClock) -> Option<Ticks> {
        match self {
            Self::Remote(remote) => remote.poll_timeout(),
            Self::Ptp(ptp) => ptp.poll_timeout(),
            Self::Wire(wire) => Some(wire.poll_timeout(local)),
        }
    }

    /// The time from one measurement to the next.
    pub(super) fn interval(&self) -> Span {
        match self {
            Self::Remote(remote) => {
                remote.association().map_or(Span::SECOND, |association| association.poll().as_span())
            }
            Self::Ptp(ptp) => ptp.interval(),
            Self::Wire(wire) => wire.options().poll.as_span(),
        }
    }

    /// Whether it may speak of the time at all: a PTP Port that leads, or hears no master, may not; nor one whose master is
    /// plainly mistaken.
    pub(crate) fn is_asked(&self) -> bool {
        match self {
            Self::Remote(_) | Self::Wire(_) => true,
            Self::Ptp(ptp) => ptp.follows() && ptp.waited_mistake().is_none(),
        }
    }

    /// What it says of leap seconds.
    pub(super) fn leap(&self) -> Option<LeapIndicator> {
        match self {
            Self::Remote(_) => self.server().map(|server| server.leap),
            Self::Ptp(ptp) => ptp.leap(),
            Self::Wire(wire) => wire.leap(),
        }
    }

    /// Its stratum, as it is told to people.
    pub(super) fn stratum(&self) -> Option<Stratum> {
        match self {
            Self::Remote(_) => self.server().map(|server| server.stratum),
            Self::Ptp(ptp) => ptp.stratum(),
            Self::Wire(wire) => Some(wire.stratum()),
        }
    }

    /// What it follows.
    pub(crate) fn reference_id(&self) -> Option<ReferenceId> {
        match self {
            Self::Remote(_) => self.server().map(|server| server.reference_id),
            Self::Ptp(ptp) => ptp.reference_id(),
            Self::Wire(wire) => Some(wire.options().reference_id),
        }
    }

    /// Which of the last eight times it answered.
    pub(super) fn reach(&self) -> u8 {
        match self {
            Self::Remote(remote) => remote.association().map_or(0, |association| association.reach()),
            Self::Ptp(ptp) => ptp.reach(),
            Self::Wire(wire) => wire.reach(),
        }
    }

    /// Whether it has not been heard for long.
    pub(super) fn is_silent(&self) -> bool {
        match self {
            Self::Remote(remote) => remote.is_silent(),
            Self::Ptp(ptp) => ptp.reach() == 0,
            Self::Wire(wire) => wire.is_silent(),
        }
    }

    /// Whether it says that it knows the time.
    pub(super) fn is_synchronised(&self) -> bool {
        match self {
            Self::Remote(_) => self.server().is_some_and(SystemVariables::is_synchronised),
            Self::Ptp(ptp) => ptp.is_synchronised(),
            Self::Wire(wire) => wire.is_synchronised(),
        }
    }

    /// Whether it knows by itself which second it is.
    pub(super) fn knows_seconds(&self) -> bool {
        match self {
            Self::Remote(_) | Self::Ptp(_) => self.is_synchronised(),
            Self::Wire(wire) => wire.options().kind == ReferenceKind::Sampled && wire.is_synchronised(),
        }
    }

    /// What is told on of it, if we follow it, and it is `delay` away.
    pub(super) fn upstream(&self, delay: Span) -> Option<Upstream> {
        let next = |stratum: Stratum| Stratum::from_wire(stratum.number().saturating_add(1));
        Some(match self {
            Self::Remote(remote) => {
                let server = self.server()?;
                Upstream {
                    stratum: next(server.stratum),
                    reference_id: Identity::reference_id(remote.address()?.ip()),
                    root_delay: server.root_delay.as_span() + delay,
                }
            }
            Self::Ptp(ptp) => {
                Upstream { stratum: next(ptp.stratum()?), reference_id: ptp.reference_id()?, root_delay: delay }
            }
            Self::Wire(wire) => Upstream {
                stratum: Stratum::from_wire(wire.options().stratum.saturating_add(1)),
                reference_id: wire.options().reference_id,
                root_delay: delay,
            },
        })
    }

    /// Whether its time comes from us.
    pub(super) fn is_looped(&self, identity: &Identity) -> bool {
        match self {
            Self::Remote(remote) => {
                let follows_us = self
                    .server()
                    .is_some_and(|server| server.stratum > Stratum::PRIMARY && identity.is_called(server.reference_id));
                follows_us || remote.address().is_some_and(|address| identity.is_at(address))
            }
            Self::Ptp(ptp) => ptp.is_looped(identity),
            Self::Wire(_) => false,
        }
    }

    /// Whether it will never say anything, as far as is known.
    pub(super) fn is_denied(&self) -> bool {
        matches!(self, Self::Remote(remote) if remote.is_denied())
    }

    /// Whether it is a server at `address`.
    pub(super) fn is_at(&self, address: SocketAddr) -> bool {
        matches!(self, Self::Remote(remote) if remote.address() == Some(address))
    }

    /// What a server says of its clock; `None` where it has said nothing, or is no server.
    fn server(&self) -> Option<&SystemVariables> {
        match self {
            Self::Remote(remote) => remote.association()?.last_server(),
            Self::Ptp(_) | Self::Wire(_) => None,
        }
    }
}
