"""Predicts files by a model folder: checks the arguments first, and names unreadable files."""

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from hgcnet.atomic_write import replace_file, writing
from hgcnet.errors import ArchitectureError, DataError, RunError
from hgcnet.model_folder import load
from hgcnet.networks import network_kind
from hgcnet.prediction import Prediction, predict_each
from search.data.image_files import find_images
from search.process_settings import threads_of_usable_cpus

_MOST = 10  # unreadable files to name, if all are


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedFiles:
    """The predictions for files, in the order of the given paths."""

    class_names: tuple[str, ...]  # in the order of the outputs; none in a model folder without them
    predictions: tuple[tuple[Path, Prediction], ...]
    unreadable: tuple[str, ...]  # a line each
    left_out: int  # files of folders that are not images


def predict_files(
    model: str | Path,
    paths: Iterable[str | Path],
    *,
    top: int,
    output: Path | None,
    observe: Callable[[int, int], None],
) -> PredictedFiles:
    """Predicts all files, and writes the first `top` classes of each to `output`, if it is given.

    Raises:
        UserError: the model has no weights, a path does not exist, no file can be read, or `output`
            cannot be written.
    """
    _check_model(model)
    network = load(model)
    files, left_out = find_images(paths)
    if output is not None and not output.parent.is_dir():
        raise RunError(f"{output}: cannot be written: {output.parent} is not a folder")
    predictions, unreadable = [], []
    with threads_of_usable_cpus():
        for number, found in enumerate(predict_each(network, files)):
            observe(number + 1, len(files))
            if isinstance(found, DataError):
                unreadable.append(str(found))
            else:
                predictions.append((files[number], found))
    if not predictions:
        more = len(unreadable) - _MOST
        rest = [f"{more:,} more files cannot be read"] if more > 0 else []
        raise DataError("\n".join(unreadable[:_MOST] + rest))
    if output is not None:
        with writing(output):
            replace_file(output, _csv(predictions, top))
    return PredictedFiles(
        class_names=network.task.class_names,
        predictions=tuple(predictions),
        unreadable=tuple(unreadable),
        left_out=left_out,
    )


def _check_model(model: str | Path) -> None:
    """Raises an ArchitectureError for anything but a model folder."""
    kind = network_kind(model)
    if kind in ("preset", "file"):
        raise ArchitectureError(
            f"{model}: is an architecture, which has no weights; train it with `hgcnas train {model} "
            "--dataset ...` and give the model folder that this writes"
        )
    if kind is None:
        raise ArchitectureError(f"{model}: does not exist; give a model folder that `train` wrote")
    inner = sorted(path.parent for path in Path(model).glob("*/metrics.json"))
    if inner and not (Path(model) / "metrics.json").exists():
        raise ArchitectureError(
            f"{model}: contains model folders; give one of them: {', '.join(map(str, inner[:5]))}"
        )


def _csv(predictions: Iterable[tuple[Path, Prediction]], top: int) -> bytes:
    """A row a file: the most probable class and its probability, then the next ones."""
    rows = [
        [str(path), *(cell for name, p in found.most_probable(top) for cell in (name, f"{p:.6f}"))]
        for path, found in predictions
    ]
    header = ["file", "class", "probability"]
    for place in range(2, (len(rows[0]) - 1) // 2 + 1):
        header += [f"class_{place}", f"probability_{place}"]
    text = StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().encode("utf-8", "surrogateescape")
