"""The discriminator's move in a step, and how different the generator's outputs are: what `monitor.py` watches.

B pairs · F of them at full strength · S side of a crop · D style width
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hfstyle.models.discriminator import StyleDiscriminator, content_view
from hfstyle.models.generator import StyleGenerator
from training.game import losses
from training.game.augment import augment, others, retoned

__all__ = ["discriminator_step", "diversity"]


def discriminator_step(
    args: Any,
    discriminator: nn.Module,
    bare_discriminator: StyleDiscriminator,
    content: Tensor,
    real: Tensor,
    fake: Tensor,
    codes: Tensor,
    with_r1: bool,
) -> dict[str, Tensor]:
    """The discriminator's loss and accuracies.

    Paintings are told from outputs, and from themselves with another style's code, without their contents. Which content a
    picture shows is learned of paintings whose own views have other tones, and of paintings and outputs with another's view;
    that outputs show their photos is the generator's business: said here to be false, their tones would be the proof.

    content, fake: (F, 3, S, S); real: (B, 3, S, S) with B >= F; codes: (B, D) of another crop of each real.
    """
    number = len(fake)
    real, codes = real[:number], codes[:number]
    real_view, photo_view = content_view(real), content_view(content)
    own = torch.cat((retoned(real_view), photo_view))
    views = torch.cat((own, others(own, number)), dim=1)  # (2F, 2, S/8, S/8): right, wrong
    pairs = torch.stack((codes, codes.roll(1, 0)), dim=1)  # (F, 2, D): right, wrong
    judged = discriminator(*augment(torch.cat((real, fake)), views), torch.cat((pairs, pairs)))
    painted = judged.fine, judged.coarse
    right_real = [scale[:number, :1] for scale in painted]
    on_fake = [scale[number:, :1] for scale in painted]
    wrong_code = [scale[:number, 1:] for scale in painted]
    right_view, wrong_view = [judged.shown[:number, :1]], [judged.shown[:, 1:]]
    kind = args.gan_loss
    # Fakes of all kinds together weigh as much as the reals: else "always fake" is the discriminator's best first answer.
    fakes, weights = losses.discriminator_loss(on_fake, False, kind), 1.0
    if args.mismatched_weight > 0 and number > 1:
        wrong = losses.discriminator_loss(wrong_code, False, kind)
        fakes, weights = fakes + args.mismatched_weight * wrong, 1 + args.mismatched_weight
    loss = losses.discriminator_loss(right_real, True, kind) + fakes / weights
    loss = loss + losses.discriminator_loss(right_view, True, kind)
    loss = loss + losses.discriminator_loss(wrong_view, False, kind)
    # How much higher paintings score with their own code than with another: the conditional part of the game.
    gaps = [(a - b).detach().mean() for a, b in zip(right_real, wrong_code, strict=True)]
    result = {
        "d_accuracy_real": _share(right_real, True),
        "d_accuracy_fake": _share(on_fake, False),
        "d_accuracy_mismatched": _share(wrong_code, False),
        "d_accuracy_shown": (_share(right_view, True) + _share(wrong_view, False)) / 2,
        "d_condition": torch.stack(gaps).mean(),
        "d_logit_size": torch.stack([scale.detach().abs().mean() for scale in painted]).mean(),
    }
    if with_r1 and args.r1_gamma > 0:
        sample = real[: max(1, number // 2)].detach().requires_grad_(True)
        # The prepared forward would turn autocast on again; second derivatives want float32.
        with torch.autocast(sample.device.type, enabled=False):
            clean = StyleDiscriminator.forward(
                bare_discriminator, sample, real_view[: len(sample)], codes[: len(sample), None]
            )
            penalty = losses.r1_penalty(clean, sample)
        loss = loss + 0.5 * args.r1_gamma * args.r1_interval * penalty
        result["r1"] = penalty.detach()
    return {"loss": loss, **result}


def _share(logits: list[Tensor], positive: bool) -> Tensor:
    return torch.stack([((scale > 0) == positive).float().mean() for scale in logits]).mean()


@torch.no_grad()
def diversity(generator: StyleGenerator, content: Tensor, style: Tensor) -> dict[str, Tensor]:
    """How different one content looks under up to eight styles, against how different these are; spread of their codes.

    Pictures are compared by their colours on a coarse grid and their contrast.
    """
    style = style[:8]
    if len(style) < 2:
        return {}
    condition = generator.encode(style)
    one = content[:1].expand(len(style), -1, -1, -1)
    output = generator(one, condition, torch.ones(len(style), device=style.device))

    def spread(pictures: Tensor) -> Tensor:
        small = F.adaptive_avg_pool2d(pictures.float(), 4).flatten(1)
        small = torch.cat((small, pictures.float().std((2, 3))), dim=1)
        return torch.pdist(small).mean()

    codes = condition.vector
    return {
        "diversity": spread(output) / spread(style).clamp(min=1e-6),
        "code_spread": codes.std(0).norm() / codes.norm(dim=1).mean().clamp(min=1e-6),
    }
