"""What a newcomer sees of training in the first minutes: an explanation of each option, and that it works."""

from __future__ import annotations

import argparse
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from toy_training import toy_arguments, train_here

pytest.importorskip("accelerate")

from training import steady, tune
from training.run import arguments, pace
from training.run.launch import warn_of_launch
from training.run.pace import Pace, time_left
from training.run.report import told_numbers


@pytest.mark.parametrize("parse", [arguments.parse_args, steady.parse_args, tune.parse_args])
def test_each_option_is_explained(
    parse: Callable[[list[str]], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    parsers: list[argparse.ArgumentParser] = []

    def keep(self: argparse.ArgumentParser, argv: object = None) -> argparse.Namespace:
        parsers.append(self)
        raise SystemExit

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", keep)
    with pytest.raises(SystemExit):
        parse([])
    options = [action for action in parsers[0]._actions if action.option_strings]
    assert len(options) > 10
    assert [action.dest for action in options if not action.help] == []


@pytest.mark.parametrize(
    ("done", "total", "seconds", "limit", "said"),
    [
        (1, 160_000, 2.0, float("inf"), "3.7 days left"),
        (10, 110, 360.0, float("inf"), "60 min left"),
        (10, 1000, 360.0, 660.0, "5.0 min left"),
    ],
)
def test_the_time_left(done: int, total: int, seconds: float, limit: float, said: str) -> None:
    assert time_left(done, total, seconds, limit) == said


@pytest.mark.parametrize(
    ("steps", "deadline", "told"),
    [
        (160_000, 600.0, "step 10 of about 270: 2.2 s a step, 9.6 min left"),
        (160_000, float("inf"), "step 10 of 160000: 2.2 s a step, 4.1 days left"),
        (100, 600.0, "step 10 of 100: 2.2 s a step, 3.3 min left"),
    ],
)
def test_a_run_that_time_ends_says_about_how_many_steps_it_takes(
    steps: int, deadline: float, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 22.0])
    monkeypatch.setattr(pace.time, "monotonic", lambda: next(clock))
    assert Pace(0, steps, deadline).told(10, with_steps=True) == told


def test_numbers_come_in_lines_that_say_first_how_far_the_run_is() -> None:
    row = {"d_loss": 1.0, "loss_style": 2.5, "step": 30, "pairs": 120, "loss_color": 0.1}
    assert told_numbers("step 30, 4.1 min left", row).splitlines() == [
        "step 30, 4.1 min left",
        "    loss_style 2.5  loss_color 0.1",
        "    d_loss 1",
        "    pairs 120",
    ]


def test_one_thread_of_several_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    for threads, told in ((1, True), (4, False)):
        caplog.clear()
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        warn_of_launch(1, torch.device("cpu"))
        assert ("--num_cpu_threads_per_process 8" in caplog.text) == told


def test_the_recipe_for_a_gpu_on_a_cpu_is_told(caplog: pytest.LogCaptureFixture) -> None:
    for recipe, device, told in (
        ("gpu", "cpu", True),
        ("gpu", "cuda", False),
        ("scratch", "cpu", False),
    ):
        caplog.clear()
        warn_of_launch(1, torch.device(device), recipe)
        assert ("torch finds no GPU here" in caplog.text) == told


def test_a_run_says_at_once_how_long_it_takes_and_shows_where_it_begins(
    toy: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changes = {"max_train_steps": 2, "logging_steps": 50, "validation_steps": 1000}
    with caplog.at_level(logging.INFO):
        train_here(toy_arguments(toy, tmp_path, **changes))
    told = [record.getMessage() for record in caplog.records]
    assert any(
        re.search(r"step 1 of 2: [\d.e-]+ s a step, .* left; numbers every 50", x) for x in told
    )
    assert any(x.startswith(f"{tmp_path} is the model. As in: hfstyle stylize") for x in told)
    with Image.open(tmp_path / "validation" / "step-0000000.png") as picture:
        assert picture.width > picture.height > 64
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("training")]
    assert not any("RANK" in line for line in ours)
