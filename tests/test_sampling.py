"""The space of styles: fitted, stored, drawn from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_model import small_generator
from torch import Tensor

from hfstyle import StyleCode, StyleCodeError, StyleTransferPipeline
from hfstyle.styles.space import SPACE_FILE, StyleSpace

PIPE = StyleTransferPipeline(small_generator())


def codes(count: int = 12) -> list[StyleCode]:
    made = []
    for seed in range(count):
        random = torch.Generator().manual_seed(seed)
        picture = torch.rand(3, 8, 8, generator=random)[:, :, None, :, None]
        picture = picture.expand(3, 8, 10, 8, 10).reshape(3, 80, 80)
        made.append(
            PIPE.encode_style(picture, name=f"n{seed}", metadata={"title": f"Title {seed}"})
        )
    return made


CODES = codes()
PARTS = PIPE.generator.encoder.parts
SPACE = StyleSpace.fit(CODES, parts=PARTS)


def distance(first: StyleCode, second: StyleCode) -> float:
    return float((SPACE.coordinates_of(first) - SPACE.coordinates_of(second)).norm())


def test_with_as_many_directions_as_codes_each_code_is_given_back() -> None:
    assert SPACE.directions.shape[0] == 2 * (len(CODES) - 1)  # of the vector and of the tokens
    for code in CODES:
        again = SPACE.code(SPACE.coordinates_of(code), code.name, **code.metadata)
        torch.testing.assert_close(again.vector, code.vector, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(again.tokens, code.tokens, atol=1e-3, rtol=1e-3)
        assert again.encoder == code.encoder
    found = SPACE.nearest(CODES[3], k=2)
    assert found[0][0] == 3
    assert found[0][1] == pytest.approx(0, abs=1e-3)
    assert found[1][1] > 0


def test_a_stored_space_is_nearly_the_same(tmp_path: Path) -> None:
    SPACE.save(tmp_path / SPACE_FILE)
    again = StyleSpace.load(tmp_path / SPACE_FILE, CODES[0].encoder)
    size = float(SPACE.coordinates.norm(dim=1).mean())
    for code, point in zip(CODES, again.coordinates, strict=True):
        restored = again.code(point)
        assert distance(restored, code) < 0.03 * size
    assert list(again.about) == [code.metadata for code in CODES]
    assert (again.shape, again.encoder) == (SPACE.shape, SPACE.encoder)
    assert again.parts == PARTS
    torch.testing.assert_close(again.sample(3).vector, SPACE.sample(3).vector, atol=0.05, rtol=0.05)


def test_a_space_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    path = tmp_path / SPACE_FILE
    with pytest.raises(StyleCodeError, match=SPACE_FILE):
        StyleSpace.load(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(StyleCodeError, match="cannot be used"):
        StyleSpace.load(path)
    CODES[0].save(path)
    with pytest.raises(StyleCodeError, match="another kind"):
        StyleSpace.load(path)
    SPACE.save(path)
    with pytest.raises(StyleCodeError, match=r"style_space\.py"):
        StyleSpace.load(path, "0" * 16)


def test_the_same_seed_gives_the_same_style_and_others_differ() -> None:
    one, same, other = (SPACE.sample(seed) for seed in (1, 1, 2))
    assert torch.equal(one.vector, same.vector)
    assert torch.equal(one.tokens, same.tokens)
    assert distance(one, other) > 0
    by_generator = SPACE.sample(torch.Generator().manual_seed(1))
    assert torch.equal(one.tokens, by_generator.tokens)
    torch.manual_seed(1)
    assert torch.equal(one.tokens, SPACE.sample().tokens)


def test_samples_have_mean_and_covariance_of_the_codes() -> None:
    points = torch.stack([SPACE.coordinates_of(SPACE.sample(seed)) for seed in range(600)])
    deviation = SPACE.coordinates.std(0, correction=0)
    assert (points.mean(0) / deviation).abs().max() < 0.2
    assert ((points.std(0) / deviation) - 1).abs().max() < 0.2


def test_no_sample_is_a_copy_of_a_painting() -> None:
    near = min(SPACE.nearest(SPACE.sample(seed), k=1)[0][1] for seed in range(50))
    assert near > 0.02 * float(SPACE.coordinates.norm(dim=1).mean())


def test_temperature_moves_away_from_the_mean() -> None:
    samples = [SPACE.coordinates_of(SPACE.sample(5, t)) for t in (0.0, 0.1, 0.2, 1.0, 2.0)]
    torch.testing.assert_close(samples[0], torch.zeros_like(samples[0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(samples[2], 2 * samples[1], atol=1e-3, rtol=1e-3)
    sizes = [float(sample.norm()) for sample in samples]
    assert sizes == sorted(set(sizes))


def deviations(code: StyleCode) -> Tensor:
    """Those of features, and the roots of the colours' variances."""
    *features, colors = code.vector.split(PARTS)[1:]
    return torch.cat([*(part.chunk(2)[1] for part in features), colors[[3, 5, 8]]])


def test_no_deviation_is_smaller_or_larger_than_those_of_the_paintings() -> None:
    """Not even far from the mean: a style whose contrast is about zero, or negative, is none."""
    known = torch.stack([deviations(code) for code in CODES])
    for seed in range(40):
        drawn = deviations(SPACE.sample(seed, temperature=3))
        assert (drawn >= 0.99 * known.amin(0)).all()
        assert (drawn <= 1.01 * known.amax(0)).all()
        assert drawn[-3] > torch.quantile(known[:, -3], 0.04)  # lightness


def test_colours_survive_few_directions() -> None:
    """With few directions, colours are nearer to what they were than if all numbers counted alike."""
    colors = torch.stack([code.vector[-9:] for code in CODES])
    errors = []
    for parts in (PARTS, ()):
        space = StyleSpace.fit(CODES, rank=8, parts=parts)
        kept = torch.stack([space.code(space.coordinates_of(c)).vector[-9:] for c in CODES])
        errors.append(float((kept - colors).square().sum() / colors.var(0).sum() / len(CODES)))
    assert errors[0] < 0.8 * errors[1], errors


def test_parts_must_be_those_of_the_codes() -> None:
    with pytest.raises(ValueError, match="do not add up"):
        StyleSpace.fit(CODES, parts=(1, 2, 3))


@pytest.mark.parametrize("temperature", [3.5, float("nan")])
def test_a_bad_temperature_is_named(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature is"):
        SPACE.sample(0, temperature)


def test_a_seed_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"generator is 1\.5"):
        SPACE.sample(1.5)  # type: ignore[arg-type]


def test_a_space_needs_two_codes_of_one_encoder() -> None:
    with pytest.raises(ValueError, match="1 codes"):
        StyleSpace.fit(CODES[:1])
    foreign = StyleCode(CODES[0].vector, CODES[0].tokens, "0" * 16)
    with pytest.raises(StyleCodeError, match="encoder"):
        StyleSpace.fit([CODES[0], foreign])


# --- through the pipeline


def test_the_pipeline_draws_and_paints() -> None:
    pipe = StyleTransferPipeline(PIPE.generator, {code.name: code for code in CODES})
    photo = torch.rand(3, 40, 40)
    images = [pipe(photo, pipe.sample_style(s), output_type="pt").images[0] for s in (1, 2)]
    assert (images[0] - images[1]).abs().mean() > 1e-4
    assert torch.equal(pipe.style_space.sample(1).vector, pipe.sample_style(1).vector)


def test_a_model_keeps_its_space_when_saved(tmp_path: Path) -> None:
    StyleTransferPipeline(PIPE.generator, {c.name: c for c in CODES}).save_pretrained(tmp_path)
    SPACE.save(tmp_path / SPACE_FILE)
    pipe = StyleTransferPipeline.from_pretrained(tmp_path)
    assert len(pipe.style_space) == len(CODES)
    pipe.save_pretrained(tmp_path / "again")
    again = StyleTransferPipeline.from_pretrained(tmp_path / "again")
    torch.testing.assert_close(
        again.sample_style(3).tokens, pipe.sample_style(3).tokens, atol=0.05, rtol=0.05
    )


def test_a_model_without_space_and_presets_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"style_space\.py"):
        StyleTransferPipeline(PIPE.generator).sample_style(0)
