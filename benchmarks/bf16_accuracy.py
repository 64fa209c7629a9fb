"""What does bfloat16 cost in accuracy?

No visible loss. bf16 - fp32, the same networks with the same seeds, 95 % interval:

    quickstart, 20 networks, 3 seeds (--networks 20)         +0.0004 +- 0.0029   (305 validation images)
    cifar10-cpu, 3 networks of 4 to 16M FLOPs, 3 seeds       +0.0021 +- 0.0067   (2,000 validation images)

A loss of 0.003 on digits and of 0.005 on CIFAR-10 could have been missed. torch 2.15.0 on a processor that emulates
bfloat16: the rounding is the same as in hardware, the order of sums may differ.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from interleaved import describe_machine
from scipy import stats

from hgcnet.complexity import count
from search.data.splits import load_splits
from search.prepare import prepare
from search.study_file.reading import read_study_file
from search.training.proxy_config import Precision
from search.training.proxy_training import ProxyTraining

STUDIES = Path(__file__).resolve().parents[1] / "studies"


def compare(study: str, networks: int, seeds: int) -> None:
    """Trains some networks of a study's space in both precisions, with the same seeds."""
    prepared = prepare(read_study_file(STUDIES / f"{study}.toml"))
    file, space = prepared.file, prepared.space.space
    splits = load_splits(
        file.data,
        resolution=file.proxy.resolution or file.data.resolution,
        train_images=file.proxy.train_images,
        val_images=file.proxy.val_images,
    )
    rng = np.random.default_rng(0)
    drawn = [a for _ in range(networks) if (a := space.sample(rng)) is not None]
    differences = []
    for architecture in drawn:
        for seed in range(seeds):

            def accuracy(precision: Precision, architecture=architecture, seed=seed) -> float:
                config = replace(file.proxy, precision=precision)
                device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
                training = ProxyTraining(architecture, splits, config, seed=seed, device=device)
                while training.epoch < config.epochs:
                    training.run_epoch()
                return training.curve[-1]

            pair = accuracy("fp32"), accuracy("bf16")
            differences.append(pair[1] - pair[0])
            flops = count(architecture, space.task).flops / 1e6
            print(
                f"  {architecture}, {flops:.2f}M, seed {seed}: fp32 {pair[0]:.4f}, bf16 {pair[1]:.4f}",
                flush=True,
            )
    mean, error = np.mean(differences), stats.sem(differences)
    half = stats.t.ppf(0.975, len(differences) - 1) * error
    print(
        f"{study}: bf16 - fp32 = {mean:+.4f} +- {half:.4f} (95 %, {len(differences)} pairs of "
        f"{len(drawn)} networks and {seeds} seeds, {len(splits.validation.labels)} validation images)"
    )


def main() -> None:
    """Prints every pair, and the mean difference with its interval."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--studies", nargs="+", default=["quickstart", "cifar10-cpu"])
    parser.add_argument("--networks", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(describe_machine())
    for study in options.studies:
        compare(study, options.networks, options.seeds)


if __name__ == "__main__":
    main()
