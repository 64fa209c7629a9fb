"""Limits: the bounds of what a network may cost, as a study file declares them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import overload

from hgcnet.arrays import Bools, Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A lower and an upper bound; at least one of them."""

    min: float | None = None
    """The fewest that a network may have."""
    max: float | None = None
    """The most that a network may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Hard bounds: a number is an upper one, `{ min = ..., max = ... }` a band. They are checked before
    a network is proposed, so no training is spent on one outside them."""

    flops: float | Band | None = None
    """Multiply-adds of one image at `data.resolution`. No limit by default."""
    num_params: float | Band | None = None
    """Weights and biases of convolutions and linear layers. No limit by default."""

    def of(self, metric: str) -> tuple[float, float]:
        """The fewest and the most of "flops" or "num_params"; 0 and infinity where there is no bound."""
        declared: float | Band | None = getattr(self, metric)
        band = declared if isinstance(declared, Band) else Band(max=declared)
        return band.min or 0, math.inf if band.max is None else band.max

    @property
    def have_lower(self) -> bool:
        """Whether one of them is a lower bound."""
        return self.of("flops")[0] > 0 or self.of("num_params")[0] > 0

    def as_text(self, number: Callable[[float], str]) -> str:
        """Such as "flops 60M, num_params 1M to 2M"; "none" where there are none."""
        texts = []
        for metric in ("flops", "num_params"):
            least, most = self.of(metric)
            if least == 0 and most < math.inf:
                texts.append(f"{metric} {number(most)}")
            elif least > 0:
                end = "or more" if most == math.inf else f"to {number(most)}"
                texts.append(f"{metric} {number(least)} {end}")
        return ", ".join(texts) or "none"

    @overload
    def admit(self, flops: int, num_params: int) -> bool: ...
    @overload
    def admit(self, flops: Ints, num_params: Ints) -> Bools: ...
    def admit(self, flops: int | Ints, num_params: int | Ints) -> bool | Bools:
        """Whether a network of these counts may be trained; or networks, for arrays of shape (N,)."""
        (least_flops, most_flops), (least_params, most_params) = map(
            self.of, ("flops", "num_params")
        )
        is_at_most = (flops <= most_flops) & (num_params <= most_params)
        return is_at_most & (flops >= least_flops) & (num_params >= least_params)

    @property
    def lower(self) -> "Limits":
        """The lower bounds alone."""
        return Limits(
            flops=Band(min=self.of("flops")[0]), num_params=Band(min=self.of("num_params")[0])
        )

    @property
    def upper(self) -> "Limits":
        """The upper bounds alone."""
        return Limits(flops=self.of("flops")[1], num_params=self.of("num_params")[1])
