"""`StyleTransferPipeline.from_onnx`: the graphs of `hfstyle export-onnx` on onnxruntime."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import Tensor

from hfstyle._presets import Presets
from hfstyle.models.generator import StyleGenerator
from hfstyle.models.layers import InstanceStatistics
from hfstyle.models.style_encoder import Condition
from hfstyle.onnx_export import CONFIG_FILE, ENCODER_FILE, GENERATOR_FILE
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.tiling import UNTILED_PIXELS, TileSize, tile_side

__all__ = ["OnnxPipeline"]


class OnnxPipeline(StyleTransferPipeline):
    """As `StyleTransferPipeline`, with the networks in onnxruntime: float32 on the CPU, in one pass.

    Args:
        folder: written by `hfstyle.onnx_export.export_onnx`.
        threads: of each network, from 1; None is torch's number.

    Raises:
        FileNotFoundError: no such folder, or it lacks a file.
        ValueError: a file that is not what its name says.
        ModuleNotFoundError: onnxruntime is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str], threads: int | None = None) -> None:
        source = Path(folder)
        network = _Network(source, threads)
        # Of a StyleGenerator, the pipeline needs what `_Network` has.
        self._start(cast(StyleGenerator, network), Presets(source, network.encoder_fingerprint()))

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    def to(
        self,
        device: torch.device | str | torch.dtype | None = None,
        dtype: torch.dtype | None = None,
    ) -> Self:
        """Checks that this is where and what the graphs are.

        Raises:
            ValueError: another device than the CPU, another dtype than float32.
        """
        if isinstance(device, torch.dtype):
            device, dtype = None, device
        if torch.device(device or "cpu").type != "cpu" or dtype not in (None, torch.float32):
            raise ValueError(
                f"an ONNX model runs in float32 on the CPU, not in {dtype or torch.float32} on "
                f"{device or 'cpu'}; load the model itself with from_pretrained"
            )
        return self

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Not possible: ValueError."""
        raise ValueError("an ONNX model cannot be saved as weights; copy its folder")

    def _tile_side(self, tile_size: TileSize, height: int, width: int) -> int | None:
        if isinstance(tile_size, int) and max(height, width) > tile_size:
            raise ValueError(
                f"tile_size is {tile_size}: the graphs have no tiles; give tile_size=None and a "
                "processing_resolution, or load the model itself with from_pretrained"
            )
        if tile_size == "auto" and tile_side(tile_size, height, width) is not None:
            raise ValueError(
                f"{width} x {height} px are more than the {UNTILED_PIXELS:,} (2048 x 2048) that fit into one pass, and "
                "the graphs have no tiles; give a processing_resolution, or load the model itself with "
                "from_pretrained; tile_size=None takes one pass all the same, if there is the memory for it"
            )
        return None


class _Network:
    """The two graphs, called as `StyleGenerator` is."""

    def __init__(self, folder: Path, threads: int | None) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "ONNX models need the package onnxruntime: pip install 'hfstyle[onnx]'"
            ) from error
        for name in (CONFIG_FILE, ENCODER_FILE, GENERATOR_FILE):
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"{folder} holds no {name}; `hfstyle export-onnx -o {folder}` writes it"
                )
        try:
            facts = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
            self.size_multiple = int(facts["size_multiple"])
            self.minimum_size = int(facts["minimum_size"])
            self._fingerprint = str(facts["encoder"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{folder / CONFIG_FILE} is damaged ({error}); write it again with `hfstyle export-onnx`"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_mem_pattern = False  # plans memory for one size, and ours changes
        options.log_severity_level = 3
        self._sessions: dict[str, Any] = {}
        for name in (ENCODER_FILE, GENERATOR_FILE):
            try:
                self._sessions[name] = onnxruntime.InferenceSession(
                    str(folder / name), options, providers=["CPUExecutionProvider"]
                )
            except Exception as error:  # onnxruntime's kinds have no public base
                raise ValueError(
                    f"{folder / name} cannot be run: {' '.join(str(error).split())}"
                ) from error

    def encoder_fingerprint(self) -> str:
        return self._fingerprint

    def encode(self, style: Tensor) -> Condition:
        """style (1, 3, h, w) -> its condition."""
        vector, tokens = self._run(ENCODER_FILE, style=style)
        return Condition(vector, tokens)

    def __call__(
        self,
        content: Tensor,
        condition: Condition,
        strength: Tensor,
        statistics: InstanceStatistics | None = None,
    ) -> Tensor:
        """content (1, 3, H, W), condition of one style, strength (1,) -> (1, 3, H, W)."""
        assert statistics is None
        vector, tokens = condition
        (painted,) = self._run(
            GENERATOR_FILE, content=content, vector=vector, tokens=tokens, strength=strength
        )
        return painted

    def _run(self, name: str, **inputs: Tensor) -> list[Tensor]:
        arrays = {key: value.contiguous().float().numpy() for key, value in inputs.items()}
        return [torch.from_numpy(array) for array in self._sessions[name].run(None, arrays)]
