"""What files say of how they were made: IPTC's digital source type in XMP, what is kept of a photo's XMP, and the switch."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, features
from small_model import small_generator

import hfstyle
from hfstyle import ImageError, StyleTransferPipeline
from hfstyle.batch import stylize_dataset
from hfstyle.cli import main
from hfstyle.images import encode_image, load_image, save_image

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
SUFFIXES = [".png", ".jpg", ".webp", ".tif"] + [".avif"] * bool(features.check("avif"))
PHOTO_XMP = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 photoshop:Credit="Z\xc3\xb6e Press" photoshop:City="Secretville" exif:GPSLatitude="48,12.3N"
 Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture">
<dc:creator><rdf:Seq><rdf:li>Z\xc3\xb6e</rdf:li></rdf:Seq></dc:creator></rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


@pytest.fixture(scope="module")
def pipe() -> StyleTransferPipeline:
    pipe = StyleTransferPipeline(small_generator())
    pipe.presets = {"waves": pipe.encode_style(noise(70, 80))}
    return pipe


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def described(file: Path | bytes) -> dict[str, str]:
    """The properties of a file's XMP, by name without namespace, {} without one."""
    with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file) as image:
        image.load()
        found = image.info.get("xmp")
    if found is None:
        return {}
    rdf = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
    (description,) = ElementTree.fromstring(found).iter(f"{rdf}Description")
    return {child.tag.partition("}")[2]: "".join(child.itertext()) for child in description}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_painting_says_how_it_was_made_and_nothing_private(
    pipe: StyleTransferPipeline, tmp_path: Path, suffix: str
) -> None:
    image = pipe(noise(64, 72), "waves").images[0]
    save_image(image, tmp_path / f"out{suffix}")
    expected = {
        "DigitalSourceType": SOURCE_TYPE, "AISystemUsed": "hfstyle, own weights",
        "AISystemVersionUsed": hfstyle.__version__, "CreatorTool": f"hfstyle, own weights {hfstyle.__version__}",
    }  # fmt: skip
    assert described(tmp_path / f"out{suffix}") == expected
    assert described(encode_image(image, suffix)) == expected
    plain = pipe(noise(64, 72), "waves", provenance=False).images[0]
    save_image(plain, tmp_path / f"plain{suffix}")
    assert described(tmp_path / f"plain{suffix}") == {}
    with Image.open(tmp_path / f"plain{suffix}") as a, Image.open(tmp_path / f"out{suffix}") as b:
        assert np.array_equal(np.asarray(a), np.asarray(b))


def test_an_output_saves_itself_and_the_photo_itself_is_not_marked(
    pipe: StyleTransferPipeline, tmp_path: Path
) -> None:
    both = pipe([noise(64, 72), noise(80, 64)], "waves")
    both.save(tmp_path / "a.jpg", 1, quality=80)
    assert described(tmp_path / "a.jpg")["DigitalSourceType"] == SOURCE_TYPE
    assert load_image(tmp_path / "a.jpg").size == (80, 64)
    with pytest.raises(ValueError, match="no PIL picture 2"):
        both.save(tmp_path / "b.png", 2)
    with pytest.raises(ValueError, match="output_type='pil'"):
        pipe(noise(64, 72), "waves", output_type="np").save(tmp_path / "b.png")
    with pytest.raises(ImageError, match="exists already"):
        both.save(tmp_path / "a.jpg", overwrite=False)
    pipe(noise(64, 72), "waves", 0).save(tmp_path / "photo.png")
    assert described(tmp_path / "photo.png") == {}
    assert StyleTransferPipeline.from_pretrained().mark.system == "hfstyle, bundled weights"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo with author, credit, city and place in its XMP."""
    path = tmp_path / "photos" / "photo.jpg"
    path.parent.mkdir()
    Image.fromarray(noise(70, 80)).save(path, xmp=PHOTO_XMP)
    return path


Painter = Callable[[StyleTransferPipeline, Path, Path, bool, bool], Path]


def by_command(pipe: StyleTransferPipeline, photo: Path, out: Path, keep: bool, say: bool) -> Path:
    pipe.save_pretrained(out.parent / "model")
    arguments = ["stylize", str(photo), "--style", "waves", "-o", str(out), "-q"]
    arguments += ["--model", str(out.parent / "model"), "--device", "cpu"]
    assert main(arguments + ["--keep-exif"] * keep + ["--no-provenance"] * (not say)) == 0
    return out


def by_rows(pipe: StyleTransferPipeline, photo: Path, out: Path, keep: bool, say: bool) -> Path:
    return pipe.paint_file(photo, out, "waves", keep_exif=keep, provenance=say)


def by_batch(pipe: StyleTransferPipeline, photo: Path, out: Path, keep: bool, say: bool) -> Path:
    folder = out.parent / f"batch-{out.suffix[1:]}"
    stylize_dataset(
        pipe, str(photo.parent), [pipe.presets["waves"]], folder, format=out.suffix[1:], keep_exif=keep, provenance=say
    )  # fmt: skip
    return next(folder.glob(f"*{out.suffix}"))


@pytest.mark.parametrize(
    ("painter", "suffix"), [(by_command, ".png"), (by_rows, ".tif"), (by_batch, ".png")]
)
def test_every_front_end_marks_and_keeps_the_author_but_not_the_place(
    pipe: StyleTransferPipeline, photo: Path, tmp_path: Path, painter: Painter, suffix: str
) -> None:
    both = painter(pipe, photo, tmp_path / f"both{suffix}", True, True)
    found = described(both)
    assert found["DigitalSourceType"] == SOURCE_TYPE
    assert found["Credit"] == "Zöe Press"
    assert found["creator"] == "Zöe"
    raw = both.read_bytes()
    assert b"Secretville" not in raw
    assert b"GPSLatitude" not in raw
    assert b"digitalCapture" not in raw


@pytest.mark.parametrize("painter", [by_command, by_rows, by_batch])
def test_the_switch_and_nothing_kept_unasked(
    pipe: StyleTransferPipeline, photo: Path, tmp_path: Path, painter: Painter
) -> None:
    assert described(painter(pipe, photo, tmp_path / "none.png", False, False)) == {}
    if painter is not by_batch:
        marked = described(painter(pipe, photo, tmp_path / "mark.png", False, True))
        assert "Credit" not in marked
        kept = described(painter(pipe, photo, tmp_path / "kept.png", True, False))
        assert "DigitalSourceType" not in kept
        assert kept["Credit"] == "Zöe Press"


def test_xmp_that_is_none_costs_no_picture(tmp_path: Path) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'
    for number, xmp in enumerate(
        (bomb, b"<x", b"\xff\xfe", PHOTO_XMP.replace(b"Description", b"Other"))
    ):
        path = tmp_path / f"{number}.jpg"
        Image.fromarray(noise(40, 40)).save(path, xmp=xmp)
        assert load_image(path).xmp is None


def test_animations_and_films_say_it_too(pipe: StyleTransferPipeline, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    from hfstyle.film import read_frames, save_before_after, stylize_video
    from hfstyle.paths import save_animation

    frames = [pipe(noise(64, 64), "waves", x).images[0] for x in (1.0, 0.5, 0.8)]
    save_animation(frames, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as gif:
        assert SOURCE_TYPE.encode() in gif.info["comment"]
    save_animation(frames, tmp_path / "a.mp4")
    film = stylize_video(pipe, tmp_path / "a.mp4", "waves")
    film.save(tmp_path / "b.mp4")
    film.save(tmp_path / "c.mp4", resume=True)
    film.save(tmp_path / "d.mp4", provenance=False)
    for name, says in (("a", True), ("b", True), ("c", True), ("d", False)):
        with av.open(str(tmp_path / f"{name}.mp4")) as container:
            assert (SOURCE_TYPE in container.metadata.get("comment", "")) == says, name
    film.save(tmp_path / "many.webp")
    save_before_after(frames[0].convert("L"), frames[1], tmp_path / "divided.webp", seconds=1)
    for name in ("many", "divided"):
        assert described(tmp_path / f"{name}.webp")["DigitalSourceType"] == SOURCE_TYPE
        assert len(list(read_frames(tmp_path / f"{name}.webp"))) >= 3
    film.save(tmp_path / "silent.webp", provenance=False)
    assert described(tmp_path / "silent.webp") == {}
    stylize_video(pipe, tmp_path / "a.mp4", "waves", end=0.1).save(tmp_path / "one.webp")
    assert described(tmp_path / "one.webp")["DigitalSourceType"] == SOURCE_TYPE
    with Image.open(tmp_path / "one.webp") as still:
        assert still.size == (64, 64)
        still.load()
