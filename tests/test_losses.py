"""The losses: zero at their optimum, positive elsewhere, blind to what they should not see, equal to the papers' formulas."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from training.game import losses

LAYERS = ("relu1_1", "relu2_1")
KINDS: tuple[losses.GanLoss, ...] = ("hinge", "nonsaturating", "minimax")


def features(seed: int, batch: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "relu1_1": torch.randn(batch, 6, 12, 12, generator=generator).relu() + 0.1,
        "relu2_1": 3 * torch.randn(batch, 10, 6, 6, generator=generator).relu(),
    }


def permuted(maps: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same features at other places."""
    result = {}
    for name, f in maps.items():
        order = torch.randperm(f[0, 0].numel(), generator=torch.Generator().manual_seed(9))
        result[name] = f.flatten(2)[:, :, order].view_as(f)
    return result


def test_content_loss_is_zero_for_the_content_and_positive_for_another() -> None:
    assert losses.content_loss(features(1), features(1), LAYERS) == 0
    assert losses.content_loss(features(2), features(1), LAYERS) > 0.1


def test_content_loss_does_not_see_the_brightness_and_contrast_of_any_channel() -> None:
    content = features(1)
    scale, shift = torch.rand(1, 6, 1, 1) + 0.5, torch.randn(1, 6, 1, 1)
    moved = {"relu1_1": 2 * content["relu1_1"] + shift, "relu2_1": 0.3 * content["relu2_1"] + 1}
    assert losses.content_loss(moved, content, LAYERS) < 1e-8
    # Channels scaled apart differ only through the floor that keeps silent channels from being blown up.
    apart = {"relu1_1": scale * content["relu1_1"] + shift, "relu2_1": content["relu2_1"]}
    assert losses.content_loss(apart, content, LAYERS) < 2e-3


def test_measure_gives_mean_deviation_and_covariance() -> None:
    feature = features(3)["relu1_1"]
    mean, std, covariance = losses.measure({"relu1_1": feature})["relu1_1"]
    torch.testing.assert_close(mean, feature.mean((2, 3)))
    torch.testing.assert_close(std, feature.std((2, 3), correction=0), atol=1e-4, rtol=1e-4)
    for i in range(2):
        expected = torch.cov(feature[i].flatten(1), correction=0)
        torch.testing.assert_close(covariance[i], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("side", [7, 48])  # in one part, in several
def test_measure_has_the_gradient_of_its_formula(side: int) -> None:
    given = torch.rand(2, 5, side, side, generator=torch.Generator().manual_seed(4))

    def gradient(of: Callable[[Tensor], tuple[Tensor, ...]]) -> tuple[Tensor, tuple[Tensor, ...]]:
        x = given.clone().requires_grad_(True)
        found = of(x)
        seed = torch.Generator().manual_seed(5)
        sum((torch.randn(y.shape, generator=seed) * y).sum() for y in found).backward()
        assert x.grad is not None
        return x.grad, found

    def plainly(x: Tensor) -> tuple[Tensor, ...]:
        rows = x.flatten(2)
        centred = rows - rows.mean(2, keepdim=True)
        covariance = centred @ centred.mT / rows.shape[2]
        deviation = torch.sqrt(torch.diagonal(covariance, dim1=1, dim2=2) + 1e-5)
        return rows.mean(2), deviation, covariance

    expected, values = gradient(plainly)
    own, found = gradient(lambda x: losses.measure({"a": x})["a"])
    torch.testing.assert_close(found, values)
    torch.testing.assert_close(own, expected)
    with torch.autocast("cpu", torch.bfloat16):  # still float32
        again, _ = gradient(lambda x: losses.measure({"a": x})["a"])
    assert torch.equal(again, own)


def test_measure_has_finite_gradients_on_a_flat_map() -> None:
    flat = torch.ones(1, 3, 4, 4, requires_grad=True)
    losses.measure({"a": flat})["a"].std.sum().backward()
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()


def test_interpolate_moves_the_target_from_content_to_style() -> None:
    content, style = losses.measure(features(1)), losses.measure(features(2))
    target = losses.interpolate(content, style, torch.tensor([0.0, 1.0]))
    for name in LAYERS:
        for t, c, s in zip(target[name], content[name], style[name], strict=True):
            torch.testing.assert_close(t[0], c[0])
            torch.testing.assert_close(t[1], s[1])
    half = losses.interpolate(content, style, torch.tensor([0.5, 0.5]))["relu1_1"].mean
    torch.testing.assert_close(half, (content["relu1_1"].mean + style["relu1_1"].mean) / 2)


@pytest.mark.parametrize("normalise", ["pair", "energy"])
def test_style_loss_is_zero_at_the_target_wherever_things_are(normalise: str) -> None:
    content, style = losses.measure(features(1)), losses.measure(features(2))
    moved = losses.measure(permuted(features(2)))
    at = losses.style_loss(moved, style, content, style, normalise)  # type: ignore[arg-type]
    off = losses.style_loss(content, style, content, style, normalise)  # type: ignore[arg-type]
    assert at < 1e-8
    assert off > 0.01


def test_style_layers_count_by_their_weights() -> None:
    content, style = losses.measure(features(1)), losses.measure(features(2))
    names = list(style)
    each = [
        losses.style_loss(content, style, content, style, weights={k: float(k == n) for k in names})
        for n in names
    ]
    doubled = losses.style_loss(content, style, content, style, weights={names[0]: 2.0})
    torch.testing.assert_close(doubled, 2 * each[0] + sum(each[1:]))


def test_texture_loss_sees_which_features_occur_together_and_not_where() -> None:
    content, style = losses.measure(features(1)), losses.measure(features(2))
    assert losses.texture_loss(style, style, content, style) == 0
    assert losses.texture_loss(losses.measure(permuted(features(2))), style, content, style) < 1e-8
    # The same channels, each with its own values at its own places: equal means and deviations, other covariances.
    own = {k: f.clone() for k, f in features(2).items()}
    own["relu1_1"][:, 0] = own["relu1_1"][:, 0].flip(1)
    shuffled = losses.measure(own)
    assert losses.style_loss(shuffled, style, content, style) < 1e-6
    assert losses.texture_loss(shuffled, style, content, style) > 1e-3


def test_pair_normalisation_starts_every_pair_near_one() -> None:
    """An untouched content costs 1 less the floor, for a style near to it as for one far away."""
    content = features(1)
    for distance in (1.0, 3.0, 20.0):
        style = {k: f + distance * f.mean() for k, f in content.items()}
        own, goal = losses.measure(content), losses.measure(style)
        start = losses.style_loss(own, goal, own, goal, "pair")
        assert 0.75 < start <= 1
    near = {k: f * 1.001 for k, f in content.items()}
    own, goal = losses.measure(content), losses.measure(near)
    assert losses.style_loss(own, goal, own, goal, "pair") < 1e-3


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_weights_mean_the_same_with_louder_features(factor: float) -> None:
    def style_terms(scale: float) -> tuple[Tensor, Tensor]:
        output, content, style = (
            losses.measure({k: f * scale for k, f in features(i).items()}) for i in (1, 2, 3)
        )
        return (
            losses.style_loss(output, style, content, style),
            losses.texture_loss(output, style, content, style),
        )

    if factor > 1:
        for loud, plain in zip(style_terms(factor), style_terms(1.0), strict=True):
            torch.testing.assert_close(loud, plain, rtol=1e-3, atol=0)
    a, b = features(1), features(2)
    scaled = [{k: f * factor for k, f in maps.items()} for maps in (a, b)]
    torch.testing.assert_close(
        losses.content_loss(*scaled, LAYERS), losses.content_loss(a, b, LAYERS), rtol=0.05, atol=0
    )


def test_local_loss_wants_every_place_to_look_like_some_place_of_the_style() -> None:
    style, ones = features(2), torch.ones(2)
    assert losses.local_loss(permuted(style), style, LAYERS, ones, samples=10_000) < 1e-6
    assert losses.local_loss(features(5), style, LAYERS, ones) > 0.01
    # Repeating one place of the style leaves the others unused, which the second half of the formula sees.
    one = {k: f[:, :, :1, :1].expand_as(f).contiguous() + 1e-6 for k, f in style.items()}
    assert losses.local_loss(one, style, LAYERS, ones) > 0.05


def test_local_loss_counts_pairs_by_their_weight() -> None:
    style, other = features(2), features(5)
    first = torch.tensor([1.0, 0.0])
    expected = losses.local_loss(
        {k: f[:1] for k, f in other.items()}, {k: f[:1] for k, f in style.items()}, LAYERS, torch.ones(1)
    )  # fmt: skip
    torch.testing.assert_close(losses.local_loss(other, style, LAYERS, first), expected)
    assert losses.local_loss(other, style, LAYERS, torch.zeros(2)) == 0


def test_contrast_loss_is_small_when_codes_match_their_own_style() -> None:
    codes = torch.eye(4) * 3 + 10  # a common offset says nothing about a style
    right = losses.contrast_loss(codes, codes)
    assert right < 0.01
    assert losses.contrast_loss(codes.roll(1, 0), codes) > 5
    same = codes.mean(0, keepdim=True).expand(4, -1)
    torch.testing.assert_close(losses.contrast_loss(same, codes), torch.tensor(math.log(4)))


@pytest.mark.parametrize(
    ("kind", "real", "fake", "generator"),
    [
        # logits +2 on reals, -1 on fakes; the generator's loss at logits -1
        ("hinge", 0.0, 0.0, 1.0),
        ("nonsaturating", math.log(1 + math.exp(-2)), math.log(1 + math.exp(-1)), math.log(1 + math.exp(1))),
        ("minimax", math.log(1 + math.exp(-2)), math.log(1 + math.exp(-1)), -math.log(1 + math.exp(-1))),
    ],
)  # fmt: skip
def test_gan_losses_are_those_of_the_papers(
    kind: losses.GanLoss, real: float, fake: float, generator: float
) -> None:
    on_real = [torch.full((2, 1, 4, 4), 2.0), torch.full((2, 1, 2, 2), 2.0)]
    on_fake = [-logits / 2 for logits in on_real]
    assert losses.discriminator_loss(on_real, True, kind).item() == pytest.approx(real, abs=1e-6)
    assert losses.discriminator_loss(on_fake, False, kind).item() == pytest.approx(fake, abs=1e-6)
    assert losses.adversarial_loss(on_fake, kind).item() == pytest.approx(generator, abs=1e-6)


def test_the_two_sides_pull_logits_apart() -> None:
    logit = torch.zeros(1, requires_grad=True)
    for loss, sign in [
        pair
        for kind in KINDS
        for pair in (
            (losses.discriminator_loss([logit], True, kind), -1),
            (losses.discriminator_loss([logit], False, kind), 1),
            (losses.adversarial_loss([logit], kind), -1),
        )
    ]:
        (gradient,) = torch.autograd.grad(loss, logit)
        assert gradient.sign() == sign


def test_r1_is_the_squared_gradient_of_the_logits() -> None:
    """For a linear judge, D(x) = sum(w x) in one patch, the gradient is w wherever x is."""
    weight = torch.randn(3, 4, 4)
    candidate = torch.rand(5, 3, 4, 4, requires_grad=True)
    logits = [(candidate * weight).sum((1, 2, 3)).view(5, 1, 1, 1)]
    penalty = losses.r1_penalty(logits, candidate)
    torch.testing.assert_close(penalty, weight.square().sum())


def test_r1_of_two_scales_is_that_of_their_sum_of_patch_means_and_trains_the_judge() -> None:
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 1, 3)
    candidate = torch.rand(2, 3, 8, 8, requires_grad=True)

    def judge(x: Tensor) -> list[Tensor]:
        return [torch.tanh(conv(x)), F.avg_pool2d(torch.tanh(conv(x)), 2)]

    penalty = losses.r1_penalty(judge(candidate), candidate)
    by_hand = 0.0
    for i in range(2):
        (gradient,) = torch.autograd.grad(
            sum(s.mean() for s in judge(candidate[i : i + 1])), candidate
        )
        by_hand += float(gradient.square().sum()) / 2
    assert penalty.item() == pytest.approx(by_hand, rel=1e-5)
    penalty.backward()
    assert conv.weight.grad is not None
    assert conv.weight.grad.abs().sum() > 0


def test_colour_loss_is_at_its_floor_for_the_styles_colours_and_high_for_the_photos() -> None:
    generator = torch.Generator().manual_seed(0)
    content = torch.rand(2, 3, 32, 32, generator=generator) * 0.3
    style = 1 - torch.rand(2, 3, 32, 32, generator=generator) * 0.7
    ones, zeros = torch.ones(2), torch.zeros(2)
    moved = style.flip(2)  # the same colours elsewhere
    assert losses.color_loss(moved, content, style, ones) < 1e-3
    assert losses.color_loss(content, content, style, ones) > 1.4
    assert losses.color_loss(content, content, style, zeros) < 1e-3


def test_halo_loss_asks_colour_to_change_only_where_the_photo_does() -> None:
    content = torch.full((1, 3, 64, 64), 0.2)
    content[..., 32:] = 0.8
    red_sky = content.clone()
    red_sky[:, 0, :, 32:] = 0.1  # another colour up to the photo's edge
    halo = content.clone()
    halo[:, 0, :, 32:48] -= 0.2  # and one that ends beside it
    assert losses.halo_loss(content, content) < 1e-6
    assert losses.halo_loss(red_sky, content) < 1e-6
    assert losses.halo_loss(halo, content) > 1e-3
    grey = halo.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    assert losses.halo_loss(grey, content) < 1e-6  # lightness is free


@pytest.mark.parametrize("side", [32, 96])
def test_structure_loss_wants_dark_beside_light_to_stay_so(side: int) -> None:
    content = torch.full((2, 3, side, side), 0.7)
    content[:, :, 8:24, 8:24] = 0.4  # a mouth
    strokes = 0.2 * torch.eye(2).repeat(side // 2, side // 2)
    painted = (0.2 + 0.5 * content + strokes).clamp(0, 1)
    mapped = 0.1 + 0.5 * content
    mapped[:, 0] += 0.2
    assert losses.structure_loss(mapped, content) < 1e-3
    assert losses.structure_loss(painted, content) < 1e-3  # strokes finer than a cell are free
    lost, inverted = torch.full_like(content, 0.5), 1 - content
    assert losses.structure_loss(lost, content) < 0.1  # nothing to compare: no worse than flat
    ridges = 0.5 + 0.3 * torch.sin(torch.arange(side) / 4).expand(2, 3, side, side)
    assert losses.structure_loss(ridges, content) > 0.1
    assert losses.structure_loss(inverted, content) > losses.structure_loss(ridges, content)
    flat = torch.full_like(content, 0.7)
    assert losses.structure_loss(ridges, flat) < 1e-3  # nor where the photo is flat


def test_consistency_is_zero_for_a_painting_that_moves_with_its_photo() -> None:
    large = torch.rand(1, 3, 72, 72, generator=torch.Generator().manual_seed(0))
    output, moved = large[..., 8:, 8:], large[..., 5:69, 2:66]  # by 3 px down and 6 px right
    assert losses.consistency_loss(output, moved, 3, 6) == 0
    assert losses.consistency_loss(output, moved, 6, 3) > 0.1
    for picture in (output := output.clone(), moved := moved.clone()):
        picture[..., -4:] = 1  # a frame, wherever the photo ends
    assert losses.consistency_loss(output, moved, 3, 6) > 0.02
