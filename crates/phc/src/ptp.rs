//! Clocks of network cards and other devices: `/dev/ptpN` (the kernel's `ptp_clock.h`).

mod external;
mod identity;
mod offset;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use sidereal_cpu::LocalCounter;
use sidereal_servo::{Adjustment, FrequencyOffset};
use sidereal_time::{Instant, Reading, Scale, Span};

use crate::beside::{Beside, Look};
use crate::ioctl::Request;
use crate::track::Track;
use crate::watch::Watch;
use crate::{ClockError, Interference, Located, device, timex};

pub use external::{Edges, ExternalTimestamp, Pin, PinFunction};
use identity::Identity;
pub use offset::OffsetMethod;

// SAFETY: PTP_CLOCK_GETCAPS fills a ptp_clock_caps; all fields are integers.
const GET_CAPABILITIES: Request<libc::ptp_clock_caps> = unsafe { Request::new(libc::PTP_CLOCK_GETCAPS) };

/// What a clock is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Reading alone.
    Read,
    /// Reading, steering, pins and external timestamps.
    Steer,
}

/// What a clock and its driver can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PtpCapabilities {
    /// The largest frequency offset, in parts per billion; 0 where the frequency cannot be set.
    pub max_frequency_ppb: u32,
    /// Channels of external timestamps.
    pub external_timestamps: u32,
    /// Channels of periodic outputs.
    pub periodic_outputs: u32,
    /// Pins whose function can be chosen.
    pub pins: u32,
    /// Whether it can be a kernel's pulse-per-second source.
    pub pps: bool,
    /// Whether it can be read at the same time as the system's clock, by hardware.
    pub cross_timestamps: bool,
    /// Whether its phase can be shifted without a step ([`PtpClock::shift_phase`]).
    pub phase: bool,
}

/// A clock, open.
#[derive(Debug)]
pub struct PtpClock {
    device: File,
    path: PathBuf,
    name: String,
    capabilities: PtpCapabilities,
    identity: Option<Identity>,
    method: OffsetMethod,
    beside: Beside,
    track: Track,
    watch: Watch,
}

impl PtpClock {
    /// Opens `path`, `/dev/ptpN`, asks what it can do, and tries every way to read it beside `counter`, the best first; the
    /// first that works stays ([`Self::method`]). This may take 20 ms: the counter's rate is asked for.
    ///
    /// # Errors
    /// Where there is no such device, it is no PTP clock, may not be opened so, or cannot be read in any way.
    pub fn open(path: &Path, access: Access, counter: LocalCounter) -> Result<Self, ClockError> {
        let error = |action| move |source| ClockError::new(&path.display().to_string(), action, source);
        let mode = match access {
            Access::Read => libc::O_RDONLY,
            Access::Steer => libc::O_RDWR,
        };
        let device = device::open(path, mode).map_err(error("open"))?;
        // SAFETY: all fields are integers, for which zero is a value.
        let mut said: libc::ptp_clock_caps = unsafe { core::mem::zeroed() };
        GET_CAPABILITIES.send(device.as_fd(), &mut said).map_err(error("ask about"))?;
        let identity = Identity::of(&device);
        let beside = Beside::new(counter);
        let mut clock = Self {
            name: identity.as_ref().and_then(Identity::clock_name).unwrap_or_default(),
            device,
            path: path.to_owned(),
            capabilities: capabilities(&said),
            identity,
            method: OffsetMethod::Gettime,
            track: Track::new(beside.tick()),
            beside,
            watch: Watch::default(),
        };
        let working = OffsetMethod::ALL.into_iter().find(|method| clock.look_by(*method).is_ok());
        clock.method = working.unwrap_or(OffsetMethod::Gettime);
        let first = clock.look()?;
        clock.track.mark(first);
        Ok(clock)
    }

    /// The device of the clock that the kernel knows by `index`, as drivers of NICs tell it: `/dev/ptpN`.
    #[must_use]
    pub fn device(index: u32) -> PathBuf {
        PathBuf::from(format!("/dev/ptp{index}"))
    }

    /// The number by which the kernel knows it, `N` of `/dev/ptpN`, whatever its path is; `None` where sysfs does not say.
    #[must_use]
    pub fn index(&self) -> Option<u32> {
        self.identity.as_ref().and_then(Identity::index)
    }

    /// The number of the physical clock that it is a virtual one of; `None` for a physical one.
    #[must_use]
    pub fn virtual_of(&self) -> Option<u32> {
        self.identity.as_ref().and_then(Identity::virtual_of)
    }

    /// The numbers of its virtual clocks. While it has some it runs free, and cannot be steered.
    #[must_use]
    pub fn virtual_clocks(&self) -> Vec<u32> {
        self.identity.as_ref().map(Identity::virtual_clocks).unwrap_or_default()
    }

    /// Where it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its driver calls it; empty where the kernel does not say. Need not be unique.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it can do.
    #[must_use]
    pub const fn capabilities(&self) -> PtpCapabilities {
        self.capabilities
    }

    /// How it is read.
    #[must_use]
    pub const fn method(&self) -> OffsetMethod {
        self.method
    }

    /// Whether both are one clock, so that it would be steered twice:
    /// - both are the same character device, whatever their paths are; or
    /// - the kernel has one under the other (sysfs), as it has the virtual clocks of a free-running physical one, or both
    ///   under the same. They share an oscillator, and the kernel refuses to steer the physical one.
    ///
    /// Ports of one card that share a clock show the same device. A driver that gives each port a device of its own and
    /// keeps its clocks together by itself is not seen through: no interface tells.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (&self.identity, &other.identity) {
            (Some(one), Some(other)) => one.is_same_as(other),
            _ => self.path == other.path,
        }
    }

    /// What the clock shows, beside the counter. The caller says which scale the clock is kept on: TAI by the standard (IEEE
    /// 1588-2019 7.2.3), UTC on some hosts. Half the window is how far the reading may be off; what a device does inside,
    /// its own granularity and the asymmetry of the bus, is not in it.
    ///
    /// # Errors
    /// Where the device fails, is gone ([`ClockError::Gone`]), or says what cannot be true.
    pub fn read<S: Scale>(&self) -> Result<Reading<S>, ClockError> {
        self.read_by(self.method)
    }

    /// The same by a certain way: to compare them.
    ///
    /// # Errors
    /// As [`Self::read`], and where the device or this kernel has no such way.
    pub fn read_by<S: Scale>(&self, method: OffsetMethod) -> Result<Reading<S>, ClockError> {
        Ok(self.look_by(method)?.reading())
    }

    /// Where the counter stood when the clock showed `stamp`: what an external timestamp or a card's stamp means. `None`
    /// where the stamp is from the future, too old, or from about a step of the clock.
    ///
    /// # Errors
    /// Where the clock cannot be read, or is gone.
    pub fn locate<S: Scale>(&mut self, stamp: Instant<S>) -> Result<Option<Located>, ClockError> {
        let now = self.look()?;
        self.track.record(now);
        Ok(self.track.locate(stamp - Instant::EPOCH, &now).ok())
    }

    /// How much faster than by itself the driver lets the clock run, as it was last told.
    ///
    /// # Errors
    /// Where the device fails, or is gone.
    pub fn frequency(&self) -> Result<FrequencyOffset, ClockError> {
        let mut timex = timex::empty();
        self.tell("ask for the frequency of", &mut timex)?;
        Ok(timex::read_device_frequency(&timex))
    }

    /// Steers the clock. A frequency is set to 2^-16 ppm, and clamped to what the driver takes; a step is made to a
    /// nanosecond, as exactly as the driver makes it.
    ///
    /// # Errors
    /// Where it was opened for reading, has virtual clocks on it ([`ClockError::RunsFree`]), fails, or is gone.
    pub fn adjust(&mut self, adjustment: &Adjustment) -> Result<(), ClockError> {
        self.track.mark(self.look()?);
        match *adjustment {
            Adjustment::Frequency(offset) => {
                let limit = self.capabilities.max_frequency_ppb;
                self.tell("set the frequency of", &mut timex::device_frequency(offset, limit))?;
                self.watch.set(self.frequency()?);
            }
            Adjustment::Step(span) => {
                self.tell("step", &mut timex::step(span))?;
                self.track.mark(self.look()?);
            }
        }
        Ok(())
    }

    /// Shifts the clock's phase without a step, by a servo in the device; only where [`PtpCapabilities::phase`] says so.
    ///
    /// # Errors
    /// Where the device cannot, was opened for reading, fails, or is gone.
    pub fn shift_phase(&mut self, by: Span) -> Result<(), ClockError> {
        if !self.capabilities.phase {
            let source = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
            return Err(ClockError::new(&self.path.display().to_string(), "shift the phase of", source));
        }
        self.tell("shift the phase of", &mut timex::phase(by))
    }

    /// Whether somebody else has set the clock's frequency since the last call: only once we have set it ourselves. Steps
    /// of a device are seen in its readings alone.
    ///
    /// # Errors
    /// As [`Self::frequency`].
    pub fn interference(&mut self) -> Result<Option<Interference>, ClockError> {
        let found = self.frequency()?;
        Ok(self.watch.compare(found, None))
    }

    fn look(&self) -> Result<Look, ClockError> {
        self.look_by(self.method)
    }

    fn look_by(&self, method: OffsetMethod) -> Result<Look, ClockError> {
        let look = method.look(self.device.as_fd(), self.clock_id(), &self.beside);
        let look = look.map_err(|source| self.error("read", source))?;
        look.ok_or_else(|| ClockError::Implausible { clock: self.path.display().to_string(), action: "read" })
    }

    /// The number by which `clock_gettime(2)` and `clock_adjtime(2)` know an open device.
    fn clock_id(&self) -> libc::clockid_t {
        (!self.device.as_raw_fd() << 3) | 3
    }

    fn tell(&self, action: &'static str, timex: &mut libc::timex) -> Result<(), ClockError> {
        timex::call(self.clock_id(), timex).map_err(|source| match source.raw_os_error() {
            // As a physical clock says that runs free; some drivers say it of other things.
            Some(libc::EBUSY) => self.runs_free(action, source),
            _ => self.error(action, source),
        })?;
        Ok(())
    }

    fn runs_free(&self, action: &'static str, source: io::Error) -> ClockError {
        match self.virtual_clocks() {
            none if none.is_empty() => self.error(action, source),
            virtual_clocks => ClockError::RunsFree { clock: self.path.display().to_string(), action, virtual_clocks },
        }
    }

    fn error(&self, action: &'static str, source: io::Error) -> ClockError {
        ClockError::new(&self.path.display().to_string(), action, source)
    }
}

fn capabilities(said: &libc::ptp_clock_caps) -> PtpCapabilities {
    let count = |count: libc::c_int| u32::try_from(count).unwrap_or(0);
    PtpCapabilities {
        max_frequency_ppb: count(said.max_adj),
        external_timestamps: count(said.n_ext_ts),
        periodic_outputs: count(said.n_per_out),
        pins: count(said.n_pins),
        pps: said.pps != 0,
        cross_timestamps: said.cross_timestamping != 0,
        phase: said.adjust_phase != 0,
    }
}
