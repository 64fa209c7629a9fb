"""How well does a learning curve predict its network's accuracy, by a second training with another seed?

    python benchmarks/curves.py           # trains for about 12 minutes on two cores, once

The trainings of the committed tables are far from convergence. So a hundred networks of the quickstart's
space are trained, too, each twice, to accuracies of 0.96. Rerun it to resume.

For n networks with a curve each, as in a search; in the last columns half of the curves are cut short:
    error     root mean square error against the last accuracy of the second training, which is noisy
    flattery  how much the predicted accuracy of the best fifth exceeds that of the second training
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from hgcnet.arrays import Floats
from search.estimation.curve_reading import read_curves
from search.estimation.gaussian_process import create_accuracy_model
from search.prepare import prepare
from search.simulation.surrogate import training_arrays
from search.simulation.table import read_table
from search.simulation.tabulation import train_table
from search.study_file.reading import read_study_file
from space.search_space import SearchSpace

STUDIES = Path(__file__).parents[1] / "studies"
SIZES = (12, 25, 50)
DRAWS = 20  # of so many networks, by turns with the one seed and the other


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    prepared = prepare(
        replace(read_study_file(STUDIES / "quickstart.toml"), name="converged-table")
    )
    table, is_complete = train_table(
        prepared,
        arguments.runs / prepared.file.name,
        uniform=80,
        near_front=20,
        repeated_share=1.0,
        observe=lambda progress: print(progress.message, flush=True),
    )
    if not is_complete:
        raise SystemExit("some trainings are missing; rerun the command to resume")
    print_errors("converged", table, prepared.space.space)
    for path in sorted((STUDIES / "tables").glob("*.parquet")):
        table, file, task = read_table(path)
        print_errors(path.stem, table, SearchSpace(file.parameters, file.limits, task))


def print_errors(name: str, table: pd.DataFrame, space: SearchSpace) -> None:
    """Of the networks that were trained twice."""
    twice = table.groupby("fingerprint").filter(lambda rows: len(rows) > 1)
    by_seed = [rows.sort_values("fingerprint") for _, rows in twice.groupby("repetition")]
    features, _ = training_arrays(by_seed[0], space)
    seeds = [np.array(rows["curve"].tolist(), dtype=np.float64) for rows in by_seed]
    networks, epochs = seeds[0].shape
    early, half = max(epochs // 4, 1), epochs // 2
    accuracy = seeds[0][:, -1]
    print(f"\n{name}: {networks} networks twice, {accuracy.mean():.3f} ± {accuracy.std():.3f}")
    columns = ("last epoch alone", "all epochs", f"{early} of {epochs}", f"{half} of {epochs}")
    print(f"{'networks':10}" + "".join(f"{column:>20}" for column in columns))
    for size in SIZES:
        if size > networks:
            continue
        rng = np.random.default_rng(0)
        found: dict[str, list[tuple[float, float]]] = {column: [] for column in columns}
        for draw in range(DRAWS):
            rows = rng.permutation(networks)[:size]
            curves, truth = seeds[draw % 2][rows], seeds[1 - draw % 2][rows, -1]
            model = create_accuracy_model(space, np.random.default_rng(draw))
            model.learn(features[rows], curves[:, -1], features[:0])
            estimated = model.smooth(features[rows], curves[:, -1])
            whole, _ = read_curves(list(curves), estimated, [])
            kept = size - size // 2
            cut = [
                read_curves(list(curves[:kept]), estimated[:kept], list(curves[kept:, :length]))[0]
                for length in (early, half)
            ]
            found[columns[0]].append(_judge(curves[:, -1], truth))
            found[columns[1]].append(_judge(whole, truth))
            found[columns[2]].append(_judge(cut[0][kept:], truth[kept:]))
            found[columns[3]].append(_judge(cut[1][kept:], truth[kept:]))
        cells = [np.mean(found[column], axis=0) for column in columns]
        print(f"{size:<10}" + "".join(f"{np.sqrt(c[0]):12.4f} {c[1]:+.4f}" for c in cells))


def _judge(read: Floats, truth: Floats) -> tuple[float, float]:
    """The mean square of the errors, and the mean error of the best fifth."""
    best = np.argsort(-read)[: max(2, len(read) // 5)]
    return float(np.mean((read - truth) ** 2)), float(np.mean((read - truth)[best]))


if __name__ == "__main__":
    main()
