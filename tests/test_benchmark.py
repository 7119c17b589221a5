"""`hfstyle benchmark`: seconds and memory, each case in a process of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_model import small_generator

from hfstyle.benchmark.machine import machine
from hfstyle.benchmark.run import _fits, format_results, measure
from hfstyle.cli import main
from hfstyle.limits import DEFAULT_STYLE_SIZE


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    generator = small_generator()
    folder = tmp_path_factory.mktemp("model")
    generator.save_pretrained(folder)
    return str(folder)


def test_the_command_prints_a_table_and_writes_json(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "numbers.json"
    options = ["--sizes", "1024", "64", "--threads", "1", "--repeats", "2", "--device", "cpu"]
    assert main(["benchmark", *options, "--model", model, "--json", str(file)]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    report = json.loads(file.read_text(encoding="utf-8"))
    assert report["machine"]["torch"] == torch.__version__
    assert report["machine"]["cpu"] in output.out
    assert [(r["task"], r["size"], r["threads"]) for r in report["results"]] == [
        ("paint", 1024, 1),
        ("paint", 64, 1),
        ("encode", DEFAULT_STYLE_SIZE, 1),
    ]
    for result in report["results"]:
        assert len(result["seconds_each"]) == 2
        assert result["seconds"] == pytest.approx(sum(result["seconds_each"]) / 2)
        assert result["pixels_per_second"] == pytest.approx(result["size"] ** 2 / result["seconds"])
        assert f"{result['size']} x {result['size']}" in output.out
    large, small, _ = report["results"]
    if (
        small["memory_bytes"] is not None
    ):  # the peak of each case is its own, not the highest so far
        assert large["memory_bytes"] - small["memory_bytes"] > 1024 * 1024 * 3 * 4


def test_a_case_that_fails_is_told_and_stops_nothing(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def case(command: list[str], **options: Any) -> SimpleNamespace:
        given = json.loads(command[-1])
        if given["dtype"] == "float16":
            return SimpleNamespace(returncode=1, stderr="Traceback\nValueError: no\n", stdout="")
        if given["size"] == 64:
            return SimpleNamespace(returncode=-9, stderr="", stdout="")
        return SimpleNamespace(
            returncode=0, stderr="", stdout=json.dumps(measure(**{**given, "size": 64}))
        )

    monkeypatch.setattr(subprocess, "run", case)
    options = ["--sizes", "64", "65", "--dtype", "float32", "float16", "--repeats", "1"]
    assert main(["benchmark", *options, "--device", "cpu", "--model", model]) == 1
    output = capsys.readouterr()
    assert output.out.count("failed") == 3
    assert output.err.splitlines() == [
        "hfstyle: error: paint 64 px, float32: killed by signal 9, perhaps for want of memory",
        "hfstyle: error: paint 64 px, float16: ValueError: no",
        "hfstyle: error: paint 65 px, float16: ValueError: no",
    ]


def test_a_case_can_be_measured_in_this_process(model: str) -> None:
    result = measure(task="encode", size=64, repeats=3, model=model)
    assert (result["task"], result["size"], len(result["seconds_each"])) == ("encode", 64, 3)
    assert result["threads"] == torch.get_num_threads()
    assert result["device_memory_bytes"] is None


def test_the_machine_is_named() -> None:
    facts = machine()
    assert facts["cpu"]
    assert facts["cores"] >= 1
    assert json.loads(json.dumps(facts)) == facts


def test_large_pictures_are_measured_from_file_to_file_and_fitted(
    model: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def case(command: list[str], **options: Any) -> SimpleNamespace:
        given = json.loads(command[-1])
        result = measure(**given)
        assert Path(given["source"] + ".out.png").stat().st_size > 0
        return SimpleNamespace(returncode=0, stderr="", stdout=json.dumps(result))

    monkeypatch.setattr(subprocess, "run", case)
    file = tmp_path / "numbers.json"
    options = ["--large", "0.14", "0.0625", "--tile-size", "128", "--json", str(file)]
    assert main(["benchmark", *options, "--device", "cpu", "--model", model]) == 0
    report = json.loads(file.read_text(encoding="utf-8"))
    assert [(r["task"], r["size"]) for r in report["results"]] == [("file", 256), ("file", 383)]
    assert all(r["seconds"] > 0 for r in report["results"])
    (fit,) = report["fits"]
    assert fit["worst"] == pytest.approx(1)  # a line through two points
    output = capsys.readouterr().out
    assert report["machine"]["cpu"] in output
    assert f"seconds ~ pixels ^ {fit['exponent']:.3f}" in output


def test_the_fit_finds_the_exponent() -> None:
    sizes = (1024, 2048, 4096, 8192)
    common = {"threads": 2, "dtype": "float32"}
    exact = [{"size": size, "seconds": 3e-7 * size**2.14, **common} for size in sizes]
    (fit,) = _fits(exact)
    assert (fit["exponent"], fit["worst"]) == (pytest.approx(1.07), pytest.approx(1))
    (fit,) = _fits([{**exact[0], "seconds": 2 * exact[0]["seconds"]}, *exact[1:]])
    assert fit["exponent"] < 1.07
    assert 1.1 < fit["worst"] < 2
    assert _fits([*exact[:1], {"size": 9, "error": "no", **common}]) == []


def test_a_profile_says_where_the_time_goes(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def case(command: list[str], **options: Any) -> SimpleNamespace:
        result = measure(**json.loads(command[-1]))
        return SimpleNamespace(returncode=0, stderr="", stdout=json.dumps(result))

    monkeypatch.setattr(subprocess, "run", case)
    options = ["--sizes", "64", "--repeats", "1", "--profile", "--device", "cpu", "--model", model]
    assert main(["benchmark", *options, "--json", "-"]) == 0
    report = json.loads(capsys.readouterr().out)
    painted, encoded = report["results"]
    assert (painted["task"], encoded["task"]) == ("profile", "encode")
    found = painted["profile"]
    assert sum(found["shares"].values()) == pytest.approx(1)
    assert 0 < found["shares"]["convolutions"] < 1
    assert found["gflop"] == pytest.approx(found["gflop_per_second"] * painted["seconds"])
    assert found["peak_gflop_per_second"] > 0
    assert found["call_seconds"] > 0 < found["network_seconds"]
    text = format_results(report)
    ratio = found["call_seconds"] / found["network_seconds"]
    assert f"a call takes {ratio:.3f} times as long as the network alone" in text
    assert "convolutions" in text
    assert "of a large matrix product" in text
