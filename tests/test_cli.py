"""The command `hfstyle`: what it writes, what it says, and its exit codes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from small_model import small_generator

import hfstyle
from hfstyle import StyleCode, StyleGenerator, StyleTransferPipeline
from hfstyle.cli import main
from hfstyle.cli.terminal import Progress
from hfstyle.examples import EXAMPLE_PHOTOS, example_photo, example_photo_path
from hfstyle.files import folded
from hfstyle.images.encode import Encoding
from hfstyle.limits import LARGEST_AUTO_SIZE

ROOT = Path(__file__).resolve().parent.parent


def _picture(height: int, width: int, seed: int) -> Image.Image:
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a small model of random weights and two presets."""
    folder = tmp_path_factory.mktemp("model")
    pipe = StyleTransferPipeline(small_generator(0))
    about = {"title": "Blue Waves", "artist": "A. Painter", "year": "1901"}
    pipe.presets = {
        "blue_waves": pipe.encode_style(_picture(70, 80, 11), name="blue_waves", metadata=about),
        "red_hills": pipe.encode_style(_picture(80, 70, 12), name="red_hills"),
    }
    pipe.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with photo.jpg, other.png, painting.png and painting2.jpg."""
    monkeypatch.chdir(tmp_path)
    _picture(40, 56, 1).save("photo.jpg")
    _picture(33, 47, 2).save("other.png")
    _picture(90, 80, 3).save("painting.png")
    _picture(80, 90, 4).save("painting2.jpg")
    return tmp_path


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(model: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line with the small model: (exit code, standard output, standard error)."""

    def run(*arguments: str, with_model: bool = True) -> tuple[int, str, str]:
        capsys.readouterr()
        options = ["--model", model] if with_model else []
        code = main([*arguments, *options])
        output = capsys.readouterr()
        assert "Traceback" not in output.err
        return code, output.out, output.err

    return run


def _files(folder: Path | str = ".") -> set[str]:
    return {p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file()}


# --- the command itself


def test_help_and_version_need_no_torch() -> None:
    code = (
        "import sys\nfrom hfstyle.cli import main\n"
        "for a in (['--help'], ['stylize', '--help'], ['--version'], ['stylize']): main(a)\n"
        "assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


def test_python_m_hfstyle_is_the_command(here: Path, model: str) -> None:
    command = [sys.executable, "-m", "hfstyle", "stylize", "photo.jpg", "--style", "painting.png"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [*command, "-o", "out.png", "--model", model],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "out.png\n", "")
    assert Image.open("out.png").size == (56, 40)


def test_every_command_explains_itself(run: Run) -> None:
    overview = run("--help", with_model=False)[1]
    commands = re.findall(r"^    ([a-z][a-z-]+)(?:\s|$)", overview, re.MULTILINE)
    assert {"stylize", "encode", "video", "demo"} <= set(commands)
    for command in commands:
        code, out, err = run(command, "--help", with_model=False)
        assert (code, err) == (0, "")
        assert out.startswith(f"usage: hfstyle {command}")
        assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("stylize photo.jpg", "give a style with --style"),
        ("stylize photo.jpg -s painting.png --strength nan", "'nan' is not a number"),
        ("stylize photo.jpg -s painting.png --size big", "'full' or 'auto'"),
        ("stylize photo.jpg -s painting.png -o out.xyz", "'.xyz'; pictures are written as .png"),
        ("stylize photo.jpg other.png -s painting.png -o out.png", "give -o FOLDER"),
        ("stylize . -s painting.png", "folder of the photos and of the results"),
        ("stylize - - -s painting.png -o out/", "can be read only once"),
        ("encode painting.png -o style.pt", "named *.safetensors"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_one_line(
    arguments: str, message: str, here: Path, run: Run
) -> None:
    before = _files()
    code, out, err = run(*arguments.split(), with_model=False)
    assert (code, out) == (2, "")
    assert err.splitlines()[0].startswith("hfstyle: error: ")
    assert message in err
    assert _files() == before


# --- stylize


def test_one_photo_one_style_one_file(here: Path, run: Run, model: str) -> None:
    arguments = ["stylize", "photo.jpg", "--style", "painting.png", "-o", "out.png"]
    assert run(*arguments, "--strength", "0.8") == (0, "out.png\n", "")
    pipe = StyleTransferPipeline.from_pretrained(model)
    expected = pipe("photo.jpg", "painting.png", 0.8).images[0]
    assert np.array_equal(np.asarray(Image.open("out.png")), np.asarray(expected))


def test_the_suffix_is_the_format(here: Path, run: Run) -> None:
    assert run("stylize", "photo.jpg", "-s", "painting.png", "-o", "out.JPEG")[0] == 0
    assert Image.open("out.JPEG").format == "JPEG"


def test_without_output_the_result_is_named_after_photo_and_style(here: Path, run: Run) -> None:
    assert run("stylize", "photo.jpg", "-s", "painting.png")[1] == "photo__painting.png\n"
    assert run("stylize", "photo.jpg", "-s", "blue_waves", "-o", "new/")[1] == (
        "new/photo__blue_waves.png\n"
    )


def test_photos_times_styles_go_into_a_folder(here: Path, run: Run) -> None:
    arguments = ["stylize", "photo.jpg", "other.png", "-s", "painting.png", "-s", "red_hills"]
    code, out, err = run(*arguments, "-o", "painted", "--format", "jpg")
    names = ["photo__painting", "photo__red_hills", "other.png__painting", "other.png__red_hills"]
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"painted/{name}.jpg" for name in names]
    assert _files("painted") == {f"{name}.jpg" for name in names}


def test_a_mixture_of_styles_is_one_style(here: Path, run: Run, model: str) -> None:
    arguments = ["stylize", "photo.jpg", "-s", "painting.png", "-s", "red_hills", "-o", "mix.png"]
    assert run(*arguments, "--style-weights", "3,1")[0] == 0
    pipe = StyleTransferPipeline.from_pretrained(model)
    styles = ["painting.png", pipe.preset("red_hills")]
    expected = pipe("photo.jpg", styles, style_weights=[0.75, 0.25]).images[0]
    assert np.array_equal(np.asarray(Image.open("mix.png")), np.asarray(expected))


def test_folders_keep_their_subfolders_and_leave_results_out(here: Path, run: Run) -> None:
    for name in ("a.png", "deep/a.png", "deep/er/b.png"):
        Path("in", name).parent.mkdir(parents=True, exist_ok=True)
        _picture(32, 32, 5).save(Path("in", name))
    Path("in/notes.txt").write_text("not a picture")
    arguments = ["stylize", "in", "-s", "red_hills", "-o", "in/out", "--quiet"]
    assert run(*arguments) == (0, "", "")
    assert _files("in/out") == {"a.png__red_hills.png"}
    for _ in range(2):  # the second time, there are results that must not be painted
        assert run(*arguments, "--recursive") == (0, "", "")
        expected = {
            "a.png__red_hills.png",
            "deep/a.png__red_hills.png",
            "deep/er/b.png__red_hills.png",
        }
        assert _files("in/out") == expected


def test_a_folder_below_the_output_folder_is_painted(here: Path, run: Run) -> None:
    Path("in").mkdir()
    _picture(32, 32, 5).save("in/a.png")
    assert run("stylize", "in", "-s", "red_hills")[1] == "a.png__red_hills.png\n"


def test_names_of_results_depend_on_the_photo_alone(here: Path, run: Run) -> None:
    Path("in").mkdir()
    _picture(32, 32, 6).save("in/a.jpg")
    arguments = ["stylize", "in", "-s", "blue_waves", "-o", "out", "--no-overwrite"]
    assert run(*arguments)[1] == "out/a__blue_waves.png\n"
    before = Path("out/a__blue_waves.png").read_bytes()
    for number, name in enumerate(("a.png", "a.jpeg", "A.webp"), 1):
        _picture(32, 32, 6 + number).save(f"in/{name}")
        code, out, err = run(*arguments)
        assert (code, out) == (0, f"out/{name}__blue_waves.png\n")
        assert err == f"hfstyle: 1 written, 0 failed, {number} left as they were\n"
    assert Path("out/a__blue_waves.png").read_bytes() == before
    names = ["a__blue_waves.png", *(f"{n}__blue_waves.png" for n in ("a.png", "a.jpeg", "A.webp"))]
    assert _files("out") == set(names)


def test_names_that_differ_in_the_case_of_letters_depend_on_the_photo_alone(
    here: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("in/deep").mkdir(parents=True)
    if Path("IN").exists():
        pytest.skip("this file system takes a.jpg and A.jpg for one")
    names = ["a.jpg", "A.jpg", "a.JPG", "a.png", "a.png.jpg", "deep/b.jpg", "Deep/b.jpg"]
    command = ["stylize", "in", "--recursive", "-s", "blue_waves", "-o"]
    for count, name in enumerate(names, 1):
        Path("in", name).parent.mkdir(exist_ok=True)
        _picture(32, 32, count).save(Path("in", name))
        err = run(*command, "out", "--no-overwrite", "--format", "jpg")[2]
        assert f"{count - 1} left as they were" in err or count == 1
        assert len(_files("out")) == count
    assert "A__blue_waves.jpg" in _files("out")
    # Where the two are one, each still has a result.
    monkeypatch.setattr("hfstyle.cli.files.merges_names", lambda folder: True)
    assert run(*command, "one")[0] == 0
    assert len({folded(name) for name in _files("one")}) == len(names)


def test_photos_of_one_name_in_several_folders_get_different_results(here: Path, run: Run) -> None:
    for folder, name in (("x", "photo.png"), ("y", "PHOTO.png")):
        Path(folder).mkdir()
        _picture(32, 32, len(folder)).save(Path(folder, name))
    photos = ["x/photo.png", "y/PHOTO.png", "photo.jpg", "./photo.jpg"]  # the last one again
    assert run("stylize", *photos, "-s", "painting.png", "-o", "out")[0] == 0
    names = _files("out")
    assert len(names) == 3
    assert "photo__painting.png" in names
    assert run("stylize", *reversed(photos), "-s", "painting.png", "-o", "again")[0] == 0
    assert _files("again") == names


def test_styles_of_one_name_get_different_results(here: Path, run: Run) -> None:
    Path("sub").mkdir()
    _picture(80, 90, 9).save("sub/painting.png")
    styles = ["-s", "painting.png", "-s", "sub/painting.png"]
    assert run("stylize", "photo.jpg", *styles, "-o", "out")[0] == 0
    assert len(_files("out")) == 2
    styles[3] = str(here / "sub" / "painting.png")  # the same file
    assert run("stylize", "photo.jpg", *styles[2:], *styles[:2], "-o", "again")[0] == 0
    assert {n: Path("again", n).read_bytes() for n in _files("again")} == {
        n: Path("out", n).read_bytes() for n in _files("out")
    }


def test_names_of_results_suit_every_file_system(here: Path, run: Run) -> None:
    names = ["a:b.jpg", "what?.jpg", 'quo"te.jpg', "a<b>|c.jpg", "tab\t.jpg", "dot..jpg"]
    names += ["back\\slash.jpg", "CON.jpg", "nul.png", "com1.x.jpg"]
    names += ["é" * 125 + ".jpg", "x" * 250 + ".png"]
    Path("in").mkdir()
    for name in names:
        with contextlib.suppress(OSError):  # of file systems that do not take such a name
            _picture(32, 32, 6).save(Path("in", name))
    photos = _files("in")
    assert photos
    assert run("stylize", "in", "-s", "random:7", "-s", "painting.png", "-o", "out")[0] == 0
    results = _files("out")
    assert len(results) == 2 * len(photos)
    for result in results:
        assert len(result.encode()) <= 255
        assert not re.search(r'[<>:"|?*\\\x00-\x1f]', result)
        assert not re.match(r"(con|nul|com\d)(\.|$)", result, re.IGNORECASE)
        assert result.endswith(("__random-7.png", "__painting.png"))


def test_one_bad_file_is_told_at_the_end_and_stops_nothing(here: Path, run: Run) -> None:
    Path("bad.jpg").write_bytes(b"not a picture")
    Path("cut.png").write_bytes(Path("other.png").read_bytes()[:200])
    Path("empty").mkdir()
    photos = ["bad.jpg", "photo.jpg", "missing.jpg", "cut.png", "empty", "other.png"]
    code, out, err = run("stylize", *photos, "-s", "painting.png", "-o", "out")
    assert code == 1
    assert out.split() == ["out/photo__painting.png", "out/other.png__painting.png"]
    lines = err.splitlines()
    assert [line.startswith("hfstyle: error: ") for line in lines] == [True] * 4 + [False]
    for name in ("bad.jpg", "missing.jpg", "cut.png", "empty"):
        assert sum(name in line for line in lines) == 1
    assert lines[-1] == "hfstyle: 2 written, 4 failed"


def test_a_bad_style_stops_only_itself(here: Path, run: Run) -> None:
    styles = ["-s", "nowhere.jpg", "-s", "painting.png", "-s", "blue_wave", "-s", "."]
    code, out, err = run("stylize", "photo.jpg", *styles, "-o", "out")
    assert code == 1
    assert out == "out/photo__painting.png\n"
    assert "nowhere.jpg" in err
    assert "'blue_wave' is not a file, and no preset 'blue_wave'; did you mean: blue_waves" in err
    assert "hfstyle encode ." in err


@pytest.mark.parametrize(
    ("command", "redirection", "expected", "told"),
    [
        ("stylize photo.jpg -s painting.png -o -", ">&-", 2, "closed; give -o FILE"),
        ("stylize - -s painting.png -o out.png", "<&-", 1, "standard input is closed"),
        ("stylize photo.jpg -s painting.png -o out.png", "2>&-", 0, ""),
        ("styles", ">/dev/full", 1, "standard output cannot be written: No space left"),
    ],
)
def test_closed_and_full_streams_are_told(
    command: str, redirection: str, expected: int, told: str, here: Path, model: str
) -> None:
    if "/dev/full" in redirection and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    line = f"exec {sys.executable} -m hfstyle {command} --model {model} {redirection}"
    process = subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, errors="replace",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.returncode == expected, process.stderr
    assert told in process.stderr
    assert len(process.stderr.splitlines()) == bool(told)
    assert Path("out.png").exists() == (expected == 0)


@pytest.mark.parametrize(
    "words",
    [
        ["encode", "painting.png", "--collection", "-o", "new.style.safetensors"],
        [
            "path",
            "photo.jpg",
            "-s",
            "blue_waves",
            "-s",
            "red_hills",
            "--steps",
            "2",
            "-o",
            "new.gif",
        ],
        ["evaluate", "--contents", "in", "--styles", "in", "--json", "new.json"],
        ["stylize", "photo.jpg", "-s", "blue_waves", "-o", "new.png"],
    ],
)
def test_a_full_disk_is_told_and_leaves_nothing(
    words: list[str], here: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("in").mkdir()
    _picture(70, 80, 6).save("in/a.png")
    before = _files()

    def full(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hfstyle.files.os.replace", full)
    code, _, err = run(*words)
    assert code == 1
    assert "new." in err.splitlines()[-1]
    assert "No space left on device" in err
    assert _files() == before


@pytest.mark.parametrize("text", ["", '{"widths": "abc"}'])
def test_a_config_that_is_none_is_told(text: str, here: Path, run: Run, model: str) -> None:
    shutil.copytree(model, "broken")
    Path("broken/config.json").write_text(text)
    for command in ("info", "styles"):
        code, _, err = run(command, "--model", "broken", with_model=False)
        assert code == 1
        assert "config.json" in err
        assert err.count("\n") == 1


def test_a_web_address_is_told(here: Path, run: Run) -> None:
    code, _, err = run("stylize", "https://example.org/a.jpg", "-s", "blue_waves", "-o", "out.png")
    assert (code, "https://example.org/a.jpg is a web address" in err) == (1, True)


@pytest.mark.parametrize("alias", ["soft.jpg", "hard.jpg"])
def test_no_command_overwrites_an_input(alias: str, here: Path, run: Run, model: str) -> None:
    os.symlink("painting2.jpg", "soft.jpg")
    os.link("painting2.jpg", "hard.jpg")
    Path("contents").mkdir()
    os.link("painting2.jpg", "contents/linked.jpg")
    Path("pairs.json").write_text('[["linked", "painting"]]')
    code = str(Path(alias).with_suffix(".style.safetensors"))
    evaluate = ["evaluate", "--contents", "contents", "--styles", "contents"]
    commands = [
        ["stylize", "photo.jpg", "-s", "painting2.jpg", "-o", alias],
        ["stylize", "painting2.jpg", "-s", "painting.png", "-o", alias],
        [
            "stylize",
            "photo.jpg",
            "-s",
            "painting.png",
            "--region",
            "painting2.jpg",
            "none",
            "-o",
            alias,
        ],
        ["encode", "painting2.jpg", "--collection", "-o", code],
        ["encode", "painting.png", "painting2.jpg", "--clusters", "2", "-o", code],
        ["encode", "painting.png", "--collection", "--photo", "painting2.jpg", "-o", code],
        ["explain", "painting2.jpg", "-s", "blue_waves", "-o", alias],
        ["explain", "photo.jpg", "-s", "painting2.jpg", "-o", alias],
        ["styles", "--preview", alias, "--photo", "painting2.jpg"],
        [*evaluate, "--html", alias],
        [*evaluate, "--json", alias],
        [*evaluate, "--pairs", "pairs.json", "--json", "pairs.json"],
        ["encode", "painting.png", "-o", f"{model}/model.safetensors"],
        ["benchmark", "--json", f"{model}/config.json"],
        ["export-onnx", "-o", model],
    ]
    before = {name: Path(name).read_bytes() for name in _files()}
    of_model = {name: Path(model, name).read_bytes() for name in _files(model)}
    for command in commands:
        status, out, err = run(*command)
        assert (status, out) in ((1, ""), (2, "")), command
        assert "never overwritten" in err, command
        assert {name: Path(name).read_bytes() for name in _files()} == before, command
    assert {name: Path(model, name).read_bytes() for name in _files(model)} == of_model


def test_an_animation_is_not_written_over_its_photo(here: Path, run: Run) -> None:
    _picture(40, 56, 1).save("photo.gif")
    os.symlink("photo.gif", "soft.gif")
    before = Path("photo.gif").read_bytes()
    for target in ("photo.gif", "soft.gif"):
        code, _, err = run("path", "photo.gif", "-s", "blue_waves", "-s", "red_hills", "-o", target)
        assert code == 2
        assert "never overwritten" in err
    assert Path("photo.gif").read_bytes() == before


@pytest.mark.parametrize("existing", ["art.jpg", "art-2.style.safetensors"])
def test_no_overwrite_sees_every_file_of_a_collection(existing: str, here: Path, run: Run) -> None:
    Path(existing).write_text("old")
    before = _files()
    words = ["encode", "painting.png", "painting2.jpg", "-o", "art.style.safetensors"]
    code, out, err = run(*words, "--clusters", "2", "--no-overwrite")
    assert (code, out) == (1, "")
    assert f"{existing} exists already" in err
    assert _files() == before
    assert Path(existing).read_text() == "old"


def test_results_are_replaced_unless_told_otherwise(here: Path, run: Run) -> None:
    arguments = ["stylize", "photo.jpg", "other.png", "-s", "painting.png", "-o", "out"]
    Path("out").mkdir()
    Path("out/photo__painting.png").write_text("old")
    code, out, err = run(*arguments, "--no-overwrite")
    assert (code, out) == (0, "out/other.png__painting.png\n")
    assert err == "hfstyle: 1 written, 0 failed, 1 left as they were\n"
    assert Path("out/photo__painting.png").read_text() == "old"
    assert run(*arguments)[0] == 0
    assert Image.open("out/photo__painting.png").size == (56, 40)


def test_standard_input_and_output(
    here: Path, run: Run, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    stdin = io.BytesIO(Path("photo.jpg").read_bytes())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stdin))
    assert run("stylize", "-", "-s", "painting.png")[1] == "stdin__painting.png\n"

    stdin.seek(0)
    stdout = io.TextIOWrapper(io.BytesIO())
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        assert main(["stylize", "-", "-s", "painting.png", "-o", "-", "--model", model]) == 0
    written = stdout.buffer.getvalue()  # type: ignore[attr-defined]
    assert written == Path("stdin__painting.png").read_bytes()


def test_the_working_size_changes_the_result_but_not_its_size(here: Path, run: Run) -> None:
    _picture(150, 200, 8).save("large.png")
    for size in ("full", "64"):
        arguments = ["stylize", "large.png", "-s", "painting.png", "--size", size]
        assert run(*arguments, "-o", f"{size}.png")[0] == 0
    full, small = (np.asarray(Image.open(f"{size}.png")) for size in ("full", "64"))
    assert full.shape == small.shape == (150, 200, 3)
    assert not np.array_equal(full, small)


def test_by_default_large_photos_are_painted_smaller_and_small_ones_larger(
    here: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    paint = StyleTransferPipeline.__call__

    def spy(*args: object, processing_resolution: int | None, **options: object) -> object:
        sizes.append(processing_resolution)
        return paint(*args, processing_resolution=64, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(StyleTransferPipeline, "__call__", spy)
    Image.new("RGB", (LARGEST_AUTO_SIZE, LARGEST_AUTO_SIZE)).save("at.png")
    Image.new("RGB", (LARGEST_AUTO_SIZE + 1, LARGEST_AUTO_SIZE + 1)).save("above.png")
    photos = ["photo.jpg", "at.png", "above.png"]
    assert run("stylize", *photos, "-s", "red_hills", "-o", "out", "-q")[0] == 0
    assert sizes == [80, None, LARGEST_AUTO_SIZE]


def test_transparency_and_exif_are_kept_on_request_only(here: Path, run: Run) -> None:
    image = _picture(40, 40, 9).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((40, 40)))
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    image.save("clear.png", exif=exif)
    arguments = ["stylize", "clear.png", "-s", "red_hills", "-o"]
    assert run(*arguments, "plain.png")[0] == 0
    assert run(*arguments, "kept.png", "--keep-alpha", "--keep-exif")[0] == 0
    assert run(*arguments, "place.png", "--keep-gps")[0] == 0
    assert not Image.open("kept.png").getexif().get_ifd(ExifTags.IFD.GPSInfo)
    place = Image.open("place.png").getexif()
    assert place.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
    assert place[0x010F] == "Camera"
    plain, kept = Image.open("plain.png"), Image.open("kept.png")
    assert (plain.mode, plain.getexif().get(0x010F)) == ("RGB", None)
    assert (kept.mode, kept.getexif().get(0x010F)) == ("RGBA", "Camera")
    assert np.array_equal(np.asarray(kept)[..., 3], np.asarray(image)[..., 3])


def test_ctrl_c_is_exit_code_130(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(StyleTransferPipeline, "__call__", interrupt)
    photos = ["missing.jpg", "photo.jpg"]
    code, _, err = run("stylize", *photos, "-s", "painting.png", "-o", "out")
    assert code == 130
    assert "missing.jpg" in err  # what failed before is told all the same
    assert err.endswith("hfstyle: interrupted\n")


def test_a_run_that_is_stopped_while_it_writes_leaves_no_half_file(
    here: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(self: Encoding, image: Image.Image, stream: io.BufferedRandom) -> None:
        stream.write(b"half a picture")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20)

    monkeypatch.setattr(Encoding, "write", write)
    before = sorted(here.iterdir())
    handler = signal.getsignal(signal.SIGTERM)
    code, _, err = run("stylize", "photo.jpg", "-s", "painting.png", "-o", "out.png")
    assert (code, err) == (130, "hfstyle: interrupted\n")
    assert sorted(here.iterdir()) == before
    assert signal.getsignal(signal.SIGTERM) == handler


def test_a_fault_of_the_program_is_one_line_and_a_traceback_on_request(
    here: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr(StyleTransferPipeline, "__call__", fail)
    arguments = ["stylize", "photo.jpg", "-s", "painting.png", "--model", model]
    assert main(arguments) == 1
    assert capsys.readouterr().err == (
        "hfstyle: error: photo.jpg: ZeroDivisionError: by nought; --debug shows where\n"
    )
    assert main([*arguments, "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_want_of_memory_names_the_remedy(
    here: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes")

    monkeypatch.setattr(StyleTransferPipeline, "__call__", fail)
    err = run("stylize", "photo.jpg", "-s", "painting.png")[2]
    assert err == "hfstyle: error: photo.jpg: not enough memory; give a smaller --size\n"


def test_a_model_that_is_not_there_is_told(here: Path, run: Run) -> None:
    for command in (["stylize", "photo.jpg", "-s", "painting.png"], ["styles"], ["info"]):
        code, _, err = run(*command, "--model", "./nothing", with_model=False)
        assert code == 1
        assert err.startswith("hfstyle: error: nothing is not a folder")
    code, _, err = run("styles", "--model", "nobody/nothing", with_model=False)
    assert code == 1
    assert re.fullmatch(r"hfstyle: error: .*nobody/nothing.*\n", err)


def test_missing_bundled_weights_are_told(
    here: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfstyle.styles.presets.default_model_path", lambda: here / "base")
    monkeypatch.setattr("hfstyle.styles.listed._BUNDLED", here / "base")
    code, _, err = run("styles", with_model=False)
    assert (
        code,
        "holds no config.json and no model.safetensors; install hfstyle again" in err,
    ) == (
        1,
        True,
    )


# --- the bar


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_drawn_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, quiet, drawn in (
        (_Terminal(), False, True),
        (_Terminal(), True, False),
        (io.StringIO(), False, False),
    ):
        monkeypatch.setattr(sys, "stderr", stream)
        progress = Progress(2, quiet)
        progress.show("a.jpg")
        progress.step()
        progress.show("b.jpg")
        progress.clear()
        assert ("1/2" in stream.getvalue()) == drawn
        assert ("b.jpg" in stream.getvalue()) == drawn
        assert stream.getvalue().endswith(" \r") == drawn  # taken away


# --- encode, styles, info


def test_an_encoded_style_paints_like_its_picture(here: Path, run: Run) -> None:
    about = ["--title", "Waves", "--artist", "Ann", "--year", "1900", "--licence", "CC0"]
    code, out, err = run("encode", "painting.png", *about)
    assert (code, out, err) == (0, "painting.style.safetensors\n", "")
    code_file = StyleCode.load(out.strip())
    assert code_file.name == "painting"
    assert code_file.metadata == {
        "title": "Waves",
        "artist": "Ann",
        "year": "1900",
        "licence": "CC0",
    }
    run("stylize", "photo.jpg", "-s", "painting.png", "-o", "a.png")
    run("stylize", "photo.jpg", "-s", "painting.style.safetensors", "-o", "b.png")
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


def test_several_pictures_make_their_mean(here: Path, run: Run, model: str) -> None:
    code, _, err = run("encode", "painting.png", "no.jpg", "painting2.jpg", "-o", "m.safetensors")
    assert code == 1
    assert "no.jpg" in err
    assert "m.safetensors is the style of the other 2" in err
    pipe = StyleTransferPipeline.from_pretrained(model)
    mean = StyleCode.mix([pipe.encode_style(p) for p in ("painting.png", "painting2.jpg")])
    made = StyleCode.load("m.safetensors")
    assert made.name == "m"
    assert torch.equal(made.vector, mean.vector)
    assert torch.equal(made.tokens, mean.tokens)


def test_encode_overwrites_no_input(here: Path, run: Run) -> None:
    assert run("encode", "painting.png", "--name", "first", "-o", "a.safetensors")[0] == 0
    code, _, err = run("encode", "a.safetensors", "painting2.jpg", "-o", "a.safetensors")
    assert (code, "never overwritten" in err) == (2, True)
    code, _, err = run("encode", "painting2.jpg", "-o", "a.safetensors", "--no-overwrite")
    assert (code, "exists already" in err) == (1, True)
    assert StyleCode.load("a.safetensors").name == "first"


def test_styles_are_listed_with_their_sources(run: Run) -> None:
    code, out, err = run("styles")
    assert (code, err) == (0, "")
    head, waves, hills = (re.split(r"\s{2,}", line) for line in out.splitlines())
    assert head == ["NAME", "TITLE", "ARTIST", "YEAR", "MOVEMENT"]
    assert waves == ["blue_waves", "Blue Waves", "A. Painter", "1901"]
    assert hills == ["red_hills"]
    listed = json.loads(run("styles", "--json")[1])
    assert [style["name"] for style in listed] == ["blue_waves", "red_hills"]
    assert listed[0]["title"] == "Blue Waves"


def test_info_names_versions_and_model(run: Run, model: str) -> None:
    facts = json.loads(run("info", "--json")[1])
    generator = StyleGenerator.from_pretrained(model)
    assert facts["hfstyle"] == hfstyle.__version__
    assert facts["torch"] == torch.__version__
    assert facts["devices"][0] == "cpu"
    assert facts["model"]["encoder"] == generator.encoder_fingerprint()
    assert facts["model"]["parameters"] == sum(p.numel() for p in generator.parameters())
    assert facts["model"]["files"]["model.safetensors"] > 0
    assert facts["model"]["styles"] == 2
    text = run("info")[1]
    assert f"torch: {torch.__version__}" in text
    assert f"model encoder: {generator.encoder_fingerprint()}" in text


def test_info_tells_the_rest_when_the_model_is_broken(run: Run, tmp_path: Path) -> None:
    code, out, err = run("info", "--model", str(tmp_path), with_model=False)
    assert code == 1
    assert f"torch: {torch.__version__}" in out
    assert "holds no config.json" in err


def test_info_of_a_style_code_tells_whether_it_fits(here: Path, run: Run) -> None:
    run("encode", "painting.png", "--title", "Waves")
    facts = json.loads(run("info", "painting.style.safetensors", "--json")[1])
    assert (facts["name"], facts["metadata"], facts["fits_model"]) == (
        "painting",
        {"title": "Waves"},
        True,
    )
    small_generator(1).save_pretrained("other_model")
    arguments = ["info", "painting.style.safetensors", "--model", "other_model"]
    code, out, _ = run(*arguments, with_model=False)
    assert code == 0
    assert "fits model: no" in out
    code, _, err = run("info", "photo.jpg")
    assert (code, err.startswith("hfstyle: error: photo.jpg")) == (1, True)


# --- demo and example photos


def test_the_demo_shows_photo_and_painting_side_by_side(here: Path, run: Run) -> None:
    pytest.importorskip("skimage")
    code, out, err = run("demo", "--photo", "chelsea")
    assert (code, err) == (0, "")
    assert str(here.resolve() / "hfstyle-demo.png") in out
    assert "Blue Waves (A. Painter, 1901)" in out
    written = Image.open("hfstyle-demo.png")
    assert "compositeWithTrainedAlgorithmicMedia" in written.info["XML:com.adobe.xmp"]
    both = np.asarray(written)
    photo = np.asarray(example_photo("chelsea"))
    assert both.shape == (300, 2 * 451 + 8, 3)
    assert np.array_equal(both[:, :451], photo)
    assert not np.array_equal(both[:, -451:], photo)


def test_a_demo_without_styles_tells_what_to_do(here: Path, run: Run) -> None:
    pytest.importorskip("skimage")
    small_generator(0).save_pretrained("bare")
    code, _, err = run("demo", "--model", "bare", with_model=False)
    assert (code, "--style painting.jpg" in err) == (1, True)


def test_example_photos_are_there_without_a_download() -> None:
    pytest.importorskip("skimage")
    for name, about in EXAMPLE_PHOTOS.items():
        photo = example_photo(name)
        assert photo.mode == "RGB"
        assert about.endswith(f"{photo.width} x {photo.height}")
        assert example_photo_path(name).parent.name == "data"


def test_a_missing_example_photo_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="there are: astronaut, chelsea"):
        example_photo("lena")
    monkeypatch.setattr("hfstyle.examples.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"hfstyle\[examples\]"):
        example_photo("astronaut")
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr("hfstyle.examples.find_spec", lambda name: spec)
    with pytest.raises(FileNotFoundError, match="--force-reinstall"):
        example_photo("astronaut")
