"""The two endless streams of crops of a run, from the command line's data sets.

B pairs · S side of a crop, --resolution
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from training.data.decoded import LARGEST
from training.data.device_pictures import DevicePictures
from training.data.held import hold_out
from training.data.loaders import BatchLoader, DeviceLoader
from training.data.sources import HubStream, PictureSource, open_pictures
from training.data.streams import make_stream

__all__ = ["open_crops", "open_loaders"]


def open_loaders(
    args: Any,
    device: torch.device,
    rank: int,
    world_size: int,
    held: dict[str, PictureSource | None] | None = None,
    whole: dict[str, PictureSource | HubStream] | None = None,
) -> dict[str, BatchLoader | DeviceLoader]:
    """Batches of contents (B, 1, 3, S, S), photographs and now and then a painting, and of styles (B, 2, 3, S, S).

    held: gets, by kind, a few pictures that are in no batch (`hold_out`); None holds none out.
    whole: gets, by kind, all pictures.
    """
    streams = {}
    for kind in ("content", "style"):
        source = open_pictures(
            getattr(args, f"{kind}_dataset_name"),
            getattr(args, f"{kind}_data_dir"),
            config_name=getattr(args, f"{kind}_dataset_config_name"),
            image_column=getattr(args, f"{kind}_image_column") or args.image_column,
            split=getattr(args, f"{kind}_split"),
            revision=getattr(args, f"{kind}_revision"),
            token=args.hub_token,
            streaming=args.streaming,
            cache_dir=args.cache_dir,
        )
        if whole is not None:
            whole[kind] = source
        if held is not None:
            source, held[kind] = hold_out(source)
        streams[kind] = (
            DevicePictures(source, device=device, resolution_limit=max(LARGEST, args.resolution))
            if args.data_on_device
            else make_stream(
                source,
                seed=args.seed + (kind == "style"),
                rank=rank,
                world_size=world_size,
                resolution_limit=max(LARGEST, args.resolution),
            )
        )
    make_loader = DeviceLoader if args.data_on_device else BatchLoader
    common: dict[str, Any] = {"rank": rank}
    if args.data_on_device:
        common["world_size"] = world_size
    else:
        common["threads"] = args.dataloader_num_workers
    mix: Any = [(streams["content"], 1 - args.paintings_as_content)]
    if args.paintings_as_content > 0:
        paintings = (
            streams["style"] if args.data_on_device else streams["style"].with_seed(args.seed + 2)
        )
        mix.append((paintings, args.paintings_as_content))
    batch, side = args.train_batch_size, args.resolution
    return {
        "content": make_loader(
            mix, batch, side, zoom=tuple(args.content_zoom), seed=args.seed, **common
        ),
        "style": make_loader(
            streams["style"],
            batch,
            side,
            crops=2,
            zoom=tuple(args.style_zoom),
            seed=args.seed + 1,
            **common,
        ),
    }


def open_crops(
    args: Any, side: int, zooms: Mapping[str, tuple[float, float]]
) -> dict[str, BatchLoader]:
    """Batches (B, 1, 3, side, side) of contents and of styles, for lessons after training; zooms: of each of both."""
    loaders = {}
    for number, (kind, zoom) in enumerate(zooms.items()):
        seed = args.seed + number
        stream = make_stream(open_pictures(data_dir=getattr(args, f"{kind}_data_dir")), seed=seed)
        loaders[kind] = BatchLoader(stream, args.train_batch_size, side, zoom=zoom, seed=seed)
    return loaders
