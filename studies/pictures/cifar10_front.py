"""Draws cifar10-front.svg: the front of a search on CIFAR-10, and what longer trainings made of it.

    python studies/pictures/cifar10_front.py > studies/pictures/cifar10-front.svg

studies/tables/cifar10-30m-front.csv has the figures (FLOPs and params rounded), studies/RESULTS.md how
they were measured.
"""

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).parents[1] / "tables" / "cifar10-30m-front.csv"
WIDTH, HEIGHT = 960, 520
TITLE = "CIFAR-10, 5,000 images of 16 x 16: 30 networks searched in 8 minutes on two cores"
LEFT, RIGHT, TOP, BOTTOM = 84, 936, 96, 440  # of the axes
FLOPS, ACCURACY = (0.75e6, 40e6), (0.34, 0.64)
FLOPS_TICKS = {1e6: "1M", 2e6: "2M", 5e6: "5M", 10e6: "10M", 20e6: "20M"}
ACCURACY_TICKS = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
KEY = 500  # where the second column of the key begins

STYLE = """
  text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; font-size: 16px;
         fill: #1f2933; }
  .title { font-size: 18px; font-weight: 600; }
  .paper { fill: #ffffff; }
  .grid { stroke: #e1e5ea; }
  .axis { stroke: #616e7c; }
  .front { fill: none; stroke: #d55e00; stroke-width: 3; }
  .found { fill: #d55e00; }
  .interval { stroke: #0072b2; stroke-width: 2; }
  .confirmed { fill: #0072b2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .paper { fill: #0d1117; }
    .grid { stroke: #272d35; }
    .axis { stroke: #9da7b1; }
    .front { stroke: #ff8a3d; }
    .found { fill: #ff8a3d; }
    .interval { stroke: #5cb8ee; }
    .confirmed { fill: #5cb8ee; }
  }"""


class Network(NamedTuple):
    """A network of the front: as the search measured it, and as three fresh seeds did."""

    flops: float
    searched: float
    confirmed: float
    half_width: float  # of the 95 % interval


def read_networks() -> list[Network]:
    """By their FLOPs."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return sorted(Network(*(float(row[name]) for name in Network._fields)) for row in rows)


def draw(networks: list[Network]) -> str:
    """The picture as SVG text."""
    parts = "\n".join([*_axes(), *_confirmed(networks), *_found(networks), *_words()])
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">
<title>Accuracy over FLOPs on CIFAR-10: the front of a search, and its networks trained longer</title>
<style>{STYLE}
</style>
<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="8"/>
{parts}
</svg>
"""


def _axes() -> Iterator[str]:
    for flops, label in FLOPS_TICKS.items():
        yield f'<path class="grid" d="M{_x(flops)} {TOP}V{BOTTOM}"/>'
        yield f'<text x="{_x(flops)}" y="{BOTTOM + 24}" text-anchor="middle">{label}</text>'
    for accuracy in ACCURACY_TICKS:
        yield f'<path class="grid" d="M{LEFT} {_y(accuracy)}H{RIGHT}"/>'
        yield f'<text x="{LEFT - 10}" y="{_y(accuracy) + 5}" text-anchor="end">{accuracy:.2f}</text>'
    yield f'<path class="axis" fill="none" d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}"/>'


def _confirmed(networks: list[Network]) -> Iterator[str]:
    for network in networks:
        x = _x(network.flops)
        low, high = (network.confirmed + sign * network.half_width for sign in (-1, 1))
        yield f'<path class="interval" d="M{x} {_y(low)}V{_y(high)}"/>'
        yield f'<circle class="confirmed" cx="{x}" cy="{_y(network.confirmed)}" r="5"/>'


def _found(networks: list[Network]) -> Iterator[str]:
    """A staircase: a budget between two networks buys the accuracy of the cheaper one."""
    steps = "".join(f"H{_x(network.flops)}V{_y(network.searched)}" for network in networks)
    yield f'<path class="front" d="M{_x(networks[0].flops)} {_y(networks[0].searched)}{steps}"/>'
    for network in networks:
        yield f'<circle class="found" cx="{_x(network.flops)}" cy="{_y(network.searched)}" r="6"/>'


def _words() -> Iterator[str]:
    yield f'<text class="title" x="{LEFT}" y="36">{TITLE}</text>'
    yield f'<path class="front" d="M{LEFT} 66h36"/><circle class="found" cx="{LEFT + 18}" cy="66" r="6"/>'
    yield f'<text x="{LEFT + 46}" y="72">front of the search: 8 epochs, one seed</text>'
    yield f'<path class="interval" d="M{KEY} 56v20"/><circle class="confirmed" cx="{KEY}" cy="66" r="5"/>'
    yield f'<text x="{KEY + 14}" y="72">confirmed: 12 epochs, 3 seeds, 95 % interval</text>'
    yield f'<text x="{(LEFT + RIGHT) / 2}" y="{BOTTOM + 56}" text-anchor="middle">FLOPs (multiply-adds for one image)</text>'
    middle = (TOP + BOTTOM) / 2
    yield f'<text x="24" y="{middle}" text-anchor="middle" transform="rotate(-90 24 {middle})">validation accuracy</text>'


def _x(flops: float) -> float:
    low, high = map(math.log, FLOPS)
    return round(LEFT + (RIGHT - LEFT) * (math.log(flops) - low) / (high - low), 1)


def _y(accuracy: float) -> float:
    low, high = ACCURACY
    return round(BOTTOM - (BOTTOM - TOP) * (accuracy - low) / (high - low), 1)


if __name__ == "__main__":
    print(draw(read_networks()), end="")
