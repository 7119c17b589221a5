"""`hfstyle video`: a film in a style."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Final

from hfstyle.cli.options import (
    Commands,
    Parser,
    add_command,
    add_model,
    add_numbers,
    add_option,
    add_provenance,
    add_style_size,
    numbers_of,
    seconds,
    whole,
)
from hfstyle.cli.terminal import Progress
from hfstyle.limits import NUMBERS
from hfstyle.messages import UsageError

__all__ = ["LAYERS", "add_video", "video"]

_VIDEO: Final = """\
Paint a film in the style of a picture, with its sound, so that strokes stay on what they
lie on and nothing flickers. The result has the film's size, frame times and proportions.
Needs pip install 'hfstyle[video]'.

Ctrl-C ends the film where it is, playable. With --resume it is painted in segments, and the
same command goes on after the last whole one.
"""

_VIDEO_EXAMPLES: Final = """\
examples:
  hfstyle video in.mp4 --style painting.jpg -o out.mp4
  hfstyle video in.mp4 --style great_wave_hokusai --strength 0.8 --size 480 -o out.webm
  hfstyle video in.mp4 --start 0:12 --end 0:20 -s franz_marc --output-size 320 -o out.gif
  hfstyle video in.mp4 --keyframes "0s:starry_night_van_gogh 4s:great_wave_hokusai@0.7" -o out.mp4
  hfstyle video long.mkv --style painting.jpg --resume -o out.mkv
"""

LAYERS: Final = ("statistics", "coarse", "finished")
"""Of what keeps frames alike, as of `hfstyle.film.Layers`."""


def video(args: argparse.Namespace) -> int:
    """Paint a film; what was wrong with it is told at the end, with exit code 1."""
    from hfstyle.cli.model import load_pipeline, model_files
    from hfstyle.cli.targets import check_output
    from hfstyle.film import Layers, stylize_video
    from hfstyle.film.keyframes import parse_keyframes
    from hfstyle.film.write import Form, check_form

    if args.style is None and args.keyframes is None:
        raise UsageError("give a style with --style, or styles along the way with --keyframes")
    keyframes = [] if args.keyframes is None else parse_keyframes(args.keyframes)
    styles = [args.style, *(str(k.style) for k in keyframes)]
    target = check_output(
        args.output,
        [args.film, *styles, *model_files(args)],
        overwrite=not args.no_overwrite,
    )
    check_form(target, Form(codec=args.codec, quality=args.quality))  # before what takes long
    film = stylize_video(
        load_pipeline(args),
        args.film,
        args.style,
        args.strength,
        **numbers_of(args),
        keyframes=keyframes,
        style_size=args.style_size,
        processing_resolution=args.size,
        output_size=args.output_size,
        start=args.start,
        end=args.end,
        layers=Layers(**{layer: layer not in args.without for layer in LAYERS}),
    )
    bar = _Bar(args.quiet)
    try:
        film.save(
            target,
            codec=args.codec,
            quality=args.quality,
            sound=not args.no_sound,
            overwrite=not args.no_overwrite,
            resume=args.resume,
            provenance=args.provenance,
            progress_callback=bar.show,
        )
    except KeyboardInterrupt:
        bar.clear()
        if target.exists() and bar.done:
            more = "; the same command goes on after it" if args.resume else ""
            print(f"hfstyle: {target} ends after {bar.done} frames{more}", file=sys.stderr)
        raise
    finally:
        bar.clear()
    if not args.quiet:
        print(target)
    for fault in film.faults:
        print(f"hfstyle: error: {fault}", file=sys.stderr)
    return 1 if film.faults else 0


class _Bar:
    """The line that shows how far a film is."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Progress | None = None
        self._since, self._before = time.monotonic(), 0
        self.done = 0

    def show(self, done: int, total: int | None) -> None:
        if self._bar is None:
            # The first call may be of all that an earlier run has painted.
            self._before = done if done > 1 else 0
            self._bar = Progress(total or 0, self._quiet, self._before)
            self.done = self._before
        self._bar.step(done - self.done)
        self.done = done
        seconds = time.monotonic() - self._since
        rate = (done - self._before) / seconds if seconds > 0 else 0.0
        self._bar.show(f"{rate:.1f} frames/s")

    def clear(self) -> None:
        if self._bar is not None:
            self._bar.clear()


def add_video(commands: Commands[Parser]) -> Parser:
    parser = add_command(commands, "video", "paint a film in a style", _VIDEO, _VIDEO_EXAMPLES)
    parser.add_argument("film", metavar="FILM", help="the film")
    parser.add_argument("-s", "--style", metavar="STYLE", help="as in `hfstyle stylize`; one")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="film to write: .mp4 .mov .mkv .webm, or .gif .webp without sound",
    )
    add_numbers(parser, "film")
    parser.add_argument(
        "--keyframes",
        metavar="LINE",
        help=f'styles along the way, as "0s:STYLE 4s:STYLE@STRENGTH@{"@".join(NUMBERS).upper()}": between two times '
        "everything changes evenly; numbers may be left out, and TIME:@STRENGTH keeps the style",
    )
    add_option(
        parser,
        "size",
        help="short side in pixels, from 64, at which frames are painted; they are brought back to their size with their "
        "fine detail. Smaller is faster and paints broader strokes. 'full' paints at the film's size, 'auto' at the same, "
        "but at most 1080",
    )
    parser.add_argument(
        "--output-size",
        type=whole(16, None),
        metavar="N",
        help="short side in pixels of the painted film (default: that of the film)",
    )
    parser.add_argument(
        "--start",
        type=seconds,
        default=0.0,
        metavar="T",
        help="begin there: seconds, or 1:02:03.5",
    )
    parser.add_argument("--end", type=seconds, metavar="T", help="end there")
    parser.add_argument(
        "--codec",
        choices=("h264", "vp9", "av1"),
        help="default: h264, of .webm vp9",
    )
    add_option(parser, "film_quality", flag="--quality", metavar="Q")
    parser.add_argument("--no-sound", action="store_true", help="leave the sound out")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="write segments of 4 s into FILE.parts, and go on after those that are there",
    )
    parser.add_argument(
        "--without",
        action="append",
        choices=LAYERS,
        default=[],
        metavar="LAYER",
        help="switch off a layer of what keeps frames alike: statistics, coarse or finished; may be given several times",
    )
    parser.add_argument(
        "--no-overwrite", action="store_true", help="do not replace a file that is there"
    )
    add_style_size(parser)
    add_provenance(parser)
    add_model(parser)
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="no progress, no name of the file"
    )
    return parser
