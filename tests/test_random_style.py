"""RandomStyle: training data in random styles."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_model import small_generator

import hfstyle
from hfstyle import StyleTransferPipeline
from hfstyle.random_style import RandomStyle

PIPE = StyleTransferPipeline(small_generator())
PIPE.presets = {
    str(s): PIPE.encode_style(torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(s)))
    for s in range(4)
}
PHOTO = Image.effect_noise((48, 40), 90).convert("RGB")


def change(image: Image.Image) -> float:
    return float(np.abs(np.asarray(image).astype(float) - np.asarray(PHOTO)).mean())


def test_a_picture_is_painted_and_keeps_its_size() -> None:
    out = hfstyle.RandomStyle(PIPE, seed=0)(PHOTO)
    assert isinstance(out, Image.Image)
    assert (out.size, out.mode) == ((48, 40), "RGB")
    assert change(out) > 1


def test_the_same_seed_gives_the_same_sequence() -> None:
    one, same, other = (RandomStyle(PIPE, seed=seed) for seed in (1, 1, 2))
    first = [np.asarray(one(PHOTO)) for _ in range(2)]
    again = [np.asarray(same(PHOTO)) for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], np.asarray(other(PHOTO)))


def test_probability_is_the_share_of_painted_pictures() -> None:
    transform = RandomStyle(PIPE, probability=0.3, seed=0)
    painted = sum(change(transform(PHOTO)) > 0 for _ in range(60))
    assert 8 <= painted <= 30
    assert change(RandomStyle(PIPE, probability=0)(PHOTO)) == 0


def test_examples_and_batches_of_examples_keep_their_other_columns() -> None:
    transform = RandomStyle(PIPE, seed=0)
    one = transform({"image": PHOTO, "label": 3})
    assert one["label"] == 3
    assert change(one["image"]) > 1
    batch = transform({"image": [PHOTO, PHOTO], "label": [1, 2]})
    assert batch["label"] == [1, 2]
    assert [image.size for image in batch["image"]] == [(48, 40)] * 2
    with pytest.raises(KeyError, match="no 'image'"):
        transform({"photo": PHOTO})


def test_it_works_in_datasets_map() -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict({"image": [PHOTO, PHOTO], "label": [0, 1]})
    rows = rows.cast_column("image", datasets.Image())
    painted = rows.map(RandomStyle(PIPE, seed=0), batched=True, batch_size=2)
    assert painted["label"][:] == [0, 1]
    assert change(painted[0]["image"]) > 1


def test_it_can_be_sent_to_workers(tmp_path: Path) -> None:
    PIPE.save_pretrained(tmp_path)
    transform = RandomStyle(tmp_path, seed=5)
    before = np.asarray(transform(PHOTO))
    data = pickle.dumps(transform)
    assert len(data) < 20_000  # no weights
    again = pickle.loads(pickle.dumps(RandomStyle(tmp_path, seed=5)))
    assert np.array_equal(np.asarray(again(PHOTO)), before)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("strength", (0.5, 2)), ("color", (1, 0))],
)
def test_bad_numbers_are_named(argument: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{argument} is"):
        RandomStyle(PIPE, **{argument: value})  # type: ignore[arg-type]
