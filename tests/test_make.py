"""The command that makes weights (training/make.py): its stages, and that it goes on where it stopped."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from small_model import SMALL_GENERATOR
from toy_training import toy_pictures, train_here

from hfstyle import StyleTransferPipeline
from hfstyle.models.generator import StyleGenerator

pytest.importorskip("accelerate")

from training import feedback, make, steady, tune
from training.publish.average import average
from training.publish.average import main as average_main
from training.publish.presets import main as presets_main
from training.publish.style_space import main as space_main
from training.run.arguments import parse_args


def options(folder: Path, *more: str) -> list[str]:
    return ["--output_dir", str(folder), "--content_data_dir", "photos", "--style_data_dir", "paintings",
            "--perceptual_model", "vgg.safetensors", *more]  # fmt: skip


def test_every_stage_is_a_command_that_its_script_takes(tmp_path: Path) -> None:
    args = make._parse(
        options(
            tmp_path, "--gallery", "g", "--faces_data_dir", "f", "--bench", "b", "--networks", "n"
        )
    )
    stages = {stage.name: stage.command for stage in make.stages_of(args)}
    assert list(stages) == list(make.STAGES)
    for name, parse in {"train": parse_args, "larger": parse_args, "steady": steady.parse_args, "tune": tune.parse_args, "feedback": feedback.parse_args, "style": tune.parse_args}.items():  # fmt: skip
        command = stages[name]
        script = next(i for i, part in enumerate(command) if part.endswith(".py"))
        assert Path(command[script]).is_file()
        assert parse(command[script + 1 :]).output_dir == str(tmp_path / name)
    assert stages["tables"][-2:] == ["--networks", "n"]
    short = {s.name for s in make.stages_of(make._parse(options(tmp_path)))}
    assert set(make.STAGES) - short == {"faces", "presets", "tables"}


def test_what_ended_is_not_run_again_and_what_follows_a_change_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    fails = {"steady"}

    def run(command: list[str]) -> int:
        option = "--output_dir" if "--output_dir" in command else "--model"
        name = Path(command[command.index(option) + 1]).name
        ran.append(name)
        (tmp_path / name / "result").write_text(str(len(ran)))
        return 1 if name in fails else 0

    monkeypatch.setattr(make, "_run", run)
    assert make.main(options(tmp_path)) == 1
    assert ran == ["train", "larger", "steady"]
    ran.clear()
    fails.clear()
    assert make.main(options(tmp_path, "--until", "tune")) == 0
    assert ran == ["steady", "tune"]
    assert make.main(options(tmp_path, "--until", "tune")) == 0
    assert make.main(options(tmp_path)) == 0
    assert ran == ["steady", "tune", "average", "feedback", "style", "space"]
    ran.clear()
    fails.add("larger")
    assert make.main(options(tmp_path, "--length", "0.5")) == 1
    fails.clear()
    assert make.main(options(tmp_path, "--length", "0.5", "--until", "steady")) == 0
    # What follows a stage that was run anew is of other weights, though its own command may be the same.
    assert ran == ["train", "larger", "larger", "steady"]
    assert (tmp_path / "train-old-1" / "result").read_text() == "1"


def test_all_stages_make_a_model_and_go_on_where_one_was_killed(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = tmp_path / "gallery"
    gallery.mkdir()
    toy_pictures("style", 1)[0].save(gallery / "waves.png")
    (gallery / "gallery.csv").write_text("file,title,year\nwaves.png,Waves,1850\n")
    ran: list[list[str]] = []
    small = ["--train_batch_size", "1", "--mixed_precision", "no", "--max_train_steps", "1"]
    others = {
        "steady.py": (steady.main, small),
        "tune.py": (tune.main, [*small, "--resolution", "96"]),
        "average.py": (average_main, []),
        "feedback.py": (feedback.main, ["--train_batch_size", "1", "--max_train_minutes", "0.01"]),
        "presets.py": (presets_main, []),
        "style_space.py": (space_main, []),
    }
    killed = {"larger"}

    def run(command: list[str]) -> int:
        """In this process, a toy's length; killed after the first of two steps."""
        ran.append(command)
        script = next(i for i, part in enumerate(command) if part.endswith(".py"))
        arguments = command[script + 1 :]
        if (file := Path(command[script]).name) in others:
            main, more = others[file]
            return main([*arguments, *more]) or 0
        if "--init_from" not in arguments:
            arguments += ["--generator_config", "tiny"]
        name = Path(arguments[arguments.index("--output_dir") + 1]).name
        kill = name in killed
        killed.discard(name)
        train_here([*arguments, "--max_train_steps", "1" if kill else "2"])
        return 137 if kill else 0

    monkeypatch.setattr(make, "_run", run)
    line = [
        "--output_dir", str(tmp_path / "made"), "--gallery", str(gallery),
        "--content_data_dir", str(toy / "content.parquet"), "--style_data_dir", str(toy / "style.parquet"),
        "--perceptual_model", str(toy / "vgg.safetensors"), "--train_options",
        "--resolution 64 --loss_resolution 64 --train_batch_size 2 --validation_steps 0 --checkpointing_steps 1",
    ]  # fmt: skip
    assert make.main(line) == 137
    assert len(ran) == 2
    assert make.main(line) == 0
    assert "--resume_from_checkpoint" in ran[2]
    assert [json.loads(row)["step"] for row in (tmp_path / "made/larger/log.jsonl").read_text().splitlines()] == [1, 2]  # fmt: skip
    assert len(ran) == 10
    pipe = StyleTransferPipeline.from_pretrained(tmp_path / "made/space")
    pipe.presets["waves"].check_encoder(pipe.generator.encoder_fingerprint())
    assert pipe.style_space is not None
    assert pipe.sample_style(1).encoder == pipe.generator.encoder_fingerprint()


def test_a_signal_to_end_is_passed_on_and_waited_for(tmp_path: Path) -> None:
    script = (
        "import pathlib, signal, sys, time\n"
        "began, ended = (pathlib.Path(sys.argv[1], x) for x in ('began', 'ended'))\n"
        "signal.signal(signal.SIGTERM, lambda *_: (ended.touch(), sys.exit(0)))\n"
        "began.touch()\n"
        "time.sleep(300)\n"
    )
    handler = signal.getsignal(signal.SIGTERM)

    def ask() -> None:
        while not (tmp_path / "began").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=ask, daemon=True).start()
    assert make._run([sys.executable, "-c", script, str(tmp_path)]) == 128 + signal.SIGTERM
    assert (tmp_path / "ended").exists()
    assert signal.getsignal(signal.SIGTERM) == handler


def test_the_mean_of_two_models() -> None:
    models = [StyleGenerator(**SMALL_GENERATOR) for _ in range(2)]
    wanted = torch.lerp(models[0].spread.weight, models[1].spread.weight, 0.25).detach()
    mean = average(models, [0.75, 0.25])
    torch.testing.assert_close(mean.spread.weight.detach(), wanted)
    other = StyleGenerator(**{**SMALL_GENERATOR, "style_width": 8})
    with pytest.raises(ValueError, match="different architectures"):
        average([mean, other])
