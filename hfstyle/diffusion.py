"""Whatever diffusers makes, in a style: one line around a pipeline, or a block at the end of a modular one.

from diffusers import AutoPipelineForText2Image
from hfstyle.diffusion import styled

paint = styled(AutoPipelineForText2Image.from_pretrained("user/model"), "great_wave_hokusai")
paint("a lighthouse in a storm").images[0]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from PIL import Image

from hfstyle.limits import Numbers, all_numbers
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.styles.code import StyleInput

__all__ = ["StyledPipeline", "styled", "stylize_block"]


class StyledPipeline:
    """A pipeline of diffusers whose pictures are painted in a style; see `styled`.

    Whatever else is asked of it (`to`, `enable_model_cpu_offload`, `scheduler` ...) is the pipeline's own.
    """

    def __init__(
        self,
        pipeline: Any,
        style: StyleInput,
        painter: StyleTransferPipeline,
        options: dict[str, Any],
    ) -> None:
        self.pipeline, self.painter = pipeline, painter
        self._code, self._options = painter.encode_style(style), options

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """As the pipeline's call, with its output of painted pictures.

        Raises ValueError for an `output_type` other than "pil", or an output without pictures.
        """
        if options.get("output_type", "pil") != "pil":
            raise ValueError(
                f"output_type is {options['output_type']!r}; a styled pipeline paints 'pil' pictures"
            )
        output = self.pipeline(*arguments, **options)
        if isinstance(output, tuple):
            return (self._painted(output[0]), *output[1:])
        if not hasattr(output, "images"):
            raise ValueError(
                f"{type(self.pipeline).__name__} makes {type(output).__name__}, which has no images; give a pipeline of pictures"
            )
        output.images = self._painted(output.images)
        return output

    def to(self, *arguments: Any, **options: Any) -> StyledPipeline:
        """Move the pipeline; the painter stays where it is."""
        self.pipeline.to(*arguments, **options)
        return self

    def __getattr__(self, name: str) -> Any:
        if name == "pipeline":  # while it is copied
            raise AttributeError(name)
        return getattr(self.pipeline, name)

    def _painted(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        painted: list[Image.Image] = self.painter(list(images), self._code, **self._options).images
        return painted


def styled(
    pipeline: Any,
    style: StyleInput,
    strength: float = 1.0,
    *,
    painter: StyleTransferPipeline | None = None,
    **numbers: Unpack[Numbers],
) -> StyledPipeline:
    """A pipeline of diffusers (text to picture, picture to picture, inpainting ...) whose pictures are painted in a style.

    Args:
        pipeline: any whose call returns an output with `images`.
        style: whatever may be the style of `StyleTransferPipeline`'s call.
        strength, numbers (color, faces, outlines): as of that call.
        painter: what paints; None is the bundled model on the pipeline's device.

    Raises ValueError, ImageError, StyleCodeError as `StyleTransferPipeline`, for a style or a number that cannot be used.
    """
    options = {"strength": strength, **all_numbers(numbers)}
    if painter is None:
        device = getattr(pipeline, "device", None)
        painter = StyleTransferPipeline.from_pretrained(device=device)
    return StyledPipeline(pipeline, style, painter, options)


def stylize_block(painter: StyleTransferPipeline | None = None) -> Any:
    """A block for diffusers' modular pipelines that paints `images`; it is put at the end.

        blocks = pipe.blocks.sub_blocks
        blocks.insert("stylize", stylize_block(), len(blocks))

    Its inputs are `images`, `style` and `style_strength` (1.0); its output is `images`.

    Raises ModuleNotFoundError without diffusers 0.36 or later.
    """
    try:
        from diffusers.modular_pipelines import InputParam, ModularPipelineBlocks, OutputParam
    except ImportError as error:
        raise ModuleNotFoundError(
            "blocks need diffusers 0.36 or later; install it with: pip install -U diffusers",
            name="diffusers",
        ) from error

    base: Any = ModularPipelineBlocks

    class StylizeBlock(base):
        """Pictures in the style of a picture, by hfstyle."""

        model_name = "hfstyle"

        @property
        def description(self) -> str:
            return "Paints pictures in the style of a picture, a preset's name, or words (hfstyle)."

        @property
        def inputs(self) -> list[Any]:
            return [
                InputParam("images", required=True, description="PIL pictures, or one"),
                InputParam(
                    "style", required=True, description="picture, style code, preset or words"
                ),
                InputParam("style_strength", default=1.0, description="0 to 1"),
            ]

        @property
        def intermediate_outputs(self) -> list[Any]:
            return [OutputParam("images", type_hint=list, description="painted PIL pictures")]

        def __call__(self, components: Any, state: Any) -> tuple[Any, Any]:
            nonlocal painter
            painter = painter or StyleTransferPipeline.from_pretrained()
            block = self.get_block_state(state)
            given = block.images if isinstance(block.images, (list, tuple)) else [block.images]
            block.images = painter(list(given), block.style, block.style_strength).images
            self.set_block_state(state, block)
            return components, state

    return StylizeBlock()
