"""Names of the files of an exported model."""

from __future__ import annotations

from typing import Final

__all__ = ["CONFIG_FILE", "ENCODER_FILE", "FACES_FILE", "GENERATOR_FILE"]

CONFIG_FILE: Final = "onnx.json"
ENCODER_FILE: Final = "encoder.onnx"
GENERATOR_FILE: Final = "generator.onnx"
FACES_FILE: Final = "faces.onnx"
