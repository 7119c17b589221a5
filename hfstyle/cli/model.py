"""The model that a command is to use."""

from __future__ import annotations

import argparse
from pathlib import Path

from hfstyle.models.devices import chosen_device, dtype_of
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.styles.presets import local_folder
from hfstyle.styles.space import SPACE_FILE

__all__ = ["load_pipeline", "model_files"]


def load_pipeline(args: argparse.Namespace) -> StyleTransferPipeline:
    try:
        return StyleTransferPipeline.from_pretrained(
            args.model,
            revision=args.revision,
            dtype=dtype_of(getattr(args, "dtype", "float32")),
            device=chosen_device(getattr(args, "device", "cpu")),
        )
    except OSError as error:
        if args.model is None or Path(args.model).name in str(error):
            raise
        raise OSError(f"model {args.model}: {error}") from error  # the Hub's do not always name it


def model_files(args: argparse.Namespace) -> list[Path]:
    """What a command reads of a model that lies in a folder."""
    try:
        folder = local_folder(args.model)
    except FileNotFoundError:  # loading it will say so
        return []
    names = ("config.json", "model.safetensors", SPACE_FILE)
    return [] if folder is None else [folder / name for name in names]
