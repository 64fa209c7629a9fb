"""The bars of a network's layers against the counts of the whole network."""

import pytest

from hgcnet.architecture import Task
from hgcnet.complexity import count
from hgcnet.presets import PRESETS
from search.report.layers import layer_figure


@pytest.mark.parametrize("name", PRESETS)
def test_the_bars_add_up_to_the_networks_counts(name):
    figure = layer_figure(PRESETS[name], Task())
    bars = {"y": 0, "y2": 0}
    for trace in figure.data:
        bars[trace.yaxis] += sum(trace.y)
    counts = count(PRESETS[name], Task())
    assert bars == {"y": counts.flops, "y2": counts.num_params}


def test_every_module_has_its_bar_in_the_order_of_the_network():
    figure = layer_figure(PRESETS["se_hgcnet_42_g4"], Task())
    blocks = list(figure.layout.xaxis.categoryarray)
    assert blocks[:3] == ["stem", "1.1", "1.2"]
    assert blocks[7:10] == ["1.7", "T1", "2.1"]
    assert blocks[-2:] == ["3.6", "classifier"]
    assert figure.layout.xaxis.type == "category"  # 1.1 and 1.10 are not one number
    grouped = figure.data[0]
    assert grouped.name == "grouped 1x1"
    assert grouped.customdata[0] == "hgc1x1 G=4 24 to 48 at 32 px"
