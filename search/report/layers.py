"""One network's layers: where its FLOPs and its parameters are."""

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from hgcnet.architecture import Architecture, Task
from hgcnet.complexity import Layer, layer_table
from search.report.style import GRID_COLOUR, OTHER_COLOURS, in_style

# What a layer's name ends in -> what the bars tell apart. Batch normalisation counts nothing.
_PARTS = {
    "grouped": "grouped 1x1",
    "depthwise": "depthwise 3x3",
    "project": "1x1 to the growth",
    "reduce": "squeeze-and-excitation",
    "expand": "squeeze-and-excitation",
    "conv": "transition",
    "stem": "stem and classifier",
    "classifier": "stem and classifier",
}


def layer_figure(architecture: Architecture, task: Task) -> go.Figure:
    """FLOPs and params of the stem, every module, the transitions and the classifier, as bars."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    in_style(figure, height=480)
    layers = [layer for layer in layer_table(architecture, task) if layer.num_params]
    blocks = list(dict.fromkeys(map(_block, layers)))  # in the order of the network
    for index, part in enumerate(dict.fromkeys(_PARTS.values())):
        rows = [layer for layer in layers if _part(layer) == part]
        if not rows:
            continue
        for row, metric in enumerate(("flops", "num_params"), start=1):
            sums = dict.fromkeys(map(_block, rows), 0)
            for layer in rows:
                sums[_block(layer)] += getattr(layer, metric)
            figure.add_bar(
                x=list(sums),
                y=list(sums.values()),
                name=part,
                legendgroup=part,
                showlegend=row == 1,
                marker={"color": OTHER_COLOURS[index]},
                customdata=[_hover(rows, block) for block in sums],
                hovertemplate="%{x}: %{y:,} in %{customdata}<extra></extra>",
                row=row,
                col=1,
            )
    # "1.1" and "1.10" are names here, not numbers.
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=blocks)
    figure.update_xaxes(showgrid=False, ticks="")
    figure.update_xaxes(title_text="stage.module (T: transition)", row=2, col=1)
    figure.update_yaxes(tickformat="~s", exponentformat="SI", gridcolor=GRID_COLOUR)
    figure.update_yaxes(title_text="FLOPs", row=1, col=1)
    figure.update_yaxes(title_text="params", row=2, col=1)
    figure.update_layout(barmode="stack", bargap=0.2, legend={"traceorder": "normal"})
    return figure


def _part(layer: Layer) -> str:
    return _PARTS[layer.name.rpartition(".")[2]]


def _block(layer: Layer) -> str:
    """ "stages.0.3.grouped" -> "1.4": the fourth module of the first stage."""
    match layer.name.split("."):
        case ["stages", stage, module, *_]:
            return f"{int(stage) + 1}.{int(module) + 1}"
        case ["transitions", stage, *_]:
            return f"T{int(stage) + 1}"
    return layer.name


def _hover(rows: list[Layer], block: str) -> str:
    parts = (
        f"{layer.kind} {layer.in_channels} to {layer.out_channels} at {layer.resolution} px"
        for layer in rows
        if _block(layer) == block
    )
    return ", ".join(parts)
