"""`RandomStyle`: training data in random styles, as an ordinary callable for `datasets.map` and transforms.

Stylisation as augmentation makes a network look at shapes more than at textures (Geirhos et al. 2019, "ImageNet-trained
CNNs are biased towards texture"; style augmentation: Jackson et al. 2019).
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from hfstyle.images.load import load_image
from hfstyle.images.save import to_pil
from hfstyle.limits import DEFAULT_FACES, DEFAULT_OUTLINES, as_share

if TYPE_CHECKING:
    from PIL import Image

    from hfstyle.pipeline import StyleTransferPipeline

__all__ = ["RandomStyle"]


class RandomStyle:
    """Paint a picture in a random style, with some probability.

    Takes a picture in any form the pipeline takes and returns a PIL picture of the same size; or an example or a batch of
    examples of `datasets`, a dict whose column is replaced.

    Args:
        pipeline: a `StyleTransferPipeline`, or what its `from_pretrained` takes; None is the bundled model. A name is
            loaded when first used, once in each process, so that workers can be sent this object.
        probability: in [0, 1], with which a picture is painted.
        strength: from, to; each in [0, 1]; drawn for each picture.
        color: from, to; as `strength`. (0, 0) keeps the colours of all pictures.
        faces, outlines: of the pipeline: how much of both is kept.
        temperature: of `sample_style`.
        seed: None draws other styles in each process and run; a number draws the same for the same sequence of calls.
        column: of pictures, in examples.
        processing_resolution: of the pipeline.

    Raises:
        ValueError: a number out of range.

    Example:
        >>> dataset.map(RandomStyle(probability=0.5, seed=0), batched=True, batch_size=16)
    """

    def __init__(
        self,
        pipeline: StyleTransferPipeline | str | os.PathLike[str] | None = None,
        *,
        probability: float = 1.0,
        strength: tuple[float, float] = (0.5, 1.0),
        color: tuple[float, float] = (1.0, 1.0),
        faces: float = DEFAULT_FACES,
        outlines: float = DEFAULT_OUTLINES,
        temperature: float = 1.0,
        seed: int | None = None,
        column: str = "image",
        processing_resolution: int | Literal["auto", "full"] | None = "auto",
    ) -> None:
        self.probability = as_share("probability", probability)
        self.strength, self.color = _range("strength", strength), _range("color", color)
        self.faces, self.outlines = as_share("faces", faces), as_share("outlines", outlines)
        self.temperature, self.column = temperature, column
        self.processing_resolution = processing_resolution
        self._name: str | os.PathLike[str] | None = None
        self._pipeline: StyleTransferPipeline | None = None
        if pipeline is None or isinstance(pipeline, (str, os.PathLike)):
            self._name = pipeline
        else:
            self._pipeline = pipeline
        self._named = self._pipeline is None
        self._seed = seed
        self._random, self._process = random.Random(seed), os.getpid()

    def __call__(self, value: Any) -> Any:
        """A picture -> a PIL picture; a dict -> the same with other pictures in its column.

        Raises:
            ImageError: not a picture.
            KeyError: a dict without the column.
        """
        if not isinstance(value, Mapping):
            return self._paint(value)
        if self.column not in value:
            raise KeyError(
                f"the example has the columns {', '.join(map(str, value))} and no {self.column!r}; "
                "name it with RandomStyle(column=...)"
            )
        given = value[self.column]
        many = isinstance(given, Sequence) and not isinstance(given, (str, bytes))
        painted = [self._paint(item) for item in given] if many else self._paint(given)
        return {**value, self.column: painted}

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._named:
            state["_pipeline"] = None
        return state

    def _paint(self, source: Any) -> Image.Image:
        if self._seed is None and self._process != os.getpid():  # sent to a worker, or forked
            self._random, self._process = random.Random(), os.getpid()
        draw = self._random
        chosen = draw.random() < self.probability
        strength, color = draw.uniform(*self.strength), draw.uniform(*self.color)
        seed = draw.getrandbits(62)
        picture = load_image(source)
        if not chosen:
            return to_pil(picture.rgb)
        if self._pipeline is None:
            from hfstyle.pipeline import StyleTransferPipeline

            self._pipeline = StyleTransferPipeline.from_pretrained(self._name)
        pipe = self._pipeline
        code = pipe.sample_style(seed, self.temperature)
        painted: Image.Image = pipe(
            picture,
            code,
            strength,
            color=color,
            faces=self.faces,
            outlines=self.outlines,
            processing_resolution=self.processing_resolution,
        ).images[0]
        return painted


def _range(name: str, value: tuple[float, float]) -> tuple[float, float]:
    try:
        least, most = (as_share(name, item) for item in value)
    except TypeError:
        raise ValueError(f"{name} is {value!r}; give two numbers, as (0.5, 1.0)") from None
    if least > most:
        raise ValueError(
            f"{name} is {value!r}; the first number must not be larger than the second"
        )
    return least, most
