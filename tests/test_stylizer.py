"""`Stylizer`: encoded pictures in, encoded pictures and errors out, in the forms that engines have."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_model import small_generator

from hfstyle import StyleTransferPipeline
from hfstyle.batch import Stylizer

pa = pytest.importorskip("pyarrow")
datasets = pytest.importorskip("datasets")
pd = pytest.importorskip("pandas")


def encoded(seed: int) -> bytes:
    random = np.random.default_rng(seed)
    stream = io.BytesIO()
    picture = Image.fromarray(random.integers(0, 256, (33 + seed, 40, 3), np.uint8))
    picture.save(stream, "PNG")
    return stream.getvalue()


FILES = [encoded(1), b"no picture", encoded(2)]


@pytest.fixture(scope="module")
def stylizer(tmp_path_factory: pytest.TempPathFactory) -> Stylizer:
    folder = tmp_path_factory.mktemp("model")
    small_generator().save_pretrained(folder)
    (folder / "style.png").write_bytes(encoded(40))
    made = Stylizer(str(folder / "style.png"), model=str(folder), strength=0.7, device="cpu")
    copy = pickle.loads(pickle.dumps(made))  # as engines send it
    assert isinstance(copy, Stylizer)
    return copy


@pytest.fixture(scope="module")
def expected(stylizer: Stylizer) -> list[np.ndarray[Any, Any] | None]:
    """What the pipeline paints of the files."""
    folder = Path(str(stylizer._model))
    pipe = StyleTransferPipeline.from_pretrained(folder)
    style = str(folder / "style.png")
    return [
        None
        if file == b"no picture"
        else np.asarray(pipe(Image.open(io.BytesIO(file)), style, 0.7).images[0])
        for file in FILES
    ]


def check(painted: Any, errors: Any, expected: list[Any]) -> None:
    assert len(painted) == len(errors) == len(expected)
    for file, error, picture in zip(painted, errors, expected, strict=True):
        if picture is None:
            assert file is None
            assert "not a picture in a known format" in error
        else:
            assert error is None
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(file))), picture)


def test_under_datasets_map(stylizer: Stylizer, expected: list[Any], tmp_path: Path) -> None:
    table = datasets.Dataset.from_dict({"image": FILES, "label": [0, 1, 2]})
    cache = str(tmp_path / "a.arrow")
    mapped = table.map(stylizer, batched=True, batch_size=2, cache_file_name=cache)
    assert mapped["label"][:] == [0, 1, 2]
    check(mapped["painted"], mapped["error"], expected)
    kept = mapped.filter(lambda error: error is None, input_columns="error")
    pictures = kept.cast_column("painted", datasets.Image())
    assert np.array_equal(np.asarray(pictures[1]["painted"]), expected[2])


def test_of_pictures_that_datasets_decodes(stylizer: Stylizer, expected: list[Any]) -> None:
    feature = datasets.Features({"image": datasets.Image()})
    rows = [{"bytes": file, "path": None} for file in (FILES[0], FILES[2])]
    table = datasets.Dataset.from_dict({"image": rows}, features=feature)
    found = stylizer(table[:])
    check(found["painted"], found["error"], [expected[0], expected[2]])
    stored = stylizer({"image": rows})
    assert stored == found


def test_as_ray_calls_it(stylizer: Stylizer, expected: list[Any]) -> None:
    """`map_batches` gives arrays by column, a table of pyarrow or a frame, and takes the whole of it back."""
    arrays = {"image": np.array(FILES, dtype=object), "label": np.arange(3)}
    found = stylizer(arrays)
    assert list(found) == ["image", "label", "painted", "error"]
    check(found["painted"], found["error"], expected)
    table = stylizer(pa.table({"image": FILES, "label": [0, 1, 2]}))
    assert table.column_names == ["image", "label", "painted", "error"]
    check(table["painted"].to_pylist(), table["error"].to_pylist(), expected)


def test_as_spark_calls_it(stylizer: Stylizer, expected: list[Any]) -> None:
    """`mapInPandas` gives an iterator of frames, and wants one."""
    frames = iter([pd.DataFrame({"image": FILES[:1]}), pd.DataFrame({"image": FILES[1:]})])
    first, second = stylizer(frames)
    whole = pd.concat([first, second])
    errors = [None if pd.isna(error) else error for error in whole["error"]]
    painted = [None if errors[i] else file for i, file in enumerate(whole["painted"])]
    check(painted, errors, expected)


def test_what_is_wrong_with_all_pictures_is_raised(stylizer: Stylizer, tmp_path: Path) -> None:
    model = stylizer._model
    with pytest.raises(ValueError, match="format is 'bmp'; give one of png"):
        Stylizer("waves", format="bmp")
    with pytest.raises(ValueError, match="strength"):
        Stylizer(stylizer._style, model=model, strength=2.0)({"image": FILES})
    with pytest.raises(KeyError, match="image"):
        stylizer({"picture": FILES})
