"""What curves tell of last accuracies, against accuracies that are known."""

import numpy as np
import pytest
from scipy.special import expit, logit

from search.estimation.curve_reading import LEAST_WHOLE, read_curves

SLOPES = np.array([0.3, 0.6, 0.9, 1.0])
STARTS = np.array([-1.0, -0.5, -0.1, 0.0])


def curves(number: int, noise: float = 0.0) -> tuple[list[np.ndarray], np.ndarray]:
    """Curves of 4 epochs and the accuracies that they end at; each epoch errs on its own, in log odds."""
    rng = np.random.default_rng(0)
    ends = rng.uniform(0.4, 0.6, number)
    shown = STARTS + np.outer(logit(ends), SLOPES)
    return list(expit(shown + rng.normal(0, noise, shown.shape))), ends


def converging_curves(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Curves (number, 4) whose errors shrink by the same factor in every epoch, with noise, and their ends."""
    rng = np.random.default_rng(0)
    errors = np.exp(rng.uniform(np.log(0.01), np.log(0.3), number))
    shown = 1 - errors[:, None] ** np.array([0.25, 0.5, 0.75, 1.0])
    return np.clip(shown + rng.normal(0, 0.004, shown.shape), 0, 1), 1 - errors


def test_without_noise_any_epoch_tells_the_end() -> None:
    found, ends = curves(40)
    cut = [curve[: 1 + k % 3] for k, curve in enumerate(found[20:])]
    accuracy, beyond = read_curves(found[:20], ends[:20], cut)
    assert accuracy == pytest.approx(ends, abs=2e-3)
    assert beyond == pytest.approx(np.zeros(40), abs=5e-3)


def test_all_epochs_of_a_training_tell_more_than_its_last_one() -> None:
    found, ends = curves(300, noise=0.12)
    accuracy, beyond = read_curves(found, ends, [])
    last = np.array([curve[-1] for curve in found])
    assert np.std(accuracy - ends) < 0.8 * np.std(last - ends)
    assert (beyond == 0).all()


def test_the_deviation_is_that_of_the_errors_beyond_the_noise_of_a_training() -> None:
    found, ends = curves(600, noise=0.12)
    for length in (2, 3):
        accuracy, beyond = read_curves(
            found[:300], ends[:300], [curve[:length] for curve in found[300:]]
        )
        noise = np.std(accuracy[:300] - ends[:300])
        error = np.std(accuracy[300:] - ends[300:])
        assert np.hypot(noise, beyond[300]) == pytest.approx(error, rel=0.2)


def test_the_earlier_a_curve_was_cut_the_less_it_tells() -> None:
    found, ends = curves(60, noise=0.12)
    _, beyond = read_curves(found[:57], ends[:57], [found[57 + k][: k + 1] for k in range(3)])
    assert beyond[57] > 2 * beyond[58] > 2 * beyond[59] > 0


def test_what_is_believed_draws_nothing_towards_itself() -> None:
    """A network that is better than estimated keeps that, or the model would learn from itself."""
    found, ends = curves(40, noise=0.004)
    estimated = ends.copy()
    estimated[0] -= 0.1
    accuracy, _ = read_curves(found, estimated, [])
    assert accuracy[0] == pytest.approx(ends[0], abs=0.02)


def test_few_curves_are_read_like_those_that_are_expected() -> None:
    found, ends = curves(LEAST_WHOLE + 1, noise=0.04)
    accuracy, beyond = read_curves(found[:-1], ends[:-1], [found[-1][:3]])
    assert accuracy == pytest.approx(ends, abs=0.1)
    assert 0 < beyond[-1] < 0.1


@pytest.mark.parametrize("epochs", [1, 2])
def test_where_trainings_converge_fast_learners_are_not_flattered(epochs: int) -> None:
    shown, ends = converging_curves(80)
    accuracy, _ = read_curves(list(shown[:40]), ends[:40], [c[:epochs] for c in shown[40:]])
    best = 40 + np.argsort(-accuracy[40:])[:8]
    assert np.mean(accuracy[best] - ends[best]) == pytest.approx(0, abs=0.002)


def test_an_epoch_that_tells_next_to_nothing_is_not_trusted_however_extreme() -> None:
    """Its odds alone would put some networks next to 0 or 1, where accuracies hardly seem to err."""
    rng = np.random.default_rng(0)
    ends = rng.uniform(0.4, 0.9, 200)
    first = rng.normal(-1.0, 0.3, 200)
    shown = np.column_stack([first, logit(ends) + rng.normal(0, 0.2, 200)])
    curves = expit(shown)
    accuracy, beyond = read_curves(list(curves[:40]), ends[:40], [c[:1] for c in curves[40:]])
    apart = np.abs(accuracy[40:] - ends[40:])
    assert (apart / beyond[40:]).max() < 3.5
