"""Internal to `hfstyle.cli` and `hfstyle.batch`: kinds of arguments, and options that several commands have."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn, cast

from hfstyle import parser
from hfstyle.limits import NUMBERS, OPTIONS, Numbers, Option
from hfstyle.painting.shapes import FOUND, SHAPES

__all__ = [
    "Commands",
    "Parser",
    "add_command",
    "add_model",
    "add_numbers",
    "add_option",
    "add_painting",
    "add_style_size",
    "number",
    "numbers_of",
    "seconds",
    "weights",
    "whole",
]


class Parser(parser.Parser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"hfstyle: error: {message}\nTry: {self.prog} --help\n")


Commands = argparse._SubParsersAction  # it has no public name


def add_command(
    commands: Commands[Parser], name: str, summary: str, about: str, epilog: str
) -> Parser:
    return commands.add_parser(
        name,
        help=summary,
        description=about,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_option(parser: Parser, name: str, **how: Any) -> None:
    """An option with the range, default and words of `hfstyle.limits.OPTIONS`.

    name: there; the option is called after it, with hyphens, unless `how` has a "flag".
    how: further arguments of `add_argument`, such as another "help", which then gets the default.
    """
    option = OPTIONS[name]
    flag = how.pop("flag", f"--{name.replace('_', '-')}")
    about = how.pop("help", option.about)
    how = {"default": option.default, "metavar": "N" if _is_whole(option) else "X"} | how
    if option.least is None:
        how |= {"choices": how.pop("choices", option.words), "metavar": None}
    elif option.words:
        how["type"] = _or_words(int(option.least), option.words)
    elif _is_whole(option):
        how["type"] = whole(int(option.least), None if option.most is None else int(option.most))
    else:
        assert option.most is not None
        how["type"] = number(float(option.least), float(option.most))
    default = f"{how['default']:g}" if isinstance(how["default"], float) else how["default"]
    parser.add_argument(flag, help=f"{about} (default: {default})", **how)


def _is_whole(option: Option) -> bool:
    return isinstance(option.default, (int, str))


def numbers_of(args: argparse.Namespace) -> Numbers:
    """Those of `hfstyle.limits.Numbers` that were given, to be handed on."""
    return cast(Numbers, {name: getattr(args, name) for name in NUMBERS})


def add_style_size(parser: Parser) -> None:
    add_option(parser, "style_size")


def add_numbers(parser: Parser, painted: str = "photo") -> None:
    """Strength, and the numbers of `numbers_of`; in their help, what is painted."""
    for name in ("strength", *NUMBERS):
        add_option(parser, name, help=OPTIONS[name].about.replace("photo", painted))


def add_painting(parser: Parser, formats: tuple[str, ...] = ()) -> None:
    """How photos are painted and written: the same for `hfstyle stylize` and `hfstyle.batch`.

    formats: beside those of files.
    """
    add_numbers(parser)
    parser.add_argument(
        "--region",
        action="append",
        nargs=2,
        default=[],
        metavar=("MASK", "STYLE"),
        help="paint another style where the picture MASK is white, 'none' leaves it as it is; MASK may also be one of "
        f"{', '.join(SHAPES)}, or of what is found in the photo: {', '.join(FOUND)}. May be given several times, later ones lie over earlier ones. "
        "--strength, --color, --faces and --outlines hold for all",
    )
    add_option(parser, "feather")
    for name in ("size", "tile_size", "style_size"):
        add_option(parser, name)
    choices = (*OPTIONS["format"].words, *formats)
    add_option(parser, "format", choices=choices)
    add_option(parser, "quality", metavar="Q")
    parser.add_argument(
        "--keep-alpha",
        action="store_true",
        help="keep transparency (PNG, WebP, TIFF) instead of laying it over white",
    )
    parser.add_argument(
        "--keep-exif",
        action="store_true",
        help="copy date, camera, author and rights from the photo's EXIF and XMP data (default: leave them out)",
    )
    parser.add_argument(
        "--keep-gps",
        action="store_true",
        help="as --keep-exif, and the place where the photo was taken",
    )
    add_provenance(parser)


def add_provenance(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-provenance",
        dest="provenance",
        action="store_false",
        default=OPTIONS["provenance"].default,
        help=f"do not {OPTIONS['provenance'].about}",
    )


def add_model(parser: Parser, *, runs: bool = True, several_dtypes: bool = False) -> None:
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        metavar="MODEL",
        help="folder with config.json and model.safetensors, or Hugging Face Hub id 'user/model' "
        "(default: the weights that come with hfstyle)",
    )
    group.add_argument("--revision", help="branch, tag or commit of the Hub repository")
    if not runs:
        return
    group.add_argument(
        "--device",
        default="auto",
        help="cpu, cuda, cuda:1 ... (default: cuda if there is one, else cpu)",
    )
    types = ("float32", "bfloat16", "float16")
    if several_dtypes:
        group.add_argument(
            "--dtype",
            choices=types,
            nargs="+",
            default=["float32"],
            help="types of the arithmetic (default: float32); float16 needs cuda",
        )
    else:
        group.add_argument(
            "--dtype",
            choices=("auto", *types),
            default="float32",
            help="type of the arithmetic (default: float32); auto is bfloat16 on a cpu that computes in it; "
            "float16 needs cuda",
        )


def whole(least: int, most: int | None) -> Callable[[str], int]:
    limits = f"from {least} up" if most is None else f"from {least} to {most}"

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {limits}")
        return value

    return parse


def number(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
        return value

    return parse


def _or_words(least: int, words: tuple[str, ...]) -> Callable[[str], int | str | None]:
    """Whole numbers, or words; "off" is None, as in Python."""

    def parse(text: str) -> int | str | None:
        if text in words:
            return None if text == "off" else text
        try:
            return whole(least, None)(text)
        except argparse.ArgumentTypeError as error:
            others = " or ".join(f"'{word}'" for word in reversed(words))
            raise argparse.ArgumentTypeError(f"{error}, {others}") from None

    return parse


def weights(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of numbers with commas, like 0.7,0.3"
        ) from None


def seconds(text: str) -> float:
    """A time of a film."""
    from hfstyle.film.keyframes import seconds_of

    try:
        return seconds_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
