"""training/publish/style_space.py: the space of a model from paintings with labels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_model import small_generator

from hfstyle import StyleTransferPipeline
from hfstyle.styles.space import SPACE_FILE
from training.publish import style_space


def _jpeg(seed: int) -> bytes:
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(small).resize((90, 70)).save(stream, "JPEG")
    return stream.getvalue()


def test_paintings_with_labels_become_a_space(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    model = tmp_path / "model"
    StyleTransferPipeline(small_generator()).save_pretrained(model)
    rows = [{"image": {"bytes": _jpeg(i), "path": f"{i}.jpg"}, "title": f"t{i}"} for i in range(6)]
    rows = [row | {"label": "Cubism", "artist": "A. Painter"} for row in rows]
    rows[2]["image"] = {"bytes": b"broken", "path": "2.jpg"}
    rows.append(rows[0] | {"title": "a princess", "label": "cartoon"})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    words = ["--model", str(model), "--style_data_dir", str(tmp_path / "*.parquet"), "--rank", "3"]
    words += ["--token_rank", "2"]
    assert style_space.main([*words, "--style_size", "64"]) == 0
    printed = capsys.readouterr()
    assert "5 paintings in 5 directions" in printed.out
    assert "row 2" in printed.err
    assert "row 6 (0.jpg): its label is 'cartoon'" in printed.err
    pipe = StyleTransferPipeline.from_pretrained(model)
    space = pipe.style_space
    assert [entry["title"] for entry in space.about] == ["t0", "t1", "t3", "t4", "t5"]
    assert all(entry["words"] for entry in space.about)
    assert (model / SPACE_FILE).is_file()
    assert {m.code.metadata["movement"] for m in pipe.find_styles("cubist", k=2)} == {"Cubism"}


def test_nothing_to_fit_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    StyleTransferPipeline(small_generator()).save_pretrained(tmp_path / "model")
    words = ["--model", str(tmp_path / "model"), "--style_data_dir", str(tmp_path / "*.parquet")]
    assert style_space.main(words) == 1
    assert "no files at" in capsys.readouterr().err
