"""The command `hfstyle`: its arguments and exit codes. What the commands do is in `hfstyle._commands`.

Exit codes: 0 all done, 1 something failed, 2 the command line is wrong, 130 interrupted by Ctrl-C or SIGTERM.
Torch is imported by the commands that need it, not for `--help`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Any, Final

from hfstyle import __version__
from hfstyle._model_options import add_benchmark, add_evaluate, add_export_onnx, add_info
from hfstyle._options import Parser
from hfstyle._paint_options import add_demo, add_path, add_stylize
from hfstyle._style_options import add_encode, add_explain, add_styles
from hfstyle._terminal import UsageError, reason

__all__ = ["main"]

_EXAMPLES: Final = """\
examples:
  hfstyle demo                                             a bundled photo in a bundled style
  hfstyle stylize photo.jpg --style painting.jpg -o out.png
  hfstyle stylize holiday/ --style starry_night_van_gogh --strength 0.8 -o painted/
  hfstyle styles                                           names of the bundled styles

`hfstyle COMMAND --help` explains a command. Exit codes: 0 all done, 1 something failed,
2 wrong usage, 130 interrupted.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: arguments without the program's name; None takes those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, TextIOWrapper
        ):  # names of files that are not text in the locale's encoding
            stream.reconfigure(errors="surrogateescape")
    debug = False
    before = _stop_as_by_ctrl_c()
    try:
        args = _parser().parse_args(argv)
        debug = args.debug
        command = getattr(import_module("hfstyle._commands"), args.command.replace("-", "_"))
        code: int = command(args)
        sys.stdout.flush()
        return code
    except SystemExit as exit_:  # argparse, after its message
        return exit_.code if isinstance(exit_.code, int) else 1
    except KeyboardInterrupt:
        print("hfstyle: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `hfstyle styles | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(f"hfstyle: error: {reason(error)}", file=sys.stderr)
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
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"hfstyle {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (
        *(add_stylize, add_encode, add_styles, add_info),
        *(add_path, add_explain),
        *(add_demo, add_benchmark, add_evaluate, add_export_onnx),
    ):
        command = add(commands)
        command.add_argument(
            "--debug", action="store_true", help="show where in the program an error arose"
        )
    return parser
