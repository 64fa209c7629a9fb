"""The rungs of multi-objective asynchronous successive halving: which trainings continue.

MO-ASHA: Schmucker, Donini, Zafar, Salinas, Archambeau 2021, "Multi-objective Asynchronous Successive
Halving" (arXiv:2106.12639), here in the form that stops and never resumes, as a training worker cannot
be kept waiting. ASHA: Li, Jamieson, Rostamizadeh et al. 2020, "A System for Massively Parallel
Hyperparameter Tuning" (arXiv:1810.05934). All losses are minimised.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hgcnet.arrays import Floats
from search.pareto import non_dominated_rank


class Rungs:
    """Records what every trial reached at each rung, and decides at a rung which trials continue.

    At a rung reached by n trials, the best ceil(n / reduction_factor) continue. The order is
    non-dominated sorting, and within a front an epsilon-net (`spread_order`). While fewer than
    `reduction_factor` trials have reached the rung, all continue. A trial with a loss that is not
    finite never does.

    One rule is not the paper's: the whole first front continues, even where it is larger than its
    share. It is the best known front, which is all that a study looks for; in a search on CIFAR-10
    the epsilon-net had stopped members between two trained presets. Known weakness: trials of
    different FLOPs are compared by dominance only, so the cheapest trial of a rung continues
    however badly it trains.

    A decision depends on the entries of a rung, not on their order. Replaying stored curves
    therefore rebuilds the state: a trial that is reported again at the same rung replaces its
    entry.

    Args:
        rung_epochs: after which trials may stop, ascending.
        reduction_factor: one in this many continues.
    """

    def __init__(self, rung_epochs: Sequence[int], reduction_factor: int) -> None:
        self._reduction_factor = reduction_factor
        # epoch -> trial -> losses
        self._entries: dict[int, dict[int, tuple[float, ...]]] = {e: {} for e in rung_epochs}

    def on_result(self, trial: int, epoch: int, losses: Sequence[float]) -> bool:
        """Records the losses (m,) of a trial after an epoch; returns whether it continues, True off a rung.

        `trial` identifies a network: a retry of an interrupted training has the number of the first
        one, or it would compete with itself.
        """
        rung = self._entries.get(epoch)
        if rung is None:
            return True
        rung[trial] = tuple(float(loss) for loss in losses)
        return is_promoted(rung, trial, self._reduction_factor)


def is_promoted(rung: Mapping[int, Sequence[float]], trial: int, reduction_factor: int) -> bool:
    """Whether a trial is on the first front of a rung's n entries, or among the best
    ceil(n / reduction_factor) of them."""
    trials = sorted(rung)  # of equal losses, the older trial counts as the better
    losses = np.array([rung[key] for key in trials], dtype=np.float64)  # (n, m)
    # An infinite loss is no better than NaN, of either sign.
    losses[~np.isfinite(losses).all(axis=1)] = np.nan
    mine = trials.index(trial)
    if np.isnan(losses[mine]).any():
        return False
    if len(trials) < reduction_factor:
        return True
    ranks = non_dominated_rank(losses)
    if ranks[mine] == 0:
        return True
    num_places = -(-len(trials) // reduction_factor) - int(np.sum(ranks < ranks[mine]))
    front = np.flatnonzero(ranks == ranks[mine])
    return mine in front[spread_order(losses[front], num_places)]


def spread_order(losses: Floats, count: int) -> npt.NDArray[np.int64]:
    """The first `count` of the points of a front (n, m), ordered so that every prefix is spread out.

    Epsilon-net: each next point is the one farthest from its nearest predecessor (Salinas, Perrone,
    Cruchant, Archambeau 2021, "A multi-objective perspective on jointly tuning hardware and
    hyperparameters", arXiv:2106.05680, after Clarkson). It begins with the lowest first loss. Each loss is scaled to
    the front's range, so that units do not matter. Ties go to the smaller losses, then to the earlier
    row.
    """
    span = np.ptp(losses, axis=0)
    scaled = (losses - losses.min(axis=0)) / np.where(span > 0, span, 1.0)
    by_loss = np.lexsort(losses.T[::-1])  # stable: by the first loss, then the second, ...
    scaled = scaled[by_loss]
    distance = np.full(len(losses), np.inf)  # to the nearest point already chosen; -inf once chosen
    order = []
    for _ in range(min(max(count, 0), len(losses))):
        chosen = int(np.argmax(distance))
        order.append(chosen)
        distance = np.minimum(distance, np.linalg.norm(scaled - scaled[chosen], axis=1))
        distance[chosen] = -np.inf
    return by_loss[np.array(order, dtype=np.int64)]
