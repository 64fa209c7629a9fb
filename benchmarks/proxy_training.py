"""How much faster is a proxy training than a plain implementation, and what limits it?

With one thread, in bf16, two and a half times as fast; in fp32 1.75 times. The data pipeline no longer
matters. hgcnet_42_g4, CIFAR-10, wall time on an idle machine: 2-core Intel Xeon (Sapphire Rapids, avx512_bf16 and
amx_bf16), torch 2.14.1, 7 interleaved rounds (workers: 3):

                                        naive        ours   ratio (least - most)
    training 32x32, batch 128, fp32        38          67    1.75x (1.61 - 1.81)   images/s
    training 32x32, batch 128, bf16        38          99    2.57x (2.50 - 3.43)
    training 16x16, batch 64, bf16        152         353    2.32x (2.29 - 2.35)
    evaluation 32x32, fused, bf16         126         502    3.96x (3.75 - 4.23)   (not fused: 3.37x)
    evaluation 32x32, fused, fp32         126         312    2.46x (2.39 - 2.51)   (not fused: 1.98x)
    two 1-thread workers over one 2-thread worker, bf16, 32x32: 180 over 149 images/s, 1.21x (1.16 - 1.22)

Other processors, torch 2.15: 2-core AMD EPYC (avx512_bf16; other work ran beside it, CPU time): bf16 training 2.92x at
32x32 and 2.52x at 16x16, the data alone 29.8x and 85.3x. Convolutions took 42 % of a bf16 step, BN 23 %, adds 9 %.

2-core Intel Xeon without bfloat16 (avx512f; bf16 is emulated there, so "auto" computes in fp32), wall time, idle:

    training 32x32, batch 128, fp32        27          45    1.75x (1.23 - 1.86)   images/s
    evaluation 32x32, fused, fp32          98         246    2.53x (2.26 - 2.88)   (not fused: 1.98x)
    data alone, 32x32, batch 128          145         6.8   21.3x (19.8 - 24.5)    us / image
    data alone, 16x16, batch 64           192         3.4   56.3x (46.2 - 76.8)
    two 1-thread workers over one 2-thread worker, fp32: 32x32 96 over 74 images/s, 1.15x (1.08 - 1.56);
    16x16 359 over 253 images/s, 1.45x (1.23 - 1.58)
    1x1 convolution, 1024 channels: fp32 145 GFLOP/s; copy 12 GB/s. A step reaches 10 (naive) and 18 (fp32)
    GFLOP/s of the structure: 7 and 12 percent.

    profile 32x32, batch 128, ms of a step     naive           fp32
    convolutions, backward               1449 ( 32%)     658 ( 21%)
    convolutions, forward                 768 ( 17%)     459 ( 14%)
    BN, backward                          452 ( 10%)     493 ( 15%)
    BN, forward                           734 ( 16%)     792 ( 25%)
    ReLU                                  276 (  6%)     192 (  6%)
    concatenations, copies, casts         574 ( 13%)     400 ( 13%)
    adds                                  141 (  3%)     106 (  3%)
    weights: composing, optimizer           8 (  0%)      11 (  0%)
    data and the rest                     172 (  4%)      75 (  2%)

NVIDIA H100 80GB (16 cores of an Intel Xeon beside it), torch 2.11.0, wall time, 5 rounds (evaluation 8, data 16), `--device
cuda`, digits at 32x32. Naive is torchvision's pipeline in one process, without workers for the data:

    training 32x32, batch 128, naive                      2057    images/s
    training 32x32, batch 128, fp32, step by step         3337    1.73x (1.54 - 1.93)
    training 32x32, batch 128, fp32, as a CUDA graph     10417    5.03x (3.99 - 5.76)   3.1 times step by step
    training 32x32, batch 128, bf16, step by step         3746    1.76x (1.43 - 2.23)
    training 32x32, batch 128, bf16, as a CUDA graph     11971    5.94x (4.53 - 6.57)   3.2 times
    evaluation 32x32, naive                              25190
    evaluation 32x32, fused, bf16                        55762    2.23x (1.78 - 2.32)   (not fused: 1.19x)
    evaluation 32x32, fused, fp32                        43720    1.73x (1.70 - 1.81)   (not fused: 1.45x)
    data alone, 32x32, batch 128                           1.5    81.9x (60.8 - 111.7)  us / image

34 epochs of CIFAR-10 by `hgcnas train` took 132 s, 12,900 images/s. A bf16 step of batch 128 is 9.7 ms of some 1,400 kernels, 7 us
each: convolutions backward 25 %, BN forward 18 and backward 16, convolutions forward 7, concatenations 5. cudnn.benchmark
changes nothing (11,665 over 11,649 images/s). Batch 512 and several workers on one GPU were not measured.

The limit on a CPU is memory traffic: BN, ReLU, copies and adds are 62 % of a step and do almost no arithmetic.

Tried and left out (bf16, the EPYC, 40 steps at 16x16 and 8 at 32x32, speed of the whole step):
- mean and variance of each feature once for all its readers: 0.99 at 16x16.
- norm3 merged into project in training, by an autograd function with closed-form sums: 0.89 at 16x16;
  with the row above and the one below 1.04 at 32x32.
- the gradient of the dense connection copied by rows: 1.01 at 16x16.
- the fused SGD: 1.01 to 1.03 for networks of 1 to 44M FLOPs at 16x16 (Sapphire Rapids, CPU time).
- mallopt (no mmap, no trimming): 58,444 page faults in 12 epochs of 4 networks become 940, but they cost 0.1 s of 32 s.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from interleaved import CPU_TIME, Clock, choose_clock, describe_machine, measure, ratio, ratio_of
from naive_training import NaiveTraining, build_naive_network, naive_loader
from torch import nn
from torch.autograd import DeviceType
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from hgcnet.architecture import Task
from hgcnet.complexity import count
from hgcnet.fusion import fused
from hgcnet.presets import preset
from search.data.data_config import DataConfig
from search.data.splits import Splits, load_splits
from search.training.augment import crop_batch, crop_padding, draw_crops
from search.training.precision import autocast
from search.training.proxy_config import Precision, ProxyConfig
from search.training.proxy_training import ProxyTraining, to_device

ARCHITECTURE = preset("hgcnet_42_g4")
BF16, FP32 = "bf16", "fp32"

# Where the time of a step goes: the first of these whose word is in an operator's name has it.
KINDS: Mapping[str, tuple[str, ...]] = {
    "convolutions, backward": ("convolution_backward",),
    "convolutions, forward": ("convolution", "conv_depthwise"),
    "BN, backward": ("batch_norm_backward",),
    "BN, forward": ("batch_norm",),
    "ReLU": ("relu", "threshold", "clamp_min"),
    "concatenations, copies, casts": ("cat", "copy", "clone", "contiguous", "fill", "zero"),
    "adds": ("aten::add", "aten::sum"),
    "weights: composing, optimizer": ("mm", "mul", "SGD", "foreach"),
}


class Bench:
    """The options of one call, and what the sections share."""

    def __init__(self, data: str | None, rounds: int, clock: Clock, device: torch.device) -> None:
        self.rounds, self.clock, self.device = rounds, clock, device
        self._config = (
            DataConfig(dataset="cifar10", root=data, resolution=32)
            if data
            else DataConfig(dataset="digits", resolution=32)
        )

    def splits(self, side: int, images: int) -> Splits:
        """A few images, all of which one epoch takes; almost none to validate on."""
        splits = load_splits(
            self._config, resolution=side, train_images=min(images, 1000), val_images=10
        )
        times = -(-images // len(splits.train.labels))
        train = replace(
            splits.train,
            images=splits.train.images.repeat(times, 0)[:images],
            labels=splits.train.labels.repeat(times)[:images],
        )
        return replace(splits, train=train)

    def ours(self, splits: Splits, batch: int, precision: Precision) -> ProxyTraining:
        """The training of a study's worker."""
        config = ProxyConfig(epochs=10_000, batch_size=batch, precision=precision)
        return ProxyTraining(ARCHITECTURE, splits, config, seed=0, device=self.device)

    def naive(self, splits: Splits, batch: int, workers: int = 0) -> NaiveTraining:
        """The plain one."""
        return NaiveTraining(splits, batch, device=self.device, workers=workers)

    @cached_property
    def flops(self) -> int:
        """Multiply-adds of one image at 32x32."""
        flops: int = count(ARCHITECTURE, Task()).flops
        return flops


def training(bench: Bench) -> None:
    """Training, data included, over naive; on a GPU also without recording the steps as a graph."""
    cases: list[tuple[int, int, list[Precision]]] = [(32, 128, ["fp32", "bf16"])]
    cases += [(16, 64, ["bf16"])]
    if bench.device.type == "cuda":
        cases = [(32, 128, ["fp32", "bf16"]), (32, 512, ["fp32", "bf16"])]
    for side, batch, precisions in cases:
        steps = 20 if bench.device.type == "cuda" else 1 if side == 32 else 8
        splits = bench.splits(side, steps * batch)
        trainings = {str(p): bench.ours(splits, batch, p) for p in precisions}
        if bench.device.type == "cuda":
            for precision in precisions:
                trainings[f"{precision}, step by step"] = bench.ours(splits, batch, precision)
                trainings[f"{precision}, step by step"]._graph = None
        calls: dict[str, Callable[[], object]] = {"naive": bench.naive(splits, batch).run_epoch}
        calls |= {name: training.run_epoch for name, training in trainings.items()}
        results = measure(calls, bench.rounds, bench.clock)
        for name, timing in results.items():
            speed = steps * batch / timing.median
            compared = "" if name == "naive" else ratio(results["naive"], timing)
            print(
                f"training {side}x{side}, batch {batch}, {name:18}{speed:9.0f} images/s  {compared}"
            )


def evaluation(bench: Bench) -> None:
    """Evaluation over naive, batch 250, images in memory."""
    images = torch.randn(250, 3, 32, 32, device=bench.device)
    naive: nn.Module = build_naive_network(10, 3).to(bench.device).eval()
    plain = bench.ours(bench.splits(32, 128), 128, "fp32").model.eval()
    if plain.task.in_channels != 3:
        images = images[:, : plain.task.in_channels]
        naive = build_naive_network(10, plain.task.in_channels).to(bench.device).eval()
    merged = fused(plain)
    channels_last = images.contiguous(memory_format=torch.channels_last)

    def call(model: nn.Module, x: torch.Tensor, precision: Precision) -> Callable[[], object]:
        @torch.inference_mode()
        def evaluate() -> object:
            with autocast(precision, bench.device):
                return model(x)

        return evaluate

    calls = {
        "naive": call(naive, images, "fp32"),
        "ours fp32": call(plain, channels_last, "fp32"),
        "ours bf16": call(plain, channels_last, "bf16"),
        "fused fp32": call(merged, channels_last, "fp32"),
        "fused bf16": call(merged, channels_last, "bf16"),
    }
    results = measure(calls, 2 * bench.rounds, bench.clock)
    for name, timing in results.items():
        compared = "" if name == "naive" else ratio(results["naive"], timing)
        print(f"evaluation 32x32, {name:18}{250 / timing.median:12.0f} images/s  {compared}")


def data(bench: Bench) -> None:
    """The data pipeline alone: order, crops, mirroring, normalisation, in batches on the device."""
    for side, batch in ((32, 128), (16, 64)):
        splits = bench.splits(side, 8 * batch)
        calls = {
            "torchvision": torchvision_epoch(splits, batch, bench.device),
            "ours": our_epoch(splits, batch, bench.device),
        }
        results = measure(calls, 4 * bench.rounds, bench.clock)
        for name, timing in results.items():
            compared = "" if name == "torchvision" else ratio(results["torchvision"], timing)
            us = 1e6 * timing.median / (8 * batch)
            print(f"data {side}x{side}, batch {batch}, {name:12}{us:9.1f} us / image  {compared}")


def torchvision_epoch(splits: Splits, batch: int, device: torch.device) -> Callable[[], object]:
    """All batches of one epoch, from a DataLoader."""
    loader = naive_loader(splits, batch)

    def epoch() -> None:
        for images, labels in loader:
            images.to(device), labels.to(device)

    return epoch


def our_epoch(splits: Splits, batch: int, device: torch.device) -> Callable[[], object]:
    """All batches of one epoch, as ProxyTraining makes them."""
    total, side = len(splits.train.labels), splits.train.images.shape[2]
    padding = crop_padding(side)
    images = to_device(splits.train, splits, device, padding=padding)
    generator = torch.Generator().manual_seed(0)

    def epoch() -> None:
        order = torch.randperm(total, generator=generator).to(device)
        crops = draw_crops(total, padding, splits.mirror, generator, device)
        for start in range(0, total, batch):
            part = slice(start, start + batch)
            images.normalise(crop_batch(images.pixels, order[part], crops[part], side, padding))

    return epoch


def workers(bench: Bench) -> None:
    """Processes of one thread over one of two threads, 32x32 and 16x16; on a GPU several over one."""
    cases = [(32, 128), (16, 64)]
    if bench.device.type == "cuda":
        one = 0.0
        for processes in (1, 2, 4):
            total = sum(run_workers(bench, *cases[0], processes=processes, threads=1))
            one = one or total
            print(
                f"workers 32x32, batch 128, {processes} on one GPU {total:9.0f} images/s  "
                f"{total / one:.2f}x",
                flush=True,
            )
        return
    for side, batch in cases:
        pairs = []
        for _ in range(bench.rounds):
            one = sum(run_workers(bench, side, batch, processes=1, threads=2))
            two = sum(run_workers(bench, side, batch, processes=2, threads=1))
            pairs.append((two, one))
        ones, twos = sorted(p[1] for p in pairs), sorted(p[0] for p in pairs)
        middle = len(pairs) // 2
        print(f"workers {side}x{side}, 1 x 2 threads      {ones[middle]:9.0f} images/s")
        print(
            f"workers {side}x{side}, 2 x 1 thread       {twos[middle]:9.0f} images/s  "
            f"{ratio_of(pairs)}"
        )


def run_workers(
    bench: Bench, side: int, batch: int, *, processes: int, threads: int
) -> list[float]:
    """Images a second of each, all started on one signal after their warm-up."""
    command = [
        sys.executable,
        __file__,
        "--worker",
        str(side),
        str(batch),
        "--threads",
        str(threads),
        "--device",
        bench.device.type,
    ]
    if bench._config.dataset == "cifar10":
        command += ["--data", bench._config.root]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()  # it is warm
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [float(process.communicate()[0]) for process in started]


def work(bench: Bench, side: int, batch: int) -> None:
    """One of these processes."""
    steps = 20 if bench.device.type == "cuda" else 2 if side == 32 else 8
    seconds = 4 if bench.device.type == "cuda" else 10
    training = bench.ours(bench.splits(side, steps * batch), batch, "auto")
    for _ in range(5):
        training.run_epoch()
    print("warm", flush=True)
    sys.stdin.readline()
    start, epochs = time.perf_counter(), 0
    while (now := time.perf_counter() - start) < seconds:
        training.run_epoch()
        epochs += 1
    print(epochs * steps * batch / now, flush=True)


def profiles(bench: Bench) -> None:
    """Where the time of a training step goes, in the naive and in our trainings."""
    on_gpu = bench.device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu
    for side, batch in ((32, 128), (16, 64)):
        splits = bench.splits(side, 3 * batch)
        ours = {p: bench.ours(splits, batch, p) for p in (FP32, BF16)}
        for training in ours.values():
            training._graph = None  # the operators of a graph have no names
        calls: dict[str, Callable[[], object]] = {
            "naive": bench.naive(splits, batch).run_epoch,
        }
        calls |= {name: training.run_epoch for name, training in ours.items()}
        columns = {}
        for name, call in calls.items():
            for _ in range(3):
                call()
            with profile(activities=activities) as measured:
                call()
            times = dict.fromkeys([*KINDS, "data and the rest"], 0.0)
            for event in measured.key_averages():
                kind = next((k for k, words in KINDS.items() if has(event.key, words)), None)
                time_us = event.self_device_time_total if on_gpu else event.self_cpu_time_total
                if not on_gpu or event.device_type == DeviceType.CPU:  # not each kernel once more
                    times[kind or "data and the rest"] += time_us / 3000
            columns[name] = times
        print(f"\nprofile {side}x{side}, batch {batch}: ms of a step (share)")
        print(f"{'':32}" + "".join(f"{name:>16}" for name in columns))
        for kind in next(iter(columns.values())):
            cells = (f"{t[kind]:8.2f} ({t[kind] / sum(t.values()):4.0%})" for t in columns.values())
            print(f"{kind:32}" + "".join(f"{cell:>16}" for cell in cells))
        print(f"{'sum':32}" + "".join(f"{sum(t.values()):8.2f}        " for t in columns.values()))


def has(name: str, words: tuple[str, ...]) -> bool:
    """Whether an operator's name holds one of the words."""
    return any(word in name for word in words)


def limits(bench: Bench) -> None:
    """The machine's own: convolution and copy; and what a training step reaches of the first."""
    print()
    weight = torch.randn(1024, 1024, 1, 1, device=bench.device)
    x = torch.randn(16, 1024, 16, 16, device=bench.device)
    x = x.contiguous(memory_format=torch.channels_last)
    source, target = torch.randn(2, 2**26, device=bench.device)
    x16, weight16 = x.bfloat16(), weight.bfloat16()
    calls: dict[str, Callable[[], object]] = {
        FP32: lambda: functional.conv2d(x, weight),
        BF16: lambda: functional.conv2d(x16, weight16),
        "copy": lambda: target.copy_(source),
    }
    splits = bench.splits(32, 128)
    calls |= {
        "naive": bench.naive(splits, 128).run_epoch,
        "ours fp32": bench.ours(splits, 128, "fp32").run_epoch,
        "ours bf16": bench.ours(splits, 128, "bf16").run_epoch,
    }
    results = measure(calls, bench.rounds, bench.clock)
    flops = 2 * 16 * 256 * 1024**2
    peaks = {name: flops / results[name].median / 1e9 for name in (FP32, BF16)}
    for name, peak in peaks.items():
        print(f"limit: 1x1 convolution, 1024 channels, {name}: {peak:.0f} GFLOP/s")
    print(
        f"limit: copy, read and write: {2 * source.nbytes / results['copy'].median / 1e9:.1f} GB/s"
    )
    for name in ("naive", "ours fp32", "ours bf16"):
        reached = 6 * bench.flops * 128 / results[name].median / 1e9
        peak = peaks[BF16 if "bf16" in name else FP32]
        print(
            f"a step, {name}: {reached:.0f} GFLOP/s of the structure, forward and backward = "
            f"{reached / peak:.0%} of the limit"
        )


SECTIONS: Mapping[str, Callable[[Bench], None]] = {
    "training": training,
    "evaluation": evaluation,
    "data": data,
    "workers": workers,
    "profile": profiles,
    "limits": limits,
}


def main() -> None:
    """Prints the sections."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", help="a folder with cifar-10-batches-py; without it the digits")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cpu-time", action="store_true", help=CPU_TIME)
    parser.add_argument("--quick", action="store_true", help="2 rounds")
    parser.add_argument("--worker", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.data is not None and not (Path(options.data) / "cifar-10-batches-py").is_dir():
        parser.error(f"--data: {options.data} does not hold cifar-10-batches-py")
    rounds = 2 if options.quick else options.rounds
    device = torch.device(options.device)
    bench = Bench(options.data, rounds, choose_clock(options.cpu_time, device), device)
    if options.worker:
        work(bench, *options.worker)
        return
    print(f"{describe_machine()}, {options.threads} thread, {bench.clock.name}")
    print(f"hgcnet_42_g4, {bench.flops / 1e6:.1f}M multiply-adds at 32x32, median of {rounds}")
    print("ratios: median (least - most) of those within a round\n")
    for name in options.sections:
        SECTIONS[name](bench)


if __name__ == "__main__":
    main()
