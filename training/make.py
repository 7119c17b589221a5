"""All that makes weights like the bundled ones, from pictures to tables, stage by stage; it goes on where it stopped.

    python training/make.py --output_dir work --content_data_dir "photos/*.parquet" --style_data_dir "paintings/*.parquet"

Each stage is a script of this folder in a process of its own, and writes a folder below --output_dir. `--dry_run` shows the
commands. The same command goes on where it was stopped or killed: a stage that ended is not run again, and training goes on
from its last checkpoint. Where a stage's command has changed, it and all after it are run anew, and what they wrote is kept
beside as NAME-old-1 and so on.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hfstyle.files import write_json
from hfstyle.models.vgg import DEFAULT_PERCEPTUAL
from hfstyle.parser import Parser

__all__ = ["STAGES", "Stage", "main", "stages_of"]

HERE: Final = Path(__file__).resolve().parent
STAGES: Final = {
    "train": "a new model, on small crops",
    "larger": "all of it again on larger crops, its discriminator with it",
    "faces": "the map of faces; only with --faces_data_dir",
    "steady": "borders like the middle",
    "tune": "gains and biases, at the size of pictures",
    "average": "the mean of the two before",
    "feedback": "more is asked of what does not arrive in paintings",
    "style": "what a style passes first, at the size of pictures",
    "presets": "the bundled styles; only with --gallery",
    "space": "what random styles and styles by words come from",
    "tables": "the card's numbers; only with --bench",
}
"""In this order."""
_RECORD: Final = "stages.json"


@dataclass(frozen=True)
class Stage:
    """A part of the whole.

    Attributes:
        name: one of `STAGES`, and of its folder.
        command: from the beginning.
        goes_on: the model that it writes into a copy of, if it does that.
        minutes: for which it trains, if it can go on from a checkpoint.
    """

    name: str
    command: list[str]
    goes_on: Path | None = None
    minutes: float | None = None

    def rest(self, folder: Path) -> list[str]:
        """What the command needs besides to go on from the last checkpoint in its folder; nothing if there is none."""
        state = folder / "training_state.json"
        if self.minutes is None or not state.is_file() or not any(folder.glob("checkpoint-*")):
            return []
        left = max(0.0, self.minutes - json.loads(state.read_text())["minutes"])
        return ["--resume_from_checkpoint", "latest", "--max_train_minutes", f"{left:g}"]


def stages_of(args: Any) -> list[Stage]:
    """The stages with their commands."""
    root, python = Path(args.output_dir), sys.executable
    folder = {name: root / name for name in STAGES}
    data = ["--content_data_dir", args.content_data_dir, "--style_data_dir", args.style_data_dir]
    seen_by = ["--perceptual_model", *args.perceptual_model]
    launch = [python, "-m", "accelerate.commands.launch", *shlex.split(args.launch)]

    def train(name: str, recipe: str, minutes: float, *more: str) -> Stage:
        minutes *= args.length
        command = [
            *launch, str(HERE / "train.py"), "--recipe", recipe, *data, *seen_by, *more,
            *shlex.split(args.train_options), "--max_train_minutes", f"{minutes:g}", "--output_dir", str(folder[name]),
        ]  # fmt: skip
        return Stage(name, command, minutes=minutes)

    def script(name: str, file: str, *options: str) -> Stage:
        return Stage(name, [python, str(HERE / file), *options])

    model = folder["larger"]
    stages = [
        train("train", args.recipe, 600),
        train("larger", "continue", 120, "--init_from", str(folder["train"])),
    ]
    if args.faces_data_dir:
        options = [
            "--data_dir",
            args.faces_data_dir,
            "--max_train_minutes",
            f"{40 * args.length:g}",
        ]
        stages.append(script("faces", "faces.py", "--model", str(model), "--output_dir", str(folder["faces"]), *options))  # fmt: skip
        model = folder["faces"]
    steps = str(max(1, round(1000 * args.length)))
    stages += [
        script("steady", "steady.py", "--model", str(model), "--output_dir", str(folder["steady"]),
               *data, *seen_by, "--max_train_steps", steps),
        script("tune", "tune.py", "--model", str(folder["steady"]), "--output_dir", str(folder["tune"]),
               *data, *seen_by, "--max_train_minutes", f"{16 * args.length:g}"),
        script("average", "publish/average.py", "--models", str(folder["steady"]), str(folder["tune"]),
               "--output_dir", str(folder["average"])),
        script("feedback", "feedback.py", "--model", str(folder["average"]), "--output_dir", str(folder["feedback"]),
               *data, "--max_train_minutes", f"{20 * args.length:g}"),
        script("style", "tune.py", "--model", str(folder["feedback"]), "--output_dir", str(folder["style"]), *data, *seen_by,
               "--learn", "style", "--learning_rate", "1e-4", "--consistency_weight", "150", "--identity_weight", "12",
               "--max_train_minutes", f"{20 * args.length:g}"),
    ]  # fmt: skip
    model = folder["style"]
    if args.gallery:
        options = ["--gallery", args.gallery]
        stages.append(Stage("presets", script("", "publish/presets.py", "--model", str(folder["presets"]), *options).command, model))  # fmt: skip
        model = folder["presets"]
    options = ["--style_data_dir", args.style_data_dir]
    stages.append(Stage("space", script("", "publish/style_space.py", "--model", str(folder["space"]), *options).command, model))  # fmt: skip
    if args.bench:
        command = [python, "-m", "hfstyle", "evaluate", "--model", str(folder["space"]), "--json",
                   str(folder["tables"] / "measures.json")]  # fmt: skip
        for option, kind in (("--contents", "content"), ("--styles", "style")):
            command += [option, str(Path(args.bench) / kind)]
        stages.append(
            Stage("tables", command + (["--networks", *args.networks] if args.networks else []))
        )
    return stages


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is that of the stage that failed, or of the signal that ended it, else 0."""
    args = _parse(argv)
    root = Path(args.output_dir)
    file = root / _RECORD
    record: dict[str, dict[str, Any]] = json.loads(file.read_text()) if file.is_file() else {}
    begun: dict[str, dict[str, Any]] = {}  # what the record says of the stages so far
    for stage in stages_of(args):
        known, target = record.get(stage.name), root / stage.name
        same = known is not None and known["command"] == stage.command
        if known and same and known["ended"]:
            print(f"{stage.name}: done before", flush=True)
            begun[stage.name] = known
        else:
            command = stage.command + (stage.rest(target) if same else [])
            print(f"{stage.name}: {STAGES[stage.name]}\n  {shlex.join(command)}", flush=True)
            # What comes after is of what was here before.
            record = begun
            begun[stage.name] = {"command": stage.command, "ended": False}
            if not args.dry_run:
                if not same:
                    _set_aside(target)
                target.mkdir(parents=True, exist_ok=True)
                write_json(file, begun)
                if stage.goes_on:
                    shutil.copytree(stage.goes_on, target, dirs_exist_ok=True)
                if code := _run(command):
                    print(
                        f"{stage.name} ended with exit code {code}; run the same command to go on"
                    )
                    return code
                begun[stage.name]["ended"] = True
                write_json(file, begun)
        if stage.name == args.until:
            break
    return 0


def _set_aside(folder: Path) -> None:
    """Rename a folder, if it is there, to the next free NAME-old-N."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}-old-{number}")).exists():
        number += 1
    if folder.exists():
        folder.rename(aside)


def _run(command: list[str]) -> int:
    """The exit code of a command, or 128 and the number of a signal to end, which it has time to obey."""
    asked: list[int] = []
    running: list[subprocess.Popen[bytes]] = []

    def ask(number: int, frame: Any) -> None:
        asked.append(number)
        for process in running:
            if number == signal.SIGTERM:  # Ctrl-C reaches all processes by itself
                process.terminate()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        process = subprocess.Popen(command, cwd=HERE.parent)
        running.append(process)
        if signal.SIGTERM in asked:  # while it began, when there was nobody to tell
            process.terminate()
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    number = asked[0] if asked else -code  # a process that a signal ended has its number, negative
    return 128 + number if number > 0 else code


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    about = "\n".join(f"  {name:8} {what}" for name, what in STAGES.items())
    parser = Parser(
        description=f"Make weights like the bundled ones, in stages:\n\n{about}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--output_dir", required=True, help="folder of all stages; `space` is the model in the end")
    add("--content_data_dir", required=True, help="photos: a folder, Parquet files, or a glob")
    add("--style_data_dir", required=True, help="paintings, likewise")
    add("--perceptual_model", nargs="+", default=[DEFAULT_PERCEPTUAL], help="as of train.py")
    add("--recipe", choices=("scratch", "gpu"), default="scratch", help="of the first stage")
    add("--launch", default="", help="options of `accelerate launch`, in one argument")
    add("--train_options", default="", help="options of train.py, in one argument; they win")
    add("--length", type=float, default=1.0, help="of all stages, as a multiple; 0.01 tries them")
    add("--faces_data_dir", help="Parquet files with boxes of faces")
    add("--gallery", help="folder with gallery.csv and pictures, of the presets")
    add("--bench", help="folder with content/ and style/, for the tables")
    add("--networks", nargs="+", help="that measure these, as of `hfstyle evaluate`")
    add("--until", choices=tuple(STAGES), help="stop after this stage")
    add("--dry_run", action="store_true", help="show the commands")
    args = parser.parse_args(argv)
    # Stages run in the repository's root.
    for name in (
        "output_dir",
        "content_data_dir",
        "style_data_dir",
        "faces_data_dir",
        "gallery",
        "bench",
    ):
        if value := getattr(args, name):
            setattr(args, name, str(Path(value).resolve()))
    for name in ("perceptual_model", "networks"):
        given = getattr(args, name) or []
        setattr(args, name, [str(Path(x).resolve()) if Path(x).exists() else x for x in given])
    return args


if __name__ == "__main__":
    sys.exit(main())
