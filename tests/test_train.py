"""The trainer from outside: what a run leaves behind, how it goes on, and how it says that something is wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_server import HubServer
from huggingface_hub import snapshot_download
from PIL import Image
from safetensors.torch import load_file
from small_model import SMALL_GENERATOR
from toy_training import (
    finish,
    launch,
    launch_two,
    read_log,
    started,
    toy_arguments,
    toy_pictures,
    train_here,
    write_parquet,
)

from hfstyle.models.discriminator import StyleDiscriminator
from hfstyle.models.generator import StyleGenerator
from training.game import losses
from training.game.perceptual import load_perceptual
from training.run.arguments import parse_args
from training.run.stopping import TrainingBroken, run_told

pytest.importorskip("accelerate")


def to_tensor(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


@pytest.fixture(scope="module")
def finished(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a run of 24 steps with everything switched on, checkpoints at 10, 20 and the end."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    train_here(
        toy_arguments(
            toy, folder, max_train_steps=24, checkpointing_steps=10, validation_steps=12,
            checkpoints_total_limit=5,
        )
    )  # fmt: skip
    return folder


LOSSES = ("loss_content", "loss_style", "loss_texture", "loss_local", "loss_identity", "loss_contrast",
          "loss_adversarial", "d_loss", "d_grad_norm", "g_grad_norm", "r1", "diversity")  # fmt: skip


def assert_same_rows(rows: list[dict[str, float]], expected: list[dict[str, float]]) -> None:
    assert [row["step"] for row in rows] == [row["step"] for row in expected]
    for row, other in zip(rows, expected, strict=True):
        for name in LOSSES:
            assert (name in row) == (name in other), f"{name} at step {row['step']}"
            if name in row:
                message = f"{name} at step {row['step']}"
                assert row[name] == pytest.approx(other[name], rel=1e-3, abs=1e-4), message


# What a run leaves behind


def test_a_run_leaves_a_model_that_loads_and_a_report(finished: Path) -> None:
    generator = StyleGenerator.from_pretrained(finished)
    assert generator.spread.weight.shape[1] == SMALL_GENERATOR["widths"][1]
    content = torch.rand(1, 3, 64, 64)
    output = generator(content, generator.encode(content), torch.ones(1))
    assert torch.isfinite(output).all()
    StyleDiscriminator.from_pretrained(finished / "discriminator")
    stored = load_file(finished / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}

    state = json.loads((finished / "training_state.json").read_text())
    assert state["step"] == 24
    assert state["pairs"] == 24 * 4
    assert state["arguments"]["seed"] == 3
    assert "hub_token" not in state["arguments"]
    assert (finished / "README.md").is_file()
    assert not (finished / "partial-export").exists()


def test_the_log_has_every_term_by_name(finished: Path) -> None:
    rows = read_log(finished)
    assert [row["step"] for row in rows] == list(range(1, 25))
    assert set(LOSSES) | {"d_accuracy_real", "d_accuracy_fake", "d_accuracy_mismatched", "d_condition", "code_spread",
                          "pairs_per_second", "learning_rate", "skipped_pictures"} <= set().union(*rows)  # fmt: skip
    # R1 every 16th step, diversity every 10th: only there.
    assert [row["step"] for row in rows if "r1" in row] == [17]
    assert [row["step"] for row in rows if "diversity" in row] == [10, 20]


def test_pictures_of_the_run_are_written(finished: Path) -> None:
    names = sorted(path.name for path in (finished / "validation").iterdir())
    assert names == [f"step-{step:07d}.png" for step in (0, 12, 24)]
    with Image.open(finished / "validation" / names[0]) as grid:
        # Of 12 pictures each, 2 are held out: contents and a row of styles x styles, three strengths and the contents.
        assert grid.size == ((2 + 3 + 1) * 64, (2 + 1) * 64)
    with Image.open(finished / "curves.png") as curves:
        assert min(curves.size) > 400


def test_means_of_several_steps_are_taken_per_number(
    toy: Path, tmp_path: Path, finished: Path
) -> None:
    """R1 and diversity are measured now and then; a row must not divide them by all its steps."""
    train_here(toy_arguments(toy, tmp_path, max_train_steps=18, logging_steps=9))
    rows, each = read_log(tmp_path), read_log(finished)
    assert [row["step"] for row in rows] == [9, 18]
    assert rows[1]["r1"] == pytest.approx(each[16]["r1"], rel=1e-3)
    assert rows[1]["diversity"] == pytest.approx(each[9]["diversity"], rel=1e-3)
    mean = sum(row["loss_style"] for row in each[:9]) / 9
    assert rows[0]["loss_style"] == pytest.approx(mean, rel=1e-3)


def test_an_upload_has_half_precision_weights_and_a_card_that_tells_the_run(
    hub: HubServer, toy: Path, tmp_path: Path
) -> None:
    hub.writer = "hf_secret"
    changes = {"push_to_hub": True, "hub_model_id": "someone/painter", "hub_token": "hf_secret"}
    train_here(toy_arguments(toy, tmp_path / "run", max_train_steps=2, **changes))
    uploaded = Path(snapshot_download("someone/painter"))
    StyleDiscriminator.from_pretrained(uploaded / "discriminator")
    assert not [*uploaded.glob("checkpoint-*"), *uploaded.glob("*.json*l")]
    weights = (load_file(p / "model.safetensors") for p in (uploaded, tmp_path / "run"))
    for ours, theirs in zip(*(sorted(state.items()) for state in weights), strict=True):
        assert ours[0] == theirs[0]
        assert torch.equal(ours[1], theirs[1])
    card = (uploaded / "README.md").read_text()
    assert "license: unknown" in card  # of local pictures
    assert str(tmp_path) not in card
    assert str(toy) not in card
    assert 'from_pretrained("someone/painter")' in card
    assert "2 steps (8 pairs" in card
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"hf_secret" not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "the Hub at .* cannot be reached"),
        ({"hub_model_id": "a b/c"}, "no id like user/model"),
        ({}, "there is no token.*hf auth login"),
        ({"hub_token": "hf_reader"}, "the token may not write there.*hf auth login"),
    ],
)
def test_an_upload_that_cannot_be_is_told_before_the_first_step(
    hub: HubServer, toy: Path, tmp_path: Path, answer: dict[str, str] | None, said: str
) -> None:
    """The Hub of the tests lets nobody write."""
    if answer is None:
        hub.close()
    changes = {"push_to_hub": True, "hub_model_id": "someone/painter"} | (answer or {})
    with pytest.raises(ValueError, match=f"--push_to_hub to .*{said}"):
        train_here(toy_arguments(toy, tmp_path / "run", **changes))
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_the_card_has_the_licence_that_the_data_sets_state(hub: HubServer) -> None:
    from training.run.upload import licence_of

    def licence(**changes: str | None) -> str:
        arguments = ["--content_data_dir", "a", "--style_data_dir", "b"]
        args = parse_args(arguments)
        for name, value in changes.items():
            setattr(args, name, value)
        return licence_of(args)

    for name, stated in (("a", "cc-by-4.0"), ("b", "cc-by-4.0"), ("c", "mit"), ("d", None)):
        hub.add(f"someone/{name}", {"README.md": b""}, kind="dataset", licence=stated)
    one, two = {"content_dataset_name": "someone/a"}, {"style_dataset_name": "someone/b"}
    assert licence(**one, **two) == "cc-by-4.0"
    assert licence(**one, style_dataset_name="someone/c") == "unknown"
    assert licence(**one, style_dataset_name="someone/d") == "unknown"
    assert licence(**one) == "unknown"  # the styles are local
    assert licence(**one, licence="cc-by-sa-4.0") == "cc-by-sa-4.0"
    assert licence(**one, style_dataset_name="someone/absent") == "unknown"


# Going on


def test_resume_continues_with_equal_losses(toy: Path, tmp_path: Path, finished: Path) -> None:
    arguments = {"checkpointing_steps": 10, "checkpoints_total_limit": 1}
    train_here(toy_arguments(toy, tmp_path, max_train_steps=12, **arguments))
    assert [p.name for p in tmp_path.glob("checkpoint-*")] == ["checkpoint-12"]
    train_here(
        toy_arguments(
            toy, tmp_path, max_train_steps=24, resume_from_checkpoint="latest", **arguments
        )
    )
    assert_same_rows(read_log(tmp_path), read_log(finished))
    ours, theirs = (load_file(p / "model.safetensors") for p in (tmp_path, finished))
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], atol=2e-3, rtol=1e-2)


def test_rows_of_steps_before_and_after_a_checkpoint_are_means_of_both(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import train

    def killed_at_5(args: object, loaders: object, step: int, device: object) -> object:
        if step == 5:
            raise SystemExit
        return draw(args, loaders, step, device)  # type: ignore[arg-type]

    changes = {"logging_steps": 3, "checkpointing_steps": 4, "max_train_steps": 6}
    train_here(toy_arguments(toy, tmp_path / "whole", **changes))
    draw = train.draw_batch
    monkeypatch.setattr(train, "draw_batch", killed_at_5)
    with pytest.raises(SystemExit):
        train_here(toy_arguments(toy, tmp_path / "killed", **changes))
    monkeypatch.setattr(train, "draw_batch", draw)
    train_here(toy_arguments(toy, tmp_path / "killed", resume_from_checkpoint="latest", **changes))
    assert_same_rows(read_log(tmp_path / "killed"), read_log(tmp_path / "whole"))


@pytest.mark.slow
def test_a_killed_run_resumes_with_equal_losses(toy: Path, tmp_path: Path, finished: Path) -> None:
    arguments = toy_arguments(toy, tmp_path, max_train_steps=100_000, checkpointing_steps=10)
    with started(launch(arguments)) as process:
        deadline = time.monotonic() + 120
        while not (tmp_path / "checkpoint-10").is_dir() or len(read_log(tmp_path)) < 13:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    steps_before = len(read_log_of_a_killed_run(tmp_path))
    reached = max(int(p.name.split("-")[1]) for p in tmp_path.glob("checkpoint-*"))
    StyleGenerator.from_pretrained(tmp_path)  # the export is whole, whenever the signal came
    end = reached + 14
    train_here(toy_arguments(toy, tmp_path, max_train_steps=end, resume_from_checkpoint="latest"))
    rows = read_log(tmp_path)
    assert [row["step"] for row in rows] == list(range(1, end + 1))
    assert steps_before >= 13
    whole = read_log(finished)
    common = min(end, 24)
    assert_same_rows(rows[:common], whole[:common])


def read_log_of_a_killed_run(folder: Path) -> list[str]:
    return (folder / "log.jsonl").read_text().splitlines()


def test_a_new_run_refuses_the_folder_of_another(toy: Path, finished: Path) -> None:
    with pytest.raises(ValueError, match=r"checkpoint-24.*--resume_from_checkpoint latest"):
        train_here(toy_arguments(toy, finished))


def test_old_checkpoints_are_dropped_and_a_missing_one_is_named(toy: Path, tmp_path: Path) -> None:
    train_here(
        toy_arguments(toy, tmp_path, max_train_steps=4, checkpointing_steps=1, checkpoints_total_limit=2)
    )  # fmt: skip
    assert sorted(p.name for p in tmp_path.glob("checkpoint-*")) == ["checkpoint-3", "checkpoint-4"]
    absent = tmp_path / "checkpoint-99"
    with pytest.raises(ValueError, match=r"checkpoint-99: no such folder"):
        train_here(toy_arguments(toy, tmp_path, resume_from_checkpoint=absent))


def test_init_from_an_export_goes_on_with_its_weights(
    toy: Path, tmp_path: Path, finished: Path
) -> None:
    train_here(
        toy_arguments(
            toy, tmp_path, init_from=finished, generator_config=None, max_train_steps=1, learning_rate=0,
            discriminator_learning_rate=0,
        )
    )  # fmt: skip
    for part in (".", "discriminator"):
        before, after = (load_file(p / part / "model.safetensors") for p in (finished, tmp_path))
        for name, tensor in before.items():
            assert torch.equal(tensor, after[name]), name


def test_the_time_limit_ends_with_a_checkpoint_and_an_export(toy: Path, tmp_path: Path) -> None:
    train_here(toy_arguments(toy, tmp_path, max_train_steps=100_000, max_train_minutes=0.01))
    steps = int(read_log(tmp_path)[-1]["step"])
    assert (tmp_path / f"checkpoint-{steps}").is_dir()
    assert json.loads((tmp_path / "training_state.json").read_text())["step"] == steps
    StyleGenerator.from_pretrained(tmp_path)
    assert (tmp_path / "curves.png").is_file()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_with_a_checkpoint_and_an_export(
    toy: Path, tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grid(*_: object) -> None:
        if read_log(tmp_path):  # of the end: a supervisor may not wait for it
            assert (tmp_path / f"checkpoint-{read_log(tmp_path)[-1]['step']:.0f}").is_dir()
            assert (tmp_path / "model.safetensors").is_file()
            shown.append(tmp_path)

    def ask() -> None:
        log = tmp_path / "log.jsonl"
        while not (log.is_file() and log.read_text().count("\n") >= 2):
            time.sleep(0.01)
        os.kill(os.getpid(), number)
        time.sleep(0.02)
        os.kill(os.getpid(), number)  # from a terminal it comes twice, by torchrun or by a shell

    shown: list[Path] = []
    monkeypatch.setattr("training.train.save_grid", grid)
    inherited = signal.signal(number, signal.default_int_handler)  # `nohup` has some ignored
    try:
        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        options = {"max_train_steps": 100_000, "max_train_minutes": 5}
        train_here(toy_arguments(toy, tmp_path, validation_steps=100_000, **options))
        asking.join()
        assert signal.getsignal(number) == signal.default_int_handler
    finally:
        signal.signal(number, inherited)
    assert shown
    steps = int(read_log(tmp_path)[-1]["step"])
    assert (tmp_path / f"checkpoint-{steps}").is_dir()
    StyleGenerator.from_pretrained(tmp_path)


@pytest.mark.slow
def test_the_end_of_its_launcher_ends_a_run_with_a_checkpoint(toy: Path, tmp_path: Path) -> None:
    """`accelerate launch` dies at a SIGTERM and tells nobody."""
    with started(launch(toy_arguments(toy, tmp_path, max_train_steps=100_000))) as process:
        deadline = time.monotonic() + 240
        while not ((tmp_path / "log.jsonl").is_file() and len(read_log(tmp_path)) >= 2):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.terminate()  # the launcher alone, as a supervisor does
        output, _ = process.communicate(timeout=240)  # until the trainer has closed its end
    steps = int(read_log(tmp_path)[-1]["step"])
    assert (tmp_path / f"checkpoint-{steps}").is_dir(), output
    assert json.loads((tmp_path / "training_state.json").read_text())["step"] == steps
    assert f"stopped at step {steps}" in output


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="who process 1 is cannot be seen")
def test_a_launcher_that_ended_while_the_run_was_imported_leaves_no_orphan(
    toy: Path, tmp_path: Path
) -> None:
    import psutil

    with started(launch(toy_arguments(toy, tmp_path, max_train_steps=100_000))) as process:
        deadline = time.monotonic() + 240
        while not (children := psutil.Process(process.pid).children()):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
        process.wait()
        if children[0].ppid() != 1:
            children[0].kill()
            pytest.skip("orphans here have a parent that no script can know")
        output, _ = process.communicate(timeout=240)  # until the trainer has closed its end
    assert "stopped at step 1" in output
    assert (tmp_path / "checkpoint-1").is_dir()


@pytest.mark.slow
def test_what_a_user_can_mend_is_one_line(toy: Path, tmp_path: Path) -> None:
    arguments = toy_arguments(toy, tmp_path / "run", perceptual_model="someone/vgg")
    with started([sys.executable, "training/train.py", *arguments], HF_HUB_OFFLINE="1") as process:
        output, _ = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "Traceback" not in output
    (line,) = [line for line in output.splitlines() if "error" in line]
    assert line.startswith("train.py: error: the perceptual network someone/vgg")
    assert "--perceptual_model" in line


def test_an_unknown_key_of_a_new_generator_is_refused(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(SMALL_GENERATOR | {"width": 8}))
    with pytest.raises(ValueError, match=r"'width'.*did you mean widths"):
        train_here(toy_arguments(toy, tmp_path / "run", generator_config=tmp_path / "config.json"))


# Several processes, several batches


@pytest.mark.slow
def test_two_processes_end_with_identical_weights(toy: Path, tmp_path: Path) -> None:
    """Then the run goes on."""
    (tmp_path / "config.json").write_text(json.dumps(SMALL_GENERATOR))
    run = tmp_path / "run"
    changes = {
        "generator_config": tmp_path / "config.json",
        "checkpointing_steps": 2,
        "paintings_as_content": 0.5,  # drawn by each process for itself
    }
    arguments = toy_arguments(toy, run, max_train_steps=4, **changes)
    finish(launch_two(arguments, "tests/two_ranks.py"), HFSTYLE_TEST_WEIGHTS=str(tmp_path))
    a, b = (torch.load(tmp_path / f"rank-{rank}.pt") for rank in (0, 1))
    assert a["generator"].keys() == b["generator"].keys()
    for part in ("generator", "discriminator", "ema"):
        for name, tensor in a[part].items():
            assert torch.equal(tensor, b[part][name]), f"{part} {name}"
    # Each process has pictures and draws of its own.
    assert not torch.equal(a["content"], b["content"])
    assert not torch.equal(a["strength"], b["strength"])
    assert read_log(run)[-1]["pairs"] == 4 * 4 * 2

    more = toy_arguments(toy, run, max_train_steps=6, resume_from_checkpoint="latest", **changes)
    finish(launch_two(more, "tests/two_ranks.py"), HFSTYLE_TEST_WEIGHTS=str(tmp_path))
    assert [row["step"] for row in read_log(run)] == [1, 2, 3, 4, 5, 6]
    c = torch.load(tmp_path / "rank-1.pt")
    assert c["positions"]["content"]["batches"] == 6 + 1  # the one that two_ranks.py takes
    assert sum(c["positions"]["content"]["positions"]) == 7 * 4


@pytest.mark.slow
def test_processes_that_accelerate_did_not_start_are_asked_for_by_name(
    toy: Path, tmp_path: Path
) -> None:
    command = launch(toy_arguments(toy, tmp_path / "run", max_train_steps=1))
    command[command.index("--num_processes") + 1] = "2"
    output = finish(command)
    assert "one process" in output
    assert "torchrun --nproc_per_node" in output


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.bin", "custom_checkpoint_1.pkl"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_checkpoint_is_told_in_one_sentence(
    toy: Path, tmp_path: Path, finished: Path, name: str, damage: str
) -> None:
    shutil.copytree(finished / "checkpoint-20", tmp_path / "checkpoint-20")
    file = tmp_path / "checkpoint-20" / name
    raw = file.read_bytes()
    file.write_bytes(raw[: len(raw) // 2]) if damage == "cut" else file.unlink()
    with pytest.raises(
        ValueError, match=r"checkpoint-20 cannot be continued from .*damaged.*earlier"
    ) as told:
        train_here(toy_arguments(toy, tmp_path, resume_from_checkpoint="latest"))
    assert "\n" not in str(told.value)


def test_a_checkpoint_of_other_options_is_told_as_such(
    toy: Path, tmp_path: Path, finished: Path
) -> None:
    shutil.copytree(finished / "checkpoint-20", tmp_path / "checkpoint-20")
    for other in ({"optimizer": "muon"}, {"generator_config": None}):
        with pytest.raises(ValueError, match=r"cannot be continued from .*other options"):
            train_here(toy_arguments(toy, tmp_path, resume_from_checkpoint="latest", **other))


# What is refused, skipped, stopped


def test_fp16_is_refused_with_the_reason(
    capsys: pytest.CaptureFixture[str], toy: Path, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as error:
        parse_args(toy_arguments(toy, tmp_path, mixed_precision="fp16"))
    assert error.value.code == 2
    assert "one loss scaler" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resolution": 100}, "--resolution 100: must be a multiple of 32"),
        (
            {"style_layers": ("relu1_1", "relu2_1"), "style_layer_weights": (1.0,)},
            "--style_layer_weights: 1 numbers for 2 --style_layers",
        ),
        ({"content_data_dir": None}, "give --content_dataset_name or --content_data_dir"),
        ({"init_from": "folder"}, "--init_from brings its own architecture"),
    ],
)
def test_mistakes_in_the_command_line_are_named(
    capsys: pytest.CaptureFixture[str],
    toy: Path,
    tmp_path: Path,
    changes: dict[str, object],
    message: str,
) -> None:
    with pytest.raises(SystemExit):
        parse_args(toy_arguments(toy, tmp_path, **changes))
    assert message in capsys.readouterr().err


def test_layers_that_the_perceptual_network_lacks_are_named_before_training(
    toy: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"has no relu6_1; its layers are relu1_1"):
        train_here(toy_arguments(toy, tmp_path, content_layers="relu6_1"))


@pytest.mark.parametrize("weight", ["style_weight", "r1_gamma"])
def test_non_finite_gradients_are_skipped_counted_and_end_the_run(
    toy: Path, tmp_path: Path, weight: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the generator (an infinite loss) and of the discriminator (an infinite penalty)."""
    changes = {weight: "inf", "max_bad_steps": 3, "adversarial_start": 0, "r1_interval": 1}
    with pytest.raises(
        RuntimeError, match=r"3 steps in a row had non-finite gradients.*--learning_rate"
    ):
        train_here(toy_arguments(toy, tmp_path, max_train_steps=10, **changes))
    assert sum("skipped" in record.message for record in caplog.records) == 3


def test_weights_that_are_not_finite_are_not_saved_over_those_that_are(
    toy: Path, tmp_path: Path
) -> None:
    limit = {"checkpoints_total_limit": 1}
    train_here(toy_arguments(toy, tmp_path, max_train_steps=2, **limit))
    before = (tmp_path / "model.safetensors").read_bytes()
    changes = {"learning_rate": 1e30, "max_bad_steps": 2, "resume_from_checkpoint": "latest"}
    with pytest.raises(TrainingBroken, match=r"not finite.*checkpoint before.*--learning_rate"):
        train_here(toy_arguments(toy, tmp_path, max_train_steps=9, **changes, **limit))
    assert [p.name for p in tmp_path.glob("checkpoint-*")] == ["checkpoint-2"]
    assert (tmp_path / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("error", [TrainingBroken, ValueError, OSError])
def test_why_a_run_ended_is_one_line(
    error: type[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> None:
        raise error("it is\nbroken")

    with pytest.raises(SystemExit, match="1"):
        run_told(broken, None)
    assert capsys.readouterr().err.endswith(": error: it is broken\n")


def test_a_passing_non_finite_step_leaves_the_weights_whole(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    identity = losses.identity_loss

    def sometimes_infinite(output: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return identity(output, picture) * (float("inf") if calls == 2 else 1)

    monkeypatch.setattr(losses, "identity_loss", sometimes_infinite)
    train_here(toy_arguments(toy, tmp_path, max_train_steps=4))
    rows = read_log(tmp_path)
    assert [row["bad_steps"] for row in rows] == [0, 1, 1, 1]
    assert "loss_identity" not in rows[1]
    state = load_file(tmp_path / "model.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in state.values())


def test_corrupt_pictures_are_skipped_and_counted(toy: Path, tmp_path: Path) -> None:
    write_parquet(
        tmp_path / "damaged.parquet", toy_pictures("style", 4), corrupt=2
    )  # too few to hold any out
    run = tmp_path / "run"
    changes = {"style_data_dir": tmp_path / "damaged.parquet", "paintings_as_content": 0.5}
    train_here(toy_arguments(toy, run, max_train_steps=4, **changes))
    assert read_log(run)[-1]["skipped_pictures"] == 2


def test_content_and_style_from_folders_and_pictures_smaller_than_a_crop(
    toy: Path, tmp_path: Path
) -> None:
    for kind in ("content", "style"):
        (tmp_path / kind).mkdir()
        for i, picture in enumerate(toy_pictures(kind, 3, side=40)):
            picture.save(tmp_path / kind / f"{i}.png")
    run = tmp_path / "run"
    changes = {f"{kind}_data_dir": tmp_path / kind for kind in ("content", "style")}
    train_here(toy_arguments(toy, run, max_train_steps=2, **changes))
    assert len(read_log(run)) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"gan_loss": "minimax", "train_batch_size": 1, "full_strength_share": 0,
         "style_layers": ("relu1_1", "relu2_1"), "style_layer_weights": (1.0, 0.5)},
        {"gan_loss": "nonsaturating", "train_batch_size": 2, "full_strength_share": 1,
         "mixed_precision": "bf16", "texture_weight": 0, "local_weight": 0, "contrast_weight": 0},
        {"adversarial_weight": 0, "style_normalisation": "energy", "identity_weight": 0},
        {"data_on_device": True, "r1_gamma": 0, "mismatched_weight": 0, "report_to": "tensorboard"},
    ],
    ids=["minimax, few layers", "nonsaturating, bf16", "no game", "on the device"],
)  # fmt: skip
def test_every_switch_trains(toy: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    if changes.get("report_to"):
        pytest.importorskip("tensorboard")
    train_here(toy_arguments(toy, tmp_path, max_train_steps=3, **changes))
    rows = read_log(tmp_path)
    assert len(rows) == 3
    assert ("loss_adversarial" in rows[-1]) == (rows[-1]["adversarial_weight"] > 0)
    if changes.get("report_to"):
        assert list((tmp_path / "logs").rglob("events.out*"))
        assert "hub_token" not in "".join(p.name for p in (tmp_path / "logs").rglob("*"))


def test_r1_is_computed_in_float32_under_bf16(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.dtype] = []
    penalty = losses.r1_penalty

    def watched(logits: list[torch.Tensor], candidate: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            rounded = [scale.to(torch.bfloat16).float() for scale in logits]
        same = all(torch.equal(a, b) for a, b in zip(rounded, logits, strict=True))
        seen.append(torch.bfloat16 if same else torch.float32)
        return penalty(logits, candidate)

    monkeypatch.setattr(losses, "r1_penalty", watched)
    changes = {"mixed_precision": "bf16", "r1_interval": 1, "adversarial_start": 0}
    train_here(toy_arguments(toy, tmp_path, max_train_steps=1, **changes))
    assert seen == [torch.float32]


def test_runs_without_datasets_diffusers_and_matplotlib(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = ("datasets", "diffusers", "matplotlib")
    for name in {*absent, *(name for name in sys.modules if name.startswith(absent))}:
        monkeypatch.setitem(sys.modules, name, None)
    changes = {"max_train_steps": 2, "lr_scheduler": "constant_with_warmup"}
    train_here(toy_arguments(toy, tmp_path, **changes))
    assert [row["step"] for row in read_log(tmp_path)] == [1, 2]
    assert not (tmp_path / "curves.png").exists()
    StyleGenerator.from_pretrained(tmp_path)


def test_the_schedule_without_diffusers_is_the_same() -> None:
    from training.run.optimisation import make_scheduler

    def rates(name: str) -> list[float]:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
        arguments = parse_args(
            f"--content_data_dir a --style_data_dir b --lr_scheduler {name} --lr_warmup_steps 4 "
            "--max_train_steps 9".split()
        )
        scheduler = make_scheduler(arguments, optimizer, 1)
        result = []
        for _ in range(11):
            result.append(scheduler.get_last_lr()[0])
            optimizer.step()
            scheduler.step()
        return result

    pytest.importorskip("diffusers")
    names = ("constant", "constant_with_warmup", "linear")
    expected = [rates(name) for name in names]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "diffusers.optimization", None)
        assert [rates(name) for name in names] == expected
        with pytest.raises(ValueError, match="cosine needs the package diffusers"):
            rates("cosine")


# The game


@pytest.fixture(scope="module")
def game(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of 120 steps with the game from the start, under an impatient monitor; too short for variety."""
    folder = tmp_path_factory.mktemp("played")
    changes = {"learning_rate": 2e-3, "adversarial_start": 0, "coarse_weight": 0, "monitor_patience": IMPATIENT,
               "color_jitter": 0, "pattern_share": 0}  # fmt: skip
    train_here(toy_arguments(toy, folder, max_train_steps=120, **changes))
    return folder


@pytest.fixture(scope="module")
def played(game: Path) -> list[dict[str, float]]:
    return read_log(game)


IMPATIENT = 25


def test_the_generator_learns(toy: Path, game: Path) -> None:
    """On the same pictures, since the losses of one step to another differ by their pairs."""
    content, style = (
        torch.stack([to_tensor(picture.crop((8, 8, 72, 72))) for picture in toy_pictures(kind, 12)])
        for kind in ("content", "style")
    )
    perceptual = load_perceptual(str(toy / "vgg.safetensors"))
    layers = frozenset(perceptual.layers[i] for i in (0, 2, 4, 8))

    def distance(generator: StyleGenerator) -> float:
        """What the run minimises of the style. Colours are given: a fresh network has nearly those of a trained one."""
        with torch.no_grad():
            output = generator(content, generator.encode(style), torch.ones(12))
            seen, own, goal = (
                losses.measure(perceptual(pictures, layers))
                for pictures in (output, content, style)
            )
        style_loss = losses.style_loss(seen, goal, own, goal)
        return float(2 * style_loss + losses.texture_loss(seen, goal, own, goal))

    torch.manual_seed(3)
    fresh = distance(StyleGenerator(**SMALL_GENERATOR))
    trained = distance(StyleGenerator.from_pretrained(game))
    assert trained < 0.9 * fresh


def test_the_discriminator_learns_to_tell_paintings_from_outputs(
    played: list[dict[str, float]],
) -> None:
    for name in ("d_accuracy_real", "d_accuracy_fake", "d_accuracy_shown"):
        assert sum(row[name] for row in played[-20:]) / 20 > 0.55, name
    # Of always saying 0, the price is 2 for telling paintings and 2 for telling contents.
    assert sum(row["d_loss"] for row in played[-20:]) / 20 < 4


def test_a_game_at_the_usual_rates_is_not_stopped(played: list[dict[str, float]]) -> None:
    assert len(played) == 120


def test_a_run_driven_to_collapse_is_stopped_with_a_reason(
    toy: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The learning rate of the discriminator fifty times too high."""
    from training.game.monitor import GameDegenerated

    changes = {"discriminator_learning_rate": 50 * 4e-4, "learning_rate": 2e-3, "adversarial_start": 0,
               "monitor_patience": IMPATIENT}  # fmt: skip
    message = rf"stopped: .* for {IMPATIENT} steps: .*lower --discriminator_learning_rate"
    with pytest.raises(GameDegenerated, match=message):
        train_here(toy_arguments(toy, tmp_path, max_train_steps=60, **changes))
    # What is there can be looked at, or continued with other arguments.
    steps = int(read_log(tmp_path)[-1]["step"])
    assert (tmp_path / f"checkpoint-{steps}").is_dir()
    StyleGenerator.from_pretrained(tmp_path)
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert any("lower --discriminator_learning_rate" in message for message in warned)


def test_a_generator_that_ignores_the_style_has_no_diversity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from training.game.discriminator_move import diversity

    torch.manual_seed(0)
    generator = StyleGenerator(**SMALL_GENERATOR)
    content, style = torch.rand(4, 3, 64, 64), torch.rand(4, 3, 1, 1).expand(4, 3, 64, 64)
    different = diversity(generator, content, style)["diversity"]
    encode = generator.encode
    monkeypatch.setattr(
        generator, "encode", lambda pictures: encode(pictures[:1].expand_as(pictures))
    )
    collapsed = diversity(generator, content, style)["diversity"]
    assert different > 10 * collapsed
    assert collapsed < 0.01
