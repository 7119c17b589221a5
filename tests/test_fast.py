"""What replaces layers without gradients on a CPU computes the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from small_model import small_generator
from torch import Tensor

from hfstyle.models import fast
from hfstyle.models.color import ColorSpread, ColorTransfer, luminance, opponent_sums, standardise
from hfstyle.models.layers import ModulatedBlock, TokenAttention, activate, conv3x3
from hfstyle.models.resample import double, halve, placed, reduced
from hfstyle.models.statistics import InstanceStatistics, moments, scale_and_shift
from hfstyle.models.style_encoder import Condition

CLOSE = {"atol": 1e-5, "rtol": 0.0}


def maps(channels: int, height: int, width: int, batch: int = 1) -> Tensor:
    x = torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(0))
    return x.contiguous(memory_format=torch.channels_last)


def pictures(*shape: int, seed: int = 1) -> Tensor:
    """Smooth random pictures in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(*shape[:2], 9, 9, generator=generator)
    return F.interpolate(coarse, shape[2:], mode="bicubic").clamp(0, 1)


def both(function: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
    """As with gradients, and as without."""
    with torch.enable_grad():
        plain = function().detach()
    with torch.inference_mode():
        return plain, function()


@pytest.mark.parametrize("size", [(1, 6), (32, 24)])
def test_doubling_is_bilinear_interpolation(size: tuple[int, int]) -> None:
    x = maps(5, *size, batch=2)
    torch.testing.assert_close(*both(lambda: double(x)), **CLOSE)
    torch.testing.assert_close(*both(lambda: double(x.contiguous())), **CLOSE)


def test_halving_is_the_average_of_four() -> None:
    x = maps(3, 6, 10, batch=2)
    torch.testing.assert_close(*both(lambda: halve(x)), **CLOSE)


@pytest.mark.parametrize(("size", "channels"), [((2, 2), 1), ((64, 96), 3)])
def test_a_reduced_picture_is_the_mean_of_4_x_4(size: tuple[int, int], channels: int) -> None:
    for x in (maps(channels, *size, batch=2), maps(channels, *size).contiguous()):
        torch.testing.assert_close(*both(lambda x=x: reduced(x)), **CLOSE)


@pytest.mark.parametrize("width", [16, 18])
def test_luminance_is_the_same_in_columns_side_by_side(width: int) -> None:
    for x in (pictures(2, 3, 8, width), maps(3, 8, width)):
        torch.testing.assert_close(*both(lambda x=x: luminance(x)), **CLOSE)


def test_the_trunk_sees_pixels_in_the_same_order() -> None:
    trunk = small_generator().encoder.trunk
    x = standardise(pictures(1, 3, 32, 64))
    for layout in (x, x.contiguous(memory_format=torch.channels_last)):
        for number in range(4):
            found = both(lambda x=layout, number=number: trunk(x)[number])
            torch.testing.assert_close(*found, **CLOSE)


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_block_with_its_style_folded_into_the_weights(normalise: bool, batch: int) -> None:
    torch.manual_seed(0)
    block = ModulatedBlock(6, 8, normalise)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x, style = maps(6, 8, 12, batch), torch.randn(batch, 8)
    torch.testing.assert_close(*both(lambda: block(x, style, InstanceStatistics())), **CLOSE)
    with torch.inference_mode():
        own = block.modulate1.folded(block.conv1, style)
        assert (own is None) == (normalise or batch > 1)
    assert block.modulate1.folded(block.conv1, style) is None  # with gradients


def test_a_picture_alone_lies_in_memory_as_one_of_a_batch() -> None:
    alone = torch.rand(8, 12, 3).permute(2, 0, 1)[None]
    assert alone.stride(0) == 3
    settled = fast.channels_last(alone)
    assert settled.stride() == (8 * 12 * 3, 1, 12 * 3, 3)
    assert settled.data_ptr() == alone.data_ptr()
    assert torch.equal(settled, alone)
    other = torch.rand(2, 3, 8, 12)
    assert torch.equal(fast.channels_last(other), other)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(8, 16), (6, 20), (8, 18), (7, 16)])
def test_a_convolution_to_few_channels_is_the_same_of_several_places_at_once(
    size: tuple[int, int], channels: int
) -> None:
    torch.manual_seed(0)
    layer = conv3x3(7, channels)
    torch.nn.init.normal_(layer.bias)
    torch.testing.assert_close(*both(lambda: layer(maps(7, *size, batch=2))), **CLOSE)


@pytest.mark.parametrize("size", [(8, 12), (4, 6), (6, 9), (16, 24)])
def test_what_each_place_gets_is_the_mean_of_finer_places(size: tuple[int, int]) -> None:
    amount, x = torch.rand(2, 1, 16, 24), maps(3, *size)
    torch.testing.assert_close(*both(lambda: placed(amount, x)), **CLOSE)


def test_lightness_is_painted_in_the_same_colours() -> None:
    x = maps(1, 8, 12, batch=2)
    colors = ColorTransfer.measure(standardise(pictures(2, 3, 64, 64)))
    three = torch.cat((x, torch.zeros(2, 2, 8, 12)), dim=1)
    torch.testing.assert_close(ColorSpread()(x, colors), ColorSpread()(three, colors), **CLOSE)


@pytest.mark.parametrize(("size", "channels"), [((8, 16), 3), ((1, 2), 4)])
def test_a_convolution_of_what_is_written_into_its_frame(
    size: tuple[int, int], channels: int
) -> None:
    torch.manual_seed(0)
    layer, x = conv3x3(7, channels), maps(7, *size, batch=2)
    if min(size) < 2:  # nothing to reflect, in either way
        with torch.inference_mode(), pytest.raises(RuntimeError, match=r"[Pp]adding size"):
            layer.of(lambda out: activate(x.clone(), out), x.shape, x)
        return
    torch.testing.assert_close(
        *both(lambda: layer.of(lambda out: activate(x.clone(), out), x.shape, x)), **CLOSE
    )
    large = (*x.shape[:2], 2 * size[0], 2 * size[1])
    torch.testing.assert_close(
        *both(lambda: layer.of(lambda out: activate(double(x, out)), large, x)), **CLOSE
    )


@pytest.mark.parametrize("width", [16, 18])
def test_colours_are_mapped_the_same_in_columns_side_by_side(width: int) -> None:
    x = standardise(pictures(1, 3, 8, width))
    colors = ColorTransfer.measure(standardise(pictures(1, 3, 64, 64, seed=2)))
    for picture in (x, x.contiguous(memory_format=torch.channels_last)):
        measured = InstanceStatistics().of("colors", opponent_sums(picture))
        found = both(lambda x=picture, m=measured: ColorTransfer()(x, m, colors))
        torch.testing.assert_close(*found, **CLOSE)


@pytest.mark.parametrize("batch", [1, 2])
def test_moments_are_precise_even_far_from_0(batch: int) -> None:
    x = maps(6, 300, 200, batch)
    x = x * torch.tensor([1, 1e-2, 1, 30, 1, 1])[:, None, None] + 100 * torch.arange(6)[
        :, None, None
    ].sub(2)
    exact = torch.var_mean(x.double(), (2, 3), correction=0, keepdim=True)
    with torch.inference_mode():
        mean, variance = moments(x)
    torch.testing.assert_close(mean.double(), exact[1], atol=1e-5, rtol=1e-6)
    torch.testing.assert_close(variance.double(), exact[0], atol=1e-9, rtol=1e-3)


def test_attention_needs_no_weights_in_memory() -> None:
    torch.manual_seed(0)
    layer, tokens = TokenAttention(12, 16, heads=4), torch.randn(2, 9, 16)
    x = maps(12, 6, 4, batch=2)
    torch.testing.assert_close(*both(lambda: layer(x, tokens, InstanceStatistics())), **CLOSE)


@pytest.mark.parametrize("height", [24, 1030])
def test_bands_join_without_seams(height: int) -> None:
    weight = maps(2, 5, 5, batch=3)

    def look(coarse: Tensor, fine: Tensor) -> Tensor:
        """Two rows of the coarse map up and down, padded by what is no part of the picture."""
        seen.append(fine.shape[2])
        both = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3) + fine
        return F.conv2d(F.pad(both, (2, 2, 2, 2), value=7.0), weight)

    seen: list[int] = []
    coarse, fine = maps(2, height // 2, 8), maps(2, height // 2 * 2, 16)
    whole = look(coarse, fine)
    seen.clear()
    with torch.inference_mode():
        banded = fast.by_bands(look, (coarse, fine), margin=1)
    torch.testing.assert_close(banded, whole, **CLOSE)
    assert max(seen) <= 516
    assert banded.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("size", "strength"),
    [((96, 160), 0.4), ((544, 96), 1.0)],
)
def test_pictures_are_those_that_are_painted_with_gradients(
    size: tuple[int, int], strength: float
) -> None:
    generator = small_generator()
    content = pictures(1, 3, *size)
    condition = generator.encode(pictures(1, 3, 96, 80, seed=2))
    amount = torch.tensor([strength])

    def paint(content: Tensor) -> tuple[Tensor, Tensor]:
        taken = InstanceStatistics()
        with torch.enable_grad():
            plain = generator(content, condition, amount, taken).detach()
        with torch.inference_mode():
            statistics = InstanceStatistics()
            painted = generator(content, condition, amount, statistics)
        assert statistics.taken.keys() == taken.taken.keys()
        return painted, plain

    torch.testing.assert_close(*paint(content), **CLOSE)
    torch.testing.assert_close(
        *paint(content.contiguous(memory_format=torch.channels_last)), **CLOSE
    )


def test_a_batch_is_painted_as_with_gradients() -> None:
    generator, content = small_generator(), pictures(3, 3, 288, 96)
    condition = generator.encode(pictures(3, 3, 64, 64, seed=4))
    strength = torch.tensor([1.0, 0.3, 0.8])
    torch.testing.assert_close(*both(lambda: generator(content, condition, strength)), **CLOSE)


def test_the_encoder_finds_what_it_finds_with_gradients() -> None:
    generator, style = small_generator(), pictures(1, 3, 96, 80)
    with torch.enable_grad():
        plain = generator.encode(style)
    with torch.inference_mode():
        found = generator.encode(style)
    for a, b in zip(Condition(*found), plain, strict=True):
        torch.testing.assert_close(a, b.detach(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("given_out", [False, True])
def test_scale_and_shift_round_only_the_result(given_out: bool) -> None:
    x = maps(5, 6, 4).bfloat16()
    scale, shift = 1 + maps(5, 1, 1), 100 * maps(5, 1, 1)
    wide = torch.zeros(1, 5, 8, 6, dtype=torch.bfloat16)
    out = wide[:, :, 1:-1, 1:-1] if given_out else None
    with torch.inference_mode():
        result = scale_and_shift(x, scale, shift, out)
    assert torch.equal(result, (x.float() * scale + shift).bfloat16())
    assert wide.count_nonzero() == (result.numel() if given_out else 0)


@pytest.mark.parametrize(("size", "batch"), [((96, 160), 2), ((544, 96), 1)])
def test_bfloat16_pictures_are_nearly_those_of_float32(size: tuple[int, int], batch: int) -> None:
    generator = small_generator()
    content = pictures(batch, 3, *size)
    condition = generator.encode(pictures(batch, 3, 96, 80, seed=2))
    amount = torch.full((batch,), 0.9)
    plain = generator(content, condition, amount).detach()
    for name, child in generator.named_children():
        child.to(torch.float32 if name == "encoder" else torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        slow = generator(content, condition, amount).detach()
        with torch.inference_mode():
            quick = generator(content, condition, amount)
    assert quick.dtype == torch.float32
    error = (quick - plain).abs().mean()
    assert error < 0.01
    assert error < 1.5 * (slow - plain).abs().mean()  # no less precise than it has to be


def test_only_floats_on_a_cpu_without_gradients_and_export_are_replaced() -> None:
    x = torch.zeros(1)
    assert not fast.possible(x)
    with torch.inference_mode():
        assert fast.possible(x)
        assert fast.possible(x.bfloat16())
        assert not fast.possible(x.half())
        assert not fast.possible(x.to("meta"))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert fast.possible(x)
