"""Large pictures are painted in tiles, and nobody can tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_model import small_generator
from torch import Tensor

from hfstyle import ImageError, StyleTransferPipeline, load_image
from hfstyle.cli import main
from hfstyle.images import pixels as pixels_module
from hfstyle.images import resize
from hfstyle.painting.detail import restore_detail
from hfstyle.painting.tiles import tile_side

TILE = 160


class SpyingPipeline(StyleTransferPipeline):
    """A small network of random weights, and the sizes at which its finest level ran."""

    def __init__(self, dtype: torch.dtype = torch.float32, **changes: object) -> None:
        generator = small_generator(**changes)
        super().__init__(generator)
        self.to(dtype=dtype)
        self.shapes: list[tuple[int, ...]] = []
        run = generator.paint_level

        def paint_level(seen: Tensor, *arguments: object, **options: object) -> Tensor:
            if not options["coarse"]:
                self.shapes.append(tuple(seen.shape))
            return run(seen, *arguments, **options)  # type: ignore[arg-type]

        generator.paint_level = paint_level  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def pipe() -> SpyingPipeline:
    """Shared, and changed by no test."""
    return SpyingPipeline()


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8 that looks different everywhere: a bright grainy top, a dark smooth bottom, boxes."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (9 + 4 * c) + seed) + np.cos(y / (13 - c)) for c in range(3)]
    picture = np.stack(waves, -1) * 30 + (200 - 140 * y / height)[..., None]
    picture += random.normal(0, 1, (height, width, 3)) * (25 * (1 - y / height))[..., None]
    for _ in range(12):
        top, left = random.integers(0, height), random.integers(0, width)
        picture[top : top + height // 7, left : left + width // 7] = random.integers(0, 256, 3)
    return picture.clip(0, 255).astype(np.uint8)


STYLE = Image.fromarray(photo(96, 80, 1))


def near_borders(height: int, width: int, tile: int) -> np.ndarray:
    """(H, W) bool: within 2 px of where one tile ends and another begins."""
    near = np.zeros((height, width), bool)
    for axis, length in enumerate((height, width)):
        count = -(-length // tile)
        step = -(-length // (32 * count)) * 32
        for border in range(step, length, step):
            near.swapaxes(0, axis)[border - 2 : border + 2] = True
    return near


def both(
    pipe: StyleTransferPipeline, picture: np.ndarray, tile: int, strength: float = 1.0
) -> tuple[Tensor, Tensor]:
    """(3, H, W) each: in one pass and in tiles."""
    whole = pipe(picture, STYLE, strength, tile_size=None, output_type="pt").images[0]
    tiled = pipe(picture, STYLE, strength, tile_size=tile, output_type="pt").images[0]
    return whole, tiled


@pytest.mark.parametrize(
    ("size", "strength"), [((320, 480), 0.4), ((401, 333), 1.0), ((90, 700), 1.0)]
)
def test_tiles_give_the_picture_of_one_pass_without_seams(
    pipe: SpyingPipeline, size: tuple[int, int], strength: float
) -> None:
    whole, tiled = both(pipe, photo(*size), TILE, strength)
    difference = (tiled - whole).abs().mean(0).numpy() * 255  # (H, W)
    seams = near_borders(*size, TILE)
    assert 0 < seams.mean() < 1
    told = f"mean {difference.mean():.3f}, max {difference.max():.2f} of 255"
    assert difference.mean() <= 0.5, told
    assert difference.max() <= 6, told
    assert difference[seams].max() <= difference[~seams].max() + 0.5, told
    assert difference[seams].mean() <= 1.25 * difference[~seams].mean() + 0.02, told


def test_without_common_statistics_the_tiles_would_differ(pipe: SpyingPipeline) -> None:
    """What the test above can see: the same tiles, each on its own."""
    picture = photo(320, 480)
    whole = pipe(picture, STYLE, tile_size=None, output_type="pt").images[0]
    alone = pipe(picture[:160, :160], STYLE, output_type="pt").images[0]
    assert (alone - whole[:, :160, :160]).abs().mean() * 255 > 3


def test_the_size_of_the_tiles_changes_little(pipe: SpyingPipeline) -> None:
    picture = photo(330, 350)
    results = [
        pipe(picture, STYLE, tile_size=tile, output_type="pt").images[0] for tile in (64, 100, 256)
    ]
    for result in results[1:]:
        assert (result - results[0]).abs().mean() * 255 <= 1


@pytest.mark.parametrize("size", [(400, 17), (161, 160)])
def test_odd_and_narrow_pictures_keep_their_size(
    pipe: SpyingPipeline, size: tuple[int, int]
) -> None:
    whole, tiled = both(pipe, photo(*size), TILE)
    assert tiled.shape == (3, *size)
    assert (tiled - whole).abs().mean() * 255 <= 1


def test_a_picture_of_strength_0_is_unchanged_and_not_run() -> None:
    pipe = SpyingPipeline()
    picture = photo(200, 330)
    result = pipe(picture, STYLE, 0, tile_size=TILE).images[0]
    assert np.array_equal(np.asarray(result), picture)
    assert not pipe.shapes


def test_the_network_sees_no_more_than_a_tile_with_its_margin() -> None:
    pipe = SpyingPipeline()
    pipe(photo(600, 700), STYLE, tile_size=128)
    tiles = [shape for shape in pipe.shapes if shape[0] == 1]
    assert max(max(shape[2:]) for shape in tiles) <= 128 + 2 * 64
    pieces = [shape for shape in pipe.shapes if shape[0] > 1]
    assert all(count * h * w <= 16 * 192 * 192 for count, _, h, w in pieces)


@pytest.mark.parametrize("tile", ["auto", 160])
def test_a_picture_no_larger_than_a_tile_takes_one_pass(tile: int | None) -> None:
    pipe = SpyingPipeline()
    pipe(photo(160, 96), STYLE, tile_size=tile, processing_resolution="full")
    assert pipe.shapes == [(1, 3, 160, 96)]


def test_auto_tiles_above_2048_x_2048() -> None:
    assert tile_side("auto", 2048, 2048) is None
    assert tile_side("auto", 1024, 4096) is None
    assert tile_side("auto", 2049, 2048) == 1024
    assert tile_side(None, 10_000, 10_000) is None


def test_output_types_agree(pipe: SpyingPipeline) -> None:
    picture = np.concatenate([photo(200, 240), np.full((200, 240, 1), 77, np.uint8)], -1)
    options = {"tile_size": TILE, "keep_alpha": True}
    pil = pipe(picture, STYLE, **options).images[0]
    array = pipe(picture, STYLE, output_type="np", **options).images[0]
    tensor = pipe(picture, STYLE, output_type="pt", **options).images[0]
    assert (pil.mode, pil.size) == ("RGBA", (240, 200))
    assert (array.dtype, array.flags["C_CONTIGUOUS"]) == (np.float32, True)
    assert np.array_equal(array, tensor.permute(1, 2, 0).numpy())
    assert np.array_equal(np.asarray(pil), np.round(array * 255).astype(np.uint8))
    flat = pipe(picture, STYLE, tile_size=TILE).images[0]
    assert flat.mode == "RGB"


def test_tiles_and_processing_resolution_work_together() -> None:
    pipe = SpyingPipeline()
    picture = photo(420, 500)
    whole = pipe(picture, STYLE, processing_resolution=300, tile_size=None, output_type="pt")
    pipe.shapes.clear()
    tiled = pipe(picture, STYLE, processing_resolution=300, tile_size=TILE, output_type="pt")
    assert len(pipe.shapes) > 8
    assert (whole.images - tiled.images).abs().mean() * 255 <= 0.5


def test_bfloat16_works_in_tiles() -> None:
    whole, tiled = both(SpyingPipeline(torch.bfloat16), photo(200, 330), TILE)
    assert (tiled - whole).abs().mean() * 255 <= 2


def test_progress_counts_tiles_and_pictures(pipe: SpyingPipeline) -> None:
    calls: list[tuple[int, int]] = []
    pictures = [photo(100, 120), photo(200, 330), photo(100, 400)]
    pipe(
        pictures,
        STYLE,
        tile_size=TILE,
        processing_resolution="full",
        progress_callback=lambda *call: calls.append(call),
    )
    assert calls[0] == (1, 3)
    done, total = zip(*calls, strict=True)
    assert list(done) == sorted(set(done))  # it never goes back
    assert all(d < t for d, t in calls[:-1])
    # Three passes to measure at most and one to paint, of 2 x 3 tiles, 1 x 2 at half the resolution, and so on.
    assert done[-1] == total[-1] == 3 + 4 * (2 * 3 + 2) + 4 * (3 + 2)
    assert len(calls) >= 3 + 2 * (2 * 3 + 2) + 2 * (3 + 2)


def test_an_exception_in_the_callback_stops_the_painting(pipe: SpyingPipeline) -> None:
    def cancel(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipe(photo(200, 330), STYLE, tile_size=64, progress_callback=cancel)


@pytest.mark.parametrize("tile", [63, "large"])
def test_a_tile_size_that_is_none_is_refused(pipe: SpyingPipeline, tile: object) -> None:
    with pytest.raises(ValueError, match="tile_size is"):
        pipe(photo(40, 40), STYLE, tile_size=tile)  # type: ignore[arg-type]


def test_a_picture_that_is_too_small_is_still_an_error(pipe: SpyingPipeline) -> None:
    with pytest.raises(ImageError, match="at least 16 px"):
        pipe(photo(15, 400), STYLE, tile_size=TILE)


@pytest.mark.parametrize("tile", ["auto", 2048])
def test_out_of_gpu_memory_auto_tries_smaller_tiles(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tile: int | str | None
) -> None:
    pipe = SpyingPipeline()
    run = pipe.generator.paint_level

    def paint_level(seen: Tensor, *arguments: object, **options: object) -> Tensor:
        if seen[:, 0].numel() > 490 * 490 and seen.shape[0] == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(seen, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(pipe.generator, "paint_level", paint_level)
    picture = photo(512, 700)
    if tile == "auto":
        result = pipe(picture, STYLE, tile_size="auto").images[0]
        assert result.size == (700, 512)
        assert "tiles of 350 px" in caplog.text
    else:
        with pytest.raises(torch.OutOfMemoryError):
            pipe(picture, STYLE, tile_size=tile)  # type: ignore[arg-type]


def test_the_command_line_paints_in_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    SpyingPipeline().save_pretrained("model")
    Image.fromarray(photo(200, 330)).save("photo.png")
    STYLE.save("style.png")
    command = ["stylize", "photo.png", "-s", "style.png", "--model", "model", "-q"]
    assert main([*command, "--tile-size", "off", "-o", "whole.png"]) == 0
    assert main([*command, "--tile-size", "96", "-o", "tiled.png"]) == 0
    whole, tiled = (np.asarray(Image.open(f"{name}.png"), float) for name in ("whole", "tiled"))
    assert whole.shape == tiled.shape == (200, 330, 3)
    assert np.abs(whole - tiled).mean() <= 1
    assert main([*command, "--tile-size", "10", "-o", "small.png"]) == 2
    assert "'10' is not a whole number from 64 up, 'off' or 'auto'" in capsys.readouterr().err


@pytest.mark.parametrize("size", [(301, 420), (150, 97)])
def test_detail_is_restored_in_strips_as_in_one_piece(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """Large pictures are reduced and brought back by strips of rows; nothing of them shows."""
    levels = torch.from_numpy(photo(*size)).permute(2, 0, 1)[None]
    content = levels / 255
    reduced, by_strips = resize(content, 64), resize(levels, 64)
    assert by_strips.dtype == torch.float32
    assert (by_strips - reduced).abs().max() <= 1e-5
    painted = (1 - reduced).clamp(0.2, 0.9)
    results = []
    for pixels in (10**9, 5000):
        monkeypatch.setattr(pixels_module, "_STRIP_PIXELS", pixels)
        out = torch.cat([*restore_detail(painted, reduced, content, 0.7)], 1)
        assert out.shape == (3, *size)
        coarse = torch.cat([*restore_detail(painted, reduced, levels, 0.7, torch.uint8)], 1)
        assert (coarse / 255 - out).abs().max() <= 0.51 / 255
        results.append(out)
    assert (results[0] - results[1]).abs().max() <= 1e-5
    assert (results[0] - content[0]).abs().mean() > 0.05


@pytest.mark.parametrize("kind", ["RGBA", "P"])
def test_a_compact_picture_is_the_same_picture(kind: str) -> None:
    image = Image.fromarray(photo(40, 50)).convert(kind)
    if kind == "RGBA":
        image.putalpha(Image.fromarray(photo(40, 50, 2)[..., 0]))
    full = load_image(image, keep_alpha=True)
    compact = load_image(image, keep_alpha=True, compact=True)
    assert compact.rgb.dtype == torch.uint8
    assert torch.equal(compact.rgb / 255, full.rgb)
    assert (compact.alpha is None) == (full.alpha is None)
    if full.alpha is not None and compact.alpha is not None:
        assert torch.equal(compact.alpha / 255, full.alpha)
    flat = load_image(image, compact=True).rgb / 255
    assert (flat - load_image(image).rgb).abs().max() <= 0.501 / 255


def test_what_has_more_than_8_bits_keeps_them_in_compact_pictures() -> None:
    deep = np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20)
    for source in (deep, Image.fromarray(deep), (deep / 65535).astype(np.float32)):
        picture = load_image(source, compact=True)
        assert picture.rgb.dtype == torch.float32
        assert picture.rgb[0].unique().numel() == 400
