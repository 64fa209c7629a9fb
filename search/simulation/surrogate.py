"""A surrogate: predicts curves and seconds of every network of a space from a table of trained ones.

Extra trees (Geurts, Ernst, Wehenkel 2006) on the residuals of a linear trend in log FLOPs and log params.
No sampler uses this family of models, so that none is favoured by its own assumptions.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from hgcnet.architecture import Architecture
from hgcnet.arrays import Floats, Ints
from search.estimation.features import TREND, features_of
from search.retraining.statistics import kendall_tau_within
from space.parameters import Axis
from space.search_space import SearchSpace

TRUSTED_TAU = 0.7  # below it a simulation allows no conclusion


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How well a surrogate predicts unseen networks, in 10-fold cross-validation."""

    tau: float  # Kendall's, of the last accuracy
    residual: float  # root mean square, of a single training
    noise: float  # standard deviation between seeds: what no model can predict
    networks: int

    @property
    def is_trusted(self) -> bool:
        """Whether conclusions may be drawn."""
        return self.tau >= TRUSTED_TAU


class _Trees:
    """Predicts several targets (n, T) from features (n, F)."""

    def __init__(self, features: Floats, targets: Floats) -> None:
        trend = _trend(features)
        self._linear = LinearRegression().fit(trend, targets)
        forest = ExtraTreesRegressor(
            n_estimators=300, min_samples_leaf=3, max_features=0.5, random_state=0, n_jobs=1
        ).fit(features, targets - self._linear.predict(trend))
        self._trees = [tree.tree_ for tree in forest.estimators_]

    def predict(self, features: Floats) -> Floats:
        """(N, T)."""
        # The forest's own predict gives the same and takes twenty times as long for one network.
        rows = features.astype(np.float32)
        above = sum(tree.predict(rows)[..., 0] for tree in self._trees) / len(self._trees)
        found: Floats = self._linear.predict(_trend(features)) + above
        return found


class Surrogate:
    """The truth of a simulation: for every network a curve and seconds, for every seed its noise.

    Args:
        table: as `search.simulation.table.read_table` gives it.
    """

    def __init__(self, table: pd.DataFrame, space: SearchSpace) -> None:
        self._space = space
        features, targets = training_arrays(table, space)
        self._trees = _Trees(features, targets)
        self._noise = _noise_covariance(table)
        self._known: dict[str, tuple[Floats, float]] = {}

    @property
    def epochs(self) -> int:
        """The number of epochs of a full training."""
        return len(self._noise)

    def truth(self, architecture: Architecture) -> tuple[Floats, float]:
        """The noise-free accuracy after every epoch (E,), and the seconds of an epoch."""
        key = architecture.fingerprint
        if key not in self._known:
            point = self._space.point_of(architecture)
            row = self._trees.predict(features_of(self._space, point[None]))[0]
            self._known[key] = (row[:-1], float(np.exp(row[-1])))
        return self._known[key]

    def curve(self, architecture: Architecture, seed: int) -> Floats:
        """The curve of a training: the truth with noise, which depends on seed and network alone."""
        rng = np.random.default_rng([seed, int(architecture.fingerprint, 16)])
        noise = rng.multivariate_normal(np.zeros(self.epochs), self._noise, method="cholesky")
        return np.clip(self.truth(architecture)[0] + noise, 0.0, 1.0)


def cross_validate(table: pd.DataFrame, space: SearchSpace) -> Quality:
    """How well a surrogate of a table predicts networks that it was not fitted to.

    The two seeds of a network are always in the same fold.
    """
    features, targets = training_arrays(table, space)
    truth = targets[:, -2]
    networks = pd.factorize(table["fingerprint"])[0]
    found = np.empty_like(truth)
    folds = KFold(10, shuffle=True, random_state=0).split(np.unique(networks))
    for _, held_out in folds:
        is_out = np.isin(networks, held_out)
        trees = _Trees(features[~is_out], targets[~is_out])
        found[is_out] = trees.predict(features[is_out])[:, -2]
    return Quality(
        tau=kendall_tau_within(found, truth, np.ones(len(truth)), 1.0),
        residual=float(np.sqrt(np.mean((found - truth) ** 2))),
        noise=float(np.sqrt(_noise_covariance(table)[-1, -1])),
        networks=int(networks.max()) + 1,
    )


def training_arrays(table: pd.DataFrame, space: SearchSpace) -> tuple[Floats, Floats]:
    """Features (n, F), and targets (n, E + 1): the curve and the log of an epoch's seconds."""
    points = np.column_stack([_positions(table, axis) for axis in space.axes])
    curves = np.array(table["curve"].tolist(), dtype=np.float64)
    seconds = np.log(table["seconds"].to_numpy("float64") / curves.shape[1])
    return features_of(space, points), np.column_stack([curves, seconds])


def _positions(table: pd.DataFrame, axis: Axis) -> Ints:
    """The positions (n,) of a table's rows on an axis; columns are named as Optuna's parameters."""
    if axis.is_fixed:
        return np.zeros(len(table), dtype=np.int64)
    is_numbered = (index := f"{axis.name}_index") in table
    column = table[index] if is_numbered else table[axis.name].map(axis.values.index)
    return np.asarray(column, dtype=np.int64)


def _noise_covariance(table: pd.DataFrame) -> Floats:
    """Covariance (E, E) of the seed noise of a curve, from the networks that were trained twice."""
    twice = table.groupby("fingerprint").filter(lambda rows: len(rows) > 1)
    first, second = (
        np.array(twice[twice["repetition"] == k].sort_values("fingerprint")["curve"].tolist())
        for k in (0, 1)
    )
    half = (first - second) / np.sqrt(2)
    covariance: Floats = half.T @ half / len(half)
    return covariance + 1e-10 * np.eye(len(covariance))


def _trend(features: Floats) -> Floats:
    columns = features[:, -TREND:]
    return np.column_stack([columns, columns[:, :1] ** 2])
