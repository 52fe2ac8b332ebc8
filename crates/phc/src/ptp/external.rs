//! Pins of a card, and the stamps of what happens there.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};

use sidereal_time::{Instant, Scale, Span};

use super::PtpClock;
use crate::ClockError;
use crate::ioctl::Request;

// SAFETY: PTP_EXTTS_REQUEST2 reads a ptp_extts_request.
const REQUEST2: Request<libc::ptp_extts_request> = unsafe { Request::new(libc::PTP_EXTTS_REQUEST2) };
// SAFETY: PTP_EXTTS_REQUEST reads a ptp_extts_request.
const REQUEST: Request<libc::ptp_extts_request> = unsafe { Request::new(libc::PTP_EXTTS_REQUEST) };
// SAFETY: PTP_PIN_GETFUNC reads and fills a ptp_pin_desc; all fields are integers.
const GET_PIN: Request<libc::ptp_pin_desc> = unsafe { Request::new(libc::PTP_PIN_GETFUNC) };
// SAFETY: PTP_PIN_SETFUNC reads a ptp_pin_desc.
const SET_PIN: Request<libc::ptp_pin_desc> = unsafe { Request::new(libc::PTP_PIN_SETFUNC) };

/// Flags of a request for external timestamps (`ptp_clock.h`).
const ENABLE: u32 = 1;
const RISING: u32 = 1 << 1;
const FALLING: u32 = 1 << 2;
/// The driver shall refuse edges that it cannot tell apart.
const STRICT: u32 = 1 << 3;

/// The size of an event, as it is read: time, channel, flags, eight bytes reserved.
const EVENT_BYTES: usize = 32;

/// Which edges of a signal are stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Edges {
    /// When it rises.
    #[default]
    Rising,
    /// When it falls.
    Falling,
    /// Both.
    Both,
}

impl Edges {
    const fn flags(self) -> u32 {
        match self {
            Self::Rising => RISING,
            Self::Falling => FALLING,
            Self::Both => RISING | FALLING,
        }
    }
}

/// A signal came in on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExternalTimestamp {
    /// On which.
    pub channel: u32,
    /// What the card's clock showed, since its epoch.
    shown: Span,
}

impl ExternalTimestamp {
    /// Reads an event, a `struct ptp_extts_event` of 32 bytes. `None` where it is shorter, or its nanoseconds are no
    /// fraction of a second.
    #[must_use]
    pub fn parse(event: &[u8]) -> Option<Self> {
        let event: &[u8; EVENT_BYTES] = event.first_chunk()?;
        let (seconds, rest) = event.split_first_chunk()?;
        let (nanos, rest) = rest.split_first_chunk()?;
        let (_reserved, rest) = rest.split_first_chunk::<4>()?;
        let (channel, _flags) = rest.split_first_chunk()?;
        let nanos = u32::from_ne_bytes(*nanos);
        let shown = Span::from_secs(i64::from_ne_bytes(*seconds)) + Span::from_nanos(nanos.into());
        (nanos < 1_000_000_000).then_some(Self { channel: u32::from_ne_bytes(*channel), shown })
    }

    /// What the card's clock showed, on the scale that it is kept on; [`PtpClock::locate`] places it on the counter.
    #[must_use]
    pub fn at<S: Scale>(&self) -> Instant<S> {
        Instant::EPOCH + self.shown
    }
}

/// What a pin does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PinFunction {
    /// Nothing.
    None,
    /// Its signal is stamped.
    ExternalTimestamp,
    /// It gives a periodic signal.
    PeriodicOutput,
    /// It connects to a PHY.
    PhySync,
    /// What the kernel knows and we do not.
    Other(u32),
}

impl PinFunction {
    const fn from_number(number: u32) -> Self {
        match number {
            libc::PTP_PF_NONE => Self::None,
            libc::PTP_PF_EXTTS => Self::ExternalTimestamp,
            libc::PTP_PF_PEROUT => Self::PeriodicOutput,
            libc::PTP_PF_PHYSYNC => Self::PhySync,
            other => Self::Other(other),
        }
    }

    const fn number(self) -> u32 {
        match self {
            Self::None => libc::PTP_PF_NONE,
            Self::ExternalTimestamp => libc::PTP_PF_EXTTS,
            Self::PeriodicOutput => libc::PTP_PF_PEROUT,
            Self::PhySync => libc::PTP_PF_PHYSYNC,
            Self::Other(other) => other,
        }
    }
}

/// A pin whose function can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// What the driver calls it.
    pub name: String,
    /// What it does.
    pub function: PinFunction,
    /// On which channel of that function.
    pub channel: u32,
}

impl PtpClock {
    /// What pin `index` does, counted from 0 and below [`super::PtpCapabilities::pins`].
    ///
    /// # Errors
    /// Where there is no such pin, or the device is gone.
    pub fn pin(&self, index: u32) -> Result<Pin, ClockError> {
        let mut said = description(index);
        GET_PIN.send(self.device.as_fd(), &mut said).map_err(|source| self.error("ask for a pin of", source))?;
        let name = said.name.iter().map(|byte| byte.cast_unsigned()).take_while(|byte| *byte != 0).collect::<Vec<u8>>();
        let name = String::from_utf8_lossy(&name).into_owned();
        Ok(Pin { name, function: PinFunction::from_number(said.func), channel: said.chan })
    }

    /// Gives pin `index` a function on a channel; whoever had that channel loses it.
    ///
    /// # Errors
    /// Where there is no such pin, it cannot do this, the device was opened for reading, or is gone.
    pub fn set_pin(&mut self, index: u32, function: PinFunction, channel: u32) -> Result<(), ClockError> {
        let mut wanted = description(index);
        wanted.func = function.number();
        wanted.chan = channel;
        SET_PIN.send(self.device.as_fd(), &mut wanted).map_err(|source| self.error("set a pin of", source))
    }

    /// Begins to stamp what comes in on `channel`; `None` ends it. A driver that cannot tell the edges apart refuses, where
    /// the kernel knows to ask it (since Linux 5.4).
    ///
    /// # Errors
    /// Where there is no such channel, it cannot do this, the device was opened for reading, or is gone.
    pub fn request_external_timestamps(&mut self, channel: u32, edges: Option<Edges>) -> Result<(), ClockError> {
        let flags = edges.map_or(0, |edges| ENABLE | edges.flags());
        let mut strict = libc::ptp_extts_request { index: channel, flags, rsv: [0; 2] };
        if edges.is_some() {
            strict.flags |= STRICT;
        }
        let asked = match REQUEST2.send(self.device.as_fd(), &mut strict) {
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => {
                let mut request = libc::ptp_extts_request { index: channel, flags, rsv: [0; 2] };
                REQUEST.send(self.device.as_fd(), &mut request)
            }
            asked => asked,
        };
        asked.map_err(|source| self.error("ask for external timestamps of", source))
    }

    /// The next external timestamp that has come in, if there is one; what is no time is passed over. Never waits, but for a
    /// kernel before 6.8 where another process reads the same device: it may take the event from under us.
    ///
    /// # Errors
    /// Where the device fails, or is gone.
    pub fn external_timestamp(&mut self) -> Result<Option<ExternalTimestamp>, ClockError> {
        // The device's read waits even where it is told not to: poll(2) says whether there is something.
        let mut wanted = libc::pollfd { fd: self.device.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: `wanted` is one pollfd to read from and to write to.
        let ready = unsafe { libc::poll(&raw mut wanted, 1, 0) };
        if ready < 0 {
            return Err(self.error("wait for external timestamps of", io::Error::last_os_error()));
        }
        if wanted.revents & libc::POLLIN == 0 {
            let is_gone = wanted.revents & (libc::POLLERR | libc::POLLHUP) != 0;
            let gone = || self.error("wait for external timestamps of", io::Error::from_raw_os_error(libc::ENODEV));
            return if is_gone { Err(gone()) } else { Ok(None) };
        }
        let mut event = [0; EVENT_BYTES];
        let read = (&self.device).read(&mut event);
        let len = read.map_err(|source| self.error("read external timestamps of", source))?;
        Ok(event.get(..len).and_then(ExternalTimestamp::parse))
    }
}

fn description(index: u32) -> libc::ptp_pin_desc {
    libc::ptp_pin_desc { name: [0; 64], index, func: 0, chan: 0, rsv: [0; 5] }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sidereal_time::{Instant, Span, Tai};

    use super::{EVENT_BYTES, Edges, ExternalTimestamp, PinFunction};

    fn event(seconds: i64, nanos: u32, channel: u32) -> [u8; EVENT_BYTES] {
        let mut event = [0xa5; EVENT_BYTES];
        event[..8].copy_from_slice(&seconds.to_ne_bytes());
        event[8..12].copy_from_slice(&nanos.to_ne_bytes());
        event[16..20].copy_from_slice(&channel.to_ne_bytes());
        event
    }

    #[test]
    fn an_event_has_the_kernels_layout() {
        assert_eq!(size_of::<libc::ptp_extts_event>(), EVENT_BYTES);
        assert_eq!(core::mem::offset_of!(libc::ptp_clock_time, nsec), 8);
    }

    #[test]
    fn an_event_that_is_cut_off_or_no_time_is_none() {
        let good = event(1, 2, 3);
        assert!(ExternalTimestamp::parse(&good).is_some());
        assert_eq!(ExternalTimestamp::parse(&good[..EVENT_BYTES - 1]), None);
        assert_eq!(ExternalTimestamp::parse(&[]), None);
        assert_eq!(ExternalTimestamp::parse(&event(1, 1_000_000_000, 3)), None);
    }

    #[test]
    fn edges_and_functions_are_the_kernels_numbers() {
        assert_eq!([Edges::Rising, Edges::Falling, Edges::Both].map(Edges::flags), [2, 4, 6]);
        for number in 0..6 {
            assert_eq!(PinFunction::from_number(number).number(), number);
        }
        assert_eq!(PinFunction::from_number(1), PinFunction::ExternalTimestamp);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(seconds: i64, nanos in 0u32..1_000_000_000, channel: u32) {
            let read = ExternalTimestamp::parse(&event(seconds, nanos, channel)).unwrap();
            prop_assert_eq!(read.channel, channel);
            prop_assert_eq!(read.at::<Tai>(), Instant::from_secs(seconds) + Span::from_nanos(nanos.into()));
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let read = ExternalTimestamp::parse(&bytes);
            prop_assert!(bytes.len() >= EVENT_BYTES || read.is_none());
        }
    }
}
