"""What a stopped training would have ended at: exact where curves are planes, unknown where few are."""

import numpy as np
import pytest

from search.samplers.curves import LEAST_WHOLE, foretell_ends


def curves(number: int, noise: float = 0.0) -> tuple[list[np.ndarray], np.ndarray]:
    """Whole curves of 4 epochs: what they reach is fixed by their cost and a quality of their own."""
    rng = np.random.default_rng(0)
    cost, quality = rng.uniform(14, 18, number), rng.uniform(0, 0.1, number)
    epochs = np.arange(1, 5)
    rising = 0.02 * np.outer(cost, epochs) + np.outer(quality, epochs)
    return list(rising + rng.normal(0, noise, rising.shape)), cost


def test_the_end_is_found_where_the_early_epochs_decide_it() -> None:
    found, cost = curves(30)
    cut = [curve[: 1 + k % 3] for k, curve in enumerate(found[20:])]
    mean, std = foretell_ends(found[:20], cost[:20], cut, cost[20:])
    assert mean == pytest.approx([curve[-1] for curve in found[20:]])
    assert std == pytest.approx(np.zeros(10), abs=1e-9)


def test_the_deviation_is_that_of_the_errors() -> None:
    found, cost = curves(400, noise=0.01)
    cut = [curve[:2] for curve in found[200:]]
    mean, std = foretell_ends(found[:200], cost[:200], cut, cost[200:])
    errors = mean - [curve[-1] for curve in found[200:]]
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(std[0], rel=0.2)


def test_of_few_whole_curves_the_mean_rise_is_taken() -> None:
    found, cost = curves(4)
    mean, std = foretell_ends(found[:3], cost[:3], [found[3][:2]], cost[3:])
    rises = [curve[-1] - curve[1] for curve in found[:3]]
    assert mean[0] == pytest.approx(found[3][1] + np.mean(rises))
    assert std[0] == pytest.approx(np.std(rises, ddof=1))


def test_fewer_tell_nothing() -> None:
    found, cost = curves(LEAST_WHOLE)
    mean, std = foretell_ends(found[:-1], cost[:-1], [found[-1][:2]], cost[-1:])
    assert np.isnan([*mean, *std]).all()


def test_nothing_was_cut_short() -> None:
    found, cost = curves(10)
    mean, std = foretell_ends(found, cost, [], cost[:0])
    assert mean.shape == std.shape == (0,)
