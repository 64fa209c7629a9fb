"""Statistics of a few noisy accuracies: intervals, paired differences, rank correlations."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from hgcnet.arrays import Floats

CONFIDENCE = 0.95
POWER = 0.8  # with which the smallest visible difference is seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with its 95 % interval; the ends are NaN for a single value."""

    mean: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """The number after the plus-minus sign."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """How much more accurate one network is than another, from trainings paired by seed."""

    difference: Interval
    smallest_visible: float  # true difference that 4 of 5 such comparisons would tell from 0
    pairs: int


def mean_interval(values: npt.ArrayLike) -> Interval:
    """The mean of independent values (n,), by Student's t."""
    values = np.asarray(values, dtype=np.float64)
    mean, half = float(values.mean()), _standard_errors(values, (1 + CONFIDENCE) / 2)
    return Interval(mean=mean, low=mean - half, high=mean + half)


def paired_difference(ours: npt.ArrayLike, theirs: npt.ArrayLike) -> PairedDifference:
    """The mean of ours - theirs, (n,) each, with equal seeds at equal places."""
    differences = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    return PairedDifference(
        difference=mean_interval(differences),
        smallest_visible=_standard_errors(differences, (1 + CONFIDENCE) / 2, POWER),
        pairs=len(differences),
    )


def kendall_tau_within(
    first: npt.ArrayLike, second: npt.ArrayLike, sizes: npt.ArrayLike, factor: float
) -> float:
    """Kendall's tau-b over the pairs whose sizes differ by at most a factor.

    tau-b over a set of pairs (Kendall 1945, with pairs left out): concordant minus discordant pairs, divided
    by the geometric mean of the numbers of pairs that each side does not tie. NaN if one side ties all.
    """
    signs = [
        np.sign(np.subtract.outer(values, values))
        for values in (np.asarray(given, dtype=np.float64) for given in (first, second))
    ]
    log_sizes = np.log(np.asarray(sizes, dtype=np.float64))
    # A little more than the factor, to allow for rounding.
    near = np.abs(np.subtract.outer(log_sizes, log_sizes)) <= np.log(factor) + 1e-12
    near &= np.tri(len(near), k=-1, dtype=np.bool_)
    ours, theirs = (sign[near] for sign in signs)
    untied = np.sqrt(float(np.abs(ours).sum()) * float(np.abs(theirs).sum()))
    return float(ours @ theirs) / untied if untied else float("nan")


def bootstrap_tau(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    sizes: npt.ArrayLike,
    factor: float = np.inf,
    *,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """`kendall_tau_within`, with an interval by the bootstrap over the networks (n,).

    A network drawn twice makes a pair with itself, which is tied on both sides and does not count.
    """
    ours, theirs, size = (np.asarray(values, dtype=np.float64) for values in (first, second, sizes))
    if len(ours) < 2:  # no pair
        return Interval(mean=float("nan"), low=float("nan"), high=float("nan"))
    rng = np.random.default_rng(seed)
    taus = []
    for _ in range(draws):
        drawn = rng.integers(len(ours), size=len(ours))
        taus.append(kendall_tau_within(ours[drawn], theirs[drawn], size[drawn], factor))
    tail = (1 - CONFIDENCE) / 2
    known = np.array(taus)[~np.isnan(taus)]
    low, high = np.quantile(known, [tail, 1 - tail]) if known.size else (np.nan, np.nan)
    whole = kendall_tau_within(ours, theirs, size, factor)
    return Interval(mean=whole, low=float(low), high=float(high))


def _standard_errors(values: Floats, *probabilities: float) -> float:
    """The standard error of a mean, times the sum of quantiles of Student's t; NaN for one value."""
    freedom = len(values) - 1
    if freedom < 1:
        return float("nan")
    quantiles = sum(float(stats.t.ppf(probability, freedom)) for probability in probabilities)
    return quantiles * (float(values.std(ddof=1)) / float(np.sqrt(len(values))))
