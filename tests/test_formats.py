"""Any format, mode, depth and size goes in and comes out; whatever is malformed is told."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, features

from hfstyle.images import ImageError, encode_image, load_image, to_pil

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F")
HOLDS = {  # what a format can hold, and how far its 8-bit values may be off
    "PNG": ({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}, 0),
    "TIFF": (set(MODES), 0),
    "BMP": ({"1", "L", "P", "RGB"}, 0),
    "PPM": ({"1", "L", "RGB", "I;16"}, 0),
    "GIF": ({"1", "L", "P"}, 0),
    "WEBP": ({"RGB", "RGBA"}, 0),
    "JPEG": ({"L", "RGB", "CMYK"}, 40),
} | ({"AVIF": ({"L", "RGB", "RGBA"}, 40)} if features.check("avif") else {})
CASES = sorted((name, mode) for name, (modes, _) in HOLDS.items() for mode in modes)
WRITTEN = [".png", ".tif", ".jpg", ".webp"] + ([".avif"] if features.check("avif") else [])


def smooth(height: int, width: int, mode: str, seed: int) -> Image.Image:
    """Waves of all values, without the edges that lossy formats would blur."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin((x + y * (c + 1)) / 20 + seed + c) / 2 + 0.5 for c in range(4)]
    unit = np.stack(waves, -1).astype(np.float32)  # (H, W, 4)
    levels = (unit * 255).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray((unit[..., 0] * 65535).astype(np.uint16))
    if mode == "F":
        return Image.fromarray(unit[..., 0])
    image = Image.fromarray(levels[..., :3])
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(levels[..., 3]))
    if mode == "P":  # dithered, it would be edges all over
        return image.quantize(256, dither=Image.Dither.NONE)
    return image.convert(mode)


@settings(max_examples=150)
@given(st.sampled_from(CASES), st.integers(1, 70), st.integers(1, 70), st.integers(0, 9))
def test_every_mode_of_every_format_is_read_as_it_was_written(
    case: tuple[str, str], height: int, width: int, seed: int
) -> None:
    name, mode = case
    image = smooth(height, width, mode, seed)
    stream = io.BytesIO()
    lossless = {"lossless": True, "exact": True} if name == "WEBP" else {}
    image.save(stream, name, **lossless)
    read = load_image(stream.getvalue(), keep_alpha=True)
    expected = load_image(image, keep_alpha=True)
    assert read.size == (height, width)
    assert read.rgb.dtype == torch.float32
    assert (read.rgb - expected.rgb).abs().max() <= HOLDS[name][1] / 255 + 1e-6
    if mode in ("RGBA", "LA") and expected.alpha is not None:
        # a format may leave out an alpha that is opaque everywhere
        alpha = torch.ones_like(expected.alpha) if read.alpha is None else read.alpha
        assert (alpha - expected.alpha).abs().max() <= HOLDS[name][1] / 255 + 1e-6
    compact = load_image(stream.getvalue(), keep_alpha=True, compact=True).rgb
    if mode in ("I;16", "F"):
        assert torch.equal(compact, read.rgb)
    else:
        assert torch.equal(compact / 255, read.rgb)


@settings(max_examples=80)
@given(
    st.sampled_from(WRITTEN),
    st.sampled_from(MODES),
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 8),
)
def test_every_mode_can_be_written_in_every_format_upright_in_srgb(
    suffix: str, mode: str, height: int, width: int, orientation: int
) -> None:
    image = smooth(height, width, mode, 3)
    exif = image.getexif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encode_image(image, suffix, quality=100)
    upright = load_image(image)
    written = Image.open(io.BytesIO(data))
    assert written.getexif().get(ExifTags.Base.Orientation, 1) == 1
    assert "icc_profile" not in written.info
    assert (written.height, written.width) == upright.size
    lossless = suffix in (".png", ".tif")
    found = load_image(data).rgb
    difference = (found - upright.rgb).abs()
    if lossless:
        assert difference.max() <= 0.502 / 255
    else:
        assert difference.mean() <= 5 / 255


@pytest.mark.parametrize("suffix", [s for s in (".jpg", ".avif") if s in WRITTEN])
def test_colours_one_pixel_wide_are_kept_from_quality_90_on(suffix: str) -> None:
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2, 0] = stripes[:, 1::2, 2] = 200  # red beside blue
    found = {
        quality: np.asarray(
            to_pil(load_image(encode_image(Image.fromarray(stripes), suffix, quality=quality)).rgb)
        ).astype(int)
        for quality in (89, 90)
    }
    wrong = {quality: np.abs(pixels - stripes).mean() for quality, pixels in found.items()}
    assert wrong[90] < 12 < wrong[89]


@pytest.mark.parametrize("suffix", [".gif", ""])
def test_what_cannot_be_encoded_is_told(suffix: str) -> None:
    with pytest.raises(ImageError, match=r"\.png, \.jpg"):
        encode_image(Image.new("RGB", (4, 4)), suffix)


def test_pictures_of_one_pixel() -> None:
    for number, suffix in itertools.product((0, 255), WRITTEN):
        picture = load_image(encode_image(Image.new("RGB", (1, 1), (number,) * 3), suffix))
        assert np.asarray(to_pil(picture.rgb)).reshape(3).tolist() == pytest.approx(
            [number] * 3, abs=3
        )


def test_heic_is_read_where_its_package_is_installed() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    image = smooth(40, 56, "RGB", 1)
    stream = io.BytesIO()
    pillow_heif.from_pillow(image).save(stream, quality=95)
    # in a process that has not registered the format
    code = (
        "import sys; from hfstyle import load_image; "
        "picture = load_image(sys.stdin.buffer.read()); "
        "print(*picture.size, *(round(x) for x in (picture.rgb.mean((1, 2)) * 255).tolist()))"
    )
    run = subprocess.run([sys.executable, "-c", code], input=stream.getvalue(), capture_output=True)
    assert run.returncode == 0, run.stderr.decode()
    height, width, *means = map(int, run.stdout.split())
    assert (height, width) == (40, 56)
    assert means == pytest.approx(np.asarray(image).mean((0, 1)).tolist(), abs=4)


def test_without_its_package_heic_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)
    with pytest.raises(ImageError, match="HEIC needs the package pillow-heif"):
        load_image(data)


def test_2500_malformed_files_end_in_a_picture_or_an_error() -> None:
    script = Path(__file__).with_name("malformed.py")
    run = subprocess.run(
        [sys.executable, str(script), "0", "2500"], capture_output=True, text=True, timeout=150
    )
    assert run.returncode == 0, run.stderr[-2000:]
    ends = json.loads(run.stdout)
    assert ends["formats"] >= 30
    assert ends["error"] + ends["picture"] == 2500
    assert ends["error"] >= 1000
    assert ends["picture"] >= 250
    # torch itself takes about 250 MB; a picture of the limit that was set takes 24 MB
    assert ends["peak"] is None or ends["peak"] <= 700e6
