"""The generator as a user of the network meets it: exact at strength 0, whole after a round trip, strict about its file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from toy_training import SMALL_GENERATOR

from hfstyle.models.generator import StyleGenerator, drawn_under, thickness
from hfstyle.models.layers import (
    ColorTransfer,
    Grain,
    InstanceStatistics,
    luminance,
    standardise,
)
from hfstyle.models.style_encoder import Condition


def small_generator(seed: int = 0, **changes: object) -> StyleGenerator:
    torch.manual_seed(seed)
    generator = StyleGenerator(**{**SMALL_GENERATOR, **changes})  # type: ignore[arg-type]
    for part in generator.modules():
        if isinstance(part, Grain):  # which begins with none
            torch.nn.init.normal_(part.amount.bias, std=0.5)
    return generator.eval()


def pictures(*shape: int, seed: int = 1) -> Tensor:
    """Smooth random pictures in [0, 1]: what convolutions make of plain noise says little."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(*shape[:2], 9, 9, generator=generator)
    return torch.nn.functional.interpolate(coarse, shape[2:], mode="bicubic").clamp(0, 1)


@pytest.fixture(scope="module")
def generator() -> StyleGenerator:
    return small_generator()


@pytest.fixture(scope="module")
def condition(generator: StyleGenerator) -> Condition:
    with torch.no_grad():
        return generator.encode(pictures(1, 3, 96, 80, seed=2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_strength_zero_returns_the_content_bit_for_bit(dtype: torch.dtype) -> None:
    generator = small_generator().to(dtype)
    content = torch.rand(2, 3, 64, 96).to(dtype)
    content[0, :, 0, 0], content[0, :, 0, 1] = 0, 1
    style = generator.encode(pictures(2, 3, 64, 64).to(dtype))
    style = Condition(style.vector.to(dtype), style.tokens.to(dtype))
    output = generator(content, style, torch.zeros(2))
    assert torch.equal(output, content)


def test_each_picture_of_a_batch_has_its_own_strength(generator: StyleGenerator) -> None:
    content = pictures(3, 3, 64, 64)
    style = generator.encode(pictures(3, 3, 64, 64, seed=3))
    output = generator(content, style, torch.tensor([0.0, 0.5, 1.0]))
    assert torch.equal(output[0], content[0])
    distance = (output - content).abs().mean((1, 2, 3))
    assert distance[1] > 0
    assert distance[2] > distance[1]


def test_a_picture_styled_by_itself_stays_itself_at_one_level() -> None:
    """At half its resolution its statistics are others: with several levels, only training can say so."""
    generator, picture = small_generator(levels=1), pictures(2, 3, 64, 96)
    with torch.no_grad():
        output = generator(picture, generator.encode(picture), torch.ones(2))
        other = generator(picture, generator.encode(picture.flip(0)), torch.ones(2))
    torch.testing.assert_close(output, picture, atol=1e-3, rtol=0)
    assert (output - picture).abs().mean() < 0.1 * (other - picture).abs().mean()


@pytest.mark.parametrize("amplitude", [1.0, 8.0])
def test_whatever_is_painted_has_the_colours_of_the_style(amplitude: float) -> None:
    """Even by a network that exaggerates its strokes: their contrast is taken from that of the whole."""
    generator = small_generator()
    with torch.no_grad():
        generator.paint.weight.mul_(amplitude)
    content, style = pictures(2, 3, 96, 128), 0.35 + 0.3 * pictures(2, 3, 96, 96, seed=4)
    with torch.inference_mode():
        painted = generator(content, generator.encode(style), torch.ones(2))
    found, wanted = (ColorTransfer.measure(standardise(x)) for x in (painted, style))
    torch.testing.assert_close(found, wanted, atol=0.02, rtol=0)


@pytest.mark.parametrize("size", [(64, 64), (96, 160), (128, 64), (32 * 3, 32 * 5)])
def test_output_has_the_size_of_the_content_and_stays_in_range(
    generator: StyleGenerator, condition: Condition, size: tuple[int, int]
) -> None:
    with torch.no_grad():
        output = generator(pictures(1, 3, *size), condition, torch.ones(1))
    assert output.shape == (1, 3, *size)
    assert output.min() >= 0
    assert output.max() <= 1
    assert torch.isfinite(output).all()


def test_a_batch_gives_what_its_pictures_give_one_by_one(generator: StyleGenerator) -> None:
    content, style = pictures(3, 3, 64, 96), pictures(3, 3, 64, 64, seed=4)
    strength = torch.tensor([1.0, 0.3, 0.8])
    with torch.no_grad():
        codes = generator.encode(style)
        together = generator(content, codes, strength)
        for i in range(3):
            code = generator.encode(style[i : i + 1])
            alone = generator(content[i : i + 1], code, strength[i : i + 1])
            torch.testing.assert_close(together[i], alone[0], atol=1e-5, rtol=0)


def test_the_style_changes_the_picture_and_so_do_its_tokens(generator: StyleGenerator) -> None:
    content, ones = pictures(1, 3, 64, 64), torch.ones(1)
    with torch.no_grad():
        a = generator.encode(pictures(1, 3, 64, 64, seed=5))
        b = generator.encode(1 - pictures(1, 3, 64, 64, seed=5))
        painted = generator(content, a, ones)
        assert not torch.allclose(painted, generator(content, b, ones), atol=1e-4)
        mixed = generator(content, Condition(a.vector, 5 * b.tokens), ones)
        assert not torch.allclose(painted, mixed, atol=1e-5)
        without = small_generator(use_tokens=False)
        code = without.encode(pictures(1, 3, 64, 64, seed=5))
        same = without(content, Condition(code.vector, 5 * code.tokens), ones)
        assert torch.equal(without(content, code, ones), same)


@pytest.mark.parametrize("size", [(60, 64), (64, 80), (32, 64)])
def test_a_size_that_is_no_multiple_is_refused_by_name(
    generator: StyleGenerator, condition: Condition, size: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match=rf"{size[0]} x {size[1]}.*multiples of 32.*at least 64"):
        generator(pictures(1, 3, *size), condition, torch.ones(1))


def test_each_level_doubles_the_resolution(condition: Condition) -> None:
    for levels in (1, 2, 3):
        generator = small_generator(levels=levels)
        assert generator.size_multiple == 8 * 2**levels
        assert generator.minimum_size == 16 * 2**levels
        seen: list[tuple[int, ...]] = []
        handle = generator.encoder.trunk.register_forward_pre_hook(
            lambda _, inputs, seen=seen: seen.append(tuple(inputs[0].shape[2:]))
        )
        code = generator.encode(pictures(1, 3, 64, 64))
        coarser: list[torch.Tensor] = []
        generator(pictures(1, 3, 128, 192), code, torch.ones(1), coarser=coarser)
        handle.remove()
        assert seen[1:] == [(128 >> i, 192 >> i) for i in reversed(range(levels))]
        assert [tuple(x.shape[2:]) for x in coarser] == seen[1:-1]


@pytest.mark.parametrize(("later_stages", "seen_mid"), [(2, 1), (3, 3)])
def test_only_the_coarsest_level_of_two_stages_later_has_features_at_an_eighth(
    condition: Condition, later_stages: int, seen_mid: int
) -> None:
    generator = small_generator(levels=3, later_stages=later_stages)
    picture, whole = pictures(1, 3, 128, 192), InstanceStatistics()
    seen: list[int] = []
    handle = generator.encoder.trunk.down1.register_forward_hook(
        lambda _, inputs, output: seen.append(output.shape[3])
    )
    painted = generator(picture, condition, torch.ones(1), whole)
    handle.remove()
    assert seen == [192 >> 5, 192 >> 4, 192 >> 3][:seen_mid]
    again = generator(picture, condition, torch.ones(1), InstanceStatistics(whole.taken))
    torch.testing.assert_close(again, painted)
    assert torch.equal(generator(picture, condition, torch.zeros(1)), picture)


def test_a_number_of_later_stages_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match=r"later_stages is 4.*2 or 3"):
        small_generator(later_stages=4)


def test_a_steady_coarse_level_is_the_mean_of_two_places_on_the_grid(
    condition: Condition,
) -> None:
    generator = small_generator(steady=True)
    picture, strength = pictures(1, 3, 64, 96), torch.ones(1)
    statistics = InstanceStatistics()
    painted = generator.paint_coarse_level(picture, condition, strength, statistics, level=1)
    once = InstanceStatistics()
    here = generator.paint_level(picture, condition, strength, once, level=1)
    torch.testing.assert_close(statistics.taken, once.taken)
    moved = torch.roll(picture, (2, 2), (2, 3))
    moved[:, :, :2] = moved[:, :, [4, 3]]  # mirrored
    moved[..., :2] = moved[..., [4, 3]]
    given = InstanceStatistics(once.taken)
    there = generator.paint_level(moved, condition, strength, given, level=1)
    torch.testing.assert_close(
        painted[..., :-2, :-2], (here[..., :-2, :-2] + there[..., 2:, 2:]) / 2
    )
    assert torch.equal(painted[..., -2:, :], here[..., -2:, :])
    assert torch.equal(painted[..., -2:], here[..., -2:])


def test_a_steady_network_has_the_same_weights_and_paints_the_same_of_what_it_has_looked_at(
    condition: Condition,
) -> None:
    generator = small_generator(steady=True)
    content, strength = pictures(1, 3, 64, 96), torch.ones(1)
    with torch.no_grad():
        plain = generator(content, condition, strength)
        kept = generator(content, condition, strength, features=generator.look_at(content))
    assert torch.equal(kept, plain)
    assert generator.state_dict().keys() == small_generator().state_dict().keys()


def test_an_underdrawing_shows_where_the_photo_has_detail_and_nowhere_else() -> None:
    torch.manual_seed(0)
    photo = torch.full((1, 3, 64, 96), 0.4)
    photo[..., :48] += 0.3 * torch.rand(1, 1, 64, 48)  # detail at the left, none at the right
    painted = 0.3 + 0.4 * torch.rand(1, 3, 64, 96)

    def finest(x: Tensor) -> Tensor:
        x = luminance(x)
        smaller = torch.nn.functional.avg_pool2d(x, 4, 2, 1, count_include_pad=False)
        return x - torch.nn.functional.interpolate(smaller, scale_factor=2, mode="bilinear")

    for part in (0.0, 0.5, 1.0):
        drawn = drawn_under(painted, photo, torch.full((1, 1, 16, 24), part))
        change = drawn - painted
        assert (change[..., 64:] == 0).all()
        lightness = change[:, :1].expand_as(change)
        torch.testing.assert_close(change, lightness)  # not of colour
        photos, before, after = (finest(x)[..., 8:36] for x in (photo, painted, drawn))
        left = (after - photos).square().mean() / (before - photos).square().mean()
        assert left.sqrt() == pytest.approx(1 - part, abs=0.25)


def test_a_network_with_an_underdrawing_gains_one_map(condition: Condition) -> None:
    plain, drawing = small_generator(), small_generator(underdrawing=True)
    added = {"underdrawing.weight", "underdrawing.bias"}
    assert drawing.state_dict().keys() - plain.state_dict().keys() == added
    drawing.load_state_dict(plain.state_dict(), strict=False)
    content, strength = pictures(1, 3, 64, 96), torch.ones(1)
    content = (content + 0.1 * torch.rand(1, 1, 64, 96)).clamp(0, 1)
    with torch.no_grad():
        drawing.underdrawing.bias.fill_(-30.0)  # type: ignore[union-attr]
        without = plain(content, condition, strength)
        torch.testing.assert_close(drawing(content, condition, strength), without)
        drawing.underdrawing.bias.fill_(30.0)  # type: ignore[union-attr]
        assert (drawing(content, condition, strength) - without).abs().mean() > 0.002


@torch.no_grad()
def test_below_full_strength_fine_detail_is_the_photos_whatever_the_network_says(
    condition: Condition,
) -> None:
    drawing = small_generator(underdrawing=True)
    content = (pictures(1, 3, 64, 96) + 0.1 * torch.rand(1, 1, 64, 96)).clamp(0, 1)

    def apart(strength: float) -> float:
        painted = []
        for bias in (-30.0, 30.0):
            drawing.underdrawing.bias.fill_(bias)  # type: ignore[union-attr]
            painted.append(drawing(content, condition, torch.tensor([strength])))
        return float((painted[1] - painted[0]).abs().mean())

    assert apart(0.75) < 1e-6
    assert 0.2 * apart(1) < apart(0.9) < 0.8 * apart(1)


def test_more_than_was_taught_is_asked_for_near_full_strength_alone() -> None:
    generator = small_generator()
    content = pictures(1, 3, 64, 96)
    with torch.no_grad():
        condition = generator.encode(pictures(1, 3, 64, 64, seed=2))
        for strength, alike in ((0.5, True), (0.75, True), (0.9, False), (1.0, False)):
            asked = torch.tensor([strength])
            beyond = generator(content, condition, asked)
            generator.goes_beyond = False
            taught = generator(content, condition, asked)
            generator.goes_beyond = True
            assert torch.equal(beyond, taught) is alike, strength


def test_paint_is_thin_at_low_strengths_only() -> None:
    steps = torch.linspace(0, 1, 11)
    thick = thickness(steps)
    assert thick[0] == 0
    assert thick[-1] == 1
    assert (thick.diff() > 0).all()
    assert thickness(0.5) == pytest.approx(0.75)


def test_config_is_json_and_names_the_architecture() -> None:
    generator = StyleGenerator(**SMALL_GENERATOR)  # type: ignore[arg-type]
    config = json.loads(json.dumps(generator._hub_mixin_config))
    assert StyleGenerator(**config).state_dict().keys() == generator.state_dict().keys()
    assert config["token_grid"] == 2


def test_saved_and_loaded_paints_the_same_bits(
    tmp_path: Path, generator: StyleGenerator, condition: Condition
) -> None:
    generator.save_pretrained(tmp_path)
    loaded = StyleGenerator.from_pretrained(tmp_path)
    assert not loaded.training
    content = pictures(1, 3, 64, 64)
    with torch.no_grad():
        expected = generator(content, condition, torch.ones(1))
        assert torch.equal(loaded(content, condition, torch.ones(1)), expected)
        assert torch.equal(loaded.encode(content).vector, generator.encode(content).vector)
    assert loaded.encoder_fingerprint() == generator.encoder_fingerprint()


def test_unknown_keys_of_a_config_are_ignored(tmp_path: Path, generator: StyleGenerator) -> None:
    generator.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"from_the_future": [1, {"a": 2}]}))
    loaded = StyleGenerator.from_pretrained(tmp_path)
    assert loaded.encoder_fingerprint() == generator.encoder_fingerprint()


def _save_changed(folder: Path, generator: StyleGenerator, change: str) -> None:
    generator.save_pretrained(folder)
    state = load_file(folder / "model.safetensors")
    if change == "missing":
        del state["spread.weight"]
    elif change == "unexpected":
        state["spread.scale"] = torch.ones(3)
    else:
        state["spread.weight"] = torch.zeros(16, 8, 1, 1)
    save_file(state, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"missing: spread\.weight"),
        ("unexpected", r"unexpected: spread\.scale"),
        (
            "misshaped",
            r"spread\.weight is \(16, 8, 1, 1\) in the file, \(16, 8, 3, 3\) in the model",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_an_error_that_names_the_tensor(
    tmp_path: Path, generator: StyleGenerator, change: str, message: str
) -> None:
    _save_changed(tmp_path, generator, change)
    with pytest.raises(ValueError, match=message):
        StyleGenerator.from_pretrained(tmp_path)


def test_truncated_and_absent_files_are_named(tmp_path: Path, generator: StyleGenerator) -> None:
    generator.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"model\.safetensors is not a whole safetensors file"):
        StyleGenerator.from_pretrained(tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"holds no model\.safetensors"):
        StyleGenerator.from_pretrained(tmp_path)


def test_statistics_measured_in_one_pass_and_replayed_paint_the_same(
    generator: StyleGenerator, condition: Condition
) -> None:
    content, ones = pictures(1, 3, 96, 64), torch.ones(1)
    measured = InstanceStatistics()
    with torch.no_grad():
        first = generator(content, condition, ones, measured)
        again = generator(content, condition, ones, InstanceStatistics(measured.taken))
    assert torch.equal(first, again)
    assert all(s.shape[:2] == (2, 1) and s.dtype == torch.float32 for s in measured.taken)


def test_a_crop_under_the_whole_pictures_statistics_is_the_crop_of_the_whole(
    generator: StyleGenerator, condition: Condition
) -> None:
    content, ones = pictures(1, 3, 704, 704), torch.ones(1)
    measured = InstanceStatistics()
    place = (slice(None), slice(None), slice(32, 672), slice(32, 672))
    with torch.no_grad():
        whole = generator(content, condition, ones, measured)[place]
        crop = content[place].contiguous()
        replayed = generator(crop, condition, ones, InstanceStatistics(measured.taken))
        alone = generator(crop, condition, ones)
    inner = slice(272, 368)  # farther from the crop's border than this small network sees
    difference = (replayed - whole)[:, :, inner, inner].abs().max()
    assert difference < 1e-5
    assert (alone - whole)[:, :, inner, inner].abs().max() > 1e-3


def test_grain_breaks_up_what_is_flat_and_moves_with_its_place(
    generator: StyleGenerator, condition: Condition
) -> None:
    content = pictures(1, 3, 960, 960).expand(3, -1, -1, -1).clone()
    content[..., 64:-64, 64:-64] = 0.6
    content[2] = content[2].roll((32, 64), (1, 2))
    style = Condition(*(part.expand(3, *part.shape[1:]) for part in condition))
    places = torch.tensor([[100, 200], [-1, -1], [100 - 32, 200 - 64]])
    with torch.no_grad():
        output = generator(content, style, torch.ones(3), grain=places)
        bare = generator(content[1:2], condition, torch.ones(1))
    middle = output[..., 400:-400, 400:-400]
    deviation = middle.std(dim=(2, 3)).amax(1)
    assert deviation[0] > 1e-3
    assert deviation[1] < 1e-4
    torch.testing.assert_close(output[1:2], bare, atol=1e-5, rtol=0)
    moved = output[2].roll((-32, -64), (1, 2))[..., 400:-400, 400:-400]
    assert (moved - middle[0]).abs().mean() < 0.3 * (middle[0] - middle[1]).abs().mean()


def test_gradients_reach_every_parameter() -> None:
    net = small_generator()
    style = net.encode(pictures(2, 3, 64, 64, seed=6))
    places = torch.tensor([[0, 0], [-1, -1]])
    output = net(pictures(2, 3, 64, 64), style, torch.ones(2), grain=places)
    output.square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_the_default_model_keeps_its_promised_size() -> None:
    parameters = sum(p.numel() for p in StyleGenerator().parameters())
    assert parameters <= 8e6
    assert 2 * parameters < 25e6  # bytes in fp16


@pytest.mark.slow
def test_exports_with_dynamic_height_and_width(
    generator: StyleGenerator, condition: Condition
) -> None:
    class Painter(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.generator = generator

        def forward(self, content: Tensor, vector: Tensor, tokens: Tensor, s: Tensor) -> Tensor:
            output: Tensor = self.generator(content, Condition(vector, tokens), s)
            return output

    height, width = torch.export.Dim("h", min=2, max=128), torch.export.Dim("w", min=2, max=128)
    program = torch.export.export(
        Painter(),
        (pictures(1, 3, 128, 96), condition.vector, condition.tokens, torch.ones(1)),
        dynamic_shapes=({2: 32 * height, 3: 32 * width}, None, None, None),
    )
    with torch.no_grad():
        for size in ((96, 64), (64, 160), (64, 64)):
            content = pictures(1, 3, *size)
            expected = generator(content, condition, torch.ones(1))
            exported = program.module()(content, condition.vector, condition.tokens, torch.ones(1))
            torch.testing.assert_close(exported, expected, atol=1e-5, rtol=0)
