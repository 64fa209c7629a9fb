"""Lists an image folder by names alone: its parts, its classes, their files, and what is left out.

The layout is ROOT/train/<class>/..., optionally with ROOT/val and ROOT/test beside it, or
ROOT/<class>/...; `_PART_NAMES` has the other names of parts. Ambiguous folders are refused.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from hgcnet.atomic_write import reading
from hgcnet.errors import DataError, one_line, shown

FolderPart = Literal["train", "validation", "test"]

_PART_NAMES: Mapping[str, FolderPart] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
# A name with one of these words in it (`seg_train`, `test2017`) means a part rather than a class.
_PART_WORDS = {
    *_PART_NAMES,
    "trainset",
    "testset",
    "valset",
    "dev",
    "eval",
    "evaluation",
    "holdout",
}
_SYSTEM_NAMES = {
    *("__macosx", "@eadir", "#recycle", "$recycle.bin", "lost+found"),
    *("system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini"),
}
# Pillow opens these, but reads no pixels of them, or starts another program for them.
_WITHOUT_PIXELS = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}

WANTED = (
    "image_folder is ROOT/train/<class>/*.png and ROOT/test/<class>/*.png, or ROOT/<class>/*.png"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    """An image file; no two of one part have the same class and name."""

    path: Path
    label: int
    name: str  # "class/sub-folders/file", however the system spells it
    size: int  # in bytes; -1 where there is no regular file behind the name
    modified: int  # when, in nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderListing:
    """The files of an image folder, by part; `validation` or `test` is missing if it has no such folder."""

    class_names: tuple[str, ...]  # the folders of the training part, in order of name
    parts: Mapping[FolderPart, tuple[ListedFile, ...]]
    left_out: Mapping[str, int]  # what is not an image, by kind: "hidden", "empty", ".heic" ...


@cache
def image_suffixes() -> frozenset[str]:
    """The suffixes of all formats whose pixels this Pillow reads, in lower case."""
    from PIL import Image

    formats = Image.registered_extensions()  # this loads all of Pillow's plugins
    readable = (Image.OPEN.keys() | {"MPO"}) - _WITHOUT_PIXELS  # an MPO is opened as a JPEG
    return frozenset(suffix.lower() for suffix, kind in formats.items() if kind in readable)


def list_image_folder(root: Path) -> FolderListing:
    """Lists all files of all parts.

    Raises:
        DataError: a folder that is absent, cannot be read, holds no classes or is laid out otherwise; a
            class without images; a class that is not in the training part.
    """
    if not root.is_dir():
        what = "is not a folder" if root.exists() else f"there is no such folder in {Path.cwd()}"
        what = "there is no such folder" if root.is_absolute() and not root.exists() else what
        raise DataError(f"{one_line(root)}: {what}; {WANTED}")
    left_out: Counter[str] = Counter()
    part_folders = _part_folders(root)
    training = part_folders.get("train", root)
    class_folders = _class_folders(training, left_out)
    names = tuple(folder.name for folder in class_folders)
    if training == root:
        _check_are_classes(root, class_folders)
    _check_spellings(training, names)
    _check_parts_are_above(class_folders)
    if len(names) == 1:
        raise DataError(
            f"{one_line(training)}: has 1 class, {shown(names[0])}; two or more are needed: {WANTED}"
        )
    parts: dict[FolderPart, tuple[ListedFile, ...]] = {
        "train": _list_classes(class_folders, names, left_out)
    }
    for part, folder in part_folders.items():
        if part != "train":
            folders = _class_folders(folder, left_out)
            for found in folders:
                _check_is_known(found, names, training)
            parts[part] = _list_classes(folders, names, left_out)
    if training != root:
        beside = [p for p in _folders(root, left_out) if p not in part_folders.values()]
        if len(part_folders) == 1:
            _check_hold_no_images(training, beside)
        left_out.update(f"folder {one_line(folder.name)}" for folder in beside)
    return FolderListing(
        class_names=tuple(map(_as_utf8, names)), parts=parts, left_out=dict(left_out)
    )


def left_out_text(left_out: Mapping[str, int]) -> str:
    """ "3 hidden, 60 .heic", the most first; "" for nothing."""
    counts = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(
        kind if kind.startswith("folder ") else f"{count:,} {kind}" for kind, count in counts
    )


def _part_folders(root: Path) -> dict[FolderPart, Path]:
    """The folders of parts; none where the classes lie directly under the root.

    A folder that is named like a part and holds no folders may be a class: trains are photographed, too.
    """
    named = [folder for folder in _folders(root) if folder.name.casefold() in _PART_NAMES]
    with_classes = [folder for folder in named if _folders(folder)]
    if not with_classes:
        return {}
    found: dict[FolderPart, Path] = {}
    for folder in named:
        part = _PART_NAMES[folder.name.casefold()]
        if part in found:
            raise DataError(
                f"{one_line(root)}: {shown(found[part].name)} and {shown(folder.name)} both hold the "
                f"{part} images; merge them, or move one away"
            )
        found[part] = folder
    if "train" not in found:
        there = " and ".join(f"{folder.name}/" for folder in found.values())
        raise DataError(f"{one_line(root)}: has {there} but no train/; {WANTED}")
    return found


def _check_are_classes(root: Path, folders: list[Path]) -> None:
    """Refuses a root whose folders are not classes."""
    names = [folder.name for folder in folders]
    if all(_is_like_a_part(name) for name in names):
        raise DataError(
            f"{one_line(root)}: {_some(names)} look like parts of a data set, not classes; name parts "
            "train, val and test (or training, valid, validation, testing), with a folder for each class in them"
        )
    if len(folders) == 1 and (inner := _folders(folders[0])):
        raise DataError(
            f"{one_line(root)}: has 1 class folder, {shown(names[0])}, with the folders "
            f"{_some([folder.name for folder in inner])} in it; did you mean {one_line(folders[0])}?"
        )


def _check_hold_no_images(training: Path, beside: list[Path]) -> None:
    """Refuses train/<folders>/ beside bus/*.jpg: train may be a part, or a class as the others are."""
    for folder in beside:
        if any(True for _ in _files(folder, "", 0, Counter())):
            raise DataError(
                f"{one_line(training.parent)}: {training.name}/ holds folders, and {one_line(folder.name)}/ "
                f"beside it holds images; if {training.name} is a class, put all classes into one folder "
                f"and give that as the root; if not, move {one_line(folder.name)}/ away"
            )


def _check_spellings(parent: Path, names: tuple[str, ...]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(_looks(name), name)
        if other != name:
            raise DataError(
                f"{one_line(parent)}: the classes {shown(other)} and {shown(name)} differ only in spelling; "
                "merge or rename them"
            )


def _check_parts_are_above(class_folders: list[Path]) -> None:
    """Refuses <class>/train/ and <class>/test/ in every class: they would be mixed."""
    for folder in class_folders:
        inner = {_PART_NAMES.get(inner.name.casefold()) for inner in _folders(folder)}
        if len(inner - {None}) < 2:
            return
    raise DataError(
        f"{one_line(class_folders[0].parent)}: every class holds folders of parts, such as "
        f"{one_line(class_folders[0].name)}/train; put classes into parts instead: {WANTED}"
    )


def _check_is_known(folder: Path, names: tuple[str, ...], training: Path) -> None:
    if folder.name in names:
        return
    alike = [name for name in names if _looks(name) == _looks(folder.name)]
    also = f", which has {shown(alike[0])}" if alike else ""
    raise DataError(
        f"{one_line(folder.parent)}: {shown(folder.name)} is not a class of {one_line(training)}{also}"
    )


def _list_classes(
    folders: list[Path], names: tuple[str, ...], left_out: Counter[str]
) -> tuple[ListedFile, ...]:
    files: list[ListedFile] = []
    for folder in folders:
        here: Counter[str] = Counter()
        found = list(_files(folder, _as_utf8(folder.name), names.index(folder.name), here))
        if not found:
            instead = f": {left_out_text(here)} {'is' if here.total() == 1 else 'are'} left out"
            raise DataError(
                f"{one_line(folder)}: has no images{instead if here else ''}; the formats of Pillow are "
                "read (.jpg, .png, ...)"
            )
        # In an order that does not depend on the file system.
        files += sorted(found, key=lambda file: file.name)
        left_out.update(here)
    return tuple(files)


def _files(folder: Path, name: str, label: int, left_out: Counter[str]) -> Iterable[ListedFile]:
    """All images below a folder. Links to files are followed, those to folders only if they are classes."""
    with reading(one_line(folder), DataError):
        entries = list(os.scandir(folder))
    for entry in entries:
        inner = f"{name}/{entry.name}"
        suffix = Path(entry.name).suffix.lower()
        if (kind := _kind_left_out(entry.name)) is not None:
            left_out[kind] += 1
        elif entry.is_dir():
            if entry.is_symlink():
                left_out["link to a folder"] += 1
            else:
                yield from _files(Path(entry.path), inner, label, left_out)
        elif suffix not in image_suffixes():
            left_out[one_line(suffix) if suffix else "without a suffix"] += 1
        else:
            is_file = entry.is_file()  # rather than a pipe, or a broken link
            size, modified = (
                (entry.stat().st_size, entry.stat().st_mtime_ns) if is_file else (-1, 0)
            )
            if size == 0:
                left_out["empty"] += 1
                continue
            yield ListedFile(
                path=Path(entry.path), label=label, name=inner, size=size, modified=modified
            )


def _class_folders(parent: Path, left_out: Counter[str]) -> list[Path]:
    folders = _folders(parent, left_out)
    loose = [p for p in parent.iterdir() if p.suffix.lower() in image_suffixes() and p.is_file()]
    visible = [path for path in loose if _kind_left_out(path.name) is None]
    if not folders:
        there = f", but {len(visible):,} images" if visible else ""
        raise DataError(f"{one_line(parent)}: has no class folders{there}; {WANTED}")
    if visible:
        left_out["image outside of the class folders"] += len(visible)
    return folders


def _folders(parent: Path, left_out: Counter[str] | None = None) -> list[Path]:
    """The folders in a folder, in order of name, without system folders."""
    with reading(one_line(parent), DataError):
        found = sorted(path for path in parent.iterdir() if path.is_dir())
    kinds = [_kind_left_out(path.name) for path in found]
    if left_out is not None:
        left_out.update(kind for kind in kinds if kind is not None)
    return [path for path, kind in zip(found, kinds, strict=True) if kind is None]


def _kind_left_out(name: str) -> str | None:
    """Why a file or folder of this name is left out; None if it is not."""
    if name.startswith("."):
        return "hidden"
    return "system" if name.casefold() in _SYSTEM_NAMES else None


def _as_utf8(name: str) -> str:
    """A name that can go into UTF-8 files, whatever its bytes are."""
    return name.encode("utf-8", "backslashreplace").decode()


def _is_like_a_part(name: str) -> bool:
    return not _PART_WORDS.isdisjoint(re.split(r"[^a-z]+", name.casefold()))


def _looks(name: str) -> str:
    """The same for names that people cannot tell apart."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _some(names: list[str]) -> str:
    shown_names = ", ".join(shown(name) for name in names[:4])
    return shown_names + (f" and {len(names) - 4} more" if len(names) > 4 else "")
