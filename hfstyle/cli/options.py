"""Internal to `hfstyle.cli` and `hfstyle.batch`: kinds of arguments, and options that several commands have."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn

__all__ = [
    "Commands",
    "Parser",
    "add_command",
    "add_model",
    "add_style_size",
    "number",
    "size",
    "tile_size",
    "weights",
    "whole",
]


class Parser(argparse.ArgumentParser):
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
        allow_abbrev=False,
    )


def add_style_size(parser: Parser) -> None:
    parser.add_argument(
        "--style-size",
        type=whole(64, 4096),
        default=384,
        metavar="N",
        help="short side in pixels, 64 to 4096, at which style pictures are looked at: larger "
        "makes broader strokes (default: 384)",
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


def size(text: str) -> int | str:
    if text in ("auto", "full"):
        return text
    try:
        return whole(64, None)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, 'full' or 'auto'") from None


def tile_size(text: str) -> int | str | None:
    if text in ("auto", "off"):
        return None if text == "off" else text
    try:
        return whole(64, None)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, 'off' or 'auto'") from None


def weights(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of numbers with commas, like 0.7,0.3"
        ) from None
