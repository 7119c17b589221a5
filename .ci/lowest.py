"""Print the lowest versions of what hfstyle needs that this Python can install, one requirement a line.

The lowest version that pyproject.toml allows may have no wheel for this Python; then it is the next one that has. Torch
is the pinned one: others come with CUDA on Linux, which is gigabytes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def main() -> None:
    root = Path(__file__).resolve().parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text())
    pinned = (root / "requirements.txt").read_text()
    needed = project["project"]["dependencies"]
    needed += project["project"]["optional-dependencies"]["examples"]
    for requirement in needed:
        found = re.match(r"([\w-]+)>=([\d.]+)", requirement)
        assert found is not None, f"{requirement} has no lower bound"
        name, least = found.groups()
        if name == "torch":
            print(re.search(r"^torch==.*$", pinned, re.MULTILINE)[0])  # type: ignore[index]
            continue
        pip = [sys.executable, "-m", "pip", "index", "versions", "--only-binary=:all:", name]
        aloud = {**os.environ, "PIP_QUIET": "0"}  # a quiet pip says no versions
        told = subprocess.run(pip, check=True, capture_output=True, text=True, env=aloud).stdout
        line = re.search(r"Available versions: (.*)", told)
        assert line is not None, told
        known = [v for v in line[1].split(", ") if re.fullmatch(r"[\d.]+", v)]
        print(f"{name}=={min((v for v in known if numbers(v) >= numbers(least)), key=numbers)}")


if __name__ == "__main__":
    main()
