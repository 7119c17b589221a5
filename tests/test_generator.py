"""The generator as a user of the network meets it: exact at strength 0, whole after a round trip, strict about its file."""

from __future__ import annotations

import pytest
import torch
from small_model import SMALL_GENERATOR
from torch import Tensor

from hfstyle.models.color import ColorTransfer, luminance, standardise
from hfstyle.models.detail import ask, drawn_under
from hfstyle.models.generator import StyleGenerator
from hfstyle.models.levels import Instructions
from hfstyle.models.sizes import SIZES
from hfstyle.models.statistics import InstanceStatistics
from hfstyle.models.style_encoder import Condition


def small_generator(seed: int = 0, **changes: object) -> StyleGenerator:
    torch.manual_seed(seed)
    return StyleGenerator(**{**SMALL_GENERATOR, **changes}).eval()


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


def test_whatever_is_painted_has_the_colours_of_the_style() -> None:
    """Even by a network that exaggerates its strokes: their contrast is taken from that of the whole."""
    generator = small_generator()
    with torch.no_grad():
        generator.head.paint.weight.mul_(8.0)
    content, style = pictures(2, 3, 96, 128), 0.35 + 0.3 * pictures(2, 3, 96, 96, seed=4)
    with torch.inference_mode():
        painted = generator(content, generator.encode(style), torch.ones(2))
    found, wanted = (ColorTransfer.measure(standardise(x)) for x in (painted, style))
    torch.testing.assert_close(found, wanted, atol=0.02, rtol=0)


@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
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


@pytest.mark.parametrize("size", [(64, 80), (32, 64)])
def test_a_size_that_is_no_multiple_is_refused_by_name(
    generator: StyleGenerator, condition: Condition, size: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match=rf"{size[0]} x {size[1]}.*multiples of 32.*at least 64"):
        generator(pictures(1, 3, *size), condition, torch.ones(1))


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


@torch.no_grad()
def test_below_full_strength_fine_detail_is_the_photos_whatever_the_network_says(
    condition: Condition,
) -> None:
    drawing = small_generator()
    content = (pictures(1, 3, 64, 96) + 0.1 * torch.rand(1, 1, 64, 96)).clamp(0, 1)

    def apart(strength: float) -> float:
        painted = []
        for bias in (-30.0, 30.0):
            drawing.underdrawing.bias.fill_(bias)
            painted.append(drawing(content, condition, torch.tensor([strength])))
        return float((painted[1] - painted[0]).abs().mean())

    assert apart(0.75) < 1e-6
    assert 0.2 * apart(1) < apart(0.9) < 0.8 * apart(1)


def test_statistics_measured_in_one_pass_and_replayed_paint_the_same(
    generator: StyleGenerator, condition: Condition
) -> None:
    content, ones = pictures(1, 3, 96, 64), torch.ones(1)
    measured = InstanceStatistics()
    with torch.no_grad():
        first = generator(content, condition, ones, measured)
        again = generator(content, condition, ones, InstanceStatistics(measured.taken))
    assert torch.equal(first, again)
    assert all(s.shape[:2] == (2, 1) and s.dtype == torch.float32 for s in measured.taken.values())
    assert {name.split(".")[0] for name in measured.taken} == {"coarse", "fine"}


def test_statistics_are_found_by_name_whatever_the_order(
    generator: StyleGenerator, condition: Condition
) -> None:
    content, ones = pictures(1, 3, 96, 64), torch.ones(1)
    measured = InstanceStatistics()
    with torch.no_grad():
        expected = generator(content, condition, ones, measured)
        turned = dict(sorted(measured.taken.items(), reverse=True))
        assert torch.equal(
            generator(content, condition, ones, InstanceStatistics(turned)), expected
        )
        del turned["fine.low"]
        with pytest.raises(KeyError, match=r"fine\.low"):
            generator(content, condition, ones, InstanceStatistics(turned))


@torch.no_grad()
def test_a_strength_for_each_place_is_the_strength_there(
    generator: StyleGenerator, condition: Condition
) -> None:
    content, ones = pictures(1, 3, 256, 256), torch.ones(1)
    everywhere = generator(content, condition, ones)
    one = generator(content, condition, ones, where=torch.ones(1, 1, 16, 16))
    torch.testing.assert_close(one, everywhere, atol=1e-4, rtol=0)
    half = torch.ones(1, 1, 256, 256)
    half[..., :128] = 0
    painted = generator(content, condition, ones, where=half)
    assert torch.equal(painted[..., :128], content[..., :128])
    apart = (everywhere - content).abs().mean((0, 1, 2))
    kept = (painted - content).abs().mean((0, 1, 2))
    assert kept[192:].mean() > 0.7 * apart[192:].mean()


@torch.no_grad()
def test_a_picture_is_what_is_painted_over_what_was_blocked_in(
    generator: StyleGenerator, condition: Condition
) -> None:
    content, strength = pictures(1, 3, 96, 64), torch.tensor([0.9])
    how = Instructions(condition, strength)
    blocked = generator.paint_coarse(content, how)
    assert blocked.picture.shape == (1, 3, 48, 32)
    assert blocked.change.shape == content.shape
    painted = generator.paint_fine(content, blocked.change, how)
    assert torch.equal(painted, generator(content, condition, strength))
    other = generator.paint_fine(content, 0.5 * blocked.change, how)
    assert (other - painted).abs().mean() > 1e-3


def test_one_curve_says_what_a_strength_asks_for() -> None:
    steps = torch.linspace(0, 1, 11)
    said, paint, detail = ask(steps)
    assert (paint[0], paint[-1]) == (0, 1)
    assert (paint.diff() > 0).all()
    assert float(ask(0.5).paint) == pytest.approx(0.75)
    assert (detail[:8] == 1).all()  # up to 0.7 all the photo's finest detail
    assert detail[-1] == 0
    assert (said.diff() > 0).all()
    assert float(said[-1]) == pytest.approx(1.12)
    assert torch.equal(said[:8], paint[:8])
    assert torch.equal(ask(steps, taught=True).said, paint)


def test_the_defaults_are_the_published_size() -> None:
    default = StyleGenerator()
    published = StyleGenerator(**SIZES["base"])
    assert {n: p.shape for n, p in default.named_parameters()} == {
        n: p.shape for n, p in published.named_parameters()
    }


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


def test_gradients_reach_every_parameter() -> None:
    net = small_generator()
    style = net.encode(pictures(2, 3, 64, 64, seed=6))
    output = net(pictures(2, 3, 64, 64), style, torch.ones(2))
    output.square().mean().backward()
    for name, parameter in net.named_parameters():
        if name.startswith("faces."):  # learned apart
            continue
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
