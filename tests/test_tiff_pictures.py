"""Which picture of a TIFF or raw file is painted, and what is said of kinds that cannot be read."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hfstyle import StyleTransferPipeline
from hfstyle.images import ImageError, load_image

FULL, REDUCED, PAGE, MASK = 0, 1, 2, 4
Tags = Mapping[int, int | Sequence[int]]


class Tiff:
    """A TIFF with any directories: `add` each with its pixels, then `data`."""

    def __init__(self, order: str = "<") -> None:
        self.order = order
        self.body = bytearray((b"II" if order == "<" else b"MM") + struct.pack(f"{order}HL", 42, 0))

    def pixels(self, data: bytes) -> int:
        place = len(self.body)
        self.body += data + b"\0" * (len(data) % 2)
        return place

    def directory(self, tags: Tags, following: int = 0) -> int:
        """Its place."""
        entries = b""
        for tag, value in sorted(tags.items()):
            values = [value] if isinstance(value, int) else list(value)
            data = struct.pack(f"{self.order}{len(values)}L", *values)
            if len(values) > 1:
                data = struct.pack(f"{self.order}L", self.pixels(data))
            entries += struct.pack(f"{self.order}HHL", tag, 4, len(values)) + data
        entries = struct.pack(f"{self.order}H", len(tags)) + entries
        return self.pixels(entries + struct.pack(f"{self.order}L", following))

    def picture(self, image: Image.Image, more: Tags, following: int = 0) -> int:
        """A directory of an RGB picture, uncompressed; `more` has the last word on its tags."""
        data = image.tobytes()
        where = {273: self.pixels(data), 278: image.height, 279: len(data)}
        kind: Tags = {258: (8, 8, 8), 259: 1, 262: 2, 277: 3}
        size = {256: image.width, 257: image.height}
        tags: Tags = {**size, **kind, **where}
        return self.directory({**tags, **more}, following)

    def data(self, first: int) -> bytes:
        self.body[4:8] = struct.pack(f"{self.order}L", first)
        return bytes(self.body)


def drawn(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    rgb = np.stack([x * 255 // width, y * 255 // height, (x * y) % 256], -1)
    return Image.fromarray(rgb.astype(np.uint8))


PHOTO, THUMB = drawn(80, 60), drawn(20, 15)


def same(data: bytes, image: Image.Image) -> bool:
    loaded = (load_image(data, name="photo").rgb * 255).round().permute(1, 2, 0).numpy()
    return loaded.shape[:2] == image.size[::-1] and bool((loaded == np.asarray(image)).all())


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_thumbnail_before_the_picture_is_passed_over(order: str) -> None:
    tiff = Tiff(order)
    second = tiff.picture(PHOTO, {254: FULL})
    assert same(tiff.data(tiff.picture(THUMB, {254: REDUCED}, second)), PHOTO)


def test_a_thumbnail_marked_in_the_old_way_is_passed_over() -> None:
    tiff = Tiff()
    second = tiff.picture(PHOTO, {255: 1})
    assert same(tiff.data(tiff.picture(THUMB, {255: 2}, second)), PHOTO)


def test_the_picture_may_stand_in_a_sub_directory() -> None:
    tiff = Tiff()
    preview, full = tiff.picture(drawn(40, 30), {254: REDUCED}), tiff.picture(PHOTO, {254: FULL})
    assert same(tiff.data(tiff.picture(THUMB, {254: REDUCED, 330: (preview, full)})), PHOTO)


def test_a_pyramid_and_pages_give_their_first_picture() -> None:
    tiff = Tiff()
    half = tiff.picture(drawn(40, 30), {254: REDUCED})
    mask = tiff.picture(drawn(80, 60), {254: MASK}, half)
    assert same(tiff.data(tiff.picture(PHOTO, {254: FULL}, mask)), PHOTO)
    tiff = Tiff()
    half = tiff.picture(drawn(40, 30), {254: REDUCED})
    assert same(tiff.data(tiff.picture(PHOTO, {330: half})), PHOTO)
    tiff = Tiff()
    second = tiff.picture(drawn(90, 90), {254: PAGE})
    assert same(tiff.data(tiff.picture(PHOTO, {254: PAGE}, second)), PHOTO)


def test_a_smaller_copy_alone_is_taken() -> None:
    tiff = Tiff()
    assert same(tiff.data(tiff.picture(THUMB, {254: REDUCED})), THUMB)


def test_a_loop_of_directories_ends() -> None:
    tiff = Tiff()
    first = tiff.picture(THUMB, {254: REDUCED, 330: 8})
    tiff.body[-4:] = struct.pack("<L", first)
    assert same(tiff.data(first), THUMB)


def test_the_orientation_of_the_file_holds_for_the_picture_in_it() -> None:
    tiff = Tiff()
    second = tiff.picture(PHOTO, {254: FULL})
    first = tiff.picture(THUMB, {254: REDUCED, 274: 6}, second)
    assert same(tiff.data(first), PHOTO.transpose(Image.Transpose.ROTATE_270))


def raw_file(preview: Image.Image) -> bytes:
    """As NEF and DNG files: a thumbnail, in sub-directories the sensor's data and a developed JPEG."""
    tiff, stream = Tiff(), io.BytesIO()
    preview.save(stream, "JPEG", quality=95)
    place = tiff.pixels(stream.getvalue())
    sensor = tiff.directory({254: FULL, 256: 80, 257: 60, 258: 12, 259: 34713, 262: 32803, 277: 1})
    jpeg = tiff.directory({254: REDUCED, 256: preview.width, 257: preview.height, 259: 6, 513: place, 514: len(stream.getvalue())})  # fmt: skip
    return tiff.data(tiff.picture(THUMB, {254: REDUCED, 274: 8, 330: (sensor, jpeg)}))


def test_a_raw_file_gives_its_preview_of_full_size() -> None:
    stream = io.BytesIO()
    PHOTO.save(stream, "JPEG", quality=95)
    upright = Image.open(stream).transpose(Image.Transpose.ROTATE_90)
    assert same(raw_file(PHOTO), upright)


def test_a_raw_file_without_one_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "photo.nef"
    path.write_bytes(raw_file(drawn(40, 30)))
    with pytest.raises(
        ImageError, match=r"photo\.nef is a camera's raw file of 80 x 60 px.*raw converter"
    ):
        load_image(path)
    with pytest.raises(ImageError, match="raw file must be developed"):
        load_image(b"FUJIFILMCCD-RAW 0201FF" + bytes(200), name="photo.raf")


def test_a_file_is_painted_from_its_picture(tmp_path: Path) -> None:
    tiff = Tiff()
    second = tiff.picture(PHOTO, {254: FULL})
    (tmp_path / "scan.tif").write_bytes(tiff.data(tiff.picture(THUMB, {254: REDUCED}, second)))
    pipe = StyleTransferPipeline.from_pretrained()
    result = pipe.paint_file(tmp_path / "scan.tif", tmp_path / "out.png", "comic", 0.0)
    assert np.array_equal(np.asarray(Image.open(result)), np.asarray(PHOTO))


@pytest.mark.parametrize(
    ("tags", "kind"),
    [pytest.param({258: (32, 32, 32), 339: (1, 1, 1)}, "32-bit integer RGB", id="32 bits"), pytest.param({258: (16, 16, 16), 262: 8}, "16-bit integer CIELab", id="Lab"), pytest.param({258: (8,) * 5, 262: 5, 277: 5, 338: 2}, "CMYK of 5 channels", id="CMYK and alpha")],
)  # fmt: skip
def test_a_kind_of_pixels_that_cannot_be_read_is_named(tags: Tags, kind: str) -> None:
    tiff = Tiff()
    size = {273: tiff.pixels(bytes(20_000)), 279: 20_000, 256: 20, 257: 20, 278: 20}
    data = tiff.data(tiff.picture(THUMB, {**size, **tags}))
    with pytest.raises(
        ImageError, match=rf"scan\.tif is a TIFF of 20 x 20 px .*{kind}.*save it as"
    ):
        load_image(data, name="scan.tif")


def signed_grey(values: np.ndarray) -> bytes:
    tiff = Tiff()
    place = {273: tiff.pixels(values.tobytes()), 279: values.nbytes, 278: 1}
    size = {256: len(values), 257: 1}
    return tiff.data(tiff.directory({258: 16, 259: 1, 262: 1, 277: 1, 339: 2, **place, **size}))


def test_grey_of_16_bits_with_a_sign_is_as_bright_as_it_says() -> None:
    ramp = np.linspace(0, 32767, 48).astype("<i2")
    np.testing.assert_allclose(load_image(signed_grey(ramp)).rgb[0, 0], ramp / 32767, atol=1e-4)
    ramp[3] = -5
    with pytest.raises(ImageError, match="from -5 to"):
        load_image(signed_grey(ramp))


def test_whole_numbers_of_32_bits_up_to_255_have_255_for_white() -> None:
    ramp = np.arange(256, dtype=np.int32)[None]
    np.testing.assert_allclose(load_image(Image.fromarray(ramp)).rgb[0], ramp / 255, atol=1e-6)
