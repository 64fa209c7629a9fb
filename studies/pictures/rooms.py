"""Draws rooms.svg: the rooms of the source, and the way of the data through them.

    python studies/pictures/rooms.py > studies/pictures/rooms.svg

What a room builds on is read from the imports of its files; the order and the captions are kept here.
"""

import ast
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
WIDTH, LEFT, TOP = 976, 84, 104
SPINE_WIDTH, SIDE_WIDTH, BOX_HEIGHT, GAP = 254, 192, 62, 30
BETWEEN = 14  # boxes of a row


class Step(NamedTuple):
    """One step of the data: what it takes in, the room that takes it, and the rooms that help."""

    takes: str
    room: str
    helpers: tuple[str, ...] = ()


WAY = (
    Step("study file", "study_file", ("prepare", "forecast")),
    Step("[space]", "space/"),
    Step("parameters, limits", "samplers", ("estimation",)),
    Step("a point of the space", "hgcnet/"),
    Step("architecture", "workers", ("training", "data", "early_stopping")),
    Step("accuracy after each epoch", "study"),
    Step("trials in study.db", "results"),
    Step("front", "report", ("dashboard",)),
    Step("the trial to keep", "export", ("retraining", "predict_files", "simulation")),
)
EXPORTED = "best.toml"
CAPTIONS = {
    "study_file": "checks a study file",
    "prepare": "all checks before a start",
    "forecast": "size and expected time",
    "space/": "what may vary",
    "samplers": "propose the next network",
    "estimation": "accuracy less seed noise",
    "hgcnet/": "the networks; FLOPs, params",
    "workers": "run trainings, on Ray",
    "training": "one network, one seed",
    "data": "images and labels, split",
    "early_stopping": "stops trainings early",
    "study": "search loop, the only writer",
    "results": "read a study back",
    "report": "one HTML page",
    "dashboard": "Optuna Dashboard",
    "export": "a trial to a file",
    "retraining": "confirm, compare, train",
    "predict_files": "classes of image files",
    "simulation": "searches on a table",
}
CALLERS = ("cli", "api", "run")  # may import every room
LEARNS = ("study", "samplers")  # the way back, once a trial ends

STYLE = """
  text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; font-size: 13px;
         fill: #1f2933; }
  .name { font: 600 15px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
  .small { font-size: 12px; fill: #616e7c; }
  .way { fill: #b84f00; font-size: 13px; font-weight: 600; }
  .paper { fill: #ffffff; }
  .box { fill: #f5f7f9; stroke: #c5ccd3; }
  .main { fill: #fff4ec; stroke: #d55e00; stroke-width: 1.5; }
  .arrow { fill: none; stroke: #d55e00; stroke-width: 2.5; }
  .head { fill: #d55e00; }
  .beside { stroke: #9aa3ab; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .small { fill: #9da7b1; }
    .way { fill: #ff9d57; }
    .paper { fill: #0d1117; }
    .box { fill: #161b22; stroke: #3d444d; }
    .main { fill: #2b1a0e; }
    .beside { stroke: #656c76; }
  }"""


def imported(node: ast.AST) -> Iterator[str]:
    """The dotted names of all imports in a tree but those for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield child.module or ""
        elif not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from imported(child)


def imports_of_rooms() -> dict[str, set[str]]:
    """The rooms that each room of `search` imports. A room is a folder or a file."""
    found: dict[str, set[str]] = {}
    for file in sorted((ROOT / "search").rglob("*.py")):
        room = file.relative_to(ROOT / "search").parts[0].removesuffix(".py")
        names = imported(ast.parse(file.read_text(encoding="utf-8")))
        found.setdefault(room, set()).update(n.split(".")[1] for n in names if n[:7] == "search.")
    return {room: names - {room} for room, names in found.items()}


def shared_files(imports: Mapping[str, set[str]]) -> list[str]:
    """The files of `search` that are on nobody's way: every room may import them."""
    return sorted(imports.keys() - CAPTIONS.keys() - {*CALLERS, "__init__"})


def builds_on(room: str, imports: Mapping[str, set[str]]) -> list[str]:
    """The rooms that a room imports, without those that come with another one of them."""
    rooms = {name for name in imports.get(room, ()) if name in CAPTIONS}
    return sorted(rooms - {far for name in rooms for far in _reached(name, imports)})


def _reached(room: str, imports: Mapping[str, set[str]]) -> set[str]:
    near = imports[room] & CAPTIONS.keys()
    return near.union(*(_reached(name, imports) for name in near))


def draw(imports: Mapping[str, set[str]]) -> str:
    """The picture as SVG text."""
    height = TOP + len(WAY) * (BOX_HEIGHT + GAP) + 72
    parts = [
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>',
        *_heading(),
        *(part for number, step in enumerate(WAY) for part in _step(number, step, imports)),
        *_learning(),
        *_end(shared_files(imports)),
    ]
    lines = "\n".join(parts)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">
<title>The rooms of hgcnas and the way of the data through them</title>
<style>{STYLE}
</style>
{lines}
</svg>
"""


def _heading() -> Iterator[str]:
    width = SPINE_WIDTH + 3 * (BETWEEN + SIDE_WIDTH)
    yield f'<rect class="box" x="{LEFT - 64}" y="16" width="{width + 64}" height="44" rx="6"/>'
    yield _text(LEFT - 48, 43, ", ".join(CALLERS), "name")
    yield _text(
        LEFT + 82, 43, "what people call, in a terminal and from Python: they import every room"
    )


def _step(number: int, step: Step, imports: Mapping[str, set[str]]) -> Iterator[str]:
    """The arrow into a room, the room, and its helpers beside it."""
    y = _y(number)
    yield from _arrow(y - GAP, step.takes)
    yield from _box(LEFT, y, SPINE_WIDTH, step.room, "main", imports)
    for column, helper in enumerate(step.helpers):
        x = LEFT + SPINE_WIDTH + BETWEEN + column * (SIDE_WIDTH + BETWEEN)
        middle = y + BOX_HEIGHT / 2
        yield f'<path class="beside" d="M{x - BETWEEN} {middle}h{BETWEEN}"/>'
        yield from _box(x, y, SIDE_WIDTH, helper, "box", imports)


def _arrow(y: float, label: str) -> Iterator[str]:
    x = LEFT + 28
    yield f'<path class="arrow" d="M{x} {y}v{GAP - 8}"/>'
    yield f'<path class="head" d="M{x - 6} {y + GAP - 10}h12l-6 10z"/>'
    yield _text(x + 16, y + 20, label, "way")


def _box(
    x: float, y: float, width: float, room: str, look: str, imports: Mapping[str, set[str]]
) -> Iterator[str]:
    yield f'<rect class="{look}" x="{x}" y="{y}" width="{width}" height="{BOX_HEIGHT}" rx="6"/>'
    yield _text(x + 12, y + 21, room, "name")
    yield _text(x + 12, y + 38, CAPTIONS[room])
    if below := builds_on(room, imports):
        yield _text(x + 12, y + 54, f"on {', '.join(below)}", "small")


def _learning() -> Iterator[str]:
    """The arrow from the trials back to the sampler."""
    begin, end = (_y([step.room for step in WAY].index(room)) + BOX_HEIGHT / 2 for room in LEARNS)
    x = LEFT - 30
    yield f'<path class="arrow" d="M{LEFT} {begin}H{x}V{end}h18"/>'
    yield f'<path class="head" d="M{LEFT - 12} {end - 6}v12l11 -6z"/>'
    middle = (begin + end) / 2
    yield (
        f'<text class="way" x="{x - 10}" y="{middle}" text-anchor="middle" '
        f'transform="rotate(-90 {x - 10} {middle})">next trial</text>'
    )


def _end(shared: list[str]) -> Iterator[str]:
    y = _y(len(WAY)) - GAP
    yield from _arrow(y, EXPORTED)
    yield _text(LEFT - 64, y + 62, f"shared by all rooms: {', '.join(shared)}", "small")
    yield _text(LEFT - 64, y + 82, _LEGEND, "small")


_LEGEND = (
    "Rooms are folders or files of search/; hgcnet/ and space/ are packages. “on x”: imports x, and may "
    "import what x imports."
)


def _y(number: int) -> int:
    return TOP + number * (BOX_HEIGHT + GAP)


def _text(x: float, y: float, text: str, look: str = "") -> str:
    attribute = f'class="{look}" ' if look else ""
    return f'<text {attribute}x="{x}" y="{y}">{escape(text)}</text>'


if __name__ == "__main__":
    print(draw(imports_of_rooms()), end="")
