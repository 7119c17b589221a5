"""Files that hfstyle writes can be read by whom the system's own rules (umask) let."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from small_model import small_generator

from hfstyle import StyleDiscriminator, StyleGenerator, StyleTransferPipeline
from hfstyle.styles.space import StyleSpace

pytestmark = pytest.mark.skipif(os.name == "nt", reason="rights of POSIX")


@pytest.fixture(params=[0o022, 0o027, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_each_file_of_a_model_has_the_rights_of_a_new_file(tmp_path: Path, umask: int) -> None:
    pipe = StyleTransferPipeline(small_generator())
    chance = np.random.default_rng(0)
    pictures = chance.integers(0, 256, (3, 80, 80, 3), np.uint8)
    pipe.presets = {str(k): pipe.encode_style(picture) for k, picture in enumerate(pictures)}
    folder = tmp_path / "model"
    pipe.save_pretrained(folder)
    StyleSpace.fit([*pipe.presets.values()]).save(folder / "style_space.safetensors")
    StyleDiscriminator(style_width=32).save_pretrained(folder / "discriminator")
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {"model.safetensors", "config.json", "style_space.safetensors", "0.safetensors"} <= {
        file.name for file in files
    }
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~umask, file


def test_what_was_saved_is_loaded_by_others_too(tmp_path: Path) -> None:
    generator = small_generator()
    generator.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}  # without it, transformers refuses a file
    loaded = StyleGenerator.from_pretrained(tmp_path).state_dict()
    for name, tensor in generator.state_dict().items():
        assert torch.equal(loaded[name], tensor), name
