//! Which clock a device is.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::device;

/// Where the kernel tells of a character device by its numbers.
const CHARACTER_DEVICES: &str = "/sys/dev/char";

/// What a clock is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// The numbers of the character device.
    device: libc::dev_t,
    /// Its folder in sysfs, where sysfs is there.
    folder: Option<PathBuf>,
}

impl Identity {
    /// The identity of an open device; `None` where it is no character device.
    pub(super) fn of(file: &File) -> Option<Self> {
        let device = device::numbers(file)?;
        let link = format!("{CHARACTER_DEVICES}/{}:{}", libc::major(device), libc::minor(device));
        Some(Self { device, folder: fs::canonicalize(link).ok() })
    }

    /// What the driver calls the clock.
    pub(super) fn clock_name(&self) -> Option<String> {
        let name = fs::read_to_string(self.folder.as_ref()?.join("clock_name")).ok()?;
        Some(name.trim_end().to_owned())
    }

    /// `N` of `ptpN`, as the kernel calls it.
    pub(super) fn index(&self) -> Option<u32> {
        index(self.folder.as_deref()?)
    }

    /// The clock that this is a virtual one of.
    pub(super) fn virtual_of(&self) -> Option<u32> {
        let folder = self.folder.as_deref()?;
        physical(folder).filter(|physical| *physical != folder).and_then(index)
    }

    /// Its virtual clocks, in order.
    pub(super) fn virtual_clocks(&self) -> Vec<u32> {
        let Some(Ok(entries)) = self.folder.as_deref().map(fs::read_dir) else { return Vec::new() };
        let mut found: Vec<u32> = entries.flatten().filter_map(|entry| index(&entry.path())).collect();
        found.sort_unstable();
        found
    }

    /// As [`super::PtpClock::is_same_as`] says.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        let physical = |identity: &Self| identity.folder.as_deref().and_then(physical).map(Path::to_owned);
        self.device == other.device
            || matches!((physical(self), physical(other)), (Some(one), Some(other)) if one == other)
    }
}

/// The folder of the physical clock under which a clock's folder is: `.../0000:01:00.0/ptp/ptp0` of
/// `.../0000:01:00.0/ptp/ptp0/ptp/ptp1`, and of itself.
fn physical(folder: &Path) -> Option<&Path> {
    folder.ancestors().filter(|ancestor| index(ancestor).is_some()).last()
}

/// `N` of a folder of sysfs that is a PTP clock's: named `ptpN`.
fn index(folder: &Path) -> Option<u32> {
    let number = folder.file_name()?.to_str()?.strip_prefix("ptp")?;
    // `parse` would take a sign.
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::{Path, PathBuf};

    use super::{Identity, physical};

    const CARD: &str = "/sys/devices/pci0000:00/0000:01:00.0";

    fn clock(device: u64, folder: &str) -> Identity {
        Identity { device, folder: Some(PathBuf::from(format!("{CARD}/{folder}"))) }
    }

    #[test]
    fn one_device_is_one_clock_by_any_path() {
        let file = |path| Identity::of(&File::open(path).unwrap());
        assert_eq!(file("/dev/null"), file("/dev/../dev/null"));
        assert!(file("/dev/null").unwrap().is_same_as(&file("/dev/null").unwrap()));
        assert!(!file("/dev/null").unwrap().is_same_as(&file("/dev/zero").unwrap()));
        assert_eq!(file("/"), None);
    }

    #[test]
    fn virtual_clocks_are_their_physical_clock() {
        let card = clock(1, "ptp/ptp0");
        let [first, second] = [clock(2, "ptp/ptp0/ptp1"), clock(3, "ptp/ptp0/ptp/ptp2")];
        assert!(card.is_same_as(&first) && first.is_same_as(&card));
        assert!(first.is_same_as(&second));
        assert_eq!(physical(Path::new("/sys/devices/x/ptp/ptp4/ptp5")), Some(Path::new("/sys/devices/x/ptp/ptp4")));
    }

    #[test]
    fn two_clocks_of_one_card_are_two() {
        assert!(!clock(1, "ptp/ptp0").is_same_as(&clock(2, "ptp/ptp1")));
        let unknown = |device| Identity { device, folder: None };
        assert!(!unknown(1).is_same_as(&unknown(2)));
        assert!(unknown(1).is_same_as(&unknown(1)));
    }

    #[test]
    fn a_clock_knows_its_number_and_its_kin() {
        let root = tempfile::tempdir().unwrap();
        let physical = root.path().join("0000:01:00.0/ptp/ptp4");
        for child in ["ptp12", "ptp7", "power", "ptp", "ptp+1"] {
            fs::create_dir_all(physical.join(child)).unwrap();
        }
        let card = Identity { device: 1, folder: Some(physical.clone()) };
        assert_eq!((card.index(), card.virtual_of(), card.virtual_clocks()), (Some(4), None, vec![7, 12]));
        let virtual_one = Identity { device: 2, folder: Some(physical.join("ptp7")) };
        assert_eq!((virtual_one.index(), virtual_one.virtual_of()), (Some(7), Some(4)));
        assert_eq!(virtual_one.virtual_clocks(), Vec::<u32>::new());
        let unknown = Identity { device: 3, folder: None };
        assert_eq!((unknown.index(), unknown.virtual_of(), unknown.virtual_clocks()), (None, None, Vec::new()));
    }

    #[test]
    fn a_clock_says_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Identity { device: 1, folder: Some(folder.path().to_owned()) };
        assert_eq!(clock.clock_name(), None);
        fs::write(folder.path().join("clock_name"), "mlx5_ptp\n").unwrap();
        assert_eq!(clock.clock_name().as_deref(), Some("mlx5_ptp"));
    }
}
