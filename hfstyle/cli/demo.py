"""`hfstyle demo`: an example photo and its painting, side by side."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hfstyle.cli.options import Commands, Parser, add_command, add_model, add_option, add_style_size
from hfstyle.messages import UsageError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["add_demo", "demo"]

_DEMO_STYLE: Final = "starry_night_van_gogh"


def demo(args: argparse.Namespace) -> int:
    """An example photo and its painting, side by side."""
    from PIL import Image

    from hfstyle.cli.files import Outputs, find_style
    from hfstyle.cli.model import load_pipeline, model_files
    from hfstyle.examples import EXAMPLE_PHOTOS, example_photo
    from hfstyle.images.save import save_image

    if args.photo not in EXAMPLE_PHOTOS:
        raise UsageError(f"no example photo {args.photo!r}; there are: {', '.join(EXAMPLE_PHOTOS)}")
    outputs = Outputs(args.output, False, ".png", [args.style, *model_files(args)])
    target = outputs.file or (outputs.folder or Path()) / "hfstyle-demo.png"
    if outputs.stdout:
        raise UsageError("the demo writes a file; give -o FILE.png")
    outputs.check(target)
    begun = time.perf_counter()
    photo = example_photo(args.photo)
    pipe = load_pipeline(args)
    style = args.style or next((n for n in (_DEMO_STYLE, *pipe.presets) if n in pipe.presets), None)
    if style is None:
        raise ValueError("this model came without styles; name a picture with --style painting.jpg")
    code = find_style(pipe, style, args.style_size)
    loaded = time.perf_counter()
    painted: Image.Image = pipe(photo, code, args.strength).images[0]
    seconds = time.perf_counter() - loaded

    gap = 8
    both = Image.new("RGB", (2 * photo.width + gap, photo.height), "white")
    both.paste(photo, (0, 0))
    both.paste(painted, (photo.width + gap, 0))
    both.info.update(painted.info)
    target.parent.mkdir(parents=True, exist_ok=True)
    save_image(both, target)
    by = ", ".join(filter(None, (code.metadata.get("artist"), code.metadata.get("year"))))
    about = f"{code.metadata.get('title') or code.name or style}{f' ({by})' if by else ''}"
    print(f"The photo {args.photo!r} in the style of {about}:")
    print(f"  {target.resolve()}")
    print(
        f"{photo.width} x {photo.height} px painted in {seconds:.1f} s on {pipe.device}, "
        f"after {loaded - begun:.1f} s to load the model."
    )
    return 0


def add_demo(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "demo",
        "paint a bundled photo in a bundled style",
        "Paint an example photo of scikit-image (pip install 'hfstyle[examples]') in a bundled\n"
        "style, and write photo and result side by side.\n",
        "",
    )
    parser.add_argument(
        "-o",
        "--output",
        default="hfstyle-demo.png",
        metavar="FILE",
        help="picture to write (default: hfstyle-demo.png)",
    )
    parser.add_argument(
        "--photo",
        default="astronaut",
        metavar="NAME",
        help="astronaut (default), chelsea (a cat), coffee or rocket",
    )
    parser.add_argument(
        "-s",
        "--style",
        metavar="STYLE",
        help="as in `hfstyle stylize` (default: starry_night_van_gogh)",
    )
    add_option(parser, "strength")
    add_style_size(parser)
    add_model(parser)
    return parser
