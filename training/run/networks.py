"""The networks of a run: strictly loaded from an earlier one, or new; and which of their weights learn."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final

import torch
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from hfstyle.models.discriminator import StyleDiscriminator
from hfstyle.models.generator import StyleGenerator
from hfstyle.models.hub import default_model_path
from hfstyle.styles.presets import download_styles, local_folder
from training.game.generator_move import Perceptual
from training.game.perceptual import in_all, load_perceptuals, weights_in_all
from training.game.rehearsal import OldStyles
from training.run.adapter import add_gains, add_low_rank
from training.run.optimisation import read_config

__all__ = ["choose_what_learns", "old_styles", "open_networks", "open_perceptual"]

logger = logging.getLogger(__name__)

_DISCRIMINATOR: Final = "discriminator"
_OF_BUNDLED: Final = Path(__file__).resolve().parents[1] / "checkpoint" / _DISCRIMINATOR


def open_networks(args: Any) -> tuple[StyleGenerator, StyleDiscriminator]:
    """Generator and discriminator, in float32. All processes start alike because `prepare` broadcasts.

    A generator's own discriminator is found beside it, in its folder or on the Hub; that of the bundled weights lies in
    training/checkpoint. Raises FileNotFoundError if the Hub cannot be asked for it, ValueError if it does not fit.
    """
    generator = (
        StyleGenerator.from_pretrained(args.init_from, token=args.hub_token)
        if args.init_from
        else StyleGenerator(**read_config(args.generator_config))
    )
    place = args.init_discriminator_from or _beside(args.init_from, args.hub_token)
    if place is None and args.init_from and args.adversarial_weight:
        logger.warning("%s has no discriminator: a new one learns beside it", args.init_from)
    width = generator.encoder.vector_width
    discriminator = (
        _discriminator(place, args.hub_token) if place else StyleDiscriminator(style_width=width)
    )
    return generator.float().train(), discriminator.float().train()


def _discriminator(place: str, token: str | None) -> StyleDiscriminator:
    """Raises ValueError where it does not fit, which one of an earlier version does not."""
    try:
        return StyleDiscriminator.from_pretrained(place, token=token)
    except ValueError as error:
        raise ValueError(
            f"{error} Give --init_discriminator_from another one; that of the bundled weights is {_OF_BUNDLED}"
        ) from error


def _beside(model: str | None, token: str | None) -> str | None:
    if model is None:
        return None
    if local_folder(model) is None:
        return _of_hub(model, token)
    beside = Path(model) / _DISCRIMINATOR
    if beside.is_dir():
        return str(beside)
    bundled = Path(model).samefile(default_model_path())
    return str(_OF_BUNDLED) if bundled and _OF_BUNDLED.is_dir() else None


def _of_hub(model: str, token: str | None) -> str | None:
    """The folder of a repository's discriminator in the cache, None if it has none."""
    try:
        for name in (constants.CONFIG_NAME, constants.SAFETENSORS_SINGLE_FILE):
            file = hf_hub_download(model, f"{_DISCRIMINATOR}/{name}", token=token)
    except LocalEntryNotFoundError as error:
        raise FileNotFoundError(
            f"whether {model} has a discriminator is not known, because the Hub cannot be reached ({error}); give "
            "--init_discriminator_from a folder, or --adversarial_weight 0"
        ) from None
    except EntryNotFoundError:
        return None
    return str(Path(file).parent)


def choose_what_learns(args: Any, generator: StyleGenerator) -> None:
    """Freeze what --learn leaves out, and add what an adapter needs."""
    if args.learn == "painter":
        generator.encoder.requires_grad_(False)
    if args.learn == "adapter":
        add_gains(generator)
        if args.adapter_rank:
            add_low_rank(generator, args.adapter_rank)


def old_styles(args: Any, generator: StyleGenerator) -> OldStyles | None:
    """What is rehearsed beside new styles; before `choose_what_learns`."""
    if not args.old_styles_weight:
        return None
    folder = local_folder(args.init_from) or download_styles(
        args.init_from, None, args.hub_token, False, None
    )
    return OldStyles(generator, folder, args.old_styles_share)


def open_perceptual(args: Any, device: torch.device) -> Perceptual:
    """The perceptual networks of --perceptual_model, and what is seen of them. Raises ValueError of layers the first lacks."""
    network = load_perceptuals(args.perceptual_model, cache_dir=args.cache_dir)
    wanted = {*args.content_layers, *args.style_layers, *args.local_layers}
    if unknown := sorted(wanted - set(network.layers)):
        known = ", ".join(name for name in network.layers if "/" not in name)
        raise ValueError(
            f"{args.perceptual_model[0]} has no {', '.join(unknown)}; its layers are {known}: choose --content_layers, "
            "--style_layers and --local_layers among them"
        )
    network.to(device, memory_format=torch.channels_last)
    given = dict(zip(args.style_layers, args.style_layer_weights, strict=True))
    weights = weights_in_all(given, network.layers)
    local = in_all(args.local_layers, network.layers)
    layers = frozenset((*args.content_layers, *weights, *local))
    return Perceptual(network, layers, weights, local)
