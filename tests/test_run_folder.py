"""The folder of a run: refused before the first step where nothing can be written, and a full disk is told in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
import torch
from small_model import small_generator
from toy_training import read_log, toy_arguments, train_here

from training import faces, steady, tune
from training.run.folder import written
from training.run.report import save_whole

pytest.importorskip("accelerate")


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may be longer, as on a full disk."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("script", [tune, steady, faces])
def test_a_script_refuses_at_once_where_nothing_can_be_written(
    script: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "model"
    data = (
        ["--data_dir", "a", "--model", "b"]
        if script is faces
        else ["--content_data_dir", "a", "--style_data_dir", "b"]
    )
    with pytest.raises(ValueError, match=r"--output_dir .*model cannot be written.*choose another"):
        script.main([*data, "--output_dir", str(place)])


def test_the_trainer_refuses_it_too(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"--output_dir .*file cannot be written.*choose another"):
        train_here(toy_arguments(toy, tmp_path / "file"))


def test_a_full_disk_leaves_the_checkpoint_before_and_says_how_to_go_on(
    toy: Path, tmp_path: Path
) -> None:
    train_here(toy_arguments(toy, tmp_path, max_train_steps=2))
    more = toy_arguments(toy, tmp_path, max_train_steps=4, resume_from_checkpoint="latest")
    with (
        room_for(1_000_000),
        pytest.raises(OSError, match=r"checkpoint-4 could not be written.*free some space.*latest"),
    ):
        train_here(more)
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == [
        "checkpoint-2",
        "discriminator",
    ]
    train_here(more)
    assert [row["step"] for row in read_log(tmp_path)] == [1, 2, 3, 4]


def test_a_full_disk_leaves_the_model_that_was_there(tmp_path: Path) -> None:
    model = small_generator()
    save_whole(model, tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    with room_for(10_000), pytest.raises(OSError, match=r"could not be written.*free some space"):
        save_whole(model, tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == before
    assert not (tmp_path / "partial-export").exists()


def test_of_torch_only_what_concerns_files_is_told_as_such(tmp_path: Path) -> None:
    with (
        room_for(10_000),
        pytest.raises(OSError, match="could not be written"),
        written(tmp_path, "free some space"),
    ):
        torch.save(torch.zeros(100_000), tmp_path / "a.bin")
    with pytest.raises(RuntimeError, match="shapes"), written(tmp_path, "free some space"):
        raise RuntimeError("shapes do not fit")


def test_whoever_may_read_a_checkpoint_may_read_its_weights(toy: Path, tmp_path: Path) -> None:
    train_here(toy_arguments(toy, tmp_path, max_train_steps=1))
    (checkpoint,) = tmp_path.glob("checkpoint-*")
    assert len({file.stat().st_mode for file in checkpoint.iterdir()}) == 1
