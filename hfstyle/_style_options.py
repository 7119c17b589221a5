"""Internal to `hfstyle.cli`: the arguments of the commands about styles."""

from __future__ import annotations

from hfstyle._options import Commands, Parser, add_command, add_model, add_style_size, whole

__all__ = ["add_encode", "add_explain", "add_styles"]


def add_explain(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "explain",
        "show what each part of a photo takes from a style",
        "Write a picture in which each part of the style has a colour, and each place of the photo the\n"
        "colour of the parts that it attended to; and print which bundled styles are like the style.\n",
        "",
    )
    parser.add_argument("photo", metavar="PHOTO", help="picture")
    parser.add_argument(
        "-s", "--style", required=True, metavar="STYLE", help="as in `hfstyle stylize`"
    )
    parser.add_argument(
        "-o",
        "--output",
        default="explained.png",
        metavar="FILE",
        help="picture to write (default: explained.png)",
    )
    parser.add_argument(
        "--count",
        type=whole(1, None),
        default=5,
        metavar="N",
        help="of nearest styles (default: 5)",
    )
    add_style_size(parser)
    add_model(parser)
    return parser


def add_encode(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "encode",
        "save the style of pictures as a style code",
        "Save the style of a picture as a small file, which `hfstyle stylize --style` takes in\n"
        "place of the picture. Of several pictures, the mean of their styles.\n",
        "examples:\n"
        "  hfstyle encode painting.jpg -o painting.style.safetensors\n"
        "  hfstyle encode monet/ -o monet.style.safetensors --artist 'Claude Monet'\n"
        "  hfstyle encode --dataset user/my-paintings --limit 500 --clusters 4 -o paintings.style.safetensors\n",
    )
    parser.add_argument(
        "pictures",
        nargs="*",
        metavar="PICTURE",
        help="pictures, folders of pictures, style codes, or - (stdin)",
    )
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        help="in place of pictures: a data set of the Hub, user/name, or Parquet files "
        "(pip install 'hfstyle[batch]')",
    )
    parser.add_argument("--split", default="train", help="of a data set of the Hub")
    parser.add_argument("--dataset-revision", help="of a data set of the Hub")
    parser.add_argument("--image-column", default="image", help="of --dataset (default: image)")
    parser.add_argument(
        "--limit",
        type=whole(1, None),
        metavar="N",
        help="take at most N pictures, evenly from the first to the last (default: all)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="file to write, named *.safetensors; default: NAME.style.safetensors here",
    )
    parser.add_argument(
        "--collection",
        action="store_true",
        help="also write a picture beside FILE with a photo in the style that was made",
    )
    parser.add_argument(
        "--clusters",
        type=whole(1, None),
        default=1,
        metavar="K",
        help="write K styles, FILE with a number: the means of groups of alike pictures",
    )
    parser.add_argument("--photo", metavar="FILE", help="of that picture (default: a bundled cat)")
    parser.add_argument("--name", help="of the style (default: the picture's file name)")
    for key in ("title", "artist", "year", "licence"):
        parser.add_argument(f"--{key}", help=f"{key} to keep in the file")
    add_style_size(parser)
    parser.add_argument(
        "--recursive", action="store_true", help="also take pictures in subfolders of folders"
    )
    parser.add_argument(
        "--no-overwrite", action="store_true", help="fail if the file exists already"
    )
    add_model(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing")
    return parser


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
