"""How much memory does a training on a CPU take, compared with the forecast of `hgcnas run --dry-run`?

    python benchmarks/memory.py

Two thirds of the feature maps, except for the smallest networks:

    depth x growth, G   px  batch   process  training     maps   kept
    2 x 8, G=1          16     64    692 MB     53 MB    32 MB   1.65
    4 x 16, G=4         32    128    692       619      985      0.63
    6 x 16, G=4         32    128    692       978     1542      0.63
    6 x 24, G=2         32     64    692       729     1140      0.64
    4 x 16, G=4         64     64    693      1214     1969      0.62
    3 x 8, G=4          32    250    693       486      756      0.64
    2 x 8, G=2         128     32    693       673     1022      0.66

One thread of an AMD EPYC (bf16), Python 3.11.7, torch 2.14.1.

Each network is trained for one epoch in a process of its own, whose peak is read from the kernel. "process" is its
memory before the training, which includes libraries that all processes share; "training" is the rest, "maps" the maps of all
layers for one batch, and "kept" training / maps. `search/forecast.py` assumes 650 MB per process, with Ray's part, and 0.75.
"""

import subprocess
import sys
from pathlib import Path

NETWORKS = [  # depth, growth, groups, side of the images, batch
    (2, 8, 1, 16, 64),
    (4, 16, 4, 32, 128),
    (6, 16, 4, 32, 128),
    (6, 24, 2, 32, 64),
    (4, 16, 4, 64, 64),
    (3, 8, 4, 32, 250),
    (2, 8, 2, 128, 32),
]


def measure(depth: int, growth: int, groups: int, side: int, batch: int) -> None:
    """Prints one row; in a process that does nothing else."""
    import numpy as np
    import torch

    from hgcnet.architecture import Architecture, Stage, Task
    from hgcnet.complexity import layer_table
    from search.data.splits import ImageSet, Splits
    from search.training.proxy_config import ProxyConfig
    from search.training.proxy_training import ProxyTraining

    torch.set_num_threads(1)
    stages = tuple(Stage(depth=depth, growth=growth, groups=groups) for _ in range(3))
    network, task = Architecture(stem_channels=16, stages=stages), Task(resolution=side)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (batch, 3, side, side), dtype=np.uint8)
    images = ImageSet(images=pixels, labels=np.arange(batch) % 10)
    splits = Splits(
        train=images,
        validation=images,
        num_classes=10,
        class_names=tuple("abcdefghij"),
        mirror=True,
        mean=(0.5,) * 3,
        std=(0.2,) * 3,
    )
    torch.optim.SGD([torch.zeros(1, requires_grad=True)])  # loads torch._dynamo
    process = read_peak("VmRSS")
    config, cpu = ProxyConfig(epochs=1, batch_size=batch), torch.device("cpu")
    ProxyTraining(network, splits, config, seed=0, device=cpu).run_epoch()
    maps = 4 * batch * sum(a.out_channels * a.resolution**2 for a in layer_table(network, task))
    more = read_peak("VmHWM") - process
    print(
        f"{depth} x {growth}, G={groups}, {side:>3} px, batch {batch:>3}: process {process / 1e6:4.0f} MB, "
        f"training {more / 1e6:5.0f} MB of {maps / 1e6:5.0f} MB of maps: kept {more / maps:.2f}",
        flush=True,
    )


def read_peak(key: str) -> int:
    """Bytes of this process, as /proc has them."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def main() -> None:
    if len(sys.argv) > 1:
        measure(*map(int, sys.argv[1:]))
        return
    for network in NETWORKS:
        subprocess.run([sys.executable, __file__, *map(str, network)], check=True)


if __name__ == "__main__":
    main()
