"""Internal to `hfstyle evaluate`: its part about films, --video."""

from __future__ import annotations

import argparse
from typing import Any

from hfstyle.cli.options import Parser, seconds, whole
from hfstyle.cli.terminal import Progress, print_json
from hfstyle.cli.video import LAYERS
from hfstyle.messages import UsageError

__all__ = ["add_video_measures", "evaluate_video"]


def evaluate_video(args: argparse.Namespace) -> int:
    """Print how much paintings of a film flicker, and write the numbers as JSON."""
    from hfstyle.cli.model import load_pipeline, model_files
    from hfstyle.cli.targets import check_output
    from hfstyle.evaluation import films
    from hfstyle.files import write_json
    from hfstyle.film import Layers, film_facts, read_frames
    from hfstyle.messages import table

    if any((args.contents, args.styles, args.outputs, args.also, args.pairs, args.html)):
        raise UsageError("--video measures films; leave out the options about pictures")
    if args.painted is not None and args.model is not None:
        raise UsageError("--painted are painted already; leave out --model")
    if args.painted is None and args.style is None:
        raise UsageError("give the style that the model paints in with --style, or --painted films")
    strength = args.strength or [1.0]
    if len(strength) > 1:
        raise UsageError("give one --strength for a film")
    if args.json not in (None, "-"):
        read = [args.video, *(args.painted or []), args.style, *args.networks, *model_files(args)]
        folders = [*(args.painted or []), *args.networks]
        check_output(args.json, read, option="--json", folders=folders)
    own = film_facts(args.video)
    film = read_frames(args.video, start=args.start, end=args.end, size=min(args.size, *own.size))
    painted: dict[str, Any] = {}
    if args.painted is not None:
        for name in args.painted:
            painted[name] = films.film_of(name, film.facts.size)
        unit = None
    else:
        variants = {"frame by frame": Layers(False, False, False), "all layers": Layers()}
        if args.each_layer:
            for index, name in enumerate(LAYERS):
                variants[f"{name} alone"] = Layers(*(i == index for i in range(3)))
            variants[f"{LAYERS[0]} and {LAYERS[1]}"] = Layers(finished=False)
        pipe = load_pipeline(args)
        code = pipe.encode_style(args.style, style_size=args.style_size)
        for name, layers in variants.items():
            painted[name] = films.painting(pipe, code, strength[0], layers)
        unit = "frame by frame"
    judge = None
    if args.networks and args.style is not None:
        judge = films.style_judge(args.networks, args.style)
    progress = Progress(film.facts.frames or 0, args.quiet)

    def show(done: int, total: int | None) -> None:
        progress.step()
        progress.show()

    try:
        found = films.measure_films(
            film,
            painted,
            style_distance=judge,
            total=film.facts.frames,
            progress_callback=show,
        )
    finally:
        progress.clear()
    report = {
        "film": args.video,
        "size": list(film.facts.size),
        "results": {
            name: {"warping_error": row.errors, "style_distance": row.style, "seconds": row.seconds}
            for name, row in found.items()
        },
    }
    if args.json == "-":
        print_json(report)
    else:
        rows = films.format_measures(found, unit)
        print(table(rows, right=range(1, len(rows[0]))))
    if args.json not in (None, "-"):
        write_json(args.json, report)
    return 0


def add_video_measures(parser: Parser) -> None:
    """The options of `hfstyle evaluate` that are about films."""
    group = parser.add_argument_group("films")
    group.add_argument(
        "--video",
        metavar="FILM",
        help="measure paintings of this film: the difference of painted frames that lie 1 and 10 frames apart, the earlier "
        "moved along as the film moves, of 255; and with --networks the style distance",
    )
    group.add_argument(
        "--painted",
        nargs="+",
        metavar="FILM",
        help="painted films, or folders of their frames, by any method; default: the model paints, frame by frame and with "
        "what keeps frames alike",
    )
    group.add_argument(
        "--style",
        metavar="STYLE",
        help="that the model paints in, and that frames are compared with",
    )
    group.add_argument(
        "--each-layer",
        action="store_true",
        help="also each layer of what keeps frames alike, alone, and the first two together",
    )
    group.add_argument(
        "--size",
        type=whole(64, None),
        default=512,
        metavar="N",
        help="short side in pixels at "
        "which frames are painted and compared (default: 512, or the film's)",
    )
    group.add_argument("--start", type=seconds, default=0.0, metavar="T", help="of the film")
    group.add_argument(
        "--end",
        type=seconds,
        metavar="T",
        help="of the film; of painted films, the frames from their first on are taken",
    )
