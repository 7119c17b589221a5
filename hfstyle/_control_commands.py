"""Internal to `hfstyle.cli`: the commands about styles themselves: list and search, encode collections, paths, explain."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from hfstyle._batch import find_style
from hfstyle._terminal import Progress, UsageError, table
from hfstyle.collection import cluster_codes, contact_sheet
from hfstyle.examples import example_photo
from hfstyle.explain import explain as explain_style
from hfstyle.images import load_image, resize, save_image, to_pil
from hfstyle.paths import ffmpeg_program, save_animation, style_path
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.style import StyleCode

__all__ = ["explain", "list_styles", "path", "preview", "save_collection"]

_SHEET_SIDE = 256
_SUFFIX = ".safetensors"


def list_styles(args: argparse.Namespace, pipe: StyleTransferPipeline) -> int:
    """List the presets, or those that match a search; as a table, JSON, or a picture of each."""
    presets = pipe.presets
    names = list(presets)
    shown = dict.fromkeys(names, "")
    if args.search is not None:
        matches = pipe.find_styles(args.search, len(pipe.style_space) + len(names))
        found = {m.name: m for m in matches if m.name in presets and m.matched}
        names = list(found)[: args.count]
        shown = {name: ", ".join(_said(found[name].matched)) for name in names}
        if not names:
            print(f"hfstyle: no bundled style matches {args.search!r}", file=sys.stderr)
            return 1
    if args.preview is not None:
        if not names:
            print("hfstyle: this model came without styles", file=sys.stderr)
            return 1
        preview(pipe, [presets[name] for name in names], names, args.preview, args.photo)
        print(args.preview)
        return 0
    if args.json:
        rows = [{"name": name, **presets[name].metadata} for name in names]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    if not names:
        print("hfstyle: this model came without styles", file=sys.stderr)
        return 0
    keys = ("title", "artist", "year", "movement")
    head = ["NAME", *(key.upper() for key in keys)] + (["MATCHED"] if args.search else [])
    body = [
        [name, *(presets[name].metadata.get(key, "") for key in keys)]
        + ([shown[name]] if args.search else [])
        for name in names
    ]
    print(table([head, *body]))
    return 0


def preview(
    pipe: StyleTransferPipeline,
    codes: list[StyleCode],
    titles: list[str],
    target: str,
    photo: str | None = None,
    columns: int = 4,
) -> None:
    """Write a contact sheet of a photo in each style; by default of an example photo, or a plain ramp of colours."""
    content = _photo(photo)
    pictures = [pipe(content, code).images[0] for code in codes]
    save_image(contact_sheet(pictures, titles, columns, _SHEET_SIDE), target)


def save_collection(
    args: argparse.Namespace, pipe: StyleTransferPipeline, codes: list[StyleCode], target: Path
) -> None:
    """Write the representatives of a collection, FILE-1.style.safetensors ..., and a contact sheet of them."""
    groups = cluster_codes(codes, args.clusters)
    stem = target.name.removesuffix(_SUFFIX).removesuffix(".style")
    given = {key: getattr(args, key) for key in ("title", "artist", "year", "licence")}
    made, names = [], []
    for number, (code, members) in enumerate(groups, start=1):
        several = f"-{number}" if len(groups) > 1 else ""
        name = f"{args.name or stem}{several}"
        metadata = {**code.metadata, **{k: v for k, v in given.items() if v}}
        metadata["pictures"] = str(len(members))
        ready = StyleCode(code.vector, code.tokens, code.encoder, name, metadata)
        ready.save(target.with_name(f"{stem}{several}.style{_SUFFIX}" if several else target.name))
        made.append(ready)
        names.append(f"{name}: {len(members)} picture{'s' if len(members) > 1 else ''}")
        if not args.quiet:
            print(target.with_name(f"{stem}{several}.style{_SUFFIX}") if several else target)
    sheet = target.with_name(f"{stem}.jpg")
    preview(pipe, made, names, str(sheet), args.photo)
    if not args.quiet:
        print(sheet)


def path(args: argparse.Namespace, load: Callable[[], StyleTransferPipeline]) -> int:
    """Write an animation of a photo along the way from style to style."""
    target = Path(args.output)
    if target.suffix.lower() not in (".gif", ".mp4"):
        raise UsageError(f"{target}: an animation is named *.gif or *.mp4")
    if target.suffix.lower() == ".mp4":
        ffmpeg_program()  # before the painting, which takes longest
    if len(args.style) < 2:
        raise UsageError("a path needs at least two styles; give --style twice or more")
    if args.steps < len(args.style):
        raise UsageError(f"--steps is {args.steps}; give at least one for each style")
    picture = load_image(args.photo)
    short = min(picture.size)
    rgb = resize(picture.rgb, min(args.size, short))
    pipe = load()
    codes = [find_style(pipe, style, args.style_size) for style in args.style]
    progress = Progress(args.steps, args.quiet)
    frames = []
    for code in style_path(codes, args.steps, close=args.close):
        progress.show()
        frames.append(pipe(rgb, code, args.strength, color=args.color).images[0])
        progress.step()
    progress.clear()
    save_animation(frames, target, frames_per_second=args.fps, swing=not args.close)
    if not args.quiet:
        print(target)
    return 0


def explain(args: argparse.Namespace, load: Callable[[], StyleTransferPipeline]) -> int:
    """Write a picture of what each region attended to, and print the nearest presets."""
    pipe = load()
    known = args.style in pipe.presets
    style = pipe.preset(args.style) if known else args.style
    if not known and not Path(args.style).is_file():
        style = find_style(
            pipe, args.style, args.style_size
        )  # words, or the error for an unknown name
    found = explain_style(pipe, load_image(args.photo), style, args.count)
    save_image(found.picture, args.output)
    print(args.output)
    if found.nearest:
        rows = [[name, f"{distance:.2f}"] for name, distance in found.nearest]
        print(table([["NEAREST STYLES", "DISTANCE"], *rows], right=(1,)))
    return 0


def _photo(photo: str | None) -> Image.Image:
    if photo is not None:
        rgb = load_image(photo).rgb
        return to_pil(resize(rgb, min(_SHEET_SIDE, *rgb.shape[1:])))
    try:
        shown = example_photo("chelsea")
    except ModuleNotFoundError:
        shown = Image.linear_gradient("L").convert("RGB")
    shown.thumbnail((_SHEET_SIDE * 3 // 2, _SHEET_SIDE))
    return shown


def _said(matched: object) -> list[str]:
    assert hasattr(matched, "items")
    return [word if word == term else f"{word} = {term}" for word, term in matched.items()]
