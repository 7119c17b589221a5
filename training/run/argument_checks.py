"""What the trainer's options must be together; a mistake ends with a message and exit code 2."""

from __future__ import annotations

import argparse
from typing import Final

__all__ = ["STYLE_LAYERS", "check_arguments"]

# Weights of losses and layers are those that the published model was trained with last.
STYLE_LAYERS: Final = {
    "relu1_1": 0.6,
    "relu2_1": 0.8,
    "relu3_1": 1.6,
    "relu4_1": 1.1,
    "relu5_1": 0.8,
}


def check_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Check parsed options, and fill in what follows from others."""
    for kind in ("content", "style"):
        if kind == "content" and args.recipe == "own-art":
            continue  # the example photos
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
        "old_styles_share",
        "ema_decay",
    ):
        if not 0 <= getattr(args, name) <= 1:
            parser.error(f"--{name} {getattr(args, name)}: must be within [0, 1]")
    if args.init_from and args.generator_config:
        parser.error("--init_from brings its own architecture: leave out --generator_config")
    if args.streaming and args.data_on_device:
        parser.error("--data_on_device holds whole data sets: leave out --streaming")
    if args.push_to_hub and not args.hub_model_id:
        parser.error("--push_to_hub needs --hub_model_id user/name")
    if args.learn != "all" and not args.init_from:
        parser.error(f"--learn {args.learn} needs a trained model: give --init_from")
    if args.old_styles_weight and not args.init_from:
        parser.error("--old_styles_weight needs a model with styles: give --init_from")
    if args.adapter_rank < 0:
        parser.error(f"--adapter_rank {args.adapter_rank}: must be at least 0")
