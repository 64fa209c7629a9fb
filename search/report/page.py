"""The report of a study: one HTML page that holds everything and opens offline."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from hgcnet.architecture import Task
from hgcnet.atomic_write import replace_file
from search.pareto import HypervolumeBounds
from search.report.figures import accuracies, pareto_figure, with_colour_selector
from search.report.hypervolume import hypervolume_history
from search.report.importance import importance_figure
from search.report.layers import layer_figure
from search.report.learning_curves import learning_curves
from search.report.tables import (
    answers_html,
    confirmation_html,
    export_command,
    front_html,
    paper_html,
    trials_html,
)
from search.report.time_use import slots, time_figure
from search.report.traits import front_traits
from search.results.trials import architecture_of, select_trial, shown_cost
from search.retraining.confirmations import Confirmed
from search.training.quality import ACCURACY, QUALITY_NAMES, Answers


def write_page(
    path: str | Path,
    *,
    title: str,
    facts: Mapping[str, str],
    frame: pd.DataFrame,
    bounds: HypervolumeBounds,
    run: str,
    task: Task,
    rung_epochs: Sequence[int] = (),
    confirmed: Mapping[str, Confirmed] = MappingProxyType({}),
    quality: str = QUALITY_NAMES[ACCURACY],
    answers: Mapping[int, Answers] = MappingProxyType({}),
) -> None:
    """Writes the report of a study, replacing an earlier one in one step.

    Args:
        title: the heading.
        facts: what is shown under the heading, by label: the name, the data set, counts, bounds.
        frame: the trials, as `search.results.trials.to_frame` gives them.
        bounds: what the hypervolume is measured against; its costs are the study's objectives.
        run: the study's name or folder, as the export commands name it.
        task: what the networks' FLOPs are counted for.
        rung_epochs: after which trainings could be stopped early.
        confirmed: what `search.retraining.confirmations.read_confirmations` gives.
        quality: what the study's quality metric is called.
        answers: what finished trials said of the validation images, by their numbers.

    Raises:
        OSError: it cannot be written.
    """
    cost = shown_cost(bounds.metrics)
    pareto = with_colour_selector(pareto_figure(frame, cost, quality=quality), frame)
    estimate = _note(_ESTIMATE) if frame["estimated_accuracy"].notna().any() else ""
    importance, history = importance_figure(frame), hypervolume_history(frame, bounds)
    sections = {
        "Study": _facts(facts),
        "Pareto front": estimate + figure_html(pareto, "pareto") + front_html(frame, run),
        **{
            f"Trained again: {recipe}": _trained_again(kept, cost, quality, f"confirmed-{number}")
            for number, (recipe, kept) in enumerate(confirmed.items())
        },
        "Chosen networks": _chosen(frame, bounds.metrics, run, task, quality, answers),
        "What the front has in common": _note(_TRAITS) + figure_html(front_traits(frame), "traits"),
        "Hypervolume": figure_html(history, "hypervolume"),
        "Learning curves": figure_html(learning_curves(frame, rung_epochs, quality), "curves"),
        f"What the {quality} depends on": _note(_IMPORTANCE)
        + figure_html(importance, "importance"),
        "Where the time went": _time_note(frame) + figure_html(time_figure(frame), "time"),
        f"All trials ({len(frame):,})": trials_html(frame, run, quality),
    }
    replace_file(path, document(title, sections).encode())


def document(title: str, sections: Mapping[str, str]) -> str:
    """A whole page, with the scripts that draw its figures and sort its tables.

    Args:
        sections: HTML by heading.
    """
    parts = (
        f"<section><h2>{escape(heading)}</h2>{body}</section>" for heading, body in sections.items()
    )
    return f"""\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_packaged("page.css")}</style>
<script>{get_plotlyjs()}</script>
</head><body><main>
<h1>{escape(title)}</h1>
{chr(10).join(parts)}
</main><script>{_packaged("page.js")}</script></body></html>"""


def figure_html(figure: go.Figure, identifier: str) -> str:
    """A figure as an element of a page, under an id of its own."""
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=identifier,
        default_height="auto",
        config={"displaylogo": False},
    )
    return html


def _packaged(name: str) -> str:
    return files("search.report").joinpath(name).read_text(encoding="utf-8")


def _note(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _facts(facts: Mapping[str, str]) -> str:
    cells = (
        f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>"
        for label, value in facts.items()
    )
    return f"<dl>{''.join(cells)}</dl>"


_ESTIMATE = (
    "A single training is noisy, so the best measured accuracy is biased upwards. The front is decided, "
    "and drawn, by estimates: what a model of all trainings makes of each network, without one seed's "
    "noise. Every network's dot is at its measured accuracy."
)

_TRAITS = (
    "From the front's cheapest network to its most expensive, stage by stage. The dashed lines are the "
    "means of all networks that were trained, to the end or not."
)

_IMPORTANCE = (
    "A random forest predicts the accuracy of a finished trial from its parameters. The bars say which "
    "share of the differences in accuracy it explains by which parameter, measured on trials that the "
    "forest has not seen; together they are all that it explains, and the rest is noise or too much for "
    "it. Parameters that go together, as the growths of the stages do, share what they "
    "explain. Larger networks are mostly the more accurate ones: the second bars are of what is left of the "
    "accuracy without its trend in log FLOPs. Only trials that finished count, of which early stopping "
    "and the sampler left more good ones than bad."
)

_ANSWERS = (
    "Its answers on the validation images after the last epoch: of each class how many there are, the share "
    "that was found (recall), the share of what was called so that is so (precision), and their harmonic mean."
)

_TESTED = "Recall, precision and F1 are means over its seeds; which classes it took for which is their sum."

_PAPER = (
    "These trainings follow the paper's recipe (Xie, Zhou, Kung 2019: 300 epochs of SGD, batch 128, "
    "learning rate 0.1, weight decay 1e-4), but for the validation images, which are kept out of the "
    "training; the paper trains on them, too. Errors in percent: ours on the validation images (with its "
    "95 % interval) and, for the chosen network alone, on the test images, as the paper's are. The "
    "networks' widths are our reconstruction."
)


def _trained_again(kept: Confirmed, cost: str, quality: str, identifier: str) -> str:
    networks = kept.networks
    body = figure_html(accuracies(networks, cost, quality), identifier)
    body += confirmation_html(networks, quality)
    if kept.tested is not None:
        body += "<h3>The chosen network on the test images, class by class</h3>"
        body += _note(_TESTED) + answers_html(kept.tested)
    in_paper = networks[networks["paper_error"].notna()]
    if in_paper.empty:
        return body
    return f"{body}<h3>Beside the paper</h3>{_note(_PAPER)}{paper_html(in_paper)}"


def _chosen(
    frame: pd.DataFrame,
    objectives: Sequence[str],
    run: str,
    task: Task,
    quality: str,
    answers: Mapping[int, Answers],
) -> str:
    """The most accurate network and the knee of the front, layer by layer."""
    if not frame["on_front"].any():
        return "<p>No trial has finished yet.</p>"
    names: dict[int, str] = {}
    for rule, name in (("best", "The most accurate"), ("knee", "The knee of the front")):
        number = select_trial(frame, objectives, rule)
        names[number] = f"{names[number]}, and the knee of the front" if number in names else name
    rows = frame.set_index("number", drop=False)
    return "".join(
        _network(rows.loc[number], name, run, task, quality)
        + (_note(_ANSWERS) + answers_html(answers[number]) if number in answers else "")
        for number, name in names.items()
    )


def _network(row: pd.Series, name: str, run: str, task: Task, quality: str) -> str:
    """One network with its qualities, its costs, what exports it, and its layers."""
    number, architecture, estimate = row["number"], architecture_of(row), row["estimated_accuracy"]
    estimated = "" if pd.isna(estimate) else f"Estimated {quality} {estimate:.4f}, "
    return (
        f"<h3>{name}: trial {number}</h3>"
        f"<p>{estimated}measured {row['quality']:.4f} at {row['flops'] / 1e6:.3f}M FLOPs and "
        f"{row['num_params'] / 1e6:.3f}M params. <code>{escape(str(architecture))}</code><br>"
        f"<code>{escape(export_command(run, number))}</code></p>"
        + figure_html(layer_figure(architecture, task), f"layers-{number}")
    )


def _time_note(frame: pd.DataFrame) -> str:
    count = slots(frame)
    if not count:
        return ""
    return _note(
        f"At most {count} training{'s' if count > 1 else ''} ran at once; so many slots are counted. "
        "What was interrupted is left out, as nobody knows when it ended."
    )
