"""One boot of the guest: QEMU's command line, its time limit, and what the experiment left."""

import json
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from fractions import Fraction

# The guest's time is a count of its instructions (2^3 ns each) and does not pass while it idles: it measures as if the machine
# had nothing else to do, however busy the host is. One CPU, because several are not counted.
TIME = "-accel tcg,thread=single -icount shift=0,sleep=off -smp 1 -rtc base=2026-01-01T00:00:00,clock=vm".split()
# A plain processor, which is emulated fastest and brings none of the host's chance along, and what Sidereal and DPDK need of it.
PROCESSOR = "-machine q35 -cpu qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+rdtscp,+invtsc -seed 1".split()
# The last is how start.sh ends it: at once.
CONSOLE = "-nographic -no-reboot -net none -device isa-debug-exit,iobase=0xf4,iosize=1".split()
KERNEL_WORDS = "console=ttyS0 quiet loglevel=3 panic=-1 iomem=relaxed random.trust_cpu=off net.ifnames=0 mitigations=off audit=0"


@dataclass
class Outcome:
    """What an experiment left behind. `truth` are lines of the program of that name: what both clocks showed."""

    finished: bool
    seconds: float
    failures: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    truth: list = field(default_factory=list)


def nics():
    """Two igb on one hub."""
    arguments = []
    for number in range(2):
        arguments += ["-netdev", f"hubport,id=net{number},hubid=0"]
        arguments += ["-device", f"pcie-root-port,id=root{number},bus=pcie.0,chassis={number + 1},slot={number + 1}"]
        arguments += ["-device", f"igb,bus=root{number},netdev=net{number},mac=52:54:00:00:00:{number + 1:02x}"]
    return arguments


def link(delay_line, settings):
    """What holds up what each NIC sends, where the experiment's `delay` and `jitter` (ns) say so."""
    if "delay" not in settings:
        return []
    filters = [f"filter-replay,id=line{number},netdev=net{number},queue=rx" for number in range(2)]
    arguments = ["-plugin", f"{delay_line},delay={settings['delay']},jitter={settings.get('jitter', 0)}"]
    return arguments + [word for line in filters for word in ("-object", line)]


def boot(guest, experiment, directory, programs):
    """Boots `guest` for `experiment` in `directory`, where the console's log and what the guest wrote to /out are then."""
    shutil.rmtree(directory, ignore_errors=True)
    out = directory / "out"
    out.mkdir(parents=True)
    (out / "experiment").write_text(environment(guest, experiment, programs))
    words = f"{KERNEL_WORDS} lab.tree={guest.tree} lab.home={guest.home} {experiment.kernel}"
    command = ["qemu-system-x86_64", *TIME, *PROCESSOR, *CONSOLE, "-m", str(experiment.memory)]
    command += ["-kernel", guest.kernel, "-initrd", guest.initramfs, "-append", words]
    command += ["-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"]
    command += ["-virtfs", f"local,path={out},mount_tag=out,security_model=none"]
    command += [*nics(), *link(guest.delay_line, experiment.settings), *experiment.qemu]
    begin, failures = time.monotonic(), []
    with open(directory / "console.log", "wb") as console:
        try:
            subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT,
                           timeout=experiment.limit, check=False)
        except subprocess.TimeoutExpired:
            failures.append(f"was not done within {experiment.limit} s")
    return outcome(out, time.monotonic() - begin, failures)


def environment(guest, experiment, programs):
    program, libraries = programs
    settings = {"name": experiment.name, "script": experiment.script, "programs": guest.programs, "sidereal": program}
    settings |= experiment.settings
    if settings.get("dpdk") == "ieee1588":
        settings["libraries"] = libraries
    return "".join(f"{name}='{value}'\n" for name, value in settings.items())


# Of the 40 bits of an 82576's clock.
HALF_RANGE = 1 << 39


def by_model(models, column, sample):
    """`sample` with the raw ticks in `column` replaced by the time that Sidereal says belongs to them: by its last model before."""

    def since(model):
        # Sidereal takes no more bits of the counter than its clock has; the register has more.
        return (sample[column] - model["nic_ticks"] + HALF_RANGE) % (2 * HALF_RANGE) - HALF_RANGE

    model = min((model for model in models if since(model) >= 0), key=since, default=models[0])
    time_ns = model["tai_ns"] + round(Fraction(since(model)) / Fraction(model["nic_hertz"]) * 10**9)
    return (*sample[:column], time_ns, *sample[column + 1 :])


def outcome(out, seconds, failures):
    def lines(name):
        path = out / name
        return path.read_text(errors="replace").splitlines() if path.exists() else []

    status = lines("status")
    if not status:
        failures = failures or ["the guest stopped before the experiment was done"]
    elif status != ["0"]:
        failures.append(f"its script ended with {status[0]}")
    truth = [tuple(map(int, line.split())) for line in lines("truth")]
    for column, role in enumerate(("leader", "follower")):
        models = [json.loads(line.removeprefix('"model":')) for line in lines(f"models-{role}")]
        if models:
            truth = [by_model(models, column, sample) for sample in truth]
    return Outcome(bool(status), seconds, failures + lines("failures"), lines("notes"), truth)
