"""Write a model as ONNX graphs: `hfstyle export-onnx`. `hfstyle.onnx_runtime` runs them.

B batch (1) · H, W height and width · D style width · T style tokens · E token width
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.export import Dim

from hfstyle._presets import STYLES_FOLDER
from hfstyle.models.generator import StyleGenerator
from hfstyle.models.style_encoder import Condition
from hfstyle.pipeline import StyleTransferPipeline

__all__ = ["CONFIG_FILE", "ENCODER_FILE", "GENERATOR_FILE", "export_onnx"]

CONFIG_FILE: Final = "onnx.json"
ENCODER_FILE: Final = "encoder.onnx"
GENERATOR_FILE: Final = "generator.onnx"

_OPSET: Final = 18
_LEAST_STYLE: Final = 64  # short side of a style in pixels
_LONGEST: Final = 32_768


def export_onnx(pipe: StyleTransferPipeline, folder: str | os.PathLike[str]) -> list[Path]:
    """Write a pipeline's networks and styles into a folder for `StyleTransferPipeline.from_onnx`.

    Two graphs of float32, of any height and width, for one picture at a time:
        encoder.onnx: style (1, 3, h, w) in [0, 1], sides from 64 -> vector (1, D), tokens (1, T, E);
        generator.onnx: content (1, 3, H, W) in [0, 1], sides multiples of `size_multiple` and at least
            `minimum_size` (both in onnx.json), vector, tokens, strength (1,) in [0, 1] -> painted (1, 3, H, W).

    Args:
        pipe: on any device, in any dtype; it is not changed.
        folder: made if it is not there; files of these names in it are replaced.

    Returns:
        The files written: the graphs, onnx.json, and the style codes in styles/.

    Raises:
        ModuleNotFoundError: the packages that write ONNX are not installed.
        OSError: the folder cannot be written.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"exporting needs the package {error.name}: pip install 'hfstyle[onnx]'"
        ) from error
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    config = pipe.generator._hub_mixin_config
    assert isinstance(config, dict)
    model = StyleGenerator(**config)  # a copy: casting is lossy
    model.load_state_dict({k: v.float().cpu() for k, v in pipe.generator.state_dict().items()})
    model.eval().requires_grad_(False)

    style = torch.rand(1, 3, 100, 132)
    free = {axis: Dim(name, min=_LEAST_STYLE, max=_LONGEST) for axis, name in ((2, "h"), (3, "w"))}
    files = [target / ENCODER_FILE, target / GENERATOR_FILE, target / CONFIG_FILE]
    _write(_Encoder(model), (style,), {"style": free}, ["vector", "tokens"], files[0])
    multiple, least = model.size_multiple, model.minimum_size
    steps = {
        axis: multiple * Dim(name, min=-(-least // multiple), max=_LONGEST // multiple)
        for axis, name in ((2, "rows"), (3, "columns"))
    }
    condition = model.encode(style)
    content = torch.rand(1, 3, 6 * multiple, 8 * multiple)
    _write(
        _Generator(model),
        (content, condition.vector, condition.tokens, torch.ones(1)),
        {"content": steps, "vector": None, "tokens": None, "strength": None},
        ["painted"],
        files[1],
    )
    facts = {
        "encoder": model.encoder_fingerprint(),
        "size_multiple": multiple,
        "minimum_size": least,
        "model": config,
    }
    files[2].write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    for name, code in pipe.presets.items():
        files.append(target / STYLES_FOLDER / f"{name}.safetensors")
        code.save(files[-1])
    return files


class _Encoder(nn.Module):
    """The style encoder, with plain tensors for outputs."""

    def __init__(self, model: StyleGenerator) -> None:
        super().__init__()
        self.encoder = model.encoder
        self.eval()

    def forward(self, style: Tensor) -> tuple[Tensor, Tensor]:
        vector, tokens = self.encoder(style)
        return vector, tokens


class _Generator(nn.Module):
    """The generator, with plain tensors for inputs."""

    def __init__(self, model: StyleGenerator) -> None:
        super().__init__()
        self.generator = model
        self.eval()

    def forward(self, content: Tensor, vector: Tensor, tokens: Tensor, strength: Tensor) -> Tensor:
        painted: Tensor = self.generator(content, Condition(vector, tokens), strength)
        return painted


def _write(
    module: nn.Module, inputs: tuple[Tensor, ...], shapes: Any, outputs: list[str], file: Path
) -> None:
    with _quiet():
        program = torch.export.export(
            module,
            inputs,
            dynamic_shapes=shapes,
            strict=False,
            prefer_deferred_runtime_asserts_over_guards=True,  # the encoder crops to a multiple
        )
        program = program.run_decompositions({torch.ops.aten.adaptive_avg_pool2d.default: _pool})
        graph = torch.onnx.export(
            program,
            dynamo=True,
            input_names=list(shapes),
            output_names=outputs,
            opset_version=_OPSET,
            verbose=False,
        )
    assert graph is not None
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        graph.save(temporary, external_data=False)
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


def _pool(x: Tensor, sides: list[int]) -> Tensor:
    """Adaptive average pooling (B, C, H, W) -> (B, C, *sides) as two products with matrices.

    ONNX has no such operator, and torch's exporter writes one that is right for the size of its example only.
    """
    rows, columns = (_averages(x, axis, side) for axis, side in zip((2, 3), sides, strict=True))
    return rows @ x @ columns.transpose(0, 1)


def _averages(x: Tensor, axis: int, side: int) -> Tensor:
    """(side, length of the axis): row i averages over pixels floor(i L / side) to ceil((i + 1) L / side) - 1."""
    length = x.shape[axis]
    steps = torch.arange(side, device=x.device)
    first = (steps * length) // side
    stop = ((steps + 1) * length + side - 1) // side
    place = torch.arange(length, device=x.device)
    inside = (place >= first[:, None]) & (place < stop[:, None])  # (side, L)
    weights = inside.to(x.dtype)
    return weights / weights.sum(1, keepdim=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Torch's exporter tells its steps on standard output, and warns of packages that nobody needs here."""
    loud = logging.getLogger("torch.onnx")
    level = loud.level
    loud.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        loud.setLevel(level)
