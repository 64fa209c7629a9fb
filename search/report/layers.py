"""The layers of a network: where its FLOPs and params are."""

import pandas as pd
import plotly.graph_objects as go

from hgcnet.architecture import Architecture, Task
from hgcnet.complexity import layer_table
from search.report.style import OTHER_COLOURS, empty_panels

# The end of a layer's name -> the part in the legend. Batch normalisation is not counted.
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
    layers = pd.DataFrame(
        {
            "block": _block(layer.name),
            "part": _PARTS[layer.name.rpartition(".")[2]],
            "flops": layer.flops,
            "num_params": layer.num_params,
            "text": f"{layer.kind} {layer.in_channels} to {layer.out_channels} at {layer.resolution} px",
        }
        for layer in layer_table(architecture, task)
        if layer.num_params
    )
    figure = empty_panels(480, rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    for colour, part in zip(OTHER_COLOURS, dict.fromkeys(_PARTS.values()), strict=False):
        bars = layers[layers["part"] == part].groupby("block", sort=False)
        for row, (metric, title) in enumerate((("flops", "FLOPs"), ("num_params", "params")), 1):
            if len(bars) == 0:
                continue
            figure.add_bar(
                x=list(bars.groups),
                y=bars[metric].sum().tolist(),
                name=part,
                legendgroup=part,
                showlegend=row == 1,
                marker={"color": colour},
                customdata=bars["text"].agg(", ".join).tolist(),
                hovertemplate="%{x}: %{y:,} in %{customdata}<extra></extra>",
                row=row,
                col=1,
            )
            figure.update_yaxes(title_text=title, row=row, col=1)
    # "1.1" and "1.10" are names here, not numbers.
    order = layers["block"].unique().tolist()  # of the network
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=order)
    figure.update_xaxes(showgrid=False, ticks="")
    figure.update_xaxes(title_text="stage.module (T: transition)", row=2, col=1)
    figure.update_yaxes(tickformat="~s", exponentformat="SI")
    figure.update_layout(barmode="stack", bargap=0.2, legend={"traceorder": "normal"})
    return figure


def _block(name: str) -> str:
    """ "stages.0.3.grouped" -> "1.4": the fourth module of the first stage."""
    match name.split("."):
        case ["stages", stage, module, *_]:
            return f"{int(stage) + 1}.{int(module) + 1}"
        case ["transitions", stage, *_]:
            return f"T{int(stage) + 1}"
    return name
