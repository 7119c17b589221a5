"""Pictures that diffusers makes, in a style (hfstyle.diffusion): a tiny text-to-image pipeline with random weights."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small_model import small_generator

from hfstyle import StyleTransferPipeline
from hfstyle.diffusion import styled, stylize_block

diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def painter() -> StyleTransferPipeline:
    pipe = StyleTransferPipeline(small_generator())
    noise = np.random.default_rng(0).integers(0, 256, (70, 80, 3), np.uint8)
    pipe.presets = {"waves": pipe.encode_style(noise)}
    return pipe


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Stable Diffusion with a few thousand random weights, which paints 64 x 64 px."""
    words = ["<|startoftext|>", "<|endoftext|>", "a</w>", "c", "a", "t</w>", "t", "c</w>"]
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder, model_max_length=8)
    torch.manual_seed(0)
    text = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=8, bos_token_id=0, eos_token_id=1, pad_token_id=1,
        )
    )  # fmt: skip
    unet = diffusers.UNet2DConditionModel(
        sample_size=32, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), cross_attention_dim=16,
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=4,
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 8), norm_num_groups=4, down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, sample_size=64,
    )  # fmt: skip
    pipeline = diffusers.StableDiffusionPipeline(
        vae, text, tokenizer, unet, diffusers.DDIMScheduler(), None, None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def options(seed: int = 0) -> dict[str, Any]:
    return {"num_inference_steps": 2, "generator": torch.Generator().manual_seed(seed)}


def test_what_a_pipeline_makes_is_painted(tiny: Any, painter: StyleTransferPipeline) -> None:
    plain = tiny("a cat", num_images_per_prompt=2, **options()).images
    paint = styled(tiny, "waves", 0.9, painter=painter)
    made = paint("a cat", num_images_per_prompt=2, **options())
    assert type(made) is type(tiny("a cat", **options()))
    assert len(made.images) == 2
    for before, after in zip(plain, made.images, strict=True):
        wanted = painter(before, "waves", 0.9).images[0]
        assert np.array_equal(np.asarray(after), np.asarray(wanted))
        assert not np.array_equal(np.asarray(after), np.asarray(before))
    images, _ = paint("a cat", return_dict=False, **options())
    assert isinstance(images[0], Image.Image)
    assert paint.scheduler is tiny.scheduler
    assert paint.to("cpu") is paint


def test_what_cannot_be_painted_is_told(tiny: Any, painter: StyleTransferPipeline) -> None:
    paint = styled(tiny, "waves", painter=painter)
    with pytest.raises(ValueError, match="output_type is 'latent'"):
        paint("a cat", output_type="latent", **options())
    with pytest.raises(ValueError, match="has no images"):
        styled(lambda: object(), "waves", painter=painter)()
    with pytest.raises(ValueError, match="strength is 2"):
        styled(tiny, "waves", 2.0, painter=painter)("a cat", **options())


def test_a_block_paints_at_the_end_of_a_modular_pipeline(
    tiny: Any, painter: StyleTransferPipeline
) -> None:
    modular = pytest.importorskip("diffusers.modular_pipelines")

    class Make(modular.ModularPipelineBlocks):  # type: ignore[misc,name-defined]
        @property
        def inputs(self) -> list[Any]:
            return [modular.InputParam("prompt", required=True)]

        @property
        def intermediate_outputs(self) -> list[Any]:
            return [modular.OutputParam("images", type_hint=list)]

        def __call__(self, components: Any, state: Any) -> tuple[Any, Any]:
            block = self.get_block_state(state)
            block.images = tiny(block.prompt, **options()).images
            self.set_block_state(state, block)
            return components, state

    blocks = modular.SequentialPipelineBlocks.from_blocks_dict(
        {"make": Make(), "stylize": stylize_block(painter)}
    )
    pipe = blocks.init_pipeline()
    made = pipe(prompt="a cat", style="waves", style_strength=0.8, output="images")
    wanted = painter(tiny("a cat", **options()).images[0], "waves", 0.8).images[0]
    assert np.array_equal(np.asarray(made[0]), np.asarray(wanted))
