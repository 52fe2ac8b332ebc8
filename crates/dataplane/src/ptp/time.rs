//! When a packet arrived, in TAI.

use sidereal_engine::NicClocks;
use sidereal_time::{ClockModel, Counter, Instant, NtpClock, Span, Stamp, Tai, Ticks};

use crate::nic_clock::locate;

/// What a worker knows of the time as it judges a burst.
#[derive(Debug, Clone, Copy)]
pub struct PtpTime<'a> {
    /// The local counter.
    pub local: &'a ClockModel,
    /// The same as NTP tells it.
    pub local_ntp: &'a NtpClock,
    /// CLOCK_REALTIME as NTP tells it.
    pub realtime_ntp: &'a NtpClock,
    /// The clocks of NICs, beside the local counter.
    pub nics: &'a NicClocks,
    /// The local counter as the burst was found.
    pub now: Ticks,
}

/// A stamp further than this from when its burst was found says nothing: the kernel's clock was set meanwhile, or a leap
/// second has passed there and not here.
const STAMP_AGE_MAX: Span = Span::from_nanos(100_000_000);

impl PtpTime<'_> {
    /// When a packet with this stamp arrived; without one, or one that says nothing, when its burst was found, unless only the NIC says
    /// when (`by_nic`). `None` where nobody knows.
    #[inline]
    #[must_use]
    pub fn received(&self, stamp: Option<Stamp>, by_nic: bool) -> Option<Instant<Tai>> {
        match stamp {
            Some(stamp) if stamp.counter == self.local.counter => Some(self.local.instant(stamp.ticks)),
            Some(Stamp { ticks, counter: Counter::Realtime, .. }) => Some(self.by_kernel(ticks)),
            Some(Stamp { ticks, counter: Counter::Nic(clock), .. }) => {
                let located = locate(self.nics, clock, ticks, self.now);
                located.ok().map(|ticks| self.local.instant(ticks))
            }
            _ => (!by_nic).then(|| self.local.instant(self.now)),
        }
    }

    /// When CLOCK_REALTIME stood at `ticks`: so long before the burst was found as NTP tells, by both clocks.
    fn by_kernel(&self, ticks: Ticks) -> Instant<Tai> {
        let found = self.local.instant(self.now);
        let age = self.local_ntp.at(self.now).since(self.realtime_ntp.at(ticks));
        if age.abs() <= STAMP_AGE_MAX { found - age } else { found }
    }
}
