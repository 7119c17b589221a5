"""Write a model as ONNX graphs: `hfstyle export-onnx`. `hfstyle.graphs.runtime` runs them.

B batch (1) · H, W height and width · D style width · T style tokens · E token width
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from errno import ENOTDIR
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from torch import Tensor, nn
from torch.export import Dim

from hfstyle.files import write_json
from hfstyle.graphs.compact import save_compact
from hfstyle.graphs.files import CONFIG_FILE, ENCODER_FILE, FACES_FILE, GENERATOR_FILE
from hfstyle.models.devices import own_precision
from hfstyle.models.generator import StyleGenerator
from hfstyle.models.graph import making
from hfstyle.models.hub import check_usable
from hfstyle.models.style_encoder import Condition
from hfstyle.styles.code import StyleCode
from hfstyle.styles.listed import STYLES_FOLDER
from hfstyle.styles.presets import Presets
from hfstyle.styles.space import SPACE_FILE

__all__ = ["export_onnx"]

_OPSET: Final = 18
_LEAST_STYLE: Final = 64  # short side of a style in pixels
_LONGEST: Final = 32_768


class Exportable(Protocol):
    """A `StyleTransferPipeline`: its networks, and its presets by name."""

    generator: Any

    @property
    def presets(self) -> Mapping[str, StyleCode]: ...


@own_precision()
def export_onnx(pipe: Exportable, folder: str | os.PathLike[str]) -> list[Path]:
    """Write a pipeline's networks and styles into a folder for `StyleTransferPipeline.from_onnx`.

    Three graphs that compute in float32, of any height and width, for one picture at a time:
        encoder.onnx: style (1, 3, h, w) in [0, 1], sides from 64 -> vector (1, D), tokens (1, T, E);
        generator.onnx: content (1, 3, H, W) in [0, 1], sides multiples of `size_multiple` and at least
            `minimum_size` (both in onnx.json), vector, tokens, strength (1,) in [0, 1], spared (1, 1, H, W) in [0, 1], outlines (1,) in [0, 1]
            -> painted (1, 3, H, W);
        faces.onnx: picture (1, 3, h, w) in [0, 1], sides multiples of 32 -> found (1, 1, h/4, w/4), which times how much
            of faces is kept is `spared`, at the content's size.

    Args:
        pipe: on any device, in any dtype; it is not changed.
        folder: made if it is not there; files of these names in it are replaced.

    Returns:
        The files written: the graphs, onnx.json, the style codes in styles/, and the style space if there is one.

    Raises:
        ModuleNotFoundError: the packages that write ONNX are not installed.
        OSError: the folder is a file, or cannot be written.
        ValueError: weights with NaN or infinity.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"exporting needs the package {error.name}: pip install 'hfstyle[onnx]'"
        ) from error
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(ENOTDIR, "is a file; give the name of a folder", str(target))
    check_usable(pipe.generator)
    target.mkdir(parents=True, exist_ok=True)
    config = pipe.generator._hub_mixin_config
    assert isinstance(config, dict)
    model = StyleGenerator(**config).float()  # a copy: casting is lossy
    model.load_state_dict({k: v.float().cpu() for k, v in pipe.generator.state_dict().items()})
    model.eval().requires_grad_(False)

    style = torch.rand(1, 3, 100, 132, dtype=torch.float32)
    free = {axis: Dim(name, min=_LEAST_STYLE, max=_LONGEST) for axis, name in ((2, "h"), (3, "w"))}
    names = (ENCODER_FILE, GENERATOR_FILE, FACES_FILE, CONFIG_FILE)
    files = [target / name for name in names]
    _write(_Encoder(model), (style,), {"style": free}, ["vector", "tokens"], files[0])
    multiple, least = model.size_multiple, model.minimum_size
    steps = {
        axis: multiple * Dim(name, min=-(-least // multiple), max=_LONGEST // multiple)
        for axis, name in ((2, "rows"), (3, "columns"))
    }
    condition = model.encode(style)
    content = torch.rand(1, 3, 6 * multiple, 8 * multiple, dtype=torch.float32)
    _write(
        _Generator(model),
        (
            content,
            condition.vector,
            condition.tokens,
            torch.ones(1, dtype=torch.float32),
            0.5 * torch.ones_like(content[:, :1]),
            0.5 * torch.ones(1, dtype=torch.float32),
        ),
        {
            "content": steps,
            "vector": None,
            "tokens": None,
            "strength": None,
            "spared": steps,
            "outlines": None,
        },
        ["painted"],
        files[1],
    )
    looked = {
        axis: 32 * Dim(name, min=1, max=_LONGEST // 32) for axis, name in ((2, "high"), (3, "wide"))
    }
    picture = torch.rand(1, 3, 96, 128, dtype=torch.float32)
    _write(model.faces, (picture,), {"picture": looked}, ["found"], files[2])
    facts = {
        "encoder": model.encoder_fingerprint(),
        "size_multiple": multiple,
        "minimum_size": least,
        "vector_parts": list(model.encoder.parts),
        "model": config,
    }
    write_json(files[3], facts)
    for name, code in pipe.presets.items():
        files.append(target / STYLES_FOLDER / f"{name}.safetensors")
        code.save(files[-1])
    if isinstance(pipe.presets, Presets) and (space := pipe.presets.space()) is not None:
        files.append(target / SPACE_FILE)  # without it, random:7 would be another style
        space.save(files[-1])
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

    def forward(
        self,
        content: Tensor,
        vector: Tensor,
        tokens: Tensor,
        strength: Tensor,
        spared: Tensor,
        outlines: Tensor,
    ) -> Tensor:
        condition = Condition(vector, tokens)
        painted: Tensor = self.generator(
            content, condition, strength, spared=spared, outlines=outlines
        )
        return painted


def _write(
    module: nn.Module, inputs: tuple[Tensor, ...], shapes: Any, outputs: list[str], file: Path
) -> None:
    with _quiet(), making():
        program = torch.export.export(
            module,
            inputs,
            dynamic_shapes=shapes,
            strict=False,
            prefer_deferred_runtime_asserts_over_guards=True,  # the encoder crops to a multiple
        )
        graph = torch.onnx.export(
            program,
            dynamo=True,
            input_names=list(shapes),
            output_names=outputs,
            opset_version=_OPSET,
            optimize=False,  # takes minutes; onnxruntime does it in a second
            verbose=False,
        )
    assert graph is not None
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        save_compact(graph, temporary)
        os.replace(temporary, file)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from error
    finally:
        temporary.unlink(missing_ok=True)


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
