"""`Stylizer`: a batch of encoded pictures in, encoded pictures and errors out; for engines that map functions over data."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, Unpack

import numpy as np
import torch

from hfstyle.images.encode import WRITE_FORMATS
from hfstyle.images.load import load_image
from hfstyle.images.save import encode_image
from hfstyle.limits import DEFAULT_STYLE_SIZE, Numbers, all_numbers, flags_checked
from hfstyle.messages import reason
from hfstyle.models.devices import chosen_device
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.styles.code import StyleCode, StyleInput

__all__ = ["Stylizer"]

ERROR: Final = "error"
"""The column that says why a picture was not painted."""


class Stylizer:
    """Paints the pictures in a column of a table.

    It is called with a part of the table, in whatever form an engine has it, and returns the same form:

        dataset.map(stylizer, batched=True)                             datasets: lists by column; returns the new columns
        ray.data.read_parquet(path).map_batches(stylizer)               Ray Data: arrays by column, pandas or pyarrow
        frame.mapInPandas(stylizer, schema)                             Spark: an iterator of pandas' frames

    The new columns are `output_column`, the painted picture as the bytes of a file, or None, and "error", None or why it
    could not be painted. A bad picture stops none of the others. In the image column may stand bytes, {"bytes", "path"} as
    `datasets.Image` stores pictures, paths, or decoded pictures.

    A copy in another process loads the model when it paints its first picture; the settings travel, the weights do not.

    Args:
        style: as of a call of the pipeline; encoded once in each process.
        model: of `StyleTransferPipeline.from_pretrained`; None is the bundled one.
        strength, style_size, numbers (color, faces, outlines): as of a call of the pipeline.
        size: short side in pixels at which the network runs, "auto" or "full".
        format: of the painted pictures: "png", "jpg", "webp", "tif" or "avif".
        quality: 1 to 100, of JPEG, WebP and AVIF.
        keep_alpha: keep transparency instead of laying it over white.
        provenance: say in the files how they were made, as of the pipeline's call.
        image_column, output_column: names.
        device: "auto" is a GPU where there is one.
        dtype: of the weights, as of `from_pretrained`.

    Raises:
        ValueError: an unknown format, one of the numbers out of range; other arguments are refused when the first picture is
            painted.
    """

    @flags_checked
    def __init__(
        self,
        style: StyleInput,
        *,
        model: str | os.PathLike[str] | None = None,
        strength: float = 1.0,
        style_size: int = DEFAULT_STYLE_SIZE,
        size: int | Literal["auto", "full"] = "auto",
        format: str = "png",
        quality: int = 95,
        keep_alpha: bool = False,
        provenance: bool = True,
        image_column: str = "image",
        output_column: str = "painted",
        device: str = "auto",
        dtype: torch.dtype | Literal["auto"] = torch.float32,
        **numbers: Unpack[Numbers],
    ) -> None:
        if f".{format}" not in WRITE_FORMATS:
            known = ", ".join(suffix[1:] for suffix in WRITE_FORMATS)
            raise ValueError(f"format is {format!r}; give one of {known}")
        self._style, self._style_size = style, style_size
        self._model, self._device, self._dtype = model, device, dtype
        self._options: dict[str, Any] = {
            "strength": strength,
            **all_numbers(numbers),
            "processing_resolution": size,
            "keep_alpha": keep_alpha,
            "provenance": provenance,
        }
        self._suffix, self._quality = f".{format}", quality
        self._image, self._output = image_column, output_column
        self._ready: tuple[StyleTransferPipeline, StyleCode] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ready": None}

    def __call__(self, batch: Any) -> Any:
        """A part of a table -> that with the new columns; see the class.

        Raises:
            KeyError: it has no such column.
            ValueError: the model, the style or an option cannot be used, whatever the pictures.
        """
        if isinstance(batch, Iterator):
            return map(self, batch)
        if hasattr(batch, "to_pandas") and hasattr(batch, "append_column"):  # of pyarrow
            return self._with_arrow(batch)
        if hasattr(batch, "assign"):  # of pandas
            painted, errors = self._paint(batch[self._image].tolist())
            return batch.assign(**{self._output: painted, ERROR: errors})
        column = batch[self._image]
        painted, errors = self._paint(list(column))
        if isinstance(column, np.ndarray):
            new = {self._output: _objects(painted), ERROR: _objects(errors)}
            return {**batch, **new}
        return {self._output: painted, ERROR: errors}

    def _with_arrow(self, table: Any) -> Any:
        import pyarrow as pa

        painted, errors = self._paint(table[self._image].to_pylist())
        for name, values, kind in (
            (self._output, painted, pa.binary()),
            (ERROR, errors, pa.string()),
        ):
            table = table.append_column(name, pa.array(values, kind))
        return table

    def _paint(self, pictures: list[Any]) -> tuple[list[bytes | None], list[str | None]]:
        pipe, code = self._loaded()
        painted: list[bytes | None] = []
        errors: list[str | None] = []
        for number, source in enumerate(pictures):
            try:
                picture = load_image(
                    _encoded(source),
                    keep_alpha=self._options["keep_alpha"],
                    name=_name(source, number),
                    compact=True,
                )
                image = pipe(picture, code, **self._options).images[0]
                painted.append(encode_image(image, self._suffix, quality=self._quality))
                errors.append(None)
            except Exception as error:  # one bad picture stops none of the others
                painted.append(None)
                errors.append(reason(error))
        return painted, errors

    def _loaded(self) -> tuple[StyleTransferPipeline, StyleCode]:
        if self._ready is None:
            pipe = StyleTransferPipeline.from_pretrained(
                self._model, device=chosen_device(self._device), dtype=self._dtype
            )
            code = pipe.encode_style(self._style, style_size=self._style_size)
            # What is wrong with the options is wrong with all pictures.
            pipe(np.zeros((16, 16, 3), np.uint8), code, **self._options)
            self._ready = pipe, code
        return self._ready


def _encoded(source: Any) -> Any:
    if isinstance(source, Mapping):
        return source["bytes"] if source.get("bytes") is not None else source["path"]
    return source


def _name(source: Any, number: int) -> str:
    path = source.get("path") if isinstance(source, Mapping) else source
    return path if isinstance(path, str) else f"picture {number} of the batch"


def _objects(values: list[Any]) -> np.ndarray[Any, Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
