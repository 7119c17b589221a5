"""The command `hfstyle`: its arguments and exit codes. Each command is a file of this room.

Exit codes: 0 all done, 1 something failed, 2 the command line is wrong, 130 interrupted by Ctrl-C or SIGTERM.
Torch is imported by the commands that need it, not for `--help`.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from hfstyle import __version__
from hfstyle.cli.benchmark import add_benchmark
from hfstyle.cli.demo import add_demo
from hfstyle.cli.encode import add_encode
from hfstyle.cli.evaluate import add_evaluate
from hfstyle.cli.explain import add_explain
from hfstyle.cli.export_onnx import add_export_onnx
from hfstyle.cli.export_web import add_export_web
from hfstyle.cli.info import add_info
from hfstyle.cli.learn import add_learn
from hfstyle.cli.live import add_live
from hfstyle.cli.options import Parser
from hfstyle.cli.path import add_path
from hfstyle.cli.push import add_push
from hfstyle.cli.push_style import add_push_style
from hfstyle.cli.streams import drop_output, flush_output, open_streams, output_trouble
from hfstyle.cli.styles import add_styles
from hfstyle.cli.stylize import add_stylize
from hfstyle.cli.video import add_video
from hfstyle.messages import UsageError, reason

__all__ = ["main"]

_WRITE_FILES: Final = (
    "stylize",
    "encode",
    "learn",
    "video",
    "live",
    "path",
    "explain",
    "demo",
    "export-onnx",
    "export-web",
)
"""Commands that print only what they have written where."""

_EXAMPLES: Final = """\
examples:
  hfstyle demo                                             a bundled photo in a bundled style
  hfstyle stylize photo.jpg --style painting.jpg -o out.png
  hfstyle stylize holiday/ --style starry_night_van_gogh --strength 0.8 -o painted/
  hfstyle learn my-drawings/ -o mine.style.safetensors     a style of your own
  hfstyle video film.mp4 --style great_wave_hokusai -o painted.mp4
  hfstyle styles                                           names of the bundled styles

`hfstyle COMMAND --help` explains a command. Exit codes: 0 all done, 1 something failed,
2 wrong usage, 130 interrupted.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: arguments without the program's name; None takes those of the process.
    """
    open_streams()
    debug = False
    before = _stop_as_by_ctrl_c()
    try:
        args = _parser().parse_args(argv)
        debug = args.debug
        name = args.command.replace("-", "_")
        command = getattr(import_module(f"hfstyle.cli.{name}"), name)
        code: int = command(args)
        flush_output(needed=args.command not in _WRITE_FILES)
        return code
    except SystemExit as exit_:  # argparse, after its message
        return exit_.code if isinstance(exit_.code, int) else 1
    except KeyboardInterrupt:
        print("hfstyle: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `hfstyle styles | head`
        drop_output()
        return 141
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(f"hfstyle: error: {output_trouble(error) or reason(error)}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _stop_as_by_ctrl_c() -> Any:
    """Makes SIGTERM end the program in order, without half a file; returns what it did before, None if it cannot be."""
    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, signal.default_int_handler)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="hfstyle",
        description="Paint a photo in the style of any picture, by a conditional GAN.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hfstyle {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (
        *(add_stylize, add_encode, add_learn, add_styles, add_info),
        *(add_video, add_live),
        *(add_path, add_explain),
        *(add_demo, add_benchmark, add_evaluate, add_export_onnx, add_export_web),
        *(add_push, add_push_style),
    ):
        command = add(commands)
        command.add_argument(
            "--debug", action="store_true", help="show where in the program an error arose"
        )
    return parser
