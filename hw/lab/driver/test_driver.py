"""What of the driver can be wrong without a guest: python3 -m unittest discover -s hw/lab"""

import io
import tempfile
import unittest
from pathlib import Path

from driver.boot import Outcome, by_model, link, outcome
from driver.experiments import Experiment, experiments
from driver.guest import HOME, initramfs, load_order
from driver.verdict import judge

COMPARED = Experiment("compared", "", "ptp", {"leader": "ptp4l", "follower": "sidereal", "vlan": 2}, reference="ptp4l")
ALONE = Experiment("alone", "", "ptp", {})
EPOCH_NS = 1_767_225_600_000_000_000


def apart(*offsets):
    """What an experiment leaves whose clocks were so far apart."""
    return Outcome(True, 1.0, truth=[(EPOCH_NS, EPOCH_NS + offset, 10) for offset in offsets])


class Verdicts(unittest.TestCase):
    def test_percentiles_are_of_the_size_without_the_sign(self):
        verdict = judge(ALONE, apart(*[-30] * 97, 40, -50, 60))
        self.assertEqual((verdict.p50, verdict.p99), (30, 50))
        self.assertTrue(verdict.passed)

    def test_a_reference_allows_so_much_more(self):
        reference = apart(*[5] * 100)
        self.assertTrue(judge(COMPARED, apart(*[105] * 100), reference).passed)
        self.assertFalse(judge(COMPARED, apart(*[106] * 100), reference).passed)

    def test_no_reference_allows_more_than_a_microsecond(self):
        self.assertFalse(judge(COMPARED, apart(*[1001] * 100), apart(*[5000] * 100)).passed)

    def test_what_was_not_measured_has_not_passed(self):
        self.assertFalse(judge(COMPARED, apart(), apart(*[5] * 100)).passed)
        self.assertFalse(judge(COMPARED, apart(*[5] * 100), None).passed)
        self.assertFalse(judge(COMPARED, apart(*[5] * 100), Outcome(True, 1.0, ["broke"], truth=[(0, 0, 1)] * 100)).passed)
        self.assertFalse(judge(ALONE, apart(*[5] * 99)).passed)

    def test_an_experiment_without_a_truth_is_judged_by_its_failures(self):
        self.assertTrue(judge(ALONE, Outcome(True, 1.0)).passed)
        self.assertFalse(judge(ALONE, Outcome(True, 1.0, ["said something false"])).passed)


class Outcomes(unittest.TestCase):
    def left(self, **files):
        with tempfile.TemporaryDirectory() as directory:
            for name, text in files.items():
                (Path(directory) / name.replace("_", "-")).write_text(text)
            return outcome(Path(directory), 1.0, [])

    def test_a_guest_that_stopped_early_has_failed(self):
        self.assertFalse(self.left().finished)
        self.assertTrue(self.left().failures)
        self.assertTrue(self.left(status="1").failures)
        self.assertFalse(self.left(status="0").failures)

    def test_ticks_become_the_time_that_the_model_before_them_says(self):
        models = '"model":{"nic_ticks":1000,"tai_ns":5,"local_ticks":0,"nic_hertz":5e8}\n'
        models += '"model":{"nic_ticks":2000,"tai_ns":7,"local_ticks":0,"nic_hertz":5e8}\n'
        left = self.left(status="0", truth="10 1500 1\n20 2000 1\n30 900 1\n", models_follower=models)
        self.assertEqual(left.truth, [(10, 1005, 1), (20, 7, 1), (30, -195, 1)])

    def test_ticks_beyond_the_40_bits_of_a_clock_are_those_of_its_next_round(self):
        models = [{"nic_ticks": ticks, "tai_ns": ticks, "nic_hertz": 1e9} for ticks in ((1 << 40) - 10, 5)]
        self.assertEqual(by_model(models, 0, ((1 << 40) - 3, 0, 1)), ((1 << 40) - 3, 0, 1))
        self.assertEqual(by_model(models, 0, ((1 << 40) + 2, 0, 1)), ((1 << 40) + 2, 0, 1))
        self.assertEqual(by_model(models, 0, ((7 << 40) + 9, 0, 1)), (9, 0, 1))

    def test_times_of_today_keep_their_nanoseconds(self):
        model = {"nic_ticks": EPOCH_NS, "tai_ns": EPOCH_NS, "nic_hertz": 1e9}
        self.assertEqual(by_model([model], 0, (EPOCH_NS + 3, 0, 1)), (EPOCH_NS + 3, 0, 1))


class Lists(unittest.TestCase):
    def test_every_experiment_has_its_script_and_players(self):
        for experiment in experiments():
            with self.subTest(experiment.name):
                self.assertTrue((HOME / f"guest/{experiment.script}.sh").exists())
                for role in ("leader", "follower"):
                    player = experiment.settings.get(role)
                    self.assertTrue(player is None or (HOME / f"guest/players/{player}.sh").exists())

    def test_a_reference_differs_in_its_players_alone(self):
        reference = COMPARED.reference_experiment()
        self.assertEqual(reference.settings, {"leader": "ptp4l", "follower": "ptp4l", "vlan": 2})
        self.assertIsNone(reference.reference_experiment())

    def test_both_roles_share_one_reference(self):
        other = Experiment("other", "", "ptp", {"leader": "sidereal", "follower": "ptp4l", "vlan": 2}, reference="ptp4l")
        self.assertEqual(other.reference_experiment().name, COMPARED.reference_experiment().name)

    def test_a_link_with_delay_holds_up_both_ends(self):
        self.assertEqual(link("line.so", {}), [])
        arguments = link("line.so", {"delay": 5000, "jitter": 7})
        self.assertEqual(arguments[:2], ["-plugin", "line.so,delay=5000,jitter=7"])
        self.assertEqual(arguments[2:].count("-object"), 2)


class Parts(unittest.TestCase):
    def test_modules_are_loaded_after_what_they_need(self):
        dependencies = "k/9p.ko.xz: k/9pnet.ko.xz k/netfs.ko.xz\nk/9pnet.ko.xz:\nk/netfs.ko.xz:\nk/overlay.ko.xz:\n"
        self.assertEqual(load_order(dependencies), ["k/netfs.ko.xz", "k/9pnet.ko.xz", "k/9p.ko.xz", "k/overlay.ko.xz"])

    def test_an_initramfs_is_a_cpio_archive(self):
        archive = io.BytesIO(initramfs({"init": b"abcde"}, ["bin"]))
        entries = {}
        while True:
            header = archive.read(110)
            self.assertEqual(header[:6], b"070701")
            field = [int(header[6 + 8 * i : 14 + 8 * i], 16) for i in range(13)]
            name = archive.read(field[11])[:-1].decode()
            archive.seek(-archive.tell() % 4, 1)
            if name == "TRAILER!!!":
                break
            entries[name] = archive.read(field[6])
            archive.seek(-archive.tell() % 4, 1)
        self.assertEqual(entries, {"bin": b"", "init": b"abcde"})


if __name__ == "__main__":
    unittest.main()
