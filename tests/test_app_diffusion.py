"""A diffusion model beside ours, where there is one."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from app_server import picture
from PIL import Image

from hfstyle import StyleTransferPipeline

gr = pytest.importorskip("gradio")

from hfstyle.studio.backend import diffusion, engine  # noqa: E402
from hfstyle.studio.backend.diffusion import IPAdapterPainter, find_diffusion  # noqa: E402
from hfstyle.studio.pages.compare import CompareHandlers  # noqa: E402


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
    studio = engine.Studio(app_pipe)
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


def _tiny_pipeline(folder: Path) -> Any:
    """Stable Diffusion with an IP-Adapter as diffusers builds it, a few channels wide, of random weights."""
    import json

    import diffusers
    import transformers

    size = {"hidden_size": 32, "intermediate_size": 37, "projection_dim": 32}
    layers = {"num_hidden_layers": 1, "num_attention_heads": 4}
    words = ["<|startoftext|>", "<|endoftext|>", "a</w>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    vision = transformers.CLIPVisionConfig(**size, **layers, image_size=32, patch_size=8)
    text = transformers.CLIPTextConfig(
        **size, **layers, vocab_size=3, bos_token_id=0, eos_token_id=1, pad_token_id=1
    )
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(4, 8),
        layers_per_block=1,
        norm_num_groups=2,
        sample_size=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=2,
    )
    pipeline = diffusers.StableDiffusionImg2ImgPipeline(
        vae=diffusers.AutoencoderKL(
            block_out_channels=(4, 8), norm_num_groups=2, latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        ),
        text_encoder=transformers.CLIPTextModel(text),
        tokenizer=transformers.CLIPTokenizer(
            str(folder / "vocab.json"),
            str(folder / "merges.txt"),
            pad_token="<|endoftext|>",
            model_max_length=77,
        ),
        unet=unet,
        scheduler=diffusers.DDIMScheduler(clip_sample=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=transformers.CLIPImageProcessor(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
        image_encoder=transformers.CLIPVisionModelWithProjection(vision),
        requires_safety_checker=False,
    )  # fmt: skip
    keys = [name for name in unet.attn_processors if "attn2" in name]
    adapter = {
        f"{2 * index + 1}.to_{which}_ip.weight": torch.randn(
            unet.get_submodule(name.removesuffix(".processor")).to_k.weight.shape
        )
        for index, name in enumerate(keys)
        for which in "kv"
    }
    projection = {
        "proj.weight": torch.randn(4 * 32, 32),
        "proj.bias": torch.zeros(4 * 32),
        "norm.weight": torch.ones(32),
        "norm.bias": torch.zeros(32),
    }
    unet._load_ip_adapter_weights([{"image_proj": projection, "ip_adapter": adapter}])
    pipeline.set_ip_adapter_scale(0.8)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_a_real_pipeline_paints_what_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("diffusers", "transformers"):
        pytest.importorskip(package)
    monkeypatch.setattr(diffusion, "_SIDE", 32)
    monkeypatch.setattr(diffusion, "_STEPS", 3)
    torch.manual_seed(0)
    painter = IPAdapterPainter(_tiny_pipeline(tmp_path), "tiny")
    photo, style, other = picture(60, 44), picture(40, 40, seed=1), Image.new("RGB", (40, 40))
    painted, seconds = painter.paint(photo, style)
    assert painted.size == (40, 32)  # a short side of 32 px, both a multiple of 8
    assert seconds > 0
    assert painted.tobytes() == painter.paint(photo, style)[0].tobytes()
    assert painted.tobytes() != painter.paint(photo, other)[0].tobytes()
