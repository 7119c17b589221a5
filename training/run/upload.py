"""The model card of a run, and its way to the Hub: what can be wrong with that is told before the first step."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final

from huggingface_hub import HfApi

from hfstyle.models.generator import StyleGenerator
from hfstyle.models.hub import transport_error
from hfstyle.upload import model_upload, upload_told

__all__ = ["check_upload", "licence_of", "push", "write_card"]

UNKNOWN: Final = "unknown"

logger = logging.getLogger(__name__)


def check_upload(args: Any) -> None:
    """Make the repository of --hub_model_id, or find that it can be written to.

    Raises:
        ValueError: no token, one that may not write there, no valid id, or the Hub cannot be reached.
    """
    with upload_told(
        f"--push_to_hub to {args.hub_model_id}",
        "mend it, or leave out --push_to_hub and upload the folder later with `hfstyle push`",
        args.hub_token,
    ):
        HfApi(token=args.hub_token).create_repo(args.hub_model_id, exist_ok=True)


def licence_of(args: Any) -> str:
    """The licence of the weights, as the Hub names it: --licence, or what both data sets state alike, or "unknown"."""
    if args.licence:
        return str(args.licence)
    stated = {_stated(getattr(args, f"{kind}_dataset_name"), args) for kind in ("content", "style")}
    return stated.pop() if len(stated) == 1 else UNKNOWN


def _stated(dataset: str | None, args: Any) -> str:
    if dataset is None or Path(dataset).exists():
        return UNKNOWN
    try:
        card = HfApi(token=args.hub_token).dataset_info(dataset).card_data
    except (OSError, ValueError, transport_error) as error:
        logger.warning("the licence of %s is not known: %s", dataset, error)
        return UNKNOWN
    licence = None if card is None else card.get("license")
    return licence if isinstance(licence, str) else UNKNOWN


def write_card(folder: Path, generator: StyleGenerator, counters: Any, args: Any) -> None:
    """Write README.md: how the model was made, of which data, and under which licence. Folders of this machine are not named."""
    kinds = ("content", "style")
    sets = [getattr(args, f"{kind}_dataset_name") for kind in kinds]
    local = [getattr(args, f"{kind}_data_dir") for kind in kinds]
    told = [
        f"`{name}`"
        if name and not Path(name).exists()
        else f"local pictures, `{Path(place or name).name}`"
        for name, place in zip(sets, local, strict=True)
    ]
    description = (
        f"Trained by `training/train.py` for {counters.step} steps ({counters.pairs} pairs, {counters.minutes:.0f} "
        f"minutes) on contents of {told[0]} and styles of {told[1]}, {args.resolution} px, seed {args.seed}."
    )
    if args.recipe == "own-art":
        description += (
            "\n\nIts styles are those that the model had before, one for each of the pictures, by the names of their files, and their "
            'mean: `pipe("photo.jpg", "own_art")`.'
        )
    licence = getattr(args, "card_licence", UNKNOWN)
    if licence == UNKNOWN:
        description += (
            "\n\nWhat may be done with these weights depends on the licences of these pictures, which are not known to the "
            "trainer."
        )
    card = generator.generate_model_card(description=description, repo_id=args.hub_model_id)
    card.data.license = licence
    known = sorted({name for name in sets if name and not Path(name).exists()})
    if known:
        card.data.datasets = known
    card.save(folder / "README.md")


def push(folder: Path, counters: Any, args: Any) -> None:
    """Upload what a run exported: generator, discriminator, styles, style space and card, as `hfstyle push` does."""
    model_upload(folder, args.hub_model_id).send(
        token=args.hub_token, message=f"Step {counters.step}"
    )
