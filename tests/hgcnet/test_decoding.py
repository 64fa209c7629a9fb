"""What is said, and how much is held at once, while images are read. (Their pixels: test_preparation.py.)"""

import errno
import logging
import os
import re
from pathlib import Path
from threading import Thread
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from hgcnet import decoding
from hgcnet.decoding import without_warnings
from hgcnet.preparation import Preparation, prepare_each


def test_what_pillow_and_libtiff_say_by_themselves_of_a_file_is_not_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])  # as where nobody listens
    path = tmp_path / "broken.tif"
    Image.new("L", (64, 64)).save(path, compression="tiff_adobe_deflate")
    with Image.open(path) as image:
        start = cast(Any, image).tag_v2[273][0]  # of its only strip
    content = path.read_bytes()
    path.write_bytes(content[:start] + bytes(16) + content[start + 16 :])

    def make_them_speak() -> str:
        with pytest.raises(OSError, match="-2"), Image.open(path) as image:
            image.load()
        logging.getLogger("PIL.TiffImagePlugin").error("More samples per pixel than can be decoded")
        return capfd.readouterr().err

    for place in ("before", "after"):
        said = make_them_speak()
        assert "Decode" in said, place  # by libtiff
        assert "More samples" in said, place
        (found,) = prepare_each([path], Preparation(channels=1, resolution=8))
        assert re.fullmatch(rf"{path}: cannot be read as an image: (decoder error )?-2", str(found))
        with without_warnings():
            assert make_them_speak() == ""


def test_a_file_that_may_not_be_read_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.png"
    Image.new("L", (8, 8)).save(path)

    def refuse(file: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))

    monkeypatch.setattr(Image, "open", refuse)  # as root reads whatever there is
    (found,) = prepare_each([path], Preparation(channels=1, resolution=8))
    assert str(found) == f"{path}: cannot be read: Permission denied"


def test_large_images_wait_for_room_and_small_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_most_bytes", lambda: 50_000_000)
    room, large, small = decoding.Room(), np.zeros((1000, 1000)), np.zeros((10, 10))
    entered: list[str] = []

    def enter(name: str, image: np.ndarray) -> None:
        with room.held(image):
            entered.append(name)

    with room.held(large), room.held(large):  # of 24 bytes a pixel
        third = Thread(target=enter, args=("third", large))
        third.start()
        enter("small", small)
        third.join(0.2)
        assert entered == ["small"]
    third.join()
    assert entered == ["small", "third"]


def test_an_image_that_is_larger_than_the_room_is_let_in_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoding, "_most_bytes", lambda: 1)
    room = decoding.Room()
    with room.held(np.zeros((1000, 1000))):
        pass
    with room.held(np.zeros((1000, 1000))):
        pass


def test_the_pixels_of_a_file_are_those_of_its_header(tmp_path: Path) -> None:
    Image.new("RGB", (1200, 500)).save(tmp_path / "large.png")
    (tmp_path / "none.png").write_bytes(b"no image")
    sizes = [decoding._num_pixels(tmp_path / name) for name in ("large.png", "none.png", "absent")]
    assert sizes == [600_000, 0, 0]
