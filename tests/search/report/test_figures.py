"""The Pareto plot of a small study: what is drawn, where, and how it is named."""

from search.report.figures import pareto_figure, with_colour_selector


def points(figure):
    return {trace.name: list(zip(trace.x, trace.y, strict=True)) for trace in figure.data}


def test_the_pareto_figure_tells_the_states_apart(frame):
    assert points(pareto_figure(frame)) == {
        "Pareto front": [(1e6, 0.3), (3e6, 0.5), (5e6, 0.6)],
        "finished": [(4e6, 0.45)],
        "stopped early": [(6e6, 0.25)],
        "failed": [(7e6, 0.2)],
        "given by name": [(1e6, 0.3), (4e6, 0.45), (5e6, 0.6)],
    }


def test_the_front_is_a_staircase_on_a_log_axis_with_units(frame):
    figure = pareto_figure(frame)
    assert next(t for t in figure.data if t.name == "Pareto front").line.shape == "hv"
    assert figure.layout.xaxis.type == "log"
    assert figure.layout.xaxis.title.text == "FLOPs (multiply-adds of one image)"
    assert figure.layout.yaxis.title.text == "validation accuracy (last epoch)"


def test_the_x_axis_may_be_params(frame):
    figure = pareto_figure(frame, "num_params")
    assert points(figure)["Pareto front"] == [(1e3, 0.3), (3e3, 0.5), (5e3, 0.6)]
    assert figure.layout.xaxis.title.text == "params (weights and biases)"


def test_a_front_of_two_costs_is_drawn_as_points(frame):
    def mode(drawn):
        return next(t for t in pareto_figure(drawn).data if t.name == "Pareto front").mode

    assert mode(frame) == "lines+markers"
    frame["on_front"] = frame["state"] == "finished"  # trial 4 has fewer params than trial 3, say
    assert mode(frame) == "markers"


def test_trials_given_by_name_are_labelled_and_escaped(frame):
    named = next(trace for trace in pareto_figure(frame).data if trace.name == "given by name")
    assert named.text == ("cheapest", "&lt;b&gt;mine&lt;/b&gt;", "hgcnet_42_g4")
    assert named.textposition == ("bottom right", "top left", "bottom right")
    assert "trial 0" in named.hovertext[0]


def test_hovering_shows_the_trial_and_its_architecture(frame):
    text = {trace.name: trace.hovertext[0] for trace in pareto_figure(frame).data}
    assert text["finished"] == (
        "<b>trial 4</b>, finished<br>hgc 4x8g2 2x16g4+se1 b4 c0.5 s24<br>"
        "measured accuracy 0.4500, 4.00M FLOPs<br>0.004M params<br>enqueued: &lt;b&gt;mine&lt;/b&gt;"
    )
    assert "stopped after 1 epoch<" in text["stopped early"]
    assert "loss is NaN" in text["failed"]


def test_buttons_colour_every_point_by_a_trait_of_its_network(frame):
    figure = with_colour_selector(pareto_figure(frame), frame)
    (menu,) = figure.layout.updatemenus
    assert [button.label for button in menu.buttons] == ["state", "groups", "depth", "growth", "SE"]
    by_depth = dict(
        zip(
            [trace.name for trace in figure.data],
            menu.buttons[2].args[0]["marker.color"],
            strict=True,
        )
    )
    # The modules of both stages; the second always has two.
    assert by_depth == {
        "Pareto front": [3, 5, 7],
        "finished": [6],
        "stopped early": [8],
        "failed": [9],
        "given by name": [3, 6, 7],
    }
    assert menu.buttons[2].args[1]["coloraxis.showscale"] is True
    plain = menu.buttons[0].args[0]["marker.color"]
    assert plain == [trace.marker.color for trace in figure.data]


def test_without_results_the_figure_says_so(empty):
    figure = with_colour_selector(pareto_figure(empty), empty)
    assert not figure.data
    assert len(figure.layout.annotations) == 1


def test_the_figure_is_small_enough_for_the_dashboard(frame):
    assert len(pareto_figure(frame).to_json()) < 5000
