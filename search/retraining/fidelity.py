"""How well cheap scores of a network predict a longer training: rank correlation and cost."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hgcnet.architecture import Architecture
from hgcnet.atomic_write import replace_file, writing
from hgcnet.complexity import count
from search.prepare import PreparedStudy
from search.results.trials import shown_cost
from search.retraining.retraining_loop import RetrainingProgress, retrain
from search.retraining.statistics import Interval, bootstrap_tau
from search.retraining.training_folder import (
    Training,
    TrainingFolder,
    locked_folder,
    network_cells,
    plan_trainings,
)
from search.training.recipe import Recipe, with_options
from search.training.scores import SCORES
from search.training.seeds import reference_seed, table_seed
from space.search_space import SearchSpace

BAND = 1.5  # the factor within which the costs of two networks are alike
_DRAWS = 4000  # of the space, from which networks are chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """One score compared with the longer training."""

    score: str
    seconds: float  # mean cost per network
    tau: Interval  # Kendall's, over all pairs of networks
    tau_within: Interval  # over the pairs whose costs differ by less than BAND


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """The table of correlations, and what it was made from."""

    folder: Path
    reference: str  # the longer training, as text
    cost: str  # "flops" (if they are an objective) or "num_params": by which networks are alike
    correlations: tuple[Correlation, ...]
    networks: pd.DataFrame  # a row each: flops, num_params, reference, and a column per score
    seconds: Mapping[str, float]
    is_complete: bool


def spread_networks(
    space: SearchSpace, number: int, seed: int, cost: str
) -> tuple[Architecture, ...]:
    """Different feasible networks, spread evenly over the log of a cost from the cheapest to the dearest.

    Each is the nearest to its place among some thousand uniform draws, so that networks of one cost are
    chosen at random.
    """
    rng = np.random.default_rng(seed)
    drawn = {a.fingerprint: a for _ in range(_DRAWS) if (a := space.sample(rng)) is not None}
    networks = list(drawn.values())
    costs = np.log([getattr(count(network, space.task), cost) for network in networks])
    chosen = []
    for place in np.linspace(costs.min(), costs.max(), min(number, len(networks))):
        nearest = int(np.argmin(np.abs(costs - place)))
        costs[nearest] = np.inf
        chosen.append(networks[nearest])
    return tuple(chosen)


def default_proxies(base: Recipe) -> tuple[Recipe, ...]:
    """The study's own proxy, cheaper variants of it, and one of the same cost."""
    epochs, images = base.proxy.epochs, base.proxy.train_images
    half = max(1, epochs // 2)
    smaller = max(8, base.resolution * 3 // 4)
    varied = [base, with_options(base, epochs=half), with_options(base, resolution=smaller)]
    if images is not None:
        varied.append(with_options(base, train_images=images // 2))
        varied.append(with_options(base, train_images=images // 2, epochs=2 * epochs))
    return tuple(dict.fromkeys(varied))


def train_and_correlate(
    prepared: PreparedStudy,
    folder: Path,
    proxies: Sequence[Recipe],
    reference: Recipe,
    *,
    networks: int,
    repetitions: int = 1,
    ray_address: str | None = None,
    observe: Callable[[RetrainingProgress], None] = lambda progress: None,
) -> Fidelity:
    """Scores a sample of the space by every proxy and trains it by the reference; resumable.

    Every proxy trains with the seed that a study would use, the reference with fresh seeds.

    Args:
        repetitions: trainings by the reference with different seeds; their mean is the truth. With two or
            more, the table shows how well one of them predicts the mean of the others: a bound for proxies.

    Raises:
        UserError: the data or the workers are not available.
    """
    file, space = prepared.file, prepared.space.space
    cost, metric = shown_cost(file.costs), reference.quality_metric
    sample = spread_networks(space, networks, file.seed, cost)
    cells = [network_cells(network, space.task) for network in sample]
    scores = pd.DataFrame(cells).set_index("fingerprint")
    seconds: dict[str, float] = {}
    for name, score in SCORES.items():
        begin = time.perf_counter()
        scores[name] = [score(network, space.task) for network in sample]
        seconds[name] = (time.perf_counter() - begin) / len(sample)

    named = [(str(network), network) for network in sample]
    as_in_study = plan_trainings(named, [0], partial(table_seed, file.seed))
    fresh = plan_trainings(named, range(repetitions), partial(reference_seed, file.seed))
    plan = [*((recipe, as_in_study) for recipe in proxies), (reference, fresh)]
    frames, is_complete = _train_all(plan, prepared, folder, ray_address, observe)
    for recipe, frame in zip(proxies, frames[:-1], strict=True):
        scores[recipe.text] = frame[metric]
        seconds[recipe.text] = float(frame["seconds"].mean())
    whole, epochs = proxies[0].text, proxies[0].proxy.epochs
    for epoch in (2**k for k in range(epochs.bit_length()) if 2**k < epochs):
        name = f"epoch {epoch} of {whole}"  # as early stopping would see it
        scores[name] = frames[0]["curve"].str[epoch - 1]
        seconds[name] = seconds[whole] * epoch / epochs
    frame = frames[-1]
    scores["reference"] = frame.groupby("fingerprint")[metric].mean()
    correlations = [_correlate(name, scores, "reference", cost, seconds[name]) for name in seconds]
    if repetitions > 1:
        name = f"one seed of {reference.text}"
        scores[name] = frame[frame["repetition"] == 0][metric]
        others = frame[frame["repetition"] > 0]
        scores["others"] = others.groupby("fingerprint")[metric].mean()
        seconds[name] = float(frame["seconds"].mean())
        correlations.append(_correlate(name, scores, "others", cost, seconds[name]))
    result = Fidelity(
        folder=folder,
        reference=reference.text,
        cost=cost,
        correlations=tuple(correlations),
        networks=scores.reset_index(),
        seconds=seconds,
        is_complete=is_complete,
    )
    text = json.dumps(fidelity_document(result), indent=1) + "\n"
    with writing(folder):
        replace_file(folder / "fidelity.json", text.encode())
        replace_file(folder / "scores.csv", result.networks.to_csv(index=False).encode())
    return result


def fidelity_document(result: Fidelity) -> dict[str, Any]:
    """As JSON can hold it; NaN becomes null."""
    rows = [asdict(row) for row in result.correlations]
    return {
        "reference": result.reference,
        "networks": len(result.networks),
        "correlations": json.loads(pd.json_normalize(rows).to_json(orient="records")),
        "complete": result.is_complete,
    }


def _train_all(
    plan: Sequence[tuple[Recipe, Sequence[Training]]],
    prepared: PreparedStudy,
    folder: Path,
    ray_address: str | None,
    observe: Callable[[RetrainingProgress], None],
) -> tuple[list[pd.DataFrame], bool]:
    """The finished trainings of each part, by fingerprint; and whether all are finished."""
    from search.workers.ray_cluster import joined_ray  # as in `retrain`

    frames, is_complete, is_stopped = [], True, False
    with locked_folder(folder), ExitStack() as stack:
        for recipe, _ in plan:
            recipe.load()  # so that an error in any of them is raised before anything is trained
        for recipe, wanted in plan:
            trainings = TrainingFolder(folder / recipe.name, recipe)
            if not (is_stopped or all(map(trainings.has, wanted))):
                stack.enter_context(joined_ray(ray_address))  # once for all parts
                loop = retrain(
                    wanted, trainings, prepared.file, ray_address=ray_address, observe=observe
                )
                is_stopped = loop.stop_requested
            is_complete &= all(map(trainings.has, wanted))
            frame = trainings.frame(wanted, prepared.space.space.task)
            frames.append(frame.set_index("fingerprint"))
    return frames, is_complete


def _correlate(
    name: str, scores: pd.DataFrame, truth: str, cost: str, seconds: float
) -> Correlation:
    # A score may be the cost itself.
    score, true, size = scores[[name, truth, cost]].dropna().to_numpy("float64").T
    return Correlation(
        score=name,
        seconds=seconds,
        tau=bootstrap_tau(score, true, size),
        tau_within=bootstrap_tau(score, true, size, BAND),
    )
