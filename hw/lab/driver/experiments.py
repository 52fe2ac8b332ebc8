"""The list of experiments, as experiments.toml has it, and each one's reference."""

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).resolve().parent.parent / "experiments.toml"
# Settings that are for a player, not for the link; and how long it takes, which is long enough for the reference where nothing is said.
OF_PLAYERS = ("dpdk", "without_tx_stamps", "settle", "seconds")


@dataclass(frozen=True)
class Experiment:
    """What one boot of the guest is for. `settings` are for its script."""

    name: str
    about: str
    script: str
    settings: dict
    reference: str | None = None
    memory: int = 768
    kernel: str = ""
    qemu: tuple = ()
    limit: int = 240

    def reference_experiment(self):
        """The same with the reference's program in both roles, on the plain machine that suffices for it; `None` where there is no
        reference."""
        if self.reference is None:
            return None
        settings = {name: value for name, value in self.settings.items() if name not in OF_PLAYERS}
        settings |= {"leader": self.reference, "follower": self.reference}
        link = [f"{name}-{value}" for name, value in settings.items() if name not in ("leader", "follower")]
        name = "-".join(["reference", self.script, self.reference, *link])
        return Experiment(name=name, about="the reference", script=self.script, settings=settings, limit=self.limit)


def experiments():
    """All of them, in the order of the file."""
    keys = {field.name for field in dataclasses.fields(Experiment)} - {"name", "settings"}
    found = []
    for name, table in tomllib.loads(LIST.read_text()).items():
        ours = {key: value for key, value in table.items() if key in keys}
        settings = {key: value for key, value in table.items() if key not in keys}
        if "qemu" in ours:
            ours["qemu"] = tuple(ours["qemu"])
        found.append(Experiment(name=name, settings=settings, **ours))
    return found
