"""Training computes in bf16 only where that is faster."""

from __future__ import annotations

import logging

import pytest
import torch

pytest.importorskip("accelerate")

from training import steady, tune
from training.run import arguments
from training.run.optimisation import precision

REQUIRED = ["--content_data_dir", "a", "--style_data_dir", "b", "--output_dir", "c"]


@pytest.mark.parametrize(
    ("able", "asked", "used", "warned"),
    [
        ({"avx512_bf16": True}, "auto", "bf16", False),
        ({}, "auto", "no", False),
        ({"amx_bf16": True}, "bf16", "bf16", False),
        ({}, "bf16", "bf16", True),
    ],
)
def test_bf16_is_for_processors_that_compute_in_it(
    able: dict[str, bool],
    asked: str,
    used: str,
    warned: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    with caplog.at_level(logging.WARNING):
        assert precision(asked, "cpu") == used
    assert ("takes several times as long" in caplog.text) == warned


@pytest.mark.parametrize("asked", [True, False])
def test_a_gpu_that_only_emulates_it_is_told_apart(
    asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: asked)
    assert precision("auto", "cuda") == ("bf16" if asked else "no")


def test_no_script_takes_bf16_unasked() -> None:
    assert tune.parse_args(REQUIRED).mixed_precision == "auto"
    assert steady.parse_args(REQUIRED).mixed_precision == "auto"
    assert arguments.parse_args(REQUIRED).mixed_precision == "no"
