"""Which form of the hierarchical group convolution is the faster one?

On a CPU the composed one, in channels_last, in nearly all layers of the paper's networks; the reference in
wide layers of many groups, where the dense matrix has over twice the multiply-adds, and where a large
matrix is composed for few pixels. `hgcnet.layers.prefers_composed` draws the border from these rows.

Forward and backward of one layer, channels_last; times the speed of the reference in NCHW, fp32; "border" is
the number that prefers_composed compares with 75 (further multiply-adds for each element not moved):

       I    O  G    N side  border  reference fp32  composed fp32  reference bf16  composed bf16
      60   48  4  128   32      11            1.02           4.02            2.01           8.86
     132   96  4  128   16      24            1.08           2.22            1.83           4.07
     240  192  4  128    8      45            0.85           1.20            1.79           2.22
     240  192  4   64    4      47            1.11           1.11            1.42           1.57
      40   32  4   64    2       8            1.11           2.55            0.93           2.47
     360  192  2   64    4      38            0.95           1.03            1.52           1.52
     240  384  4   64    8      43            0.90           1.13            1.61           1.98
     240  384  8   64    8      65            0.93           1.08            1.72           1.88
     512  512  4   64    8     100            0.98           0.83            1.64           1.49
     512  512  8   64    8     133            0.96           0.80            1.59           1.47
    1024  576  8   64    8     225            0.79           0.60            1.43           1.11
     512 1024  8    8    4     314            1.03           0.37            0.91           0.46

Median of 5 interleaved rounds, one thread of a 2-core AMD EPYC with avx512_bf16, torch 2.15.0, CPU time: the
machine was busy (load 4 to 8), so differences below a tenth say nothing.

The border holds in fp32 on a second machine, an idle 2-core Intel Xeon with avx512f and no bfloat16, wall time,
median of 7: composed over reference, both channels_last, is 5.6, 2.9, 1.7 in the three layers of 32x32; 1.2 to 2.3
below the border of 75; 1.01 at 100, 0.96 at 133, 0.84 at 225, 0.48 at 314. A training step of hgcnet_42_g4 at 16x16,
batch 64: reference NCHW 96, reference channels_last 130, composed 179, auto 176 images/s.

Tried in one noisy screen and left out, as none was consistently faster: one grouped convolution and a recurrence on
its outputs, the loop without concatenations, composing by one triangular solve.

On a GPU composed, everywhere that was tried: NVIDIA H100 80GB, torch 2.11.0, each step as one CUDA graph, median of 5 (the
last four rows: 3) rounds, `--devices cuda --only layers`; rows that are missing were not reached, nor was the network:

       I    O  G    N side  reference fp32  composed fp32  reference bf16  composed bf16  us, reference NCHW fp32
      60   48  4  128   32            0.74           3.68            0.96           3.03                      605
     132   96  4  128   16            0.82           2.49            0.61           2.62                      339
     240  192  4  128    8            0.96           1.94            0.99           2.29                      223
      60   48  4   64   16            0.92           2.69            0.91           1.99                      172
     132   96  4   64    8            0.94           1.72            0.81           1.20                      140
     240  192  4   64    4            1.01           1.59            0.90           1.66                      135
     240  192  8   64    4            0.87           1.70            0.78           1.70                      265
     240  384  8   64    8            0.97           1.88            1.04           2.13                      361
     512  512  8   64    8            0.93           1.72            0.94           2.19                      382
    1024  576  8   64    8            0.92           1.99            1.07           2.47                      529
     512 1024  8    8    4            1.00           1.46            0.97           1.46                      260
"""

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from interleaved import CPU_TIME, Clock, choose_clock, describe_machine, measure
from torch import Tensor
from torch.nn import functional

from hgcnet.layers import Form, HierarchicalGroupConv2d, prefers_composed
from hgcnet.model import create_model
from search.training.cuda_graph import CudaGraph

# I, O, G, images, side: layers of hgcnet_42_g4 in training, and then ever wider ones.
LAYERS = [
    (60, 48, 4, 128, 32),
    (132, 96, 4, 128, 16),
    (240, 192, 4, 128, 8),
    (60, 48, 4, 64, 16),
    (132, 96, 4, 64, 8),
    (240, 192, 4, 64, 4),
    (240, 192, 8, 64, 4),
    (40, 32, 4, 64, 2),
    (360, 192, 2, 64, 4),
    (240, 384, 4, 64, 8),
    (240, 384, 8, 64, 8),
    (512, 512, 4, 64, 8),
    (512, 512, 8, 64, 8),
    (1024, 576, 8, 64, 8),
    (512, 1024, 8, 8, 4),
]
NETWORK: list[tuple[Form, torch.memory_format, torch.dtype]] = [
    (form, layout, dtype)
    for dtype in (torch.float32, torch.bfloat16)
    for form in ("reference", "composed", "auto")
    for layout in (torch.contiguous_format, torch.channels_last)
]
LAYOUTS = {torch.contiguous_format: "NCHW", torch.channels_last: "channels_last"}
TYPES = {torch.float32: "fp32", torch.bfloat16: "bf16"}


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Nothing for float32."""
    return nullcontext() if dtype is torch.float32 else torch.autocast(device.type, dtype)


def recorded(step: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
    """On a GPU the step as a CUDA graph, as trainings launch it: else the launches are what is timed."""
    if device.type != "cuda":
        return step
    graph = CudaGraph()
    for _ in range(4):  # the fourth records it
        graph.run(step)
    return lambda: graph.run(step)


def layer_step(
    shape: tuple[int, int, int, int, int],
    form: Form,
    layout: torch.memory_format,
    dtype: torch.dtype,
    device: torch.device,
) -> Callable[[], Tensor]:
    """Forward and backward of one layer, repeated until it takes some milliseconds."""
    inputs, outputs, groups, images, side = shape
    layer = HierarchicalGroupConv2d(inputs, outputs, groups, form=form).to(device)
    x, gradient = (
        torch.randn(images, channels, side, side, device=device, dtype=dtype).to(
            memory_format=layout
        )
        for channels in (inputs, outputs)
    )
    x.requires_grad_()
    repeats = max(1, round(3e8 / (images * side**2 * inputs * outputs)))

    def step() -> Tensor:
        for _ in range(repeats):
            with autocast(device, dtype):
                y = layer(x)
            y.backward(gradient)
            x.grad = None
            layer.zero_grad()
        return y.detach()

    return recorded(step, device)


def network_step(
    form: Form,
    layout: torch.memory_format,
    dtype: torch.dtype,
    device: torch.device,
    images: Tensor,
    labels: Tensor,
) -> Callable[[], Tensor]:
    """One training step of hgcnet_42_g4, without its data."""
    model = create_model("hgcnet_42_g4", form=form).to(device).to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    images = images.to(memory_format=layout)

    def step() -> Tensor:
        with autocast(device, dtype):
            logits = model(images)
        optimizer.zero_grad()
        functional.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return logits.detach()

    return recorded(step, device)


def print_layers(device: torch.device, rounds: int, clock: Clock) -> None:
    """Each layer, in both forms and types, against the reference form in NCHW and fp32."""
    print("One layer, forward and backward; times the speed of the reference form in NCHW, fp32.")
    print("* is what auto takes.\n")
    kinds: list[tuple[Form, torch.dtype]] = [
        (form, dtype) for dtype in TYPES for form in ("reference", "composed")
    ]
    heads = "".join(f"{f'{form} {TYPES[dtype]}':>17}" for form, dtype in kinds)
    print(f"{'I':>5}{'O':>5}{'G':>3}{'N':>5}{'side':>5}{heads}{'us, NCHW':>12}")
    for shape in LAYERS:
        base = layer_step(shape, "reference", torch.contiguous_format, torch.float32, device)
        cases = {"base": base} | {
            f"{form} {TYPES[dtype]}": layer_step(shape, form, torch.channels_last, dtype, device)
            for form, dtype in kinds
        }
        results = measure(cases, rounds, clock)
        inputs, outputs, groups, images, side = shape
        layer = HierarchicalGroupConv2d(inputs, outputs, groups)
        row = "".join(
            f"{value:{width}}" for value, width in zip(shape, (5, 5, 3, 5, 5), strict=True)
        )
        for form, dtype in kinds:
            chosen = prefers_composed(layer, images * side**2, device.type)
            mark = "*" if chosen is (form == "composed") else " "
            speed = results["base"].median / results[f"{form} {TYPES[dtype]}"].median
            row += f"{speed:15.2f}x{mark}"
        repeats = max(1, round(3e8 / (images * side**2 * inputs * outputs)))
        print(f"{row}{results['base'].median / repeats * 1e6:12,.0f}")
    print()


def print_network(device: torch.device, rounds: int, clock: Clock, batch: int, side: int) -> None:
    """The whole network, in every form, layout and type."""
    images = torch.randn(batch, 3, side, side, device=device)
    labels = torch.randint(10, (batch,), device=device)
    cases = {
        f"{form:10} {LAYOUTS[layout]:14} {TYPES[dtype]}": network_step(
            form, layout, dtype, device, images, labels
        )
        for form, layout, dtype in NETWORK
    }
    results = measure(cases, rounds, clock)
    base = next(iter(results.values()))
    print(f"hgcnet_42_g4, a training step, {side}x{side}, batch {batch}\n")
    print(f"{'':32}{'images/s':>9}{'speed':>8}")
    for name, timing in results.items():
        print(f"{name:32}{batch / timing.median:9.0f}{base.median / timing.median:7.2f}x")
    print()


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cpu-time", action="store_true", help=CPU_TIME)
    parser.add_argument("--quick", action="store_true", help="2 rounds")
    parser.add_argument("--only", choices=["layers", "networks"])
    parser.add_argument("--devices", nargs="+", choices=["cpu", "cuda"], default=["cpu"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    rounds = 2 if options.quick else options.rounds
    print(f"{describe_machine()}, {options.threads} thread, median of {rounds}\n")
    for device in map(torch.device, options.devices):
        clock = choose_clock(options.cpu_time and device.type == "cpu", device)
        if device.type == "cuda":
            print(torch.cuda.get_device_name(device))
        print(f"{clock.name}\n")
        if options.only != "networks":
            print_layers(device, rounds, clock)
        if options.only != "layers":
            print_network(device, rounds, clock, 64, 16)
            print_network(device, rounds, clock, 128, 32)


if __name__ == "__main__":
    main()
