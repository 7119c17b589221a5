"""Pipelines and `RandomStyle` go where Python objects go: into copies, other processes, the workers of a DataLoader."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from small_model import small_generator
from torch.utils.data import DataLoader

from hfstyle import RandomStyle, StyleTransferPipeline

PHOTO = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)


@pytest.fixture(scope="module")
def pipe() -> StyleTransferPipeline:
    pipe = StyleTransferPipeline(small_generator())
    pipe.presets = {
        name: pipe.encode_style(np.roll(PHOTO, i, 0) // (i + 1)) for i, name in enumerate("ab")
    }
    pipe(PHOTO, PHOTO)
    return pipe


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, copy.copy, lambda p: pickle.loads(pickle.dumps(p))]
)
def test_a_copy_of_a_pipeline_paints_the_same(
    pipe: StyleTransferPipeline, copied: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe, "mark", pipe.mark._replace(system="hfstyle, a model of a test"))
    twin = copied(pipe)  # type: ignore[operator]
    assert twin.mark == pipe.mark  # what its pictures say of how they were made
    for style in ("a", "random:3", PHOTO):
        expected, found = (p(PHOTO, style, output_type="np").images for p in (pipe, twin))
        np.testing.assert_array_equal(found, expected)


def test_a_deep_copy_has_weights_of_its_own(pipe: StyleTransferPipeline) -> None:
    twin = copy.deepcopy(pipe)
    next(twin.generator.parameters()).data.zero_()
    assert next(pipe.generator.parameters()).abs().sum() > 0


def test_random_style_goes_to_the_workers_of_a_loader(pipe: StyleTransferPipeline) -> None:
    styled = RandomStyle(pipe)
    loader = DataLoader(
        [PHOTO] * 2,
        batch_size=1,
        num_workers=2,
        collate_fn=_Painted(styled),
        multiprocessing_context="spawn",
    )
    first, second = (np.asarray(picture) for picture in loader)
    assert first.shape == PHOTO.shape
    assert (
        first != second
    ).any()  # without a seed, each worker draws styles and strengths of its own


class _Painted:
    def __init__(self, styled: RandomStyle) -> None:
        self.styled = styled

    def __call__(self, batch: list[np.ndarray]) -> object:
        return self.styled(batch[0])
