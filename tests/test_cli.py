"""The command `hfstyle`: what it writes, what it says, and its exit codes."""

from __future__ import annotations

import io
import json
import os
import re
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
from hfstyle._arguments import LARGEST_AUTO_SIZE
from hfstyle._encode import Encoding
from hfstyle._terminal import Progress
from hfstyle.cli import _parser, main
from hfstyle.examples import EXAMPLE_PHOTOS, example_photo, example_photo_path
from hfstyle.pipeline import DEFAULT_STYLE_SIZE

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


@pytest.mark.parametrize(
    "command", ["", "stylize", "encode", "styles", "info", "demo", "benchmark"]
)
def test_every_command_explains_itself(command: str, run: Run) -> None:
    code, out, err = run(*filter(None, [command, "--help"]), with_model=False)
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: hfstyle {command}".rstrip())
    assert max(map(len, out.splitlines())) <= 100


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version", with_model=False) == (0, f"hfstyle {hfstyle.__version__}\n", "")


def test_defaults_in_the_parser_are_those_of_the_pipeline() -> None:
    args = _parser().parse_args(["stylize", "a.jpg", "--style", "b.jpg"])
    assert args.style_size == DEFAULT_STYLE_SIZE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "required: COMMAND"),
        ("paint", "invalid choice: 'paint'"),
        ("stylize photo.jpg", "give a style with --style"),
        ("stylize --style painting.png", "required: PHOTO"),
        ("stylize photo.jpg -s painting.png --strength 1.5", "'1.5' is not a number from 0.0 to 1"),
        ("stylize photo.jpg -s painting.png --strength nan", "'nan' is not a number"),
        ("stylize photo.jpg -s painting.png --size 10", "'10' is not a whole number from 64 up"),
        ("stylize photo.jpg -s painting.png --size big", "'full' or 'auto'"),
        ("stylize photo.jpg -s painting.png --style-size 9999", "from 64 to 4096"),
        ("stylize photo.jpg -s painting.png --quality 0", "from 1 to 100"),
        ("stylize photo.jpg -s painting.png --dtype int8", "invalid choice: 'int8'"),
        ("stylize photo.jpg -s painting.png -o out.xyz", "'.xyz'; pictures are written as .png"),
        ("stylize photo.jpg -s painting.png -o no/where/out.png", "no folder no/where; create it"),
        ("stylize photo.jpg other.png -s painting.png -o out.png", "give -o FOLDER"),
        ("stylize photo.jpg other.png -s painting.png -o -", "takes one result"),
        ("stylize photo.jpg other.png -s painting.png -o painting.png", "is a file"),
        ("stylize photo.jpg -s painting.png -s painting2.jpg -o out.png", "give -o FOLDER"),
        ("stylize . -s painting.png", "folder of the photos and of the results"),
        ("stylize - - -s painting.png -o out/", "can be read only once"),
        ("stylize photo.jpg -s painting.png --style-weights 1,2", "1 styles need 1 weights, got 2"),
        ("stylize photo.jpg -s painting.png --style-weights a", "not a list of numbers"),
        ("stylize photo.jpg -s painting.png --style-weights=-1", "must be finite and >= 0"),
        ("encode painting.png -o style.pt", "named *.safetensors"),
        ("encode painting.png -o .", "is a folder"),
        ("encode painting.png painting2.jpg", "name its file with -o"),
        ("demo --photo lena", "no example photo 'lena'; there are: astronaut"),
        ("benchmark --repeats 0", "'0' is not a whole number from 1 up"),
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


def test_strength_0_gives_the_photo_back(here: Path, run: Run) -> None:
    assert (
        run("stylize", "other.png", "-s", "painting.png", "--strength", "0", "-o", "o.png")[0] == 0
    )
    assert np.array_equal(np.asarray(Image.open("o.png")), np.asarray(Image.open("other.png")))


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.JPEG", "out.webp", "out.tif"])
def test_the_suffix_is_the_format(name: str, here: Path, run: Run) -> None:
    assert run("stylize", "photo.jpg", "-s", "painting.png", "-o", name)[0] == 0
    known = {"png": "PNG", "jpg": "JPEG", "JPEG": "JPEG", "webp": "WEBP", "tif": "TIFF"}
    assert Image.open(name).format == known[name.rpartition(".")[2]]


def test_without_output_the_result_is_named_after_photo_and_style(here: Path, run: Run) -> None:
    assert run("stylize", "photo.jpg", "-s", "painting.png")[1] == "photo__painting.png\n"
    assert run("stylize", "photo.jpg", "-s", "blue_waves", "-o", "new/")[1] == (
        "new/photo__blue_waves.png\n"
    )


def test_photos_times_styles_go_into_a_folder(here: Path, run: Run) -> None:
    arguments = ["stylize", "photo.jpg", "other.png", "-s", "painting.png", "-s", "red_hills"]
    code, out, err = run(*arguments, "-o", "painted", "--format", "jpg")
    names = ["photo__painting", "photo__red_hills", "other__painting", "other__red_hills"]
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
    assert _files("in/out") == {"a__red_hills.png"}
    for _ in range(2):  # the second time, there are results that must not be painted
        assert run(*arguments, "--recursive") == (0, "", "")
        expected = {"a__red_hills.png", "deep/a__red_hills.png", "deep/er/b__red_hills.png"}
        assert _files("in/out") == expected


def test_a_folder_below_the_output_folder_is_painted(here: Path, run: Run) -> None:
    Path("in").mkdir()
    _picture(32, 32, 5).save("in/a.png")
    assert run("stylize", "in", "-s", "red_hills")[1] == "a__red_hills.png\n"


def test_photos_of_one_name_get_different_results(here: Path, run: Run) -> None:
    _picture(32, 32, 6).save("photo.png")
    os.mkdir("sub")
    _picture(32, 32, 7).save("sub/PHOTO.png")
    photos = ["photo.jpg", "photo.png", "sub/PHOTO.png", "./photo.jpg"]  # the last one again
    assert run("stylize", *photos, "-s", "painting.png", "-o", "out")[0] == 0
    assert _files("out") == {
        "photo__painting.png",
        "photo__painting-2.png",
        "PHOTO__painting-3.png",
    }


def test_one_bad_file_is_told_at_the_end_and_stops_nothing(here: Path, run: Run) -> None:
    Path("bad.jpg").write_bytes(b"not a picture")
    Path("cut.png").write_bytes(Path("other.png").read_bytes()[:200])
    Path("empty").mkdir()
    photos = ["bad.jpg", "photo.jpg", "missing.jpg", "cut.png", "empty", "other.png"]
    code, out, err = run("stylize", *photos, "-s", "painting.png", "-o", "out")
    assert code == 1
    assert out.split() == ["out/photo__painting.png", "out/other__painting.png"]
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


def test_an_input_is_never_overwritten(here: Path, run: Run) -> None:
    os.link("photo.jpg", "hard.jpg")
    os.symlink("painting.png", "soft.png")
    before = {name: Path(name).read_bytes() for name in _files()}
    for target in ("photo.jpg", "hard.jpg", "painting.png", "soft.png", "./photo.jpg"):
        code, out, err = run("stylize", "photo.jpg", "-s", "painting.png", "-o", target)
        assert (code, out) == (1, "")
        assert "one of the inputs, which are never overwritten" in err
    assert {name: Path(name).read_bytes() for name in _files()} == before


def test_results_are_replaced_unless_told_otherwise(here: Path, run: Run) -> None:
    arguments = ["stylize", "photo.jpg", "other.png", "-s", "painting.png", "-o", "out"]
    Path("out").mkdir()
    Path("out/photo__painting.png").write_text("old")
    code, out, err = run(*arguments, "--no-overwrite")
    assert (code, out) == (0, "out/other__painting.png\n")
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


def test_by_default_only_large_photos_are_painted_smaller(
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
    assert sizes == [None, None, LARGEST_AUTO_SIZE]


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
    monkeypatch.setattr("hfstyle._presets.default_model_path", lambda: here / "base")
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
        assert stream.getvalue().endswith("\x1b[K") == drawn


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
    both = np.asarray(Image.open("hfstyle-demo.png"))
    photo = np.asarray(example_photo("chelsea"))
    assert both.shape == (300, 2 * 451 + 8, 3)
    assert np.array_equal(both[:, :451], photo)
    assert not np.array_equal(both[:, -451:], photo)


def test_a_demo_without_styles_tells_what_to_do(here: Path, run: Run) -> None:
    pytest.importorskip("skimage")
    small_generator(0).save_pretrained("bare")
    code, _, err = run("demo", "--model", "bare", with_model=False)
    assert (code, "--style painting.jpg" in err) == (1, True)


@pytest.mark.parametrize("name", list(EXAMPLE_PHOTOS))
def test_example_photos_are_there_without_a_download(name: str) -> None:
    pytest.importorskip("skimage")
    photo = example_photo(name)
    assert photo.mode == "RGB"
    assert EXAMPLE_PHOTOS[name].endswith(f"{photo.width} x {photo.height}")
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
