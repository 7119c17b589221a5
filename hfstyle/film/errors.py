"""What is wrong with a film, and the packages that films need, which are imported when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["VideoError", "load_av", "load_cv2"]

_INSTALL = "pip install 'hfstyle[video]'"


class VideoError(ValueError):
    """A film that cannot be read, painted or written; says which, why and what to do."""


def load_av() -> Any:
    """The package av (PyAV), quiet: what FFmpeg says of a damaged film is told in one sentence instead.

    Raises ModuleNotFoundError, with what to install, where it is absent.
    """
    av = _load("av", "films are read and written by the package av")
    av.logging.set_level(None)
    return av


def load_cv2() -> Any:
    """The package OpenCV, which finds how pictures move. ModuleNotFoundError, with what to install, where it is absent."""
    return _load("cv2", "how frames move is found by the package opencv-python-headless")


def _load(name: str, why: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ModuleNotFoundError(
            f"{why}, which is not installed; install it: {_INSTALL}", name=name
        ) from None
