"""`StyleTransferPipeline`: pictures in, pictures out.

B batch · H, W image size · h, w size at which the network runs · D style width · T style tokens · E token width
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import torch

from hfstyle._arguments import (
    DEFAULT_STYLE_SIZE,
    MINIMUM_SIDE,
    as_list,
    as_shares,
    as_strengths,
    check_device,
    check_resolution,
    check_style_size,
    check_tile_size,
    chosen_dtype,
    item_name,
)
from hfstyle._composition import Layer
from hfstyle._outputs import Output, output_of, stacked
from hfstyle._paint_file import FilePainter
from hfstyle._painting import Blend
from hfstyle._presets import STYLES_FOLDER, Presets, download_styles, local_folder
from hfstyle._progress import Progress, Run
from hfstyle._style_codes import StyleInput, load_input
from hfstyle.images import ImageInput, Picture
from hfstyle.models.generator import StyleGenerator
from hfstyle.regions import Region, region_weights
from hfstyle.sampling import SPACE_FILE
from hfstyle.style import StyleCode, normalise_weights
from hfstyle.tiling import TileSize

__all__ = [
    "DEFAULT_STYLE_SIZE",
    "MINIMUM_SIDE",
    "StyleTransferOutput",
    "StyleTransferPipeline",
]


@dataclass
class StyleTransferOutput:
    """What the pipeline returns.

    images: for each content picture, in order and of its size,
        "pil": a list of PIL pictures, RGB, or RGBA where alpha was kept;
        "np": (B, H, W, 3) float32 in [0, 1], or a list of (H, W, 3) if the pictures differ in size;
        "pt": (B, 3, H, W) float32 in [0, 1] on the CPU, or a list of (3, H, W) if they differ in size.
        Where alpha was kept, a picture has 4 channels.
    """

    images: Any


class StyleTransferPipeline(FilePainter):
    """Paint pictures in the style of other pictures.

    The generator becomes the pipeline's own: it is put into evaluation mode and channels-last memory, and its style
    encoder stays in float32 whatever the `dtype`, so that a style has one code.

    Args:
        generator: the networks.
        presets: named style codes made by this generator's encoder.

    Example:
        >>> pipe = StyleTransferPipeline.from_pretrained()
        >>> pipe("photo.jpg", "painting.jpg", strength=0.8).images[0].save("out.png")
    """

    def __init__(
        self, generator: StyleGenerator, presets: Mapping[str, StyleCode] | None = None
    ) -> None:
        generator.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        generator.encoder.float()
        self._start(generator, presets)

    def _start(self, generator: StyleGenerator, presets: Mapping[str, StyleCode] | None) -> None:
        self.generator = generator
        self.presets: Mapping[str, StyleCode] = {} if presets is None else presets
        """Style codes that came with the model, by name; read from their files when first used."""
        self._start_codes()
        self._start_controls()
        self.remember_photos(0)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str] | None = None,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        cache_dir: str | os.PathLike[str] | None = None,
        dtype: torch.dtype | Literal["auto"] = torch.float32,
        device: torch.device | str | None = None,
    ) -> Self:
        """Load networks and presets.

        Args:
            pretrained_model_name_or_path: a folder with config.json and model.safetensors, or a Hub id "user/model";
                None loads the weights that come with hfstyle.
            revision: branch, tag or commit of the Hub repository.
            token: Hub token; True uses the one saved by `hf auth login`.
            local_files_only: never use the network, only the cache.
            cache_dir: of Hub downloads.
            dtype: float32 or bfloat16; float16 on CUDA only. "auto" is bfloat16 on a CPU that computes in it (AVX-512 BF16
                or AMX), where it takes two thirds of the time, and float32 elsewhere.
            device: where to run; None is the CPU.

        Raises:
            FileNotFoundError: a folder that does not exist or lacks a file.
            ValueError: weights that do not fit (each tensor is named), an unusable `dtype` or `device`.
            huggingface_hub.errors.HfHubHTTPError, LocalEntryNotFoundError: no such repository or revision, no network.
        """
        dtype = chosen_dtype(dtype, device)
        check_device(device, dtype)
        model = pretrained_model_name_or_path
        folder = local_folder(model)
        cache = None if cache_dir is None else str(cache_dir)
        generator = StyleGenerator.from_pretrained(
            str(model if folder is None else folder),
            revision=revision,
            token=token,
            local_files_only=local_files_only,
            cache_dir=cache,
        )
        if folder is None:
            folder = download_styles(str(model), revision, token, local_files_only, cache)
        presets = Presets(folder, generator.encoder_fingerprint())
        return cls(generator, presets).to(device, dtype)

    @classmethod
    def from_onnx(
        cls, folder: str | os.PathLike[str], *, threads: int | None = None
    ) -> StyleTransferPipeline:
        """Load the graphs that `hfstyle export-onnx` wrote, to run on onnxruntime on the CPU in float32.

        Such a pipeline paints in one pass: `tile_size` must be "auto", which refuses more than 2048 x 2048 pixels,
        or None. Torch is still needed, for pictures.

        Args:
            folder: with encoder.onnx, generator.onnx and onnx.json.
            threads: of each network, from 1; None is torch's number (`torch.get_num_threads()`).

        Raises:
            FileNotFoundError: a folder that does not exist or lacks a file.
            ValueError: a file that is not what its name says.
            ModuleNotFoundError: onnxruntime is not installed.
        """
        from hfstyle.onnx_runtime import OnnxPipeline

        return OnnxPipeline(folder, threads)

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Write config.json, model.safetensors, the presets (styles/NAME.safetensors) and the style space into a folder.

        Weights are written in the pipeline's `dtype`; the folder loads with `from_pretrained`.
        """
        folder = Path(save_directory)
        self.generator.save_pretrained(folder)
        for name, code in self.presets.items():
            code.save(folder / STYLES_FOLDER / f"{name}.safetensors")
        if isinstance(self.presets, Presets) and (space := self.presets.space()) is not None:
            space.save(folder / SPACE_FILE)

    def to(
        self,
        device: torch.device | str | torch.dtype | None = None,
        dtype: torch.dtype | None = None,
    ) -> Self:
        """Move to a device and cast, in place; returns the pipeline.

        Casting is lossy: back to float32 gives the rounded weights. Pictures stay float32 in any case.

        Args:
            device: e.g. "cuda", "cuda:1", "cpu"; None stays. A dtype is taken as `dtype`.
            dtype: float32 or bfloat16; float16 on CUDA only; None stays.

        Raises:
            ValueError: an unusable dtype or a device that this machine or this torch lacks.
        """
        if isinstance(device, torch.dtype):
            device, dtype = None, device
        check_device(self.device if device is None else device, dtype or self.dtype)
        for name, child in self.generator.named_children():
            child.to(device=device, dtype=torch.float32 if name == "encoder" else dtype)
        self._contents.forget()
        return self

    def preset(self, name: str) -> StyleCode:
        """The style code of that name which came with the model (all names: `list(pipe.presets)`).

        Raises:
            ValueError: no preset of that name; similar names are given.
        """
        if name not in self.presets:
            close = difflib.get_close_matches(name, self.presets, n=3, cutoff=0.4)
            known = close or list(self.presets)
            hint = f"{'did you mean' if close else 'there are'}: {', '.join(known)}"
            raise ValueError(
                f"no preset {name!r}; {hint if known else 'this model came without presets'}"
            )
        return self.presets[name]

    def encode_style(
        self,
        style: StyleInput,
        *,
        style_size: int = DEFAULT_STYLE_SIZE,
        name: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> StyleCode:
        """The code of a style picture. The last 64 pictures are remembered and not encoded again.

        Args:
            style: whatever may be the style of a call; a `StyleCode` or the path of its file (*.safetensors) is checked
                and returned.
            style_size: short side in pixels, 64 to 4096, at which the picture is looked at: larger sizes make broader
                strokes of it, in the photo's pixels. Of pictures longer than 4 to 1, the middle is used.
            name: of the code; by default the file's name without suffix.
            metadata: title, artist, year, licence ... to keep with it.

        Raises:
            ImageError: not a usable picture.
            StyleCodeError: a code made by another encoder, or a damaged file.
            ValueError: `style_size` out of range.
        """
        style_size = check_style_size(style_size)
        code = self._code_of(style, style_size, "style")
        return replace(
            code,
            name=code.name if name is None else name,
            metadata=code.metadata if metadata is None else metadata,
        )

    def __call__(
        self,
        image: ImageInput | Picture | Sequence[ImageInput | Picture],
        style: StyleInput | Sequence[StyleInput] | None,
        strength: float | Sequence[float] = 1.0,
        *,
        color: float | Sequence[float] = 1.0,
        regions: Sequence[Region] | None = None,
        blend: Blend = "features",
        style_weights: Sequence[float] | None = None,
        style_size: int = DEFAULT_STYLE_SIZE,
        processing_resolution: int | None = None,
        tile_size: TileSize = "auto",
        output_type: Output = "pil",
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        return_dict: bool = True,
        progress_callback: Callable[[int, int], None] | None = None,
        keep_alpha: bool = False,
    ) -> StyleTransferOutput | Any:
        """Paint each picture in its style. The output has the size of the input.

        Args:
            image: a picture, or a list of them (a 4-dimensional array or tensor is a list): path, PIL, numpy
                (H, W, C), torch (C, H, W), as `load_image` takes them; height and width from 16 px.
            style: a style for all pictures, or a list with one for each: pictures, `StyleCode`s, files of either, names
                of presets, words that describe it, as "soft watercolour of a misty lake" (`find_styles`; one word
                alone as "words:fresco"), or "random:SEED" (`sample_style`).
                With `style_weights`, a list whose mixture is the style of all pictures. With `regions`, the style of
                the background, or None to leave it as it is.
            strength: in [0, 1], one for all or a list with one for each picture. 0 returns the picture unchanged, to
                the last bit; 1 is the full style.
            color: in [0, 1], one for all or each: 1 is the style's palette, 0 the photo's own (mean and covariance of
                colours are the photo's, objects keep their colours), between is a straight line.
            regions: parts of the picture with styles, strengths and colours of their own; later ones lie over earlier
                ones. Masks are brought to the size of each picture. `strength` and `color` are the background's.
            blend: where regions are composed: "features" of the network, so that strokes run across boundaries, or
                "pixels" of a pass for each style, which takes two thirds of the time. Pictures painted in tiles, and
                `from_onnx`, take pixels.
            style_weights: one for each style, >= 0, not all zero; they are divided by their sum.
            style_size: short side in pixels, 64 to 4096, at which styles are looked at.
            processing_resolution: short side in pixels, from 64, at which the network runs; lower is faster and paints
                broader strokes. The result is brought back to the input's size with the picture's own fine detail
                (`restore_detail`). None runs at the picture's size.
            tile_size: side in pixels, from 64, of the tiles in which the network runs over larger pictures, so that
                its memory is bounded. Tiles are read with a margin (96 px) and share the instance statistics of the
                whole picture, measured first, so that the result is that of one pass within 0.5/255 on average.
                "auto": tiles of 1024 px for more than 2048 x 2048 pixels, and smaller ones when a GPU's memory is
                exhausted. None always takes one pass, which takes a third to a half of the time.
            output_type: "pil", "np" or "pt", see `StyleTransferOutput`.
            generator: accepted as diffusers' pipelines do and not used: nothing here is random.
            return_dict: False returns the tuple `(images,)` instead of a `StyleTransferOutput`.
            progress_callback: called as `progress_callback(done, total)` after each picture, and each tile of one
                painted in tiles, of the measuring passes too; a picture's tiles join the total when it is their turn.
            keep_alpha: keep a picture's transparency in the output instead of laying it over white.

        Raises:
            ImageError: a picture that cannot be used, or is below 16 px; it is named.
            StyleCodeError: a style code of another encoder, or a damaged file.
            ValueError: an argument out of range, empty lists, or lists of different lengths.
        """
        pictures = as_list(image, "image")
        areas = [] if regions is None else list(regions)
        if style is None and not areas:
            raise ValueError("style is None; give a style, or regions that have styles")
        styles = [] if style is None else as_list(style, "style")
        amounts = as_strengths(strength, len(pictures))
        colors = as_shares("color", color, len(pictures))
        style_size = check_style_size(style_size)
        processing_resolution = check_resolution(processing_resolution)
        tile_size = check_tile_size(tile_size)
        if blend not in ("features", "pixels"):
            raise ValueError(f"blend is {blend!r}; give 'features' or 'pixels'")
        if output_type not in ("pil", "np", "pt"):
            raise ValueError(f"output_type is {output_type!r}; give 'pil', 'np' or 'pt'")
        shares = None if style_weights is None else normalise_weights(style_weights, len(styles))
        if shares is None and styles and len(styles) not in (1, len(pictures)):
            raise ValueError(
                f"{len(styles)} styles for {len(pictures)} pictures; give one style for all, one for each, "
                "or style_weights for a mixture"
            )

        codes: list[StyleCode | None] = [*self._encode_all(styles, style_size)] or [None]
        if shares is not None:
            codes = [StyleCode.mix([code for code in codes if code is not None], shares)]
        codes = codes * len(pictures) if len(codes) == 1 else codes
        above = self._layers(areas, style_size)

        progress = Progress(progress_callback, len(pictures))
        results: list[Any] = []
        for index, source in enumerate(pictures):
            picture = load_input(source, item_name("image", index, len(pictures)), keep_alpha)
            run = Run(tile_size, torch.uint8 if output_type == "pil" else torch.float32, progress)
            layers = [Layer(codes[index], amounts[index], colors[index]), *above]
            weights = region_weights(areas, picture.size) if areas else None  # (L, H, W)
            painted = self._paint(picture, layers, weights, processing_resolution, run, blend)
            alpha = picture.alpha
            del picture  # not kept beside its copies: of 100 megapixels, 1.2 GB
            results.append(output_of(painted, alpha, output_type))
            progress.picture_done()
        images = stacked(results, output_type)
        return StyleTransferOutput(images) if return_dict else (images,)
