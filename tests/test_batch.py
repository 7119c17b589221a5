"""`python -m hfstyle.batch`: whole data sets, split over processes, interrupted and gone on with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hub_server import HubServer
from PIL import Image
from small_model import small_generator

from hfstyle import Region, StyleCode, StyleTransferPipeline
from hfstyle.batch import main
from hfstyle.cli import main as command_line

pytest.importorskip("accelerate")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
datasets = pytest.importorskip("datasets")

ROOT = Path(__file__).resolve().parent.parent
COUNT = 11  # pictures of a folder, odd, so that two processes get different shares


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    small_generator().save_pretrained(folder)
    return folder


@pytest.fixture
def here(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with photos/ (one of them damaged), style.png, and the model's path in `model`."""
    monkeypatch.chdir(tmp_path)
    photos = tmp_path / "photos"
    (photos / "more").mkdir(parents=True)
    for number in range(COUNT):
        picture(number).save(photos / ("more" if number % 2 else "") / f"{number:02}.png")
    picture(99, 70).save("style.png")
    return tmp_path


def picture(seed: int, side: int = 33) -> Image.Image:
    random = np.random.default_rng(seed)
    return Image.fromarray(random.integers(0, 256, (side, side + seed % 7, 3), np.uint8))


def arguments(model: Path, dataset: str = "photos", output: str = "out", *more: str) -> list[str]:
    command = ["--dataset", dataset, "--style", "style.png", "--output", output]
    return [*command, "--model", str(model), "--device", "cpu", *more]


def outputs(folder: str) -> dict[str, bytes]:
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def parquet(path: Path, seeds: range, bad: frozenset[int] = frozenset()) -> None:
    files = []
    for seed in seeds:
        picture(seed).save("row.png")
        files.append(b"no picture" if seed in bad else Path("row.png").read_bytes())
    Path("row.png").unlink()
    images = [{"bytes": data, "path": None} for data in files]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = {"image": pa.array(images, kind), "label": [f"label {seed}" for seed in seeds]}
    pq.write_table(pa.table(table), path, row_group_size=4)


def test_a_folder_becomes_a_folder_of_the_same_names(
    here: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(model)) == 0
    assert capsys.readouterr().out == "out: 11 painted, 0 were there, 0 failed\n"
    names = {str(p.relative_to("photos")) for p in Path("photos").rglob("*.png")}
    assert set(outputs("out")) == names | {"settings.json", "report.json"}
    pipe = StyleTransferPipeline.from_pretrained(model)
    expected = pipe("photos/more/03.png", "style.png").images[0]
    assert np.array_equal(np.asarray(Image.open("out/more/03.png")), np.asarray(expected))


@pytest.mark.parametrize("format", ["png", "tif", "jpg", "parquet"])
def test_large_pictures_are_painted_from_file_to_file(
    here: Path, model: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    picture(50, 60).save("photos/more/large.png")
    more = ["--format", format, "--strength", "0.7", "--size", "64"]
    names: list[str] = []
    paint_file = StyleTransferPipeline.paint_file

    def spy(
        self: StyleTransferPipeline, source: Path, target: Path, *given: Any, **how: Any
    ) -> Path:
        names.append(str(target))
        return paint_file(self, source, target, *given, **how)

    monkeypatch.setattr(StyleTransferPipeline, "paint_file", spy)
    monkeypatch.setattr("hfstyle.painting.large_file.UNTILED_PIXELS", 60 * 60 - 1)
    assert main(arguments(model, "photos", "out", *more)) == 0
    by_rows = format in ("png", "tif")
    wanted = Path(f"out/more/large.{format}").resolve()
    assert [Path(name).resolve() for name in names] == ([wanted] if by_rows else [])
    if by_rows:
        pipe = StyleTransferPipeline.from_pretrained(model)
        expected = pipe("photos/more/large.png", "style.png", 0.7, processing_resolution=64).images[
            0
        ]
        assert np.array_equal(np.asarray(Image.open(names[0])), np.asarray(expected))


def test_bad_pictures_are_listed_and_tried_again(
    here: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("photos/04.png").write_bytes(b"no picture")
    Image.new("RGB", (5, 5)).save("photos/06.png")
    assert main(arguments(model)) == 1
    printed = capsys.readouterr()
    assert "photos/04.png is not a picture" in printed.err
    assert "photos/06.png is 5 x 5 px" in printed.err
    report = json.loads(Path("out/report.json").read_text())
    assert (report["painted"], report["earlier"]) == (COUNT - 2, 0)
    assert [item["name"] for item in report["failed"]] == ["photos/04.png", "photos/06.png"]
    assert "not a picture" in report["failed"][0]["error"]
    before = outputs("out")

    picture(4).save("photos/04.png")
    assert main(arguments(model)) == 1
    report = json.loads(Path("out/report.json").read_text())
    assert (report["painted"], report["earlier"], len(report["failed"])) == (1, COUNT - 2, 1)
    after = outputs("out")
    assert after.keys() - before.keys() == {"04.png"}
    assert all(after[name] == before[name] for name in before if name != "report.json")


def test_pictures_of_one_stem_do_not_meet(here: Path, model: Path) -> None:
    picture(50).convert("L").save("photos/00.jpg")
    picture(51).save("photos/00.png.png")
    assert main(arguments(model, "photos", "out", "--format", "jpg")) == 0
    assert {"00.jpg.jpg", "00.png.jpg", "00.png.png.jpg"} <= set(outputs("out"))


@pytest.mark.parametrize("merged", [False, True])
def test_pictures_whose_names_differ_in_case_do_not_meet(
    here: Path, model: Path, monkeypatch: pytest.MonkeyPatch, merged: bool
) -> None:
    """Neither where the file system of the results tells them apart, nor where it does not."""
    if Path("PHOTOS").exists():
        pytest.skip("this file system takes the two for one")
    picture(50).save("photos/meet.png")
    picture(51).save("photos/MEET.png")
    monkeypatch.setattr("hfstyle.batch.results.merges_names", lambda folder: merged)
    assert main(arguments(model, "photos", "out")) == 0
    found = [name for name in outputs("out") if name.lower().startswith("meet")]
    assert len({name.lower() if merged else name for name in found}) == 2
    assert merged != ("MEET.png.png" in found)


@pytest.mark.parametrize("format", ["png", "parquet"])
def test_parquet_goes_in(here: Path, model: Path, format: str) -> None:
    Path("data").mkdir()
    parquet(Path("data/a.parquet"), range(6))
    parquet(Path("data/b.parquet"), range(6, 11), frozenset({7}))
    options = ["--format", format, "--rows-per-file", "4"]
    assert main(arguments(model, "data", "out", *options)) == 1
    report = json.loads(Path("out/report.json").read_text())
    assert [(f["index"], f["name"]) for f in report["failed"]] == [(7, "b.parquet row 1")]
    if format == "png":
        names = {f"{index:09d}.png" for index in range(11) if index != 7}
        assert set(outputs("out")) == names | {"settings.json", "report.json"}
        return
    before = outputs("out")
    assert set(before) == {
        *("painted-000000000.parquet", "painted-000000004.parquet", "painted-000000009.parquet"),
        *("settings.json", "report.json"),
    }
    rows = datasets.load_dataset("parquet", data_files="out/*.parquet", cache_dir="cache")["train"]
    assert rows["index"] == [0, 1, 2, 3, 4, 5, 6, 8, 9, 10]
    assert rows["label"][7] == "label 8"
    assert rows[0]["style"] == "style"
    assert rows[0]["image"].size == picture(0).size  # decoded: the column is known to hold pictures
    assert main(arguments(model, "data", "out", *options)) == 1
    assert outputs("out") == before | {"report.json": Path("out/report.json").read_bytes()}


@pytest.fixture
def hub_data(hub: HubServer, here: Path, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """The Hub of conftest.py, with the data set someone/photos, of which row 3 is damaged."""
    parquet(Path("train.parquet"), range(5), frozenset({3}))
    parquet(Path("test.parquet"), range(20, 22))
    files = {
        f"data/{split}-00000-of-00001.parquet": Path(f"{split}.parquet").read_bytes()
        for split in ("train", "test")
    }
    hub.add(
        "someone/photos", {**files, "README.md": b"---\nlicense: cc0-1.0\n---\n"}, kind="dataset"
    )
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.url)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "USE_PARQUET_EXPORT", False)  # asks another server
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", here / "cache")
    return hub


def test_a_data_set_of_the_hub_goes_in_by_name_and_a_run_goes_on(
    hub_data: HubServer, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(model, "someone/photos")) == 1
    report = json.loads(Path("out/report.json").read_text())
    assert (report["painted"], report["earlier"]) == (4, 0)
    assert [(f["index"], f["name"]) for f in report["failed"]] == [(3, "someone/photos row 3")]
    pipe = StyleTransferPipeline.from_pretrained(model)
    expected = pipe(picture(4), "style.png").images[0]
    assert np.array_equal(np.asarray(Image.open("out/000000004.png")), np.asarray(expected))

    Path("out/000000001.png").unlink()  # as if the run had been stopped before it
    before = outputs("out")
    requests = len(hub_data.requests)
    assert main(arguments(model, "someone/photos")) == 1
    report = json.loads(Path("out/report.json").read_text())
    assert (report["painted"], report["earlier"]) == (1, 3)
    after = outputs("out")
    assert after.keys() - before.keys() == {"000000001.png"}
    assert all(after[name] == before[name] for name in before if name != "report.json")
    again = [r for r in hub_data.requests[requests:] if r.startswith("GET") and "/storage/" in r]
    assert not again  # what was downloaded is not downloaded twice

    tables = ["--split", "test", "--format", "parquet"]
    assert main(arguments(model, "someone/photos", "tables", *tables)) == 0
    rows = pq.read_table("tables/painted-000000000.parquet")
    assert rows["label"].to_pylist() == ["label 20", "label 21"]
    capsys.readouterr()
    assert main(arguments(model, "someone/nothing", "none")) == 1
    assert "someone/nothing is no folder, and no data set of the Hub" in capsys.readouterr().err
    assert main(arguments(model, "someone/photos", "none", "--image-column", "picture")) == 1
    assert "someone/photos has no column 'picture', but image, label" in capsys.readouterr().err
    assert not Path("none").exists()


def test_a_data_set_of_the_hub_is_a_collection(
    hub_data: HubServer, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["encode", "--model", str(model), "--dataset", "someone/photos", "-o", "a.safetensors"]
    assert command_line([*words, "--split", "test"]) == 0
    pipe = StyleTransferPipeline.from_pretrained(model)
    mean = StyleCode.mix([pipe.encode_style(picture(seed)) for seed in (20, 21)])
    torch.testing.assert_close(
        StyleCode.load("a.safetensors").vector, mean.vector, atol=1e-3, rtol=1e-3
    )
    capsys.readouterr()
    assert command_line([*words, "--clusters", "2"]) == 1  # row 3 is damaged, the others count
    assert "someone/photos row 3" in capsys.readouterr().err
    counts = [StyleCode.load(f"a-{k}.style.safetensors").metadata["pictures"] for k in (1, 2)]
    assert sum(map(int, counts)) == 4
    assert Path("a.jpg").is_file()
    # Of rows 0 to 4 the limit takes 0 and 2.
    assert command_line([*words, "--limit", "2"]) == 0
    mean = StyleCode.mix([pipe.encode_style(picture(seed)) for seed in (0, 2)])
    torch.testing.assert_close(
        StyleCode.load("a.safetensors").vector, mean.vector, atol=1e-3, rtol=1e-3
    )
    assert command_line([*words, "--limit", "0"]) == 2
    assert command_line([*words, "photo.png"]) == 2
    assert command_line(["encode", "--model", str(model)]) == 2
    assert command_line([*words[:3], "--dataset", "someone/nothing", "-o", "b.safetensors"]) == 1
    assert "someone/nothing is no folder, and no data set of the Hub" in capsys.readouterr().err


@pytest.mark.slow
def test_a_data_set_in_the_cache_needs_no_network(
    hub_data: HubServer, here: Path, model: Path
) -> None:
    environment = {**os.environ, "HF_ENDPOINT": hub_data.url, "HF_HOME": str(here / "home")}
    environment |= {"NO_PROXY": "*", "no_proxy": "*", "PYTHONPATH": str(ROOT)}
    runs, requests = [], []
    for offline in "01":
        runs.append(
            subprocess.run(
                [sys.executable, "-m", "hfstyle.batch", *arguments(model, "someone/photos")],
                env=environment | {"HF_HUB_OFFLINE": offline},
                capture_output=True,
                text=True,
                timeout=100,
            )
        )
        requests.append(len(hub_data.requests))
        Path("out/000000002.png").unlink()
    told = [run.stdout.splitlines()[-1:] for run in runs]
    assert told[0] == ["out: 4 painted, 0 were there, 1 failed"], runs[0].stderr
    assert told[1] == ["out: 1 painted, 3 were there, 1 failed"], runs[1].stderr
    assert requests[0] == requests[1] > 0


def test_several_styles_take_turns_or_are_mixed(here: Path, model: Path) -> None:
    picture(77, 80).save("other.png")
    both = arguments(model, "photos", "out", "--style", "other.png")
    assert main(both) == 0
    assert main([*both[:5], "mixed", *both[6:], "--style-weights", "1,1"]) == 0
    pipe = StyleTransferPipeline.from_pretrained(model)
    files = sorted(Path("photos").rglob("*.png"))
    for index in (0, 1):
        expected = pipe(files[index], ["style.png", "other.png"][index]).images[0]
        result = Image.open(Path("out") / files[index].relative_to("photos"))
        assert np.array_equal(np.asarray(result), np.asarray(expected))
    expected = pipe(files[0], ["style.png", "other.png"], style_weights=[1, 1]).images[0]
    mixed = Image.open(Path("mixed") / files[0].relative_to("photos"))
    assert np.array_equal(np.asarray(mixed), np.asarray(expected))


def test_an_output_begun_with_other_settings_is_left_alone(
    here: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(model)) == 0
    before = outputs("out")
    for change, message in (
        (["--strength", "0.5"], "strength"),
        (["--style", "photos/00.png"], "styles"),
        (["--format", "jpg"], "format"),
        (["--quality", "80"], "quality"),
        (["--color", "0.5"], "color"),
        (["--keep-exif"], "keep_exif"),
        (["--region", "left-half", "none"], "regions"),
    ):
        capsys.readouterr()
        assert main(arguments(model, "photos", "out", *change)) == 1
        assert f"out was begun with {message}" in capsys.readouterr().err
        assert outputs("out") == before


def test_an_output_begun_with_pictures_of_other_names_is_left_alone(
    here: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else 00.png, once painted as 00.png, would be painted again as 00.png.png beside a new 00.jpg."""
    assert main(arguments(model)) == 0
    before = outputs("out")
    Path("photos/02.png").unlink()
    picture(2).save("photos/00.jpg")
    assert main(arguments(model)) == 1
    assert "was begun with pictures of other names" in capsys.readouterr().err
    assert outputs("out") == before


def test_another_model_does_not_go_on(
    here: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(model)) == 0
    pipe = StyleTransferPipeline.from_pretrained(model)
    with torch.no_grad():
        pipe.generator.style2.bias += 0.5  # no part of the style encoder
    pipe.save_pretrained(here / "other")
    assert main(arguments(here / "other")) == 1
    assert "out was begun with model" in capsys.readouterr().err


def test_results_inside_the_data_set_are_none_of_its_pictures(here: Path, model: Path) -> None:
    for earlier in (0, COUNT):
        assert main(arguments(model, "photos", "photos/out")) == 0
        report = json.loads(Path("photos/out/report.json").read_text())
        assert (report["painted"], report["earlier"]) == (COUNT - earlier, earlier)


def test_a_style_among_the_results_is_refused(
    here: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("out").mkdir()
    picture(3, 80).save("out/00.png")
    before = outputs("out")
    command = arguments(model)
    command[command.index("style.png")] = "out/00.png"
    assert main(command) == 2
    assert "lies in the folder of the results" in capsys.readouterr().err
    assert outputs("out") == before


def test_options_are_those_of_a_call(here: Path, model: Path) -> None:
    exif = Image.Exif()
    exif[0x013B] = "Somebody"
    picture(1, 80).save("photos/00.png", exif=exif)
    options = ["--color", "0.3", "--strength", "0.8", "--tile-size", "64", "--style-size", "96"]
    regions = ["--region", "left-half", "style.png", "--feather", "0.1", "--keep-exif"]
    assert main(arguments(model, "photos", "out", *options, *regions)) == 0
    pipe = StyleTransferPipeline.from_pretrained(model)
    code = pipe.encode_style("style.png", style_size=96)
    region = Region("left-half", code, 0.8, 0.3, 0.1)
    expected = pipe("photos/00.png", code, 0.8, color=0.3, regions=[region], tile_size=64).images[0]
    with Image.open("out/00.png") as result:
        assert np.array_equal(np.asarray(result), np.asarray(expected))
        assert result.getexif()[0x013B] == "Somebody"
    settings = json.loads(Path("out/settings.json").read_text())
    assert {"quality", "style_size", "model", "color", "regions", "keep_exif"} <= settings.keys()


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("nowhere/at/all", "no Hub id"),
        ("both", "name one kind"),
        ("bad.parquet", "cannot be read as Parquet"),
        ("columns", "has no column 'image', but label"),
    ],
)
def test_a_data_set_that_is_none_is_told(
    here: Path, model: Path, dataset: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("empty", "both", "columns"):
        Path(folder).mkdir()
    picture(1).save("both/a.png")
    parquet(Path("both/a.parquet"), range(1))
    pq.write_table(pa.table({"label": ["a"]}), "columns/a.parquet")
    if dataset == "bad.parquet":
        Path("bad.parquet").write_bytes(b"nothing")
    assert main(arguments(model, dataset)) == 1
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_folder_of_other_files_is_not_written_into(
    here: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(model, "photos", "photos")) == 1
    assert "photos holds files of something else" in capsys.readouterr().err


def two_processes(script: list[str], command: list[str]) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launcher += ["--nproc_per_node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")])
    return subprocess.run(
        [*launcher, *script, *command], env=environment, capture_output=True, text=True, timeout=100
    )


@pytest.mark.slow
@pytest.mark.parametrize("format", ["png", "parquet"])
def test_two_processes_go_on_after_one_was_killed(here: Path, model: Path, format: str) -> None:
    Path("photos/04.png").write_bytes(b"no picture")
    command = arguments(model, "photos", "out", "--format", format, "--rows-per-file", "1")
    killed = two_processes([str(ROOT / "tests" / "killed_batch.py")], command)
    assert killed.returncode != 0
    assert not Path("out/report.json").exists()
    before = {n: d for n, d in outputs("out").items() if n.endswith(format) and n[0] != "."}
    assert 2 <= len(before) < COUNT - 1

    finished = two_processes(["-m", "hfstyle.batch"], command)
    assert finished.returncode == 1, finished.stderr  # one picture is bad
    after = outputs("out")
    assert not [name for name in after if Path(name).name.startswith(".")]
    assert all(after[name] == data for name, data in before.items())
    report = json.loads(after["report.json"])
    assert report["earlier"] == len(before)
    assert report["painted"] == COUNT - 1 - len(before)
    assert [item["name"] for item in report["failed"]] == ["photos/04.png"]

    threads = torch.get_num_threads()
    torch.set_num_threads(
        1
    )  # as in each of two processes: sums over threads differ in their last bits
    try:
        main(arguments(model, "photos", "alone", "--format", format, "--rows-per-file", "1", "-q"))
    finally:
        torch.set_num_threads(threads)
    alone = outputs("alone")
    assert after.keys() == alone.keys()
    if format == "png":
        for name in alone.keys() - {"report.json"}:
            assert after[name] == alone[name]
    else:
        tables = [
            pa.concat_tables(map(pq.read_table, Path(folder).glob("*.parquet"))).sort_by("index")
            for folder in ("out", "alone")
        ]
        assert tables[0].drop_columns("image").equals(tables[1].drop_columns("image"))
        assert tables[0]["index"].to_pylist() == tables[1]["index"].to_pylist()
        assert len(set(tables[0]["index"].to_pylist())) == COUNT - 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_standard_output_is_told(here: Path, model: Path) -> None:
    line = [sys.executable, "-m", "hfstyle.batch", *arguments(model)]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            line, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, cwd=here
        )
    assert ended.returncode == 1
    assert "standard output cannot be written: No space left" in ended.stderr
    assert len(list(Path("out").rglob("*.png"))) == COUNT
