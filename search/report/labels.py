"""Names beside points, placed so that they cover neither one another nor other points."""

from collections.abc import Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go

from hgcnet.arrays import Bools, Floats
from search.report.style import TEXT_COLOUR

# A page is as wide as its window; names are placed for a common one.
_PLOT_WIDTH, _PLOT_HEIGHT = 1080, 345  # pixels
_FONT_SIZE, _CHARACTER_WIDTH, _LINE_HEIGHT = 11, 6.3, 17  # pixels
_MARGIN = 0.05  # of an axis, beyond the outermost points
_ANGLES = np.deg2rad([90, -90, 60, 120, -60, -120, 30, 150, -30, -150])  # below comes first
_STEPS = 8  # at which an arrow is looked at
_CLOSE = 12  # pixels between an arrow and a point
_DISTANCES = (24, 38, 56, 78, 104, 134)  # pixels


def add_labels(
    figure: go.Figure, x: Sequence[float], y: Sequence[float], names: Sequence[str], among: Floats
) -> None:
    """Writes names beside points (n,) of a figure with a logarithmic x axis, and fixes its ranges.

    Args:
        among: all that is drawn (m, 2), as (x, y): the ranges hold it, and names avoid covering it.
    """
    low, high = _range(np.log10(among[:, 0])), _range(among[:, 1])
    figure.update_xaxes(range=[low[0], low[1]])
    figure.update_yaxes(range=[high[0], high[1]])
    corner = np.array([low[0], high[1]])  # of the plot: top left
    scale = np.array([_PLOT_WIDTH / (low[1] - low[0]), -_PLOT_HEIGHT / (high[1] - high[0])])
    points = (np.column_stack([np.log10(x), y]) - corner) * scale
    obstacles = (np.column_stack([np.log10(among[:, 0]), among[:, 1]]) - corner) * scale
    offsets = place_labels(points, list(map(len, names)), obstacles)
    for flops, height, name, (across, down) in zip(x, y, names, offsets.tolist(), strict=True):
        figure.add_annotation(
            text=escape(name),
            x=float(np.log10(flops)),  # annotations of a log axis stand at the logarithm
            y=height,
            ax=round(across, 1),
            ay=round(down, 1),
            standoff=6,
            arrowwidth=1,
            arrowcolor=TEXT_COLOUR,
            font={"size": _FONT_SIZE},
            bgcolor="rgba(255, 255, 255, 0.8)",
        )


def place_labels(points: Floats, lengths: Sequence[int], obstacles: Floats) -> Floats:
    """Offsets (n, 2) of the middles of names from their points (n, 2), in pixels, y downwards.

    From left to right every name takes the cheapest place. It must not cover names before it; its
    arrow should not cross those or their arrows, nor pass another named point; it should cover few
    points and be near.

    Args:
        lengths: characters of the names.
        obstacles: points (m, 2) that had better stay visible; the named ones may be among them.
    """
    rings = [
        (distance * 1.3 * np.cos(angle), distance * np.sin(angle))
        for distance in _DISTANCES
        for angle in _ANGLES
    ]
    candidates = np.array(rings)  # (k, 2)
    along = np.linspace(0.2, 0.8, _STEPS)  # of an arrow, from its point to its name
    arrows = candidates[:, None] * along[:, None]  # (k, steps, 2)
    chosen = np.zeros_like(points)
    boxes, lines = np.empty((0, 4)), np.empty((0, 2))  # of the names placed so far
    for index in np.argsort(points[:, 0], kind="stable").tolist():
        half = np.array([lengths[index] * _CHARACTER_WIDTH, _LINE_HEIGHT]) / 2 + 1
        middles = points[index] + candidates
        corners = np.concatenate([middles - half, middles + half], axis=1)  # (k, 4)
        mine = points[index] + arrows
        crosses = _contains(boxes, mine.reshape(-1, 2)).reshape(-1, len(candidates), _STEPS)
        cost = np.linalg.norm(candidates, axis=1) / 200 + _outside(corners)
        cost += 10 * _overlaps(corners, boxes)
        cost += 3 * crosses.any(axis=(0, 2)) + 3 * _contains(corners, lines).any(axis=1)
        cost += 3 * _passes(mine, np.delete(points, index, axis=0)) + 2 * _covered(
            corners, obstacles
        )
        best = int(np.argmin(cost))
        chosen[index] = candidates[best]
        boxes = np.vstack([boxes, corners[best]])
        lines = np.vstack([lines, mine[best]])
    return chosen


def _range(values: Floats) -> tuple[float, float]:
    """Of an axis: the values with a margin, which a single value needs, too."""
    low, high = float(values.min()), float(values.max())
    margin = _MARGIN * (high - low) or 0.05
    return low - margin, high + margin


def _outside(boxes: Floats) -> Floats:
    """The cost of leaving the plot, of every box (k, 4): (k,)."""
    inside = (boxes[:, :2] >= 0).all(axis=1) & (boxes[:, 2:] <= (_PLOT_WIDTH, _PLOT_HEIGHT)).all(1)
    cost: Floats = np.where(inside, 0.0, 20.0)
    return cost


def _contains(boxes: Floats, points: Floats) -> Bools:
    """Whether a box (k, 4) covers a point (m, 2): (k, m)."""
    above = (points[None] >= boxes[:, None, :2]).all(axis=2)
    below = (points[None] <= boxes[:, None, 2:]).all(axis=2)
    both: Bools = np.logical_and(above, below)
    return both


def _passes(arrows: Floats, points: Floats) -> Bools:
    """Whether an arrow (k, steps, 2) passes close by a point, or another arrow's (m, 2): (k,)."""
    distances = np.linalg.norm(arrows[:, :, None] - points, axis=3)
    passes: Bools = (distances < _CLOSE).any(axis=(1, 2))
    return passes


def _covered(boxes: Floats, points: Floats) -> Floats:
    """The cost of covering points (m, 2), of every box (k, 4): (k,), from 0 to 1.

    One point costs a half, many cost 1: in a cloud there is no free place.
    """
    counts: Floats = _contains(boxes, points).sum(axis=1, dtype=np.float64)
    return counts / (counts + 1)


def _overlaps(boxes: Floats, others: Floats) -> Floats:
    """How many of the others (m, 4) every box (k, 4) overlaps: (k,)."""
    apart = (boxes[:, None, :2] >= others[None, :, 2:]).any(axis=2)
    apart |= (boxes[:, None, 2:] <= others[None, :, :2]).any(axis=2)
    count: Floats = (~apart).sum(axis=1, dtype=np.float64)
    return count
