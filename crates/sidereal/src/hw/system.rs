//! What the kernel tells by calls, which no made-up file can answer.

use schemars::JsonSchema;
use serde::Serialize;
use sidereal_cpu::LocalCounter;
use sidereal_nic::{Ability, ClockAbilities, ClockReading};
use sidereal_nic_kernel::{DriverInfo, HardwareStamping, StampingConfig, Timestamping};
use sidereal_phc::{Access, PtpClock, Rival, Steers};
use sidereal_time::{Instant, Rate, Tai};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// What the kernel tells by calls.
pub(crate) trait System {
    /// What the NIC of an interface can stamp, or why it cannot.
    fn stamping(&self, interface: &str) -> Result<HardwareStamping, String>;
    /// What it is set to stamp; `None` where its driver does not say.
    fn stamped(&self, interface: &str) -> Option<StampingConfig>;
    /// What drives an interface.
    fn driver(&self, interface: &str) -> Option<DriverInfo>;
    /// What a clock, `/dev/ptpN`, can do, or why it cannot be asked.
    fn clock(&self, device: &Path) -> Result<Clock, String>;
    /// The daemons that run and may steer a clock of this kind.
    fn rivals(&self, clock: Steers) -> Vec<Rival>;
    /// Who has a device open.
    fn holders(&self, device: &Path) -> Vec<Rival>;
    /// Whether [`Self::holders`] sees what all have open, and not our own alone.
    fn sees_open_files(&self) -> bool;
    /// Whether a yes-or-no setting of the firmware of a PCI function is on; `None` where nothing here can tell.
    fn firmware_setting(&self, address: &str, setting: &str) -> Option<bool>;
}

/// A clock of a NIC, as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Clock {
    /// Its device.
    pub(crate) device: String,
    /// Its number, N of `/dev/ptpN`; absent where the kernel does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<u32>,
    /// The number of the clock that it is a virtual one of; absent where it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) virtual_of: Option<u32>,
    /// What its driver calls it.
    pub(crate) name: String,
    /// Whether it ran while it was looked at.
    pub(crate) runs: bool,
    /// By how much its frequency can be changed, in parts per billion; 0 where it cannot.
    pub(crate) max_frequency_ppb: u32,
    /// How it is read.
    pub(crate) method: String,
    /// How long the best of a few readings took, in nanoseconds: half of it is how far a reading may be off.
    pub(crate) window_ns: i64,
    /// The numbers of its virtual clocks: while it has some, it cannot be steered.
    pub(crate) virtual_clocks: Vec<u32>,
    /// Channels of external timestamps, such as pulses of a receiver.
    pub(crate) external_timestamps: u32,
    /// Outputs of periodic signals.
    pub(crate) periodic_outputs: u32,
}

impl Clock {
    /// What can be done with it, for the record of the port whose packets it stamps.
    pub(crate) fn abilities(&self) -> ClockAbilities {
        let is_free = self.virtual_clocks.is_empty();
        let reading = Ability::claimed(ClockReading::Stamping);
        ClockAbilities {
            step: Ability::claimed(is_free),
            frequency: Ability::claimed(is_free && self.max_frequency_ppb > 0),
            reading: if self.runs { reading } else { reading.tried(ClockReading::Stopped) },
            // The kernel tells every clock in nanoseconds.
            width: 64,
            tick: Rate::NANOSECOND,
        }
    }
}

/// What can be done with the clock that stamps the packets of `interface` so; `None` where the kernel does.
pub(crate) fn nic_clock(interface: &str, timestamping: Timestamping) -> Option<ClockAbilities> {
    let Timestamping::Hardware { bind_phc, .. } = timestamping else { return None };
    let index = bind_phc.or_else(|| sidereal_nic_kernel::hardware_stamping(interface).ok()?.phc_index)?;
    Here.clock(&PtpClock::device(index)).ok().map(|clock| clock.abilities())
}

/// This machine.
pub(crate) struct Here;

/// How often a clock is read to find out about it, and what lies between two readings.
const READINGS: u32 = 5;
const BETWEEN: Duration = Duration::from_millis(2);

impl System for Here {
    fn stamping(&self, interface: &str) -> Result<HardwareStamping, String> {
        sidereal_nic_kernel::hardware_stamping(interface).map_err(|error| error.to_string())
    }

    fn stamped(&self, interface: &str) -> Option<StampingConfig> {
        sidereal_nic_kernel::stamping(interface).ok()
    }

    fn driver(&self, interface: &str) -> Option<DriverInfo> {
        sidereal_nic_kernel::driver_info(interface).ok()
    }

    fn clock(&self, device: &Path) -> Result<Clock, String> {
        let clock =
            PtpClock::open(device, Access::Read, LocalCounter::MonotonicRaw).map_err(|error| error.to_string())?;
        let (mut shown, mut window): (Vec<Instant<Tai>>, i128) = (Vec::new(), i128::MAX);
        for _ in 0..READINGS {
            let reading = clock.read::<Tai>().map_err(|error| error.to_string())?;
            shown.push(reading.at());
            window = window.min(reading.window().as_nanos_rounded());
            thread::sleep(BETWEEN);
        }
        let can = clock.capabilities();
        Ok(Clock {
            device: device.display().to_string(),
            index: clock.index(),
            virtual_of: clock.virtual_of(),
            name: clock.name().to_owned(),
            runs: shown.windows(2).any(|pair| matches!(pair, [one, other] if one != other)),
            max_frequency_ppb: can.max_frequency_ppb,
            method: clock.method().name().to_owned(),
            window_ns: i64::try_from(window).unwrap_or(i64::MAX),
            virtual_clocks: clock.virtual_clocks(),
            external_timestamps: can.external_timestamps,
            periodic_outputs: can.periodic_outputs,
        })
    }

    fn rivals(&self, clock: Steers) -> Vec<Rival> {
        sidereal_phc::rivals(clock)
    }

    fn holders(&self, device: &Path) -> Vec<Rival> {
        sidereal_phc::holders(device)
    }

    /// Those of the first process are root's.
    fn sees_open_files(&self) -> bool {
        fs::read_dir("/proc/1/fd").is_ok()
    }

    /// By the vendor's tool for NICs of NVIDIA, where it is installed.
    fn firmware_setting(&self, address: &str, setting: &str) -> Option<bool> {
        let told = Command::new("mstconfig").args(["-d", address, "query", setting]).output().ok()?;
        setting_in(&String::from_utf8_lossy(&told.stdout), setting)
    }
}

/// What the tool prints of a setting: a line with its name, and `True(1)` or `False(0)` at the end.
fn setting_in(told: &str, setting: &str) -> Option<bool> {
    let line = told.lines().find(|line| line.split_whitespace().any(|word| word == setting))?;
    match line.split_whitespace().next_back()? {
        "True(1)" => Some(true),
        "False(0)" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::setting_in;
    use proptest::prelude::*;

    #[test]
    fn a_setting_of_the_firmware_is_read_as_its_tool_prints_it() {
        let told = |value: &str| {
            format!(
                "\nDevice #1:\n----------\n\nDevice type:    ConnectX6DX\nDevice:         0000:3b:00.0\n\n\
                 Configurations:                              Next Boot\n         REAL_TIME_CLOCK_ENABLE              {value}\n"
            )
        };
        for (value, on) in [("True(1)", Some(true)), ("False(0)", Some(false)), ("", None), ("Array[0..3]", None)] {
            assert_eq!(setting_in(&told(value), "REAL_TIME_CLOCK_ENABLE"), on, "{value}");
        }
        assert_eq!(setting_in(&told("True(1)"), "REAL_TIME"), None);
        assert_eq!(setting_in("-E- Failed to open the device", "REAL_TIME_CLOCK_ENABLE"), None);
    }

    proptest! {
        #[test]
        fn whatever_a_tool_prints_is_read(before in ".{0,80}", after in "[^\r\n]{0,40}") {
            let told = format!("{before}\nSETTING {after}");
            let is_on = setting_in(&told, "SETTING");
            prop_assert!(is_on != Some(true) || told.contains("True(1)"));
            prop_assert!(is_on != Some(false) || told.contains("False(0)"));
        }
    }
}
