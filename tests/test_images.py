"""Pictures in and out: every mode, orientation and fault a user's file may have."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, ImageOps, features

from hfstyle.images import ImageError, list_images, load_image, resize, save_image, to_pil
from hfstyle.images import pixels as pixels_module
from hfstyle.images.geometry import crop_back, pad_to_multiple
from hfstyle.images.save import to_numpy

pytestmark = pytest.mark.filterwarnings("ignore:Corrupt EXIF|Truncated File:UserWarning")


def noise(height: int = 13, width: int = 17, channels: int = 3, seed: int = 0) -> np.ndarray:
    """(H, W, C) uint8"""
    shape = (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def smooth(height: int = 48, width: int = 64) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (height + width)], -1)
    return Image.fromarray(rgb.astype(np.uint8))


def encoded(image: Image.Image, format_name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, kind: int, rows: bytes, trns: bytes = b"") -> bytes:
    """A PNG by hand, for what Pillow cannot write. Each row of `rows` starts with a filter byte 0."""

    def chunk(tag: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    data += chunk(b"tRNS", trns) if trns else b""
    return data + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def icc_profile(space: bytes, tags: dict[bytes, bytes], pcs: bytes = b"XYZ ") -> bytes:
    """A minimal version 2 ICC profile."""
    offset, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for tag, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += struct.pack(">4sII", tag, offset + len(body), len(data))
        body += data
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    header = struct.pack(">I4sI4s4s4s12s4s", offset + len(body), b"none", 0x02400000, kind, space,
                         pcs, b"\0" * 12, b"acsp")  # fmt: skip
    header += b"\0" * 28 + struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)  # illuminant D50
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">iii", *(round(v * 65536) for v in values))


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


RED, GREEN, BLUE = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
SWAPPED = icc_profile(  # what it calls red is blue, and the reverse
    b"RGB ",
    {b"rXYZ": xyz(*BLUE), b"gXYZ": xyz(*GREEN), b"bXYZ": xyz(*RED)}
    | {b"wtpt": xyz(0.9642, 1, 0.8249)}
    | {tag: gamma(2.2) for tag in (b"rTRC", b"gTRC", b"bTRC")},
)
LINEAR_GREY = icc_profile(b"GRAY", {b"wtpt": xyz(0.9642, 1, 0.8249), b"kTRC": gamma(1.0)})


def green_ink() -> bytes:
    """A CMYK profile whose "cyan" is a dark green on white paper; the other inks are invisible."""
    ramp = bytes(range(256))
    nodes = b"".join(
        bytes([round(2.55 * 40), 128 - 40, 128 + 30]) if node & 8 else bytes([255, 128, 128])
        for node in range(16)
    )
    identity = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + nodes + ramp * 3
    return icc_profile(b"CMYK", {b"wtpt": xyz(0.9642, 1, 0.8249), b"A2B0": lut}, pcs=b"Lab ")


def levels(x: torch.Tensor) -> np.ndarray:
    """(C, H, W) float to (H, W, C) of 0 ... 255."""
    return (x * 255).round().permute(1, 2, 0).numpy().astype(int)


# What comes in


def test_a_picture_is_rgb_float32_in_0_to_1(tmp_path: Path) -> None:
    pixels = noise()
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    picture = load_image(path)
    assert picture.rgb.dtype == torch.float32
    assert picture.rgb.shape == (3, 13, 17)
    assert picture.rgb.is_contiguous()
    assert picture.size == (13, 17)
    assert picture.alpha is None
    assert picture.name == str(path)
    np.testing.assert_array_equal(levels(picture.rgb), pixels)


def test_every_kind_of_source_gives_the_same_picture(tmp_path: Path) -> None:
    pixels = noise()
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    data = path.read_bytes()
    read_end, write_end = os.pipe()
    os.write(write_end, data)
    os.close(write_end)
    expected = load_image(path).rgb
    with path.open("rb") as file, os.fdopen(read_end, "rb") as pipe:
        file.seek(7)  # whoever looked at the header first
        sources = [str(path), data, file, pipe, io.BytesIO(data), Image.open(path), pixels]
        sources += [pixels.astype(np.uint16) * 257, pixels / 255, (pixels / 255).astype(">f4")]
        sources += [
            pixels[None],
            torch.from_numpy(pixels).permute(2, 0, 1),
            expected,
            expected[None],
        ]
        sources += [expected.double(), expected.clone().requires_grad_()]
        for source in sources:
            torch.testing.assert_close(load_image(source).rgb, expected, rtol=0, atol=1e-6)


def test_what_is_loaded_shares_no_memory_with_its_source() -> None:
    array, tensor = np.zeros((4, 4, 3), np.float32), torch.zeros(3, 4, 4)
    from_array, from_tensor = load_image(array), load_image(tensor)
    array += 1
    tensor += 1
    assert not from_array.rgb.any()
    assert not from_tensor.rgb.any()


def test_half_precision_tensors_load_as_float32() -> None:
    x = torch.rand(3, 5, 6).bfloat16()
    assert torch.equal(load_image(x).rgb, x.float())


def test_rounding_errors_are_clipped_but_another_range_is_refused() -> None:
    assert load_image(np.full((2, 2, 3), 1 + 1e-6)).rgb.max() == 1
    for wrong in (1.01, -0.01, 255.0):
        with pytest.raises(ImageError, match=r"expected \[0, 1\]"):
            load_image(np.full((2, 2, 3), wrong))


@pytest.mark.parametrize("source", ["JPEG", "memory", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(source: str) -> None:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        exif[ExifTags.Base.Artist] = "Berthe"
        options = {"lossless": True} if source == "WEBP" else {}
        data = encoded(smooth(), "PNG" if source == "memory" else source, exif=exif, **options)
        plain = Image.open(io.BytesIO(data))
        picture = load_image(Image.open(io.BytesIO(data)) if source == "memory" else data)
        upright = np.asarray(ImageOps.exif_transpose(plain))
        np.testing.assert_array_equal(levels(picture.rgb), upright)
        assert picture.exif is not None
        kept = Image.Exif()
        kept.load(picture.exif)
        assert dict(kept) == {ExifTags.Base.Artist: "Berthe"}


@pytest.mark.parametrize("mode", ["P", "CMYK", "I;16"])
def test_orientation_works_in_every_mode(mode: str) -> None:
    image = smooth(6, 9).convert("F" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray((np.asarray(image) * 257).astype(np.uint16))
    upright = load_image(image.transpose(Image.Transpose.ROTATE_270)).rgb
    image.getexif()[ExifTags.Base.Orientation] = 6
    assert torch.equal(load_image(image).rgb, upright)


def test_broken_exif_data_does_not_cost_the_picture() -> None:
    for block in (b"Exif\0\0junk", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0"):
        assert load_image(encoded(smooth(), "JPEG", exif=block)).size == (48, 64)


def test_kept_exif_has_no_thumbnail_makers_notes_or_file_layout() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Copyright] = "CC0"
    exif[ExifTags.Base.StripOffsets] = 8
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.ExposureTime: 0.5,
        ExifTags.Base.MakerNote: b"secret",
        ExifTags.Base.ColorSpace: 65535,
        ExifTags.Base.ExifImageWidth: 64,
    }
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    private = load_image(encoded(smooth(), "JPEG", exif=exif)).exif
    assert private is not None
    without = Image.Exif()
    without.load(private)
    assert without[ExifTags.Base.Copyright] == "CC0"
    assert not without.get_ifd(ExifTags.IFD.GPSInfo)
    block = load_image(encoded(smooth(), "JPEG", exif=exif), keep_place=True).exif
    assert block is not None
    assert b"secret" not in block
    kept = Image.Exif()
    kept.load(block)
    assert kept[ExifTags.Base.Copyright] == "CC0"
    assert ExifTags.Base.StripOffsets not in kept
    assert set(kept.get_ifd(ExifTags.IFD.Exif)) == {
        ExifTags.Base.ExposureTime,
        ExifTags.Base.ColorSpace,
    }
    assert kept.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] == 1
    assert kept.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
    assert load_image(encoded(smooth(), "JPEG")).exif is None


# Alpha


def test_alpha_is_flattened_over_white_or_another_colour_or_kept() -> None:
    rgba = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 51]]], np.uint8)
    for source in (Image.fromarray(rgba), rgba, torch.from_numpy(rgba).permute(2, 0, 1)):
        flat = levels(load_image(source).rgb)
        assert flat.tolist() == [[[200, 100, 0], [255, 255, 255], [244, 224, 204]]]
        over_green = levels(load_image(source, background=(0, 1, 0)).rgb)
        assert over_green.tolist() == [[[200, 100, 0], [0, 255, 0], [40, 224, 0]]]
        kept = load_image(source, keep_alpha=True)
        assert kept.alpha is not None
        assert kept.alpha.shape == (1, 1, 3)
        assert levels(kept.alpha).ravel().tolist() == [255, 0, 51]
        assert levels(kept.rgb).tolist() == [[[200, 100, 0]] * 3]


def test_the_most_opaque_alpha_changes_no_colour() -> None:
    rgba = noise(channels=4)
    rgba[:, :, 3] = 255
    np.testing.assert_array_equal(levels(load_image(rgba).rgb), rgba[:, :, :3])


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBa"])
def test_less_common_alpha_modes(mode: str) -> None:
    grey, alpha = Image.new("L", (2, 1), 90), Image.frombytes("L", (2, 1), bytes([255, 0]))
    if mode == "PA":
        image = Image.frombytes("PA", (2, 1), bytes([1, 255, 1, 0]))
        image.putpalette([0, 0, 0, 90, 90, 90])
    elif mode == "RGBa":
        image = Image.merge("RGBA", (grey, grey, grey, alpha)).convert(mode)
    else:
        image = Image.merge("LA", (grey, alpha)).convert(mode)
    picture = load_image(image, keep_alpha=True)
    assert picture.alpha is not None
    assert picture.alpha.ravel().tolist() == [1, 0]
    assert levels(picture.rgb)[0, 0].tolist() == [90, 90, 90]
    assert levels(load_image(image).rgb)[0].tolist() == [[90, 90, 90], [255, 255, 255]]


def test_two_channels_are_grey_and_alpha() -> None:
    picture = load_image(np.array([[[90, 255], [90, 0]]], np.uint8))
    assert levels(picture.rgb)[0].tolist() == [[90, 90, 90], [255, 255, 255]]


def palette_image() -> Image.Image:
    image = Image.frombytes("P", (3, 1), bytes([0, 1, 2]))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    return image


def test_palettes_with_and_without_transparency() -> None:
    image = palette_image()
    colors = [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert levels(load_image(image).rgb)[0].tolist() == colors
    one = load_image(encoded(image, "PNG", transparency=1), keep_alpha=True)
    assert one.alpha is not None
    assert levels(one.alpha).ravel().tolist() == [255, 0, 255]
    table = load_image(encoded(image, "PNG", transparency=bytes([255, 0, 51])))
    assert levels(table.rgb)[0].tolist() == [[255, 0, 0], [255, 255, 255], [204, 204, 255]]
    gif = load_image(encoded(image, "GIF", transparency=2))
    assert levels(gif.rgb)[0].tolist() == [[255, 0, 0], [0, 255, 0], [255, 255, 255]]


@pytest.mark.parametrize(
    ("data", "alpha"),
    [
        pytest.param(png(2, 1, 1, 0, b"\0\x40", b"\0\1"), [1, 0], id="1-bit grey"),
        pytest.param(png(2, 1, 16, 0, b"\0\1\2\2\1", b"\2\1"), [1, 0], id="16-bit grey"),
        pytest.param(png(2, 1, 8, 2, b"\0abcdef", b"\0d\0e\0f"), [1, 0], id="8-bit colour"),
        pytest.param(png(2, 1, 16, 2, b"\0" + b"abcdefghijkl", b"ghijkl"), [1, 0], id="16-bit"),
    ],
)
def test_a_transparent_colour_works_at_every_depth_of_png(data: bytes, alpha: list[int]) -> None:
    picture = load_image(data, keep_alpha=True)
    assert picture.alpha is not None
    assert picture.alpha.ravel().tolist() == alpha


# Depth and colour


def test_grey_and_one_bit_become_three_equal_channels() -> None:
    grey = load_image(Image.new("L", (2, 2), 51)).rgb
    assert torch.equal(grey, torch.full((3, 2, 2), 0.2))
    bits = Image.frombytes("1", (2, 1), b"\x40")
    assert load_image(bits).rgb.tolist() == [[[0, 1]]] * 3
    for data in (encoded(bits, "PNG"), encoded(bits, "TIFF"), encoded(bits, "PPM")):
        assert load_image(data).rgb.tolist() == [[[0, 1]]] * 3
    for source in (
        np.full((2, 2), 51, np.uint8),
        np.full((2, 2, 1), 0.2),
        torch.full((1, 2, 2), 0.2),
    ):
        torch.testing.assert_close(load_image(source).rgb, grey)


def deep_sources() -> list[object]:
    values = np.array([[0, 1, 256, 65535]], np.uint16)
    image = Image.fromarray(values)
    integers = Image.fromarray(values.astype(np.int32))
    swapped = Image.frombytes("I;16B", (4, 1), values.astype(">u2").tobytes())
    rows = b"\0" + values.astype(">u2").tobytes()
    return [
        pytest.param(swapped, id="I;16B"),
        pytest.param(encoded(swapped, "TIFF"), id="big-endian TIFF"),
        pytest.param(integers, id="I"),
        pytest.param(encoded(image, "PNG"), id="PNG"),
        pytest.param(encoded(integers, "TIFF"), id="32-bit TIFF"),
        pytest.param(b"P5 4 1 65535\n" + rows[1:], id="PGM"),
    ]


@pytest.mark.parametrize("source", deep_sources())
def test_sixteen_bit_grey_keeps_its_precision(source: object) -> None:
    expected = torch.tensor([0, 1, 256, 65535]).float() / 65535
    rgb = load_image(source).rgb  # type: ignore[arg-type]
    torch.testing.assert_close(rgb[:, 0], expected.expand(3, 4), rtol=0, atol=1e-7)


def test_sixteen_bit_colour_is_read() -> None:
    row = np.array([0, 32768, 65535], ">u2").tobytes()
    rgb = load_image(png(1, 1, 16, 2, b"\0" + row)).rgb
    torch.testing.assert_close(rgb.ravel(), torch.tensor([0, 0.5, 1]), rtol=0, atol=0.003)
    array = np.array([[[0, 32768, 65535]]], np.uint16)
    torch.testing.assert_close(load_image(array).rgb.ravel(), torch.tensor([0, 32768 / 65535, 1]))


def test_a_tiff_whose_zero_is_white_is_inverted() -> None:
    for image in (
        Image.fromarray(np.array([[0, 16384, 65535]], np.uint16)),
        Image.fromarray(np.array([[0, 0.25, 1]], np.float32)),
    ):
        data = encoded(image, "TIFF", tiffinfo={262: 0})
        assert Image.open(io.BytesIO(data)).tag_v2[262] == 0
        expected = torch.tensor([1, 0.75, 0])
        torch.testing.assert_close(load_image(data).rgb[0, 0], expected, rtol=0, atol=1e-4)


def test_twelve_bit_tiff_white_is_white() -> None:
    data = bytearray(encoded(Image.fromarray(np.zeros((1, 3), np.uint16)), "TIFF"))
    entry = data.index(struct.pack("<HHI", 258, 3, 1))  # BitsPerSample
    data[entry + 8 : entry + 10] = struct.pack("<H", 12)
    offset = struct.unpack_from("<H", data, data.index(struct.pack("<H", 273)) + 8)[0]
    data[offset : offset + 5] = b"\xff\xf0\x00\x80\x00"  # 4095, 0, 2048
    torch.testing.assert_close(
        load_image(bytes(data)).rgb[0, 0], torch.tensor([1, 0, 2048 / 4095]), rtol=0, atol=1e-6
    )


def test_float_tiff_in_0_to_1_is_read_and_other_ranges_are_refused() -> None:
    values = np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3)
    for source in (Image.fromarray(values), encoded(Image.fromarray(values), "TIFF")):
        assert torch.equal(load_image(source).rgb[1], torch.from_numpy(values))
    for wrong in (values * 255, values - 1, values * np.nan, values + np.inf):
        with pytest.raises(ImageError, match=r"expected \[0, 1\]|NaN"):
            load_image(encoded(Image.fromarray(wrong.astype(np.float32)), "TIFF"))


def test_integers_beyond_sixteen_bits_are_refused() -> None:
    for wrong in (-1, 70000):
        with pytest.raises(ImageError, match="expected 0 to 65535"):
            load_image(Image.new("I", (2, 2), wrong))


def test_cmyk_without_profile() -> None:
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    for source in (image, encoded(image, "JPEG", quality=100), encoded(image, "TIFF")):
        color = levels(load_image(source).rgb)[8, 8]
        np.testing.assert_allclose(color, [0, 255, 255], atol=3)


def test_cmyk_with_its_profile() -> None:
    profile = green_ink()
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    paper = Image.new("CMYK", (16, 16), (0, 0, 0, 255))
    for format_name in ("TIFF", "JPEG"):
        color = levels(load_image(encoded(image, format_name, icc_profile=profile)).rgb)[8, 8]
        assert color[1] > color[0] + 50
        assert color[1] > color[2] + 30
        white = levels(load_image(encoded(paper, format_name, icc_profile=profile)).rgb)[8, 8]
        np.testing.assert_allclose(white, 255, atol=4)


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_rgb_with_a_profile_becomes_srgb(mode: str) -> None:
    image = Image.new("RGB", (4, 4), (255, 0, 0)).convert(mode)
    picture = load_image(encoded(image, "PNG", icc_profile=SWAPPED), keep_alpha=True)
    np.testing.assert_allclose(levels(picture.rgb)[0, 0], [0, 0, 255], atol=3)
    assert (picture.alpha is not None) == (mode == "RGBA")


def test_a_srgb_profile_changes_nothing_at_all() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = noise(64, 64)
    data = encoded(Image.fromarray(pixels), "PNG", icc_profile=profile)
    np.testing.assert_array_equal(levels(load_image(data).rgb), pixels)


def test_grey_profiles_apply_to_eight_and_sixteen_bits() -> None:
    eight = Image.new("L", (2, 2), 55)  # linear 0.2157
    sixteen = Image.fromarray(np.full((2, 2), 55 * 257, np.uint16))
    for image in (eight, eight.convert("LA"), sixteen):
        data = encoded(image, "PNG", icc_profile=LINEAR_GREY)
        np.testing.assert_allclose(levels(load_image(data).rgb)[0, 0], 128, atol=2)


@pytest.mark.parametrize(
    ("mode", "profile"),
    [
        *(("RGB", profile) for profile in (b"", SWAPPED[:-30], LINEAR_GREY)),
        *((mode, SWAPPED) for mode in ("P", "CMYK", "I;16")),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_a_broken_or_unfitting_profile_never_stops_a_picture(mode: str, profile: bytes) -> None:
    image = Image.new(mode, (3, 2))
    image.info["icc_profile"] = profile
    rgb = load_image(image).rgb
    assert rgb.shape == (3, 2, 3)
    assert torch.isfinite(rgb).all()


def test_an_unusable_profile_is_reported_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    image = smooth()
    image.info["icc_profile"] = b"junk"
    assert torch.equal(load_image(image, name="holiday.jpg").rgb, load_image(smooth()).rgb)
    assert "holiday.jpg" in caplog.text


def test_lab_ycbcr_and_hsv() -> None:
    lab = Image.frombytes("LAB", (1, 1), bytes([138, 81, 70]))  # sRGB's red
    for source in (lab, encoded(lab, "TIFF")):
        red = levels(load_image(source).rgb)[0, 0]
        assert red[0] > 240
        assert red[1:].max() < 30
    for mode in ("YCbCr", "HSV"):
        color = levels(load_image(Image.new("RGB", (2, 2), (200, 40, 90)).convert(mode)).rgb)[0, 0]
        np.testing.assert_allclose(color, [200, 40, 90], atol=3)


@pytest.mark.parametrize("format_name", ["GIF", "TIFF"])
def test_the_first_frame_of_an_animation(format_name: str) -> None:
    frames = [Image.new("RGB", (8, 8), c) for c in ("red", "blue")]
    data = encoded(frames[0], format_name, save_all=True, append_images=frames[1:])
    assert levels(load_image(data).rgb)[0, 0].tolist() == [255, 0, 0]
    image = Image.open(io.BytesIO(data))
    image.seek(1)
    assert levels(load_image(image).rgb)[0, 0].tolist() == [0, 0, 255]  # the frame the caller chose


@pytest.mark.parametrize("mode", ["RGBA", "LAB", "I;16"])
def test_strips_leave_no_trace(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if mode == "I;16":
        image = Image.fromarray(noise(31, 7)[:, :, 0].astype(np.uint16) * 250)
    elif mode == "LAB":
        image = Image.frombytes("LAB", (7, 31), noise(31, 7).tobytes())
    else:
        image = Image.fromarray(noise(31, 7, 4)).convert(mode)
    whole = load_image(image, keep_alpha=True)
    monkeypatch.setattr(pixels_module, "_STRIP_PIXELS", 20)
    parts = load_image(image, keep_alpha=True)
    assert torch.equal(whole.rgb, parts.rgb)
    assert (whole.alpha is None) == (parts.alpha is None)
    if whole.alpha is not None and parts.alpha is not None:
        assert torch.equal(whole.alpha, parts.alpha)


def test_conversion_needs_little_more_memory_than_its_result() -> None:
    image = Image.new("CMYK", (3000, 2000))
    image.getexif()[ExifTags.Base.Orientation] = 6
    tracemalloc.start()
    load_image(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.6 * 4 * 3 * 3000 * 2000


def test_the_callers_image_is_left_as_it_was() -> None:
    image = palette_image()
    image.info["transparency"] = 1
    image.getexif()[ExifTags.Base.Orientation] = 6
    before = (image.mode, image.size, image.tobytes(), dict(image.info), dict(image.getexif()))
    load_image(image)
    assert before == (image.mode, image.size, image.tobytes(), image.info, dict(image.getexif()))


# What is refused


def test_missing_empty_folder_and_web_address(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jpg"
    empty.touch()
    for source, reason in [
        (tmp_path / "nowhere.jpg", "no such file"),
        (empty, "empty"),
        (tmp_path, "folder"),
        ("", "no such file"),
        ("a\0b", "cannot be opened"),
        ("x" * 5000, "cannot be opened"),
        (empty / "photo.jpg", "cannot be opened"),
        ("https://example.org/a.jpg", "web address"),
        (b"", "empty"),
        (io.BytesIO(), "empty"),
    ]:
        with pytest.raises(ImageError, match=reason) as caught:
            load_image(source)
        if isinstance(source, Path):
            assert str(source) in str(caught.value)
        assert len(str(caught.value)) < 1000


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    smooth().save(path)
    path.chmod(0)
    with pytest.raises(ImageError, match=r"secret\.png cannot be opened"):
        load_image(path)


@pytest.mark.parametrize(
    "data",
    [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 99],
)  # fmt: skip
def test_what_is_not_a_picture_is_named(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"notes\.jpg"):
        load_image(path)


@pytest.mark.parametrize("data", [b"x", b"no\n", b"\xff\xd8\xff", b"plain text"])
def test_however_short_a_file_is_no_words_of_a_decoder_are_told(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"notes\.jpg is not a picture in a known format"):
        load_image(data, name="notes.jpg")


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_truncated_files_are_refused(format_name: str, tmp_path: Path) -> None:
    data = encoded(Image.fromarray(noise(64, 64)), format_name)
    path = tmp_path / "half"
    for keep in (0.05, 0.3, 0.6):
        path.write_bytes(data[: int(len(data) * keep)])
        with pytest.raises(ImageError, match="half"):
            load_image(path)


def test_too_many_pixels_are_refused_before_decoding() -> None:
    header_only = png(60_000, 60_000, 8, 2, b"")
    with pytest.raises(ImageError, match=r"60000 x 60000 px \(3,600\.0 megapixels\).*200\.0"):
        load_image(header_only, name="bomb.png")
    data = encoded(smooth(), "PNG")
    assert load_image(data, max_pixels=48 * 64).size == (48, 64)
    for source in (data, smooth(), np.asarray(smooth()), torch.zeros(3, 48, 64)):
        with pytest.raises(ImageError, match="64 x 48 px"):
            load_image(source, max_pixels=48 * 64 - 1)
    assert load_image(data, max_pixels=None).size == (48, 64)
    with pytest.raises(ImageError, match="max_pixels"):
        load_image(data, max_pixels=0)


def test_pillows_own_limit_neither_applies_nor_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.fromarray(noise(40, 5)), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    monkeypatch.setattr(pixels_module, "_STRIP_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_image(data).size == (40, 5)
    assert Image.MAX_IMAGE_PIXELS == 20


@pytest.mark.parametrize("source", [np.zeros((0, 5, 3), np.uint8), png(0, 3, 8, 2, b"")])
def test_pictures_without_pixels(source: object) -> None:
    with pytest.raises(ImageError):
        load_image(source)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (np.zeros((4, 4, 3), np.int64), "int64"),
        (np.zeros((4, 4, 5), np.uint8), "not one picture"),
        (np.zeros((3, 40, 50), np.uint8), "transpose"),
        (np.full((4, 4, 3), np.nan), "NaN"),
        (torch.zeros(40, 50, 3), "permute"),
        (torch.full((3, 4, 4), 255.0), "divide"),
        (None, "not a picture"),
    ],
)
def test_wrong_types_shapes_and_values(source: object, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        load_image(source)  # type: ignore[arg-type]


def test_a_wrong_background() -> None:
    for background in ((1, 1), (0, 0, float("nan"))):
        with pytest.raises(ImageError, match="background"):
            load_image(smooth(), background=background)


@pytest.mark.parametrize(
    "error",
    [struct.error("x"), MemoryError()],
    ids=lambda e: type(e).__name__,
)
def test_whatever_a_decoder_raises_becomes_an_image_error(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    data = encoded(smooth(), "BMP")
    for method in ("load", "_open"):
        with monkeypatch.context() as patch:
            patch.setattr(f"PIL.BmpImagePlugin.BmpImageFile.{method}", fail)
            with pytest.raises(ImageError, match=r"cat\.bmp"):
                load_image(data, name="cat.bmp")


def test_a_pillow_image_whose_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    smooth().save(path)
    image = Image.open(path)
    image.close()
    with pytest.raises(ImageError, match=r"photo\.png"):
        load_image(image)


VALID = {
    name: encoded(smooth(12, 9), name) for name in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP")
}


@settings(max_examples=150)
@given(
    st.sampled_from(sorted(VALID)),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, 2000),
)
def test_damaged_files_load_or_raise_image_error(
    name: str, changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(VALID[name])
    for position, value in changes:
        data[position % len(data)] = value
    data = data[: len(data) - cut] if cut < len(data) // 2 else data
    with contextlib.suppress(ImageError):
        rgb = load_image(bytes(data), max_pixels=1_000_000).rgb
        assert rgb.min() >= 0
        assert rgb.max() <= 1


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_random_bytes_never_raise_anything_else(data: bytes) -> None:
    for start in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0\x08\0\0\0", b"P6 "):
        with contextlib.suppress(ImageError):
            load_image(start + data, max_pixels=100_000)


# What goes out


def test_to_pil_and_back_is_exact() -> None:
    pixels = noise(channels=4)
    picture = load_image(pixels, keep_alpha=True)
    image = to_pil(picture.rgb, picture.alpha)
    assert image.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(image), pixels)
    assert to_pil(picture.rgb).mode == "RGB"


def test_to_pil_rounds_and_clips() -> None:
    x = torch.tensor([-0.5, 0.499 / 255, 0.501 / 255, 0.5, 1.0, 7.0]).repeat(3, 1, 1)
    assert np.asarray(to_pil(x))[0, :, 0].tolist() == [0, 0, 1, 128, 255, 255]
    assert to_pil(x.to(torch.bfloat16)).size == (6, 1)


@pytest.mark.parametrize(
    "x", [torch.zeros(3, 4, 4, dtype=torch.uint8), torch.full((3, 4, 4), float("nan"))]
)
def test_to_pil_refuses_what_is_not_a_picture(x: torch.Tensor) -> None:
    with pytest.raises(ImageError):
        to_pil(x)


def test_to_pil_refuses_an_alpha_of_another_size() -> None:
    with pytest.raises(ImageError, match="alpha"):
        to_pil(torch.zeros(3, 4, 4), torch.zeros(1, 4, 5))


def test_to_numpy_has_channels_last_and_its_own_memory() -> None:
    x = torch.rand(3, 5, 6)
    array = to_numpy(x)
    assert array.shape == (5, 6, 3)
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array, x.permute(1, 2, 0).numpy())
    assert to_numpy(torch.rand(2, 3, 5, 6, dtype=torch.float16)).shape == (2, 5, 6, 3)
    array[:] = 7
    assert x.max() <= 1
    with pytest.raises(ImageError, match="expected"):
        to_numpy(torch.zeros(5, 6, 3))


@pytest.mark.parametrize(("suffix", "channels"), [(".PNG", 3), (".tif", 4)])
def test_lossless_formats_keep_every_pixel(tmp_path: Path, suffix: str, channels: int) -> None:
    pixels = noise(channels=channels)
    path = tmp_path / f"out{suffix}"
    save_image(Image.fromarray(pixels), path)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


LOSSY = [".jpg", ".webp"] + ([".avif"] if features.check("avif") else [])


@pytest.mark.parametrize("suffix", LOSSY)
def test_lossy_formats_look_the_same_and_obey_quality(tmp_path: Path, suffix: str) -> None:
    image = smooth()
    fine, coarse = tmp_path / f"fine{suffix}", tmp_path / f"coarse{suffix}"
    save_image(image, fine)
    save_image(Image.fromarray(noise(48, 64)), coarse, quality=95)
    large = coarse.stat().st_size
    save_image(Image.fromarray(noise(48, 64)), coarse, quality=20)
    assert coarse.stat().st_size < large / 2
    difference = (load_image(fine).rgb - load_image(image).rgb).abs()
    assert difference.mean() < 0.01


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        *((mode, ".png") for mode in ("P", "CMYK")),
        *((mode, ".jpg") for mode in ("RGBA", "I;16")),
        *(("PA", ".tif"), ("LAB", ".webp")),
    ],
)
def test_any_mode_can_be_saved_in_any_format(tmp_path: Path, suffix: str, mode: str) -> None:
    image = Image.new(mode, (20, 10))
    save_image(image, tmp_path / f"out{suffix}")
    picture = load_image(tmp_path / f"out{suffix}")
    assert picture.size == (10, 20)
    torch.testing.assert_close(picture.rgb, load_image(image).rgb, rtol=0, atol=0.02)


def test_alpha_is_flattened_where_the_format_has_none(tmp_path: Path) -> None:
    image = Image.new("RGBA", (16, 16), (200, 0, 0, 0))
    path = tmp_path / "out.jpg"
    save_image(image, path)
    assert levels(load_image(path).rgb)[0, 0].tolist() == [255, 255, 255]
    save_image(image, path, background=(0, 0, 0))
    assert levels(load_image(path).rgb)[0, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_saved_pictures_are_upright_srgb_with_the_exif_given(tmp_path: Path, suffix: str) -> None:
    image = Image.new("RGB", (20, 10), (255, 0, 0))
    image.info["icc_profile"] = SWAPPED
    exif = image.getexif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Artist] = "Berthe"
    path = tmp_path / f"out{suffix}"
    save_image(image, path)
    saved = load_image(path)
    assert saved.size == (20, 10)
    assert saved.exif is None
    np.testing.assert_allclose(levels(saved.rgb)[0, 0], [0, 0, 255], atol=4)
    save_image(image, path, exif=load_image(image).exif)
    again = load_image(path)
    assert again.size == (20, 10)
    assert again.exif is not None
    assert b"Berthe" in again.exif


@pytest.mark.parametrize("suffix", [".png", ".tif", *LOSSY])
def test_no_metadata_is_saved_unless_it_is_given(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Berthe"
    for source in ("JPEG", "PNG", "TIFF", "WEBP"):
        image = Image.open(io.BytesIO(encoded(smooth(), source, exif=exif)))
        save_image(image, tmp_path / f"out{suffix}")
        assert b"Berthe" not in (tmp_path / f"out{suffix}").read_bytes()


def test_an_unknown_suffix_lists_the_known_ones(tmp_path: Path) -> None:
    for name in ("out", "out.xyz", "out.eps", "out.gif"):
        with pytest.raises(ImageError, match=r"\.png, \.jpg"):
            save_image(smooth(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_targets_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    for name, reason in [
        ("nowhere/out.png", "no folder"),
        ("file/out.png", "no folder"),
        ("folder.png", "is a folder"),
        ("x" * 300 + ".png", "cannot be written"),
    ]:
        with pytest.raises(ImageError, match=reason):
            save_image(smooth(), tmp_path / name)
    with pytest.raises(ImageError, match="quality"):
        save_image(smooth(), tmp_path / "out.jpg", quality=0)
    with pytest.raises(ImageError, match="no pixels"):
        save_image(Image.new("RGB", (0, 4)), tmp_path / "out.png")
    with pytest.raises(ImageError, match="16383 px"):
        save_image(Image.new("RGB", (20_000, 1)), tmp_path / "out.webp")


def test_a_failed_save_leaves_the_old_picture_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.png"
    save_image(smooth(), path)
    before = path.read_bytes()

    def fail(_: Image.Image, stream: io.BytesIO, **__: object) -> None:
        stream.write(b"half a picture")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(ImageError, match=r"out\.png.*No space left"):
        save_image(Image.fromarray(noise()), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_overwriting_can_be_forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.png"
    save_image(smooth(), path, overwrite=False)
    before = path.read_bytes()
    with pytest.raises(ImageError, match="exists already"):
        save_image(Image.fromarray(noise()), path, overwrite=False)
    monkeypatch.setattr(Path, "exists", lambda _: False)  # it appears while the picture is written
    with pytest.raises(ImageError, match="exists already"):
        save_image(Image.fromarray(noise()), path, overwrite=False)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["out.png"]


def test_overwriting_can_be_forbidden_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", unsupported)
    save_image(smooth(), tmp_path / "out.png", overwrite=False)
    assert load_image(tmp_path / "out.png").size == (48, 64)
    assert os.listdir(tmp_path) == ["out.png"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX links and permissions")
def test_links_and_permissions_are_respected(tmp_path: Path) -> None:
    real, link = tmp_path / "real.png", tmp_path / "link.png"
    save_image(smooth(), real)
    mask = os.umask(0)
    os.umask(mask)
    assert real.stat().st_mode & 0o777 == 0o666 & ~mask
    real.chmod(0o640)
    link.symlink_to(real)
    save_image(Image.fromarray(noise()), link)
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert load_image(real).size == (13, 17)


# Sizes


def test_resize_by_short_side_or_exactly() -> None:
    x = load_image(smooth(48, 64)).rgb
    assert resize(x, 24).shape == (3, 24, 32)
    assert resize(x.transpose(1, 2), 24).shape == (3, 32, 24)
    assert resize(x[None], (10, 99)).shape == (1, 3, 10, 99)
    assert resize(x, 48) is x
    assert resize(x[:, :1], 1).shape == (3, 1, 64)
    assert resize(x.half(), 24).dtype == torch.float16
    torch.testing.assert_close(resize(resize(x, 24), 48), x, rtol=0, atol=0.05)


def test_resize_is_antialiased_and_stays_in_range() -> None:
    checks = (torch.arange(64)[:, None] + torch.arange(64)).remainder(2).float().expand(3, 64, 64)
    assert (resize(checks, 16) - 0.5).abs()[:, 2:-2, 2:-2].max() < 0.05
    edge = torch.cat([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)], dim=2)
    for mode in ("bicubic", "bilinear"):
        large = resize(edge, 20, mode=mode)
        assert large.min() >= 0
        assert large.max() <= 1


@pytest.mark.parametrize("size", [(0, 5), 10**6])
def test_resize_refuses_absurd_sizes(size: int) -> None:
    with pytest.raises(ImageError, match="px"):
        resize(torch.zeros(3, 8, 8), size)
    with pytest.raises(ImageError, match="shape"):
        resize(torch.zeros(8, 8), 4)


@settings(max_examples=150)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 32), st.integers(1, 48))
def test_padding_reaches_the_multiple_and_cropping_undoes_it(
    height: int, width: int, multiple: int, minimum: int
) -> None:
    x = torch.rand(2, 3, height, width)
    padded, size = pad_to_multiple(x, multiple, minimum)
    for side, old in zip(padded.shape[-2:], (height, width), strict=True):
        assert side % multiple == 0
        assert side >= max(old, minimum)
        assert side - max(old, minimum) < multiple
    assert torch.equal(crop_back(padded, size), x)
    expected = np.pad(
        x.numpy(),
        [(0, 0), (0, 0), (0, padded.shape[2] - height), (0, padded.shape[3] - width)],
        mode="reflect",
    )
    np.testing.assert_array_equal(padded.numpy(), expected)


def test_padding_is_free_when_nothing_is_missing() -> None:
    x = torch.rand(1, 3, 32, 48)
    assert pad_to_multiple(x, 16, 32)[0] is x


def test_padding_and_cropping_refuse_wrong_arguments() -> None:
    calls: list[Callable[[], object]] = [
        lambda: pad_to_multiple(torch.zeros(3, 4, 4), 8),
        lambda: pad_to_multiple(torch.zeros(1, 3, 0, 4), 8),
        lambda: pad_to_multiple(torch.zeros(1, 3, 4, 4), 0),
        lambda: crop_back(torch.zeros(1, 3, 4, 4), (5, 4)),
    ]
    for call in calls:
        with pytest.raises(ImageError):
            call()


# Folders


def test_listing_a_folder(tmp_path: Path) -> None:
    names = ["b.JPG", "a.png", "c.webp", "notes.txt", ".hidden.png", "._b.jpg", "noext"]
    for name in [*names, "sub/d.tiff", ".cache/e.png", "sub/deep/f.avif"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    flat = [p.relative_to(tmp_path).as_posix() for p in list_images(tmp_path)]
    assert flat == ["a.png", "b.JPG", "c.webp"]
    deep = [p.relative_to(tmp_path).as_posix() for p in list_images(str(tmp_path), recursive=True)]
    assert deep == ["a.png", "b.JPG", "c.webp", "sub/d.tiff", "sub/deep/f.avif"]


def test_listing_what_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, reason in [("nowhere", "does not exist"), ("file", "is a file")]:
        with pytest.raises(ImageError, match=reason):
            list_images(tmp_path / name)
