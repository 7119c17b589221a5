"""What results keep of a photo's metadata: bytes of texts as they were, the resolution of a print; and long notes."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin, features

from hfstyle import StyleTransferPipeline
from hfstyle.batch import stylize_dataset
from hfstyle.cli import main
from hfstyle.images import encode_image, load_image, save_image, to_pil

COMMENT = b"UNICODE\0" + "Grüße, 北斎".encode("utf-16-le")
TEXTS = {  # bytes are written as they are: UTF-8, as cameras and Lightroom do
    ExifTags.Base.Artist: "Jürgen 北斎".encode(),
    ExifTags.Base.Copyright: "© Zoë".encode(),
    ExifTags.Base.ImageDescription: "Straße".encode(),
}
LENS = "Voigtländer".encode()


@pytest.fixture(scope="module")
def pipe() -> StyleTransferPipeline:
    return StyleTransferPipeline.from_pretrained()


def photo() -> Image.Image:
    y, x = np.mgrid[:48, :64]
    return Image.fromarray(np.stack([x * 4, y * 5, x + y], -1).astype(np.uint8))


class _Bytes(str):
    def encode(self, *_: str) -> bytes:
        return super().encode("latin-1")


def rich_exif() -> Image.Exif:
    exif = Image.Exif()
    for tag, text in TEXTS.items():
        exif[tag] = text
    exif[0x9C9D] = "Jürgen\0".encode("utf-16-le")  # Windows' author
    inner = {
        ExifTags.Base.UserComment: (bytearray(COMMENT),),
        ExifTags.Base.LensModel: _Bytes(LENS.decode("latin-1")),
        ExifTags.Base.ExposureTime: 0.5,
    }
    exif[ExifTags.IFD.Exif] = inner
    return exif


def check_texts(data: bytes | Path) -> None:
    image = Image.open(io.BytesIO(data) if isinstance(data, bytes) else data)
    exif = image.getexif()
    for tag, text in TEXTS.items():
        assert exif[tag].encode("latin-1") == text, ExifTags.Base(tag).name
    assert exif[0x9C9D] == "Jürgen\0".encode("utf-16-le")
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    assert bytes(inner[ExifTags.Base.UserComment]) == COMMENT
    assert inner[ExifTags.Base.LensModel].encode("latin-1") == LENS
    assert float(inner[ExifTags.Base.ExposureTime]) == 0.5


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("PNG", ".png"), ("JPEG", ".tif"), ("JPEG", ".webp"), ("JPEG", ".avif")],
)
def test_texts_keep_their_bytes_in_all_formats(kind: str, suffix: str, tmp_path: Path) -> None:
    if suffix == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    stream = io.BytesIO()
    photo().save(stream, kind, exif=rich_exif())
    picture = load_image(stream.getvalue())
    save_image(to_pil(picture.rgb), tmp_path / f"a{suffix}", exif=picture.exif)
    check_texts(tmp_path / f"a{suffix}")


def test_texts_of_a_tiff_and_of_results_keep_their_bytes(
    tmp_path: Path, pipe: StyleTransferPipeline
) -> None:
    save_image(photo(), tmp_path / "photo.tif", exif=rich_exif().tobytes())
    check_texts(tmp_path / "photo.tif")
    for suffix in (".png", ".tif"):
        target = tmp_path / f"painted{suffix}"
        pipe.paint_file(tmp_path / "photo.tif", target, "comic", keep_exif=True)
        check_texts(target)
        again = tmp_path / f"cli{suffix}"
        line = ["stylize", str(tmp_path / "photo.tif"), "--style", "comic", "-o", str(again)]
        assert main([*line, "--keep-exif", "-q"]) == 0
        check_texts(again)


def dpi_of(path: Path) -> tuple[float, float]:
    found = load_image(path).resolution
    assert found is not None
    return round(found[0], 1), round(found[1], 1)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        *((kind, ".png") for kind in (".webp", ".tif", ".bmp")),
        *((".jpg", suffix) for suffix in (".jpg", ".webp", ".tif", ".avif")),
    ],
)
def test_the_resolution_is_kept_from_format_to_format(
    kind: str, suffix: str, tmp_path: Path, pipe: StyleTransferPipeline
) -> None:
    if suffix == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    source, target = tmp_path / f"photo{kind}", tmp_path / f"out{suffix}"
    image = photo()
    image.info["dpi"] = (300, 150)
    if kind == ".bmp":
        image.save(source, dpi=(300, 150))
    else:
        save_image(image, source)
    save_image(pipe(source, "comic").images[0], target)
    assert dpi_of(target) == (300, 150)
    shown = Image.open(target)
    if suffix in (".png", ".jpg", ".tif"):  # where other programs look for it
        np.testing.assert_allclose([float(d) for d in shown.info["dpi"]], (300, 150), atol=0.1)
    else:
        assert float(shown.getexif()[ExifTags.Base.XResolution]) == 300


def test_centimetres_a_turned_photo_and_none(tmp_path: Path, pipe: StyleTransferPipeline) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution] = 118.11, 59.055
    exif[ExifTags.Base.ResolutionUnit] = 3
    stream = io.BytesIO()
    photo().save(stream, "WEBP", exif=exif)
    assert load_image(stream.getvalue()).resolution == pytest.approx((300, 150), abs=0.01)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    stream = io.BytesIO()
    photo().save(stream, "PNG", exif=exif, dpi=(300, 150))
    assert load_image(stream.getvalue()).resolution == pytest.approx((150, 300), abs=0.1)
    for kind in ("PNG", "JPEG", "TIFF", "WEBP"):
        stream = io.BytesIO()
        photo().save(stream, kind)
        assert load_image(stream.getvalue()).resolution is None, kind
    assert "dpi" not in pipe(photo(), "comic").images[0].info


def test_every_way_of_painting_keeps_it(tmp_path: Path, pipe: StyleTransferPipeline) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    photo().save(folder / "photo.jpg", dpi=(240, 240))
    photo().save(tmp_path / "bands.png", dpi=(240, 240))
    photo().save(tmp_path / "bands.tif", dpi=(240, 240))
    for source in (folder / "photo.jpg", tmp_path / "bands.png", tmp_path / "bands.tif"):
        for suffix in (".png", ".tif"):
            pipe.paint_file(source, tmp_path / f"rows{suffix}", "comic")
            assert dpi_of(tmp_path / f"rows{suffix}") == (240, 240), source.name
    line = ["stylize", str(folder / "photo.jpg"), "--style", "comic", "-q", "-o"]
    assert main([*line, str(tmp_path / "cli.jpg")]) == 0
    assert dpi_of(tmp_path / "cli.jpg") == (240, 240)
    pytest.importorskip("accelerate")
    stylize_dataset(pipe, str(folder), [pipe.preset("comic")], tmp_path / "batch", format="webp")
    assert dpi_of(tmp_path / "batch" / "photo.webp") == (240, 240)
    assert load_image(encode_image(Image.open(folder / "photo.jpg"), ".png")).resolution is not None


# Long notes


def chunk(tag: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))


def png_with(*chunks: bytes, behind: bool = False) -> bytes:
    stream = io.BytesIO()
    photo().save(stream, "PNG")
    data = stream.getvalue()
    place = len(data) - 12 if behind else 33
    return data[:place] + b"".join(chunks) + data[place:]


LONG = b"x" * 2_000_000
NOTES = {
    "tEXt": chunk(b"tEXt", b"workflow\0" + LONG),
    "zTXt": chunk(b"zTXt", b"workflow\0\0" + zlib.compress(LONG)),
    "iTXt": chunk(b"iTXt", b"workflow\0\0\0\0\0" + LONG),
    "packed iTXt": chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(LONG)),
    "many": chunk(b"zTXt", b"w\0\0" + zlib.compress(LONG[:900_000])) * 200,
}


@pytest.mark.parametrize(
    ("note", "behind"), [*((note, False) for note in NOTES), ("packed iTXt", True)]
)
def test_a_png_with_long_notes_is_read(note: str, behind: bool, tmp_path: Path) -> None:
    data = png_with(NOTES[note], behind=behind)
    assert np.array_equal(
        (load_image(data).rgb * 255).round().permute(1, 2, 0), np.asarray(photo())
    )
    (tmp_path / "photo.png").write_bytes(data)
    pipe = StyleTransferPipeline.from_pretrained()
    target = pipe.paint_file(tmp_path / "photo.png", tmp_path / "out.png", "comic", 0.0)
    assert np.array_equal(np.asarray(Image.open(target)), np.asarray(photo()))


def test_notes_do_not_cost_the_exif_data() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", LONG.decode(), zip=True)
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Berthe"
    photo().save(stream, "PNG", pnginfo=info, exif=exif, dpi=(300, 300))
    picture = load_image(stream.getvalue())
    assert picture.exif is not None
    assert b"Berthe" in picture.exif
    assert picture.resolution is not None


def long_profile(swapped: bool) -> bytes:
    """sRGB, or one that calls red what is green, and 1.5 MB of nothing at its end."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if swapped:
        profile = (
            profile.replace(b"rXYZ", b"....").replace(b"gXYZ", b"rXYZ").replace(b"....", b"gXYZ")
        )
    profile += bytes(1_500_000)
    return struct.pack(">I", len(profile)) + profile[4:]


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_long_profile_is_used(kind: str) -> None:
    plain, swapped = (long_profile(swap) for swap in (False, True))
    data = {}
    for name, profile in (("plain", plain), ("swapped", swapped)):
        if kind == "PNG":
            data[name] = png_with(chunk(b"iCCP", b"p\0\0" + zlib.compress(profile)))
        else:
            stream = io.BytesIO()
            photo().save(stream, "JPEG", quality=100, subsampling=0, icc_profile=profile)
            data[name] = stream.getvalue()
    one, other = (load_image(data[name]).rgb for name in ("plain", "swapped"))
    assert (one - load_image(photo()).rgb).abs().max() < 0.03
    assert (other - one[[1, 0, 2]]).abs().mean() < 0.02
