"""The folder of a run: there and writable before the first step, and told in one sentence when it no longer is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from safetensors import SafetensorError

__all__ = ["make_output_dir", "written"]

_OF_TORCH: Final = ("PytorchStreamWriter", "inline_container")
"""What a RuntimeError of `torch.save` names when a file cannot be written."""


def make_output_dir(place: str | Path) -> Path:
    """Make the folder of --output_dir, unless it is there. Raises ValueError if no file can be written into it."""
    folder = Path(place)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"--output_dir {folder} cannot be written ({error.strerror or error}); choose another folder"
        ) from error
    return folder


@contextmanager
def written(target: Path, remedy: str, partial: Path | None = None) -> Iterator[None]:
    """Whatever keeps `target` from being written meanwhile, such as a full disk, is told as an OSError with a remedy.

    partial: the folder into which it is written first, of which then nothing is left.
    """
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(x in str(error) for x in _OF_TORCH):
            raise
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
        raise OSError(f"{target} could not be written ({error}); {remedy}") from error
