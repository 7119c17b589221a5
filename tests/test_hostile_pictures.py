"""Pictures made to keep a machine busy, and inputs that are mistaken: refused in a sentence, at once."""

from __future__ import annotations

import io
import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hfstyle import Region, StyleTransferPipeline
from hfstyle.cli import main
from hfstyle.files import as_utf8
from hfstyle.images import ImageError, list_images, load_image


def chunk(tag: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))


def black_png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + -(-width // 8)) * height), 9)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return data + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(20, 200_000), (2_000_000, 20), (65_000, 16)])
def test_a_very_long_strip_is_refused(size: tuple[int, int], tmp_path: Path) -> None:
    data = black_png(*size)
    with pytest.raises(ImageError, match=r"strip\.png is \d+ x \d+ px; the long side may be"):
        load_image(data, name="strip.png")
    (tmp_path / "strip.png").write_bytes(data)
    pipe = StyleTransferPipeline.from_pretrained()
    with pytest.raises(ImageError, match="the long side may be"):
        pipe(tmp_path / "strip.png", "comic")
    with pytest.raises(ImageError, match="the long side may be"):
        pipe.paint_file(tmp_path / "strip.png", tmp_path / "out.png", "comic")
    assert not (tmp_path / "out.png").exists()
    with pytest.raises(ImageError, match="the long side may be"):
        load_image(torch.zeros(1, 20, 200_000))


def test_panoramas_scrolls_and_palettes_are_read() -> None:
    for size in ((8192, 1), (30_000, 1000), (256, 1)):
        assert load_image(black_png(*size)).size == size[::-1]
    assert load_image(black_png(20_000, 20), max_pixels=None).size == (20, 20_000)


def progressive(scans: int, side: int = 64) -> bytes:
    """A JPEG whose last scan comes again and again."""
    stream = io.BytesIO()
    y, x = np.mgrid[:side, :side]
    picture = np.stack([x * 3, y * 3, x ^ y], -1).astype(np.uint8)
    Image.fromarray(picture).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    return data[:-2] + scan * (scans - data.count(b"\xff\xda")) + b"\xff\xd9"


def test_a_jpeg_of_very_many_scans_is_refused_at_once() -> None:
    begun = time.perf_counter()
    with pytest.raises(ImageError, match=r"photo\.jpg is a JPEG of more than 100 scans.*save it"):
        load_image(progressive(20_000), name="photo.jpg")
    assert time.perf_counter() - begun < 5
    assert load_image(progressive(40)).size == (64, 64)


def test_scans_of_other_pictures_in_the_file_do_not_count() -> None:
    """A thumbnail in the EXIF data, a film behind the picture."""
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x010E] = (b"\xff\xda\0\0" * 300).decode("latin-1")
    Image.new("RGB", (32, 32)).save(stream, "JPEG", exif=exif, progressive=True, comment=b"\xff\xda" * 300)  # fmt: skip
    data = stream.getvalue() + b"\xff\xda\0\x02" * 300
    assert load_image(data).size == (32, 32)


def test_many_scans_inside_a_tiff_are_refused() -> None:
    jpeg = progressive(500)
    entries = {256: 64, 257: 64, 258: (8, 8, 8), 259: 7, 262: 6, 273: 8, 277: 3, 278: 64, 279: len(jpeg)}  # fmt: skip
    body = bytearray(b"II*\0" + struct.pack("<L", 0) + jpeg + bytes(len(jpeg) % 2))
    bits = len(body)
    body += struct.pack("<3H", 8, 8, 8)
    body[4:8] = struct.pack("<L", len(body))
    body += struct.pack("<H", len(entries))
    for tag, value in entries.items():
        if isinstance(value, tuple):
            body += struct.pack("<HHLL", tag, 3, 3, bits)
        else:
            body += struct.pack("<HHLL", tag, 4, 1, value)
    body += bytes(4)
    with pytest.raises(ImageError, match="more than 100 scans"):
        load_image(bytes(body), name="photo.tif")


# Mistakes


@pytest.mark.parametrize("address", ["HTTP://example.org/a.jpg", "s3://bucket/a.jpg"])
def test_a_web_address_is_called_by_its_name(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for source in (address, Path(address)):
        with pytest.raises(ImageError) as caught:
            load_image(source)
        assert str(caught.value).startswith(f"{address} is a web address; download")
    output = str(tmp_path / "out.png")
    assert main(["stylize", address, "--style", "comic", "-o", output, "-q"]) == 1
    assert f"{address} is a web address" in capsys.readouterr().err
    with pytest.raises(ImageError, match=f"^{address} is a web address; download"):
        list_images(Path(address))


def test_a_picture_whose_file_was_closed_says_so(tmp_path: Path) -> None:
    for suffix in ("png", "jpg", "tif", "gif"):
        path = tmp_path / f"photo.{suffix}"
        Image.new("RGB", (32, 32), "red").save(path)
        with Image.open(path) as image:
            pass
        with pytest.raises(ImageError, match=rf"photo\.{suffix} was closed before .*load\(\)"):
            load_image(image)
        with Image.open(path) as image:
            image.load()
        assert load_image(image).size == (32, 32)


@pytest.mark.parametrize("regions", ["left-half", Region("left-half", None)])
def test_regions_that_are_no_list_of_regions(regions: object) -> None:
    pipe = StyleTransferPipeline.from_pretrained()
    with pytest.raises(
        ValueError, match=r"^regions (is|holds) .*give a list of regions, as \[Region"
    ):
        pipe(np.zeros((32, 32, 3), np.uint8), "comic", regions=regions)  # type: ignore[arg-type]


def test_the_address_of_a_file_is_told_as_that() -> None:
    with pytest.raises(ImageError, match=r"no such file; give its path, without file:"):
        load_image("file:///home/me/a.jpg")


def test_a_table_names_a_file_whose_name_is_no_utf_8() -> None:
    assert as_utf8(os.fsdecode(b"\xff.png")) == "\\xff.png"
    assert as_utf8("Zoë.png") == "Zoë.png"
