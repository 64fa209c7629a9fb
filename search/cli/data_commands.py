"""`check-data`, and how a data set looks in a terminal."""

from pathlib import Path

from rich.table import Table

from hgcnet.errors import DataError, one_line
from search import api
from search.cli.printing import print_json, say
from search.data.inspection import DataInspection
from search.units import duration

_MOST_CLASSES = 40  # in a table


def check_data(data: Path, *, as_json: bool = False) -> None:
    """Opens every image of a data set, and reports problems before anything is trained.

    Lists the files that cannot be read, with the reasons. Counts images by class, size and colour mode, and
    finds images that are in several parts. A second check opens only files that have changed.

    Args:
        data: study file, image folder or .npz file.
    """
    inspection = api.check_data(data)
    if as_json:
        print_json(inspection.document())
    else:
        say(*inspection_lines(inspection), class_table(inspection))
        say(*(f"warning: {line}" for line in inspection.warnings()))
    folder = inspection.folder
    if folder is not None and folder.unreadable and not inspection.skipped:
        raise DataError(
            f"{data}: {len(folder.unreadable):,} of {folder.files:,} files cannot be used; repair or delete "
            'them, or set unreadable = "skip" in [data] to leave them out'
        )


def inspection_lines(inspection: DataInspection) -> list[str]:
    """The unreadable files, then the facts of the data set."""
    counts = {part: sum(found.values()) for part, found in inspection.counts.items()}
    images = ", ".join(f"{number:,} {part}" for part, number in counts.items())
    lines = [
        f"{inspection.data_set}: {len(inspection.class_names)} classes, {images} images, "
        f"{inspection.in_channels} channels"
    ]
    if (folder := inspection.folder) is None:
        return lines
    if folder.sizes:
        least, middle, most = (f"{width} x {height}" for width, height in folder.sizes)
        modes = ", ".join(f"{number:,} {mode}" for mode, number in folder.modes.items())
        lines += [
            f"sizes   {least} to {most}, median {middle}",
            f"colours {modes}",
        ]
    if folder.seconds >= 1:
        took = duration(folder.seconds)
        lines.append(f"reading the images takes about {took} at the start of a study or training")
    return [*(f"unreadable: {line}" for line in folder.unreadable), *lines]


def class_table(inspection: DataInspection) -> Table:
    """A row per class: its number of images in each part."""
    table = Table(box=None)
    table.add_column("class")
    for part in inspection.counts:
        table.add_column(part, justify="right")
    for name in inspection.class_names[:_MOST_CLASSES]:
        numbers = (f"{counts[name]:,}" for counts in inspection.counts.values())
        table.add_row(one_line(name), *numbers)
    if (more := len(inspection.class_names) - _MOST_CLASSES) > 0:
        table.add_row(f"... and {more:,} more")
    return table
