"""Settings by name (--recipe), what they cost (--dry_run), and a model of one's own art."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from shutil import copytree

import pytest
import torch
from hub_server import HubServer
from PIL import Image
from safetensors.torch import load_file, save_file
from small_model import SMALL_GENERATOR
from toy_training import ROOT, read_log, toy_arguments, toy_pictures, train_here

from hfstyle import StyleTransferPipeline
from hfstyle.models.discriminator import StyleDiscriminator
from hfstyle.models.generator import StyleGenerator
from hfstyle.styles.pack import packed

pytest.importorskip("accelerate")

from training import train
from training.game.batches import draw_batch
from training.run.adapter import add_gains, add_low_rank, folded
from training.run.arguments import parse_args
from training.run.networks import open_networks
from training.run.recipes import RECIPES
from training.run.report import save_styles

ART = ["--style_data_dir", "art"]
BOTH = [*ART, "--content_data_dir", "photos"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_option_of_a_recipe_is_one_of_the_trainer_and_may_be_given_otherwise(
    recipe: str,
) -> None:
    args = parse_args(["--recipe", recipe, *BOTH])
    for name, value in RECIPES[recipe].items():
        assert getattr(args, name) == value
    assert parse_args(["--recipe", recipe, *BOTH, "--learning_rate", "7"]).learning_rate == 7
    plain = parse_args(BOTH)
    assert plain.learn == "all"
    assert plain.old_styles_weight == 0


def test_own_art_needs_no_photos_and_others_do(capsys: pytest.CaptureFixture[str]) -> None:
    parse_args(["--recipe", "own-art", *ART])
    with pytest.raises(SystemExit):
        parse_args(["--recipe", "scratch", *ART])
    assert "--content_dataset_name or --content_data_dir" in capsys.readouterr().err


def test_the_bundled_weights_come_with_their_discriminator() -> None:
    _, discriminator = open_networks(parse_args(["--recipe", "own-art", *ART]))
    trained = StyleDiscriminator.from_pretrained(ROOT / "training/checkpoint/discriminator")
    for name, tensor in trained.state_dict().items():
        assert torch.equal(discriminator.state_dict()[name], tensor.float()), name


@torch.no_grad()
def test_an_adapter_changes_nothing_at_first_and_is_folded_in() -> None:
    torch.manual_seed(0)
    generator = StyleGenerator(**SMALL_GENERATOR).eval()
    photo, full = torch.rand(1, 3, 64, 64), torch.ones(1)
    codes = [generator.encode(torch.rand(1, 3, 64, 64)) for _ in range(2)]
    before = [generator(photo, code, full) for code in codes]
    gains, *_ = add_gains(generator)
    added = add_low_rank(generator, 2)
    torch.testing.assert_close(generator(photo, codes[0], full), before[0])
    for parameter in (*gains, *added):
        parameter.normal_(std=0.2)
    after = [generator(photo, code, full) for code in codes]
    assert (after[0] - before[0]).abs().max() > 1e-3
    plain = folded(generator)
    assert plain.state_dict().keys() == StyleGenerator(**SMALL_GENERATOR).state_dict().keys()
    for code, painted in zip(codes, after, strict=True):
        torch.testing.assert_close(plain(photo, code, full), painted)
        torch.testing.assert_close(generator(photo, code, full), painted)  # goes on learning


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with two presets."""
    torch.manual_seed(0)
    pipe = StyleTransferPipeline(StyleGenerator(**SMALL_GENERATOR).half().float().eval())
    old = toy_pictures("style", 14)[12:]
    pipe.presets = {name: pipe.encode_style(x) for name, x in zip("ab", old, strict=True)}
    pipe.save_pretrained(folder := tmp_path_factory.mktemp("start"))
    return folder


@pytest.fixture(scope="module")
def art(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("art")
    for number, picture in enumerate(toy_pictures("style", 3)):
        picture.save(folder / f"My picture {number}.png")
    return folder


def own_art(toy: Path, start: Path, art: Path, output: Path, **changes: object) -> list[str]:
    return toy_arguments(
        toy, output, recipe="own-art", init_from=start, generator_config=None, style_data_dir=art,
        loss_resolution=64, max_train_steps=12, train_batch_size=2, learning_rate=2e-2,
        adversarial_start=None, adversarial_ramp=None,
        style_zoom=(0.6, 1.0), unseen_border=16,  # a dozen steps on crops of 64 px are noisy without
        **changes,
    )  # fmt: skip


def painted(folder: Path, name: str, photo: Image.Image) -> torch.Tensor:
    pipe = StyleTransferPipeline.from_pretrained(folder)
    images: torch.Tensor = pipe(photo, name, output_type="pt").images
    return images


def test_own_art_ends_with_a_whole_folder_in_which_old_styles_are_kept(
    toy: Path, start: Path, art: Path, tmp_path: Path
) -> None:
    photo = toy_pictures("content", 1)[0]
    changed = {}
    for weight in (0.0, 200.0):
        output = tmp_path / f"weight{weight:g}"
        train_here(own_art(toy, start, art, output, old_styles_weight=weight))
        pipe = StyleTransferPipeline.from_pretrained(output)
        # The encoder is the old one, so that old codes are valid.
        assert set(pipe.presets) == {
            "a", "b", "own_art", "my_picture_0", "my_picture_1", "my_picture_2",
        }  # fmt: skip
        for name in pipe.presets:
            pipe.presets[name].check_encoder(pipe.generator.encoder_fingerprint())
        assert 'pipe("photo.jpg", "own_art")' in (output / "README.md").read_text()
        with Image.open(output / "before-and-after.jpg") as sheet:
            assert min(sheet.size) > 300
        changed[weight] = sum(
            float((painted(output, x, photo) - painted(start, x, photo)).abs().mean()) for x in "ab"
        )
    assert changed[200.0] < 0.7 * changed[0.0]


def test_a_picture_that_is_called_like_an_old_style_leaves_it_as_it_is(
    toy: Path, start: Path, art: Path, tmp_path: Path
) -> None:
    (tmp_path / "art").mkdir()
    for name, file in zip(("a.png", "c.png"), sorted(art.iterdir()), strict=False):
        (tmp_path / "art" / name).write_bytes(file.read_bytes())
    before = StyleTransferPipeline.from_pretrained(start).presets
    short = ["--max_train_steps", "2", "--validation_steps", "100"]
    train_here(own_art(toy, start, tmp_path / "art", tmp_path / "once") + short)
    once = StyleTransferPipeline.from_pretrained(tmp_path / "once").presets
    assert set(once) == {"a", "b", "a_own", "c", "own_art"}
    assert torch.equal(once["a"].vector, before["a"].vector)
    # Going on from this model with the same pictures makes no further ones.
    train_here(own_art(toy, tmp_path / "once", tmp_path / "art", tmp_path / "twice") + short)
    assert "c_own" not in StyleTransferPipeline.from_pretrained(tmp_path / "twice").presets


def test_own_art_that_is_killed_leaves_a_whole_folder_and_goes_on_as_if_it_had_not_been(
    toy: Path, start: Path, art: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed_at_4(args: object, loaders: object, step: int, device: object) -> object:
        if step == 4:
            raise SystemExit
        return draw_batch(args, loaders, step, device)  # type: ignore[arg-type]

    changes = {"checkpointing_steps": 2, "validation_steps": 100}
    train_here(own_art(toy, start, art, tmp_path / "whole", **changes))
    monkeypatch.setattr(train, "draw_batch", killed_at_4)
    with pytest.raises(SystemExit):
        train_here(own_art(toy, start, art, tmp_path, **changes))
    assert "own_art" in StyleTransferPipeline.from_pretrained(tmp_path).presets
    assert painted(tmp_path, "my_picture_0", toy_pictures("content", 1)[0]).shape[1] == 3
    assert (tmp_path / "curves.png").is_file()
    # Three pictures are too few to hold one out; they are shown all the same.
    assert (tmp_path / "validation" / "step-0000000.png").is_file()
    monkeypatch.setattr(train, "draw_batch", draw_batch)
    train_here(own_art(toy, start, art, tmp_path, resume_from_checkpoint="latest", **changes))
    told = [
        {name: value for name, value in row.items() if name.startswith(("loss", "d_"))}
        for folder in ("whole", ".")
        for row in read_log(tmp_path / folder)
    ]
    assert told[:12] == told[12:]


def test_a_model_of_the_hub_brings_its_discriminator_and_its_styles(
    hub: HubServer, start: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    generator = StyleGenerator.from_pretrained(start)
    presets = StyleTransferPipeline.from_pretrained(start).presets
    beside = StyleDiscriminator(widths=(8, 8, 8, 8), style_width=generator.encoder.vector_width)
    beside.save_pretrained(tmp_path / "discriminator")
    whole = {name: (start / name).read_bytes() for name in ("config.json", "model.safetensors")}
    hub.add("user/bare", dict(whole))
    whole |= {
        f"discriminator/{name}": (tmp_path / "discriminator" / name).read_bytes()
        for name in ("config.json", "model.safetensors")
    }
    hub.add("user/model", whole | {"styles.safetensors": packed(presets)})
    line = ["--recipe", "own-art", *ART, "--init_from"]
    _, found = open_networks(parse_args([*line, "user/model"]))
    for name, tensor in beside.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name
    save_styles("user/model", generator, tmp_path / "out")
    assert {file.name for file in (tmp_path / "out/styles").iterdir()} == {"a.safetensors", "b.safetensors"}  # fmt: skip
    assert not caplog.text
    open_networks(parse_args([*line, "user/bare"]))
    assert "user/bare has no discriminator: a new one learns beside it" in caplog.text


def test_a_discriminator_of_an_earlier_version_is_named_with_another_to_take(
    start: Path, tmp_path: Path
) -> None:
    model = copytree(start, tmp_path / "model")
    width = StyleGenerator.from_pretrained(start).encoder.vector_width
    beside = StyleDiscriminator(widths=(8, 8, 8, 8), style_width=width)
    beside.save_pretrained(model / "discriminator")
    file = model / "discriminator/model.safetensors"
    save_file({k: x for k, x in load_file(file).items() if not k.startswith("match")}, file)
    with pytest.raises(ValueError, match=r"match1\.bias.*--init_discriminator_from"):
        open_networks(parse_args(["--recipe", "own-art", *ART, "--init_from", str(model)]))


def test_a_dry_run_tells_settings_and_cost_and_writes_nothing(
    toy: Path, start: Path, art: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "never"
    with caplog.at_level(logging.INFO):
        train_here(own_art(toy, start, art, output, dry_run=True, max_train_minutes=7))
    assert not output.exists()
    assert "recipe own-art" in caplog.text
    assert "--max_train_minutes 7.0 (given; the recipe has 10.0)" in caplog.text
    assert re.search(r"s a step .* \d+ steps in \d+ minutes", caplog.text)
    assert "GiB of memory" in caplog.text


def test_old_styles_are_kept_only_of_a_model_that_has_some(
    toy: Path, art: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    StyleGenerator(**SMALL_GENERATOR).save_pretrained(tmp_path / "bare")
    with pytest.raises(ValueError, match="neither presets nor a style space"):
        train_here(own_art(toy, tmp_path / "bare", art, tmp_path / "out"))
