//! The device under an interface: the NIC that takes the stamps of a VLAN's or a bond's packets.

use std::fs;
use std::path::Path;

/// Where the kernel tells of network interfaces.
const INTERFACES: &str = "/sys/class/net";
/// Interfaces on interfaces on interfaces: a VLAN in a VLAN on a bond, and no end where a tree is made up.
const DEPTH_MAX: usize = 8;

/// The device whose clock stamps the packets of `interface`: of a VLAN or a macvlan the one below, of a bond its active member;
/// itself otherwise, and where sysfs says nothing. A bond may have another one soon: ask again when links change. A bond
/// without one active member (802.3ad, or all down) is itself.
#[must_use]
pub fn real_device(interface: &str) -> String {
    real_device_in(Path::new(INTERFACES), interface)
}

/// The same by another `/sys/class/net`.
#[must_use]
pub fn real_device_in(interfaces: &Path, interface: &str) -> String {
    let mut device = interface.to_owned();
    for _ in 0..DEPTH_MAX {
        match below(&interfaces.join(&device)) {
            Some(next) => device = next,
            None => break,
        }
    }
    device
}

/// The index of the bond that an interface is a member of.
pub(crate) fn bond_index(interface: &str) -> Option<u32> {
    bond_index_in(Path::new(INTERFACES), interface)
}

fn bond_index_in(interfaces: &Path, interface: &str) -> Option<u32> {
    let bond = interfaces.join(interface).join("master");
    if !bond.join("bonding").exists() {
        return None;
    }
    fs::read_to_string(bond.join("ifindex")).ok()?.trim().parse().ok()
}

/// The device right below an interface, whose folder this is.
fn below(interface: &Path) -> Option<String> {
    if let Ok(active) = fs::read_to_string(interface.join("bonding/active_slave")) {
        let active = active.trim();
        return (!active.is_empty()).then(|| active.to_owned());
    }
    let told = fs::read_to_string(interface.join("uevent")).ok()?;
    let kind = told.lines().find_map(|line| line.strip_prefix("DEVTYPE="))?;
    // Others with something below, bridges and tunnels, do not hand requests for stamps down.
    if !matches!(kind, "vlan" | "macvlan") {
        return None;
    }
    fs::read_dir(interface).ok()?.flatten().find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.strip_prefix("lower_").map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::{DEPTH_MAX, bond_index_in, real_device, real_device_in};
    use std::fs;
    use std::path::{Path, PathBuf};

    /// A made-up `/sys/class/net`, deleted when dropped.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("sidereal-net-{}-{name}", std::process::id()));
            fs::create_dir_all(&root).unwrap();
            Self(root)
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn on(&self, name: &str, kind: &str, below: &str) {
            self.write(&format!("{name}/uevent"), &format!("DEVTYPE={kind}\nINTERFACE={name}\nIFINDEX=4\n"));
            fs::create_dir_all(self.0.join(format!("{name}/lower_{below}"))).unwrap();
        }

        fn real(&self, name: &str) -> String {
            real_device_in(&self.0, name)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn vlans_and_bonds_are_followed_to_their_nic() {
        let tree = Tree::new("followed");
        tree.write("eth0/uevent", "INTERFACE=eth0\nIFINDEX=2\n");
        tree.on("eth0.5", "vlan", "eth0");
        tree.on("inner", "vlan", "eth0.5");
        tree.on("mac0", "macvlan", "eth0");
        tree.write("bond0/uevent", "DEVTYPE=bond\nINTERFACE=bond0\n");
        tree.write("bond0/bonding/active_slave", "eth0\n");
        tree.on("bond0.7", "vlan", "bond0");
        for name in ["eth0", "eth0.5", "inner", "mac0", "bond0", "bond0.7"] {
            assert_eq!(tree.real(name), "eth0", "{name}");
        }
        tree.write("bond0/bonding/active_slave", "eth1\n");
        assert_eq!(tree.real("bond0.7"), "eth1", "another one is active now");
    }

    #[test]
    fn what_has_no_one_device_is_itself() {
        let tree = Tree::new("itself");
        tree.write("bond0/uevent", "DEVTYPE=bond\n");
        tree.write("bond0/bonding/active_slave", "\n");
        fs::create_dir_all(tree.0.join("bond0/lower_eth0")).unwrap();
        tree.on("br0", "bridge", "eth0");
        tree.write("odd/uevent", "DEVTYPE=vlan\n");
        for name in ["bond0", "br0", "odd", "missing", "", "../.."] {
            assert_eq!(tree.real(name), name);
        }
        assert_eq!(real_device("lo"), "lo");
    }

    #[test]
    fn a_member_knows_its_bond_and_not_its_bridge() {
        let tree = Tree::new("member");
        tree.write("eth0/master/ifindex", "7\n");
        assert_eq!(bond_index_in(&tree.0, "eth0"), None, "a bridge");
        tree.write("eth0/master/bonding/mode", "802.3ad 4\n");
        assert_eq!(bond_index_in(&tree.0, "eth0"), Some(7));
        assert_eq!(bond_index_in(&tree.0, "eth1"), None);
    }

    #[test]
    fn a_tree_that_goes_round_has_an_end() {
        let tree = Tree::new("round");
        tree.on("a", "vlan", "b");
        tree.on("b", "vlan", "a");
        assert_eq!(tree.real("a"), if DEPTH_MAX.is_multiple_of(2) { "a" } else { "b" });
        assert!(Path::new(&tree.0).exists());
    }
}
