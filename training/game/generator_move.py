"""The generator's move in a step: what it minimises, term by term, each with its weight.

B pairs · F of them at full strength · S side of a crop · D style width
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hfstyle.models.detail import ask
from hfstyle.models.discriminator import StyleDiscriminator, content_view
from training.game import losses
from training.game.augment import augment
from training.game.batches import Batch
from training.game.views import no_grad_features, without_border

__all__ = ["Painted", "Perceptual", "adversarial_term", "perceptual_terms"]


class Perceptual(NamedTuple):
    """The frozen network, the layers that any term looks at, the weights of the style layers, the layers of the local term."""

    network: nn.Module
    layers: frozenset[str]
    layer_weights: Mapping[str, float]
    local_layers: Sequence[str]


class Painted(NamedTuple):
    """What the generator made of a batch.

    Attributes:
        output: (B, 3, S, S), the pairs.
        identity: (own, 3, S, S), pictures styled by themselves.
        repeated: (again, 3, S, S), the first outputs once more, of moved contents.
        coarse: (B, 3, S/2, S/2), what the pairs were painted over, by the generator's coarse level.
        codes: (B, D), vectors of the styles.
        output_codes: (F or 0, D), vectors of the first outputs' own styles.
    """

    output: Tensor
    identity: Tensor
    repeated: Tensor
    coarse: Tensor
    codes: Tensor
    output_codes: Tensor


def perceptual_terms(
    args: Any,
    perceptual: Perceptual,
    look: Callable[[Tensor], Tensor],
    look_coarse: Callable[[Tensor], Tensor] | None,
    batch: Batch,
    painted: Painted,
) -> dict[str, Tensor]:
    """All weighted terms but the adversarial one; to be called under the autocast of the step.

    Args:
        args: the weights.
        perceptual: what compares pictures.
        look: the view of pictures that this step's losses have.
        look_coarse: that of coarse paintings, in which they can be compared with `look(batch.style)`; or None.
        batch: what was painted.
        painted: what came of it.
    """
    output, full = painted.output, batch.full
    seen = {
        "output": perceptual.network(look(output), perceptual.layers),
        **no_grad_features(
            perceptual.network,
            perceptual.layers,
            content=look(batch.content),
            style=look(batch.style),
        ),
    }
    if args.coarse_weight > 0 and look_coarse:
        seen["coarse"] = perceptual.network(look_coarse(painted.coarse), perceptual.layers)
    with torch.autocast(output.device.type, enabled=False):
        stats = {
            name: losses.measure(
                {k: f for k, f in features.items() if k in perceptual.layer_weights}
            )
            for name, features in seen.items()
        }
        strength = ask(batch.strength[: len(output)]).paint
        target = losses.interpolate(stats["content"], stats["style"], strength)
        others = target, stats["content"], stats["style"]
        in_style = partial(
            losses.style_loss, normalise=args.style_normalisation, weights=perceptual.layer_weights
        )
        terms = {
            "content": args.content_weight
            * losses.content_loss(seen["output"], seen["content"], args.content_layers),
            "style": args.style_weight * in_style(stats["output"], *others),
        }
        if args.texture_weight > 0:
            terms["texture"] = args.texture_weight * losses.texture_loss(stats["output"], *others)
        if "coarse" in seen:
            terms["coarse"] = args.coarse_weight * (
                args.style_weight * in_style(stats["coarse"], *others)
                + args.texture_weight * losses.texture_loss(stats["coarse"], *others)
            )
        if args.local_weight > 0:
            terms["local"] = args.local_weight * losses.local_loss(
                {k: f[:full] for k, f in seen["output"].items()},
                {k: f[:full] for k, f in seen["style"].items()},
                perceptual.local_layers,
                strength[:full],
            )
        if args.color_weight > 0:
            # Within what the style and content terms see: counted up to the border, saturated colours gathered there.
            side, border = output.shape[2], args.unseen_border
            inner = (without_border(x, side, border) for x in (output, batch.content))
            terms["color"] = args.color_weight * losses.color_loss(*inner, batch.style, strength)
        if args.halo_weight > 0:
            terms["halo"] = args.halo_weight * losses.halo_loss(output, batch.content)
        if args.structure_weight > 0:
            terms["structure"] = args.structure_weight * losses.structure_loss(
                output, batch.content
            )
        if batch.own:
            terms["identity"] = args.identity_weight * losses.identity_loss(
                painted.identity, batch.themselves
            )
        if batch.again:
            terms["consistency"] = args.consistency_weight * losses.consistency_loss(
                output[: batch.again], painted.repeated, batch.down, batch.right
            )
        if len(painted.output_codes):
            terms["contrast"] = args.contrast_weight * losses.contrast_loss(
                painted.output_codes, painted.codes[:full]
            )
    return terms


def adversarial_term(
    args: Any,
    discriminator: StyleDiscriminator,
    content: Tensor,
    output: Tensor,
    codes: Tensor,
    weight: float,
) -> Tensor:
    """The weighted adversarial term; the discriminator's parameters must be frozen.

    Where the photo is shown as clearly as in a painting, nothing more is asked of the content: else it would be of its tones.

    content, output: (F, 3, S, S), as the step's losses see them; codes: (F, D).
    """
    judged = discriminator(*augment(output, content_view(content)), codes[:, None].detach())
    painted = losses.adversarial_loss((judged.fine, judged.coarse), args.gan_loss)
    shown = losses.discriminator_loss([judged.shown], True, args.gan_loss)
    return weight * (painted + 0.5 * shown)
