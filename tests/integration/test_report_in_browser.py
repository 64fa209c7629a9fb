"""The report in a real browser: what is drawn, and what happens when somebody uses it."""

import json
from html import unescape

import numpy as np
import pytest
from optuna.trial import TrialState

from hgcnet.architecture import Task
from search.pareto import CostRange, HypervolumeBounds
from search.report.page import write_page
from search.results.trials import front
from tests.parts.browser import seen_by_browser
from tests.parts.made_up_study import MadeUpStudy

# Runs in a copy of the page, once its figures are drawn; leaves what it saw in the document.
SCRIPT = """
window.addEventListener("load", async () => {
  const seen = { errors: window.seenErrors };
  const figure = (name) => document.getElementById(name);
  const paths = (name, selector) => figure(name).querySelectorAll(selector).length;
  const cells = (column) =>
    [...document.querySelectorAll("section:last-of-type tbody tr")]
      .filter((row) => !row.hidden)
      .map((row) => row.cells[column].textContent);
  const header = (text) =>
    [...document.querySelectorAll("section:last-of-type th button")].find((b) => b.textContent === text);
  const settled = () => new Promise((resolve) => setTimeout(resolve, 500));

  await settled();
  seen.points = paths("pareto", ".scatterlayer path.point");
  seen.stairs = paths("pareto", ".scatterlayer path.js-line");
  seen.labels = [...figure("pareto").querySelectorAll(".textpoint")].map((a) => a.textContent);
  seen.hypervolume = paths("hypervolume", ".scatterlayer path.js-line");
  seen.curves = paths("curves", ".scatterlayer path.js-line");
  seen.rungs = paths("curves", ".shapelayer path");
  seen.traits = paths("traits", ".scatterlayer path.js-line");
  seen.importance = paths("importance", ".barlayer .point path");
  seen.time = paths("time", ".barlayer .point path");
  seen.running = paths("time", ".scatterlayer path.js-line");
  seen.layers = document.querySelectorAll("[id^=layers-] .barlayer .point path").length;

  const front = figure("pareto").data.findIndex((trace) => trace.name === "Pareto front");
  Plotly.Fx.hover("pareto", [{ curveNumber: front, pointNumber: 0 }]);
  await settled();
  seen.hover = figure("pareto").querySelector(".hoverlayer")?.textContent ?? "nothing";

  const colour = () =>
    getComputedStyle([...figure("pareto").querySelectorAll(".scatterlayer path.point")].at(-2)).fill;
  seen.plainColour = colour();
  const button = [...figure("pareto").querySelectorAll(".updatemenu-button")].find(
    (element) => element.textContent === "depth");
  button.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  await settled();
  seen.depthColour = colour();
  seen.colourBar = figure("pareto").querySelectorAll(".colorbar").length;

  header("measured").click();
  seen.rising = cells(2);
  header("measured").click();
  seen.falling = cells(2);
  header("time").click();
  seen.times = cells(7);
  header("architecture").click();
  seen.architectures = cells(8);
  const input = document.querySelector(".filter input");
  input.value = "Finished 3x8";
  input.dispatchEvent(new Event("input", { bubbles: true }));
  seen.filtered = cells(0);
  seen.shown = document.querySelector(".filter output").textContent;

  const result = document.createElement("pre");
  result.id = "seen";
  result.textContent = JSON.stringify(seen);
  document.body.append(result);
});
"""
# The same, for what does not fit the width of the page. What it saw goes to the page around it.
FIT_SCRIPT = """
window.addEventListener("load", async () => {
  await new Promise((resolve) => setTimeout(resolve, 500));
  const boxes = (figure, selector) =>
    [...figure.querySelectorAll(selector)]
      .map((part) => ({ text: `${figure.id}: ${part.textContent}`, box: part.getBoundingClientRect() }))
      .filter(({ box }) => box.width && box.height);
  const isIn = (inner, outer) =>
    inner.left > outer.left - 1 && inner.right < outer.right + 1 &&
    inner.top > outer.top - 1 && inner.bottom < outer.bottom + 1;
  const meet = ({ box: a }, { box: b }) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
  const figures = [...document.querySelectorAll(".js-plotly-plot")];
  const seen = { errors: window.seenErrors, figures: figures.length, outside: [], meeting: [] };
  seen.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const look = (figure) => {
    const frame = figure.getBoundingClientRect();
    if (!isIn(frame, figure.closest("section").getBoundingClientRect())) seen.outside.push(figure.id);
    seen.outside.push(...boxes(figure, ".main-svg text")
      .filter(({ box }) => !isIn(box, frame)).map(({ text }) => text));
    const parts = boxes(figure, `.legend, .updatemenu-container, .modebar-btn, .colorbar text,
      .infolayer > [class^=g-]`);
    const labels = boxes(figure, ".xtick text:not([transform*='rotate(30'])");
    const pairs = [parts, labels].flatMap((group) =>
      group.flatMap((one, index) => group.slice(index + 1).map((other) => [one, other])));
    const beside = boxes(figure, ".xtick text, .ytick text");
    pairs.push(...parts.flatMap((one) => beside.map((other) => [one, other])));
    seen.meeting.push(...pairs.filter(([one, other]) => meet(one, other))
      .map(([one, other]) => `${one.text} | ${other.text}`));
  };
  figures.forEach(look);
  const button = [...document.querySelectorAll(".updatemenu-button")].find(
    (element) => element.textContent === "groups");
  button.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  await new Promise((resolve) => setTimeout(resolve, 500));
  look(figures[0]); // with a colour bar
  seen.smallest = Math.min(...[...document.querySelectorAll("main *")]
    .filter((part) => part.checkVisibility() && part.textContent.trim() && !part.children.length)
    .map((part) => parseFloat(getComputedStyle(part).fontSize)));
  seen.tables = [...document.querySelectorAll("table")]
    .filter((table) => getComputedStyle(table.parentNode).overflowX !== "auto").length;
  window.parent.postMessage(JSON.stringify(seen), "*");
});
"""
AROUND = """<!doctype html>
<iframe src="{page}" style="width: {width}px; height: 900px; border: 0"></iframe>
<script>
window.addEventListener("message", (message) => {{
  const result = document.createElement("pre");
  result.id = "seen";
  result.textContent = message.data;
  document.body.append(result);
}});
</script>"""
CATCH_ERRORS = """<script>
window.seenErrors = [];
window.addEventListener("error", (event) => window.seenErrors.push(event.message));
</script>"""


@pytest.fixture
def frame():
    """Forty trials over nine architectures: enough for every figure to have something to show."""
    made_up = MadeUpStudy()
    rng = np.random.default_rng(0)
    made_up.add(TrialState.COMPLETE, 1, [0.2, 0.3], (0, 10), seconds=9, origin="cheapest")
    made_up.add(TrialState.FAIL, 9, [], (0, 4), seconds=1, failure="loss is NaN")
    made_up.add(TrialState.PRUNED, 8, [0.21], (10, 15), seconds=40_000)
    for number in range(40):
        depth = 1 + number % 9
        curve = [0.2, round(0.3 + depth / 20 + rng.uniform(0, 0.05), 4)]
        span = (15 + 5 * number, 25 + 5 * number)
        made_up.add(TrialState.COMPLETE, depth, curve, span, seconds=float(rng.uniform(5, 900)))
    return made_up.frame


@pytest.fixture
def page(frame, tmp_path):
    """The report."""
    page = tmp_path / "report.html"
    flops = CostRange(metric="flops", low=1e6, high=1e7)
    bounds = HypervolumeBounds(costs=(flops,), reference_accuracy=0.3)
    write_page(
        page,
        title="A study",
        facts={"Data set": "digits"},
        frame=frame,
        bounds=bounds,
        run="study",
        task=Task(),
        rung_epochs=(1,),
    )
    return page


def add_script(page, script):
    text = page.read_text(encoding="utf-8").replace("<head>", f"<head>{CATCH_ERRORS}", 1)
    page.write_text(f"{text}<script>{script}</script>", encoding="utf-8")


def left_by_script(page, processes):
    document = seen_by_browser(page.as_uri(), processes)
    _, found, rest = document.rpartition('<pre id="seen">')
    assert found, document[-2000:]
    return json.loads(unescape(rest.partition("</pre>")[0]))


@pytest.fixture
def seen(page, processes):
    """What the script saw."""
    add_script(page, SCRIPT)
    return left_by_script(page, processes)


@pytest.mark.parametrize("width", [390, 1280])
def test_everything_fits_a_phone_and_a_screen(page, processes, width):
    add_script(page, FIT_SCRIPT)
    around = page.with_name("around.html")  # Chromium has no window of less than 500 pixels
    around.write_text(AROUND.format(page=page.as_uri(), width=width), encoding="utf-8")
    seen = left_by_script(around, processes)
    assert seen.pop("figures") == 7
    assert seen.pop("smallest") >= 11
    # An inner scroll bar is a table's own: the page has none.
    assert seen == {"errors": [], "overflow": 0, "outside": [], "meeting": [], "tables": 0}


def test_figures_are_drawn_and_the_page_answers(seen, frame):
    assert seen["errors"] == []
    assert_figures_have_their_traces(seen, frame)
    assert_hovering_names_the_architecture(seen, frame)
    assert_points_are_recoloured(seen)
    assert_the_table_sorts_and_filters(seen, frame)


def assert_figures_have_their_traces(seen, frame):
    assert seen["points"] == frame["last_accuracy"].notna().sum() + 1  # the ring of the cheapest
    assert seen["stairs"] == 1
    assert seen["labels"] == ["cheapest"]
    assert seen["hypervolume"] == 2
    assert seen["curves"] == frame["epochs"].gt(0).sum()
    assert seen["rungs"] == 1
    assert seen["traits"] == 4 * 2
    assert seen["importance"] == 2 * 1  # only the depth of the first stage varies
    assert seen["time"] == 5
    assert seen["running"] == 1
    assert seen["layers"] > 20


def assert_hovering_names_the_architecture(seen, frame):
    assert f"trial {front(frame)['number'].iloc[0]}, finished" in seen["hover"]
    assert "hgc 1x8g2 2x16g4+se1 b4 c0.5 s24" in seen["hover"]


def assert_points_are_recoloured(seen):
    assert seen["colourBar"] == 1
    assert seen["depthColour"] != seen["plainColour"]


def assert_the_table_sorts_and_filters(seen, frame):
    finished = frame["val_accuracy"].dropna()
    assert seen["rising"] == [*(f"{value:.4f}" for value in sorted(finished)), "", ""]
    assert seen["falling"] == [*reversed(seen["rising"][:-2]), "", ""]
    assert seen["times"][0] == "0:00:01"
    assert seen["times"][-1] == "11:06:40"  # hours are no text
    assert seen["architectures"] == sorted(seen["architectures"])
    is_shown = (frame["state"] == "finished") & frame["architecture"].str.contains("3x8")
    assert sorted(map(int, seen["filtered"])) == frame.loc[is_shown, "number"].tolist()
    assert seen["shown"] == f"{is_shown.sum()} of {len(frame)} shown"
