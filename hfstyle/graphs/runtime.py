"""`StyleTransferPipeline.from_onnx`: the graphs of `hfstyle export-onnx` on onnxruntime."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from hfstyle.graphs.files import CONFIG_FILE, ENCODER_FILE, FACES_FILE, GENERATOR_FILE
from hfstyle.models.style_encoder import Condition

__all__ = ["GraphNetwork"]


class GraphNetwork:
    """The two graphs, called as `StyleGenerator` is: float32 on the CPU, in one pass.

    Args:
        folder: written by `hfstyle.graphs.export.export_onnx`.
        threads: of each network, from 1; None is torch's number.

    Raises:
        FileNotFoundError: no such folder, or it lacks a file.
        ValueError: a file that is not what its name says.
        ModuleNotFoundError: onnxruntime is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str], threads: int | None = None) -> None:
        folder = Path(folder)
        self._folder, self._threads = folder, threads
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "ONNX models need the package onnxruntime: pip install 'hfstyle[onnx]'"
            ) from error
        for name in (CONFIG_FILE, ENCODER_FILE, FACES_FILE, GENERATOR_FILE):
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"{folder} holds no {name}; `hfstyle export-onnx -o {folder}` writes it"
                )
        try:
            facts = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
            self.size_multiple = int(facts["size_multiple"])
            self.minimum_size = int(facts["minimum_size"])
            self._fingerprint = str(facts["encoder"])
            # What a space of styles is fitted with, where the model came without one.
            self.encoder = SimpleNamespace(
                parts=tuple(map(int, facts.get("vector_parts", ()))), tokens_shape=None
            )
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
        for name in (ENCODER_FILE, GENERATOR_FILE, FACES_FILE):
            try:
                self._sessions[name] = onnxruntime.InferenceSession(
                    str(folder / name), options, providers=["CPUExecutionProvider"]
                )
            except Exception as error:  # onnxruntime's kinds have no public base
                raise ValueError(
                    f"{folder / name} cannot be run: {' '.join(str(error).split())}"
                ) from error

        shapes = {value.name: value.shape for value in self._sessions[GENERATOR_FILE].get_inputs()}
        self._knows_outlines = "outlines" in shapes
        if all(isinstance(size, int) for size in shapes.get("tokens", [None])):
            self.encoder.tokens_shape = tuple(shapes["tokens"][1:])

    def __reduce__(self) -> tuple[type[GraphNetwork], tuple[Path, int | None]]:
        """Sessions belong to a process: another one opens the files again."""
        return GraphNetwork, (self._folder, self._threads)

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
        *,
        spared: Tensor | None = None,
        outlines: Tensor | None = None,
    ) -> Tensor:
        """content (1, 3, H, W), condition of one style, strength (1,), spared (1, 1, H, W), outlines (1,) -> (1, 3, H, W).

        Raises:
            ValueError: outlines, of a graph that was exported before there was such an input.
        """
        spared = torch.zeros_like(content[:, :1]) if spared is None else spared
        told = {"outlines": torch.zeros_like(strength) if outlines is None else outlines}
        if not self._knows_outlines:
            if outlines is not None:
                raise ValueError(
                    f"outlines is {float(outlines):g}, but {self._folder / GENERATOR_FILE} was exported before there was "
                    "such an input; give outlines=0, or run hfstyle export-onnx again"
                )
            told = {}
        vector, tokens = condition
        (painted,) = self._run(
            GENERATOR_FILE,
            content=content,
            vector=vector,
            tokens=tokens,
            strength=strength,
            spared=spared,
            **told,
        )
        return painted

    def faces(self, picture: Tensor) -> Tensor:
        """picture (1, 3, h, w), sides multiples of 32 -> where faces are, (1, 1, h/4, w/4)."""
        (found,) = self._run(FACES_FILE, picture=picture)
        return found

    def to(self, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        """Checks that this is where and what the graphs are.

        Raises:
            ValueError: another device than the CPU, another dtype than float32.
        """
        if torch.device(device or "cpu").type != "cpu" or dtype not in (None, torch.float32):
            raise ValueError(
                f"an ONNX model runs in float32 on the CPU, not in {dtype or torch.float32} on "
                f"{device or 'cpu'}; load the model itself with from_pretrained"
            )

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Not possible: ValueError."""
        raise ValueError("an ONNX model cannot be saved as weights; copy its folder")

    def _run(self, name: str, **inputs: Tensor) -> list[Tensor]:
        arrays = {key: value.contiguous().float().numpy() for key, value in inputs.items()}
        return [torch.from_numpy(array) for array in self._sessions[name].run(None, arrays)]
