"""Files, Pillow images and arrays -> pixels: upright, on white, 8 bits, grey or RGB."""

import ctypes
import logging
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hgcnet.arrays import Images
from hgcnet.errors import DataError, MissingPackageError, one_line
from hgcnet.machine import usable_memory

if TYPE_CHECKING:
    from PIL import Image

GREY, RGB = 1, 3  # channels
WHITE = 255

_GREY_MODES = ("1", "L", "LA", "La", "I")
# Memory of an image while it is decoded: in Pillow, rotated, as an array, and as float32.
_BYTES_OF_A_PIXEL = 24
_SMALL = 2**19  # pixels of images that need no waiting


def decode_file(path: Path) -> Images:
    """(H, W, 1) of a grey file, else (H, W, 3): upright and on white.

    Raises:
        DataError: it cannot be read; the message begins with the path.
    """
    try:
        with ROOM.held(path):
            return _read_file(path)
    except DataError as error:
        raise DataError(f"{one_line(path)}: {error}") from error


def pixels_of(image: Any) -> Images:
    """(H, W, C) of a path, a Pillow image or an array."""
    if isinstance(image, str | Path):
        return _read_file(Path(image))
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.size == 0:
            raise DataError(f"{image.dtype} {image.shape} is not uint8 (H, W) or (H, W, C)")
        return image[..., None] if image.ndim == 2 else image
    if hasattr(image, "getexif"):
        return _decode(image)
    raise DataError(f"{type(image).__name__} is not a path, a Pillow image or a NumPy array")


def is_grey_mode(mode: str) -> bool:
    """Whether images of a mode of Pillow's are grey."""
    return mode in _GREY_MODES or mode.startswith("I;16")


def count_channels(files: Iterable[Path]) -> int:
    """GREY if the headers of all readable files say that they are grey, else RGB."""
    channels = RGB
    with without_warnings():
        for path in files:
            if not path.is_file():  # a pipe would block
                continue
            try:
                with _pillow().open(path) as image:
                    if not is_grey_mode(image.mode):
                        return RGB
                    channels = GREY
            except MissingPackageError:
                raise
            except Exception:  # Pillow's decoders raise errors of many kinds
                continue
    return channels


def on_white(colours: Images, alpha: Images) -> Images:
    """Colours where alpha is 255, white where it is 0."""
    opacity = alpha.astype(np.uint16)
    laid: Images = ((colours * opacity + WHITE * (255 - opacity) + 127) // 255).astype(np.uint8)
    return laid


def _read_file(path: Path) -> Images:
    pillow = _pillow()
    try:
        if not path.is_file():  # a folder, or a pipe, which would block
            absent = "is a broken link" if path.is_symlink() else "does not exist"
            raise DataError("is not a file" if path.exists() else absent)
        if path.stat().st_size == 0:
            raise DataError("is empty")
        with pillow.open(path) as image:
            return _decode(image)
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise errors of many kinds
        if isinstance(error, OSError) and error.errno is not None:  # of the system
            raise DataError(f"cannot be read: {error.strerror}") from error
        unknown = "Pillow does not know its format"  # Pillow's own text repeats the path
        reason = unknown if type(error).__name__ == "UnidentifiedImageError" else one_line(error)
        raise DataError(f"cannot be read as an image: {reason}") from error


def _decode(image: "Image.Image") -> Images:
    """(H, W, 1) of a grey image, else (H, W, 3)."""
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith(("I", "F")):
        return _upper_bits(upright, image.format)[..., None]
    if _is_transparent(upright):
        pixels = np.asarray(upright.convert("RGBA"))
        laid = on_white(pixels[..., :3], pixels[..., 3:])
        return laid[..., :1] if is_grey_mode(upright.mode) else laid
    if is_grey_mode(upright.mode):
        return np.asarray(upright.convert("L"))[..., None]
    return np.asarray(upright.convert("RGB"))


def _upper_bits(image: "Image.Image", file_format: str | None) -> Images:
    """(H, W), the upper 8 bits of an image of 16 bits, as Pillow itself takes them of RGB.

    Of 32 bits it is unknown which are used, except that older Pillows open 16-bit PNG and PPM so.
    """
    if not image.mode.startswith("I;16") and not (
        image.mode == "I" and file_format in ("PNG", "PPM")
    ):
        raise DataError("has 32 bits per channel; 8 and 16 are supported")
    values = np.asarray(image)
    if (transparent := image.info.get("transparency")) is not None:
        values = np.where(values == transparent, 2**16 - 1, values)
    return (values >> 8).astype(np.uint8)


def _is_transparent(image: "Image.Image") -> bool:
    palette = image.palette.mode if image.mode == "P" and image.palette else ""
    return "transparency" in image.info or (image.mode + palette).endswith(("A", "a"))


@contextmanager
def without_warnings() -> Iterator[None]:
    """Silences Pillow and its libtiff, which name no file; what they cannot read is an error.

    Enter it outside of threads.
    """
    # A handler that drops everything, or Python would print records without a handler.
    logger, silent = logging.getLogger("PIL"), logging.NullHandler()
    with warnings.catch_warnings(), _silent_libtiff():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        logger.addHandler(silent)
        try:
            yield
        finally:
            logger.removeHandler(silent)


@contextmanager
def _silent_libtiff() -> Iterator[None]:
    """Keeps libtiff from printing lines: Pillow raises the same."""
    setters = _libtiff_setters()
    before = [setter(None) for setter in setters]
    try:
        yield
    finally:
        for setter, handler in zip(setters, before, strict=True):
            setter(handler)


@cache
def _libtiff_setters() -> tuple[Any, ...]:
    """libtiff's setters of message handlers; none if it is absent, or hidden in Pillow."""
    try:
        libtiff = ctypes.CDLL(_pillow().core.__file__)  # also finds what it is linked with
        setters = [getattr(libtiff, f"TIFFSet{kind}Handler") for kind in ("Error", "Warning")]
    except (MissingPackageError, OSError, AttributeError):
        return ()
    for setter in setters:
        setter.restype, setter.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    return tuple(setters)


def _pillow() -> Any:
    try:
        import PIL.Image
    except ImportError as error:
        raise MissingPackageError("an image file", "pillow") from error
    return PIL.Image


class Room:
    """Bounds the memory of images that threads decode at once: a large photograph for each CPU of a
    large machine may exceed a container's memory."""

    def __init__(self) -> None:
        self._taken = 0  # bytes
        self._changed = threading.Condition()

    @contextmanager
    def held(self, image: Any) -> Iterator[None]:
        """Waits until there is room for a large image; one is always admitted."""
        pixels = _num_pixels(image)
        if pixels <= _SMALL:
            yield
            return
        needed = _BYTES_OF_A_PIXEL * pixels
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + needed <= _most_bytes())
            self._taken += needed
        try:
            yield
        finally:
            with self._changed:
                self._taken -= needed
                self._changed.notify_all()


ROOM = Room()  # of this process


@cache
def _most_bytes() -> int:
    """A quarter of the memory that was free at the first large image."""
    return (usable_memory() or 2**33) // 4


def _num_pixels(image: Any) -> int:
    """Of a file by its header; 0 if that cannot be read: decoding it raises the error."""
    if isinstance(image, np.ndarray):
        return image.size
    try:
        if isinstance(image, str | Path):
            if not Path(image).is_file():
                return 0
            with _pillow().open(image) as opened:
                width, height = opened.size
        else:
            width, height = image.size
        return int(width * height)
    except Exception:  # Pillow's decoders raise errors of many kinds
        return 0
