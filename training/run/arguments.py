"""The trainer's command line. Names are those of diffusers' training examples where one exists."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from hfstyle.models.hub import default_model_path
from hfstyle.models.vgg import DEFAULT_PERCEPTUAL
from hfstyle.parser import Parser
from training.game.views import BORDER
from training.game.weights import WEIGHTS
from training.run.argument_checks import STYLE_LAYERS, check_arguments
from training.run.recipes import RECIPES

__all__ = ["STYLE_LAYERS", "add_lesson", "parse_args"]

_PRECISION: Final = "auto is bf16 on a GPU or a processor that computes in it (AMX, AVX-512 BF16), else no, which is float32"


def add_lesson(parser: argparse.ArgumentParser) -> None:
    """What the scripts share that teach a trained generator something more: its pictures, its place, the pace."""
    add = parser.add_argument
    add("--model", default=str(default_model_path()), help="folder or Hub id of what is taught")
    for kind in ("content", "style"):
        add(f"--{kind}_data_dir", required=True, help="a folder, Parquet files, or a glob")
    add("--output_dir", required=True, help="folder of the result")
    add("--perceptual_model", nargs="+", default=[DEFAULT_PERCEPTUAL], help="as of train.py")
    add("--lr_warmup_steps", type=int, default=20, help="over which the learning rate rises")
    add("--ema_decay", type=float, default=0.98, help="of the averaged weights, which are written")
    add("--mixed_precision", choices=("auto", "no", "bf16"), default="auto", help=_PRECISION)
    add("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    add("--seed", type=int, default=0, help="of the random numbers")
    add("--logging_steps", type=int, default=20, help="between lines of numbers")
    add("--checkpointing_steps", type=int, default=100, help="write the model every so many steps")


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse and check the command line; a mistake ends with a message and exit code 2."""
    parser = Parser(
        description="Train hfstyle's conditional GAN.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--recipe",
        choices=tuple(RECIPES),
        help="settings that belong together (training/run/recipes.py); every option beside it wins",
    )
    parser.add_argument(
        "--dry_run",
        action="store_true",
        help="say what would run, take three steps, say how long all of it would take and in how much memory, write nothing",
    )
    add = parser.add_argument_group("data").add_argument
    for kind in ("content", "style"):
        add(f"--{kind}_dataset_name", help=f"Hub id of the {kind} data set")
        add(
            f"--{kind}_dataset_config_name", help=f"configuration of the {kind} data set on the Hub"
        )
        add(f"--{kind}_data_dir", help=f"local {kind} pictures: a folder, Parquet files, or a glob")
        add(f"--{kind}_split", default="train", help=f"split of the {kind} data set")
        add(f"--{kind}_revision", help=f"branch, tag or commit of the {kind} data set")
        add(
            f"--{kind}_image_column",
            help=f"column with the pictures of the {kind} data set; by default --image_column",
        )
    add("--image_column", default="image", help="column with the pictures, of both data sets")
    add("--streaming", action="store_true", help="read Hub data sets while training")
    add("--cache_dir", help="where downloads are kept")
    add("--resolution", type=int, default=256, help="side of a crop in pixels, a multiple of 32")
    add(
        "--loss_resolution",
        type=int,
        help="side of the pictures that the style encoder, the losses and the discriminator look at: crops and outputs are "
        "reduced to it, for the losses and the discriminator in a third of the steps, so that strokes learn their size on "
        "larger crops at less cost. A multiple of 16, at most --resolution, which it is by default",
    )
    add(
        "--style_zoom",
        type=float,
        nargs=2,
        default=(1.0, 2.5),
        metavar=("LEAST", "MOST"),
        help="side of the region that becomes a style crop, in crop sides",
    )
    add(
        "--content_zoom",
        type=float,
        nargs=2,
        default=(1.0, 2.5),
        metavar=("LEAST", "MOST"),
        help="side of the region that becomes a content crop, in crop sides",
    )
    add(
        "--paintings_as_content",
        type=float,
        default=0.25,
        help="share of content drawn from the style data",
    )
    add(
        "--color_jitter",
        type=float,
        default=0.4,
        help="share of style pictures that are given another palette or contrast, for colours the data lacks",
    )
    add(
        "--pattern_share",
        type=float,
        default=0.3,
        help="share of style pictures made into mosaics, posters, hatchings and the like, for strokes the data lacks",
    )
    add("--dataloader_num_workers", type=int, default=1, help="threads that cut crops")
    add(
        "--data_on_device",
        action="store_true",
        help="hold all pictures on the GPU and cut crops there",
    )

    add = parser.add_argument_group("model").add_argument
    add("--init_from", help="folder or Hub id of a generator to start from")
    add(
        "--generator_config",
        help="a size of hfstyle.models.sizes, base (default) or tiny, for a first try; or a JSON file of a new generator's keyword "
        "arguments, such as another model's config.json",
    )
    add(
        "--init_discriminator_from",
        help="folder or Hub id of a discriminator to start from; "
        "by default the folder `discriminator` inside --init_from where there is one",
    )
    add(
        "--learn",
        choices=("all", "painter", "adapter"),
        default="all",
        help="all weights; all but the style encoder's, so that style codes stay valid; or an adapter: gains and biases of the "
        "painter's channels, and a low-rank change of what styles do to them, folded into the weights in the end",
    )
    add(
        "--adapter_rank",
        type=int,
        default=4,
        help="rank of the adapter's low-rank change; 0 leaves it out",
    )
    add(
        "--perceptual_model",
        nargs="+",
        default=[DEFAULT_PERCEPTUAL],
        help="the perceptual network: compact-vgg19 (3.9 MB, downloaded once), a Hub id, or a safetensors file; of further ones, "
        "possibly cut, the style layers that they have are looked at too, but not content layers",
    )

    add = parser.add_argument_group("losses").add_argument
    add(
        "--content_layers",
        nargs="+",
        default=["relu4_1", "relu5_1"],
        help="layers of the perceptual network that are to stay the photo's",
    )
    add(
        "--style_layers",
        nargs="+",
        default=list(STYLE_LAYERS),
        help="layers of the perceptual network whose statistics are to become the style's",
    )
    add(
        "--style_layer_weights",
        type=float,
        nargs="+",
        help="of --style_layers in the style loss, one for each; by default those of the published weights, or all 1 with "
        "other layers",
    )
    add(
        "--local_layers",
        nargs="+",
        default=["relu3_1", "relu4_1"],
        help="layers whose every place is to look like some place of the style",
    )
    for name, weight in WEIGHTS.items():
        add(f"--{name}_weight", type=float, default=weight.default, help=weight.about)
    add(
        "--move_multiple",
        type=int,
        choices=(1, 2, 4, 8),
        default=1,
        help="pixels of which those moves are multiples; 4, as for the bundled weights in most steps, holds strokes on the grid of the "
        "network's maps: such moves change them less, and others more",
    )
    add(
        "--unseen_border",
        type=int,
        choices=(0, BORDER),
        default=BORDER,
        help="pixels at each side of a crop that the losses leave out: in long runs, strokes gather in borders that they look at; in short "
        "ones, borders that they do not look at lose their colours",
    )
    add(
        "--old_styles_share",
        type=float,
        default=0.5,
        help="pairs of a step in old styles, beside those in new ones, as a share of --train_batch_size",
    )
    add(
        "--style_normalisation",
        choices=("pair", "energy"),
        default="pair",
        help="style distances are divided by that of the pair's content, or by the style's own energy",
    )
    add(
        "--gan_loss",
        choices=("minimax", "nonsaturating", "hinge"),
        default="hinge",
        help="the game's objective",
    )
    add(
        "--mismatched_weight",
        type=float,
        default=0.5,
        help="weight of paintings shown with a wrong style, in the discriminator's loss",
    )
    add(
        "--r1_gamma", type=float, default=0.1, help="weight of the discriminator's gradient penalty"
    )
    add("--r1_interval", type=int, default=16, help="steps between two such penalties")
    add(
        "--adversarial_start", type=int, default=2000, help="step at which the discriminator enters"
    )
    add("--adversarial_ramp", type=int, default=2000, help="steps over which its weight grows")
    add(
        "--full_strength_share",
        type=float,
        default=0.65,
        help="share of pairs at strength 1; the others draw it uniformly from [0, 1]",
    )
    add(
        "--grain_share",
        type=float,
        default=0.3,
        help="share of pairs painted on a grain: a random pattern in the features, from which strokes in flat areas begin "
        "instead of at the borders of small crops; pictures are painted without it",
    )
    add(
        "--monitor_patience",
        type=int,
        default=2000,
        help="steps for which the adversarial game may stay out of its range before the run stops",
    )

    add = parser.add_argument_group("optimisation").add_argument
    add("--train_batch_size", type=int, default=16, help="pairs per step and process")
    add("--max_train_steps", type=int, default=160_000, help="steps after which the run ends")
    add(
        "--max_train_minutes",
        type=float,
        help="stop with a checkpoint and an export after this time, counted from this start, as well",
    )
    add(
        "--gradient_accumulation_steps",
        type=int,
        default=1,
        help="batches whose gradients make one step",
    )
    add(
        "--optimizer",
        choices=("adamw", "muon"),
        default="adamw",
        help="of the generator; the discriminator's is always AdamW",
    )
    add("--learning_rate", type=float, default=2e-4, help="learning rate of the generator")
    add(
        "--discriminator_learning_rate",
        type=float,
        default=4e-4,
        help="learning rate of the discriminator",
    )
    add(
        "--lr_scheduler",
        default="constant_with_warmup",
        help="any of diffusers.optimization.get_scheduler",
    )
    add("--lr_warmup_steps", type=int, default=200, help="steps over which the learning rates rise")
    add("--adam_beta1", type=float, default=0.5, help="decay of Adam's mean of gradients")
    add("--adam_beta2", type=float, default=0.99, help="decay of Adam's mean of squared gradients")
    add("--adam_weight_decay", type=float, default=0.0, help="weight decay of AdamW")
    add(
        "--max_grad_norm", type=float, default=30.0, help="length to which longer gradients are cut"
    )
    add(
        "--ema_decay",
        type=float,
        default=0.999,
        help="decay of the averaged weights, which are exported",
    )
    add("--mixed_precision", choices=("no", "auto", "bf16", "fp16"), default="no", help=_PRECISION)
    add(
        "--max_bad_steps",
        type=int,
        default=20,
        help="non-finite steps in a row before the run stops",
    )
    add("--seed", type=int, default=0, help="seed of the random numbers")

    add = parser.add_argument_group("output").add_argument
    add("--output_dir", default="hfstyle-model", help="folder of the result and all on the way")
    add(
        "--checkpointing_steps",
        type=int,
        default=2000,
        help="steps between checkpoints, each with an export of the model",
    )
    add(
        "--checkpoints_total_limit",
        type=int,
        default=2,
        help="checkpoints to keep, the latest ones; 0 keeps all",
    )
    add("--resume_from_checkpoint", help="a checkpoint folder, or `latest`")
    add(
        "--validation_steps",
        type=int,
        default=2000,
        help="every so many steps, a grid of pictures that are held out of training (4 contents and 4 styles), painted as "
        "by the pipeline; 0: never",
    )
    add("--logging_steps", type=int, default=50, help="steps between lines of numbers")
    add("--report_to", help="tracker of Accelerate: tensorboard, wandb, ...")
    add(
        "--licence",
        help="of the weights, for the card, as the Hub names it (cc-by-4.0); by default what both data sets state, else "
        "unknown",
    )
    add(
        "--push_to_hub",
        action="store_true",
        help="upload the result; checked before the first step",
    )
    add("--hub_model_id", help="repository of the upload, user/name")
    add(
        "--hub_token",
        help="token of the Hub, for uploads and private data sets; by default that of `hf auth login`",
    )

    known, _ = parser.parse_known_args(argv)
    if known.recipe:
        parser.set_defaults(**RECIPES[known.recipe])
    args = parser.parse_args(argv)
    check_arguments(parser, args)
    return args
