"""The trainer's command line. Names are those of diffusers' training examples where one exists."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from hfstyle.models.generator import default_model_path

__all__ = ["STYLE_LAYERS", "add_lesson", "parse_args"]

# Weights of losses and layers are those that the published model was trained with last.
STYLE_LAYERS: Final = {
    "relu1_1": 0.6,
    "relu2_1": 0.8,
    "relu3_1": 1.6,
    "relu4_1": 1.1,
    "relu5_1": 0.8,
}


def add_lesson(parser: argparse.ArgumentParser) -> None:
    """What the scripts share that teach a trained generator something more: its pictures, its place, the pace."""
    add = parser.add_argument
    add("--model", default=str(default_model_path()), help="folder or Hub id")
    for kind in ("content", "style"):
        add(f"--{kind}_data_dir", required=True, help="a folder, Parquet files, or a glob")
    add("--output_dir", required=True)
    add("--perceptual_model", nargs="+", default=["timm/vgg19.tv_in1k"], help="as of train.py")
    add("--lr_warmup_steps", type=int, default=20)
    add("--ema_decay", type=float, default=0.98)
    add("--mixed_precision", choices=("no", "bf16"), default="bf16")
    add("--device", default="cpu")
    add("--seed", type=int, default=0)
    add("--logging_steps", type=int, default=20)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse and check the command line; a mistake ends with a message and exit code 2."""
    parser = argparse.ArgumentParser(
        description="Train hfstyle's conditional GAN.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument_group("data").add_argument
    for kind in ("content", "style"):
        add(f"--{kind}_dataset_name", help=f"Hub id of the {kind} data set")
        add(f"--{kind}_dataset_config_name", help="its configuration")
        add(f"--{kind}_data_dir", help=f"local {kind} pictures: a folder, Parquet files, or a glob")
    add("--image_column", default="image", help="column of the pictures")
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
        help="the same for content",
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
        help="JSON file of a new generator's keyword arguments, such as another model's config.json",
    )
    add(
        "--init_discriminator_from",
        help="folder or Hub id of a discriminator to start from; "
        "by default the folder `discriminator` inside --init_from where there is one",
    )
    add(
        "--perceptual_model",
        nargs="+",
        default=["timm/vgg19.tv_in1k"],
        help="Hub id or local safetensors of the perceptual network; of further ones, possibly cut, the style layers that they "
        "have are looked at too, but not content layers",
    )
    add("--no_tokens", action="store_true", help="ablation: a generator without token attention")

    add = parser.add_argument_group("losses").add_argument
    add("--content_layers", nargs="+", default=["relu4_1", "relu5_1"])
    add("--style_layers", nargs="+", default=list(STYLE_LAYERS))
    add(
        "--style_layer_weights",
        type=float,
        nargs="+",
        help="of --style_layers in the style loss, one for each; by default those of the published weights, or all 1 with "
        "other layers",
    )
    add("--local_layers", nargs="+", default=["relu3_1", "relu4_1"])
    add("--content_weight", type=float, default=0.3)
    add("--style_weight", type=float, default=14.0)
    add("--texture_weight", type=float, default=4.0, help="channel covariances")
    add(
        "--coarse_weight",
        type=float,
        default=0.3,
        help="style and texture of the painting of the generator's coarser level, as a multiple of both: large strokes; in a "
        "third of the steps",
    )
    add("--local_weight", type=float, default=4.0, help="nearest style features at every place")
    add("--color_weight", type=float, default=4.0, help="mean and covariance of the pixels")
    add(
        "--halo_weight",
        type=float,
        default=40.0,
        help="colour should not change where the photo does not: no halos along edges, no rainbows in skies",
    )
    add(
        "--structure_weight",
        type=float,
        default=2.0,
        help="what is dark beside what is light should stay so: eyes and mouths",
    )
    add("--identity_weight", type=float, default=8.0)
    add(
        "--consistency_weight",
        type=float,
        default=55.0,
        help="a photo moved by a few pixels, with a little noise, is painted alike; long runs want 60 or more, or a lattice grows",
    )
    add(
        "--move_multiple",
        type=int,
        choices=(1, 2, 4, 8),
        default=1,
        help="pixels of which those moves are multiples; 4, as for the bundled weights in most steps, holds strokes on the grid of the "
        "network's maps: such moves change them less, and others more",
    )
    add("--contrast_weight", type=float, default=0.0)
    add("--style_normalisation", choices=("pair", "energy"), default="pair")
    add("--adversarial_weight", type=float, default=0.25)
    add("--gan_loss", choices=("minimax", "nonsaturating", "hinge"), default="hinge")
    add(
        "--mismatched_weight",
        type=float,
        default=0.5,
        help="reals with a wrong style or a wrong content view",
    )
    add("--r1_gamma", type=float, default=0.1)
    add("--r1_interval", type=int, default=16)
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
    add("--max_train_steps", type=int, default=160_000)
    add(
        "--max_train_minutes",
        type=float,
        help="stop with a checkpoint and an export after this time, counted from this start, as well",
    )
    add("--gradient_accumulation_steps", type=int, default=1)
    add(
        "--optimizer",
        choices=("adamw", "muon"),
        default="adamw",
        help="of the generator; the discriminator's is always AdamW",
    )
    add("--learning_rate", type=float, default=2e-4)
    add("--discriminator_learning_rate", type=float, default=4e-4)
    add(
        "--lr_scheduler",
        default="constant_with_warmup",
        help="any of diffusers.optimization.get_scheduler",
    )
    add("--lr_warmup_steps", type=int, default=200)
    add("--adam_beta1", type=float, default=0.5)
    add("--adam_beta2", type=float, default=0.99)
    add("--adam_weight_decay", type=float, default=0.0)
    add("--max_grad_norm", type=float, default=30.0)
    add("--ema_decay", type=float, default=0.999)
    add("--mixed_precision", choices=("no", "bf16", "fp16"), default="no")
    add(
        "--max_bad_steps",
        type=int,
        default=20,
        help="non-finite steps in a row before the run stops",
    )
    add("--seed", type=int, default=0)

    add = parser.add_argument_group("output").add_argument
    add("--output_dir", default="hfstyle-model")
    add("--checkpointing_steps", type=int, default=2000)
    add("--checkpoints_total_limit", type=int, default=2, help="latest ones to keep; 0: all")
    add("--resume_from_checkpoint", help="a checkpoint folder, or `latest`")
    add(
        "--validation_steps",
        type=int,
        default=2000,
        help="a grid of pictures every so many steps; 0: never",
    )
    add("--logging_steps", type=int, default=50)
    add("--report_to", default=None, help="tensorboard, wandb, ... of Accelerate's trackers")
    add("--push_to_hub", action="store_true")
    add("--hub_model_id")
    add("--hub_token")

    args = parser.parse_args(argv)
    for kind in ("content", "style"):
        if not (getattr(args, f"{kind}_dataset_name") or getattr(args, f"{kind}_data_dir")):
            parser.error(f"give --{kind}_dataset_name or --{kind}_data_dir")
    if args.mixed_precision == "fp16":
        parser.error(
            "fp16 is not supported: the two optimisers of the game would share one loss scaler, and a "
            "single overflow in R1 stops both; use bf16 or no"
        )
    if args.resolution % 32 or args.resolution < 64:
        parser.error(f"--resolution {args.resolution}: must be a multiple of 32, at least 64")
    if args.loss_resolution is None:
        args.loss_resolution = args.resolution
    if args.loss_resolution % 16 or not 64 <= args.loss_resolution <= args.resolution:
        parser.error(
            f"--loss_resolution {args.loss_resolution}: must be a multiple of 16, at least 64 and at most --resolution "
            f"{args.resolution}"
        )
    if args.style_layer_weights is None:
        published = args.style_layers == list(STYLE_LAYERS)
        args.style_layer_weights = [
            STYLE_LAYERS[name] if published else 1.0 for name in args.style_layers
        ]
    if len(args.style_layer_weights) != len(args.style_layers):
        parser.error(
            f"--style_layer_weights: {len(args.style_layer_weights)} numbers for {len(args.style_layers)} --style_layers; "
            "give one for each"
        )
    for name in (
        "train_batch_size",
        "max_train_steps",
        "gradient_accumulation_steps",
        "r1_interval",
        "checkpointing_steps",
        "logging_steps",
        "monitor_patience",
        "max_bad_steps",
    ):
        if getattr(args, name) < 1:
            parser.error(f"--{name} {getattr(args, name)}: must be at least 1")
    for name in (
        "full_strength_share",
        "grain_share",
        "paintings_as_content",
        "color_jitter",
        "pattern_share",
        "ema_decay",
    ):
        if not 0 <= getattr(args, name) <= 1:
            parser.error(f"--{name} {getattr(args, name)}: must be within [0, 1]")
    if args.init_from and (args.generator_config or args.no_tokens):
        parser.error(
            "--init_from brings its own architecture: leave out --generator_config and --no_tokens"
        )
    if args.streaming and args.data_on_device:
        parser.error("--data_on_device holds whole data sets: leave out --streaming")
    if args.push_to_hub and not args.hub_model_id:
        parser.error("--push_to_hub needs --hub_model_id user/name")
    return args
