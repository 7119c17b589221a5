"""Batch normalisation that is there while a network learns, and folded into its convolutions afterwards."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hfstyle.models.faces import FaceMap

__all__ = ["fold_norms", "keep_function", "with_norms"]


def with_norms(network: FaceMap) -> FaceMap:
    """Batch normalisation after each convolution but the last, in place."""
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.Conv2d) and name != "out":
            norm = nn.BatchNorm2d(layer.out_channels)
            norm.num_batches_tracked = None  # whole numbers have no mean
            normed = nn.Sequential(layer, norm)
            _replace(network, name, normed)
    return network


@torch.no_grad()
def keep_function(network: FaceMap, pictures: Tensor) -> None:
    """Let new norms give back what they take, as measured on pictures: the map begins as it was before them."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
            layer.register_forward_pre_hook(_give_back)
    network.train()
    network.logits(pictures)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.1
            layer._forward_pre_hooks.clear()


@torch.no_grad()
def fold_norms(network: FaceMap) -> FaceMap:
    """The opposite: what the norms do becomes a part of the convolutions."""
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.Sequential):
            conv, norm = layer
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            assert conv.bias is not None
            assert norm.running_mean is not None
            assert norm.running_var is not None
            gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            conv.weight.mul_(gain[:, None, None, None])
            conv.bias.sub_(norm.running_mean).mul_(gain).add_(norm.bias)
            _replace(network, name, conv)
    return network


def _give_back(norm: nn.BatchNorm2d, given: tuple[Tensor]) -> None:
    variance, mean = torch.var_mean(given[0], (0, 2, 3), correction=0)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(mean)


def _replace(network: nn.Module, name: str, layer: nn.Module) -> None:
    *path, last = name.split(".")
    setattr(network.get_submodule(".".join(path)), last, layer)
