"""Estimates the last accuracies of networks from learning curves, whole ones and cut ones."""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit, logit

from hgcnet.arrays import Floats

LEAST_WHOLE = 3  # whole trainings that it takes to read curves
# The prior: slopes of 1 ± 0.5, and noise with the weight of eight curves and a correlation of 0.6
# between neighbouring epochs.
_SLOPE_SPREAD = 0.5
_NOISE_WEIGHT = 8.0
_NOISE_SHARED = 0.6
_LEAST_SLOPE = 0.05  # a lower bound of the slopes
_LEAST_ERROR = 1e-3  # log odds of 0 and 1 are infinite: as for an image in a thousand


def read_curves(
    whole: Sequence[Floats], estimated: Floats, cut: Sequence[Floats]
) -> tuple[Floats, Floats]:
    """Estimates the last accuracies of n whole and m cut curves, from all of their epochs.

    In log odds, a network with the last accuracy f has a + b f plus noise after each epoch, with
    the same a and b for all (one factor). The lines are fitted to the estimates of the whole ones;
    the noise's covariance between epochs is that of the residuals. f follows by generalised least
    squares (Aitken 1936) from the epochs that there are. The errors of a training's epochs are
    partly independent, so all of them together tell more than the last one.

    In plain accuracies the lines would bend where trainings converge: early epochs differ far more
    than the last, and fast learners would be predicted to end above anything ever measured.

    Args:
        whole: n curves of E accuracies, n at least LEAST_WHOLE.
        estimated: their last accuracies (n,) by a model, with less noise than the measured ones.
        cut: m shorter curves, not empty.

    Returns:
        the accuracies (n + m,), whole ones first, each with the noise of one training; that of a
        cut curve that tells little may be outside [0, 1]. And the standard deviations (n + m,) of
        the cut ones' errors beyond that noise, 0 for the whole ones.
    """
    curves, ends = _log_odds(np.array(whole)), _log_odds(estimated)  # (n, E), (n,)
    num_whole, epochs = curves.shape
    center, start = ends.mean(), curves.mean(axis=0)
    apart, shown = ends - center, curves - start
    square = float(apart @ apart)
    steepest = apart @ shown / max(square, 1e-12)  # least squares, (E,)
    rest = shown - np.outer(apart, steepest)
    noise = max(float((rest**2).sum()) / (epochs * (num_whole - 2)), 1e-6)
    ridge = noise / _SLOPE_SPREAD**2
    slopes = np.maximum((steepest * square + ridge) / (square + ridge), _LEAST_SLOPE)
    rest = shown - np.outer(apart, slopes)
    epoch = np.arange(epochs)
    expected = noise * _NOISE_SHARED ** np.abs(epoch[:, None] - epoch)
    covariance = (rest.T @ rest + _NOISE_WEIGHT * expected) / (num_whole - 1 + _NOISE_WEIGHT)

    def weigh(length: int) -> tuple[Floats, float]:
        """The weights of such a curve's epochs, (length,), and the variance of their sum's error."""
        seen = slopes[:length]
        weights = np.linalg.solve(covariance[:length, :length], seen)
        precision = float(seen @ weights)
        return weights / precision, 1 / precision

    weights, least = weigh(epochs)
    found, variances = list(center + shown @ weights), [least] * num_whole
    for curve in cut:
        weights, variance = weigh(len(curve))
        found.append(center + (_log_odds(curve) - start[: len(curve)]) @ weights)
        variances.append(max(variance, least + 1e-8))
    odds, variance_of = np.array(found), np.array(variances)
    # Back to accuracies by the tangent at the value that is expected given all curves: a curve that
    # tells almost nothing may be near 0 or 1 itself, where errors of log odds seem to vanish.
    spread = square / num_whole
    expected_odds = center + (odds - center) * spread / (spread + variance_of)
    near = expit(expected_odds)
    tangent = near * (1 - near)
    return near + tangent * (odds - expected_odds), tangent * np.sqrt(variance_of - least)


def _log_odds(accuracy: Floats) -> Floats:
    odds: Floats = logit(np.clip(accuracy, _LEAST_ERROR, 1 - _LEAST_ERROR))
    return odds
