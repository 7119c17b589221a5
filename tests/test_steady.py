"""A generator that teaches itself to paint borders as the middle (training/steady.py)."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from small_model import SMALL_GENERATOR
from toy_training import toy_crops

from hfstyle.models.generator import StyleGenerator

pytest.importorskip("accelerate")

from training import steady
from training.game.perceptual import load_perceptual


def visible_painter() -> StyleGenerator:
    """A generator of random weights whose strokes can be seen, and are others at a border."""
    torch.manual_seed(0)
    generator = StyleGenerator(**SMALL_GENERATOR)
    with torch.no_grad():
        generator.head.paint.weight.mul_(30)
        for block in generator.blocks_low:
            block.modulate1.affine.bias.normal_()
    return generator


def test_a_window_lies_in_the_middle() -> None:
    pictures = torch.arange(192.0).expand(1, 3, 192, 192)
    assert steady.window(pictures)[0, 0, 0].tolist() == list(range(64, 128))


def test_strips_along_the_borders_are_compared_by_their_texture(toy: Path) -> None:
    perceptual = load_perceptual(str(toy / "vgg.safetensors"), reflect=False)
    painted = torch.rand(1, 3, 192, 192, generator=torch.Generator().manual_seed(0))
    assert steady.border_loss(painted, painted, perceptual) == pytest.approx(0, abs=1e-6)
    elsewhere = painted.roll(7, 3)  # the same texture at other places
    bare, inside = painted.clone(), painted.clone()
    bare[..., :32] = 0.5
    inside[..., 80:112, 80:112] = 0.5
    without = float(steady.border_loss(bare, painted, perceptual))
    assert without > 5 * float(steady.border_loss(elsewhere, painted, perceptual))
    assert without > 20 * float(steady.border_loss(inside, painted, perceptual))


def test_borders_are_learned_and_the_encoder_stays(
    toy: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = visible_painter()
    before.save_pretrained(tmp_path / "before")
    caplog.set_level(logging.INFO)
    steady.main([
        "--model", str(tmp_path / "before"), "--content_data_dir", str(toy / "content.parquet"),
        "--style_data_dir", str(toy / "style.parquet"), "--output_dir", str(tmp_path / "after"),
        "--perceptual_model", str(toy / "vgg.safetensors"), "--max_train_steps", "36",
        "--learning_rate", "3e-4", "--train_batch_size", "2", "--mixed_precision", "no", "--noise", "0",
    ])  # fmt: skip
    assert "step 1 of 36 took" in caplog.text
    assert f"{tmp_path / 'after'} is the model, after 36 steps" in caplog.text
    after = StyleGenerator.from_pretrained(tmp_path / "after").float()
    # Saved in half precision, as models are published; fingerprints are of that precision.
    assert after.encoder_fingerprint() == before.encoder_fingerprint()
    perceptual = load_perceptual(str(toy / "vgg.safetensors"), reflect=False)
    arguments = steady.parse_args(
        ["--content_data_dir", "a", "--style_data_dir", "b", "--output_dir", "c", "--noise", "0"]
    )
    content, style = (toy_crops(toy, kind, 320, (0.55, 1.0)) for kind in ("content", "style"))
    full = torch.ones(4)
    with torch.no_grad():
        far, near = (
            steady.lesson(pupil, before, perceptual, content, style, full, "window", arguments)
            for pupil in (before, after)
        )
    assert near < 0.93 * far  # three seeds gave 0.75 to 0.87
