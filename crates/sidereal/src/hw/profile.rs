//! What is known of NICs by what they are: `hw/profiles`, one file a family.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The profiles that come with the program.
const FILES: [&str; 17] = [
    include_str!("../../../../hw/profiles/amazon-ena.toml"),
    include_str!("../../../../hw/profiles/amd-axgbe.toml"),
    include_str!("../../../../hw/profiles/broadcom-bnxt.toml"),
    include_str!("../../../../hw/profiles/google-gve.toml"),
    include_str!("../../../../hw/profiles/hisilicon-hns3.toml"),
    include_str!("../../../../hw/profiles/intel-i40e.toml"),
    include_str!("../../../../hw/profiles/intel-iavf.toml"),
    include_str!("../../../../hw/profiles/intel-ice.toml"),
    include_str!("../../../../hw/profiles/intel-idpf.toml"),
    include_str!("../../../../hw/profiles/intel-igb.toml"),
    include_str!("../../../../hw/profiles/intel-igc.toml"),
    include_str!("../../../../hw/profiles/intel-ixgbe.toml"),
    include_str!("../../../../hw/profiles/marvell-cnxk.toml"),
    include_str!("../../../../hw/profiles/nvidia-mlx5.toml"),
    include_str!("../../../../hw/profiles/solarflare-sfc.toml"),
    include_str!("../../../../hw/profiles/wangxun-ngbe.toml"),
    include_str!("../../../../hw/profiles/wangxun-txgbe.toml"),
];

/// What is known of a family of NICs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// The family.
    pub(crate) name: String,
    /// The kernel's driver.
    pub(crate) kernel_driver: String,
    /// Whether DPDK works beside the kernel's driver, which then stays.
    #[serde(default)]
    pub(crate) bifurcated: bool,
    /// The setting of the firmware that makes stamps nanoseconds of the NIC's clock; absent where there is none.
    pub(crate) firmware_clock: Option<String>,
    /// Whether stamping every packet costs much processor time.
    #[serde(default)]
    pub(crate) all_filter_is_dear: bool,
    /// What surprises, a sentence each.
    pub(crate) quirks: Vec<String>,
    /// Who says all this: sources of drivers, threads of their users.
    pub(crate) sources: Vec<String>,
    /// Its members.
    pub(crate) devices: Vec<Model>,
    /// What DPDK makes of it; absent where DPDK has no stamps of it.
    pub(crate) dpdk: Option<DpdkDriver>,
    /// What packets take between wire and stamp; absent where no public source tells.
    pub(crate) latency: Option<Latency>,
}

/// One NIC.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    /// PCI vendor and device: `8086:1521`.
    pub(crate) id: String,
    /// What it is called.
    pub(crate) name: String,
}

/// What DPDK's driver makes of a NIC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DpdkDriver {
    /// The driver.
    pub(crate) driver: String,
    /// The first DPDK whose driver has the stamps named here.
    pub(crate) since: Release,
    /// Whether DPDK must be built with RTE_LIBRTE_IEEE1588 for them, which distributions do not.
    pub(crate) ieee1588_build: bool,
    /// Received packets.
    pub(crate) rx_stamps: String,
    /// Sent packets.
    pub(crate) tx_stamps: String,
    /// The first DPDK that sends at a given time; absent where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) send_on_time: Option<Release>,
    /// What can be done with the clock.
    pub(crate) clock: String,
}

/// A release of DPDK: `22.11`. Compared, the later one is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub(crate) struct Release {
    year: u8,
    month: u8,
}

impl Release {
    /// The release that a program names that was linked with it: `DPDK 22.11.11`.
    #[cfg(feature = "dpdk")]
    pub(crate) fn of_version(version: &str) -> Option<Self> {
        let mut numbers = version.strip_prefix("DPDK ")?.split(['.', '-']);
        Some(Self { year: numbers.next()?.parse().ok()?, month: numbers.next()?.parse().ok()? })
    }
}

impl TryFrom<String> for Release {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let numbers = text.split_once('.').and_then(|(year, month)| Some((year.parse().ok()?, month.parse().ok()?)));
        match numbers {
            Some((year @ 19.., month @ (3 | 7 | 11))) => Ok(Self { year, month }),
            _ => Err(format!("{text} is no release of DPDK: year and month, 22.11")),
        }
    }
}

impl From<Release> for String {
    fn from(release: Release) -> Self {
        release.to_string()
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.year, self.month)
    }
}

/// What packets take between wire and stamp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Latency {
    /// Who says so, and whether it is corrected.
    pub(crate) source: String,
    /// The members of the family that it was measured of, by their ids.
    pub(crate) devices: Vec<String>,
    /// By the speed of the link.
    pub(crate) speeds: Vec<LatencyAtSpeed>,
}

/// What packets take at one speed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LatencyAtSpeed {
    /// The speed, in megabits per second.
    pub(crate) megabits: u32,
    /// From the wire to the RX stamp, in nanoseconds.
    pub(crate) rx_ns: u32,
    /// From the TX stamp to the wire, in nanoseconds.
    pub(crate) tx_ns: u32,
}

/// All profiles.
pub(crate) struct Profiles(Vec<Profile>);

impl Profiles {
    /// Those that come with the program. A file that cannot be read as one is left out, which a test rules out.
    pub(crate) fn embedded() -> Self {
        Self(FILES.iter().filter_map(|text| toml::from_str(text).ok()).collect())
    }

    /// What is known of a PCI device, `8086:1521`.
    pub(crate) fn find(&self, id: &str) -> Option<(&Profile, &Model)> {
        self.0.iter().find_map(|profile| Some((profile, profile.devices.iter().find(|model| model.id == id)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn is_id(text: &str) -> bool {
        let hex = |part: &str| part.len() == 4 && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        text.split_once(':').is_some_and(|(vendor, device)| hex(vendor) && hex(device))
    }

    #[test]
    fn every_profile_of_the_folder_is_embedded_and_sound() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hw/profiles");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), FILES.len());
        let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
        for text in FILES {
            let profile: Profile = toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert!(names.insert(profile.name.clone()), "{} twice", profile.name);
            assert!(!profile.kernel_driver.is_empty() && !profile.devices.is_empty(), "{}", profile.name);
            assert!(!profile.sources.is_empty(), "{}: who says so?", profile.name);
            for model in &profile.devices {
                assert!(is_id(&model.id) && !model.name.is_empty(), "{}: {}", profile.name, model.id);
                assert!(ids.insert(model.id.clone()), "{} twice", model.id);
            }
            if let Some(dpdk) = &profile.dpdk {
                // mlx5 has one driver for all that its NICs can do, and it is called after the bus.
                assert!(dpdk.driver.starts_with("net_") || dpdk.driver == "mlx5_pci", "{}", profile.name);
            }
            for id in profile.latency.iter().flat_map(|latency| &latency.devices) {
                assert!(profile.devices.iter().any(|model| model.id == *id), "{}: {id}", profile.name);
            }
            for speed in profile.latency.iter().flat_map(|latency| &latency.speeds) {
                assert!(speed.megabits >= 10 && speed.rx_ns < 100_000 && speed.tx_ns < 100_000, "{}", profile.name);
            }
        }
        assert_eq!(Profiles::embedded().0.len(), FILES.len());
    }

    #[test]
    fn the_manual_lists_every_profile() {
        let hw = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hw");
        let manual = std::fs::read_to_string(hw.join("README.md")).unwrap();
        for file in std::fs::read_dir(hw.join("profiles")).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(manual.contains(&format!("(profiles/{name})")), "{name}");
        }
    }

    #[test]
    fn releases_are_ordered_by_time() {
        let release = |text: &str| Release::try_from(text.to_owned());
        assert!(release("22.11").unwrap() < release("23.03").unwrap());
        assert!(release("25.07").unwrap() < release("25.11").unwrap());
        assert_eq!(release("23.03").unwrap().to_string(), "23.03");
        for wrong in ["22", "22.12", "2.11", "22.11.1", "", "x.y"] {
            assert!(release(wrong).is_err(), "{wrong}");
        }
    }

    #[cfg(feature = "dpdk")]
    #[test]
    fn a_version_is_of_a_release() {
        let release = |text: &str| Release::try_from(text.to_owned());
        assert_eq!(Release::of_version("DPDK 22.11.11"), Some(release("22.11").unwrap()));
        assert_eq!(Release::of_version("DPDK 26.07.0-rc1"), Some(release("26.07").unwrap()));
        assert_eq!(Release::of_version("DPDK"), None);
    }

    #[test]
    fn a_nic_is_known_by_its_pci_id() {
        let profiles = Profiles::embedded();
        let (profile, model) = profiles.find("8086:1521").unwrap();
        assert_eq!((profile.kernel_driver.as_str(), model.name.as_str()), ("igb", "I350"));
        assert!(profile.dpdk.as_ref().unwrap().ieee1588_build);
        assert!(profiles.find("15b3:101d").unwrap().0.bifurcated);
        assert!(profiles.find("1af4:1000").is_none());
    }
}
