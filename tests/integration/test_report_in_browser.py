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
def seen(frame, tmp_path, processes):
    """What the script saw."""
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
    text = page.read_text(encoding="utf-8").replace("<head>", f"<head>{CATCH_ERRORS}", 1)
    page.write_text(f"{text}<script>{SCRIPT}</script>", encoding="utf-8")
    document = seen_by_browser(page.as_uri(), processes)
    _, found, rest = document.rpartition('<pre id="seen">')
    assert found, document[-2000:]
    return json.loads(unescape(rest.partition("</pre>")[0]))


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
