//! Who stamps packets, and how the kernel is asked for it (`Documentation/networking/timestamping.rst`).

use crate::calls;
use crate::control::Told;
use core::fmt;
use core::time::Duration;
use sidereal_time::{ClockId, Counter, Stamp, StampSource, Ticks};
use std::io;
use std::os::fd::BorrowedFd;

/// How long a stamp of the kernel is waited for. It comes when the driver takes the packet, so only a long device queue delays
/// it.
pub(crate) const KERNEL_DEADLINE: Duration = Duration::from_millis(20);
/// How long a stamp of a NIC is waited for: drivers fetch it by a thread of their own, which other work holds up.
pub(crate) const NIC_DEADLINE: Duration = Duration::from_millis(200);

/// Who stamps the packets of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Timestamping {
    /// The kernel, when the driver hands a packet over or takes it: [`Counter::Realtime`].
    #[default]
    Software,
    /// The NIC: [`Counter::Nic`]. Sockets of NTP ([`crate::UdpPort`], [`crate::AssociationSocket`]) have the kernel's stamp
    /// where the NIC took none; those of PTP ([`crate::PtpSocket`]) have none then, because a measurement by clocks of both kinds
    /// would be off by the time between NIC and driver.
    Hardware {
        /// The clock that the stamps are read from.
        clock: ClockId,
        /// The index of a virtual clock of the NIC's, `N` of `/dev/ptpN`, by which the kernel tells the stamps instead of by the
        /// NIC's own.
        bind_phc: Option<u32>,
        /// What the NIC was set to stamp of all that comes: [`crate::Enabled::filter`].
        filter: RxFilter,
    },
}

/// Which received packets a NIC stamps (linux/net_tstamp.h, `enum hwtstamp_rx_filters`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RxFilter {
    /// None at all.
    None,
    /// Every packet.
    All,
    /// NTP, all versions and modes.
    Ntp,
    /// Event messages of PTP version 2, over Ethernet and over UDP.
    PtpV2Event,
    /// Event messages of PTP version 2 over Ethernet.
    PtpV2L2Event,
    /// Event messages of PTP version 2 over UDP.
    PtpV2L4Event,
    /// What we never ask for, by the kernel's number: version 1, single kinds of message, "some".
    Other(u8),
}

impl RxFilter {
    /// Whether a NIC that is set so stamps all that one set to `wanted` would.
    #[must_use]
    pub fn serves(self, wanted: Self) -> bool {
        self == wanted
            || matches!(
                (self, wanted),
                (_, Self::None) | (Self::All, _) | (Self::PtpV2Event, Self::PtpV2L2Event | Self::PtpV2L4Event)
            )
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::All => 1,
            Self::PtpV2L4Event => 6,
            Self::PtpV2L2Event => 9,
            Self::PtpV2Event => 12,
            Self::Ntp => 15,
            Self::Other(number) => number,
        }
    }

    pub(crate) const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::None,
            1 => Self::All,
            6 => Self::PtpV2L4Event,
            9 => Self::PtpV2L2Event,
            12 => Self::PtpV2Event,
            15 => Self::Ntp,
            other => Self::Other(other),
        }
    }
}

/// As `ethtool -T` calls it.
impl fmt::Display for RxFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 16] = [
            "none",
            "all",
            "some",
            "ptpv1-l4-event",
            "ptpv1-l4-sync",
            "ptpv1-l4-delay-req",
            "ptpv2-l4-event",
            "ptpv2-l4-sync",
            "ptpv2-l4-delay-req",
            "ptpv2-l2-event",
            "ptpv2-l2-sync",
            "ptpv2-l2-delay-req",
            "ptpv2-event",
            "ptpv2-sync",
            "ptpv2-delay-req",
            "ntp-all",
        ];
        let number = self.number();
        match NAMES.get(usize::from(number)) {
            Some(name) => f.write_str(name),
            None => write!(f, "filter {number}"),
        }
    }
}

/// What was asked of the kernel for a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stampers {
    /// Whether the kernel is to stamp: all packets, or with a NIC those that it did not.
    kernel: bool,
    nic: Option<Nic>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Nic {
    clock: ClockId,
    bind_phc: Option<u32>,
}

impl Stampers {
    /// The kernel alone.
    pub(crate) const KERNEL: Self = Self { kernel: true, nic: None };

    /// The best there is for each packet.
    pub(crate) fn best(timestamping: Timestamping) -> Self {
        Self { kernel: true, nic: Nic::of(timestamping) }
    }

    /// One and the same for all packets.
    pub(crate) fn one(timestamping: Timestamping) -> Self {
        let nic = Nic::of(timestamping);
        Self { kernel: nic.is_none(), nic }
    }

    pub(crate) const fn has_nic(&self) -> bool {
        self.nic.is_some()
    }

    /// The virtual clock that stamps are told by.
    pub(crate) fn virtual_clock(&self) -> Option<u32> {
        self.nic.and_then(|nic| nic.bind_phc)
    }

    /// How long a stamp of a sent packet is waited for.
    pub(crate) const fn deadline(&self) -> Duration {
        if self.has_nic() { NIC_DEADLINE } else { KERNEL_DEADLINE }
    }

    /// Asks for stamps of all that comes, and of what goes where a message asks for it ([`Self::wish`]). `numbered`: such
    /// packets get numbers; asked for anew, from 0.
    pub(crate) fn ask(&self, socket: BorrowedFd<'_>, numbered: bool) -> io::Result<()> {
        let mut flags = libc::SOF_TIMESTAMPING_OPT_TSONLY;
        if self.kernel {
            flags |= libc::SOF_TIMESTAMPING_RX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;
        }
        if self.has_nic() {
            flags |= libc::SOF_TIMESTAMPING_RX_HARDWARE | libc::SOF_TIMESTAMPING_RAW_HARDWARE;
        }
        if numbered {
            flags |= libc::SOF_TIMESTAMPING_OPT_ID;
        }
        // struct so_timestamping: flags, index of the virtual clock. Kernels before 5.14 know the flags alone.
        let mut request = [0; 8];
        let mut len = size_of::<u32>();
        if let Some(index) = self.virtual_clock() {
            flags |= libc::SOF_TIMESTAMPING_BIND_PHC;
            request[4..].copy_from_slice(&index.to_ne_bytes());
            len = request.len();
        }
        request[..4].copy_from_slice(&flags.to_ne_bytes());
        let request = request.get(..len).unwrap_or_default();
        calls::set_option(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, request)
    }

    /// What asks for a stamp of one packet. With both, the kernel says nothing of a packet that the NIC is about to stamp: there
    /// is one notice for each packet.
    pub(crate) const fn wish(&self) -> u32 {
        let kernel = if self.kernel { libc::SOF_TIMESTAMPING_TX_SOFTWARE } else { 0 };
        let nic = if self.has_nic() { libc::SOF_TIMESTAMPING_TX_HARDWARE } else { 0 };
        kernel | nic
    }

    /// What asks for the stamp of a reply by who stamped its request. What the kernel stamps late as it comes and early as it
    /// goes is less wrong together than beside a stamp of the NIC.
    pub(crate) fn wish_like(&self, request: Option<Stamp>) -> u32 {
        let by_nic = request.is_some_and(|stamp| matches!(stamp.counter, Counter::Nic(_)));
        if by_nic || !self.kernel { self.wish() } else { Self::KERNEL.wish() }
    }

    /// The best stamp that was told and asked for.
    pub(crate) fn stamp(&self, told: &Told) -> Option<Stamp> {
        let of_nic = self.nic.zip(told.hardware_ns).map(|(nic, ns)| Stamp {
            ticks: Ticks(ns),
            counter: Counter::Nic(nic.clock),
            source: StampSource::Hardware,
        });
        let of_kernel = told.software_ns.filter(|_| self.kernel).map(|ns| Stamp {
            ticks: Ticks(ns),
            counter: Counter::Realtime,
            source: StampSource::Kernel,
        });
        of_nic.or(of_kernel)
    }
}

impl Nic {
    const fn of(timestamping: Timestamping) -> Option<Self> {
        match timestamping {
            Timestamping::Software => None,
            Timestamping::Hardware { clock, bind_phc, .. } => Some(Self { clock, bind_phc }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RxFilter, Stampers, Timestamping};
    use crate::control::Told;
    use sidereal_time::{ClockId, Counter, Stamp, StampSource, Ticks};

    const CLOCK: ClockId = ClockId(3);
    const HARDWARE: Timestamping =
        Timestamping::Hardware { clock: CLOCK, bind_phc: None, filter: RxFilter::PtpV2Event };
    const BY_NIC: Stamp = Stamp { ticks: Ticks(7), counter: Counter::Nic(CLOCK), source: StampSource::Hardware };
    const BY_KERNEL: Stamp = Stamp { ticks: Ticks(5), counter: Counter::Realtime, source: StampSource::Kernel };

    fn told(software_ns: Option<u64>, hardware_ns: Option<u64>) -> Told {
        Told { software_ns, hardware_ns, ..Told::default() }
    }

    #[test]
    fn the_nics_stamp_is_better_than_the_kernels_and_neither_is_taken_unasked() {
        let both = told(Some(5), Some(7));
        assert_eq!(Stampers::best(HARDWARE).stamp(&both), Some(BY_NIC));
        assert_eq!(Stampers::one(HARDWARE).stamp(&both), Some(BY_NIC));
        assert_eq!(Stampers::KERNEL.stamp(&both), Some(BY_KERNEL));
        let by_kernel = told(Some(5), None);
        assert_eq!(Stampers::best(HARDWARE).stamp(&by_kernel), Some(BY_KERNEL));
        assert_eq!(Stampers::one(HARDWARE).stamp(&by_kernel), None);
        assert_eq!(Stampers::one(Timestamping::Software).stamp(&by_kernel), Some(BY_KERNEL));
        assert_eq!(Stampers::best(HARDWARE).stamp(&told(None, None)), None);
    }

    #[test]
    fn wishes_are_the_kernels_numbers() {
        assert_eq!(Stampers::KERNEL.wish(), 2);
        assert_eq!(Stampers::one(HARDWARE).wish(), 1);
        assert_eq!(Stampers::best(HARDWARE).wish(), 3);
    }

    #[test]
    fn a_reply_is_stamped_by_who_stamped_its_request() {
        let best = Stampers::best(HARDWARE);
        assert_eq!([Some(BY_NIC), Some(BY_KERNEL), None].map(|request| best.wish_like(request)), [3, 2, 2]);
        assert_eq!(Stampers::KERNEL.wish_like(Some(BY_KERNEL)), 2);
        assert_eq!(Stampers::one(HARDWARE).wish_like(None), 1, "nobody else stamps there");
    }

    #[test]
    fn filters_are_the_kernels_numbers_and_names() {
        for number in 0..=u8::MAX {
            assert_eq!(RxFilter::from_number(number).number(), number);
        }
        let names = [RxFilter::Ntp, RxFilter::PtpV2Event, RxFilter::Other(4), RxFilter::Other(99)];
        assert_eq!(names.map(|name| name.to_string()), ["ntp-all", "ptpv2-event", "ptpv1-l4-sync", "filter 99"]);
    }

    #[test]
    fn a_filter_serves_what_it_covers() {
        for number in 0..16 {
            let filter = RxFilter::from_number(number);
            assert!(RxFilter::All.serves(filter) && filter.serves(filter) && filter.serves(RxFilter::None));
            assert_eq!(RxFilter::None.serves(filter), filter == RxFilter::None);
        }
        assert!(RxFilter::PtpV2Event.serves(RxFilter::PtpV2L2Event));
        assert!(!RxFilter::PtpV2L2Event.serves(RxFilter::PtpV2Event));
        assert!(!RxFilter::Ntp.serves(RxFilter::PtpV2Event) && !RxFilter::PtpV2Event.serves(RxFilter::Ntp));
    }
}
