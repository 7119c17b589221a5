"""Pictures of 16 bits in each channel come in with all of them, scaled so that 65535 is white."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from small_model import small_generator

from hfstyle import StyleTransferPipeline, load_image

KINDS = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> PNG's colour type


def values(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    """(H, W, C) uint16, smooth enough that PNG's filters differ from nothing, with both extremes."""
    random = np.random.default_rng(seed)
    steps = random.integers(-700, 900, (height, width, channels)).cumsum(0).cumsum(1)
    picture = (steps % 65536).astype(np.uint16)
    picture[0, 0], picture[-1, -1] = 0, 65535
    return picture


def chunk(tag: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))


def filtered(picture: np.ndarray, kind: int | None = None) -> bytes:
    """Rows of a PNG; row i with filter i modulo 5, or all with one."""
    height, _, channels = picture.shape
    raw = np.frombuffer(picture.astype(">u2").tobytes(), np.uint8).reshape(height, -1).astype(int)
    step = 2 * channels
    rows = b""
    for i, row in enumerate(raw):
        up = raw[i - 1] if i else np.zeros_like(row)
        left, corner = (np.concatenate((np.zeros(step, int), r[:-step])) for r in (row, up))
        guess = left + up - corner
        ways = np.stack([abs(guess - left), abs(guess - up), abs(guess - corner)])
        paeth = np.choose(ways.argmin(0), [left, up, corner])
        taken = [0, left, up, (left + up) // 2, paeth]
        number = i % 5 if kind is None else kind
        rows += bytes([number]) + ((row - taken[number]) % 256).astype(np.uint8).tobytes()
    return rows


def png(
    picture: np.ndarray, *, interlaced: bool = False, more: bytes = b"", kind: int | None = None
) -> bytes:
    height, width, channels = picture.shape
    header = struct.pack(">IIBBBBB", width, height, 16, KINDS[channels], 0, 0, interlaced)
    passes = [picture]
    if interlaced:  # Adam7
        starts = (
            (0, 0, 8, 8),
            (0, 4, 8, 8),
            (4, 0, 8, 4),
            (0, 2, 4, 4),
            (2, 0, 4, 2),
            (0, 1, 2, 2),
        )
        passes = [picture[y::dy, x::dx] for y, x, dy, dx in (*starts, (1, 0, 2, 1))]
    rows = b"".join(filtered(part, kind) for part in passes if part.size)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more
    return data + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(picture: np.ndarray, **options: Any) -> bytes:
    tifffile = pytest.importorskip("tifffile")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, picture, **{"photometric": "rgb", "metadata": None, **options})
    return buffer.getvalue()


def expect(source: bytes, picture: np.ndarray, tolerance: float = 1e-7) -> None:
    """That the file holds these values."""
    loaded = load_image(source, keep_alpha=True)
    colors = 1 if picture.shape[2] <= 2 else 3
    expected = torch.from_numpy(picture.astype(np.float32) / 65535).permute(2, 0, 1)
    difference = (loaded.rgb - expected[:colors]).abs()
    assert difference.max() <= tolerance, f"up to {255 * difference.max():.2f} of 255"
    assert (loaded.alpha is None) == (picture.shape[2] in (1, 3))
    if loaded.alpha is not None:
        assert (loaded.alpha - expected[colors:]).abs().max() <= tolerance


@pytest.mark.parametrize(("channels", "interlaced"), [(1, False), (3, True), (4, True)])
def test_a_png_keeps_sixteen_bits(channels: int, interlaced: bool) -> None:
    picture = values(13, 11, channels)
    expect(png(picture, interlaced=interlaced), picture)


@pytest.mark.parametrize(
    ("channels", "order", "planar"),
    [(3, "<", "contig"), (4, ">", "contig"), (3, ">", "separate")],
)
def test_a_tiff_keeps_sixteen_bits(channels: int, order: str, planar: str) -> None:
    picture = values(9, 14, channels)
    extra = ["unassalpha"] if channels == 4 else []
    stored = picture if planar == "contig" else picture.transpose(2, 0, 1)
    options = {"byteorder": order, "planarconfig": planar, "extrasamples": extra}
    expect(tiff(stored, rowsperstrip=4, **options), picture)


@pytest.mark.parametrize(("order", "tiled"), [("<", True), (">", False)])
def test_a_compressed_tiff_keeps_sixteen_bits(order: str, tiled: bool) -> None:
    picture = values(40, 33, 3)
    where = {"tile": (16, 16)} if tiled else {"rowsperstrip": 7}
    data = tiff(picture, byteorder=order, compression="zlib", **where)
    expect(data, picture)
    apart = picture.transpose(2, 0, 1)
    data = tiff(apart, byteorder=order, compression="zlib", planarconfig="separate", rowsperstrip=7)
    expect(data, picture, tolerance=1 / 255)  # as 8 bits


def test_a_grey_tiff_keeps_sixteen_bits() -> None:
    picture = values(8, 9, 1)
    for order in "<>":
        expect(tiff(picture[..., 0], photometric="minisblack", byteorder=order), picture)


def test_a_compact_picture_keeps_sixteen_bits() -> None:
    gradient = np.linspace(0, 65535, 3 * 400).astype(np.uint16).reshape(20, 20, 3)
    picture = load_image(png(gradient), compact=True)
    assert picture.rgb.dtype == torch.float32
    assert picture.rgb.unique().numel() == gradient.size


def test_a_transparent_colour_is_that_colour_alone() -> None:
    picture = values(6, 7, 3)
    picture[2:4] = (1000, 40_000, 7)
    picture[3] += np.uint16(1)  # the same higher bytes
    key = chunk(b"tRNS", struct.pack(">HHH", 1000, 40_000, 7))
    alpha = load_image(png(picture, more=key), keep_alpha=True).alpha
    assert alpha is not None
    assert alpha[0, 2].eq(0).all()
    assert alpha[0, [0, 1, 3, 4, 5]].eq(1).all()


def test_an_srgb_profile_costs_no_precision_and_others_are_converted_in_8_bits() -> None:
    picture = values(12, 12, 3)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    expect(png(picture, more=chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))), picture)
    swapped = profile.replace(b"rXYZ", b"....").replace(b"gXYZ", b"rXYZ").replace(b"....", b"gXYZ")
    data = png(picture, more=chunk(b"iCCP", b"p\0\0" + zlib.compress(swapped)))
    expect(data, picture[:, :, [1, 0, 2]], tolerance=1.01 / 255)


def test_inks_of_sixteen_bits_are_converted_as_those_of_8() -> None:
    inks = values(10, 10, 4)
    deep = load_image(tiff(inks, photometric="separated"))
    coarse = np.round(inks / 257).astype(np.uint8)
    plain = load_image(Image.frombytes("CMYK", (10, 10), coarse.tobytes()))
    assert torch.equal(deep.rgb, plain.rgb)


def test_what_is_cut_off_is_an_error() -> None:
    data = png(values(30, 30, 3))
    with pytest.raises(ValueError, match="truncated or damaged"):
        load_image(data[: len(data) * 2 // 3])


@pytest.mark.parametrize(
    "way",
    ["grey tiff", "grey and alpha", "colour", "tensor", "rows"],
)
def test_numbers_that_nobody_scaled_have_255_as_white(
    way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """0 to 255 in 16 bits: black with 65535 as white, which is hardly ever meant."""
    ramp = np.arange(64 * 64).reshape(64, 64) % 256
    for levels, warned in ((ramp, True), (257 * ramp, False)):
        caplog.clear()
        grey = levels.astype(np.uint16)
        file = tmp_path / f"a.{'tif' if 'tiff' in way else 'png'}"
        channels = (
            [grey] * 3 if "colour" in way else [grey, 65535 - 0 * grey] if "and" in way else [grey]
        )
        pixels = np.stack(channels, -1)
        if "tiff" in way:
            kind = "rgb" if len(channels) == 3 else "minisblack"
            file.write_bytes(tiff(pixels.squeeze(), photometric=kind))
        else:
            file.write_bytes(png(pixels))
        if way == "rows":
            pipe = StyleTransferPipeline(small_generator())
            pipe.paint_file(file, tmp_path / "b.png", Image.new("RGB", (64, 64)), 0.0)
            with Image.open(tmp_path / "b.png") as painted:
                found = np.asarray(painted.convert("L")) / 255
        else:
            given: Any = {"array": grey, "tensor": torch.from_numpy(grey)[None]}.get(way, file)
            picture = load_image(given, keep_alpha=True)
            assert picture.alpha is None or bool(picture.alpha.eq(1).all())
            found = picture.rgb[0].numpy()
        np.testing.assert_allclose(found, ramp / 255, atol=1e-6 if way != "rows" else 0.6 / 255)
        told = [record.getMessage() for record in caplog.records]
        assert any("255 is taken to be white" in text for text in told) == warned
