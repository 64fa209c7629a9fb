"""A plain training of hgcnet_42_g4, the baseline of benchmarks: what a person would write first.

The groups in a loop with concatenations, an explicit channel shuffle, NCHW, float32, and torchvision's
transforms in a DataLoader.
"""

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from search.data.splits import Splits


class NaiveHGC(nn.Module):
    """Eq. 1 of the paper, group after group."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        own, per_group = inputs // groups, outputs // groups
        self.convs = nn.ModuleList(
            nn.Conv2d(own + (per_group if g else 0), per_group, 1, bias=False)
            for g in range(groups)
        )

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        x = x.view(n, c // self.groups, self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)
        outputs: list[Tensor] = []
        for part, conv in zip(x.chunk(self.groups, 1), self.convs, strict=True):
            outputs.append(conv(torch.cat((part, outputs[-1]), 1) if outputs else part))
        return torch.cat(outputs, 1)


class NaiveModule(nn.Module):
    """Fig. 3b."""

    def __init__(self, inputs: int, growth: int, groups: int, bottleneck: int) -> None:
        super().__init__()
        mid = bottleneck * growth
        self.layers = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            NaiveHGC(inputs, mid, groups),
            nn.BatchNorm2d(mid),
            nn.Conv2d(mid, mid, 3, padding=1, groups=mid, bias=False),
            nn.BatchNorm2d(mid),
            nn.Conv2d(mid, growth, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.layers(x)), 1)


def build_naive_network(num_classes: int, in_channels: int) -> nn.Module:
    """hgcnet_42_g4."""
    channels = 24
    layers: list[nn.Module] = [nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)]
    for depth, growth, width in ((7, 12, 60), (7, 24, 120), (6, 48, None)):
        for _ in range(depth):
            layers.append(NaiveModule(channels, growth, groups=4, bottleneck=4))
            channels += growth
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        if width is not None:
            layers += [nn.Conv2d(channels, width, 1, bias=False), nn.AvgPool2d(2)]
            channels = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes)]
    return nn.Sequential(*layers)


class NaiveImages(Dataset[tuple[Tensor, int]]):
    """As torchvision's CIFAR10: an array, a PIL image of it for each access, then the transforms."""

    def __init__(self, splits: Splits) -> None:
        self.images = np.ascontiguousarray(splits.train.images.transpose(0, 2, 3, 1))
        self.labels = splits.train.labels.tolist()
        side = self.images.shape[1]
        steps: list[object] = [transforms.RandomCrop(side, padding=side // 8)]
        if splits.mirror:
            steps.append(transforms.RandomHorizontalFlip())
        steps += [transforms.ToTensor(), transforms.Normalize(splits.mean, splits.std)]
        self.transform = transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self.images[index].squeeze())
        return self.transform(image), self.labels[index]


def naive_loader(
    splits: Splits, batch_size: int, workers: int = 0
) -> DataLoader[tuple[Tensor, int]]:
    """Shuffled, full batches."""
    return DataLoader(
        NaiveImages(splits), batch_size, shuffle=True, drop_last=True, num_workers=workers
    )


class NaiveTraining:
    """A loop over the loader, with the paper's optimizer."""

    def __init__(
        self, splits: Splits, batch_size: int, *, device: torch.device, workers: int = 0
    ) -> None:
        self.device = device
        self.model = build_naive_network(splits.num_classes, splits.train.images.shape[1])
        self.model.to(device)
        self.loader = naive_loader(splits, batch_size, workers)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4
        )

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Of one epoch, on the device."""
        for images, labels in self.loader:
            yield images.to(self.device), labels.to(self.device)

    def run_epoch(self) -> float:
        """The last loss."""
        self.model.train()
        for images, labels in self.batches():
            loss = functional.cross_entropy(self.model(images), labels)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        return loss.item()
