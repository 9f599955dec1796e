"""The one way a picture comes in: from a file, bytes, a stream or an array to a `Frame` of 8-bit sRGB, the right way up.

Limits are checked from the file's size and header before anything is decoded. Pixels are converted in bands, so the peak is
one decoded picture (at most 4 bytes a pixel) plus the result (3, with transparency 4).
"""

from __future__ import annotations

import contextlib
import io
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError

from mien.errors import InputError
from mien.types import Frame

Readable: TypeAlias = str | Path | bytes | BinaryIO | NDArray[np.uint8]
"""What `read` takes."""

MAX_PIXELS = 52_000_000
MAX_BYTES = 200_000_000

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
_BAND_PIXELS = 1 << 15
_SCANNED_PIXELS = 500_000_000
_MAX_PROFILE_BYTES = 8_000_000
_DECODER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
    zlib.error,
)
"""What Pillow's parsers have been seen to raise on hostile files."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How each EXIF orientation is put upright (EXIF 2.32, tag 0x0112)."""


def read(source: Readable, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES) -> Frame:
    """Read one picture.

    source: a file name, the encoded bytes, an open binary file, or an array that is a picture already: (H, W, 3) RGB,
        (H, W, 4) RGBA or (H, W) grey, uint8.
    max_pixels, max_bytes: the largest width times height, and the largest file, that is decoded.

    The file's content decides its format, not its name. EXIF orientation is applied; of an animation the first frame is
    taken; 16-bit pixels are scaled by their full range; CMYK and pictures with an embedded colour profile become sRGB
    (grey values stay as stored). Where the picture is transparent, ``alpha`` holds how much and ``image`` shows it on white.

    Raises `InputError` for anything that is not a whole picture within the limits.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, max_pixels)
    name, data = _load_bytes(source, max_bytes)
    with _telling_faults(name, data, max_pixels):
        image, alpha = _decode(name, data, max_pixels)
    return Frame(image, source=name, alpha=alpha)


@contextlib.contextmanager
def _telling_faults(name: str, data: bytes, max_pixels: int) -> Iterator[None]:
    """Whatever a decoder raises in the block becomes an `InputError` that says what the file is."""
    if not data:
        raise InputError(f"{name}: expected a picture, got an empty file")
    try:
        yield
    except UnidentifiedImageError:
        raise InputError(f"{name}: expected a picture ({', '.join(_FORMATS)}), got {_describe(data)}") from None
    except Image.DecompressionBombError:
        raise InputError(
            f"{name}: expected at most {max_pixels / 1e6:g} megapixels, got far more; make it smaller"
        ) from None
    except _DECODER_ERRORS as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(f"{name}: the picture is damaged or cut short ({reason}); get a whole copy of it") from None


@dataclass(frozen=True)
class PictureSize:
    """How large a picture is, and how it is stored.

    size_wh: width and height the right way up, as `read` gives it. stored_wh: those of the file before its EXIF
    orientation is applied. orientation: 1 (upright) to 8, EXIF 2.32, tag 0x0112.
    """

    size_wh: tuple[int, int]
    stored_wh: tuple[int, int]
    orientation: int


def measure(source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES) -> PictureSize:
    """The size of a picture from its header; nothing is decoded. Raises `InputError` as `read` does."""
    name, data = _load_bytes(source, max_bytes)
    with _telling_faults(name, data, max_pixels), Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
        _check_size(name, *opened.size, max_pixels)
        # Pillow decodes a whole PNG to look for tags behind the pixels: only where there can be some.
        has_tags = opened.format != "PNG" or any(word in data for word in (b"eXIf", b"exif", b"XML:com.adobe.xmp"))
        turn = opened.getexif().get(0x0112) if has_tags else 1
        turn = turn if isinstance(turn, int) and turn in _TURNS else 1
        width, height = opened.size
    return PictureSize((height, width) if turn >= 5 else (width, height), (width, height), turn)


_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif"}


def suffix_of(data: bytes) -> str:
    """The file name ending that fits an encoded picture, such as ``.jpg``. Raises `InputError` for another file."""
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
            return _SUFFIXES.get(str(opened.format), f".{str(opened.format).lower()}")
    except (Image.DecompressionBombError, *_DECODER_ERRORS):
        raise InputError(f"expected a picture ({', '.join(_FORMATS)}), got {_describe(data)}") from None


def _from_array(array: NDArray[np.uint8], max_pixels: int) -> Frame:
    is_picture = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if not is_picture or array.dtype != np.uint8 or 0 in array.shape:
        wanted = "(H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey, uint8"
        raise InputError(f"array: expected {wanted}, got {array.shape} {array.dtype}; convert it first")
    _check_size("array", array.shape[1], array.shape[0], max_pixels)
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if array.shape[2] == 3:
        return Frame(array, source="<array>")
    alpha = np.ascontiguousarray(array[:, :, 3])
    return Frame(np.asarray(_on_white(Image.fromarray(array))), source="<array>", alpha=alpha)


def _load_bytes(source: str | Path | bytes | BinaryIO, max_bytes: int) -> tuple[str, bytes]:
    """The name to show and the content, at most ``max_bytes`` of it."""
    if isinstance(source, bytes | bytearray | memoryview):
        name, data = "<bytes>", bytes(source)
    elif isinstance(source, str | Path):
        name, data = str(source), _load_file(str(source), max_bytes)
    elif hasattr(source, "read"):
        name = str(getattr(source, "name", "<stream>"))
        try:
            data = source.read(max_bytes + 1)
        except (OSError, ValueError) as error:
            raise InputError(f"{name}: cannot be read ({error})") from None
        if not isinstance(data, bytes):
            raise InputError(f"{name}: expected a file opened in binary mode ('rb'), got text")
    else:
        raise InputError(f"source: expected a file name, bytes, a file or an array, got {type(source).__name__}")
    if len(data) > max_bytes:
        raise InputError(f"{name}: expected a picture of at most {max_bytes / 1e6:g} MB, got more; make it smaller")
    return name, data


def _load_file(name: str, max_bytes: int) -> bytes:
    if name.lower().startswith(("http://", "https://", "ftp://", "rtsp://")):
        raise InputError(f"{name.split('@')[-1]}: expected a file, got an address; download the picture first")
    try:
        status = Path(name).stat()
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"{name}: expected a picture file, got a folder; name the pictures in it")
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{name}: expected a picture file, got a device or a pipe")
        if status.st_size > max_bytes:
            got = f"{status.st_size / 1e6:.1f}"
            raise InputError(f"{name}: expected a picture of at most {max_bytes / 1e6:g} MB, got {got} MB; make it smaller")
        with open(name, "rb") as file:
            return file.read(max_bytes + 1)
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be opened ({error.strerror or error})") from None
    except ValueError:
        raise InputError(f"{name!r}: expected a file name, got one with a zero byte") from None


def _describe(data: bytes) -> str:
    """What the bytes seem to be, for an error message."""
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"msf1"):
        return "HEIC; save it as JPEG first"
    if data[4:8] == b"ftyp":
        return "a video"
    if data.startswith(b"%PDF"):
        return "a PDF document"
    start = data[:16].decode("ascii", "replace").replace("\ufffd", "?")
    return f"{len(data)} bytes that start with {''.join(c if c.isprintable() else '?' for c in start)!r}"


def _check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise InputError(f"{name}: expected a picture of at least 1x1 pixel, got {width}x{height}")
    if width * height > max_pixels:
        got = f"{width}x{height} ({width * height / 1e6:.1f})"
        raise InputError(f"{name}: expected at most {max_pixels / 1e6:g} megapixels, got {got}; make it smaller first")


def _decode(name: str, data: bytes, max_pixels: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
        _check_size(name, *opened.size, max_pixels)
        _check_kind(name, opened, data)
        opened.load()
        turn = opened.getexif().get(0x0112)
        return _convert(opened, _TURNS.get(turn) if isinstance(turn, int) else None)


def _check_kind(name: str, opened: Image.Image, data: bytes) -> None:
    """Refuse what cannot be shown in 8 bits without guessing, and what would decode for minutes."""
    if opened.mode == "F" or (opened.mode == "I" and opened.format != "PPM"):
        raise InputError(f"{name}: expected 8 or 16 bits a channel, got 32 (mode {opened.mode}); save it as 16-bit PNG")
    if opened.format == "PPM" and data[1:2] in (b"1", b"2", b"3"):
        raise InputError(f"{name}: expected binary PPM, got the text form; save it as PNG")
    if opened.format in ("JPEG", "MPO") and opened.info.get("progressive"):
        # Each scan visits the whole picture, however few bytes it has: a small file could take minutes.
        limit = max(20, _SCANNED_PIXELS // (opened.width * opened.height))
        if (scans := data.count(b"\xff\xda")) > limit:
            raise InputError(f"{name}: expected at most {limit} scans in this progressive JPEG, got {scans}; save it again")


def _convert(opened: Image.Image, turn: Image.Transpose | None) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """A loaded picture as upright RGB (H, W, 3) and alpha (H, W), band by band."""
    width, height = opened.size
    has_alpha = opened.has_transparency_data and not opened.mode.startswith("I")
    is_turned = turn is not None and turn in (
        Image.Transpose.TRANSPOSE,
        Image.Transpose.ROTATE_270,
        Image.Transpose.TRANSVERSE,
        Image.Transpose.ROTATE_90,
    )
    image = np.empty((width, height, 3) if is_turned else (height, width, 3), np.uint8)
    alpha = np.empty(image.shape[:2], np.uint8) if has_alpha else None
    to_srgb = _srgb_transform(opened, has_alpha)
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        band = _eight_bit(opened.crop((0, top, width, bottom)), has_alpha, to_srgb)
        if turn is not None:
            band = band.transpose(turn)
        # A band of stored rows lands at the same place, counted from the other end, or as columns instead of rows.
        start, end = top, bottom
        if turn in _FROM_THE_END:
            start, end = height - bottom, height - top
        place = (slice(None), slice(start, end)) if is_turned else (slice(start, end), slice(None))
        if alpha is not None:
            alpha[place] = np.asarray(band.getchannel("A"))
            band = _on_white(band)
        image[place] = np.asarray(band)
    if alpha is not None and alpha.min() == 255:
        alpha = None
    return image, alpha


_FROM_THE_END = (
    Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
)


def _eight_bit(band: Image.Image, has_alpha: bool, to_srgb: ImageCms.ImageCmsTransform | None) -> Image.Image:
    """A band of any mode as sRGB, RGB or RGBA."""
    if band.mode.startswith("I"):
        # Rounded division by 257 takes 0..65535 onto 0..255 evenly.
        wide = np.asarray(band).astype(np.uint32)
        band = Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    wanted = "RGBA" if has_alpha else "RGB"
    if band.mode not in (wanted, "CMYK") or (band.mode == "CMYK" and to_srgb is None):
        band = band.convert(wanted)
    if to_srgb is not None:
        band = ImageCms.applyTransform(band, to_srgb) or band
    return band


def _srgb_transform(opened: Image.Image, has_alpha: bool) -> ImageCms.ImageCmsTransform | None:
    """The conversion that the embedded colour profile asks for; None where there is none, it is sRGB, or it is broken."""
    profile = opened.info.get("icc_profile")
    is_cmyk = opened.mode == "CMYK"
    if not profile or len(profile) > _MAX_PROFILE_BYTES or opened.mode in ("1", "L", "LA", "La") or opened.mode[0] == "I":
        return None
    wanted = "RGBA" if has_alpha else "RGB"
    try:
        stored = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if not is_cmyk and "srgb" in ImageCms.getProfileDescription(stored).lower():
            return None
        return ImageCms.buildTransform(stored, ImageCms.createProfile("sRGB"), "CMYK" if is_cmyk else wanted, wanted)
    except (ImageCms.PyCMSError, *_DECODER_ERRORS):
        return None


def _on_white(picture: Image.Image) -> Image.Image:
    white = Image.new("RGB", picture.size, (255, 255, 255))
    white.paste(picture, mask=picture.getchannel("A"))
    return white
