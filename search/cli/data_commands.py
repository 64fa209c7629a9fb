"""The command about images, and how a data set looks in a terminal."""

from pathlib import Path

from rich.table import Table

from hgcnet.errors import DataError, one_line
from search import api
from search.cli.printing import print_json, say
from search.data.inspection import DataInspection
from search.units import duration

_MOST_CLASSES = 40  # in a table


def check_data(data: Path, *, as_json: bool = False) -> None:
    """Looks at every image of every part of a data set, before anything runs.

    What cannot be read is listed with the reasons, and what is there: classes with their images, sizes and
    colours of files, pictures that are in more than one part. A second look opens only what has changed.

    Args:
        data: a study file, an image folder or an .npz file.
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
            f"{data}: {len(folder.unreadable):,} of {folder.files:,} files cannot be used; mend or delete "
            'them, or leave them out by unreadable = "skip" in [data]'
        )


def inspection_lines(inspection: DataInspection) -> list[str]:
    """The unreadable files, then what the data set is."""
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
        lines.append(f"reading takes about {took} at the start of a study or training")
    return [*(f"unreadable: {line}" for line in folder.unreadable), *lines]


def class_table(inspection: DataInspection) -> Table:
    """A row a class: its images of each part."""
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
