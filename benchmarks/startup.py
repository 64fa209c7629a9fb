"""How long is it from `hgcnas run` to the first epoch?

11 s on an idle machine, each step a wait for processes that import Python modules one after another: 3.5 s here,
2 s until Ray's control store, raylet and agents are there, 4 s in the worker (torch 1.5, Tune 0.7, and torch._dynamo,
1.5, which torch's optimizers load). Without Ray's prestarted workers, which Tune never uses, one process less starts
per CPU; on two idle cores this saves no time.

      3.6    3.4-3.6    everything that a study needs is imported
      3.6    3.5-3.6    the study is checked
      5.8    5.5-6.6    Ray is there
      7.0    6.7-7.8    Tune asks for the first trial
     11.2   10.9-12.1   a worker's first epoch is told

Median, range of three rounds, 2 CPUs (AMD EPYC), Python 3.11.7, ray 2.60.0, torch 2.14.1.
"""

import argparse
import importlib.metadata
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

QUICKSTART = Path(__file__).parents[1] / "studies" / "quickstart.toml"
STEPS = {
    "imported": "everything that a study needs is imported",
    "ray begins": "the study is checked",
    "ray": "Ray is there",
    "proposed": "Tune asks for the first trial",
    "epoch": "a worker's first epoch is told",
}
DRIVER = """
import os, signal, sys, time

def at(step):
    if step not in seen:
        seen.add(step)
        print(step, time.time() - float(sys.argv[1]), flush=True)

seen = set()
import search
import search.api, search.run, ray
at("imported")
init = ray.init

def timed_init(*arguments, **options):
    at("ray begins")
    init(*arguments, **options)
    at("ray")

ray.init = timed_init

def observe(progress):
    if progress.message.startswith("trial 0 starts"):
        at("proposed")
    elif progress.message == "" and "epoch" not in seen:
        at("epoch")
        os.kill(os.getpid(), signal.SIGINT)

search.run_study(sys.argv[2], runs=sys.argv[3], report=False, observe=observe)
"""


def time_steps() -> dict[str, float]:
    """Seconds from the start of a driver to each of its steps."""
    with tempfile.TemporaryDirectory() as runs:
        command = [sys.executable, "-c", DRIVER, str(time.time()), str(QUICKSTART), runs]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = (line.rpartition(" ") for line in output.splitlines())
    return {step: float(seconds) for step, _, seconds in rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = [time_steps() for _ in range(parser.parse_args().rounds)]
    for step, words in STEPS.items():
        seconds = [times[step] for times in rounds]
        print(
            f"    {statistics.median(seconds):5.1f}  {min(seconds):5.1f}-{max(seconds):<5.1f}  {words}"
        )
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("ray", "torch"))
    print(
        f"{len(rounds)} rounds, {os.cpu_count()} CPUs, Python {platform.python_version()}, {versions}"
    )


if __name__ == "__main__":
    main()
