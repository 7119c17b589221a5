"""More is asked of what does not arrive in paintings (training/feedback.py)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_model import SMALL_GENERATOR

from hfstyle import StyleTransferPipeline
from hfstyle.models.generator import StyleGenerator

pytest.importorskip("accelerate")

from training import feedback


def painter() -> StyleGenerator:
    torch.manual_seed(0)
    return StyleGenerator(**SMALL_GENERATOR).requires_grad_(False)


def untaught(generator: StyleGenerator) -> feedback.Answer:
    length = generator.encoder.vector_width
    mean_token = torch.randn(generator.encoder.tokens_shape[1])
    width = generator.encoder.parts[0]
    return feedback.Answer(torch.randn(length), torch.rand(length) + 0.5, mean_token, width)


@torch.no_grad()
def test_an_answer_folded_into_the_generator_paints_as_one_that_is_told() -> None:
    generator = painter()
    photo, style, full = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64), torch.ones(2)
    code = generator.encode(style)
    answer = untaught(generator)
    as_it_was = generator(photo, code, full)
    torch.testing.assert_close(generator(photo, answer(code), full), as_it_was)
    for parameter in answer.parameters():
        parameter.normal_(std=0.3)
    told = generator(photo, answer(code), full)
    assert (told - as_it_was).abs().max() > 1e-2
    answered = answer.folded_into(generator)
    torch.testing.assert_close(answered(photo, code, full), told, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(generator(photo, code, full), as_it_was)  # a copy
    assert answered.encoder_fingerprint() == generator.encoder_fingerprint()


@torch.no_grad()
def test_what_is_asked_for_is_the_code_moved_on_by_what_is_missing() -> None:
    generator = painter()
    photo, style = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    code = generator.encode(style)
    painted = generator.encode(generator(photo, code, torch.ones(2)))
    width = generator.encoder.parts[0]
    learned = code.vector[:, :width]
    apart = (learned - painted.vector[:, :width]).square().mean() / learned.var()
    tokens = (code.tokens - painted.tokens).mean(1).square().mean() / code.tokens.var()
    loss, missing = feedback.lesson(generator, untaught(generator), photo, style, 3.0)
    torch.testing.assert_close(missing, (apart, tokens))
    torch.testing.assert_close(loss, 9 * (apart + tokens))


def test_an_answer_comes_near_to_what_is_asked_for() -> None:
    generator = painter()
    photo, style = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    answer = untaught(generator)
    optimizer = torch.optim.Adam(answer.parameters(), 3e-3)
    losses = []
    for _ in range(100):
        loss, _ = feedback.lesson(generator, answer, photo, style, 1.0)
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.3 * losses[0]
    with torch.no_grad():
        code = generator.encode(style)
        told = answer(code)
    width = generator.encoder.parts[0]
    assert (told.vector[:, :width] - code.vector[:, :width]).abs().max() > 1e-2
    torch.testing.assert_close(told.vector[:, width:], code.vector[:, width:])  # statistics stay


def test_the_command_writes_a_model_that_understands_the_codes_made_before(
    toy: Path, tmp_path: Path
) -> None:
    pipe = StyleTransferPipeline(painter().half().float())
    pipe.presets = {"a": pipe.encode_style(torch.rand(3, 64, 64))}
    pipe.save_pretrained(tmp_path / "before")
    feedback.main(
        [
            *("--model", str(tmp_path / "before"), "--output_dir", str(tmp_path / "after")),
            *("--content_data_dir", str(toy / "content.parquet")),
            *("--style_data_dir", str(toy / "style.parquet")),
            *("--train_batch_size", "2", "--max_train_minutes", "0.05"),
        ]
    )
    before, after = (
        StyleTransferPipeline.from_pretrained(str(tmp_path / name)) for name in ("before", "after")
    )
    photo = torch.rand(3, 64, 64)
    assert list(after.presets) == ["a"]
    paintings = [pipe(photo, "a", output_type="pt").images[0] for pipe in (before, after)]
    assert (paintings[0] - paintings[1]).abs().max() > 0
    for name, weight in before.generator.state_dict().items():
        learned = name.startswith("style1") or ".key." in name or ".value." in name
        assert torch.equal(weight, after.generator.state_dict()[name]) or learned, name
