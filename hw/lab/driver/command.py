"""scripts/lab: chooses experiments, runs them, prints what came of them."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from driver.boot import boot
from driver.experiments import experiments
from driver.guest import REPOSITORY, CannotRun, Guest
from driver.verdict import judge

# The guest's time does not depend on how busy the host is, so that as many may run side by side as there are processors.
SIDE_BY_SIDE = os.cpu_count() or 1
# What scripts/test takes for "this machine cannot", not for "this failed".
EXIT_CANNOT_RUN = 3


def main():
    options = arguments()
    known = {experiment.name: experiment for experiment in experiments()}
    if options.list:
        for experiment in known.values():
            print(f"{experiment.name:26} {experiment.about}")
        return 0
    unknown = [name for name in options.names if name not in known]
    if unknown:
        say(f"no experiment {', '.join(unknown)}; scripts/lab --list names them all")
        return 2
    chosen = [known[name] for name in options.names] or list(known.values())
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")).resolve()
    guest = Guest(target / "lab")
    try:
        guest.prepare(say)
        libraries = build_dpdk(target) if any(run.settings.get("dpdk") == "ieee1588" for run in chosen) else None
        if options.prepare:
            return 0
        program = options.sidereal or build_sidereal(target)
    except CannotRun as why:
        say(f"cannot run here: {why}")
        return EXIT_CANNOT_RUN
    verdicts = run_all(chosen, guest, (program, libraries), options)
    if options.json:
        print(json.dumps({"schema": "sidereal.lab/1", "experiments": [verdict.document() for verdict in verdicts]}, indent=2))
    else:
        print_table(verdicts)
    return 0 if all(verdict.passed for verdict in verdicts) else 1


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/lab",
        description="Boots a virtual machine with two timestamping NICs and runs experiments in it: how far apart are the NICs' "
        "clocks, truly, when one program leads and another follows? hw/lab/README.md explains it.",
        epilog="Exit status: 0 if all passed, 1 if one failed, 2 for a wrong command line, 3 if the lab cannot run here.",
    )
    parser.add_argument("names", metavar="EXPERIMENT", nargs="*", help="run only this one; may be given again")
    parser.add_argument("--json", action="store_true", help="print a document instead of a table")
    parser.add_argument("--list", action="store_true", help="name the experiments, and end")
    parser.add_argument("--keep", action="store_true", help="keep the logs of experiments that passed, too")
    parser.add_argument("--prepare", action="store_true", help="build the guest if it is missing, and end")
    parser.add_argument("--sidereal", metavar="PROGRAM", type=lambda path: Path(path).resolve(), help="use this build of Sidereal")
    return parser.parse_args()


def build_sidereal(target):
    say("building Sidereal")
    environment = os.environ | {"CARGO_TARGET_DIR": str(target)}
    command = ["cargo", "build", "--quiet", "-p", "sidereal"]
    if subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode != 0:
        raise CannotRun("Sidereal does not build")
    return target / "debug/sidereal"


def build_dpdk(target):
    """DPDK with the stamps of igb, for experiments with `dpdk = "ieee1588"`; where its libraries are."""
    say("building DPDK with RTE_LIBRTE_IEEE1588, if it is not there (two minutes)")
    environment = os.environ | {"CARGO_TARGET_DIR": str(target)}
    built = subprocess.run(["hw/dpdk/build"], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        raise CannotRun(f"hw/dpdk/build: {built.stderr[-2000:]}")
    return built.stdout.split("=", 1)[1].strip()


def run_all(chosen, guest, programs, options):
    """Runs all of them and the references that they need, each once, and judges them in their order."""
    references = {e.name: e.reference_experiment() for e in chosen if e.reference is not None}
    # References first: the verdict on an experiment is then there as soon as it ends.
    boots = list({run.name: run for run in [*references.values(), *chosen]}.values())
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        outcomes = {
            run.name: pool.submit(boot, guest, run, guest.cache / "runs" / run.name, programs) for run in boots
        }
        verdicts = []
        for experiment in chosen:
            reference = references.get(experiment.name)
            beside = outcomes[reference.name].result() if reference else None
            verdict = judge(experiment, outcomes[experiment.name].result(), beside)
            verdicts.append(verdict)
            say(f"{'ok    ' if verdict.passed else 'FAILED'} {verdict.name} ({verdict.seconds:.0f} s)")
            if verdict.passed and not options.keep:
                shutil.rmtree(guest.cache / "runs" / experiment.name / "out/logs", ignore_errors=True)
    return verdicts


def print_table(verdicts):
    print(f"{'experiment':26} {'true offset p50':>16} {'p99':>10} {'reference p99':>14}")
    for verdict in verdicts:
        offsets = f"{ns(verdict.p50):>16} {ns(verdict.p99):>10} {ns(verdict.reference_p99):>14}"
        print(f"{verdict.name:26} {offsets}  {'passed' if verdict.passed else 'FAILED'}")
        for line in [*verdict.notes, *verdict.failures]:
            print(f"    {line}")


def ns(value):
    return "-" if value is None else f"{value} ns"


def say(words):
    print(f"lab: {words}", file=sys.stderr, flush=True)
