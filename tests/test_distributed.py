"""Several processes are one with larger batches; the files that start them are Accelerate's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from small_model import SMALL_GENERATOR
from toy_training import ROOT, finish, launch_two

from hfstyle.models.discriminator import StyleDiscriminator
from hfstyle.models.generator import StyleGenerator

accelerate = pytest.importorskip("accelerate")


@pytest.mark.slow
def test_two_processes_step_as_one_that_accumulates(tmp_path: Path) -> None:
    two, one = tmp_path / "two.pt", tmp_path / "one.pt"
    paths = f"{ROOT}:{ROOT / 'tests'}"
    finish(launch_two([str(two)], "tests/ddp_step.py"), PYTHONPATH=paths)
    finish([sys.executable, "tests/ddp_step.py", str(one)], PYTHONPATH=paths)
    ends = [torch.load(file) for file in (two, one)]
    torch.manual_seed(0)
    generator = StyleGenerator(**SMALL_GENERATOR)
    width = generator.encoder.vector_width
    players = {
        "generator": generator,
        "discriminator": StyleDiscriminator(widths=(8, 8, 8, 8), style_width=width),
    }
    for player, start in players.items():
        a, b = (end[player] for end in ends)
        moved = 0
        for name, tensor in a.items():
            torch.testing.assert_close(tensor, b[name], rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")  # fmt: skip
            moved += not torch.equal(tensor, start.state_dict()[name])
        assert moved > len(a) / 2, player


@pytest.mark.parametrize(
    ("name", "processes", "machines"),
    [("one-gpu", 1, 1), ("eight-gpus", 8, 1), ("two-nodes", 16, 2)],
)
def test_accelerate_reads_the_files_that_start_runs(
    name: str, processes: int, machines: int
) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(ROOT / f"training/accelerate/{name}.yaml"))
    assert (config.num_processes, config.num_machines) == (processes, machines)
    assert config.mixed_precision == "bf16"
