"""The learning curves of a small study."""

from optuna.trial import TrialState

from search.report.learning_curves import MOST_CURVES, learning_curves


def points(figure):
    return {trace.name: list(zip(trace.x, trace.y, strict=True)) for trace in figure.data}


def test_learning_curves_are_parted_by_gaps(frame):
    curves = points(learning_curves(frame))
    assert curves["Pareto front"] == [
        *[(1, 0.1), (2, 0.3), (None, None)],
        *[(1, 0.2), (2, 0.5), (None, None)],
        *[(1, 0.2), (2, 0.6), (None, None)],
    ]
    assert curves["stopped early"] == [(1, 0.25), (None, None)]
    assert curves["stopped here"] == [(1, 0.25)]


def test_rungs_are_marked_with_what_stopped_there(frame):
    figure = learning_curves(frame, rung_epochs=(1,))
    (line,) = figure.layout.shapes
    (note,) = figure.layout.annotations
    assert line.x0 == line.x1 == 1
    assert note.text == "rung: 1 of 6 stopped"  # one failed before its first epoch ended


def test_of_many_curves_a_bounded_number_is_drawn_and_the_legend_says_so(made_up):
    made_up.add(TrialState.COMPLETE, 1, [0.9])
    for _ in range(MOST_CURVES + 50):
        made_up.add(TrialState.COMPLETE, 2, [0.5])
    curves = points(learning_curves(made_up.frame))
    assert list(curves) == [f"finished ({MOST_CURVES} of {MOST_CURVES + 50})", "Pareto front"]
    assert curves["Pareto front"] == [(1, 0.9), (None, None)]
    assert curves[f"finished ({MOST_CURVES} of {MOST_CURVES + 50})"].count((1, 0.5)) == (
        MOST_CURVES
    )


def test_without_results_the_figure_says_so(empty):
    figure = learning_curves(empty)
    assert not figure.data
    assert len(figure.layout.annotations) == 1
