"""Faces are found and spared, as far as one wishes; and the map that finds them can be taught."""

from __future__ import annotations

import copy
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from hfstyle import StyleTransferPipeline
from hfstyle.examples import example_photo
from hfstyle.images import load_image
from hfstyle.models.faces import FaceMap, looked_at
from hfstyle.models.generator import StyleGenerator
from hfstyle.models.sizes import SIZES
from training import faces as teacher

STYLE = "starry_night_van_gogh"
FACE = (slice(40, 220), slice(150, 290))  # of the astronaut, 512 px


@pytest.fixture(scope="module")
def pipe() -> StyleTransferPipeline:
    return StyleTransferPipeline.from_pretrained()


@pytest.fixture(scope="module")
def portrait() -> Tensor:
    """(3, 512, 512)."""
    return load_image(example_photo("astronaut")).rgb


def painted(pipe: StyleTransferPipeline, photo: Tensor, **options: object) -> Tensor:
    return pipe(photo, STYLE, output_type="pt", **options).images[0]  # type: ignore[arg-type]


def likeness(a: Tensor, b: Tensor) -> float:
    """Correlation of lightness."""
    both = torch.stack((a.mean(0).flatten(), b.mean(0).flatten()))
    return float(torch.corrcoef(both)[0, 1])


def test_a_face_is_found_where_it_is(pipe: StyleTransferPipeline, portrait: Tensor) -> None:
    with torch.inference_mode():
        found = pipe.generator.faces(looked_at(portrait[None]))[0, 0]  # (64, 64)
    inside = found[8:25, 21:34]
    assert inside.mean() > 0.6
    assert found[:, 54:].mean() < 0.3
    assert found.min() >= 0
    assert found.max() <= 1


def test_a_face_is_found_alike_in_256_levels(pipe: StyleTransferPipeline, portrait: Tensor) -> None:
    levels = portrait.mul(255).round().to(torch.uint8)[None]
    with torch.inference_mode():
        exact, quick = (pipe.generator.faces(looked_at(x)) for x in (levels / 255, levels))
    torch.testing.assert_close(quick, exact, atol=0.03, rtol=0)


def test_the_more_faces_are_kept_the_more_they_resemble_the_photo(
    pipe: StyleTransferPipeline, portrait: Tensor
) -> None:
    original = portrait[:, *FACE]
    results = [painted(pipe, portrait, faces=share) for share in (0.0, 0.5, 1.0)]
    alike = [likeness(result[:, *FACE], original) for result in results]
    assert alike[0] + 0.02 < alike[1] < alike[2]
    elsewhere = (results[2] - results[0])[:, 350:, 400:].abs().mean()
    assert elsewhere < 0.3 * (results[2] - results[0])[:, *FACE].abs().mean()


def test_strokes_leave_a_face_first_when_strength_falls(
    pipe: StyleTransferPipeline, portrait: Tensor
) -> None:
    """From strength 1 to 3/4, a face comes nearer to the photo than the finest detail alone would bring it."""
    original, style = portrait[:, *FACE], pipe.preset("mondrian_composition")
    full, less = (
        pipe(portrait, style, strength=strength, output_type="pt").images[0]  # type: ignore[union-attr]
        for strength in (1.0, 0.75)
    )
    assert likeness(less[:, *FACE], original) > likeness(full[:, *FACE], original) + 0.027


def test_a_face_that_is_kept_has_the_palette_of_the_style(
    pipe: StyleTransferPipeline, portrait: Tensor
) -> None:
    face = painted(pipe, portrait, faces=1.0)[:, *FACE]
    photo = portrait[:, *FACE]
    assert (face[2] - face[0]).mean() > (photo[2] - photo[0]).mean() + 0.1  # bluer than skin


def test_tiles_spare_what_one_pass_spares(pipe: StyleTransferPipeline, portrait: Tensor) -> None:
    whole, tiles = (painted(pipe, portrait, tile_size=size) for size in (None, 256))
    assert (whole - tiles).abs().mean() < 1.0 / 255


def test_the_painter_tells_what_it_spares(pipe: StyleTransferPipeline, portrait: Tensor) -> None:
    """As films need it: small, and as the network takes it, padded, with the same faces in the same places."""
    content = portrait[None, :, :290, :300]
    small, padded = pipe.painter.spared(content, 0.5), pipe.painter.spared_padded(content, 0.5)
    assert small is not None
    assert padded is not None
    assert 0.4 < small.max() <= 0.5
    assert padded.shape == (1, 1, 320, 320)
    assert torch.equal(padded[:, :, 290:], padded[:, :, 259:289].flip(2))  # mirrored
    assert padded[0, 0, 60:200, 170:270].mean() > 0.3 > 0.05 > padded[0, 0, :290, :60].mean()
    assert pipe.painter.spared(content, 0.0) is None
    assert pipe.painter.spared_padded(torch.full((1, 3, 90, 90), 0.5), 1.0) is None


def test_at_strength_0_a_face_is_the_photo(pipe: StyleTransferPipeline, portrait: Tensor) -> None:
    assert torch.equal(painted(pipe, portrait, strength=0.0, faces=1.0), portrait)


@pytest.mark.parametrize("share", [1.5, "all"])
def test_a_share_of_faces_out_of_range_is_refused(
    pipe: StyleTransferPipeline, portrait: Tensor, share: object
) -> None:
    with pytest.raises(ValueError, match="faces"):
        painted(pipe, portrait, faces=share)


def test_a_network_that_has_not_learned_it_spares_nothing() -> None:
    found = FaceMap((4, 4, 8, 8))(torch.rand(2, 3, 64, 96))
    assert found.shape == (2, 1, 16, 24)
    assert found.max() < 1e-3


def _bright_spots(folder: Path) -> str:
    """Pictures in which a 'face' is a light disc: half have one, and say where."""
    rng, rows = np.random.default_rng(0), []
    y, x = np.mgrid[:96, :96]
    for number in range(16):
        pixels = rng.integers(0, 60, (96, 96, 3)).astype(np.uint8)
        boxes = []
        if number % 2:
            cx, cy, r = *rng.uniform(30, 66, 2), rng.uniform(14, 24)
            pixels[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = 230
            boxes = [[(cx - r) / 96, (cy - r) / 96, (cx + r) / 96, (cy + r) / 96]]
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        rows.append({"image": {"bytes": stream.getvalue(), "path": None}, "faces": boxes})
    kind = pa.schema(
        [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
         ("faces", pa.list_(pa.list_(pa.float64())))]
    )  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, kind), folder / "spots.parquet")
    return str(folder / "spots.parquet")


def test_the_map_learns_what_boxes_say_and_nothing_else_changes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pipe = StyleTransferPipeline(StyleGenerator(**SIZES["tiny"]).half().float())
    pipe.presets = {"a": pipe.encode_style(torch.rand(3, 64, 64))}
    pipe.save_pretrained(tmp_path / "before")
    options = {"model": tmp_path / "before", "data_dir": _bright_spots(tmp_path)}
    options |= {"output_dir": tmp_path / "after", "resolution": 64, "train_batch_size": 8}
    options |= {"max_train_steps": 120}
    teacher.main([str(word) for name, value in options.items() for word in (f"--{name}", value)])
    after = StyleGenerator.from_pretrained(tmp_path / "after").float().eval()
    picture = torch.full((1, 3, 96, 96), 0.12)
    picture[..., 30:66, 30:66] = 0.9
    with torch.inference_mode():
        found = after.faces(picture)[0, 0]  # (24, 24)
    assert found[9:15, 9:15].mean() > found[:4].mean() + 0.3
    old, new = (load_file(tmp_path / name / "model.safetensors") for name in ("before", "after"))
    changed = {name for name in new if not torch.equal(old[name].half(), new[name])}
    assert changed
    assert all(name.startswith("faces.") for name in changed)
    presets = StyleTransferPipeline.from_pretrained(tmp_path / "after").presets
    assert torch.equal(presets["a"].vector, pipe.presets["a"].vector)


def test_a_map_goes_on_from_what_it_knows() -> None:
    """Norms, before anything is learned, change nothing; folding them back neither."""
    torch.manual_seed(0)
    before = FaceMap((4, 4, 8, 8))
    torch.nn.init.normal_(before.out.weight)
    pictures = torch.rand(16, 3, 64, 64)
    normed = teacher.with_norms(copy.deepcopy(before))
    teacher.keep_function(normed, pictures)
    after = teacher.fold_norms(normed.eval())
    with torch.inference_mode():
        assert torch.allclose(before.logits(pictures), after.logits(pictures), atol=0.02)


def test_pictures_on_which_the_map_is_wrong_are_drawn_more_often() -> None:
    box = (0.2, 0.2, 0.8, 0.8)
    photos = [
        teacher.Photo(np.zeros((8, 8, 3), np.uint8), [box] if n < 10 else []) for n in range(20)
    ]
    rng, goal = np.random.default_rng(0), teacher.soft_ellipses([box], 16, 16)[None]
    for mining, often in ((0.0, 1.0), (0.5, 3.0)):
        draws = teacher.Draws(photos, mining)
        for _ in range(20):  # a face is missed on 0, and on 10 something is taken for one
            for number in range(20):
                there, said = goal * (number < 10), goal * (1 <= number <= 10)
                logits = (said * 0.9998 + 1e-4).logit()
                draws.seen([number], teacher.wrong(logits, there))
        drawn = np.bincount([draws.one(rng) for _ in range(4000)], minlength=20)
        assert 0.25 < drawn[10:].sum() / 4000 < 0.35
        for wrong, others in ((0, range(1, 10)), (10, range(11, 20))):
            ratio = drawn[wrong] / drawn[list(others)].mean()
            assert (ratio > often) if mining else 0.7 < ratio < 1.4


def test_photos_held_out_are_by_nobody_who_is_learned_from() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    photos = [teacher.Photo(pixels, author=name) for name in "abcdabcd"]
    learned, held = teacher.split(photos, 4)
    assert [photo.author for photo in held] == ["d", "d"]
    assert [photo.author for photo in learned] == list("abcabc")
    assert teacher.split(photos, 0) == (photos, [])


def test_what_is_measured_of_a_map_is_right() -> None:
    """A map that marks the left half of every photo."""

    class LeftHalf(FaceMap):
        def forward(self, picture: Tensor) -> Tensor:
            found = torch.zeros(1, 1, picture.shape[2] // 4, picture.shape[3] // 4)
            found[..., : found.shape[3] // 2] = 1
            return found

    pixels = np.zeros((128, 128, 3), np.uint8)
    left, right = (0.1, 0.1, 0.45, 0.9), (0.55, 0.1, 0.9, 0.9)
    photos = [teacher.Photo(pixels, [left, right]), teacher.Photo(pixels)]
    quality = teacher.measure(LeftHalf((4, 4, 8, 8)), photos)
    assert quality.recall == 0.5
    assert quality.empty == 0.5
    assert 0.3 < quality.precision < 0.5  # of the marked half of the first photo, the most


def test_photos_without_boxes_are_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (64, 64)).save(stream, "PNG")
    row = {"image": {"bytes": stream.getvalue(), "path": None}}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "none.parquet")
    with pytest.raises(ValueError, match="faces"):
        teacher.read_photos(str(tmp_path / "none.parquet"), None)
