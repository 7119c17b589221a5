"""Options are taken by their whole names, by every command and training script; what was meant is said."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hfstyle import space
from hfstyle.batch.__main__ import main as batch
from hfstyle.cli.program import main
from hfstyle.parser import Parser
from training import faces, make, steady, tune
from training.run import arguments

COMMANDS = (
    *("stylize", "encode", "learn", "styles", "info", "video", "live", "path", "explain", "demo"),
    *("benchmark", "evaluate", "export-onnx", "export-web", "push", "push-style"),
)
SCRIPTS: dict[str, Callable[[Sequence[str]], Any]] = {
    "train": arguments.parse_args,
    "tune": tune.parse_args,
    "steady": steady.parse_args,
    "faces": faces.parse_args,
    "make": make._parse,
    "batch": batch,
    "space": space.main,
}


@pytest.mark.parametrize(
    ("script", "given", "meant"),
    [
        ("train", "--learning_rat=1", "--learning_rate"),
        ("train", "--learning-rate", "--learning_rate"),
        ("tune", "--learning_rat", "--learning_rate"),
        ("steady", "--content_data", "--content_data_dir"),
        ("faces", "--data_dri", "--data_dir"),
        ("make", "--output_di", "--output_dir"),
        ("batch", "--stlye", "--style"),
        ("space", "--speed", None),
    ],
)
def test_a_script_refuses_an_option_that_it_does_not_have(
    script: str, given: str, meant: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where what is required is missing: it may be what was misspelled."""
    with pytest.raises(SystemExit) as ended:
        SCRIPTS[script]([given, "1"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert f"error: there is no option {given.partition('=')[0]}" in said
    assert ("did you mean" in said) == (meant is not None)
    assert meant is None or f"did you mean {meant}" in said
    assert len(said.splitlines()) == 2  # no list of all options


@pytest.mark.parametrize("command", COMMANDS)
def test_so_does_each_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--debu", "--mode"]) == 2
    said = capsys.readouterr().err
    assert "error: there is no option --debu; did you mean --debug?" in said
    assert f"Try: hfstyle {command} --help" in said


def test_values_may_look_like_options(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="paint")
    parser.add_argument("--options")
    parser.add_argument("--shift", type=float)
    parser.add_argument("files", nargs="*")
    values = ["--options", "--size 3 --fast", "--shift", "-1.5", "--", "--odd.jpg"]
    expected = argparse.Namespace(options="--size 3 --fast", shift=-1.5, files=["--odd.jpg"])
    assert parser.parse_args(values) == expected
    with pytest.raises(SystemExit):
        parser.parse_args(["--size", "3"])
    assert capsys.readouterr().err == (
        "paint: error: there is no option --size\nTry: paint --help\n"
    )
