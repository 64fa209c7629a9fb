"""What curves tell of the accuracies that networks end at: whole ones, and those that were cut short."""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit, logit

from hgcnet.arrays import Floats

LEAST_WHOLE = 3  # whole trainings without which curves tell nothing
# What is expected before any curve was seen: slopes of 1 ± 0.5, and noise that counts as much as that of
# eight curves and that two neighbouring epochs share by 0.6.
_SLOPE_SPREAD = 0.5
_NOISE_WEIGHT = 8.0
_NOISE_SHARED = 0.6
_LEAST_SLOPE = 0.05  # an epoch that tells less is taken to tell this much
_LEAST_ERROR = 1e-3  # log odds of 0 and 1 are infinite: as for an image in a thousand


def read_curves(
    whole: Sequence[Floats], estimated: Floats, cut: Sequence[Floats]
) -> tuple[Floats, Floats]:
    """What n whole and m cut curves say of their networks' last accuracies, all epochs together.

    In log odds, after each epoch a network of the last accuracy f shows a + b f and noise, the same a and b
    for all (one factor). The lines are fitted to what is estimated of the whole ones; the noise's covariance
    between epochs is that of the residuals. f follows by generalised least squares (Aitken 1936) from as many
    epochs as there are. The epochs of one training err in part independently, so that all of them together
    tell more than its last one.

    In accuracies themselves the lines would bend where trainings converge: early epochs differ by far more
    than the last, and what learns fast would be taken to end above all that was ever measured.

    Args:
        whole: n curves of E accuracies, n at least LEAST_WHOLE.
        estimated: of each the last accuracy (n,) by a model, with less noise than its own.
        cut: m shorter curves, not empty.

    Returns:
        the accuracies (n + m,), whole ones first, each with the noise of one training, that of a cut one
        even beyond 0 or 1 where it tells little; and the standard deviation (n + m,) of what the cut
        ones err beyond that noise, 0 for the whole ones.
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
        """Of the epochs of such a curve, (length,), and the variance of their sum's error."""
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
    # Back to accuracies by the tangent where, given all others too, each may be expected: at its own odds
    # a curve that tells next to nothing may lie near 0 or 1, where no accuracy seems to err.
    spread = square / num_whole
    expected_odds = center + (odds - center) * spread / (spread + variance_of)
    near = expit(expected_odds)
    tangent = near * (1 - near)
    return near + tangent * (odds - expected_odds), tangent * np.sqrt(variance_of - least)


def _log_odds(accuracy: Floats) -> Floats:
    odds: Floats = logit(np.clip(accuracy, _LEAST_ERROR, 1 - _LEAST_ERROR))
    return odds
