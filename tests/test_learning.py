"""A style learned from pictures: `StyleTransferPipeline.learn_style` and `hfstyle learn`."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_model import small_generator

from hfstyle import StyleCode, StyleCodeError, StyleTransferPipeline
from hfstyle.cli.program import main
from hfstyle.styles.learning import learn_code
from hfstyle.styles.seen import (
    eye_of_encoder,
    eye_of_filters,
    looks_of,
    structure_distance,
    style_distance,
)


def stripes(seed: int, side: int = 96) -> Image.Image:
    """Bright stripes, of a direction of their own."""
    chance = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    a, b = chance.uniform(20, 60, 2)
    pixels = np.where((np.sin(a * x + b * y) > 0)[..., None], chance.random(3), chance.random(3))
    return Image.fromarray((255 * pixels).astype(np.uint8))


def photo(seed: int, side: int = 128) -> Image.Image:
    """A dull, smooth shape."""
    chance = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    cx, cy = chance.uniform(0.3, 0.7, 2)
    shape = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.1)[..., None]
    return Image.fromarray((255 * (0.2 + 0.5 * shape * chance.uniform(0.7, 1, 3))).astype(np.uint8))


@pytest.fixture(scope="module")
def pipe() -> StyleTransferPipeline:
    """A generator of random weights whose strokes depend on the style."""
    generator = small_generator(3)
    with torch.no_grad():
        generator.head.paint.weight.mul_(20)
    return StyleTransferPipeline(generator)


@pytest.fixture
def lenient(pipe: StyleTransferPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge that sees with the teacher's eyes: random weights learn nothing that another network would like."""
    from hfstyle.styles import learning

    eye = learning.eye_of_encoder(pipe.generator.encoder)
    monkeypatch.setattr(learning, "eye_of_filters", lambda: eye)
    monkeypatch.setattr(learning, "_LOST", 2.0)


PHOTOS = [photo(i) for i in range(5)]


@pytest.mark.usefixtures("lenient")
def test_a_style_is_learned_and_is_an_ordinary_style_code(
    pipe: StyleTransferPipeline, tmp_path: Path
) -> None:
    pictures = [stripes(0), stripes(1)]
    weights = {name: x.clone() for name, x in pipe.generator.state_dict().items()}
    calls: list[tuple[int, int]] = []
    learned = pipe.learn_style(
        pictures, PHOTOS, steps=20, size=128, name="mine", metadata={"licence": "CC0"},
        progress_callback=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    assert calls == [(k, 20) for k in range(1, 21)]
    assert learned.steps == 20
    assert not learned.interrupted
    assert torch.equal(
        learned.before.vector, StyleCode.mix([pipe.encode_style(x) for x in pictures]).vector
    )
    assert learned.distance < learned.distance_before
    assert f"{1 - learned.distance / learned.distance_before:.0%} nearer" in learned.told
    assert learned.code.name == "mine"
    assert learned.code.metadata == {"licence": "CC0", "pictures": "2"}
    # Colours are those of the pictures, which are measured.
    colors = pipe.generator.encoder.parts[-1]
    assert torch.equal(learned.code.vector[-colors:], learned.before.vector[-colors:])
    # The model is as it was, and no gradient is left on it.
    for name, x in pipe.generator.state_dict().items():
        assert torch.equal(x, weights[name]), name
    assert all(p.grad is None for p in pipe.generator.parameters())
    assert any(p.requires_grad for p in pipe.generator.parameters())
    learned.code.save(tmp_path / "mine.style.safetensors")
    assert (tmp_path / "mine.style.safetensors").stat().st_size < 300_000
    painted = pipe(PHOTOS[0], str(tmp_path / "mine.style.safetensors"), output_type="np").images
    assert not np.array_equal(painted, pipe(PHOTOS[0], learned.before, output_type="np").images)


@pytest.mark.usefixtures("lenient")
def test_what_was_learned_holds_for_other_photos(pipe: StyleTransferPipeline) -> None:
    learned = pipe.learn_style([stripes(0)], PHOTOS, steps=20, size=128)
    eye, other = eye_of_encoder(pipe.generator.encoder), photo(77)

    def far(code: StyleCode) -> float:
        whole = torch.from_numpy(np.array(stripes(0).resize((128, 128), Image.Resampling.BICUBIC)))
        style = whole.permute(2, 0, 1)[None] / 255
        before = torch.from_numpy(np.array(other)).permute(2, 0, 1)[None] / 255
        after = pipe(other, code, output_type="pt").images
        with torch.no_grad():
            looks = [looks_of(eye(x)) for x in (after, before, style)]
        return float(torch.stack(style_distance(*looks)).sum())

    assert far(learned.code) < far(learned.before)


def test_nothing_better_leaves_the_encoders_code(
    pipe: StyleTransferPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a judge that sees no difference, what was learned is no better."""
    from hfstyle.styles import learning

    alike = {"all": torch.ones(1, 2, 8, 8)}
    monkeypatch.setattr(learning, "eye_of_filters", lambda: lambda pictures: alike)
    learned = pipe.learn_style([stripes(0)], PHOTOS, steps=15, size=128)
    assert learned.code is learned.before
    assert learned.distance == learned.distance_before
    assert "the encoder's own code" in learned.told


def test_ctrl_c_keeps_the_best_so_far(pipe: StyleTransferPipeline) -> None:
    def stop(done: int, total: int) -> None:
        if done == 17:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
    try:
        learned = pipe.learn_style([stripes(0)], PHOTOS, steps=60, size=128, progress_callback=stop)
    finally:
        signal.signal(signal.SIGINT, before)
    assert learned.interrupted
    assert learned.steps == 17
    assert "Ctrl-C" in learned.told
    assert learned.distance <= learned.distance_before


def test_the_sheet_shows_each_held_photo_before_and_after(pipe: StyleTransferPipeline) -> None:
    one = pipe.learn_style([stripes(0)], PHOTOS[:3], steps=1, size=128).sheet
    two = pipe.learn_style([stripes(0)], [photo(i) for i in range(8)], steps=1, size=128).sheet
    assert one.width == two.width > 3 * 128
    assert two.height > 1.5 * one.height


def test_the_sheet_shows_what_a_call_of_the_pipeline_gives() -> None:
    """Also of photos with faces, which it spares."""
    generator = small_generator(3)
    with torch.no_grad():
        generator.head.paint.weight.mul_(20)
        generator.faces.out.bias.fill_(20)  # everything is a face
    pipe = StyleTransferPipeline(generator)
    learned = pipe.learn_style([stripes(0)], PHOTOS[:2], steps=1, size=128)
    left, top = 10 + 330 + (320 - 128) // 2, 10  # of the photo before learning
    shown = np.asarray(learned.sheet.crop((left, top, left + 128, top + 128))).astype(int)
    options = {"processing_resolution": "full", "output_type": "pil"}
    painted, bare = (
        np.asarray(pipe(PHOTOS[0], learned.before, **options, **faces).images).astype(int)
        for faces in ({}, {"faces": 0.0})
    )
    assert np.abs(shown - painted).max() <= 1
    assert np.abs(shown - bare).mean() > 3


def test_a_gradient_is_computed_where_the_caller_computes_none(pipe: StyleTransferPipeline) -> None:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        learned = pipe.learn_style([stripes(0)], PHOTOS[:2], steps=2, size=128)
    assert learned.steps == 2


def test_a_vgg_can_compare(pipe: StyleTransferPipeline, toy: Path) -> None:
    learned = pipe.learn_style(
        [stripes(0)], PHOTOS, steps=2, size=128, perceptual_model=toy / "vgg.safetensors"
    )
    assert learned.steps == 2
    with pytest.raises(FileNotFoundError, match=r"absent\.safetensors"):
        pipe.learn_style([stripes(0)], PHOTOS, perceptual_model="absent.safetensors")
    with pytest.raises(FileNotFoundError, match=r"someone/vgg.*perceptual_model"):
        pipe.learn_style([stripes(0)], PHOTOS, perceptual_model="someone/vgg")  # offline


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pictures": []}, "0 pictures.*1 to 50"),
        ({"photos": PHOTOS[:1]}, "1 photo to.*at least 2"),
        ({"photos": ["absent.png", PHOTOS[0]]}, r"1 of 2 photos.*absent\.png"),
        ({"pictures": ["absent.png"]}, "absent.png: there is no such file"),
    ],
)
def test_what_cannot_be_learned_from_is_told(
    pipe: StyleTransferPipeline, changes: dict[str, object], said: str
) -> None:
    arguments = {"pictures": [stripes(0)], "photos": PHOTOS[:2], "steps": 1, "size": 128} | changes
    pictures, photos = arguments.pop("pictures"), arguments.pop("photos")
    with pytest.raises(ValueError, match=said):
        pipe.learn_style(pictures, photos, **arguments)  # type: ignore[arg-type]


@pytest.fixture
def unusable(tmp_path: Path) -> list[Path]:
    """Files that are named like pictures: half a JPEG, nothing, words, and one that needs a reader that is not there."""
    stripes(5).save(tmp_path / "half.jpg")
    whole = (tmp_path / "half.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "nothing.png").touch()
    (tmp_path / "words.jpg").write_text("a list of pictures")
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99))
    return sorted(tmp_path.iterdir())


def test_pictures_that_cannot_be_used_are_named_and_left_out(
    pipe: StyleTransferPipeline, unusable: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    given = [unusable[0], stripes(0), *unusable[1:], stripes(1)]
    learned = pipe.learn_style(given, PHOTOS[:2], steps=1, size=128)
    alone = pipe.learn_style([stripes(0), stripes(1)], PHOTOS[:2], steps=1, size=128)
    assert torch.equal(learned.code.vector, alone.code.vector)
    assert learned.code.metadata["pictures"] == "2"
    assert len(learned.left_out) == 4
    for file, why in zip(unusable, learned.left_out, strict=True):
        assert str(file) in why
        assert str(file) in caplog.text
    assert "4 pictures that cannot be used are left out" in learned.told
    assert "left out" not in alone.told
    # Photos to paint meanwhile, too, as long as there are two.
    learned = pipe.learn_style([stripes(0)], [unusable[0], *PHOTOS[:2]], steps=1, size=128)
    assert learned.told.endswith("1 picture that cannot be used is left out")
    with pytest.raises(ValueError, match=r"1 of 2 photos.*half\.jpg"):
        pipe.learn_style([stripes(0)], [unusable[0], PHOTOS[0]], steps=1, size=128)
    with pytest.raises(ValueError, match=r"none of the 4 pictures can be used.*half\.jpg"):
        pipe.learn_style(unusable, PHOTOS, steps=1, size=128)


def test_the_command_learns_from_what_can_be_used(
    pipe: StyleTransferPipeline,
    unusable: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """From a folder and from files given by name; with exit code 1, for something failed."""
    photos = tmp_path / "photos"
    photos.mkdir()
    pipe.save_pretrained(tmp_path / "model")
    for k in range(2):
        photo(k).save(photos / f"{k}.png")
    target = tmp_path / "out" / "mine.style.safetensors"
    command = [
        "learn", "-o", str(target), "--photos", str(photos), "--steps", "1", "--size", "128",
        "--model", str(tmp_path / "model"),
    ]  # fmt: skip
    assert main([*command, *map(str, unusable)]) == 1
    said = capsys.readouterr()
    assert "none of the 4 pictures can be used" in said.err
    assert not target.exists()
    stripes(0).save(tmp_path / "good.png")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main([*command, str(tmp_path / "good.png"), str(empty), *map(str, unusable)]) == 1
    said = capsys.readouterr()
    assert f"hfstyle: error: {empty}: no pictures in this folder" in said.err
    assert "4 pictures that cannot be used are left out" in said.err
    assert all(str(file) in caplog.text for file in unusable)
    assert StyleCode.load(target).metadata["pictures"] == "1"
    target.unlink()
    assert main([*command, str(tmp_path)]) == 1
    assert StyleCode.load(target).metadata["pictures"] == "1"


def test_photos_may_be_smaller_than_what_is_learned_from(pipe: StyleTransferPipeline) -> None:
    """Photos are never enlarged: the judge sees fewer octaves of them than of the pictures, and compares those."""
    small = [photo(i, 64) for i in range(2)]
    learned = pipe.learn_style([stripes(0)], [*small, PHOTOS[0], PHOTOS[1]], steps=1, size=256)
    assert 0 < learned.distance < 10
    assert 0 < learned.distance_before < 10


def test_a_code_of_another_encoder_is_no_beginning(pipe: StyleTransferPipeline) -> None:
    code = pipe.encode_style(stripes(0))
    other = StyleCode(code.vector, code.tokens, "0" * 16)
    picture = torch.rand(3, 64, 64)
    with pytest.raises(StyleCodeError, match="was made by encoder"):
        learn_code(pipe.generator, other, [picture], [picture] * 2, size=128)


def test_structure_is_kept_by_colours_and_lost_where_dark_and_light_change() -> None:
    cells = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    picture = torch.nn.functional.interpolate(cells, (96, 96), mode="bicubic").clamp(0, 1)
    assert float(structure_distance(picture, picture)) == pytest.approx(0, abs=1e-4)
    assert float(structure_distance(0.5 * picture + 0.2, picture)) < 0.2
    assert float(structure_distance(1 - picture, picture)) > 0.5


def test_filters_tell_textures_apart_whatever_is_shown() -> None:
    eye = eye_of_filters()

    def tensor(image: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255

    photo_, goal = tensor(photo(0, 96)), tensor(stripes(0))
    same, other = goal.roll((13, 7), (2, 3)), tensor(stripes(4))
    looks = [looks_of(eye(x)) for x in (photo_, goal, same, other)]
    near = style_distance(looks[2], looks[0], looks[1])
    far = style_distance(looks[3], looks[0], looks[1])
    assert all(0 <= float(a) < 0.3 * float(b) for a, b in zip(near, far, strict=True))
    untouched = style_distance(looks[0], looks[0], looks[1])
    assert [float(x) for x in untouched] == pytest.approx([0.9, 0.9], abs=0.15)


def test_the_command_writes_the_style_and_before_and_after(
    pipe: StyleTransferPipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe.save_pretrained(tmp_path / "model")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "photos").mkdir()
    for k in range(2):
        stripes(k).save(tmp_path / "pictures" / f"{k}.png")
        photo(k).save(tmp_path / "photos" / f"{k}.png")
    target = tmp_path / "out" / "mine.style.safetensors"
    command = [
        "learn", str(tmp_path / "pictures"), "-o", str(target), "--photos", str(tmp_path / "photos"),
        "--steps", "2", "--size", "128", "--artist", "me", "--model", str(tmp_path / "model"),
    ]  # fmt: skip
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [str(target), str(tmp_path / "out" / "mine.jpg")]
    assert "after 2 steps" in err
    code = StyleCode.load(target)
    assert code.name == "mine"
    assert code.metadata == {"artist": "me", "pictures": "2"}
    assert Image.open(tmp_path / "out" / "mine.jpg").width > 300
    assert main([*command, "--no-overwrite"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main(["learn", str(tmp_path / "absent"), "-o", str(target)]) == 1
    assert main(["learn", str(tmp_path / "pictures"), "-o", "style.txt"]) == 2
    # A picture of the same name is not overwritten by the sheet.
    stripes(0).save(tmp_path / "mine.jpg")
    same = ["learn", str(tmp_path / "mine.jpg"), "-o", str(tmp_path / "mine.style.safetensors")]
    assert main(same) == 2
    assert "give another -o" in capsys.readouterr().err
    with Image.open(tmp_path / "mine.jpg") as kept:
        assert kept.size == (96, 96)
