"""`StyleTransferPipeline.paint_file`: from file to file in bands of rows, the same picture as in memory."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from malformed import mutated, valid_files
from PIL import ExifTags, Image, TiffImagePlugin
from small_model import small_generator

from hfstyle import ImageError, StyleCode, StyleTransferPipeline, load_image
from hfstyle.cli import main
from hfstyle.images import pixels as pixels_module
from hfstyle.images import save_image
from hfstyle.images.pixel_file import PixelFile
from hfstyle.images.read_tiff import TiffPixels
from hfstyle.images.write_bands import row_writer

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # of Pillow

TILE = 64


@pytest.fixture(scope="module")
def pipe() -> StyleTransferPipeline:
    return StyleTransferPipeline(small_generator())


@pytest.fixture(scope="module")
def style(pipe: StyleTransferPipeline) -> StyleCode:
    return pipe.encode_style(Image.fromarray(photo(70, 80, 3, seed=1)))


@pytest.fixture(autouse=True)
def small_bands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Bands of a few rows, in an empty folder."""
    monkeypatch.setattr(pixels_module, "_STRIP_PIXELS", 1000)
    monkeypatch.chdir(tmp_path)


def photo(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / (7 + 3 * c)) + np.cos(y / (11 - c)) for c in range(channels)], -1)
    noise = random.normal(0, 12, (height, width, channels))
    return (120 + 50 * waves + noise).clip(0, 255).astype(np.uint8)


def sources() -> list[Any]:
    """A writer of a file for each way in which pixels can be stored."""
    colors, clear = Image.fromarray(photo(90, 97)), Image.fromarray(photo(90, 97, 4))
    grey = Image.fromarray(photo(90, 97)[..., 0].astype(np.uint16) * 251)
    table = colors.quantize(20)

    def png(image: Image.Image, **options: Any) -> Callable[[], Path]:
        return lambda: image.save("photo.png", **options) or Path("photo.png")

    def tiff(image: Image.Image, **options: Any) -> Callable[[], Path]:
        return lambda: image.save("photo.tif", **options) or Path("photo.tif")

    def tiled(**options: Any) -> Callable[[], Path]:
        def write() -> Path:
            pixels = photo(90, 97).astype(np.uint16) * 257
            more = {"photometric": "rgb", "metadata": None, **options}
            pixels = pixels.transpose(2, 0, 1) if "planarconfig" in options else pixels
            pytest.importorskip("tifffile").imwrite("photo.tif", pixels, **more)
            return Path("photo.tif")

        return write

    def jpeg() -> Path:
        colors.save("photo.jpg")
        return Path("photo.jpg")

    return [
        pytest.param(png(colors), id="PNG"),
        pytest.param(png(clear), id="PNG with alpha"),
        pytest.param(png(table), id="PNG with a palette"),
        pytest.param(png(table, transparency=3), id="PNG with a clear colour"),
        pytest.param(png(grey), id="PNG of 16 bits"),
        pytest.param(tiff(colors), id="TIFF in one strip"),
        pytest.param(tiff(clear, compression="tiff_lzw", strip_size=3000), id="TIFF, LZW"),
        pytest.param(tiff(colors, compression="jpeg", strip_size=3000), id="TIFF, JPEG"),
        pytest.param(tiff(grey, compression="tiff_adobe_deflate", strip_size=999), id="TIFF, 16"),
        pytest.param(tiff(colors.convert("CMYK"), strip_size=3000), id="TIFF, CMYK"),
        pytest.param(tiled(tile=(32, 48)), id="TIFF in tiles of 16 bits"),
        pytest.param(tiled(tile=(32, 48), planarconfig="separate"), id="TIFF, channels apart"),
        pytest.param(tiled(rowsperstrip=5, byteorder=">"), id="TIFF, big-endian"),
        pytest.param(jpeg, id="JPEG"),
    ]


def expect(target: Path, image: Image.Image, most: int = 0) -> None:
    with Image.open(target) as written:
        assert (written.mode, written.size) == (image.mode, image.size)
        difference = np.abs(np.asarray(written).astype(int) - np.asarray(image).astype(int))
    assert difference.max() <= most, f"{difference.max()} of 255, {(difference > most).mean():.2%}"


def files() -> set[str]:
    return {path.name for path in Path().iterdir()}


@pytest.mark.parametrize("write", sources())
def test_every_file_is_decoded_in_bands_as_in_one_piece(
    pipe: StyleTransferPipeline, style: StyleCode, write: Callable[[], Path]
) -> None:
    source = write()
    for keep_alpha in (False, True):
        pipe.paint_file(source, "out.png", style, 0, keep_alpha=keep_alpha)
        expect(Path("out.png"), pipe(source, style, 0, keep_alpha=keep_alpha).images[0])


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".png", {"tile_size": TILE}),
        (".tif", {"tile_size": None, "strength": 0.6}),
        (".tif", {"tile_size": TILE, "color": 0.3}),
        (".png", {"tile_size": None, "color": 0.0}),
        (".png", {"processing_resolution": 64, "strength": 0.7}),
    ],
)
def test_the_result_is_that_of_the_pipeline(
    pipe: StyleTransferPipeline, style: StyleCode, suffix: str, options: dict[str, Any]
) -> None:
    Image.fromarray(photo(150, 181, 4)).save("photo.png")
    target = Path(f"out{suffix}")
    written = pipe.paint_file("photo.png", target, style, keep_alpha=True, **options)
    assert written == target
    expect(target, pipe("photo.png", style, keep_alpha=True, **options).images[0])
    assert files() == {"photo.png", target.name}


def test_a_photo_of_16_bits_is_painted_alike(pipe: StyleTransferPipeline, style: StyleCode) -> None:
    Image.fromarray(photo(150, 181)[..., 0].astype(np.uint16) * 257).save("photo.png")
    for options in ({"tile_size": TILE}, {"processing_resolution": 64}):
        pipe.paint_file("photo.png", "out.png", style, **options)
        expect(Path("out.png"), pipe("photo.png", style, **options).images[0], most=1)


def test_styles_are_mixed(pipe: StyleTransferPipeline, style: StyleCode) -> None:
    Image.fromarray(photo(80, 90)).save("photo.png")
    Image.fromarray(photo(64, 64, seed=5)).save("style.png")
    pipe.paint_file("photo.png", "out.png", [style, "style.png"], style_weights=[3, 1])
    mixture = pipe("photo.png", [style, "style.png"], style_weights=[3, 1]).images[0]
    expect(Path("out.png"), mixture)
    with pytest.raises(ValueError, match="2 styles for one picture"):
        pipe.paint_file("photo.png", "out.png", [style, "style.png"])


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_the_photo_is_upright(pipe: StyleTransferPipeline, style: StyleCode, suffix: str) -> None:
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        source = f"photo{suffix}"
        Image.fromarray(photo(60, 85)).save(source, exif=exif)
        pipe.paint_file(source, "out.tif", style, 0)
        expect(Path("out.tif"), pipe(source, style, 0).images[0])


@pytest.mark.parametrize(
    ("suffix", "keep"), [(".png", None), (".png", "keep_exif"), (".tif", "keep_gps")]
)
def test_metadata_are_those_of_the_usual_writer(
    pipe: StyleTransferPipeline, style: StyleCode, suffix: str, keep: str | None
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Ada"
    exif[ExifTags.Base.Orientation] = 3
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.DateTimeOriginal: "2020:01:02 03:04:05"}
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    Image.fromarray(photo(40, 50)).save("photo.jpg", exif=exif)
    pipe.paint_file("photo.jpg", f"out{suffix}", style, 0, **({keep: True} if keep else {}))
    picture = load_image("photo.jpg", keep_place=keep == "keep_gps")
    usual = pipe(picture, style, 0).images[0]
    save_image(usual, f"usual{suffix}", exif=picture.exif if keep else None)
    found = []
    for name in (f"out{suffix}", f"usual{suffix}"):
        with Image.open(name) as image:
            data = image.getexif()
            inner = [data.get_ifd(ifd) for ifd in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)]
            about = {ExifTags.Base.Artist, ExifTags.Base.Orientation}
            found.append(({tag: data[tag] for tag in about if tag in data}, *map(dict, inner)))
            assert "icc_profile" not in image.info
    assert found[0] == found[1]
    assert (found[0][0] == {ExifTags.Base.Artist: "Ada"}) == bool(keep)
    assert bool(found[0][2]) == (keep == "keep_gps")


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_no_more_than_a_band_or_a_tile_is_in_memory(
    pipe: StyleTransferPipeline,
    style: StyleCode,
    monkeypatch: pytest.MonkeyPatch,
    compression: str | None,
) -> None:
    """Neither of the photo, if it is a TIFF, nor of its pixels, nor of the result."""
    pytest.importorskip("tifffile")
    height, width = 420, 220
    source = "photo.tif"
    options = {"compression": compression, "strip_size": 20_000} if compression else {}
    Image.fromarray(photo(height, width)).save(source, **options)
    decoded, read, written = [], [], []
    bands, get = TiffPixels.bands, PixelFile.__getitem__

    def tell(pixels: TiffPixels, rows: int) -> Iterator[np.ndarray]:
        for band in bands(pixels, rows):
            decoded.append(len(band))
            yield band

    def getitem(pixels: PixelFile, index: Any) -> torch.Tensor:
        part = get(pixels, index)
        read.append(part.shape[2] * part.shape[3])
        return part

    class Writer:
        def __init__(self, *arguments: Any) -> None:
            self.writer = row_writer(*arguments)

        def add(self, rows: np.ndarray) -> None:
            written.append(len(rows))
            self.writer.add(rows)

        def finish(self) -> None:
            self.writer.finish()

    monkeypatch.setattr(TiffPixels, "bands", tell)
    monkeypatch.setattr(PixelFile, "__getitem__", getitem)
    monkeypatch.setattr("hfstyle.painting.large_file.row_writer", Writer)
    pipe.paint_file(source, "out.png", style, 0 if compression else 1, tile_size=TILE)
    assert sum(decoded) == height
    assert max(decoded) <= 31
    assert sum(written) == height
    assert max(written) <= TILE
    assert max(read) <= (2 * (TILE + 2 * 96)) ** 2  # the coarse level, at half the resolution


def test_a_run_that_is_stopped_leaves_nothing(
    pipe: StyleTransferPipeline, style: StyleCode
) -> None:
    Image.fromarray(photo(200, 150)).save("photo.png")
    Path("out.tif").write_bytes(b"before")

    def count(stop: int) -> Iterator[int]:
        """Calls so far; an interruption at one of them."""
        for number in itertools.count(1):
            if number == stop:
                raise KeyboardInterrupt
            yield number

    def progress(calls: Iterator[int]) -> Callable[[int, int], None]:
        return lambda done, total: told.append((next(calls), done, total))

    told: list[tuple[int, int, int]] = []
    options: dict[str, Any] = {"tile_size": TILE}
    pipe.paint_file(
        "photo.png", "whole.png", style, progress_callback=progress(count(0)), **options
    )
    calls, done, total = told[-1]
    assert done == total
    assert calls > 12
    before = files()
    for stop in (1, calls - 2):  # while measuring, while painting
        with pytest.raises(KeyboardInterrupt):
            pipe.paint_file(
                "photo.png", "out.tif", style, progress_callback=progress(count(stop)), **options
            )
        assert files() == before
        assert Path("out.tif").read_bytes() == b"before"


def test_damaged_photos_are_errors_and_leave_nothing(
    pipe: StyleTransferPipeline, style: StyleCode
) -> None:
    image = Image.fromarray(photo(90, 97))
    image.save("photo.png")
    image.save("photo.tif", compression="tiff_adobe_deflate", strip_size=3000)
    for source in ("photo.png", "photo.tif"):
        whole = Path(source).read_bytes()
        middle = len(whole) // 2
        noise = np.random.default_rng(0).bytes(400)
        for damaged in (whole[:middle], whole[:middle] + noise + whole[middle + 400 :]):
            Path(source).write_bytes(damaged)
            with pytest.raises(ImageError, match=source):
                pipe.paint_file(source, "out.png", style)
            assert files() == {"photo.png", "photo.tif"}


def test_malformed_photos_end_in_a_picture_or_an_error(
    pipe: StyleTransferPipeline, style: StyleCode
) -> None:
    by_bands = [data for data in valid_files() if data[:4] in (b"\x89PNG", b"II*\0", b"MM\0*")]
    assert len(by_bands) >= 18
    ends = {"picture": 0, "error": 0}
    for number in range(300):
        Path("photo").write_bytes(mutated(by_bands, number))
        try:
            pipe.paint_file("photo", "out.png", style, 0, max_pixels=100_000)
            ends["picture"] += 1
        except ImageError:
            ends["error"] += 1
    assert min(ends.values()) >= 15, ends


def test_what_cannot_be_done_is_told_before_anything_is_decoded(
    pipe: StyleTransferPipeline, style: StyleCode
) -> None:
    Image.fromarray(photo(40, 50)).save("photo.png")
    for target, options, message in (
        ("out.jpg", {}, "'.jpg'; row by row"),
        ("no/out.png", {}, "there is no folder"),
        ("photo.png", {"overwrite": False}, "exists already"),
        ("out.png", {"max_pixels": 1999}, "the limit is"),
        ("out.png", {"tile_size": 3}, "tile_size is 3"),
        ("out.png", {"processing_resolution": 3}, "processing_resolution is 3"),
        ("out.png", {"strength": 2}, "strength is 2"),
    ):
        with pytest.raises(ValueError, match=message):
            pipe.paint_file("photo.png", target, style, **options)
    with pytest.raises(ImageError, match="there is no such file"):
        pipe.paint_file("nothing.png", "out.png", style)
    Image.fromarray(photo(9, 50)).save("flat.png")
    with pytest.raises(ImageError, match="at least 16 px"):
        pipe.paint_file("flat.png", "out.png", style)
    assert files() == {"photo.png", "flat.png"}


def test_target_and_style_in_the_order_of_a_call_are_told(
    pipe: StyleTransferPipeline, style: StyleCode
) -> None:
    """`pipe(photo, style)` has the style second, `paint_file(photo, target, style)` third."""
    image = Image.fromarray(photo(80, 90, seed=2))
    for name in ("photo.png", "painting.png"):
        image.save(name)
    style.save("mine.style.safetensors")
    before = Path("painting.png").read_bytes()
    order = r"the order is paint_file\(photo, target, style\)"
    for second, said in (
        (style, "target is of type StyleCode"),
        (image, "target is of type Image"),
        (np.asarray(image), "target is of type ndarray"),
        ([style], "target is of type list"),
        ("mine.style.safetensors", "mine.style.safetensors' is a style"),
        ("random:3", "random:3' is a style"),
        ("painting.png", "style out.png does not exist, and target painting.png does"),
    ):
        with pytest.raises(ValueError, match=f"{said}.*{order}"):
            pipe.paint_file("photo.png", second, "out.png")  # type: ignore[arg-type]
    # As the style does not exist, and neither does the target, the message is about the style.
    with pytest.raises(ImageError, match="there is no such file"):
        pipe.paint_file("photo.png", "other.png", "painting-2.png")
    # Both are there: a result of before is the style, and a picture that nobody painted here would be replaced.
    pipe.paint_file("photo.png", "out.png", "painting.png")
    with pytest.raises(ValueError, match=f"painting.png would be replaced.*{order}"):
        pipe.paint_file("photo.png", "painting.png", "out.png")
    assert Path("painting.png").read_bytes() == before
    # In the right order, again and again; and a painting may be the style of another.
    pipe.paint_file("photo.png", "out.png", "painting.png")
    pipe.paint_file("photo.png", "second.png", "out.png")
    pipe.paint_file("photo.png", "second.png", "out.png")
    pipe.paint_file("photo.png", "out.png", [style, "painting.png"], style_weights=[1, 1])


def test_the_photo_and_the_style_are_never_overwritten(pipe: StyleTransferPipeline) -> None:
    for name, seed in (("photo.png", 1), ("style.png", 2)):
        Image.fromarray(photo(80, 90, seed=seed)).save(name)
    os.symlink("photo.png", "link.png")
    before = {name: Path(name).read_bytes() for name in ("photo.png", "style.png")}
    for target in ("photo.png", "style.png", "link.png"):
        with pytest.raises(ImageError, match=f"{target} is one of the inputs"):
            pipe.paint_file("photo.png", target, Path("style.png"))
    with pytest.raises(ImageError, match="one of the inputs"):
        pipe.paint_file("photo.png", "style.png", ["style.png", "photo.png"], style_weights=[1, 1])
    assert {name: Path(name).read_bytes() for name in before} == before


@pytest.mark.parametrize(
    ("suffix", "channels", "heights"),
    [(".png", 3, [1] * 37), (".png", 4, [20, 1, 16]), (".tif", 3, [20, 1, 16])],
)
def test_rows_are_written_in_any_portions(suffix: str, channels: int, heights: list[int]) -> None:
    picture = photo(37, 5000, channels)  # several strips of a TIFF, several chunks of a PNG
    stream = io.BytesIO()
    writer = row_writer(stream, suffix, (5000, 37), channels, None)
    top = 0
    for height in heights:
        writer.add(picture[top : top + height])
        top += height
    writer.finish()
    with Image.open(io.BytesIO(stream.getvalue())) as image:
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            assert len(image.tag_v2[TiffImagePlugin.STRIPOFFSETS]) > 1
        assert np.array_equal(np.asarray(image), picture)


def test_pixels_lie_in_a_file_without_a_name() -> None:
    with PixelFile(6, 5, 2, torch.float32, os.curdir) as pixels:
        values = np.random.default_rng(0).random((6, 5, 2), np.float32)
        pixels.write(0, 0, values)
        assert files() == set() or os.name == "nt"
        expected = torch.from_numpy(values).permute(2, 0, 1)[None]
        assert torch.equal(pixels.whole(), expected)
        assert torch.equal(pixels[..., 4:9, 1:3], expected[..., 4:9, 1:3])
        pixels.write(2, 1, values[:2, :3])
        assert torch.equal(pixels[..., 2:4, 1:4], expected[..., :2, :3])


def test_what_the_coarse_level_paints_lies_in_a_file_too(
    pipe: StyleTransferPipeline, style: StyleCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quarter of the picture, which of 64 megapixels would take 100 MB; it goes with the call."""
    height, width = 201, 170
    Image.fromarray(photo(height, width)).save("photo.png")
    made: list[PixelFile] = []
    begin = PixelFile.__init__

    def spy(pixels: PixelFile, *given: Any) -> None:
        begin(pixels, *given)
        made.append(pixels)

    monkeypatch.setattr(PixelFile, "__init__", spy)
    pipe.paint_file("photo.png", "out.png", style, tile_size=TILE, processing_resolution="full")
    assert [pixels.dtype for pixels in made] == [torch.uint8, torch.float16]
    assert made[1].shape[2:] == (224 // 2, 192 // 2)
    assert all(pixels._file.closed for pixels in made)
    assert files() == {"photo.png", "out.png"}


def test_the_command_line_paints_large_photos_from_file_to_file(
    pipe: StyleTransferPipeline,
    style: StyleCode,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pipe.save_pretrained("model")
    style.save("style.safetensors")
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Ada"
    Image.fromarray(photo(80, 90, 4)).save("photo.png", exif=exif)
    Path("broken.png").write_bytes(b"nothing")
    calls: list[str] = []
    paint_file = StyleTransferPipeline.paint_file

    def spy(
        self: StyleTransferPipeline, source: Path, target: Path, *given: Any, **more: Any
    ) -> Path:
        calls.append(Path(target).name)
        return paint_file(self, source, target, *given, **more)

    monkeypatch.setattr(StyleTransferPipeline, "paint_file", spy)
    command = ["stylize", "photo.png", "-s", "style.safetensors", "--model", "model"]
    command += ["--keep-alpha", "--keep-exif", "--color", "0.5"]
    assert main([*command, "-o", "memory.png"]) == 0
    monkeypatch.setattr("hfstyle.painting.large_file.UNTILED_PIXELS", 80 * 90 - 1)
    assert main([*command, "-o", "rows.png"]) == 0
    assert main([*command, "-o", "rows.jpg"]) == 0
    assert main([*command, "-o", "folder/", "--format", "tif"]) == 0
    assert main([*command, "-o", "folder/", "--format", "tif", "--no-overwrite"]) == 0
    assert calls == ["rows.png", "photo.png__style.tif"]
    with Image.open("memory.png") as expected:
        for target in ("rows.png", "folder/photo.png__style.tif"):
            expect(Path(target), expected)
            with Image.open(target) as image:
                assert image.getexif()[ExifTags.Base.Artist] == "Ada"
    capsys.readouterr()
    assert main(["stylize", "broken.png", *command[1:], "-o", "more/"]) == 1
    assert "broken.png is not a picture" in capsys.readouterr().err
    assert calls[2:] == ["photo.png__style.png"]


def test_a_written_tiff_is_smaller_than_one_without_differences() -> None:
    y, x = np.mgrid[:300, :400]
    shades = np.stack([x / 2 + y / 4, 200 - y / 3, 99 + x / 5], -1)
    noise = np.random.default_rng(0).normal(0, 2, shades.shape)
    image = Image.fromarray((shades + noise).clip(0, 255).astype(np.uint8))
    save_image(image, "ours.tif")
    image.save("plain.tif", compression="tiff_adobe_deflate")
    assert Path("ours.tif").stat().st_size < 0.75 * Path("plain.tif").stat().st_size
    expect(Path("ours.tif"), image)
