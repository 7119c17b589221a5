"""Gains and biases tuned by style and content alone (training/tune.py)."""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
import threading
import time
from pathlib import Path
from types import ModuleType

import pytest
import torch
from small_model import SMALL_GENERATOR
from toy_training import toy_crops

from hfstyle import StyleTransferPipeline
from hfstyle.models.generator import StyleGenerator
from hfstyle.models.style_encoder import Condition

pytest.importorskip("accelerate")

from training import feedback, steady, tune
from training.game.perceptual import load_perceptual, load_perceptuals


def painter() -> StyleGenerator:
    torch.manual_seed(0)
    return StyleGenerator(**SMALL_GENERATOR)


@torch.no_grad()
def test_gains_of_0_change_nothing_and_others_are_folded_into_the_weights() -> None:
    generator = painter()
    content, style, full = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64), torch.ones(1)
    condition = generator.encode(style)
    before = generator(content, condition, full)
    gains, biases, weights = tune.add_gains(generator)
    torch.testing.assert_close(generator(content, condition, full), before)
    for gain in gains:
        gain.normal_(std=0.2)
    tuned = generator(content, condition, full)
    assert (tuned - before).abs().max() > 1e-3
    bare = tune.folded(generator)
    torch.testing.assert_close(bare(content, condition, full), tuned)
    torch.testing.assert_close(generator(content, condition, full), tuned)
    assert all(bias.requires_grad for bias in biases)
    assert not any(weight.requires_grad for weight in weights)
    assert not any(parameter.requires_grad for parameter in generator.encoder.parameters())


@torch.no_grad()
def test_tokens_moved_apart_by_the_weights_are_tokens_moved_apart() -> None:
    generator = painter()
    content, style, full = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64), torch.ones(1)
    vector, tokens = generator.encode(style)
    mean = torch.randn(tokens.shape[-1])
    apart = Condition(vector, mean + 1.3 * (tokens - mean))
    wanted = generator(content, apart, full)
    tune.move_tokens_apart(generator, mean, 1.3)
    torch.testing.assert_close(generator(content, Condition(vector, tokens), full), wanted)


@pytest.mark.parametrize("weights_rate", ["0", "1e-3"])
def test_the_style_comes_nearer_and_the_encoder_stays(
    toy: Path, tmp_path: Path, weights_rate: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = painter()
    before.save_pretrained(tmp_path / "before")
    arguments = [
        "--model", str(tmp_path / "before"), "--content_data_dir", str(toy / "content.parquet"),
        "--style_data_dir", str(toy / "style.parquet"), "--output_dir", str(tmp_path / "after"),
        "--perceptual_model", str(toy / "vgg.safetensors"), "--max_train_steps", "36",
        "--learning_rate", "2e-2", "--weights_learning_rate", weights_rate, "--resolution", "96",
        "--mixed_precision", "no", "--consistency_weight", "5", "--lr_warmup_steps", "2",
    ]  # fmt: skip
    with caplog.at_level(logging.INFO):
        tune.main(arguments)
    assert re.search(r"step 1 took \d+\.\d s, of 36 steps; numbers every 20 steps", caplog.text)
    assert f"{tmp_path / 'after'} is the model, after 36 steps" in caplog.text
    after = StyleGenerator.from_pretrained(tmp_path / "after").float()
    assert after.encoder_fingerprint() == before.encoder_fingerprint()
    old, new = before.spread.weight.detach().flatten(1), after.spread.weight.detach().flatten(1)
    changed = (new - old) / old
    alike = float(changed.std(1).median() / changed.mean(1).abs().median())
    assert (alike < 0.1) == (weights_rate == "0")  # gains alone, or whole weights
    network = load_perceptual(str(toy / "vgg.safetensors"), reflect=False)
    content, style = (toy_crops(toy, kind, 96, (0.8, 1.0)) for kind in ("content", "style"))
    args = tune.parse_args(arguments)
    with torch.no_grad():
        far, near = (
            sum(tune.objective(g, network, content, style, 0, args).values())
            for g in (before, after)
        )
    assert near < 0.97 * far


def test_what_a_style_passes_first_learns_alone_and_a_picture_is_to_be_itself_in_its_own_style(
    toy: Path, tmp_path: Path
) -> None:
    before = painter().half().float()
    before.save_pretrained(tmp_path / "before")
    arguments = [
        "--model", str(tmp_path / "before"), "--content_data_dir", str(toy / "content.parquet"),
        "--style_data_dir", str(toy / "style.parquet"), "--output_dir", str(tmp_path / "after"),
        "--perceptual_model", str(toy / "vgg.safetensors"), "--max_train_steps", "24",
        "--learn", "style", "--learning_rate", "1e-2", "--resolution", "96", "--mixed_precision", "no",
        "--identity_weight", "4", "--lr_warmup_steps", "2",
    ]  # fmt: skip
    tune.main(arguments)
    after = StyleGenerator.from_pretrained(tmp_path / "after").float()
    state = after.state_dict()
    for name, weight in before.state_dict().items():
        learned = name.startswith("style") or ".key." in name or ".value." in name
        assert torch.equal(weight, state[name]) or learned, name
    assert not torch.equal(before.style1.weight, after.style1.weight)
    assert not torch.equal(before.attend_mid.value.weight, after.attend_mid.value.weight)
    network = load_perceptual(str(toy / "vgg.safetensors"), reflect=False)
    content, style = (toy_crops(toy, kind, 96, (0.8, 1.0)) for kind in ("content", "style"))
    args = tune.parse_args(arguments)
    with torch.no_grad():
        terms = [
            [tune.objective(g, network, content, style, step, args) for step in (0, 1)]
            for g in (before, after)
        ]
    assert "identity" not in terms[0][1]
    far, near = (sum(each[0].values()) for each in terms)
    assert near < 0.99 * far


@pytest.mark.parametrize("script", [tune, steady, feedback])
def test_a_signal_ends_with_the_model_as_it_is(
    script: ModuleType, toy: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipe = StyleTransferPipeline(painter().half().float())
    pipe.presets = {"a": pipe.encode_style(torch.rand(3, 64, 64))}
    pipe.save_pretrained(tmp_path / "before")
    handler = signal.getsignal(signal.SIGTERM)

    def ask() -> None:
        # Whole already while it learns: a run that is killed leaves the styles, too.
        deadline = time.monotonic() + 120
        while not (tmp_path / "after" / "styles").is_dir() and time.monotonic() < deadline:
            time.sleep(0.01)
        whole_before_the_end.append((tmp_path / "after" / "styles").is_dir())
        os.kill(os.getpid(), signal.SIGTERM)

    whole_before_the_end: list[bool] = []
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    arguments = [
        "--model", str(tmp_path / "before"), "--content_data_dir", str(toy / "content.parquet"),
        "--style_data_dir", str(toy / "style.parquet"), "--output_dir", str(tmp_path / "after"),
        "--train_batch_size", "1", "--checkpointing_steps", "2",
    ]  # fmt: skip
    if script is not feedback:
        arguments += ["--perceptual_model", str(toy / "vgg.safetensors"), "--mixed_precision", "no"]
        arguments += ["--max_train_steps", "100000"]
    with caplog.at_level(logging.INFO, "hfstyle"):
        script.main(arguments + (["--resolution", "96"] if script is tune else []))
    asking.join()
    assert whole_before_the_end == [True]
    assert signal.getsignal(signal.SIGTERM) == handler
    assert "stopped at step" in caplog.text
    before, after = (
        StyleGenerator.from_pretrained(tmp_path / name).float() for name in ("before", "after")
    )
    assert after.encoder_fingerprint() == before.encoder_fingerprint()
    layers = [g.style1 if script is feedback else g.spread for g in (before, after)]
    assert not torch.equal(layers[0].weight, layers[1].weight)
    # A whole folder: the codes are still valid.
    presets = StyleTransferPipeline.from_pretrained(tmp_path / "after").presets
    assert torch.equal(presets["a"].vector, pipe.presets["a"].vector)
    assert [p.name for p in (tmp_path / "after").iterdir() if p.is_dir()] == ["styles"]


def test_further_networks_look_at_small_pictures_only(toy: Path) -> None:
    file = str(toy / "vgg.safetensors")
    seen: list[frozenset[str]] = []
    network = load_perceptuals([file, file])
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1]))
    content, style = (toy_crops(toy, kind, 96, (0.8, 1.0)) for kind in ("content", "style"))
    args = tune.parse_args(
        ["--content_data_dir", "x", "--style_data_dir", "x", "--output_dir", "x"]
    )
    terms = []
    for step in (0, 1):
        torch.manual_seed(0)
        with torch.no_grad():
            terms.append(tune.objective(painter(), network, content, style, step, args))
        assert any("/" in name for name in seen[-1]) == (step == 1)
    alone = load_perceptuals([file])
    torch.manual_seed(0)
    with torch.no_grad():
        expected = tune.objective(painter(), alone, content, style, 1, args)
    for name in ("style", "texture"):  # the mean of two networks that are alike
        torch.testing.assert_close(terms[1][name], expected[name])


def test_a_run_ends_by_steps_or_by_time() -> None:
    steps = argparse.Namespace(max_train_steps=10, max_train_minutes=1.0)
    assert tune._share(steps, 5, 0.0) == 0.5
    minutes = argparse.Namespace(max_train_steps=None, max_train_minutes=1.0)
    assert tune._share(minutes, 5, 0.0) > 1
