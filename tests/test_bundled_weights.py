"""The default weights stylise: not only load."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from hfstyle import StyleCode, StyleTransferPipeline
from hfstyle.examples import example_photo
from hfstyle.models.hub import default_model_path
from hfstyle.styles.space import SPACE_FILE

pytestmark = pytest.mark.skipif(
    not (default_model_path() / "model.safetensors").is_file(), reason="no bundled weights"
)


@pytest.fixture(scope="module")
def pipe() -> StyleTransferPipeline:
    return StyleTransferPipeline.from_pretrained()


def _strokes(palette: list[tuple[int, int, int]], seed: int) -> Image.Image:
    """A painted-looking picture of our own: thousands of short curved strokes in a few colours."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:384, 0:384]
    angle = np.sin(rows / 60) + np.cos(columns / 45)
    picture = np.zeros((384, 384, 3), np.float32) + np.array(palette[0], np.float32)
    for _ in range(2500):
        y, x = rng.integers(0, 384, 2)
        a = angle[y, x] + rng.normal(0, 0.2)
        colour = np.array(palette[rng.integers(len(palette))], np.float32) + rng.normal(0, 12, 3)
        for t in np.linspace(-12, 12, 25):
            yy, xx = int(y + t * np.sin(a)), int(x + t * np.cos(a))
            picture[max(0, yy - 2) : max(0, yy + 3), max(0, xx - 2) : max(0, xx + 3)] = colour
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


STYLES = {
    "blue and yellow": _strokes(
        [(20, 40, 120), (60, 110, 190), (240, 210, 80), (230, 230, 210)], 1
    ),
    "red and black": _strokes([(25, 15, 15), (190, 30, 25), (235, 120, 40), (90, 20, 30)], 2),
    "green and cream": _strokes([(240, 230, 200), (60, 120, 70), (150, 180, 110), (30, 60, 50)], 3),
}


def _tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 255


def _statistics(image: Tensor) -> list[Tensor]:
    """Means and deviations of fixed random filters at three scales: colours, edges and textures, no training."""
    rng = torch.Generator().manual_seed(0)
    statistics = []
    for _ in range(3):
        filters = torch.randn(48, 3, 5, 5, generator=rng) / 75**0.5
        response = F.relu(F.conv2d(image, filters))
        statistics += [response.mean((0, 2, 3)), response.std((0, 2, 3))]
        image = F.avg_pool2d(image, 2)
    return statistics


def _style_distance(a: Tensor, b: Tensor) -> float:
    """Squared distance of the statistics, relative to the energy of those of `b`."""
    pairs = list(zip(_statistics(a), _statistics(b), strict=True))
    return float(sum((x - y).square().sum() / y.square().sum() for x, y in pairs) / len(pairs))


@pytest.mark.parametrize(
    ("photo", "style"), zip(["astronaut", "chelsea", "chelsea"], STYLES, strict=True)
)
def test_the_distance_to_the_style_falls_by_more_than_half(
    pipe: StyleTransferPipeline, photo: str, style: str
) -> None:
    content = example_photo(photo).convert("RGB").resize((384, 384))
    painted = pipe(content, STYLES[style]).images[0]
    before = _style_distance(_tensor(content), _tensor(STYLES[style]))
    after = _style_distance(_tensor(painted), _tensor(STYLES[style]))
    assert after < 0.5 * before, f"{before:.3f} -> {after:.3f}"


def test_the_photo_stays_recognisable(pipe: StyleTransferPipeline) -> None:
    content = example_photo("astronaut").convert("RGB").resize((384, 384))
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    for style in STYLES.values():
        painted = pipe(content, style).images[0]
        a, b = (
            F.avg_pool2d((_tensor(image) * weights).sum(1, keepdim=True), 4).flatten()
            for image in (content, painted)
        )
        correlation = float(torch.corrcoef(torch.stack((a, b)))[0, 1])
        assert correlation > 0.6, correlation


def test_strength_moves_away_from_the_photo_step_by_step(pipe: StyleTransferPipeline) -> None:
    content = example_photo("coffee").convert("RGB").resize((384, 256))
    code = pipe.encode_style(STYLES["red and black"])
    images = [_tensor(pipe(content, code, strength=s).images[0]) for s in (0, 0.25, 0.5, 0.75, 1)]
    distances = [float((image - images[0]).abs().mean()) for image in images]
    assert torch.equal(images[0], _tensor(content))
    assert distances == sorted(set(distances))


def test_different_styles_give_different_pictures(pipe: StyleTransferPipeline) -> None:
    content = example_photo("chelsea").convert("RGB").resize((384, 256))
    images = [_tensor(pipe(content, style).images[0]) for style in STYLES.values()]
    for i, a in enumerate(images):
        for b in images[:i]:
            assert float((a - b).abs().mean()) > 0.05


def test_bundled_styles_belong_to_the_bundled_encoder_and_say_what_they_are(
    pipe: StyleTransferPipeline,
) -> None:
    assert len(pipe.presets) >= 4
    fingerprint = pipe.generator.encoder_fingerprint()
    for name, code in pipe.presets.items():
        assert code.encoder == fingerprint, name
        assert all(code.metadata.get(key) for key in ("title", "artist", "year")), name


def test_the_model_is_small() -> None:
    assert (default_model_path() / "model.safetensors").stat().st_size < 12_000_000


# --- the space of styles; after new weights: python training/publish/style_space.py --model hfstyle/pretrained/base ...


def test_the_style_space_belongs_to_the_weights_and_is_small(pipe: StyleTransferPipeline) -> None:
    assert len(pipe.style_space) > 1000
    assert (default_model_path() / SPACE_FILE).stat().st_size < 1_000_000


def test_random_styles_differ_and_none_is_degenerate(pipe: StyleTransferPipeline) -> None:
    """Of 24 draws, each keeps the photo's shapes and some contrast; they are as various as presets, nearly."""
    photo = example_photo("astronaut").resize((96, 96))
    grey = torch.from_numpy(np.asarray(photo).astype(np.float32)).mean(2).flatten() / 255

    def paint(codes: list[StyleCode]) -> Tensor:
        return torch.stack([pipe(photo, code, output_type="pt").images[0] for code in codes])

    drawn = paint([pipe.sample_style(seed) for seed in range(24)])
    for image in drawn.mean(1).flatten(1):
        assert image.std() > 0.03
        assert torch.corrcoef(torch.stack((image, grey)))[0, 1] > 0.3
    presets = paint(list(pipe.presets.values())[:24])
    distances = [torch.pdist(images.flatten(1)).mean() for images in (drawn, presets)]
    assert distances[0] > 0.5 * distances[1]


@pytest.mark.parametrize(
    ("text", "movement"),
    [
        ("divisionism, pointillism", "Divisionism"),
        ("misty chinese mountains in ink", "chinese ink"),
        ("ancient roman mosaic", "mosaic"),
        ("suprematism by malevich", "Suprematism"),
    ],
)
def test_words_find_their_movement(pipe: StyleTransferPipeline, text: str, movement: str) -> None:
    matches = pipe.find_styles(text, k=5, encoder="letters")
    found = [match.code.metadata.get("movement", "").lower() for match in matches]
    assert sum(movement.lower() in name for name in found) >= 3


def test_color_zero_has_the_palette_of_the_photo(pipe: StyleTransferPipeline) -> None:
    photo = example_photo("coffee").resize((192, 128))
    for name in list(pipe.presets)[::12]:
        kept = np.asarray(pipe(photo, pipe.preset(name), color=0).images[0]).reshape(-1, 3) / 255
        wanted = np.asarray(photo).reshape(-1, 3) / 255
        assert np.abs(kept.mean(0) - wanted.mean(0)).max() < 0.01
        assert np.abs(np.cov(kept.T) - np.cov(wanted.T)).max() < 0.006
