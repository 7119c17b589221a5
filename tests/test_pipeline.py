"""StyleTransferPipeline: pictures in, painted pictures out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from small_model import small_generator
from torch import Tensor

from hfstyle import (
    ImageError,
    Region,
    StyleCode,
    StyleCodeError,
    StyleGenerator,
    StyleTransferOutput,
    StyleTransferPipeline,
    load_image,
)
from hfstyle.models.devices import chosen_dtype


def photo(height: int = 40, width: int = 56, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8: shapes, edges and a little grain."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (7 + c) + seed) + np.cos(y / (9 - c)) for c in range(3)]
    picture = np.stack(waves, -1) * 50 + 120 + random.normal(0, 8, (height, width, 3))
    picture[height // 4 : height // 2, width // 3 : width // 2] = random.integers(0, 256, 3)
    return picture.clip(0, 255).astype(np.uint8)


def painting(seed: int = 1) -> Image.Image:
    return Image.fromarray(photo(96, 80, seed))


_PIPE = StyleTransferPipeline(small_generator())
_CODE = _PIPE.encode_style(painting())


@pytest.fixture(scope="module")
def pipe() -> StyleTransferPipeline:
    """Shared, and changed by no test."""
    return _PIPE


class CountingPipeline(StyleTransferPipeline):
    """Counts how often the style encoder and the generator run, and at which sizes the latter does."""

    def __init__(self) -> None:
        generator = small_generator()
        super().__init__(generator)
        self.encoded = 0
        self.painted: list[tuple[int, int]] = []
        generator.encoder.register_forward_hook(self._count_encoded)
        generator.register_forward_hook(self._count_painted)

    def _count_encoded(self, *_: object) -> None:
        self.encoded += 1

    def _count_painted(self, module: object, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.painted.append((inputs[0].shape[2], inputs[0].shape[3]))


@settings(max_examples=25)
@given(height=st.integers(16, 90), width=st.integers(16, 90), strength=st.sampled_from([0.0, 0.6]))
def test_the_output_has_the_size_of_the_input(height: int, width: int, strength: float) -> None:
    result = _PIPE(photo(height, width), _CODE, strength).images[0]
    assert result.size == (width, height)


@pytest.mark.parametrize(("size", "resolution"), [((16, 300), 64), ((300, 16), None)])
def test_odd_and_narrow_pictures_keep_their_size(
    pipe: StyleTransferPipeline, size: tuple[int, int], resolution: int | None
) -> None:
    result = pipe(photo(*size), painting(), processing_resolution=resolution).images[0]
    assert result.size == size[::-1]


def test_below_16_px_is_an_error_that_names_picture_and_limit(
    pipe: StyleTransferPipeline, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.png"
    for size, strength in (((15, 40), 1.0), ((40, 15), 0.0)):
        Image.fromarray(photo(64, 64)).resize(size).save(path)
        told = rf"tiny\.png is {size[0]} x {size[1]} px.*at least 16 px"
        with pytest.raises(ImageError, match=told):
            pipe(path, painting(), strength)


def test_a_picture_of_a_multiple_of_32_is_not_padded() -> None:
    pipe = CountingPipeline()
    pipe(photo(96, 64), painting(), processing_resolution="full")
    pipe(photo(97, 16), painting(), processing_resolution="full")
    assert pipe.painted == [(96, 64), (128, 64)]


def test_padding_is_invisible_at_the_border(pipe: StyleTransferPipeline) -> None:
    """The part of a picture that two crops share differs little, whether or not one was padded."""
    whole = photo(96, 96)
    even = pipe(whole, _CODE, output_type="np").images[0]
    odd = pipe(whole[:87, :89], _CODE, output_type="np").images[0]
    border = np.abs(odd - even[:87, :89])[-4:].mean()
    middle = np.abs(odd - even[:87, :89])[:-16, :-16].mean()
    assert border < 4 * middle + 0.05


@pytest.mark.parametrize(("dtype", "resolution"), [(torch.float32, 64), (torch.bfloat16, None)])
def test_strength_0_returns_the_picture_to_the_last_bit(
    dtype: torch.dtype, resolution: int | None
) -> None:
    pipe = StyleTransferPipeline(small_generator()).to(dtype=dtype)
    every_level = np.arange(256, dtype=np.uint8).repeat(3 * 5).reshape(80, 16, 3)
    for picture in (photo(41, 57), every_level):
        result = pipe(picture, painting(), 0, processing_resolution=resolution).images[0]
        assert np.array_equal(np.asarray(result), picture)


def test_the_picture_changes_with_strength(pipe: StyleTransferPipeline) -> None:
    content = photo() / np.float32(255)
    distances = [
        np.abs(pipe(content, _CODE, s, output_type="np").images[0] - content).mean()
        for s in (0, 0.01, 0.3, 1)
    ]
    assert distances == sorted(distances)
    assert distances[0] == 0
    assert distances[1] < 0.02
    assert distances[3] > 0.02


def test_each_picture_can_have_its_own_strength(pipe: StyleTransferPipeline) -> None:
    pictures = [photo(seed=s) for s in range(3)]
    together = pipe(pictures, _CODE, [0, 0.5, 1], output_type="pt").images
    for picture, strength, result in zip(pictures, (0, 0.5, 1), together, strict=True):
        assert torch.equal(pipe(picture, _CODE, strength, output_type="pt").images[0], result)


@pytest.mark.parametrize("strength", [float("nan"), [0.5, 2.0]])
def test_strength_outside_0_to_1_is_refused(pipe: StyleTransferPipeline, strength: Any) -> None:
    with pytest.raises(ValueError, match=r"strength is .*\[0, 1\]"):
        pipe([photo(), photo()], _CODE, strength)


def test_the_network_runs_at_the_processing_resolution() -> None:
    pipe = CountingPipeline()
    pipe(photo(128, 256), painting(), processing_resolution=64)
    pipe(photo(64, 80), painting(), processing_resolution=128)
    pipe(photo(64, 96), painting(), processing_resolution=64)
    assert pipe.painted == [(64, 128), (128, 160), (64, 96)]


def test_a_processing_resolution_equal_to_the_short_side_changes_nothing(
    pipe: StyleTransferPipeline,
) -> None:
    native = pipe(photo(64, 80), _CODE, processing_resolution="full", output_type="pt").images
    assert torch.equal(
        pipe(photo(64, 80), _CODE, processing_resolution=64, output_type="pt").images, native
    )


@pytest.mark.parametrize(
    ("short", "painted"), [(16, 64), (40, 80), (300, 512), (512, 512), (530, 530)]
)
def test_a_small_picture_is_painted_enlarged(
    pipe: StyleTransferPipeline, short: int, painted: int
) -> None:
    """Twice, or to 512 px, so that what it shows does not dissolve between strokes; the result has its own size."""
    content = photo(short, short + 20)
    result = pipe(content, _CODE, output_type="pt").images
    assert result.shape == (1, 3, short, short + 20)
    asked = pipe(content, _CODE, processing_resolution=painted, output_type="pt").images
    assert torch.equal(result, asked)


def test_a_reduced_result_comes_near_the_content_as_strength_goes_to_0(
    pipe: StyleTransferPipeline,
) -> None:
    content = photo(150, 200) / np.float32(255)
    result = pipe(content, _CODE, 1e-3, processing_resolution=64, output_type="np").images[0]
    assert np.abs(result - content).max() < 0.01


class Negative(StyleGenerator):
    """Paints every picture as its negative: a style that turns light into dark."""

    def forward(
        self, content: Tensor, condition: Any, strength: Tensor, *_: Any, **__: Any
    ) -> Tensor:
        weight = strength[:, None, None, None]
        return content + weight * (1 - 2 * content)


class Plain(StyleGenerator):
    """Paints every picture as one flat grey."""

    def forward(
        self, content: Tensor, condition: Any, strength: Tensor, *_: Any, **__: Any
    ) -> Tensor:
        return torch.full_like(content, 0.5)


def test_detail_follows_the_contrast_that_the_style_gave_the_picture() -> None:
    """A reduced result keeps the content's fine luminance where the style kept it, inverts it where the style did."""
    random = np.random.default_rng(0)
    grain = random.normal(0, 0.08, (256, 256, 1))
    y, x = np.mgrid[:256, :256]
    shapes = 0.5 + 0.25 * np.sin(x / 9)[..., None] * np.cos(y / 11)[..., None]
    content = (shapes + grain).clip(0, 1).repeat(3, 2).astype(np.float32)

    def painted(kind: type[StyleGenerator]) -> np.ndarray:
        pipe = StyleTransferPipeline(kind())
        encoder = pipe.generator.encoder
        vector, tokens = torch.ones(encoder.vector_width), torch.ones(64, 128)
        code = StyleCode(vector, tokens, encoder.fingerprint())
        return pipe(content, code, processing_resolution=64, output_type="np").images[0]

    def fine(picture: np.ndarray) -> np.ndarray:
        tensor = torch.from_numpy(picture).permute(2, 0, 1)[None]
        blurred = torch.nn.functional.avg_pool2d(tensor, 5, 1, 2, count_include_pad=False)
        return (tensor - blurred)[0, 0, 8:-8, 8:-8].numpy()

    own = fine(content)
    negative = float((fine(painted(Negative)) * own).sum() / (own * own).sum())
    assert -1.05 < negative < -0.6
    assert np.abs(painted(Plain) - 0.5).max() < 0.01


@pytest.mark.parametrize("resolution", [63, True])
def test_a_processing_resolution_that_is_none_is_refused(
    pipe: StyleTransferPipeline, resolution: Any
) -> None:
    with pytest.raises(ValueError, match="processing_resolution is"):
        pipe(photo(), _CODE, processing_resolution=resolution)


def test_all_kinds_of_input_give_the_same_picture(
    pipe: StyleTransferPipeline, tmp_path: Path
) -> None:
    array = photo()
    path = tmp_path / "photo.png"
    Image.fromarray(array).save(path)
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    expected = np.asarray(pipe(array, _CODE).images[0])
    inputs = [path, str(path), path.read_bytes(), Image.open(path), tensor, tensor / 255.0]
    for source in [*inputs, tensor[None], array[None], load_image(path)]:
        assert np.array_equal(np.asarray(pipe(source, _CODE).images[0]), expected)
    with path.open("rb") as file:
        assert np.array_equal(np.asarray(pipe(file, _CODE).images[0]), expected)


def test_a_batched_array_or_tensor_is_a_list_of_pictures(pipe: StyleTransferPipeline) -> None:
    batch = np.stack([photo(seed=0), photo(seed=1)])
    tensor = torch.from_numpy(batch).permute(0, 3, 1, 2)
    separate = [np.asarray(pipe(picture, _CODE).images[0]) for picture in batch]
    for pictures in (batch, tensor, list(batch), tuple(batch)):
        results = pipe(pictures, _CODE).images
        assert len(results) == 2
        for result, expected in zip(results, separate, strict=True):
            assert np.array_equal(np.asarray(result), expected)


def test_an_error_names_the_picture_of_a_list(pipe: StyleTransferPipeline, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        pipe([photo(), broken], _CODE)
    with pytest.raises(ImageError, match=r"image\[1\]"):
        pipe([photo(), photo().astype(np.int32)], _CODE)
    with pytest.raises(ImageError, match=r"image\[1\]"):
        pipe([photo(), Image.new("RGB", (4, 40))], _CODE)
    with pytest.raises(ImageError, match=r"style\[1\]"):
        pipe([photo(), photo()], [painting(), np.full((80, 80, 3), np.nan)])
    with pytest.raises(ImageError, match=r"missing\.png"):
        pipe(photo(), tmp_path / "missing.png")


def test_the_inputs_are_not_changed(pipe: StyleTransferPipeline) -> None:
    tensor = torch.from_numpy(photo()).permute(2, 0, 1) / 255.0
    before = tensor.clone()
    for strength in (0, 1):
        result = pipe(tensor, tensor, strength, output_type="pt").images
        result += 1
    assert torch.equal(tensor, before)


@pytest.mark.parametrize("empty", [[], np.zeros((0, 20, 20, 3), np.uint8)])
def test_an_empty_list_is_refused(pipe: StyleTransferPipeline, empty: Any) -> None:
    with pytest.raises(ValueError, match="image is empty"):
        pipe(empty, _CODE)
    with pytest.raises(ValueError, match="style is empty"):
        pipe(photo(), empty)


def test_transparency_is_kept_on_request_and_flattened_otherwise(
    pipe: StyleTransferPipeline,
) -> None:
    alpha = np.linspace(0, 255, 40 * 56).reshape(40, 56, 1).astype(np.uint8)
    picture = np.concatenate((photo(), alpha), axis=2)
    kept = pipe(picture, _CODE, keep_alpha=True).images[0]
    assert kept.mode == "RGBA"
    assert np.array_equal(np.asarray(kept)[..., 3:], alpha)
    assert np.array_equal(np.asarray(pipe(picture, _CODE, 0, keep_alpha=True).images[0]), picture)
    assert pipe(picture, _CODE).images[0].mode == "RGB"
    assert pipe(photo(), _CODE, keep_alpha=True).images[0].mode == "RGB"
    for output_type, shape in (("np", (1, 40, 56, 4)), ("pt", (1, 4, 40, 56))):
        result = pipe(picture, _CODE, keep_alpha=True, output_type=output_type).images
        assert result.shape == shape


def test_a_loaded_picture_with_alpha_is_flattened_unless_it_is_kept(
    pipe: StyleTransferPipeline,
) -> None:
    picture = np.zeros((40, 40, 4), np.uint8)
    picture[:, :20, 3] = 255
    loaded = load_image(picture, keep_alpha=True)
    flat = np.asarray(pipe(loaded, _CODE, 0).images[0])
    assert flat[:, :20].max() == 0
    assert flat[:, 20:].min() == 255
    assert pipe(loaded, _CODE, 0, keep_alpha=True).images[0].mode == "RGBA"


def test_output_types(pipe: StyleTransferPipeline) -> None:
    pictures = [photo(), photo(seed=1)]
    pil = pipe(pictures, _CODE).images
    array = pipe(pictures, _CODE, output_type="np").images
    tensor = pipe(pictures, _CODE, output_type="pt").images
    assert [image.mode for image in pil] == ["RGB", "RGB"]
    assert array.shape == (2, 40, 56, 3)
    assert array.dtype == np.float32
    assert tensor.shape == (2, 3, 40, 56)
    assert tensor.dtype == torch.float32
    assert 0 <= array.min() <= array.max() <= 1
    assert np.array_equal(tensor.permute(0, 2, 3, 1).numpy(), array)
    assert np.array_equal(np.asarray(pil[0]), np.rint(array[0] * 255).astype(np.uint8))
    with pytest.raises(ValueError, match="output_type is 'jpeg'"):
        pipe(photo(), _CODE, output_type="jpeg")  # type: ignore[arg-type]


def test_pictures_of_different_sizes_come_as_a_list(pipe: StyleTransferPipeline) -> None:
    pictures = [photo(), photo(30, 20)]
    for output_type in ("np", "pt"):
        results = pipe(pictures, _CODE, output_type=output_type).images
        assert isinstance(results, list)
        assert len(results) == 2


def test_returned_tensors_and_codes_are_ordinary_tensors(pipe: StyleTransferPipeline) -> None:
    """Not those of inference mode, which nobody may change or differentiate."""
    result = pipe(photo(), painting(), output_type="pt").images
    result += 1
    code = pipe.encode_style(painting())
    weight = torch.ones(len(code.vector), requires_grad=True)
    (code.vector * weight).sum().backward()
    assert not code.vector.is_inference()
    assert weight.grad is not None


def test_without_return_dict_a_tuple_is_returned(pipe: StyleTransferPipeline) -> None:
    assert isinstance(pipe(photo(), _CODE), StyleTransferOutput)
    images, *rest = pipe(photo(), _CODE, return_dict=False)
    assert rest == []
    assert images[0].size == (56, 40)


def test_progress_is_told_after_each_picture(pipe: StyleTransferPipeline) -> None:
    calls: list[tuple[int, int]] = []
    pipe([photo()] * 3, _CODE, progress_callback=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("in_regions", [False, True])
def test_progress_is_told_of_a_picture_that_is_enlarged_to_its_own_size(
    pipe: StyleTransferPipeline, in_regions: bool
) -> None:
    calls: list[tuple[int, int]] = []
    pipe(
        [photo(1300, 1900), photo()],
        _CODE,
        regions=[Region("left-half", _CODE)] if in_regions else None,
        processing_resolution=64,
        progress_callback=lambda done, total: calls.append((done, total)),
    )
    done, total = zip(*calls, strict=True)
    assert list(done) == sorted(set(done))
    assert all(share < 1 for share in (d / t for d, t in calls[:-1]))
    assert done[-1] == total[-1] > 4


def test_the_same_call_gives_the_same_picture(pipe: StyleTransferPipeline) -> None:
    generator = torch.Generator().manual_seed(3)
    state = generator.get_state()
    first = pipe(photo(), painting(), generator=generator, output_type="pt").images
    assert torch.equal(pipe(photo(), painting(), output_type="pt").images, first)
    assert torch.equal(generator.get_state(), state)


def test_a_style_is_encoded_once_and_remembered() -> None:
    pipe = CountingPipeline()
    style = painting()
    pipe([photo()] * 3, style)
    pipe([photo()] * 2, [style, style])
    pipe(photo(), np.asarray(style))
    pipe.encode_style(style)
    assert pipe.encoded == 1
    pipe(photo(), style, style_size=128)
    pipe(photo(), painting(2))
    assert pipe.encoded == 3


def test_only_the_latest_styles_are_remembered() -> None:
    pipe = CountingPipeline()
    for shade in [*range(65), 64, 0]:
        pipe.encode_style(np.full((8, 8, 3), shade, np.uint8), style_size=64)
    assert pipe.encoded == 66


def test_a_file_that_changes_is_encoded_again(tmp_path: Path) -> None:
    pipe = CountingPipeline()
    path = tmp_path / "style.png"
    codes = []
    for seed in (1, 2):
        painting(seed).save(path)
        codes.append(pipe.encode_style(path))
    assert not torch.equal(codes[0].vector, codes[1].vector)


def test_a_code_is_named_after_its_file_and_carries_metadata(
    pipe: StyleTransferPipeline, tmp_path: Path
) -> None:
    path = tmp_path / "great_wave.png"
    painting().save(path)
    assert pipe.encode_style(path).name == "great_wave"
    assert pipe.encode_style(painting()).name == ""
    code = pipe.encode_style(path, name="Great Wave", metadata={"artist": "Hokusai"})
    assert (code.name, code.metadata) == ("Great Wave", {"artist": "Hokusai"})
    assert code.encoder == pipe.generator.encoder_fingerprint()
    assert pipe.encode_style(code).metadata == {"artist": "Hokusai"}
    assert pipe.encode_style(code, name="wave").name == "wave"


def test_picture_code_and_code_file_are_the_same_style(
    pipe: StyleTransferPipeline, tmp_path: Path
) -> None:
    code = pipe.encode_style(painting())
    path = tmp_path / "a.style.safetensors"
    code.save(path)
    expected = pipe(photo(), painting(), output_type="pt").images
    for style in (code, path, str(path), [code]):
        assert torch.equal(pipe(photo(), style, output_type="pt").images, expected)


def test_pictures_and_styles_pair_up(pipe: StyleTransferPipeline) -> None:
    pictures, styles = [photo(seed=0), photo(seed=1)], [painting(2), painting(3)]
    together = pipe(pictures, styles, output_type="pt").images
    for picture, style, result in zip(pictures, styles, together, strict=True):
        assert torch.equal(pipe(picture, style, output_type="pt").images[0], result)


def test_lists_of_different_lengths_are_refused(pipe: StyleTransferPipeline) -> None:
    with pytest.raises(ValueError, match=r"2 styles for 3 pictures.*style_weights"):
        pipe([photo()] * 3, [_CODE] * 2)
    with pytest.raises(ValueError, match="strength has 2 numbers for 3 pictures"):
        pipe([photo()] * 3, _CODE, [0.5] * 2)


def test_weighted_styles_are_a_mixture_for_all_pictures(pipe: StyleTransferPipeline) -> None:
    styles = [painting(1), painting(2), painting(3)]
    codes = [pipe.encode_style(style) for style in styles]
    mixture = StyleCode.mix(codes, [1, 2, 1])
    pictures = [photo(seed=0), photo(seed=1)]
    expected = pipe(pictures, mixture, output_type="pt").images
    result = pipe(pictures, styles, style_weights=[0.5, 1, 0.5], output_type="pt").images
    assert torch.equal(result, expected)


def test_wrong_style_weights_are_refused(pipe: StyleTransferPipeline) -> None:
    with pytest.raises(ValueError, match="2 styles need 2 weights, got 1"):
        pipe(photo(), [_CODE, _CODE], style_weights=[1.0])


def test_a_code_of_another_encoder_is_refused(pipe: StyleTransferPipeline, tmp_path: Path) -> None:
    other = StyleTransferPipeline(small_generator(9)).encode_style(painting(), name="wave")
    other.save(tmp_path / "wave.safetensors")
    for call in (lambda s: pipe(photo(), s), pipe.encode_style):
        for style in (other, tmp_path / "wave.safetensors"):
            with pytest.raises(StyleCodeError, match=r"wave.*made by encoder.*encode its picture"):
                call(style)
    with pytest.raises(StyleCodeError, match=r"style\[1\]"):
        pipe([photo()] * 2, [_CODE, other])


@pytest.mark.parametrize("style_size", [5000, True])
def test_a_style_size_out_of_range_is_refused(pipe: StyleTransferPipeline, style_size: Any) -> None:
    with pytest.raises(ValueError, match="style_size is"):
        pipe(photo(), _CODE, style_size=style_size)
    with pytest.raises(ValueError, match="style_size is"):
        pipe.encode_style(painting(), style_size=style_size)


def test_numbers_of_numpy_are_numbers(pipe: StyleTransferPipeline) -> None:
    expected = pipe(photo(), painting(), 0.5, style_size=64, processing_resolution=80).images[0]
    arguments: dict[str, Any] = {
        "strength": np.float32(0.5),
        "style_size": np.int64(64),
        "processing_resolution": np.int32(80),
    }
    assert pipe(photo(), painting(), **arguments).images[0] == expected


def test_styles_of_any_shape_can_be_encoded(pipe: StyleTransferPipeline) -> None:
    for size in [(1, 1), (3, 700), (700, 3), (65, 67)]:
        code = pipe.encode_style(np.full((*size, 3), 0.3, np.float32), style_size=64)
        assert code.vector.isfinite().all()


def test_of_a_very_long_style_the_middle_is_used(pipe: StyleTransferPipeline) -> None:
    scroll = np.zeros((64, 64 * 8, 3), np.uint8)
    middle = scroll[:, 64 * 2 : 64 * 6]
    middle[:] = photo(64, 64 * 4)
    whole, part = (pipe.encode_style(p, style_size=64) for p in (scroll, middle))
    assert torch.equal(whole.tokens, part.tokens)


def test_a_cast_generator_paints_nearly_the_same_and_encodes_exactly_the_same() -> None:
    full, cast = (StyleTransferPipeline(small_generator()) for _ in range(2))
    assert cast.to(torch.bfloat16) is cast
    assert (full.dtype, cast.dtype) == (torch.float32, torch.bfloat16)
    codes = [pipe.encode_style(painting()) for pipe in (full, cast)]
    assert torch.equal(codes[0].tokens, codes[1].tokens)
    assert codes[0].encoder == codes[1].encoder == cast.generator.encoder_fingerprint()
    results = [pipe(photo(), codes[0], output_type="pt").images for pipe in (full, cast)]
    assert results[1].dtype == torch.float32
    assert (results[0] - results[1]).abs().mean() < 0.02


def test_a_cast_generator_does_not_coarsen_the_picture() -> None:
    """bfloat16 has 8 bits of precision, too few for a weak strength if the picture itself were cast."""
    pipe = StyleTransferPipeline(small_generator()).to(dtype=torch.bfloat16)
    content = photo() / np.float32(255)
    result = pipe(content, _CODE, 1e-4, output_type="np").images[0]
    assert np.abs(result - content).max() < 2e-4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"dtype": torch.float16}, "float16 needs CUDA.*float32 or bfloat16"),
        ({"device": "toaster"}, "toaster"),
    ],
)
def test_an_unusable_device_or_dtype_is_refused_and_nothing_changes(
    tmp_path: Path, arguments: dict[str, Any], says: str
) -> None:
    pipe = StyleTransferPipeline(small_generator())
    with pytest.raises(ValueError, match=says):
        pipe.to(**arguments)
    assert pipe.dtype == torch.float32
    pipe.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=says):
        StyleTransferPipeline.from_pretrained(tmp_path, **arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_where_there_is_none_is_a_clear_error(pipe: StyleTransferPipeline) -> None:
    with pytest.raises(ValueError, match=r"'cuda:0' needs CUDA.*use 'cpu'"):
        pipe.to("cuda:0")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_cuda_paints_what_the_cpu_paints(dtype: torch.dtype) -> None:
    pipe = StyleTransferPipeline(small_generator())
    expected = pipe(photo(), painting(), output_type="pt").images
    result = pipe.to("cuda", dtype)(photo(), painting(), output_type="pt").images
    assert result.device.type == "cpu"
    assert (result - expected).abs().mean() < 0.02
    reduced = pipe(photo(100, 90), painting(), processing_resolution=64).images[0]
    assert reduced.size == (90, 100)


def test_save_load_equal(tmp_path: Path) -> None:
    first = StyleTransferPipeline(small_generator(), {"wave": _CODE})
    first.save_pretrained(tmp_path / "model")
    second = StyleTransferPipeline.from_pretrained(tmp_path / "model")
    assert list(second.presets) == ["wave"]
    assert torch.equal(second.preset("wave").tokens, _CODE.tokens)
    results = [
        pipe(photo(), pipe.preset("wave"), output_type="pt").images for pipe in (first, second)
    ]
    assert torch.equal(*results)
    assert not second.generator.training


def test_from_pretrained_casts(tmp_path: Path) -> None:
    StyleTransferPipeline(small_generator()).save_pretrained(tmp_path)
    pipe = StyleTransferPipeline.from_pretrained(tmp_path, dtype=torch.bfloat16, device="cpu")
    assert pipe.dtype == torch.bfloat16
    assert pipe.generator.encoder_fingerprint() == small_generator().encoder_fingerprint()


@pytest.mark.parametrize(
    ("able", "dtype"),
    [({"avx512_bf16": True}, torch.bfloat16), ({}, torch.float32)],
)  # fmt: skip
def test_auto_is_bfloat16_where_the_processor_computes_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, able: dict[str, bool], dtype: torch.dtype
) -> None:
    StyleTransferPipeline(small_generator()).save_pretrained(tmp_path)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    pipe = StyleTransferPipeline.from_pretrained(tmp_path, dtype="auto")
    assert pipe.dtype == dtype
    assert StyleTransferPipeline.from_pretrained(tmp_path).dtype == torch.float32


def test_auto_asks_an_older_torch_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    for able, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(
            torch.cpu, "_is_avx512_bf16_supported", lambda able=able: able, raising=False
        )
        assert chosen_dtype("auto", "cpu") == dtype
    assert chosen_dtype("auto", "cuda") == torch.float32
    assert chosen_dtype(torch.float16, "cpu") == torch.float16


def test_presets_are_read_when_they_are_first_used(tmp_path: Path) -> None:
    StyleTransferPipeline(small_generator(), {"good": _CODE}).save_pretrained(tmp_path)
    (tmp_path / "styles" / "bad.safetensors").write_bytes(b"damaged")
    pipe = StyleTransferPipeline.from_pretrained(tmp_path)
    assert list(pipe.presets) == ["bad", "good"]
    assert "bad" in pipe.presets
    assert pipe.presets["good"] is pipe.preset("good")
    with pytest.raises(StyleCodeError, match=r"bad\.safetensors is damaged"):
        pipe.preset("bad")
    assert "bad, good" in repr(pipe.presets)


def test_a_preset_of_another_encoder_is_refused(tmp_path: Path) -> None:
    StyleTransferPipeline(small_generator()).save_pretrained(tmp_path)
    StyleCode(_CODE.vector, _CODE.tokens, "f" * 16, "odd").save(
        tmp_path / "styles" / "odd.safetensors"
    )
    with pytest.raises(StyleCodeError, match=r"odd\.safetensors.*f{16}"):
        StyleTransferPipeline.from_pretrained(tmp_path).preset("odd")


def test_an_unknown_preset_is_answered_with_similar_names() -> None:
    presets = {"starry_night_van_gogh": _CODE, "great_wave_hokusai": _CODE}
    pipe = StyleTransferPipeline(small_generator(), presets)
    with pytest.raises(ValueError, match=r"'starry_nigth'.*did you mean: starry_night_van_gogh$"):
        pipe.preset("starry_nigth")
    with pytest.raises(ValueError, match="there are: starry_night_van_gogh, great_wave_hokusai"):
        pipe.preset("?")
    with pytest.raises(ValueError, match="came without presets"):
        StyleTransferPipeline(small_generator()).preset("starry_night_van_gogh")
