"""How many architectures per second are counted on one core?

With numpy, a million and more; 1,300 times as many as one after the other. Decoding points of the search
space to arrays takes about a third of the time.

    counted                               1,445,624 architectures/s (1,135,386 - 3,495,159)
    decoded from points and counted         988,984                 (  357,114 - 2,263,023)
    one after the other                         760                 (      247 -     1,099)

25 x 4096 architectures of studies/cifar10.toml, median of 15 interleaved rounds (least - most), wall time, one
core of a 2-core AMD EPYC (avx512), numpy 2.4.6. The machine was busy (load 6 to 10 on two cores): an
idle one comes near the most, not the median.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from interleaved import CPU_TIME, Timing, choose_clock, describe_machine, measure

from hgcnet.architecture import Task
from hgcnet.complexity import count, count_many
from search.study_file.reading import read_study_file
from space.decode import decode, to_arrays
from space.parameters import build_axes


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--study", type=Path, default=Path("studies/cifar10.toml"))
    parser.add_argument("--batch", type=int, default=4096, help="architectures counted at once")
    parser.add_argument("--batches", type=int, default=25, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cpu-time", action="store_true", help=CPU_TIME)
    parser.add_argument("--quick", action="store_true", help="2 rounds of 2 batches")
    options = parser.parse_args()
    rounds, batches = (2, 2) if options.quick else (options.rounds, options.batches)
    torch.set_num_threads(1)
    clock = choose_clock(options.cpu_time, torch.device("cpu"))

    axes = build_axes(read_study_file(options.study).parameters)
    task = Task()
    rng = np.random.default_rng(0)
    sizes = [len(axis.values) for axis in axes]
    points = [rng.integers(sizes, size=(options.batch, len(axes))) for _ in range(batches)]
    arrays = [to_arrays(axes, part) for part in points]
    one_by_one = [
        decode(axes, {axis.name: axis.values[i] for axis, i in zip(axes, point, strict=True)})
        for point in points[0][:200]
    ]
    results = measure(
        {
            "counted": lambda: [count_many(part, task) for part in arrays],
            "decoded from points and counted": lambda: [
                count_many(to_arrays(axes, part), task) for part in points
            ],
            "one after the other, without decoding": lambda: [count(a, task) for a in one_by_one],
        },
        rounds,
        clock,
    )
    print(f"{describe_machine()}, numpy {np.__version__}, {clock.name}")
    print(f"{batches} x {options.batch} architectures of {options.study}, median of {rounds}\n")
    print(f"{'':40}{'architectures/s':>16}   (least - most)")
    for name, timing in results.items():
        number = len(one_by_one) if name.startswith("one") else batches * options.batch
        print(f"{name:40}{number / timing.median:16,.0f}   {spread(timing, number)}")


def spread(timing: Timing, number: int) -> str:
    """Least and most a second."""
    return f"({number / max(timing.seconds):,.0f} - {number / min(timing.seconds):,.0f})"


if __name__ == "__main__":
    main()
