"""The one way from images of any size to a network's pixels, in training, in predictions and elsewhere.

1. A file is turned as its orientation tag says; of an animation the first picture counts. Of 16 bits a
   channel the upper 8 are kept.
2. Transparency is laid on white.
3. Grey becomes RGB, or RGB grey (0.299 R + 0.587 G + 0.114 B), where the network wants it so.
4. The largest centred square is cut out ("crop"), or white is added up to the smallest square ("pad"),
   or nothing of both ("stretch").
5. Each new pixel is the mean of the area that it covers.
"""

import ctypes
import logging
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from hgcnet.architecture import Task
from hgcnet.arrays import Floats, Images
from hgcnet.errors import DataError, MissingPackageError, one_line, shown
from hgcnet.machine import usable_cpus, usable_memory

if TYPE_CHECKING:
    from PIL import Image

Fit = Literal["crop", "pad", "stretch"]
FITS: tuple[str, ...] = get_args(Fit)
GREY, RGB = 1, 3  # channels

_WHITE = 255
_GREY_MODES = ("1", "L", "LA", "La", "I")
_LUMA = (19595, 38470, 7471)  # of 2**16: as Pillow, and ITU-R 601-2
_AT_ONCE = 256  # images on their way from files
_CHUNK = 256  # images resized at once: they pass through float32, four times their size
# What an image takes on its way: as Pillow has it and turns it, as an array, and as float32.
_BYTES_OF_A_PIXEL = 24
_SMALL = 2**19  # pixels of an image of which many fit anywhere

# What holds for every preparation: in the documents that leave, so that nobody needs to read this.
_RULES: Mapping[str, Any] = {
    "background": _WHITE,
    "sixteen_bits": "the upper 8",
    "orientation": "exif",
    "resize": "area",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What becomes of an image before it is normalised."""

    channels: int  # 1 is grey, 3 is RGB; arrays may have others
    resolution: int
    fit: Fit = "crop"

    def apply(self, images: Images) -> Images:
        """(N, C, H, W) -> (N, channels, resolution, resolution).

        Raises:
            DataError: images of C channels do not become such of `channels`.
        """
        return resize_area(to_channels(images, self.channels), self.resolution, self.fit)

    def document(self) -> dict[str, Any]:
        """As JSON can hold it, with the rules that hold always; `read_preparation` reads it back."""
        sizes = {"channels": self.channels, "resolution": self.resolution, "fit": self.fit}
        return sizes | dict(_RULES)


def preparation_for(task: Task, fit: Fit) -> Preparation:
    """Of the images of a task."""
    return Preparation(channels=task.in_channels, resolution=task.resolution, fit=fit)


def read_preparation(document: Mapping[str, Any], task: Task) -> Preparation | str:
    """The preparation of a model folder's document; or what is wrong with it, in words.

    What is not there is as it was before there was such a document.
    """
    preparation = preparation_for(task, document.get("fit", "crop"))
    known = preparation.document()
    if preparation.fit not in FITS:
        return f"fit: {shown(preparation.fit)} is not one of {', '.join(FITS)}"
    for key, value in document.items():
        if key not in known or value != known[key]:
            right = f"is not {known[key]!r}" if key in known else "is not known"
            return f"{one_line(key)}: {shown(value)} {right} here"
    return preparation


class _Room:
    """The memory that images take on their way, shared by the threads that decode: many photographs at
    once, one for each CPU of a large machine, would be more than a container has."""

    def __init__(self) -> None:
        self._taken = 0  # bytes
        self._changed = threading.Condition()

    @contextmanager
    def held(self, image: Any) -> Iterator[None]:
        """Waits until there is room for a large image; one is always let in."""
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


_room = _Room()


@cache
def _most_bytes() -> int:
    """A quarter of the memory that there was when the first large image came."""
    return (usable_memory() or 2**33) // 4


def _num_pixels(image: Any) -> int:
    """Of a file by its header; 0 where it cannot be read, which is told when it is."""
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


def prepare_image(image: Any, preparation: Preparation, name: str = "image") -> Images:
    """(channels, resolution, resolution) of a path, an image of Pillow or a uint8 array (H, W) or (H, W, C).

    Raises:
        DataError: it cannot be used; the message begins with the path, or with `name`.
    """
    name = one_line(image) if isinstance(image, str | Path) else name
    try:
        # A view: in memory colours stay side by side, as sums go by how their terms lie there.
        with _room.held(image):
            pixels: Images = _pixels_of(image).transpose(2, 0, 1)
            prepared: Images = preparation.apply(pixels[None])[0]
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    return prepared


def prepare_each(images: Iterable[Any], preparation: Preparation) -> Iterator[Images | DataError]:
    """Of each image, in their order, what `prepare_image` makes of it, or why it cannot be used."""

    def prepare(numbered: tuple[int, Any]) -> Images | DataError:
        number, image = numbered
        try:
            return prepare_image(image, preparation, f"images[{number}]")
        except DataError as error:
            return error

    waiting = enumerate(images)
    with ThreadPoolExecutor(usable_cpus()) as pool:
        while some := list(islice(waiting, _AT_ONCE)):
            with without_warnings():
                done = list(pool.map(prepare, some))
            yield from done


def decode_file(path: Path) -> Images:
    """(H, W, 1) of a grey file, else (H, W, 3): upright and on white.

    Raises:
        DataError: it cannot be read; the message begins with the path.
    """
    try:
        with _room.held(path):
            return _read_file(path)
    except DataError as error:
        raise DataError(f"{one_line(path)}: {error}") from error


def is_grey_mode(mode: str) -> bool:
    """Whether images of a mode of Pillow's, as headers of files have it, are grey."""
    return mode in _GREY_MODES or mode.startswith("I;16")


def count_channels(files: Iterable[Path]) -> int:
    """GREY where the headers of all files say that they are grey, else RGB.

    Those that cannot be read do not decide.
    """
    channels = RGB
    with without_warnings():
        for path in files:
            if not path.is_file():  # a pipe would be waited for
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


def to_channels(images: Images, channels: int) -> Images:
    """(N, C, H, W) -> (N, channels, H, W): 2 and 4 channels are grey and RGB with transparency.

    Raises:
        DataError: there is no rule for it.
    """
    given = images.shape[-3]
    if given == channels:
        return images
    if given in (2, 4) and channels in (GREY, RGB):
        images = _on_white(images[..., :-1, :, :], images[..., -1:, :, :])
        given -= 1
    if (given, channels) == (GREY, RGB):
        # Pixel by pixel, as files are read: sums go by how their terms lie in memory.
        return np.moveaxis(np.repeat(np.moveaxis(images, -3, -1), RGB, axis=-1), -1, -3)
    if (given, channels) == (RGB, GREY):
        red, green, blue = (images[..., c, :, :].astype(np.uint32) * _LUMA[c] for c in range(RGB))
        grey: Images = ((red + green + blue + 2**15) >> 16).astype(np.uint8)
        return grey[..., None, :, :]
    if given != channels:
        raise DataError(f"has {given} channels, which do not become the {channels} that are wanted")
    return images


def resize_area(images: Images, resolution: int, fit: Fit = "crop") -> Images:
    """(N, C, H, W) -> (N, C, resolution, resolution).

    Each new pixel is the mean of the area that it covers, which neither aliases when shrinking nor
    invents values when enlarging.
    """
    height, width = images.shape[-2:]
    if fit == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        images = images[..., top : top + side, left : left + side]
        height = width = side
    if (height, width) == (resolution, resolution):
        return np.ascontiguousarray(images)
    square = max(height, width) if fit == "pad" else None
    rows, columns = (_area_weights(old, resolution, square) for old in (height, width))
    # The white of "pad" is the zero of its sums: what is added to an image need not be there.
    zero = _WHITE if fit == "pad" else 0
    resized = np.empty((*images.shape[:2], resolution, resolution), dtype=np.uint8)
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK].astype(np.float32)
        if zero:
            chunk -= zero
        resized[start : start + _CHUNK] = np.rint(rows @ (chunk @ columns.T) + zero)
    return resized


def _area_weights(old: int, new: int, padded: int | None) -> npt.NDArray[np.float32]:
    """(new, old): the part that each old pixel has in the mean which makes a new one.

    The old ones lie in the middle of `padded`, if it is given.
    """
    total = padded or old
    edges = np.arange(new + 1) * (total / new)
    pixels = np.arange(old) + (total - old) // 2
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights: Floats = np.clip(overlap, 0, None) * (new / total)
    return weights.astype(np.float32)


def _on_white(colours: Images, alpha: Images) -> Images:
    """Colours where alpha is 255, white where it is 0."""
    opacity = alpha.astype(np.uint16)
    laid: Images = ((colours * opacity + _WHITE * (255 - opacity) + 127) // 255).astype(np.uint8)
    return laid


def _pixels_of(image: Any) -> Images:
    """(H, W, C) of a path, a Pillow image or an array."""
    if isinstance(image, str | Path):
        return _read_file(Path(image))
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.size == 0:
            raise DataError(f"{image.dtype} {image.shape} is not uint8 (H, W) or (H, W, C)")
        return image[..., None] if image.ndim == 2 else image
    if hasattr(image, "getexif"):
        return _decode(image)
    raise DataError(
        f"{type(image).__name__} is neither a path, nor an image of Pillow, nor an array"
    )


def _read_file(path: Path) -> Images:
    pillow = _pillow()
    try:
        if not path.is_file():  # a folder, or a pipe that would be waited for
            absent = "is a link to nothing" if path.is_symlink() else "does not exist"
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
        unknown = "it is of no format that Pillow reads"  # its own words repeat the path
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
        laid = _on_white(pixels[..., :3], pixels[..., 3:])
        return laid[..., :1] if is_grey_mode(upright.mode) else laid
    if is_grey_mode(upright.mode):
        return np.asarray(upright.convert("L"))[..., None]
    return np.asarray(upright.convert("RGB"))


def _upper_bits(image: "Image.Image", file_format: str | None) -> Images:
    """(H, W) of an image of 16 bits. Pillow itself takes the same of RGB.

    Of 32 bits nobody knows which of them are used, but older Pillows open PNG and PPM of 16 bits so.
    """
    if not image.mode.startswith("I;16") and not (
        image.mode == "I" and file_format in ("PNG", "PPM")
    ):
        raise DataError("has 32 bits a channel; images of 8 and 16 bits are read")
    values = np.asarray(image)
    if (transparent := image.info.get("transparency")) is not None:
        values = np.where(values == transparent, 2**16 - 1, values)
    return (values >> 8).astype(np.uint8)


def _is_transparent(image: "Image.Image") -> bool:
    palette = image.palette.mode if image.mode == "P" and image.palette else ""
    return "transparency" in image.info or (image.mode + palette).endswith(("A", "a"))


@contextmanager
def without_warnings() -> Iterator[None]:
    """Of Pillow and its libtiff, which name no file; what they cannot read is an error.

    Begin it outside of threads.
    """
    # A handler that takes nothing, or Python would print what nobody listens to.
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
    """While images are read, libtiff prints no lines by itself: Pillow raises what it says, too."""
    setters = _libtiff_setters()
    before = [setter(None) for setter in setters]
    try:
        yield
    finally:
        for setter, handler in zip(setters, before, strict=True):
            setter(handler)


@cache
def _libtiff_setters() -> tuple[Any, ...]:
    """libtiff's functions that say who prints its lines; none where it is absent, or hidden in Pillow."""
    try:
        libtiff = ctypes.CDLL(_pillow().core.__file__)  # finds what it was linked with, too
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
