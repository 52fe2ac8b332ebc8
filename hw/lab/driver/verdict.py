"""Judges what an experiment left: the true offset of the two clocks, beside that of the reference."""

import math
from dataclasses import dataclass

# The two clocks must agree so well in all, and be so little worse than the reference.
OFFSET_LIMIT_NS = 1000
BESIDE_REFERENCE_NS = 100
# Fewer samples than this make no percentile.
SAMPLES_MIN = 100


@dataclass
class Verdict:
    """What is said of an experiment. The offsets are `None` where none was measured."""

    name: str
    failures: list
    notes: list
    seconds: float
    p50: float | None = None
    p99: float | None = None
    reference_p99: float | None = None

    @property
    def passed(self):
        return not self.failures

    def document(self):
        return {
            "name": self.name,
            "passed": self.passed,
            "true_offset_ns_p50": self.p50,
            "true_offset_ns_p99": self.p99,
            "reference_offset_ns_p99": self.reference_p99,
            "failures": self.failures,
            "notes": self.notes,
            "seconds": round(self.seconds, 1),
        }


def judge(experiment, outcome, reference=None):
    """The verdict on `outcome`; `reference` is that of the reference's experiment, where there is one."""
    verdict = Verdict(experiment.name, list(outcome.failures), outcome.notes, outcome.seconds)
    if not outcome.truth:
        if experiment.reference is not None:
            verdict.failures.append("the true offset was not measured")
        return verdict
    if len(outcome.truth) < SAMPLES_MIN:
        verdict.failures.append(f"only {len(outcome.truth)} samples of the true offset")
    verdict.p50, verdict.p99 = percentile(outcome, 50), percentile(outcome, 99)
    limit = OFFSET_LIMIT_NS
    if experiment.reference is not None:
        if reference is None or reference.failures or not reference.truth:
            why = "; ".join(reference.failures) if reference else "it was not run"
            verdict.failures.append(f"there is no reference to compare with: {why}")
        else:
            verdict.reference_p99 = percentile(reference, 99)
            limit = min(limit, verdict.reference_p99 + BESIDE_REFERENCE_NS)
    if verdict.p99 > limit:
        verdict.failures.append(f"off by {verdict.p99} ns (p99), more than {limit} ns")
    return verdict


def percentile(outcome, percent):
    """Of how far apart both clocks were, without the sign, by nearest rank."""
    offsets = sorted(abs(b - a) for a, b, _window in outcome.truth)
    return offsets[math.ceil(len(offsets) * percent / 100) - 1]
