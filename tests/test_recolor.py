"""color: between the style's palette and the photo's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small_model import small_generator
from torch import Tensor

from hfstyle import StyleTransferPipeline
from hfstyle.painting import recolor as recolor_module
from hfstyle.painting.recolor import recolor

PIPE = StyleTransferPipeline(small_generator())


def picture(seed: int, size: tuple[int, int] = (60, 80), low: float = 0.2) -> Tensor:
    """(3, H, W) smooth shapes with correlated colours, inside [0.15, 0.85]."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 8, generator=random)
    mix = torch.rand(3, 3, generator=random)
    smooth = torch.nn.functional.interpolate(coarse, size, mode="bicubic", align_corners=False)[0]
    colours = torch.einsum("dc,chw->dhw", mix / mix.sum(1, keepdim=True), smooth).clamp(0, 1)
    return low + (0.85 - low) * colours


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    flat = x.flatten(1).double()
    return flat.mean(1), torch.cov(flat)


def hard(kind: str, picture: Tensor) -> Tensor:
    """A picture (3, H, W) whose colours lie at the limits of [0, 1], or on a line, or are but two."""
    grey = picture.mean(0, keepdim=True)
    light = (grey > grey.median()).float()
    red, blue = torch.eye(3)[:, :, None, None][[0, 2]]
    return {
        "soft": picture,
        "near black": 0.08 * picture**2,
        "saturated": grey + 5 * (picture - grey),
        "contrast": 0.5 + 5 * (picture - 0.5),
        "grey": grey.expand(3, -1, -1),
        "black and white": light.expand(3, -1, -1),
        "red and blue": light * red + (1 - light) * blue,
        "a white corner": (grey > grey.quantile(0.95)).float().expand(3, -1, -1),
        "black": torch.zeros_like(picture),
    }[kind].clamp(0, 1)


KINDS = ("near black", "saturated", "grey", "red and blue", "a white corner")


def assert_palette_of(photo: Tensor, found: Tensor) -> None:
    """Means within half a value of 255, covariances within a thousandth."""
    (mean, covariance), (wanted_mean, wanted) = moments(found), moments(photo)
    torch.testing.assert_close(mean, wanted_mean, atol=0.5 / 255, rtol=0)
    torch.testing.assert_close(covariance, wanted, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("photo_kind", "painted_kind"),
    [
        *((kind, "soft") for kind in KINDS),
        *(("contrast", kind) for kind in ("saturated", "black")),
    ],
)
def test_at_zero_mean_and_covariance_are_the_photos(photo_kind: str, painted_kind: str) -> None:
    content, painted = hard(photo_kind, picture(0)), hard(painted_kind, picture(10))
    assert_palette_of(content, recolor(painted, content, 0.0))


@pytest.mark.parametrize("photo_kind", ["soft", "black and white"])
def test_pixels_of_eight_bits_stay_so(photo_kind: str) -> None:
    content, painted = hard(photo_kind, picture(0)), (picture(10) * 255).round().to(torch.uint8)
    out = recolor(painted, content, 0.0)
    assert out.dtype == torch.uint8
    assert_palette_of(content, out.float() / 255)


@pytest.mark.parametrize(("photo_kind", "weighted"), [("soft", False), ("black and white", True)])
def test_of_large_pictures_a_sample_is_enough(
    photo_kind: str, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recolor_module, "_SAMPLE", 1 << 11)
    content, painted = hard(photo_kind, picture(2, (120, 160))), picture(12, (120, 160))
    weight = None
    if weighted:
        weight = torch.zeros(1, 120, 160)
        weight[:, 20:, :100] = 1
    out = recolor(painted, content, 0.0, weight)
    rows, columns = (slice(20, None), slice(100)) if weighted else (slice(None), slice(None))
    assert_palette_of(content[:, rows, columns], out[:, rows, columns])


def test_where_nothing_has_weight_nothing_changes() -> None:
    painted = picture(1)
    out = recolor(painted, picture(0), 0.0, torch.zeros(1, 60, 80))
    assert torch.equal(out, painted)


@settings(max_examples=40)
@given(data=st.data())
def test_whatever_the_colours_the_palette_is_the_photos(data: st.DataObject) -> None:
    def drawn(seed: int) -> Tensor:
        mix = data.draw(arrays(np.float32, (3, 3), elements=st.floats(-3, 3, width=32)))
        base = data.draw(arrays(np.float32, (3, 1, 1), elements=st.floats(0, 1, width=32)))
        colors = torch.einsum("dc,chw->dhw", torch.from_numpy(mix), picture(seed) - 0.5)
        return (colors + torch.from_numpy(base)).clamp(0, 1)

    content, painted = drawn(0), drawn(10)
    out = recolor(painted, content, 0.0)
    assert_palette_of(content, out)
    assert 0 <= float(out.min()) <= float(out.max()) <= 1


def test_at_one_the_painting_is_untouched() -> None:
    painted = picture(1)
    assert recolor(painted, picture(0), 1.0) is painted


def test_between_is_a_straight_line() -> None:
    content, painted = picture(0), picture(1)
    whole = recolor(painted, content, 0.0)
    torch.testing.assert_close(
        recolor(painted, content, 0.25), whole + 0.25 * (painted - whole), atol=1e-6, rtol=0
    )


def test_a_picture_that_is_its_photo_stays_so() -> None:
    content = picture(3)
    torch.testing.assert_close(recolor(content, content, 0.0), content, atol=1e-4, rtol=0)


def test_strips_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    content, painted = picture(0), picture(1)
    whole = recolor(painted, content, 0.0)
    monkeypatch.setattr(recolor_module, "_STRIP", 80 * 7)
    torch.testing.assert_close(recolor(painted, content, 0.0), whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("what", "value"), [("painted", 0.5), ("content", 0.5)])
def test_flat_pictures_are_no_trouble(what: str, value: float) -> None:
    flat = torch.full((3, 60, 80), value)
    pair = (flat, picture(0)) if what == "painted" else (picture(0), flat)
    out = recolor(*pair, 0.0)
    assert out.isfinite().all()
    assert float(out.min()) >= 0
    assert float(out.max()) <= 1
    if what == "content":
        torch.testing.assert_close(out, flat, atol=0.02, rtol=0)


def test_a_grey_photo_gives_a_grey_picture() -> None:
    grey = picture(0)[:1].expand(3, -1, -1)
    out = recolor(picture(1), grey, 0.0)
    assert (out.amax(0) - out.amin(0)).max() < 0.02


def test_weights_limit_where_and_of_what() -> None:
    content, painted = picture(0), picture(1)
    weight = torch.zeros(1, 60, 80)
    weight[:, :, :40] = 1
    out = recolor(painted, content, 0.0, weight)
    assert torch.equal(out[:, :, 40:], painted[:, :, 40:])
    for found, wanted in zip(moments(out[:, :, :40]), moments(content[:, :, :40]), strict=True):
        torch.testing.assert_close(found, wanted, atol=2e-3, rtol=0)


@pytest.mark.parametrize("options", [{}, {"tile_size": 64}, {"processing_resolution": 64}])
def test_the_pipeline_takes_a_colour_for_each_picture(options: dict[str, int]) -> None:
    photo, style = picture(5, (96, 112)), picture(6, (64, 64))
    code = PIPE.encode_style(style)
    kept, styled = PIPE([photo, photo], code, color=[0, 1], output_type="pt", **options).images  # type: ignore[arg-type]
    for found, wanted in zip(moments(kept), moments(photo), strict=True):
        torch.testing.assert_close(found, wanted, atol=3e-3, rtol=0)
    torch.testing.assert_close(
        styled,
        PIPE(photo, code, output_type="pt", **options).images[0],  # type: ignore[arg-type]
    )
    as_pil = np.asarray(PIPE(photo, code, color=0, **options).images[0])  # type: ignore[arg-type]
    assert np.abs(as_pil / 255 - kept.permute(1, 2, 0).numpy()).max() < 1.6 / 255


def test_at_strength_zero_the_photo_is_returned_to_the_last_bit() -> None:
    photo = picture(5)
    assert torch.equal(
        PIPE(photo, picture(6, (64, 64)), 0, color=0, output_type="pt").images[0], photo
    )


@pytest.mark.parametrize("value", [float("nan"), "red"])
def test_a_bad_colour_is_named(value: object) -> None:
    with pytest.raises(ValueError, match="color is"):
        PIPE(picture(0), picture(1), color=value)  # type: ignore[arg-type]
