"""The report of a study: one self-contained HTML page, which opens offline."""

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
        facts: facts under the heading, by label: the name, the data set, counts, bounds.
        frame: the trials, as `search.results.trials.to_frame` gives them.
        bounds: bounds of the hypervolume; their costs are the study's objectives.
        run: the study's name or folder, for the export commands.
        task: the task for which FLOPs are counted.
        rung_epochs: epochs after which trainings could be stopped early.
        confirmed: from `search.retraining.confirmations.read_confirmations`.
        quality: name of the study's quality metric.
        answers: the predictions of finished trials on the validation images, by trial number.

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
            f"Retrained: {recipe}": _trained_again(kept, cost, quality, f"confirmed-{number}")
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
    """A page, with the scripts that draw its figures and sort its tables.

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
    """A figure as an element of a page, with its own id."""
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
    "A single training is noisy, so the best measured accuracy is biased upwards. The front is therefore "
    "chosen, and drawn, by estimated accuracy: a model of all trainings averages out the seed noise. The "
    "dots show the measured accuracies."
)

_TRAITS = (
    "The networks of the front by FLOPs, stage by stage. Dashed lines are means over all trained networks, "
    "including those that were stopped early."
)

_IMPORTANCE = (
    "A random forest predicts the accuracy of a finished trial from its parameters. A bar shows the share "
    "of the variance in accuracy that the forest explains by one parameter, on trials that it has not "
    "seen. The bars add up to all that it explains; the rest is noise or beyond the forest. Correlated "
    "parameters, such as the growths of the stages, share what they explain. Larger networks tend to be "
    "more accurate: the second bars remove the trend of the accuracy in log FLOPs. Only finished trials "
    "count, among which good networks are overrepresented: the sampler prefers them, and early stopping "
    "removes others."
)

_ANSWERS = (
    "Predictions on the validation images after the last epoch. Recall is the share of a class's images "
    "that are predicted as this class. Precision is the share of images predicted as this class that "
    "belong to it. F1 is the harmonic mean of both."
)

_TESTED = "Recall, precision and F1 are means over the seeds; counts of predictions are sums."

_PAPER = (
    "These trainings follow the paper's recipe (Xie, Zhou, Kung 2019: 300 epochs of SGD, batch 128, "
    "learning rate 0.1, weight decay 1e-4). But they keep out the validation images, on which the paper "
    "trains, too. Errors are in percent. Ours are on the validation images, with the 95 % interval; the "
    "paper's, and the test error of the chosen network, are on the test images. The widths of the networks "
    "are our reconstruction."
)


def _trained_again(kept: Confirmed, cost: str, quality: str, identifier: str) -> str:
    networks = kept.networks
    body = figure_html(accuracies(networks, cost, quality), identifier)
    body += confirmation_html(networks, quality)
    if kept.tested is not None:
        body += "<h3>The chosen network on the test images, by class</h3>"
        body += _note(_TESTED) + answers_html(kept.tested)
    in_paper = networks[networks["paper_error"].notna()]
    if in_paper.empty:
        return body
    return f"{body}<h3>Compared with the paper</h3>{_note(_PAPER)}{paper_html(in_paper)}"


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
    """One network with its qualities, its costs, its export command and its layers."""
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
        f"At most {count} training{'s' if count > 1 else ''} ran at once: this is the number of slots. "
        "Interrupted trainings are left out, as their end is unknown."
    )
