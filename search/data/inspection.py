"""Inspects a whole data set before anything runs: unreadable files, counts, and what is odd."""

import hashlib
import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hgcnet.errors import one_line, shown
from hgcnet.machine import usable_cpus
from hgcnet.preparation import Preparation
from search.data.data_config import DataConfig
from search.data.data_record import DataRecord, record_parts
from search.data.folder_listing import left_out_text
from search.data.image_folder import look_at_images, raise_unreadable
from search.data.splits import (
    DataParts,
    DataSummary,
    data_name,
    open_parts,
    root_of,
    summarise_parts,
)

MISLEADING = 0.7  # share of one class from which accuracy says little
_NAMED = 5  # in a warning


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFacts:
    """The facts that only an image folder has."""

    files: int
    unreadable: tuple[str, ...]  # a line for each file: which, and why
    left_out: Mapping[str, int]  # what is not an image, by kind
    # (width, height) of the smallest, the median and the largest image, by area.
    sizes: tuple[tuple[int, int], ...]
    modes: Mapping[str, int]  # files by mode, as Pillow calls them
    seconds: float  # to decode all files here


@dataclass(frozen=True, slots=True, kw_only=True)
class DataInspection:
    """The contents of a data set. Counts are those of the parts as trainings use them."""

    data_set: str
    class_names: tuple[str, ...]
    in_channels: int
    counts: Mapping[str, Mapping[str, int]]  # part -> class -> images
    skipped: int  # unreadable files that the config leaves out
    folder: FolderFacts | None
    # Groups of images with the same pixels that are in more than one part, or class; "part class/file".
    duplicates: tuple[tuple[str, ...], ...]
    summary: DataSummary
    record: DataRecord

    @property
    def largest_class(self) -> tuple[str, float]:
        """The class with the most images, and its share: about the accuracy of always predicting it.

        Of training and validation images together, as few images may be of one class by chance.
        """
        train, validation = self.counts["train"], self.counts["validation"]
        counts = {key: train[key] + validation[key] for key in train}
        name = max(counts, key=lambda key: counts[key])
        return name, counts[name] / max(1, sum(counts.values()))

    def warnings(self) -> list[str]:
        """What is odd but no error, a line each."""
        lines = []
        name, share = self.largest_class
        if share >= MISLEADING:
            lines.append(
                f"{share:.1%} of the images are of one class, {shown(name)}: always predicting it gives an "
                f"accuracy of about {share:.4f}; to make all classes count, use the objective "
                'val_balanced_accuracy (or val_macro_f1) and class_weights = "balanced"'
            )
        for part in ("validation", "test"):
            absent = [key for key, count in self.counts[part].items() if count == 0]
            if absent:
                lines.append(f"classes without {part} images: {_some(absent)}")
        if self.duplicates:
            several = sorted(self.duplicates, key=len, reverse=True)
            groups = "; ".join(" = ".join(group[:3]) for group in several[:_NAMED])
            more = "; ..." if len(several) > _NAMED or len(several[0]) > 3 else ""
            lines.append(
                f"{sum(map(len, several)):,} images have the same pixels as one of another part or class, "
                f"so accuracies mislead: {groups}{more}"
            )
        if self.folder is not None and (text := left_out_text(self.folder.left_out)):
            lines.append(f"left out: {text}")
        if self.skipped:
            lines.append(f"unreadable files left out: {self.skipped:,}")
        return lines

    def document(self) -> dict[str, Any]:
        """As JSON can hold it."""
        name, share = self.largest_class
        found: dict[str, Any] = {
            "data_set": self.data_set,
            "classes": list(self.class_names),
            "in_channels": self.in_channels,
            "images": {part: dict(counts) for part, counts in self.counts.items()},
            "largest_class": name,
            "largest_share": round(share, 6),
            "duplicates": [list(group) for group in self.duplicates],
            "warnings": self.warnings(),
        }
        if self.folder is not None:
            sizes = zip(("smallest", "median", "largest"), self.folder.sizes, strict=False)
            found |= {
                "files": self.folder.files,
                "unreadable": list(self.folder.unreadable),
                "skipped": self.skipped,
                "left_out": dict(self.folder.left_out),
                "sizes": {which: list(size) for which, size in sizes},
                "modes": dict(self.folder.modes),
                "seconds_to_decode": round(self.folder.seconds, 2),
            }
        return found


def inspect_data(config: DataConfig) -> DataInspection:
    """Looks at every image of every part; unchanged files are not opened again.

    Raises:
        DataError: the data set is absent, or not laid out as it should be. What cannot be read is in the
            result.
    """
    if config.dataset == "npz" and (archive := root_of(config)).is_file():
        state = archive.stat()
        return _look_at_archive(config, archive.absolute(), state.st_size, state.st_mtime_ns)
    return _look(config)


@lru_cache(maxsize=1)
def _look_at_archive(config: DataConfig, *which: object) -> DataInspection:
    """A command looks before it starts, and before each of its trainings."""
    return _look(config)


def _look(config: DataConfig) -> DataInspection:
    parts = open_parts(config)
    folder, contents = None, dict[Path, str]()
    if config.dataset == "image_folder":
        files = parts.parts["train"][0].all_files  # with those that validate, or are set aside
        facts = look_at_images(root_of(config), files)
        read = {path: fact for path, fact in facts.items() if fact.error is None}
        contents = {path: fact.content for path, fact in read.items()}
        by_area = sorted(((fact.width, fact.height) for fact in read.values()), key=np.prod)
        unreadable = [fact.error for fact in facts.values() if fact.error is not None]
        folder = FolderFacts(
            files=len(facts) + len(parts.unreadable),
            unreadable=tuple(sorted([*unreadable, *parts.unreadable])),
            left_out=parts.left_out,
            sizes=tuple(by_area[row] for row in (0, len(by_area) // 2, -1)) if by_area else (),
            modes=dict(Counter(fact.mode for fact in read.values()).most_common()),
            seconds=sum(fact.seconds for fact in read.values()) / usable_cpus(),
        )
    return DataInspection(
        data_set=config.dataset,
        class_names=parts.class_names,
        in_channels=parts.in_channels,
        counts={part: parts.class_counts(part) for part in parts.parts},
        skipped=len(parts.unreadable),
        folder=folder,
        duplicates=_duplicates(config, parts, contents),
        summary=summarise_parts(parts),
        record=record_parts(config, parts),
    )


class DataWarning(UserWarning):
    """Something odd about images that is no error."""


def check_inspection(config: DataConfig, inspection: DataInspection) -> None:
    """Refuses what cannot be read, unless the config leaves it out; warns of what is odd.

    Raises:
        DataError: one line for all files.
    """
    folder = inspection.folder
    if folder is not None and folder.unreadable and config.unreadable == "refuse":
        raise_unreadable(folder.unreadable)
    for line in inspection.warnings():
        warnings.warn(f"{data_name(config)}: {line}", DataWarning, stacklevel=3)


def _duplicates(
    config: DataConfig, parts: DataParts, contents: Mapping[Path, str]
) -> tuple[tuple[str, ...], ...]:
    """Of files, and of an archive's images; named data sets are not checked."""
    groups: dict[str, list[tuple[str, int, str]]] = defaultdict(list)
    for part, (source, indices) in parts.parts.items():
        if source.files:
            for index in indices:
                file = source.files[index]
                if (content := contents.get(file.path)) is not None:
                    groups[content].append((part, file.label, one_line(file.name)))
        elif config.dataset == "npz":
            preparation = Preparation(
                channels=source.in_channels, resolution=config.resolution, fit=config.fit
            )
            images = source.read(indices, preparation)
            for index, image in zip(indices.tolist(), images, strict=True):
                label = int(source.labels[index])
                content = hashlib.blake2b(image.tobytes(), digest_size=12).hexdigest()
                groups[content].append((part, label, f"image {index}"))
    several = (
        group
        for group in groups.values()
        if len({part for part, _, _ in group}) > 1 or len({label for _, label, _ in group}) > 1
    )
    return tuple(tuple(f"{part} {name}" for part, _, name in group) for group in several)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(shown, names[:_NAMED])) + more
