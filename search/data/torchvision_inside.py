"""What is used of torchvision's data sets beyond their public interface: labels without decoding an image.

Seen in torchvision 0.21 to 0.29.
"""

from typing import Any


def labels_of(data: Any) -> list[int]:
    """The label of each item; sets of files keep them in attributes of several names.

    Without any of these every image is decoded for its label.
    """
    for name in ("targets", "labels", "_labels"):
        if (found := getattr(data, name, None)) is not None:
            return [int(label) for label in found]
    if (samples := getattr(data, "_samples", None)) is not None:
        return [int(label) for _, label in samples]
    return [int(data[index][1]) for index in range(len(data))]
