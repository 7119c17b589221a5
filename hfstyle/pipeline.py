"""`StyleTransferPipeline`: pictures in, pictures out.

B batch · H, W image size · h, w size at which the network runs · D style width · T style tokens · E token width
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import torch

from hfstyle import __version__
from hfstyle.files import INPUT_REFUSED, InputFiles
from hfstyle.images.decode import MAX_IMAGE_PIXELS, ImageError
from hfstyle.images.load import ImageInput, Picture, load_input
from hfstyle.images.outputs import Output, StyleTransferOutput, output_of, stacked
from hfstyle.images.provenance import Mark, put_mark
from hfstyle.limits import (
    DEFAULT_FACES,
    DEFAULT_OUTLINES,
    DEFAULT_STYLE_SIZE,
    MINIMUM_SIDE,
    TileSize,
    as_list,
    as_shares,
    as_strengths,
    check_callback,
    check_resolution,
    check_style_size,
    check_tile_size,
    flags_checked,
    item_name,
    working_size,
)
from hfstyle.models.devices import check_device, chosen_dtype, own_precision
from hfstyle.models.generator import StyleGenerator
from hfstyle.models.network import Network, is_generator
from hfstyle.painting.large_file import check_order, paint_file
from hfstyle.painting.layers import Layer
from hfstyle.painting.painter import Blend, Painter
from hfstyle.painting.run import Progress, Run
from hfstyle.regions import Region, as_regions, layers_of, region_weights
from hfstyle.styles.code import StyleCode, StyleInput, normalise_weights
from hfstyle.styles.finder import StyleFinder
from hfstyle.styles.learning import LearnedStyle, learn_style
from hfstyle.styles.listed import STYLES_FOLDER
from hfstyle.styles.presets import Presets, download_styles, local_folder
from hfstyle.styles.space import SPACE_FILE, StyleSpace
from hfstyle.styles.text_encoders import TextEncoder
from hfstyle.styles.words import StyleMatch

if TYPE_CHECKING:
    from hfstyle.film import PaintedFilm

__all__ = [
    "DEFAULT_STYLE_SIZE",
    "MINIMUM_SIDE",
    "StyleTransferOutput",
    "StyleTransferPipeline",
]

_OWN_WEIGHTS: Final = "own weights"


class StyleTransferPipeline:
    """Paint pictures in the style of other pictures.

    The generator becomes the pipeline's own: it is put into evaluation mode and channels-last memory, and its style
    encoder stays in float32 whatever the `dtype`, so that a style has one code.

    Args:
        generator: the networks: a `StyleGenerator`, or what is called as it is.
        presets: named style codes made by this generator's encoder.

    Example:
        >>> pipe = StyleTransferPipeline.from_pretrained()
        >>> pipe("photo.jpg", "painting.jpg", strength=0.8).save("out.png")
    """

    def __init__(self, generator: Network, presets: Mapping[str, StyleCode] | None = None) -> None:
        if is_generator(generator):
            generator.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            generator.encoder.float()
        self._assemble(generator, {} if presets is None else presets)

    def _assemble(self, generator: Network, presets: Mapping[str, StyleCode]) -> None:
        self.generator: Any = generator
        """The networks: a `StyleGenerator`, or the graphs of one."""
        self.finder = StyleFinder(generator, presets)
        self.painter = Painter(generator)
        self.mark = Mark(f"hfstyle, {_OWN_WEIGHTS}", __version__)
        """What pictures are said to be painted by, see `provenance` of a call."""

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or another process needs: networks and presets, not what was remembered meanwhile."""
        return {"generator": self.generator, "presets": self.presets, "mark": self.mark}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._assemble(state["generator"], state["presets"])
        self.mark = state["mark"]

    @classmethod
    @own_precision()
    @flags_checked
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
        pipe = cls(generator, presets).to(device, dtype)
        # A folder's name may be private.
        if model is None or folder is None or not Path(model).is_dir():
            named = "bundled weights" if model is None else str(model)
            pipe.mark = Mark(f"hfstyle, {named}", __version__)
        return pipe

    @classmethod
    def from_onnx(cls, folder: str | os.PathLike[str], *, threads: int | None = None) -> Self:
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
        from hfstyle.graphs.runtime import GraphNetwork

        network = GraphNetwork(folder, threads)
        return cls(network, Presets(Path(folder), network.encoder_fingerprint()))

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
        if not is_generator(self.generator):
            self.generator.to(device, dtype)
            return self
        check_device(self.device if device is None else device, dtype or self.dtype)
        for name, child in self.generator.named_children():
            child.to(device=device, dtype=torch.float32 if name == "encoder" else dtype)
        return self

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.painter.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the generator's weights. The style encoder is always float32."""
        return self.painter.dtype

    @property
    def presets(self) -> Mapping[str, StyleCode]:
        """Style codes that came with the model, by name; read from their files when first used. May be set."""
        return self.finder.search.presets

    @presets.setter
    def presets(self, presets: Mapping[str, StyleCode]) -> None:
        self.finder.search.presets = presets

    def preset(self, name: str) -> StyleCode:
        """The style code of that name which came with the model (all names: `list(pipe.presets)`).

        Raises:
            ValueError: no preset of that name; similar names are given.
        """
        return self.finder.preset(name)

    @own_precision()
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
        return self.finder.encode_style(style, style_size=style_size, name=name, metadata=metadata)

    @own_precision()
    def encode_collection(
        self, pictures: Any, *, clusters: int = 1, style_size: int | None = None, name: str = ""
    ) -> list[StyleCode]:
        """The style of many pictures: their mean, or k means of groups of alike ones, largest group first.

        Pictures that cannot be used are left out, with a warning that names them.

        Args:
            pictures: a list of pictures, codes or files of either; the path of a folder; or a data set with a column
                "image".
            clusters: k, from 1 to the number of pictures that can be used. Groups that end up empty are left out.
            style_size: as of `encode_style`.
            name: of the codes; of several, with a number. By default that of a folder.

        Returns:
            Codes whose metadata has the number of their "pictures" and what these have in common.

        Raises:
            ImageError: none of the pictures can be used.
            ValueError: no pictures, or `clusters` out of range.
        """
        return self.finder.encode_collection(
            pictures, clusters=clusters, style_size=style_size, name=name
        )

    @property
    @own_precision()
    def style_space(self) -> StyleSpace:
        """Where the codes of the training art lie; of a model that came without, where its presets lie.

        Raises:
            ValueError: there are neither.
            StyleCodeError: the file is damaged.
        """
        return self.finder.search.space

    @own_precision()
    def sample_style(
        self, generator: torch.Generator | int | None = None, temperature: float = 1.0
    ) -> StyleCode:
        """A plausible new style, drawn from the distribution of the training art's codes: G(x, z).

        Args:
            generator: where chance comes from; a whole number is a seed, and gives the same style each time; None is
                torch's own.
            temperature: 0 (the mean of the training art) over 1 (as various as it) to 3.

        Raises:
            ValueError: `temperature` out of range, or a model without style space and presets.
        """
        return self.finder.search.sample(generator, temperature)

    def learn_style(
        self,
        pictures: Any,
        photos: Sequence[ImageInput | Picture] | None = None,
        *,
        steps: int = 90,
        size: int = 512,
        style_size: int | None = None,
        perceptual_model: str | os.PathLike[str] | None = None,
        name: str = "",
        metadata: Mapping[str, str] | None = None,
        progress_callback: Callable[[int, int], None] | None = None,
    ) -> LearnedStyle:
        """Learn a style from your own pictures: the code that makes paintings look like them, in a few minutes on a CPU.

        It begins as the mean of `encode_style` and is never returned worse than that, judged on photos that it was not
        learned on; see `hfstyle.styles.learning`. The model itself stays as it is. Pictures and photos that cannot be used
        are left out, with a warning that names them.

        Args:
            pictures: 1 to 50: a list of pictures, the path of one or of a folder, or a data set with a column "image".
            photos: what is painted meanwhile, from two; one in four is held out to judge by. None takes the photos of
                `hfstyle.examples`, which lie in scikit-image.
            steps: at most, from 1; more take longer, and help less and less.
            size: short side in pixels, from 128, at which pictures and photos are compared.
            style_size: as of `encode_style`, of the code that it begins with.
            perceptual_model: a VGG-19 that compares paintings with the pictures: "compact-vgg19" (3.9 MB, downloaded once), a
                safetensors file or a Hub id; None takes the model's own style encoder, which needs no download.
            name: of the style; by default the file's or the folder's.
            metadata: title, artist, year, licence ... to keep with it.
            progress_callback: called as `progress_callback(done, total)` after each step.

        Returns:
            The style as `.code`, a sentence how much it helped as `.told`, before and after as `.sheet`, and why pictures were
            left out as `.left_out`. Ctrl-C ends the learning and returns the best so far.

        Raises:
            ImageError: none of the pictures, or fewer than two photos, can be used.
            FileNotFoundError: no such perceptual network, or the Hub cannot be reached.
            ModuleNotFoundError: no photos given, and scikit-image is not installed.
            ValueError: no pictures, more than 50, fewer than two photos, an argument out of range, or a pipeline of
                `from_onnx`.
        """
        learned = learn_style(
            self.generator,
            self.encode_style,
            pictures,
            photos,
            steps=steps,
            size=size,
            style_size=style_size,
            perceptual_model=perceptual_model,
            name=name,
            metadata=metadata,
            progress_callback=progress_callback,
        )
        put_mark(learned.sheet, self.mark)
        return learned

    @own_precision()
    def find_styles(
        self, text: str, k: int = 5, *, encoder: str | TextEncoder = "auto"
    ) -> list[StyleMatch]:
        """Styles by words, among the presets and the training art; best first.

        Args:
            text: such as "soft watercolour of a misty lake": movements, artists, techniques, colours, textures and
                words of titles. What is not known is taken for the nearest known word; `StyleMatch.matched` shows which.
            k: how many, from 1.
            encoder: how words are compared, see `hfstyle.styles.text_encoders.load_text_encoder`: "auto", "letters", "wordllama", a
                CLIP model's folder or Hub id, or a function that makes vectors of texts.

        Raises:
            ValueError: no word of the text is understood, or k is below 1.
        """
        return self.finder.search.find(text, k, encoder=encoder)

    @own_precision()
    def style_of_words(self, text: str, *, encoder: str | TextEncoder = "auto") -> StyleCode:
        """The style that `style="words:TEXT"` means: the best match, blended with those near it that match as well.

        Its metadata says which styles were found ("found") and how the words were understood ("matched").

        Raises ValueError as `find_styles`.
        """
        return self.finder.search.style_of_words(text, encoder=encoder)

    def video(
        self,
        film: str | os.PathLike[str],
        style: StyleInput | None = None,
        strength: float = 1.0,
        **options: Any,
    ) -> PaintedFilm:
        """A film, painted frame by frame as it is read: an iterator of frames, or `.save("out.mp4")` with sound.

        Args:
            film: its file.
            style, strength: as of a call.
            options: `color`, `faces`, `outlines`, `keyframes`, `start`, `end` and others of `hfstyle.film.stylize_video`.

        Raises as `hfstyle.film.stylize_video`; ModuleNotFoundError without the packages of hfstyle[video].
        """
        from hfstyle.film import stylize_video

        return stylize_video(self, film, style, strength, **options)

    @own_precision()
    @flags_checked
    def __call__(
        self,
        image: ImageInput | Picture | Sequence[ImageInput | Picture],
        style: StyleInput | Sequence[StyleInput] | None,
        strength: float | Sequence[float] = 1.0,
        *,
        color: float | Sequence[float] = 1.0,
        faces: float | Sequence[float] = DEFAULT_FACES,
        outlines: float | Sequence[float] = DEFAULT_OUTLINES,
        regions: Sequence[Region] | None = None,
        blend: Blend = "features",
        style_weights: Sequence[float] | None = None,
        style_size: int = DEFAULT_STYLE_SIZE,
        processing_resolution: int | Literal["auto", "full"] | None = "auto",
        tile_size: TileSize = "auto",
        output_type: Output = "pil",
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        return_dict: bool = True,
        progress_callback: Callable[[int, int], None] | None = None,
        keep_alpha: bool = False,
        provenance: bool = True,
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
            faces: in [0, 1], one for all or each: how much of faces, of people and animals, is kept: there, the photo in
                the style's colours shows through the strokes. 0 paints them like everything else.
            outlines: in [0, 1], one for all or each: how far large strokes stop at outlines and thin things, which small
                ones paint alone. 0 lets them run over everything.
            regions: parts of the picture with styles, strengths and colours of their own; later ones lie over earlier
                ones. Masks are brought to the size of each picture. `strength` and `color` are the background's.
            blend: where regions are composed: "features" of the network, so that strokes run across boundaries, or
                "pixels" of a pass for each style, which takes two thirds of the time. Pictures painted in tiles, and
                `from_onnx`, take pixels.
            style_weights: one for each style, >= 0, not all zero; they are divided by their sum.
            style_size: short side in pixels, 64 to 4096, at which styles are looked at.
            processing_resolution: short side in pixels, from 64, at which the network runs; lower is faster and paints
                broader strokes. The result is brought back to the input's size with the picture's own fine detail
                (`restore_detail`). "full", for which None stands as well, runs at the picture's size; "auto" too, but
                at most at 1080 px, and at 512 px for smaller pictures, at most twice their size, as the command lines do.
            tile_size: side in pixels, from 64, of the tiles in which the network runs over larger pictures, so that
                what it needs of memory is that of a tile. Tiles are read with a margin (96 px) and share the instance statistics of the
                whole picture, measured first, so that the result is that of one pass within 0.5/255 on average.
                "auto": tiles of 1024 px for more than 2048 x 2048 pixels, and smaller ones when a GPU's memory is
                exhausted. None always takes one pass, which takes a third to a half of the time.
            output_type: "pil", "np" or "pt", see `StyleTransferOutput`.
            generator: accepted as diffusers' pipelines do and not used: nothing here is random.
            return_dict: False returns the tuple `(images,)` instead of a `StyleTransferOutput`.
            progress_callback: called as `progress_callback(done, total)` after each picture, and each tile of one
                painted in tiles, of the measuring passes too, and each band of one enlarged to its own size afterwards; a
                picture's tiles join the total when it is their turn.
            keep_alpha: keep a picture's transparency in the output instead of laying it over white.
            provenance: have PIL pictures say how they were made when the output's `save`, or `save_image`, writes them: IPTC's
                digital source type, the model and its version, in XMP; nothing private. Those of strength 0 never do.

        Raises:
            ImageError: a picture that cannot be used, or is below 16 px; it is named.
            StyleCodeError: a style code of another encoder, or a damaged file.
            ValueError: an argument out of range, empty lists, or lists of different lengths.
        """
        pictures = as_list(image, "image")
        areas = as_regions(regions)
        if style is None and not areas:
            raise ValueError("style is None; give a style, or regions that have styles")
        styles = [] if style is None else as_list(style, "style")
        amounts = as_strengths(strength, len(pictures))
        colors = as_shares("color", color, len(pictures))
        kept = as_shares("faces", faces, len(pictures))
        outlined = as_shares("outlines", outlines, len(pictures))
        style_size = check_style_size(style_size)
        size = check_resolution(processing_resolution)
        tile_size = check_tile_size(tile_size)
        if blend not in ("features", "pixels"):
            raise ValueError(f"blend is {blend!r}; give 'features' or 'pixels'")
        if output_type not in ("pil", "np", "pt"):
            raise ValueError(f"output_type is {output_type!r}; give 'pil', 'np' or 'pt'")
        progress = Progress(progress_callback, len(pictures))
        shares = None if style_weights is None else normalise_weights(style_weights, len(styles))
        if shares is None and styles and len(styles) not in (1, len(pictures)):
            raise ValueError(
                f"{len(styles)} styles for {len(pictures)} pictures; give one style for all, one for each, "
                "or style_weights for a mixture"
            )

        codes: list[StyleCode | None] = [*self.finder.encode_all(styles, style_size)] or [None]
        if shares is not None:
            codes = [StyleCode.mix([code for code in codes if code is not None], shares)]
        codes = codes * len(pictures) if len(codes) == 1 else codes
        above = layers_of(areas, self.finder, style_size)

        results: list[Any] = []
        for index, source in enumerate(pictures):
            picture = load_input(source, item_name("image", index, len(pictures)), keep_alpha)
            dtype = torch.uint8 if output_type == "pil" else torch.float32
            run = Run(tile_size, dtype, progress, kept[index], outlined[index])
            layers = [Layer(codes[index], amounts[index], colors[index]), *above]
            weights = None  # (L, H, W)
            if areas:
                weights = region_weights(areas, picture.size, picture.rgb)
            side = working_size(size, min(picture.size))
            painted = self.painter.paint(picture, layers, weights, side, run, blend)
            alpha, resolution = picture.alpha, picture.resolution
            del picture  # not kept beside its copies: of 100 megapixels, 1.2 GB
            mark = self.mark if provenance and (amounts[index] > 0 or areas) else None
            results.append(output_of(painted, alpha, output_type, resolution, mark))
            progress.picture_done()
        images = stacked(results, output_type)
        return StyleTransferOutput(images) if return_dict else (images,)

    @own_precision()
    @flags_checked
    def paint_file(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        style: StyleInput | Sequence[StyleInput],
        strength: float = 1.0,
        *,
        color: float = 1.0,
        faces: float = DEFAULT_FACES,
        outlines: float = DEFAULT_OUTLINES,
        style_weights: Sequence[float] | None = None,
        style_size: int = DEFAULT_STYLE_SIZE,
        processing_resolution: int | Literal["auto", "full"] | None = "auto",
        tile_size: TileSize = "auto",
        keep_alpha: bool = False,
        keep_exif: bool = False,
        keep_gps: bool = False,
        overwrite: bool = True,
        max_pixels: int | None = MAX_IMAGE_PIXELS,
        provenance: bool = True,
        progress_callback: Callable[[int, int], None] | None = None,
    ) -> Path:
        """Paint a picture file into another, row by row. Mind the order: the target comes before the style.

        The pixels are those of `pipe(source, style, ...)`. Beside what painting one tile takes, memory is needed for a row of
        tiles of the result, 3 bytes for each pixel, and 3 KB for each row of the photo, in which faces are looked for; with
        a `processing_resolution` of r, for one pass at that and 3 r H numbers. TIFFs in strips or tiles are decoded in
        bands if tifffile is installed; other files are decoded whole first, 4 bytes for each pixel, 8 for colours of 16
        bits, and then laid aside. What is laid aside lies in unnamed files in the target's folder: 3 bytes for each
        pixel, 12 if it has more than 8 bits, 1.5 more in tiles and 3 more with a `color` below 1.

        Args:
            source: path of the photo.
            target: path of the result, .png, .tif or .tiff; it is there when it is whole, and not before. Neither the
                photo nor a style is overwritten.
            style: a style, or with `style_weights` a list whose mixture is the style.
            strength, color, faces, outlines, style_size, processing_resolution, tile_size: as in a call of the pipeline.
            keep_alpha: keep the photo's transparency instead of laying it over white.
            keep_exif: keep date, camera and author.
            keep_gps: keep these and the place.
            overwrite: replace an existing target.
            max_pixels: limit of H * W, checked before decoding; None for none.
            provenance: as in a call of the pipeline.
            progress_callback: called as `progress_callback(done, total)` after each tile and at the end; what it raises
                ends the work, and no target is written.

        Returns:
            The target.

        Raises:
            ImageError: a photo that cannot be used, a target that cannot be written.
            StyleCodeError: a style code of another encoder, or a damaged file.
            ValueError: an argument out of range, or target and style in the order of a call of the pipeline.
        """
        check_callback(progress_callback)
        check_order(target, style, self.presets)
        styles = style if isinstance(style, (list, tuple)) else [style]
        paths = [path for path in (source, *styles) if isinstance(path, (str, os.PathLike))]
        if overwrite and InputFiles(paths).has(target):
            raise ImageError(f"{os.fspath(target)} {INPUT_REFUSED}; give another target")
        return paint_file(
            self.painter,
            source,
            target,
            self.finder.encode_mixture(style, style_weights, check_style_size(style_size)),
            strength,
            color=color,
            faces=faces,
            outlines=outlines,
            processing_resolution=processing_resolution,
            tile_size=tile_size,
            keep_alpha=keep_alpha,
            keep_exif=keep_exif,
            keep_gps=keep_gps,
            overwrite=overwrite,
            max_pixels=max_pixels,
            mark=self.mark if provenance else None,
            progress_callback=progress_callback,
        )
