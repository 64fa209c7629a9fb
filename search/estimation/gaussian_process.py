"""Predicts the accuracy of networks from finished trainings: a Gaussian process over features.

The features of a network are its parameters and what is known of it exactly: the logs of its FLOPs and
params explain most of the accuracy, so they also carry a linear trend.
"""

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Kernel, Matern, WhiteKernel

from hgcnet.arrays import Floats
from search.estimation.features import TREND, features_of
from space.search_space import SearchSpace

MAX_FITTED = 300  # observations that the kernel's parameters are learnt from: each step is O(n^3)
MAX_KNOWN = 1000  # observations that a prediction uses
_SAMPLE = 2000  # points of a space that its features are scaled by
_JITTER = 1e-8  # keeps the matrix invertible
_GROWTH_OF_FIT = 1.15  # growth of the observations that has the parameters learnt again


class _TrendKernel(DotProduct):  # type: ignore[misc]
    """A linear function of the trend's columns alone, with a constant."""

    def __call__(self, X: Floats, Y: Floats | None = None, eval_gradient: bool = False) -> object:
        part = None if Y is None else Y[:, -TREND:]
        return super().__call__(X[:, -TREND:], part, eval_gradient)

    def diag(self, X: Floats) -> Floats:
        values: Floats = super().diag(X[:, -TREND:])
        return values


class AccuracyModel:
    """Learns accuracies (n,) of features (n, F), and predicts others.

    The kernel (Matern 5/2 with a length for each feature, a linear trend, noise) is learnt by maximum
    a posteriori when the observations have grown by 15 %, from at most MAX_FITTED of them;
    predictions use at most MAX_KNOWN. So the cost of an update is bounded.

    Args:
        sample: features (N, F) whose spread scales all others; columns of one value are left out of
            every distance.
    """

    def __init__(self, sample: Floats, rng: np.random.Generator) -> None:
        std = sample.std(axis=0)
        self._mean, self._std = sample.mean(axis=0), np.where(std > 0, std, np.inf)
        self._rng = rng
        self._kernel: Kernel | None = None
        self._learnt_from = 0

    def learn(
        self, features: Floats, accuracy: Floats, pending: Floats, uncertainty: Floats | None = None
    ) -> None:
        """Takes the observations, and the features (m, F) of running trainings.

        A running training counts as observed at its predicted mean, so that nothing like it is
        proposed meanwhile.

        Args:
            uncertainty: standard deviations (n,) of the accuracies' errors beyond the noise of a
                training; 0 for at least some, and by default for all.
        """
        beyond = np.zeros(len(accuracy)) if uncertainty is None else uncertainty
        self._center, self._spread = _center_and_spread(accuracy[beyond == 0])
        known, target = self._scaled(features), (accuracy - self._center) / self._spread
        alpha = (beyond / self._spread) ** 2 + _JITTER
        if len(known) > MAX_KNOWN:
            kept = self._rng.permutation(len(known))[:MAX_KNOWN]
            known, target, alpha = known[kept], target[kept], alpha[kept]
        if self._kernel is None or len(known) >= _GROWTH_OF_FIT * self._learnt_from:
            self._learn_kernel(known, target, alpha)
            self._learnt_from = len(known)
        self._process = GaussianProcessRegressor(self._kernel, alpha=alpha, optimizer=None)
        self._process.fit(known, target)
        if len(pending):
            waiting = self._scaled(pending)
            estimated = self._process.predict(waiting)
            self._process.alpha = np.append(alpha, np.full(len(waiting), _JITTER))
            self._process.fit(np.vstack([known, waiting]), np.append(target, estimated))

    def smooth(self, features: Floats, accuracy: Floats) -> Floats:
        """The accuracies (n,) smoothed by the kernel, as far as it was learnt, (n,)."""
        kernel = self._kernel or _expected_kernel(features.shape[1])
        known, (center, spread) = self._scaled(features), _center_and_spread(accuracy)
        kept = self._rng.permutation(len(known))[:MAX_KNOWN]
        process = GaussianProcessRegressor(kernel, alpha=_JITTER, optimizer=None)
        process.fit(known[kept], (accuracy[kept] - center) / spread)
        estimated: Floats = center + spread * process.predict(known)
        return estimated

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation (N,) of the accuracy without a training's noise."""
        mean, std = self._process.predict(self._scaled(features), return_std=True)
        noise = self._process.kernel_.k2.noise_level
        clean = np.sqrt(np.maximum(std**2 - noise, 1e-10))
        return self._center + self._spread * mean, self._spread * clean

    def draw(self, features: Floats, count: int, rng: np.random.Generator) -> Floats:
        """Joint draws of the accuracies of N networks, without a training's noise: (count, N)."""
        mean, covariance = self._process.predict(self._scaled(features), return_cov=True)
        clean = covariance - self._process.kernel_.k2.noise_level * np.eye(len(mean))
        drawn = rng.multivariate_normal(mean, clean, count, check_valid="ignore", method="eigh")
        found: Floats = self._center + self._spread * drawn
        return found

    def _scaled(self, features: Floats) -> Floats:
        scaled: Floats = (features - self._mean) / self._std
        return scaled

    def _learn_kernel(self, known: Floats, target: Floats, alpha: Floats) -> None:
        rows = self._rng.permutation(len(known))[:MAX_FITTED]
        expected = self._kernel or _expected_kernel(known.shape[1])
        process = _PenalisedProcess(expected, alpha=alpha[rows])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a parameter at its bound is fine
            process.fit(known[rows], target[rows])
        self._kernel = process.kernel_


def create_accuracy_model(space: SearchSpace, rng: np.random.Generator) -> AccuracyModel:
    """A model that has learnt nothing yet, its features scaled by their spread over the space's points."""
    return AccuracyModel(features_of(space, space.draw_points(rng, _SAMPLE)), rng)


def _center_and_spread(accuracy: Floats) -> tuple[float, float]:
    return float(accuracy.mean()), float(accuracy.std()) or 1.0


def _expected_kernel(num_features: int) -> Kernel:
    """The prior kernel, for features and target of unit scale."""
    lengths = np.full(num_features, 4.0)
    return (
        ConstantKernel(0.3, (1e-2, 3.0)) * Matern(lengths, (0.3, 100.0), nu=2.5)
        + ConstantKernel(0.5, (1e-2, 1e2)) * _TrendKernel(1.0, (1e-2, 1e2))
    ) + WhiteKernel(0.1, (1e-3, 1.0))


class _PenalisedProcess(GaussianProcessRegressor):  # type: ignore[misc]
    """Learns its kernel by the likelihood times a prior: log-normal around the expected parameters.

    By the likelihood alone, one feature without noise would explain a dozen trainings.
    """

    def log_marginal_likelihood(
        self, theta: Floats, eval_gradient: bool = False, clone_kernel: bool = True
    ) -> Any:
        """Of the kernel's parameters, in logs; with the prior, and its gradient if asked for."""
        found = super().log_marginal_likelihood(theta, eval_gradient, clone_kernel)
        num_features = len(theta) - 4
        expected = _expected_kernel(num_features).theta
        # In the order of the kernel: amplitude, lengths, amplitude and constant of the trend, noise.
        spread = np.concatenate([[1.0], np.full(num_features, 0.7), [2.0, 2.0, 1.0]])
        away = (theta - expected) / spread
        penalty = 0.5 * float(away @ away)
        return (found[0] - penalty, found[1] - away / spread) if eval_gradient else found - penalty
