from __future__ import annotations

import io
import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from mien.errors import InputError
from mien.media.read import read

RNG = np.random.default_rng(7)
PHOTO = np.clip(
    np.add.outer(np.linspace(0, 150, 61), np.linspace(0, 90, 83))[..., None] + RNG.normal(0, 9, (61, 83, 3)), 0, 255
).astype(np.uint8)


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    middle = b"".join(chunk(name, body) for name, body in extra)
    return b"\x89PNG\r\n\x1a\n" + header + middle + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def matrix_profile(name: str, columns: tuple[tuple[float, float, float], ...], gamma: float) -> bytes:
    """A minimal ICC v2 display profile (ICC.1:2001-04): three colourants and one gamma."""

    def xyz(values: tuple[float, float, float]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    text = name.encode() + b"\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + b"\0" * 78,
        b"wtpt": xyz((0.9642, 1, 0.8249)),
        **{f"{letter}XYZ".encode(): xyz(column) for letter, column in zip("rgb", columns, strict=True)},
        **{f"{letter}TRC".encode(): b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) for letter in "rgb"},
    }
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for key, value in tags.items():
        value += b"\0" * (-len(value) % 4)
        table += key + struct.pack(">II", start + len(body), len(value))
        body += value
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28 + xyz((0.9642, 1, 0.8249))[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


DISPLAY_P3 = matrix_profile(
    "Display P3", ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407)), 2.2
)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_gives_the_upright_picture(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"PNG": {}, "JPEG": {"quality": 95}, "WEBP": {"lossless": True}, "TIFF": {}}[kind]
    # 8,400 columns make several bands of few rows, so bands that land in the wrong place show.
    stored = np.ascontiguousarray(np.tile(PHOTO, (1, 101, 1))) if kind == "PNG" else PHOTO
    data = encoded(stored, kind, exif=exif, **options)
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    got = read(data).image
    assert got.shape == (expected.shape if orientation > 1 else stored.shape)
    assert np.array_equal(got, expected)
    if kind != "JPEG" and orientation == 6:
        assert np.array_equal(got, np.rot90(stored, -1))


def test_a_broken_orientation_tag_is_passed_over() -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert np.array_equal(read(encoded(PHOTO, exif=exif)).image, PHOTO)


def test_sources_of_every_kind_agree(tmp_path: Path) -> None:
    data = encoded(PHOTO)
    path = tmp_path / "photo.wrong-ending.jpg"
    path.write_bytes(data)
    with path.open("rb") as file:
        frames = [read(path), read(str(path)), read(data), read(io.BytesIO(data)), read(file), read(PHOTO)]
    assert all(np.array_equal(frame.image, PHOTO) and frame.alpha is None for frame in frames)
    assert [frame.source for frame in frames] == [str(path), str(path), "<bytes>", "<stream>", str(path), "<array>"]
    assert frames[0].image.flags.writeable


def test_grey_bilevel_and_palette() -> None:
    grey = PHOTO[..., 0]
    assert np.array_equal(read(encoded(grey)).image, np.dstack([grey] * 3))
    assert np.array_equal(read(grey).image, np.dstack([grey] * 3))
    bits = Image.fromarray(grey > 80)
    assert np.array_equal(read(encoded(bits)).image[..., 1], np.where(grey > 80, 255, 0))
    palette = Image.fromarray(PHOTO).quantize(32)
    assert np.array_equal(read(encoded(palette)).image, np.asarray(palette.convert("RGB")))


def test_sixteen_bit_grey_is_scaled_by_its_full_range() -> None:
    dark = np.array([[0, 1, 256, 1000, 25700]], np.uint16)
    expected = [0, 0, 1, 4, 100]
    for data in (
        encoded(Image.fromarray(dark)),
        encoded(Image.fromarray(dark), "TIFF"),
        b"P5 5 1 65535\n" + dark.astype(">u2").tobytes(),
    ):
        assert read(data).image[0, :, 0].tolist() == expected
    assert read(encoded(Image.fromarray(np.full((2, 2), 65535, np.uint16)))).image.min() == 255


def test_sixteen_bit_colour_png() -> None:
    row = np.array([[0, 257, 65535], [25700, 51400, 128 * 257]], ">u2")
    assert read(png(2, 1, 16, 2, b"\0" + row.tobytes())).image.tolist() == [[[0, 1, 255], [100, 200, 128]]]


def test_thirty_two_bit_pictures_are_refused() -> None:
    for dtype, mode in ((np.float32, "F"), (np.int32, "I")):
        with pytest.raises(InputError, match=f"8 or 16 bits a channel, got 32 .mode {mode}"):
            read(encoded(Image.fromarray(np.ones((3, 3), dtype)), "TIFF"))


def test_transparency_is_kept_and_shown_on_white() -> None:
    alpha = np.full(PHOTO.shape[:2], 255, np.uint8)
    alpha[:20], alpha[20:40] = 0, 128
    for frame in (read(encoded(np.dstack([PHOTO, alpha]))), read(np.dstack([PHOTO, alpha]))):
        assert frame.alpha is not None
        assert np.array_equal(frame.alpha, alpha)
        assert (frame.image[:20] == 255).all()
        assert np.array_equal(frame.image[40:], PHOTO[40:])
        assert np.abs(frame.image[20:40] - (PHOTO[20:40] * (128 / 255) + 127)).max() <= 1
    assert read(encoded(np.dstack([PHOTO, np.full_like(alpha, 255)]))).alpha is None


@pytest.mark.parametrize("mode", ["LA", "L", "P"])
def test_other_ways_to_be_transparent(mode: str) -> None:
    alpha = np.where(np.arange(83) < 40, 0, 255) * np.ones((61, 1))
    shades = np.where(alpha == 0, 200, PHOTO[..., 0] // 2).astype(np.uint8)
    if mode == "LA":
        frame = read(encoded(np.dstack([shades, alpha.astype(np.uint8)])))
    elif mode == "L":
        frame = read(encoded(shades, transparency=200))
    else:
        frame = read(encoded(Image.fromarray(shades).convert("P"), "GIF", transparency=200))
    assert frame.alpha is not None
    assert np.array_equal(frame.alpha, alpha)
    assert (frame.image[:, :40] == 255).all()


def test_cmyk_and_inverted_adobe_jpeg() -> None:
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[..., 0], inks[..., 3] = 255, 51
    picture = Image.fromarray(inks, "CMYK")
    for data in (encoded(picture, "TIFF"), encoded(picture, "JPEG", quality=100)):
        # Cyan ink on white paper, a fifth of black over it.
        assert np.abs(read(data).image[8, 8].astype(int) - (0, 204, 204)).max() <= 3


def test_an_embedded_profile_is_brought_to_srgb() -> None:
    colour = np.full((8, 8, 3), (200, 50, 50), np.uint8)
    for kind in ("PNG", "JPEG", "WEBP", "TIFF"):
        options = {"quality": 100} if kind in ("JPEG", "WEBP") else {}
        got = read(encoded(colour, kind, icc_profile=DISPLAY_P3, **options)).image[4, 4]
        # Display P3 is wider than sRGB: the same red has more red and less green there.
        assert np.abs(got.astype(int) - (219, 14, 35)).max() <= 6, kind
    alpha = np.full((8, 8, 1), 255, np.uint8)
    alpha[0] = 0
    frame = read(encoded(np.dstack([colour, alpha]), icc_profile=DISPLAY_P3))
    assert frame.image[4, 4].tolist() == pytest.approx([219, 14, 35], abs=2)
    assert frame.alpha is not None
    assert np.array_equal(frame.alpha, alpha[..., 0])


def test_srgb_broken_and_wrong_profiles_change_nothing() -> None:
    for profile in (matrix_profile("sRGB built-in", ((1, 0, 0), (0, 1, 0), (0, 0, 1)), 1.0), b"junk", DISPLAY_P3[:200]):
        assert np.array_equal(read(encoded(PHOTO, icc_profile=profile)).image, PHOTO)
    grey = PHOTO[..., 0]
    assert np.array_equal(read(encoded(grey, icc_profile=DISPLAY_P3)).image[..., 0], grey)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_the_first_frame_of_many(kind: str) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    got = read(encoded(frames[0], kind, save_all=True, append_images=frames[1:])).image
    assert got.shape == (10, 20, 3)
    assert np.abs(got.astype(int) - (250, 0, 0)).max() <= 4


@pytest.mark.parametrize(("width", "height"), [(1, 1), (65535, 1), (1, 65535), (3, 2)])
def test_odd_sizes(width: int, height: int) -> None:
    rows = (b"\0" + b"\x20\x40\x80" * width) * height
    frame = read(png(width, height, 8, 2, rows))
    assert (frame.width, frame.height) == (width, height)
    assert (frame.image == (0x20, 0x40, 0x80)).all()


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bombs_are_refused_from_the_header() -> None:
    empty = zlib.compress(b"")
    bombs = [
        png(65535, 65535, 8, 2, b""),
        png(7212, 7212, 1, 0, b""),
        b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\0\0\0,\0\0\0\0" + struct.pack("<HH", 65535, 65535) + b"\0\2\0;",
        b"BM" + struct.pack("<IIIIiiHHIIIIII", 54, 0, 54, 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0),
        b"P6 60000 60000 255\n" + empty,
    ]
    for bomb in bombs:
        started = time.process_time()
        with pytest.raises(InputError, match="at most 52 megapixels, got"):
            read(bomb)
        assert time.process_time() - started < 0.2
    with pytest.raises(InputError, match=r"at most 0.001 megapixels, got 83x61 \(0.0\)"):
        read(encoded(PHOTO), max_pixels=1000)
    with pytest.raises(InputError, match="megapixels"):
        read(PHOTO, max_pixels=1000)


def test_files_over_the_byte_limit_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(300_000_000)
    with pytest.raises(InputError, match="at most 200 MB, got 300"):
        read(path)
    for source in (b"x" * 2000, io.BytesIO(b"x" * 2000)):
        with pytest.raises(InputError, match=r"at most 0.001 MB"):
            read(source, max_bytes=1000)


def test_a_progressive_jpeg_with_endless_scans_is_refused() -> None:
    data = encoded(Image.new("RGB", (4000, 3000), (90, 60, 30)), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    started = time.process_time()
    with pytest.raises(InputError, match="at most 41 scans"):
        read(data[:-2] + last * 5000 + b"\xff\xd9")
    assert time.process_time() - started < 1
    assert read(encoded(PHOTO, "JPEG", progressive=True)).width == 83


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_cut_short_at_many_points(kind: str) -> None:
    data = encoded(PHOTO, kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {}))
    whole = read(data).image
    failed = 0
    for cut in np.linspace(1, len(data) - 1, 40).astype(int):
        try:
            frame = read(data[:cut])
        except InputError as error:
            failed += "\n" not in str(error)
        else:
            # Only bytes that hold no pixels may be missing from a picture that is accepted.
            assert np.array_equal(frame.image, whole), cut
    assert failed >= 35


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "MPO", "AVIF"])
def test_flipped_bits_give_a_picture_or_one_line(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "AVIF") else {}
    options |= {"icc_profile": DISPLAY_P3} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}
    data = np.frombuffer(encoded(PHOTO, kind, **options), np.uint8)
    rng = np.random.default_rng(11)
    for _ in range(40):
        flipped = data.copy()
        # Half of the flips fall on the first 100 bytes, where the structure is.
        limit = len(data) if rng.random() < 0.5 else min(100, len(data))
        flipped[rng.integers(0, limit, rng.integers(1, 6))] ^= rng.integers(1, 256, dtype=np.uint8)
        started = time.process_time()
        message = ""
        try:
            assert read(flipped.tobytes()).image.dtype == np.uint8
        except InputError as error:
            message = str(error)
        assert "\n" not in message
        assert time.process_time() - started < 2


def test_what_is_no_picture_says_so(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("hello, world")
    (tmp_path / "empty.png").touch()
    cases = {
        tmp_path / "photo.jpg": "expected a picture .JPEG, PNG, .*, got 12 bytes that start with 'hello, world'",
        tmp_path / "empty.png": "expected a picture, got an empty file",
        tmp_path / "missing.png": "missing.png: no such file",
        tmp_path: "expected a picture file, got a folder",
        "https://user:secret@host/photo.jpg": "host/photo.jpg: expected a file, got an address",
        b"%PDF-1.7 ...": "a PDF document",
        b"\0\0\0\x18ftypheic....": "HEIC; save it as JPEG",
        b"P3 1 1 255 0 0 0": "got the text form",
        "zero\0byte": "a zero byte",
        "x" * 5000: "cannot be opened",
    }
    for source, message in cases.items():
        with pytest.raises(InputError, match=message) as caught:
            read(source)
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(InputError, match="a device or a pipe"):
        read(tmp_path / "pipe.jpg")


def test_wrong_objects_say_what_was_expected() -> None:
    for source in (np.zeros((4, 4, 3)), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(InputError, match="array: expected"):
            read(source)
    with pytest.raises(InputError, match="binary mode"):
        read(io.StringIO("text"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="got int"):
        read(7)  # type: ignore[call-overload]
    closed = io.BytesIO(b"x")
    closed.close()
    with pytest.raises(InputError, match="cannot be read"):
        read(closed)
