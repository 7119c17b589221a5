"""The command lines and the web app in this process, for tests that compare them with Python."""

from __future__ import annotations

import functools
import inspect
import os
import runpy
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hfstyle import StyleTransferPipeline


def run(module: str, *arguments: object) -> None:
    """`python -m module arguments`, which need not load everything again; it must succeed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [module, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    assert not ended.value.code


def idle_app(pipe: StyleTransferPipeline) -> Any:
    """The web app without a server, and without the thumbnails that it paints of the presets.

    They would land in the folder of whichever app runs by then.
    """
    pytest.importorskip("gradio")
    from hfstyle.studio import create_app

    demo = create_app(pipe)
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()
    return demo


def app_functions(pipe: StyleTransferPipeline) -> dict[str, Callable[..., Any]]:
    """The web app's functions by the names of its API, without a server."""
    demo = idle_app(pipe)
    return {str(fn.api_name): _asked_by_a_program(fn.fn) for fn in demo.fns.values() if fn.fn}


def _asked_by_a_program(function: Callable[..., Any]) -> Callable[..., Any]:
    """Without the request that Gradio gives to those that want it."""
    if "request" not in inspect.signature(function).parameters:
        return function
    return functools.partial(function, SimpleNamespace(session_hash="program", headers={}))


def read(path: str | os.PathLike[str]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture file, (H, W, 3)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
