"""A diffusion model beside ours, where there is one."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from hfstyle import StyleTransferPipeline

gr = pytest.importorskip("gradio")

from hfstyle.studio import painting  # noqa: E402
from hfstyle.studio.compare_handlers import CompareHandlers  # noqa: E402
from hfstyle.studio.diffusion import find_diffusion  # noqa: E402


class FakeDiffusion:
    name = "a diffusion model"

    def paint(self, photo: Image.Image, style: Image.Image) -> tuple[Image.Image, float]:
        return style.resize(photo.size), 2.5


def test_a_diffusion_model_is_compared_with_where_there_is_one(
    app_pipe: StyleTransferPipeline,
    app_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    studio = painting.Studio(app_pipe)
    photo, style = str(app_folder / "photo.png"), str(app_folder / "style.png")
    handlers = CompareHandlers(studio, FakeDiffusion())
    *_, shown = handlers.compare(photo, style=style, across="diffusion")
    shown = shown if isinstance(shown, list) else []
    assert [caption.split(",")[0] for _, caption in shown] == ["hfstyle", "a diffusion model"]
    assert shown[1][1].endswith("2.5 s")
    with pytest.raises(gr.Error, match="no diffusion model"):
        list(CompareHandlers(studio).compare(photo, style=style, across="diffusion"))


def test_without_weights_there_is_no_diffusion_model(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    class Pipeline:
        @staticmethod
        def from_pretrained(model: str, **options: Any) -> Any:
            asked.append({"model": model, **options})
            raise OSError("no such file in the cache")

    fake = types.ModuleType("diffusers")
    fake.StableDiffusionImg2ImgPipeline = Pipeline  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "diffusers", fake)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert find_diffusion() is None
    assert asked[0]["local_files_only"] is True
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_diffusion() is None
    assert len(asked) == 1
