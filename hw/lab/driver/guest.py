"""What the guest is made of, built once and kept: a Debian tree with a kernel, an initramfs, and our C programs."""

import lzma
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
REPOSITORY = HOME.parent.parent

SUITE = "trixie"
# Where chrony is from: from 4.9 on it speaks NTP over PTP as RFC 10030 has it.
NEXT_SUITE = "forky"
MIRROR = "http://deb.debian.org/debian"
PACKAGES = "busybox-static ethtool iproute2 iputils-ping kmod libnuma1 libpcap0.8t64 linuxptp pciutils procps tcpdump".split()
CHRONY_NEEDS = "libcap2 libedit2 libgnutls30t64 libnettle8t64 libseccomp2".split()
# Of the next suite only what is asked for. Its mirrors may be weeks behind; what they have is signed all the same.
APT_OPTIONS = (f'APT::Default-Release "{SUITE}"', 'Acquire::Check-Valid-Until "false"')
# Kernel and chrony are unpacked, not installed: nothing boots from this tree, so that it needs neither initramfs-tools nor a boot
# loader, and nobody's daemon is to run in it.
UNPACK = f"""
set -e
cd "$1/var/tmp"
export APT_CONFIG=$MMDEBSTRAP_APT_CONFIG
kernel=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \\(linux-image-[0-9].*\\)/\\1/p' | head -n 1)
apt-get download -o APT::Sandbox::User=root "$kernel" chrony/{NEXT_SUITE}
for package in *.deb; do dpkg-deb -x "$package" "$1"; done
rm *.deb
chroot "$1" depmod "$(ls "$1/usr/lib/modules")"
"""
# Without these the tree cannot be reached from the initramfs.
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "mmdebstrap": "mmdebstrap", "gcc": "gcc"}


class CannotRun(Exception):
    """The lab cannot run on this machine, and why."""


class Guest:
    """The guest's parts, and where they are."""

    def __init__(self, cache):
        self.cache = cache
        self.home = HOME
        self.tree = cache / "tree"
        self.programs = cache / "programs"
        self.initramfs = cache / "initramfs"

    @property
    def kernel(self):
        return next(self.tree.glob("boot/vmlinuz-*"))

    @property
    def delay_line(self):
        return self.programs / "delay_line.so"

    def prepare(self, say):
        """Builds what is missing; `say` is told of what takes time."""
        require_tools()
        self.cache.mkdir(parents=True, exist_ok=True)
        self._build_tree(say)
        self._build_programs()
        self._build_initramfs()

    def _build_tree(self, say):
        packages = [*PACKAGES, *CHRONY_NEEDS]
        recipe = "\n".join([SUITE, *packages, UNPACK])
        stamp = self.cache / "tree.recipe"
        if stamp.exists() and stamp.read_text() == recipe:
            return
        say(f"building the guest's Debian tree in {self.tree} (once, about a minute)")
        shutil.rmtree(self.tree, ignore_errors=True)
        mode = "root" if os.geteuid() == 0 else "unshare"
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--mode={mode}", f"--include={','.join(packages)}"]
        command += [f"--aptopt={option}" for option in APT_OPTIONS]
        command += [f"--customize-hook={UNPACK}", SUITE, self.tree]
        command += [f"deb {MIRROR} {suite} main" for suite in (SUITE, NEXT_SUITE)]
        run(command, "the guest's Debian tree could not be built")
        stamp.write_text(recipe)

    def _build_programs(self):
        self.programs.mkdir(exist_ok=True)
        for source in (HOME / "programs").glob("*.c"):
            if source.stem == self.delay_line.stem:
                self._compile(source, self.delay_line, "-shared", "-fPIC")
            else:
                self._compile(source, self.programs / source.stem, "-static")

    def _compile(self, source, program, *how):
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", *how, "-o", program, source]
            run(command, f"{source} could not be compiled")

    def _build_initramfs(self):
        modules = self.kernel.name.replace("vmlinuz-", "")
        root = self.tree / "usr/lib/modules" / modules
        files = {"init": (HOME / "guest/boot.sh").read_bytes(), "bin/busybox": self._busybox().read_bytes()}
        order = load_order((root / "modules.dep").read_text())
        for module in order:
            packed = (root / module).read_bytes()
            files[f"modules/{module_name(module)}"] = lzma.decompress(packed) if module.endswith(".xz") else packed
        files["modules/order"] = "".join(f"{module_name(module)}\n" for module in order).encode()
        archive = initramfs(files, directories=["proc", "sys", "dev", "host", "memory", "root", "bin", "modules"])
        self.initramfs.write_bytes(archive)

    def _busybox(self):
        return next(path for path in (self.tree / "usr/bin/busybox", self.tree / "bin/busybox") if path.exists())


def require_tools():
    """Raises `CannotRun` where a program is missing, or QEMU has no igb."""
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        raise CannotRun(f"{', '.join(missing)} missing: scripts/setup --test")
    devices = subprocess.run(["qemu-system-x86_64", "-device", "help"], capture_output=True, text=True, check=False)
    if '"igb"' not in devices.stdout:
        raise CannotRun("this QEMU has no igb (8.0 and later have): scripts/setup --test")
    options = subprocess.run(["qemu-system-x86_64", "-help"], capture_output=True, text=True, check=False)
    if "\n-plugin " not in options.stdout:
        raise CannotRun("this QEMU was built without plugins, which a link with delay is")


def run(command, failure):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotRun(f"{failure}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def module_name(path):
    return re.sub(r"\.xz$", "", path.rsplit("/", 1)[-1])


def load_order(dependencies):
    """The files of MODULES and of what they need, in the order in which they can be loaded; what the kernel has built in is not
    among the dependencies."""
    needs = {}
    for line in dependencies.splitlines():
        path, _, others = line.partition(":")
        needs[path] = others.split()
    by_name = {re.sub(r"\.ko(\.xz)?$", "", path.rsplit("/", 1)[-1]): path for path in needs}
    order = []
    for name in MODULES:
        if name in by_name:
            # Each line lists what is needed last first.
            wanted = [*reversed(needs[by_name[name]]), by_name[name]]
            order += [path for path in wanted if path not in order]
    return order


def initramfs(files, directories):
    """A cpio archive in the form that the kernel takes ("newc", Documentation/driver-api/early-userspace/buffer-format.rst)."""
    archive = bytearray()

    def entry(name, mode, content=b""):
        encoded = name.encode() + b"\0"
        fields = [0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0]
        archive.extend(b"070701" + b"".join(b"%08X" % field for field in fields) + encoded)
        archive.extend(b"\0" * (-len(archive) % 4) + content)
        archive.extend(b"\0" * (-len(archive) % 4))

    for name in directories:
        entry(name, stat.S_IFDIR | 0o755)
    for name, content in files.items():
        entry(name, stat.S_IFREG | 0o755, content)
    entry("TRAILER!!!", 0)
    return bytes(archive)
