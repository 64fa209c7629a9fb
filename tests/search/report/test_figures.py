"""The figures of a real in-memory study: what is drawn, where, and how it is named."""

import numpy as np
import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import TrialState, create_trial

from hgcnet.architecture import Architecture, Stage
from search.pareto import HypervolumeBounds, normalised_hypervolume
from search.report.figures import hypervolume_history, learning_curves, pareto
from search.results import to_frame

BOUNDS = HypervolumeBounds(flops_low=1e6, flops_high=1e7, reference_accuracy=0.3)
UNKNOWN = HypervolumeBounds(flops_low=1e6, flops_high=1e7, reference_accuracy=None)


class DepthSpace:
    """A space of one parameter: the depth of the only stage."""

    def decode(self, params):
        return Architecture(stages=(Stage(depth=params["depth"], growth=8, groups=2),))


def add_trial(study, state, depth, curve, **attributes):
    flops = depth * 1_000_000
    described = {"fingerprint": f"f{depth}", "flops": flops, "num_params": depth * 1000}
    study.add_trial(
        create_trial(
            state=state,
            values=[curve[-1], flops] if state == TrialState.COMPLETE else None,
            params={"depth": depth},
            distributions={"depth": IntDistribution(1, 9)},
            user_attrs=described | {"curve": curve} | attributes,
        )
    )


def load(study):
    return to_frame(study.trials, DepthSpace(), ("val_accuracy", "flops"))


@pytest.fixture
def empty():
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.enqueue_trial({"depth": 3})
    return load(study)


@pytest.fixture
def frame():
    study = optuna.create_study(directions=["maximize", "minimize"])
    add_trial(study, TrialState.COMPLETE, 1, [0.1, 0.3], origin="cheapest")
    add_trial(study, TrialState.COMPLETE, 5, [0.2, 0.6], origin="start_with: hgcnet_42_g4")
    add_trial(study, TrialState.PRUNED, 6, [0.25])
    add_trial(study, TrialState.COMPLETE, 3, [0.2, 0.5])
    add_trial(study, TrialState.COMPLETE, 4, [0.2, 0.45], origin="enqueued: <b>mine</b>")
    add_trial(study, TrialState.FAIL, 7, [0.2], failure="loss is NaN")
    add_trial(study, TrialState.FAIL, 8, [], failure="interrupted")
    return load(study)


def points(figure):
    return {trace.name: list(zip(trace.x, trace.y, strict=True)) for trace in figure.data}


def test_the_pareto_figure_tells_the_states_apart(frame):
    assert points(pareto(frame)) == {
        "Pareto front": [(1e6, 0.3), (3e6, 0.5), (5e6, 0.6)],
        "finished": [(4e6, 0.45)],
        "stopped early": [(6e6, 0.25)],
        "failed": [(7e6, 0.2)],
    }


def test_the_front_is_a_staircase_on_a_log_axis_with_units(frame):
    figure = pareto(frame)
    assert next(t for t in figure.data if t.name == "Pareto front").line.shape == "hv"
    assert figure.layout.xaxis.type == "log"
    assert figure.layout.xaxis.title.text == "FLOPs (multiply-adds of one image)"
    assert figure.layout.yaxis.title.text == "validation accuracy (last epoch)"


def test_trials_given_by_name_are_labelled_and_escaped(frame):
    labels = {note.text: (note.x, note.y) for note in pareto(frame).layout.annotations}
    assert labels == {
        "cheapest": (pytest.approx(6), 0.3),
        "hgcnet_42_g4": (pytest.approx(np.log10(5e6)), 0.6),
        "&lt;b&gt;mine&lt;/b&gt;": (pytest.approx(np.log10(4e6)), 0.45),
    }


def test_hovering_shows_the_trial_and_its_architecture(frame):
    text = {trace.name: trace.hovertext[0] for trace in pareto(frame).data}
    assert text["finished"] == (
        "<b>trial 4</b>, finished<br>hgc 4x8g2 b4 c0.5 s24<br>accuracy 0.4500, 4.00M FLOPs<br>"
        "0.004M params<br>enqueued: &lt;b&gt;mine&lt;/b&gt;"
    )
    assert "stopped after 1 epoch<" in text["stopped early"]
    assert "loss is NaN" in text["failed"]


def test_the_hypervolume_grows_with_the_finished_trials(frame):
    trace = hypervolume_history(frame, BOUNDS).data[0]
    finished = frame[frame["state"] == "finished"]
    assert list(trace.x) == [1, 2, 3, 4, 5]
    assert list(trace.customdata) == [0, 1, 2, 3, 4]
    assert trace.y[0] == 0
    assert trace.y[1] == trace.y[2] < trace.y[3] == trace.y[4]
    assert trace.y[-1] == normalised_hypervolume(
        finished["val_accuracy"], finished["flops"], BOUNDS
    )


def test_learning_curves_are_parted_by_gaps(frame):
    curves = points(learning_curves(frame))
    assert curves["Pareto front"] == [
        *[(1, 0.1), (2, 0.3), (None, None)],
        *[(1, 0.2), (2, 0.5), (None, None)],
        *[(1, 0.2), (2, 0.6), (None, None)],
    ]
    assert curves["stopped early"] == [(1, 0.25), (None, None)]


def test_figures_without_results_say_so(empty):
    for figure in (pareto(empty), hypervolume_history(empty, UNKNOWN), learning_curves(empty)):
        assert not figure.data
        assert len(figure.layout.annotations) == 1


def test_figures_are_small_enough_for_the_dashboard(frame):
    assert len(pareto(frame).to_json()) < 5000
