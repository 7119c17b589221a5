"""Colours that a file describes by numbers: PNG's cICP, sRGB, gAMA and cHRM, nclx of AVIF and HEIC, EXIF's Adobe RGB."""

from __future__ import annotations

import io
import logging
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, features
from small_model import small_generator

from hfstyle import StyleTransferPipeline
from hfstyle.images import load_image

P3, BT2020, BT709, SRGB_CURVE, PQ, HLG, LINEAR = 12, 9, 1, 13, 16, 18, 8
COLORS = np.array([[[200, 100, 50], [40, 180, 90], [128, 128, 128], [255, 255, 255]]], np.uint8)


def chunk(tag: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))


def png(pixels: np.ndarray, *chunks: bytes) -> bytes:
    """(H, W, 1 or 3) of 8 or 16 bits, with chunks before the pixels."""
    height, width, channels = pixels.shape
    depth = 8 * pixels.dtype.itemsize
    header = struct.pack(">IIBBBBB", width, height, depth, 2 if channels == 3 else 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in pixels)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks)
    return data + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def cicp(primaries: int, transfer: int) -> bytes:
    return chunk(b"cICP", bytes([primaries, transfer, 0, 1]))


def gama(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def chrm(*points: float) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(p * 100_000) for p in points)))


P3_POINTS = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def loaded(data: bytes) -> np.ndarray:
    return (load_image(data).rgb * 255).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("gamma", [None, 1.0])
def test_a_tiff_says_its_colors_in_tags(gamma: float | None, tmp_path: Path) -> None:
    tags: dict[int, object] = {318: P3_POINTS[:2], 319: P3_POINTS[2:]}
    if gamma is not None:
        tags[301] = tuple(round(65535 * (i / 255) ** gamma) for i in range(256)) * 3
    pixels = COLORS.repeat(20, 0).repeat(8, 1)
    file = tmp_path / "a.tif"
    Image.fromarray(pixels).save(file, tiffinfo=tags)
    curve = chrm(*P3_POINTS) + (b"" if gamma is None else gama(1 / gamma))
    expected = loaded(png(pixels, curve))
    assert np.abs(loaded(file.read_bytes()) - expected).max() < 1
    assert np.abs(expected - pixels).max() > 5
    pipe = StyleTransferPipeline(small_generator())
    pipe.paint_file(file, tmp_path / "b.png", pixels, 0.0)
    with Image.open(tmp_path / "b.png") as painted:
        assert np.abs(np.asarray(painted) - expected).max() < 1


@pytest.mark.parametrize("way", ["path", "loaded", "stream", "later"])
def test_a_pillow_image_has_the_colors_of_its_file(way: str, tmp_path: Path) -> None:
    data = png(COLORS, cicp(P3, SRGB_CURVE))
    (tmp_path / "p3.png").write_bytes(data)
    image = Image.open(io.BytesIO(data) if way == "stream" else tmp_path / "p3.png")
    if way == "loaded":
        image.load()
    if way == "later":  # Pillow reads on where it was
        image.getexif()
    levels = (load_image(image).rgb * 255).permute(1, 2, 0).numpy()
    assert np.abs(levels - p3_as_srgb(COLORS)).max() < 1
    assert np.array_equal(levels, loaded(data))
    assert not np.array_equal(levels, COLORS)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_a_pillow_image_of_avif_has_the_colors_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "a.avif"
    Image.fromarray(np.repeat(np.repeat(COLORS, 16, 0), 16, 1)).save(file, quality=100)
    data = file.read_bytes()
    at = data.index(b"nclx") + 4
    file.write_bytes(data[:at] + struct.pack(">HH", P3, SRGB_CURVE) + data[at + 4 :])
    assert np.array_equal(load_image(Image.open(file)).rgb, load_image(file).rgb)
    assert not np.array_equal(load_image(Image.open(file)).rgb, load_image(bare_pixels(file)).rgb)


def bare_pixels(file: Path) -> Image.Image:
    """Without what the file says of them."""
    return Image.open(file).convert("RGB")


def p3_as_srgb(levels: np.ndarray) -> np.ndarray:
    """By the published matrix of CSS Color 4, rather than by ours."""
    x = levels / 255
    light = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    matrix = [[1.2249401, -0.2249404, 0], [-0.0420569, 1.0420571, 0], [-0.0196376, -0.0786361, 1.0982735]]  # fmt: skip
    light = np.clip(light @ np.array(matrix).T, 0, 1)
    return 255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def test_display_p3_by_cicp_is_converted() -> None:
    np.testing.assert_allclose(
        loaded(png(COLORS, cicp(P3, SRGB_CURVE))), p3_as_srgb(COLORS), atol=1
    )


def test_sixteen_bits_keep_their_precision() -> None:
    deep = COLORS.astype(np.uint16) * 257
    found = loaded(png(deep, cicp(P3, SRGB_CURVE)))
    np.testing.assert_allclose(found, p3_as_srgb(COLORS), atol=0.02)


def test_cicp_comes_before_a_profile_and_a_profile_before_the_rest() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    icc = chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))
    wide = loaded(png(COLORS, cicp(P3, SRGB_CURVE), icc))
    np.testing.assert_allclose(wide, p3_as_srgb(COLORS), atol=1)
    assert np.array_equal(loaded(png(COLORS, icc, gama(1.0))), COLORS)
    srgb = chunk(b"sRGB", b"\0")
    assert np.array_equal(loaded(png(COLORS, srgb, gama(1.0), chrm(*P3_POINTS))), COLORS)


def test_gamma_and_chromaticities_are_converted() -> None:
    linear = loaded(png(np.full((1, 1, 3), 55, np.uint8), gama(1.0)))
    np.testing.assert_allclose(linear, 128, atol=1)
    grey = loaded(png(np.full((1, 1, 1), 55, np.uint8), gama(1.0)))
    np.testing.assert_allclose(grey, 128, atol=1)
    wide = loaded(png(COLORS, gama(0.45455), chrm(*P3_POINTS)))
    np.testing.assert_allclose(wide, p3_as_srgb(COLORS), atol=1)
    assert np.array_equal(loaded(png(COLORS, gama(0.45455))), COLORS)
    assert np.array_equal(loaded(png(COLORS, chrm(*[0.0] * 8))), COLORS)


def test_a_pillow_image_of_such_a_file_is_converted() -> None:
    image = Image.open(io.BytesIO(png(np.full((1, 1, 3), 55, np.uint8), gama(1.0))))
    np.testing.assert_allclose(load_image(image).rgb * 255, 128, atol=1)


@pytest.mark.parametrize(("transfer", "white"), [(PQ, 0.58069), (HLG, 0.75)])
def test_a_picture_of_high_dynamic_range_has_its_white_near_white(
    transfer: int, white: float
) -> None:
    ramp = np.round(np.array([0, white / 2, white, 1.0]) * 65535).astype(np.uint16)
    found = loaded(png(np.repeat(ramp[None, :, None], 3, 2), cicp(BT2020, transfer)))[0, :, 0]
    assert found[0] == 0
    assert 20 < found[1] < 190
    assert 215 < found[2] < 252
    assert found[2] < found[3] <= 255


def test_unknown_numbers_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(loaded(png(COLORS, cicp(77, 13))), COLORS)
    assert "primaries 77" in caplog.text


def with_nclx(data: bytes, primaries: int, transfer: int) -> bytes:
    """An AVIF or HEIC file whose box nclx says other colours."""
    place = data.index(b"nclx")
    return data[: place + 4] + struct.pack(">HH", primaries, transfer) + data[place + 8 :]


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_an_avif_with_display_p3_is_converted() -> None:
    picture, stream = np.repeat(np.repeat(COLORS, 16, 0), 16, 1), io.BytesIO()
    Image.fromarray(picture).save(stream, "AVIF", quality=100, subsampling="4:4:4")
    data = stream.getvalue()
    plain = loaded(data)
    wide = loaded(with_nclx(data, P3, SRGB_CURVE))
    np.testing.assert_allclose(wide, p3_as_srgb(plain.round()), atol=1.5)
    assert abs(wide - plain).max() > 10
    assert not np.allclose(loaded(with_nclx(data, BT2020, PQ)), plain, atol=10)


def test_a_heic_with_display_p3_is_converted() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    picture, stream = np.repeat(np.repeat(COLORS, 16, 0), 16, 1), io.BytesIO()
    heif = pillow_heif.from_pillow(Image.fromarray(picture))
    heif.save(stream, quality=-1, matrix_coefficients=0, color_primaries=P3, transfer_characteristics=13)  # fmt: skip
    if b"nclx" not in stream.getvalue():
        pytest.skip("this encoder writes no nclx")
    np.testing.assert_allclose(
        loaded(stream.getvalue())[8::16, 8::16][:1], p3_as_srgb(COLORS), atol=3
    )


def test_adobe_rgb_named_by_exif_is_converted_and_an_unknown_space_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    picture = Image.new("RGB", (32, 32), (100, 180, 60))

    def data(space: int, index: str | None) -> bytes:
        exif, stream = Image.Exif(), io.BytesIO()
        inner: dict[int, object] = {ExifTags.Base.ColorSpace: space}
        if index is not None:
            inner[ExifTags.IFD.Interop] = {1: index}
        exif[ExifTags.IFD.Exif] = inner
        picture.save(stream, "JPEG", quality=100, exif=exif)
        return stream.getvalue()

    plain = loaded(data(1, None))[0, 0]
    for file in (data(2, None), data(65535, "R03")):
        red, green, blue = loaded(file)[0, 0]
        assert red < plain[0] - 20  # the wider space's green is greener
        assert abs(green - plain[1]) < 3
        assert blue < plain[2]
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(loaded(data(65535, None))[0, 0], plain)
    assert "not sRGB" in caplog.text


def test_painting_from_file_to_file_sees_the_same_colours(tmp_path: Path) -> None:
    picture = np.repeat(np.repeat(COLORS, 20, 0), 10, 1)
    photo = tmp_path / "photo.png"
    photo.write_bytes(png(picture, cicp(P3, SRGB_CURVE)))
    pipe = StyleTransferPipeline.from_pretrained()
    whole = pipe(photo, "comic").images[0]
    by_rows = Image.open(pipe.paint_file(photo, tmp_path / "out.png", "comic"))
    difference = np.asarray(whole).astype(int) - np.asarray(by_rows)
    assert abs(difference).max() <= 1
