"""SearchSpace: the architectures that a study may train, their number, their costs, uniform draws."""

import math
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from hgcnet.architecture import Architecture, Task
from hgcnet.arrays import Bools, Ints
from hgcnet.complexity import count, count_many
from hgcnet.errors import SpaceError
from hgcnet.structure import ArchitectureArrays, build_structures
from space.decode import cost_order, decode, encode, to_arrays
from space.limits import Limits
from space.parameters import Axis, Parameters, Value, build_axes

ENUMERABLE = 200_000  # points that are listed rather than drawn
_BATCH = 4096
_MAX_DRAWS = 2_000_000  # a few seconds
_MAX_CORNERS = 5_000_000
_DESCENDING, _BEAM = 1000, 16  # points from which the cheapest above a lower limit are looked for


class SearchSpace:
    """A product of axes, the limits, and the task for which the counts are made.

    If the number of stages is an axis, the space is one product for each number, of the axes of its
    stages. The axes of other stages stay at their first value.

    Raises:
        SpaceError: no architecture meets the limits.
    """

    def __init__(self, parameters: Parameters, limits: Limits, task: Task) -> None:
        self.axes: tuple[Axis, ...] = build_axes(parameters)
        self.limits = limits
        self.task = task
        if not self._boxes:
            both = ("flops", "num_params")
            flops, num_params = self.costs_of(self._corners(), both).min(axis=0)
            text = (
                f"limits: no architecture of the space meets {limits.as_text('{:,.0f}'.format)}; the "
                f"fewest possible are {flops:,} FLOPs and {num_params:,} parameters"
            )
            if limits.have_lower:
                flops, num_params = self.costs_of(self._corners(dear=True), both).max(axis=0)
                text += f", the most {flops:,} and {num_params:,}"
            raise SpaceError(text)

    @property
    def free_axes(self) -> tuple[Axis, ...]:
        """The axes with more than one value."""
        return tuple(axis for axis in self.axes if not axis.is_fixed)

    @property
    def size(self) -> int:
        """Number of points, those over a limit and second spellings included."""
        return sum(map(_size, self._parts))

    def decode(self, params: Mapping[str, Value]) -> Architecture:
        """The architecture of one value for each free axis."""
        return decode(self.axes, params)

    def encode(self, architecture: Architecture) -> dict[str, Value]:
        """The values of the free axes; the inverse of `decode` up to spelling.

        Raises:
            SpaceError: the architecture lies outside the space or its limits.
        """
        params = encode(self.axes, architecture)
        cost = count(architecture, self.task)
        for name in ("flops", "num_params"):
            given, (least, most) = getattr(cost, name), self.limits.of(name)
            if given > most:
                raise SpaceError(f"{name} {given:,} is over the limit of {most:,.0f}")
            if given < least:
                raise SpaceError(f"{name} {given:,} is under the limit of {least:,.0f}")
        return {axis.name: params[axis.name] for axis in self.free_axes}

    def is_feasible(self, architecture: Architecture) -> bool:
        """Whether the limits admit it."""
        cost = count(architecture, self.task)
        return self.limits.admit(cost.flops, cost.num_params)

    def sample(self, rng: np.random.Generator, seen: Collection[str] = ()) -> Architecture | None:
        """One architecture, uniformly among the feasible ones whose fingerprint is not in `seen`.

        Each network counts once, however many points spell it. If the number of stages varies, each
        feasible number is drawn equally often; otherwise nearly all draws would have the most
        stages. None if all were seen, or if, in a space of more than ENUMERABLE points, 2,000,000
        draws found no unseen feasible one.
        """
        for architecture in self._candidates(rng):
            if architecture.fingerprint not in seen:
                return architecture
        return None

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """The feasible networks that differ from this one in the value of one parameter.

        Raises:
            SpaceError: it lies outside the space or its limits.
        """
        params = self.encode(architecture)
        found = {
            neighbour.fingerprint: neighbour
            for axis in self.free_axes
            for value in axis.values
            if self.is_feasible(neighbour := self.decode(params | {axis.name: value}))
        }
        found.pop(architecture.fingerprint, None)
        return list(found.values())

    def cheapest(self) -> Architecture:
        """The feasible architecture with the fewest FLOPs; with a lower limit, the fewest that a descent found."""
        points = self._cheap_points
        return self.architecture_at(points[np.argmin(self.costs_of(points, ("flops",)))])

    def flops_range(self) -> tuple[int, int]:
        """Fewest FLOPs of the feasible (as `cheapest`), most FLOPs of all architectures."""
        return self._extremes("flops")

    def cost_range(self, metric: str) -> tuple[float, float]:
        """The range of "flops" or "num_params" that counts for the hypervolume.

        It goes from limit to limit; without one, from the fewest of a feasible architecture, or to
        the most of all architectures.
        """
        lower, upper = self.limits.of(metric)
        least, most = self._extremes(metric)
        return lower or least, upper if upper < math.inf else most

    def feasible_share(self, rng: np.random.Generator, draws: int = 100_000) -> float:
        """Share of the points that meet the limits: exact if enumerable, else estimated."""
        share = 0.0
        for part in self._parts:
            size = _size(part)
            points = _product(part) if size <= ENUMERABLE else _draw(rng, part, draws)
            share += size / self.size * float(self._admitted(points).mean())
        return share

    def num_networks(self) -> int | None:
        """Number of feasible distinct networks; None if there are too many to list."""
        total = 0
        for box in range(len(self._boxes)):
            if (listed := self._listed(box)) is None:
                return None
            total += len(listed)
        return total

    # -- points: positions of values, (N, number of axes) --------------------------------------

    def draw_points(self, rng: np.random.Generator, number: int) -> Ints:
        """Feasible points, (at most `number`, axes): all of them, or independent uniform draws,
        equally many for each number of stages."""
        boxes = len(self._boxes)
        shares = [(number + k) // boxes for k in range(boxes)]
        drawn = [self._draw_in(rng, box, share) for box, share in enumerate(shares)]
        return np.concatenate(drawn)

    def neighbour_points(self, points: Ints) -> Ints:
        """The feasible points that differ from one of these (N, axes) in one position, each once.

        Where they differ in the number of stages, the additional stages differ as well.
        """
        found = []
        for a, axis in enumerate(self.axes):
            is_there = self._is_there(axis, points)
            for position in range(len(axis.values)):
                changed = points[is_there & (points[:, a] != position)]
                changed[:, a] = position  # a copy: boolean indices made one
                found.append(changed)
        neighbours = np.concatenate(found)
        for a, axis in enumerate(self.axes):
            neighbours[~self._is_there(axis, neighbours), a] = 0
        neighbours = np.unique(neighbours, axis=0)
        return neighbours[self._admitted(neighbours)]

    def point_of(self, architecture: Architecture) -> Ints:
        """The point (axes,) of an architecture, over a limit or not.

        Raises:
            SpaceError: it lies outside the space.
        """
        values = encode(self.axes, architecture)
        return np.array([axis.values.index(values[axis.name]) for axis in self.axes])

    def architecture_at(self, point: Ints) -> Architecture:
        """The architecture of a point (axes,)."""
        chosen = zip(self.axes, point, strict=True)
        return self.decode({axis.name: axis.values[position] for axis, position in chosen})

    def arrays_of(self, points: Ints) -> ArchitectureArrays:
        """The architectures of points (N, axes), as arrays."""
        return to_arrays(self.axes, points)

    def costs_of(self, points: Ints, metrics: Sequence[str]) -> Ints:
        """The costs of points (N, axes), by "flops" or "num_params", (N, metrics)."""
        flops, num_params = count_many(self.arrays_of(points), self.task)
        counts = {"flops": flops, "num_params": num_params}
        return np.column_stack([counts[metric] for metric in metrics])

    def _corners(self, *, dear: bool = False) -> Ints:
        """Points (N, axes), among them the cheapest ones (or the dearest) of each number of stages."""
        return np.concatenate([_product(self._corner(part, dear=dear)) for part in self._parts])

    @cached_property
    def _cheap_points(self) -> Ints:
        """Feasible points (N, axes), among them the cheapest ones.

        Where there are lower limits, no corner says which these are: a descent from the cheapest of many,
        by either cost, finds such ones. It is the same each time.
        """
        if not self.limits.have_lower:
            corners = self._corners()
            return corners[self._admitted(corners)]
        listed = [self._listed(box) for box in range(len(self._boxes))]
        drawn = self.draw_points(np.random.default_rng(0), _DESCENDING * len(listed))
        start = np.concatenate([drawn, *(points for points in listed if points is not None)])
        return np.concatenate([self._descend(start, metric) for metric in ("flops", "num_params")])

    def _descend(self, points: Ints, metric: str) -> Ints:
        """The cheapest of points and their neighbours, until none of these is any cheaper."""
        best = math.inf
        while True:
            costs = self.costs_of(points, (metric,))[:, 0]
            points = points[np.argsort(costs, kind="stable")[:_BEAM]]
            if costs.min() >= best:
                return points
            best = costs.min()
            points = np.concatenate([points, self.neighbour_points(points)])

    def _extremes(self, metric: str) -> tuple[int, int]:
        """The smallest cost of the feasible and the largest of all architectures."""
        cheap, dear = self._cheap_points, self._corners(dear=True)
        least, most = (self.costs_of(points, (metric,)) for points in (cheap, dear))
        return int(least.min()), int(most.max())

    @cached_property
    def _stages(self) -> tuple[int, Ints]:
        """Which axis is the number of stages, and its values."""
        names = [axis.name for axis in self.axes]
        index = names.index("stages")
        return index, np.array(self.axes[index].values)

    def _is_there(self, axis: Axis, points: Ints) -> Bools:
        """Whether an axis applies to points (N, axes): not to those without its stage."""
        index, numbers = self._stages
        return numbers[points[:, index]] > (-1 if axis.stage is None else axis.stage)

    @cached_property
    def _parts(self) -> list[list[Ints]]:
        """Positions on all axes, a box for each number of stages."""
        index, numbers = self._stages
        parts = []
        for position, number in enumerate(numbers):
            part = [
                np.arange(len(axis.values) if axis.stage is None or axis.stage < number else 1)
                for axis in self.axes
            ]
            part[index] = np.array([position])
            parts.append(part)
        return parts

    def _admitted(self, points: Ints, limits: Limits | None = None) -> Bools:
        """Whether the space's limits, or other ones, admit points (N, axes)."""
        return (limits or self.limits).admit(*count_many(self.arrays_of(points), self.task))

    def _draw_in(self, rng: np.random.Generator, box: int, number: int) -> Ints:
        """Feasible points of a box, (at most `number`, axes)."""
        if (listed := self._listed(box)) is not None:
            return listed[rng.permutation(len(listed))[:number]]
        found, missing = [], number
        for points in self._draws(rng, box):
            found.append(points[:missing])
            missing -= len(found[-1])
            if missing == 0:
                break
        return np.concatenate(found)

    def _draws(self, rng: np.random.Generator, box: int) -> Iterator[Ints]:
        """Batches of independent uniform draws from a box, those over a limit left out."""
        for _ in range(_MAX_DRAWS // len(self._boxes) // _BATCH):
            points = _draw(rng, self._boxes[box], _BATCH)
            yield points[self._admitted(points)]

    def _candidates(self, rng: np.random.Generator) -> Iterator[Architecture]:
        """Feasible networks: for each the number of stages is drawn from those that still have one."""
        found = [self._candidates_in(rng, box) for box in range(len(self._boxes))]
        while found:
            drawn = found[int(rng.integers(len(found))) if len(found) > 1 else 0]
            if (architecture := next(drawn, None)) is None:
                found.remove(drawn)
            else:
                yield architecture

    def _candidates_in(self, rng: np.random.Generator, box: int) -> Iterator[Architecture]:
        """Feasible networks of a box: all of them in random order, or independent draws."""
        if (listed := self._listed(box)) is not None:
            for row in rng.permutation(len(listed)):
                yield self.architecture_at(listed[row])
            return
        for points in self._draws(rng, box):
            for point in points:
                architecture = self.architecture_at(point)
                # Second spellings are skipped, or networks with many would be drawn more often.
                if self.decode(encode(self.axes, architecture)) == architecture:
                    yield architecture

    def _listed(self, box: int) -> Ints | None:
        """All feasible points of a box, one for each network; None if there are too many to list."""
        if box not in self._lists:
            if _size(self._boxes[box]) > ENUMERABLE:
                return None
            points = _product(self._boxes[box])
            points = points[self._admitted(points)]
            structures = build_structures(self.arrays_of(points)).as_rows()
            _, first = np.unique(structures, axis=0, return_index=True)
            self._lists[box] = points[np.sort(first)]
        return self._lists[box]

    @cached_property
    def _lists(self) -> dict[int, Ints]:
        """The results of `_listed`."""
        return {}

    @cached_property
    def _boxes(self) -> list[list[Ints]]:
        """The parts in which something is feasible, as small as the limits make them."""
        boxes = [self._shrunk(part) for part in self._parts if self._may_hold(part)]
        return [box for box in boxes if not self.limits.have_lower or self._holds(box)]

    def _holds(self, box: list[Ints]) -> bool:
        """Whether something in a box is feasible, by a look at all of it, or at many draws."""
        if _size(box) <= ENUMERABLE:
            return bool(self._admitted(_product(box)).any())
        rng = np.random.default_rng(0)
        draws = (_draw(rng, box, _BATCH) for _ in range(_MAX_DRAWS // _BATCH))
        return any(self._admitted(points).any() for points in draws)

    def _shrunk(self, part: list[Ints]) -> list[Ints]:
        """Positions less those that are over a limit with everything else at its cheapest, or under one
        with everything else at its dearest.

        Tight limits leave a small box, in which uniform draws are rarely rejected.
        """
        num_values = sum(len(positions) for positions in part)
        if _size(self._corner(part)) * num_values > _MAX_CORNERS:
            return part
        box = list(part)
        for a in range(len(box)):
            box[a] = self._feasible_positions(box, a)
        return box

    def _feasible_positions(self, box: list[Ints], a: int) -> Ints:
        """The positions on an axis with which something in a box may be feasible."""
        axis, positions = self.axes[a], box[a]

        def is_over(position: int) -> bool:
            return not self._has_cheap_enough([*box[:a], np.array([position]), *box[a + 1 :]])

        def is_dear(position: int) -> bool:
            return self._has_dear_enough([*box[:a], np.array([position]), *box[a + 1 :]])

        if axis.may_cost_less:
            return positions[[is_dear(p) and not is_over(p) for p in positions]]
        by_cost = sorted(positions, key=lambda p: cost_order(axis, axis.values[p]))
        first = bisect_left(by_cost, True, key=is_dear)
        return np.sort(by_cost[first : bisect_left(by_cost, True, key=is_over)])

    def _may_hold(self, box: list[Ints]) -> bool:
        """Whether a box may hold something feasible; it surely does where there are no lower limits."""
        return self._has_cheap_enough(box) and self._has_dear_enough(box)

    def _has_cheap_enough(self, box: list[Ints]) -> bool:
        corners = _product(self._corner(box))
        return bool(self._admitted(corners, self.limits.upper).any())

    def _has_dear_enough(self, box: list[Ints]) -> bool:
        if not self.limits.have_lower:
            return True
        corners = _product(self._corner(box, dear=True))
        return bool(self._admitted(corners, self.limits.lower).any())

    def _corner(self, positions: list[Ints], *, dear: bool = False) -> list[Ints]:
        """A box that contains the cheapest point (or the dearest): an axis whose larger values
        never cost less is reduced to one of them."""
        box = []
        for axis, choices in zip(self.axes, positions, strict=True):
            if axis.may_cost_less:
                box.append(choices)
                continue
            cost = [cost_order(axis, axis.values[p]) for p in choices]
            best = np.argmax(cost) if dear else np.argmin(cost)
            box.append(choices[best : best + 1])
        return box


def _size(box: Sequence[Ints]) -> int:
    return math.prod(len(positions) for positions in box)


def _product(box: Sequence[Ints]) -> Ints:
    """All points of a box, (N, axes)."""
    grids = np.meshgrid(*box, indexing="ij")
    return np.stack([grid.ravel() for grid in grids], axis=1)


def _draw(rng: np.random.Generator, box: Sequence[Ints], number: int) -> Ints:
    """Independent uniform points of a box, (number, axes)."""
    return np.stack([rng.choice(positions, size=number) for positions in box], axis=1)
