"""What networks are made of, in numbers, and the small multiples of the front."""

import numpy as np
import pandas as pd

from hgcnet.architecture import Architecture, Stage
from hgcnet.structure import build_structure
from search.report.traits import front_traits, network_traits, stage_values
from search.results.trials import TEXT


def test_stages_become_numbers_and_what_is_missing_nan():
    values = stage_values(pd.Series(["7-7-6", None, "2"], dtype=TEXT))
    assert np.array_equal(values, [[7, 7, 6], [np.nan] * 3, [2, np.nan, np.nan]], equal_nan=True)
    assert stage_values(pd.Series(["none-last-all"])).tolist() == [[0, 1, 2]]
    assert stage_values(pd.Series([], dtype=TEXT)).shape == (0, 0)


def test_traits_are_means_over_the_modules_that_are_built():
    stages = (
        Stage(depth=3, growth=4, groups=1, se="last"),
        Stage(depth=2, growth=8, groups=4, se="all"),
        Stage(depth=5, growth=16, groups=2, se="none"),
    )
    modules = [m for s in build_structure(Architecture(stages=stages)) for m in s.modules]
    columns = {
        name: "-".join(str(getattr(stage, name)) for stage in stages)
        for name in ("depth", "growth", "groups", "se")
    }
    frame = pd.DataFrame([columns, dict.fromkeys(columns)]).astype(TEXT)
    traits = network_traits(frame)
    assert traits.iloc[0].to_dict() == {
        "groups": round(np.mean([module.groups for module in modules]), 3),
        "depth": len(modules),
        "growth": round(np.mean([module.growth for module in modules]), 3),
        "SE": round(np.mean([module.se_channels > 0 for module in modules]), 3),
    }
    assert traits.iloc[1].isna().all()


def test_the_front_has_panels_of_as_many_stages_as_one_of_its_networks_has(frame):
    deeper = frame.copy()
    row = deeper.index[deeper["on_front"]][0]
    for name in ("depth", "growth", "groups"):
        deeper.loc[row, name] += "-2"
    deeper.loc[row, "se"] += "-none"
    figure = front_traits(deeper)
    assert len(figure.data) == 4 * 3
    third = figure.data[2]
    assert np.isnan(third.y).sum() == len(third.y) - 1
    assert "NaN" not in figure.to_json()
    assert np.isfinite(network_traits(deeper)["depth"].dropna()).all()


def test_the_front_has_a_panel_for_every_trait_and_stage(frame):
    figure = front_traits(frame)
    assert len(figure.data) == 4 * 2
    groups_of_first, groups_of_second = figure.data[:2]
    assert list(groups_of_first.x) == [1e6, 3e6, 5e6]
    assert list(groups_of_first.y) == [2, 2, 2]
    assert list(groups_of_second.y) == [4, 4, 4]
    depth_of_first = figure.data[4]
    assert list(depth_of_first.y) == [1, 3, 5]
    # The mean of what was trained, the stopped one too.
    assert figure.layout.shapes[4].y0 == round(np.mean([1, 5, 6, 3, 4]), 3)


def test_without_a_front_the_figure_says_so(empty):
    figure = front_traits(empty)
    assert not figure.data
    assert len(figure.layout.annotations) == 1
