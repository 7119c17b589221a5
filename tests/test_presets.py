"""training/publish/presets.py: pictures become the bundled styles of a model; and the specimens drawn for it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_model import small_generator

from hfstyle import StyleCode, StyleTransferPipeline
from training.publish import presets
from training.publish.specimens import SPECIMENS

WORKS = Path(presets.__file__).with_suffix(".csv")


def _picture(height: int, width: int, seed: int) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_generator(1).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def _gallery(folder: Path, text: str) -> Path:
    folder.mkdir()
    _picture(90, 80, 21).save(folder / "waves.png")
    _picture(90, 80, 22).save(folder / "hills.jpg")
    (folder / "gallery.csv").write_text(text, encoding="utf-8")
    return folder


def test_a_gallery_becomes_the_presets_of_a_model(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery = _gallery(
        tmp_path / "gallery",
        "file,title,artist,year,movement,licence\n"
        'waves.png,"waves, at dawn",Zoë,1901,Realism,public domain\n'
        "hills.jpg,,,1902,,\n",
    )
    other = StyleTransferPipeline(small_generator(2)).encode_style(_picture(80, 80, 1))
    other.save(folder / "styles" / "stale.safetensors")
    assert presets.main(["--model", str(folder), "--gallery", str(gallery)]) == 0
    assert "2 styles written" in capsys.readouterr().out
    pipe = StyleTransferPipeline.from_pretrained(folder)
    assert list(pipe.presets) == ["hills", "waves"]
    waves = pipe.preset("waves")
    assert waves.name == "waves"
    assert waves.metadata == {
        "title": "Waves, at dawn",
        "artist": "Zoë",
        "year": "1901",
        "movement": "Realism",
        "licence": "public domain",
    }
    assert torch.equal(waves.vector, pipe.encode_style(gallery / "waves.png").vector)
    assert pipe.preset("hills").metadata == {"year": "1902"}


def test_renewed_presets_keep_what_they_say_and_undated_works_are_left_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery = _gallery(
        tmp_path / "gallery", "file,title,artist\nwaves.png,waves,Zoë\nhills.jpg,hills,Zoë\n"
    )
    corrected = {"title": "Waves at Dawn", "year": "c. 1901", "movement": "Realism"}
    foreign = StyleCode(torch.zeros(5), torch.zeros(2, 3), "another encoder", "waves", corrected)
    foreign.save(folder / "styles" / "waves.safetensors")
    for _ in range(2):
        assert presets.main(["--model", str(folder), "--gallery", str(gallery)]) == 0
        out = capsys.readouterr().out
        assert "hills is left out" in out
        assert "1 styles written" in out
        pipe = StyleTransferPipeline.from_pretrained(folder)
        assert list(pipe.presets) == ["waves"]
        assert pipe.preset("waves").metadata == {**corrected, "artist": "Zoë"}
        renewed = pipe.encode_style(gallery / "waves.png")
        assert torch.equal(pipe.preset("waves").vector, renewed.vector)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,title\nwaves.png,x\n", "no column 'file'"),
        ("file,title\n,x\n", "row 2 names no file"),
        ("file\nwaves.png\nwaves.jpg\n", "waves.png and waves.jpg would both be 'waves'"),
    ],
)
def test_a_faulty_gallery_is_told(
    text: str, message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery = _gallery(tmp_path / "gallery", text)
    assert presets.main(["--model", str(folder), "--gallery", str(gallery)]) == 1
    assert message in capsys.readouterr().err


# --- chosen works


def _parquet(path: Path, titles: list[str]) -> str:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    rows = []
    for number, title in enumerate(titles):
        stream = io.BytesIO()
        _picture(80, 90, number).save(stream, "PNG")
        picture = {"bytes": stream.getvalue(), "path": None}
        rows.append({"image": picture, "title": title, "artist": "A. Painter"})
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def test_chosen_works_come_from_the_gallery_parquet_files_and_our_own_drawings(
    folder: Path, tmp_path: Path
) -> None:
    gallery = _gallery(tmp_path / "gallery", "file,title,year\nwaves.png,waves,1901\n")
    pictures = _parquet(tmp_path / "art.parquet", ["a lake", "a hill 1850"])
    table = tmp_path / "works.csv"
    table.write_text(
        "name,picture,title,artist,year,movement,technique,licence\n"
        "waves,gallery,Waves at Dawn,Zoë,c. 1901,,oil,\n"
        "hill,a hill 1850|A. Painter,A Hill,A. Painter,1850,Realism,fresco,CC0\n"
        "comic,drawn,Page,hfstyle,2026,comic,comic,CC0\n",
        encoding="utf-8",
    )
    words = ["--model", str(folder), "--gallery", str(gallery), "--works", str(table)]
    assert presets.main([*words, "--pictures", pictures]) == 0
    pipe = StyleTransferPipeline.from_pretrained(folder)
    assert list(pipe.presets) == ["comic", "hill", "waves"]
    about = pipe.preset("waves").metadata
    assert (about["title"], about["year"], about["technique"]) == (
        "Waves at Dawn",
        "c. 1901",
        "oil",
    )
    assert pipe.preset("hill").metadata["technique"] == "fresco"
    assert torch.equal(pipe.preset("hill").vector, pipe.encode_style(_picture(80, 90, 1)).vector)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("lake,gallery", "'gallery' of 'lake' is nowhere"),
        ("lake,a lake|Nobody", "name them with --pictures"),
    ],
)
def test_a_faulty_table_of_works_is_told(
    row: str, message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery = _gallery(tmp_path / "gallery", "file,year\nwaves.png,1901\n")
    table = tmp_path / "works.csv"
    table.write_text(f"name,picture\n{row}\n", encoding="utf-8")
    words = ["--model", str(folder), "--gallery", str(gallery), "--works", str(table)]
    assert presets.main(words) == 1
    assert message in capsys.readouterr().err


def test_the_bundled_table_covers_the_techniques() -> None:
    with open(WORKS, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) >= 36
    assert len({row["name"] for row in rows}) == len(rows)
    for row in rows:
        assert all(row.values()), row["name"]
        assert row["picture"] != "drawn" or row["name"] in SPECIMENS
    said = " ".join(" ".join((row["technique"], row["movement"])) for row in rows).lower()
    for technique in [
        "oil",
        "fresco",
        "watercolour",
        "ukiyo-e",
        "ink wash",
        "engraving",
        "charcoal",
        "mosaic",
        "stained glass",
        "pointillism",
        "cubism",
        "abstract",
        "poster",
        "comic",
    ]:
        assert technique in said


def test_specimens_are_colourful_pictures_and_the_same_each_time() -> None:
    for draw in SPECIMENS.values():
        pixels = np.asarray(draw())
        assert pixels.shape == (800, 640, 3)
        assert pixels.std(axis=(0, 1)).min() > 40
        assert np.array_equal(pixels, np.asarray(draw()))
