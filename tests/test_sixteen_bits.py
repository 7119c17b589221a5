"""Pictures of 16 bits in each channel come in with all of them, scaled so that 65535 is white."""

from __future__ import annotations

import io
import itertools
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, TiffImagePlugin
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
    where = {"tile": (16, 16)} if tiled else {"rowsperstrip": 7}
    data = tiff(apart, byteorder=order, compression="zlib", planarconfig="separate", **where)
    expect(data, picture)


def test_every_layout_of_a_tiff_is_read_alike() -> None:
    pytest.importorskip("tifffile")
    picture = values(45, 70, 4)
    layouts = itertools.product("<>", (None, "zlib"), (0, 1), ("contig", "separate"), (0, 1))
    for order, compression, predictor, planar, tiled in layouts:
        if predictor and compression is None:
            continue
        stored = picture if planar == "contig" else picture.transpose(2, 0, 1)
        where = {"tile": (16, 32)} if tiled else {"rowsperstrip": 7}
        options = {"compression": compression, "predictor": bool(predictor), **where}
        options |= {"extrasamples": ["unassalpha"], "planarconfig": planar, "byteorder": order}
        expect(tiff(stored, **options), picture)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "zstd"])
def test_what_pillow_unpacks_for_tifffile_keeps_sixteen_bits(compression: str) -> None:
    """Greys that Pillow wrote, three to a pixel, taken for colours."""
    pytest.importorskip("tifffile")
    picture = values(40, 33, 3)
    stream = io.BytesIO()
    greys = Image.fromarray(picture.reshape(40, -1))
    try:
        greys.save(stream, "TIFF", compression=compression, strip_size=7 * 6 * 33)
    except OSError:
        pytest.skip(f"this Pillow has no {compression}")
    old = TiffImagePlugin.TiffImageFile(io.BytesIO(stream.getvalue())).tag_v2
    directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\x08\0\0\0")
    for tag in (257, 259, 278, 279):
        directory.tagtype[tag], directory[tag] = 4, old[tag]
    for tag, value in {256: 33, 258: (16, 16, 16), 262: 2, 277: 3}.items():
        directory[tag] = value
    places = old[273]
    directory.tagtype[273], directory[273] = 4, tuple(place - places[0] for place in places)
    assert len(places) == 6
    data = b"II*\0\x08\0\0\0" + directory.tobytes(8) + stream.getvalue()[places[0] :]
    expect(data, picture)


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_premultiplied_alpha_is_divided_out(bits: int) -> None:
    """Of 8 bits by Pillow, of more by tifffile."""
    alpha = np.linspace(0, 1, 12)[:, None, None] * np.ones((12, 9, 1))
    color = np.random.default_rng(3).random((12, 9, 3))
    stored = np.concatenate((color * alpha, alpha), -1)
    levels = stored.astype(np.float32)
    if bits < 32:
        levels = np.rint(stored * (2**bits - 1)).astype(f"u{bits // 8}")
    picture = load_image(tiff(levels, extrasamples=["assocalpha"]), keep_alpha=True)
    assert picture.alpha is not None
    np.testing.assert_allclose(picture.alpha[0], alpha[..., 0], atol=0.6 / 255)
    found = picture.rgb.permute(1, 2, 0).numpy()
    most = {8: 8 / 255, 16: 0.001, 32: 1e-5}[bits]
    assert np.abs(found - color)[1:].max() <= most


def of_floats(values: np.ndarray, order: str) -> bytes:
    """Rows as predictor 3 stores them: all first bytes of the numbers, then all second ones; of these the differences."""
    height, width, channels = values.shape
    item = values.dtype.itemsize
    data = values.astype(values.dtype.newbyteorder(">")).reshape(height, -1)
    planes = data.view(np.uint8).reshape(height, -1, item).transpose(0, 2, 1)
    planes = planes.reshape(height, -1, channels).astype(int)
    differences = np.diff(planes, axis=1, prepend=0).astype(np.uint8)
    packed = zlib.compress(differences.tobytes())
    depths, kinds = (8 * item,) * channels, (3,) * channels
    start = b"II*\0\x08\0\0\0" if order == "<" else b"MM\0*\0\0\0\x08"
    directory = TiffImagePlugin.ImageFileDirectory_v2(start)
    tags = {256: width, 257: height, 258: depths, 259: 8, 262: 2, 273: 0, 277: channels}
    for tag, value in {**tags, 278: height, 279: len(packed), 317: 3, 339: kinds}.items():
        directory.tagtype[tag] = 4 if tag in (273, 279) else 3
        directory[tag] = value
    return start + directory.tobytes(8) + packed


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["plain", "packed", "half", "double", "predictor"])
def test_a_tiff_of_floating_point_colours_is_read(kind: str, order: str) -> None:
    picture = np.random.default_rng(1).random((15, 11, 3), np.float32)
    picture = picture.astype({"half": np.float16, "double": np.float64}.get(kind, np.float32))
    if kind == "predictor":
        pytest.importorskip("tifffile")
        data = of_floats(picture, order)
    else:
        packing = {"compression": "zlib", "rowsperstrip": 4} if kind == "packed" else {}
        data = tiff(picture, byteorder=order, **packing)
    found = load_image(data, name="photo.tif").rgb.permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, picture, atol=1e-7)


def test_floating_point_colours_beyond_white_are_told() -> None:
    data = tiff(np.full((16, 16, 3), 1.5, np.float32))
    with pytest.raises(ValueError, match=r"photo\.tif has floating point values from 1\.5 to 1\.5"):
        load_image(data, name="photo.tif")


def test_without_tifffile_the_usual_tiffs_are_read_and_the_rest_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    picture = values(24, 20, 3)
    usual = [tiff(picture, rowsperstrip=4), tiff(picture, byteorder=">", compression="zlib")]
    apart = picture.transpose(2, 0, 1)
    coarse = tiff(apart, planarconfig="separate", compression="zlib", rowsperstrip=4)
    rest = [
        tiff(picture.astype(np.float32) / 65535),
        tiff(apart, planarconfig="separate"),
    ]
    monkeypatch.setitem(sys.modules, "tifffile", None)
    for data in usual:
        expect(data, picture)
    expect(coarse, picture, tolerance=1 / 255)  # as 8 bits
    for data in rest:
        with pytest.raises(ValueError, match=r"pip install 'hfstyle\[tiff\]'; or save it as"):
            load_image(data)
    (tmp_path / "a.tif").write_bytes(usual[0])
    pipe = StyleTransferPipeline(small_generator())
    pipe.paint_file(tmp_path / "a.tif", tmp_path / "b.png", Image.new("RGB", (64, 64)), 0.0)
    with Image.open(tmp_path / "b.png") as painted:
        np.testing.assert_allclose(np.asarray(painted) / 255, picture / 65535, atol=0.51 / 255)


def test_a_tiff_that_tifffile_reads_keeps_what_it_says_of_itself(tmp_path: Path) -> None:
    pytest.importorskip("tifffile")
    colors = np.random.default_rng(5).random((40, 30, 3), np.float32)
    stream = io.BytesIO(tiff(colors, resolution=(300, 300), resolutionunit=2, extratags=[(274, 3, 1, 6, True), (315, 2, 0, "Berthe", True)]))  # fmt: skip
    loaded = load_image(stream)
    assert loaded.size == (30, 40)
    np.testing.assert_allclose(loaded.rgb[:, 0], colors[::-1, 0].T, atol=1e-7)
    assert loaded.resolution == (300, 300)
    assert loaded.exif is not None
    assert b"Berthe" in loaded.exif


@pytest.mark.parametrize("place", [5, 8, 2**31])
def test_broken_metadata_do_not_cost_a_deep_tiff(place: int) -> None:
    """A directory of EXIF data that is no directory, that is the picture's own, and that lies behind the file's end."""
    picture = values(16, 16, 3)
    expect(tiff(picture, extratags=[(34665, 4, 1, place, True), (34853, 4, 1, place, True)]), picture)  # fmt: skip


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


@pytest.mark.parametrize(
    ("bits", "kind"), [(10, "colour"), (12, "colour"), (12, "grey"), (12, "tensor")]
)
def test_photos_of_ten_or_twelve_bits_in_sixteen_are_not_dark(
    bits: int, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    white = 2**bits - 1
    ramp = np.linspace(0, white, 64 * 64).astype(np.uint16).reshape(64, 64)
    given: Any = png(np.stack([ramp] * 3, -1)) if kind == "colour" else png(ramp[..., None])
    given = torch.from_numpy(ramp)[None] if kind == "tensor" else given
    found = load_image(given).rgb[0].numpy()
    np.testing.assert_allclose(found, ramp / white, atol=1e-6)
    assert f"{white} is taken to be white" in caplog.text
