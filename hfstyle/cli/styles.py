"""`hfstyle styles`: the bundled styles, listed or searched."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping

from hfstyle.cli.options import Commands, Parser, add_command, add_model, whole
from hfstyle.messages import UsageError, table

__all__ = ["add_styles", "styles"]


def styles(args: argparse.Namespace) -> int:
    """List the presets, or those that match a search; as a table, JSON, or a picture of each."""
    if args.repo is args.search is args.preview is None:
        from hfstyle.styles.listed import listed_styles  # torch takes longer than all the rest

        listed = listed_styles(args.model)
        if listed is not None:
            return _tell(listed, args.json)
    from hfstyle.cli.model import load_pipeline, model_files
    from hfstyle.cli.preview import preview
    from hfstyle.cli.targets import check_picture_output

    if args.repo is not None:
        return _of_repository(args)
    if args.preview is not None:
        check_picture_output(args.preview, [args.photo, *model_files(args)], option="--preview")
    pipe = load_pipeline(args)
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
        if args.search is not None:
            print(f"found: {', '.join(names)}", file=sys.stderr)
        print(args.preview)
        return 0
    metadata = {name: presets[name].metadata for name in names}
    return _tell(metadata, args.json, shown if args.search else None)


def _tell(
    listed: Mapping[str, Mapping[str, str]],
    as_json: bool,
    matched: Mapping[str, str] | None = None,
) -> int:
    """Print names with their metadata, and what of a search each matched."""
    if as_json:
        rows = [{"name": name, **metadata} for name, metadata in listed.items()]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    if not listed:
        print("hfstyle: this model came without styles", file=sys.stderr)
        return 0
    keys = ("title", "artist", "year", "movement")
    head = ["NAME", *(key.upper() for key in keys)] + (["MATCHED"] if matched is not None else [])
    body = [
        [name, *(metadata.get(key, "") for key in keys)]
        + ([matched[name]] if matched is not None else [])
        for name, metadata in listed.items()
    ]
    print(table([head, *body]))
    return 0


def _of_repository(args: argparse.Namespace) -> int:
    """List the style codes of a folder or a repository of the Hub, with what their files say of them."""
    from hfstyle.styles.shared import shared_styles

    if args.search is not None or args.preview is not None:
        raise UsageError("--repo lists styles; leave out --search and --preview")
    codes = shared_styles(args.repo, revision=args.revision)
    if args.json:
        rows = [{"name": name, **code.metadata} for name, code in codes.items()]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    if not codes:
        print(f"hfstyle: {args.repo} holds no style codes", file=sys.stderr)
        return 1
    keys = ("title", "artist", "licence")
    body = [[name, *(code.metadata.get(key, "") for key in keys)] for name, code in codes.items()]
    print(table([["NAME", *(key.upper() for key in keys)], *body]))
    return 0


def _said(matched: object) -> list[str]:
    assert hasattr(matched, "items")
    return [word if word == term else f"{word} = {term}" for word, term in matched.items()]


def add_styles(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "styles",
        "list the bundled styles",
        "List the styles that come with the model: their names, for `hfstyle stylize --style NAME`,\n"
        "with title, artist and year of the picture they were made from.\n",
        "",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "--repo",
        metavar="REPO",
        help="those of a folder, or of a Hub repository 'user/my-styles', instead",
    )
    parser.add_argument(
        "--search",
        metavar="TEXT",
        help="those that words describe, best first: movements, artists, techniques, colours, textures",
    )
    parser.add_argument(
        "--count", type=whole(1, None), default=10, metavar="N", help="of a search (default: 10)"
    )
    parser.add_argument(
        "--preview", metavar="FILE", help="write a picture with a photo in each of the styles there"
    )
    parser.add_argument("--photo", metavar="FILE", help="of the preview (default: a bundled cat)")
    add_model(parser, runs=False)
    return parser
