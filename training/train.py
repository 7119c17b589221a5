"""Train the conditional GAN: ``accelerate launch training/train.py --content_data_dir ... --style_data_dir ...``.

One step: the generator paints a batch of contents in the styles of a batch of paintings, each pair at its own
strength; the discriminator learns to tell paintings (seen with the code of another crop of themselves) from these
pictures, and from paintings with a wrong code or a wrong content view; then, with the discriminator frozen, the
generator follows the sum of the losses in ``losses.py``.

B pairs · S side of a crop · D style width
"""

from __future__ import annotations

import inspect
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.logging import get_logger
from accelerate.utils import ProjectConfiguration, set_seed
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hfstyle.models.discriminator import StyleDiscriminator, content_view
from hfstyle.models.generator import StyleGenerator
from training import losses
from training.arguments import parse_args
from training.augment import augment
from training.checkpoints import Counters, check_output_dir, resume, save_checkpoint
from training.data import BatchLoader, DeviceLoader, DevicePictures, make_stream, open_pictures
from training.monitor import GameMonitor
from training.muon import Muon
from training.perceptual import load_perceptual
from training.report import Log, export, push, save_curves, save_grid

logger = get_logger(__name__)

_MOVE_MARGIN = 16  # px, of which a photo is moved at most half
_NOISE = 0.01  # deviation of the noise on a moved photo
_CUT_EVERY = 5  # steps, in one of which the losses see a cut of the output at its own resolution


class GeneratorStep(nn.Module):
    """Everything the generator does in one step as one forward pass, which is what DDP wants to see."""

    def __init__(self, generator: StyleGenerator, loss_resolution: int) -> None:
        super().__init__()
        self.generator = generator
        self.loss_resolution = loss_resolution

    def forward(
        self, content: Tensor, style: Tensor, strength: Tensor, encoded: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Paint (B, 3, S, S); also the styles' code vectors (B, D) and those of the first `encoded` outputs."""
        condition = self.generator.encode(style)
        output = self.generator(content, condition, strength)
        if not encoded:
            return output, condition.vector, condition.vector[:0]
        painted = _resized(output[:encoded], self.loss_resolution)
        return output, condition.vector, self.generator.encode(painted).vector


def main(args: Any) -> None:
    output_dir = Path(args.output_dir)
    # Accelerate joins processes on CPUs only when told that it is on CPUs.
    on_cpus = "RANK" in os.environ and not torch.accelerator.is_available()
    accelerator = Accelerator(
        cpu=on_cpus,
        mixed_precision=args.mixed_precision,
        gradient_accumulation_steps=args.gradient_accumulation_steps,
        log_with=args.report_to,
        project_config=ProjectConfiguration(
            project_dir=str(output_dir), logging_dir=str(output_dir / "logs")
        ),
    )
    if "MASTER_ADDR" in os.environ and "RANK" not in os.environ and accelerator.num_processes == 1:
        logger.warning(
            "`accelerate launch --cpu` starts one process whatever --num_processes says; for N processes on CPUs use "
            "`torchrun --nproc_per_node N training/train.py ...`"
        )
    set_seed(args.seed, device_specific=True)
    device, rank = accelerator.device, accelerator.process_index
    check_output_dir(output_dir, args.resume_from_checkpoint)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        output_dir.mkdir(parents=True, exist_ok=True)

    # Networks: strictly loaded from an earlier run, or new. All ranks start alike because prepare() broadcasts.
    generator = (
        StyleGenerator.from_pretrained(args.init_from)
        if args.init_from
        else StyleGenerator(
            **{"use_tokens": not args.no_tokens, **_read_config(args.generator_config)}
        )
    )
    _freeze_unused(generator)
    judge_from = args.init_discriminator_from
    if judge_from is None and args.init_from and (Path(args.init_from) / "discriminator").is_dir():
        judge_from = str(Path(args.init_from) / "discriminator")
    discriminator = (
        StyleDiscriminator.from_pretrained(judge_from)
        if judge_from
        else StyleDiscriminator(style_width=generator.encoder.vector_width)
    )
    generator.float().train()
    discriminator.float().train()
    perceptual = load_perceptual(args.perceptual_model, cache_dir=args.cache_dir, reflect=False).to(
        device
    )
    for module in (generator, discriminator, perceptual):
        module.to(memory_format=torch.channels_last)
    layers = frozenset(args.content_layers + args.style_layers + args.local_layers)
    if unknown := sorted(layers - set(perceptual.layers)):
        raise ValueError(
            f"{args.perceptual_model} has no {', '.join(unknown)}; its layers are {', '.join(perceptual.layers)}: choose "
            "--content_layers, --style_layers and --local_layers among them"
        )
    ema = AveragedModel(
        generator, device=device, use_buffers=True, multi_avg_fn=_ema_update(args.ema_decay)
    )

    # Data: two endless streams. Content is photographs and, now and then, a painting.
    streams = {}
    for kind in ("content", "style"):
        source = open_pictures(
            getattr(args, f"{kind}_dataset_name"),
            getattr(args, f"{kind}_data_dir"),
            config_name=getattr(args, f"{kind}_dataset_config_name"),
            image_column=args.image_column,
            streaming=args.streaming,
            cache_dir=args.cache_dir,
        )
        streams[kind] = (
            DevicePictures(source, device=device, resolution_limit=max(320, args.resolution))
            if args.data_on_device
            else make_stream(
                source,
                seed=args.seed + (kind == "style"),
                rank=rank,
                world_size=accelerator.num_processes,
                resolution_limit=max(320, args.resolution),
            )
        )
    make_loader = DeviceLoader if args.data_on_device else BatchLoader
    common: dict[str, Any] = {"rank": rank}
    if args.data_on_device:
        common["world_size"] = accelerator.num_processes
    else:
        common["threads"] = args.dataloader_num_workers
    mix: Any = [(streams["content"], 1 - args.paintings_as_content)]
    if args.paintings_as_content > 0:
        paintings = (
            streams["style"] if args.data_on_device else streams["style"].with_seed(args.seed + 2)
        )
        mix.append((paintings, args.paintings_as_content))
    batch, side = args.train_batch_size, args.resolution
    loaders = {
        "content": make_loader(
            mix, batch, side, zoom=tuple(args.content_zoom), seed=args.seed, **common
        ),
        "style": make_loader(
            streams["style"],
            batch,
            args.loss_resolution,
            crops=2,
            zoom=tuple(args.style_zoom),
            seed=args.seed + 1,
            **common,
        ),
    }

    # Optimisers. The discriminator learns faster than the generator (two time scales, Heusel et al. 2017).
    betas, decay = (args.adam_beta1, args.adam_beta2), args.adam_weight_decay
    adam: dict[str, Any] = {"betas": betas, "weight_decay": decay, "fused": True}
    optimizer = (
        Muon(*_hidden_and_others(generator), args.learning_rate, betas=betas, weight_decay=decay)
        if args.optimizer == "muon"
        else torch.optim.AdamW(generator.parameters(), args.learning_rate, **adam)
    )
    optimizer_d = torch.optim.AdamW(
        discriminator.parameters(), args.discriminator_learning_rate, **adam
    )
    scheduler = _scheduler(args, optimizer, accelerator.num_processes)
    scheduler_d = _scheduler(args, optimizer_d, accelerator.num_processes)
    step_module = GeneratorStep(generator, args.loss_resolution)
    step_module, discriminator, optimizer, optimizer_d, scheduler, scheduler_d = (
        accelerator.prepare(
            step_module, discriminator, optimizer, optimizer_d, scheduler, scheduler_d
        )
    )
    bare_discriminator = accelerator.unwrap_model(discriminator)
    monitor = GameMonitor(patience=args.monitor_patience)
    counters = Counters(loaders, monitor)
    accelerator.register_for_checkpointing(ema, counters)
    if checkpoint := resume(accelerator, output_dir, args.resume_from_checkpoint):
        logger.info(f"resumed from {checkpoint}")
        # The command line's learning rates win over the checkpoint's, so that a run can be continued more gently.
        for schedule, rate in (
            (scheduler, args.learning_rate),
            (scheduler_d, args.discriminator_learning_rate),
        ):
            schedule.scheduler.base_lrs = [rate] * len(schedule.scheduler.base_lrs)
    if args.report_to:
        public = {k: str(v) for k, v in vars(args).items() if k != "hub_token"}
        accelerator.init_trackers("hfstyle", config=public)

    stopping = _StopRequest()
    started, first_pair = time.monotonic(), counters.pairs
    minutes_before = counters.minutes
    time_limit = math.inf if args.max_train_minutes is None else args.max_train_minutes
    bad_in_a_row = 0
    validation: tuple[Tensor, Tensor] | None = None
    log = Log(output_dir / "log.jsonl", counters.step) if accelerator.is_main_process else None
    logger.info(
        f"{sum(p.numel() for p in generator.parameters()) / 1e6:.2f} M parameters, {batch} pairs of {side} px on each "
        f"of {accelerator.num_processes} process(es), from step {counters.step}"
    )

    while counters.step < args.max_train_steps:
        content = _to_float(loaders["content"].next_batch()[:, 0], device)  # (B, 3, S, S)
        crops = _to_float(loaders["style"].next_batch().flatten(0, 1), device).unflatten(
            0, (batch, 2)
        )
        crops = _permute_channels(crops, args.color_jitter)
        style, real = (
            _channels_last(crops[:, 0]),
            _channels_last(crops[:, 1]),
        )  # two crops of one painting each

        # The first `full` pairs are painted at strength 1. Extra ones follow: pictures styled by themselves, photos and
        # paintings in turn, and the first contents once more, moved and with noise.
        full = max(1, round(batch * args.full_strength_share))
        contrasting = args.contrast_weight > 0 and full > 1
        extra = max(1, batch // 8)
        own = extra if args.identity_weight > 0 else 0
        again = extra if args.consistency_weight > 0 else 0
        strength = torch.ones(batch + own + again, device=device)
        strength[full:batch] = torch.rand(batch - full, device=device)
        themselves = content[:own] if counters.step % 2 else _resized(style[:own], side)
        moved, down, right = _move(content[:again])
        all_content = _channels_last(torch.cat((content, themselves, moved)))
        all_style = _channels_last(
            torch.cat((style, _resized(themselves, args.loss_resolution), style[:again]))
        )
        look = _loss_view(counters.step, side, args.loss_resolution)
        adversarial_weight = args.adversarial_weight * min(
            1.0, max(0.0, (counters.step - args.adversarial_start) / max(1, args.adversarial_ramp))
        )
        playing = args.adversarial_weight > 0 and counters.step >= args.adversarial_start
        terms: dict[str, Tensor] = {}
        measured: dict[str, Tensor] = {}

        with accelerator.accumulate(step_module, discriminator):
            painted, codes, output_codes = step_module(
                all_content, all_style, strength, full if contrasting else 0
            )
            output, identity, repeated = painted.split((batch, own, again))
            codes = codes[:batch]
            finite = True
            # What the losses and the discriminator look at, each (B, 3, L, L).
            seen_output, seen_content = look(output), look(content)
            seen_style, seen_real = look(style), look(real)

            # 1. The discriminator's move.
            if playing:
                judged = _discriminator_step(
                    args, discriminator, bare_discriminator, seen_content[:full], seen_real,
                    seen_output[:full].detach(), codes.detach(), with_r1=counters.step % args.r1_interval == 0,
                )  # fmt: skip
                d_loss = judged.pop("loss")
                accelerator.backward(d_loss)
                if accelerator.sync_gradients:
                    measured["d_grad_norm"] = accelerator.clip_grad_norm_(
                        discriminator.parameters(), args.max_grad_norm
                    )
                    if finite := math.isfinite(measured["d_grad_norm"]):
                        optimizer_d.step()
                    scheduler_d.step()
                    optimizer_d.zero_grad()
                measured |= {"d_loss": d_loss, **judged}

            # 2. The generator's move, the discriminator frozen.
            with accelerator.autocast():
                seen = {
                    "output": perceptual(seen_output, layers),
                    **_no_grad_features(perceptual, layers, content=seen_content, style=seen_style),
                }
            stats = {
                name: losses.measure({k: f for k, f in features.items() if k in args.style_layers})
                for name, features in seen.items()
            }
            target = losses.interpolate(stats["content"], stats["style"], strength[:batch])
            terms["content"] = args.content_weight * losses.content_loss(
                seen["output"], seen["content"], args.content_layers
            )
            terms["style"] = args.style_weight * losses.style_loss(
                stats["output"], target, stats["content"], stats["style"], args.style_normalisation
            )
            if args.texture_weight > 0:
                terms["texture"] = args.texture_weight * losses.texture_loss(
                    stats["output"], target, stats["content"], stats["style"]
                )
            if args.local_weight > 0:
                terms["local"] = args.local_weight * losses.local_loss(
                    {k: f[:full] for k, f in seen["output"].items()},
                    {k: f[:full] for k, f in seen["style"].items()},
                    args.local_layers,
                    strength[:full],
                )
            if args.color_weight > 0:
                terms["color"] = args.color_weight * losses.color_loss(
                    seen_output, seen_content, seen_style, strength[:batch]
                )
            if own:
                terms["identity"] = args.identity_weight * losses.identity_loss(
                    identity, themselves
                )
            if again:
                terms["consistency"] = args.consistency_weight * losses.consistency_loss(
                    output[:again], repeated, down, right, _MOVE_MARGIN
                )
            if contrasting:
                terms["contrast"] = args.contrast_weight * losses.contrast_loss(
                    output_codes, codes[:full]
                )
            if playing and adversarial_weight > 0:
                bare_discriminator.requires_grad_(False)
                view = content_view(seen_content[:full])
                with accelerator.autocast():
                    fake = bare_discriminator(
                        *augment(seen_output[:full], view), codes[:full, None].detach()
                    )
                terms["adversarial"] = adversarial_weight * losses.adversarial_loss(
                    fake, args.gan_loss
                )
            loss = torch.stack(list(terms.values())).sum()
            accelerator.backward(loss)
            bare_discriminator.requires_grad_(True)
            if accelerator.sync_gradients:
                measured["g_grad_norm"] = accelerator.clip_grad_norm_(
                    step_module.parameters(), args.max_grad_norm
                )
                if math.isfinite(measured["g_grad_norm"]):
                    optimizer.step()
                    ema.update_parameters(generator)
                else:
                    finite = False
                scheduler.step()
                optimizer.zero_grad()

        counters.pairs += batch * accelerator.num_processes
        if not accelerator.sync_gradients:
            continue
        counters.step += 1
        counters.minutes = minutes_before + (time.monotonic() - started) / 60
        bad_in_a_row = 0 if finite else bad_in_a_row + 1
        if not finite:
            counters.bad_steps += 1
            norms = ", ".join(f"{k} {float(v):.3g}" for k, v in measured.items() if "norm" in k)
            logger.warning(f"step {counters.step}: skipped, {norms} ({counters.bad_steps} so far)")
        if bad_in_a_row >= args.max_bad_steps:
            raise RuntimeError(
                f"{bad_in_a_row} steps in a row had non-finite gradients; the last good checkpoint is in {output_dir}. "
                "Lower --learning_rate or use --mixed_precision no."
            )

        out_of_time = _any_process(
            accelerator, stopping.asked or (time.monotonic() - started) / 60 >= time_limit
        )
        last = out_of_time or counters.step == args.max_train_steps
        measured |= {f"loss_{name}": value for name, value in terms.items()}
        if counters.step % 10 == 0:
            with accelerator.autocast():
                measured |= _diversity(generator, content, style)
        # One transfer from the device for all numbers of a step.
        numbers = torch.stack([value.detach().float() for value in measured.values()]).tolist()
        step_row = dict(zip(measured, numbers, strict=True))
        for warning in monitor.update(step_row):
            logger.warning(f"step {counters.step}: {warning}")
        if log:
            log.add(step_row)
        if log and (counters.step % args.logging_steps == 0 or last):
            row = log.write({
                "step": counters.step, "pairs": counters.pairs, "minutes": counters.minutes,
                "pairs_per_second": (counters.pairs - first_pair) / (time.monotonic() - started),
                "learning_rate": scheduler.get_last_lr()[0], "adversarial_weight": adversarial_weight,
                "bad_steps": counters.bad_steps,
                "skipped_pictures": sum(loader.skipped for loader in loaders.values()),
            })  # fmt: skip
            logger.info("  ".join(f"{k} {v:.4g}" for k, v in row.items()))
            if args.report_to:
                accelerator.log(row, step=counters.step)

        if (
            accelerator.is_main_process
            and args.validation_steps
            and counters.step % args.validation_steps == 0
        ):
            if validation is None:
                validation = content[:4].clone(), _resized(style[:4], side)
            save_grid(
                ema.module, *validation, output_dir / "validation" / f"step-{counters.step:07d}.png"
            )
        if counters.step % args.checkpointing_steps == 0 or last:
            save_checkpoint(accelerator, counters, output_dir, args.checkpoints_total_limit)
            if accelerator.is_main_process:
                export(ema.module, bare_discriminator, output_dir, counters, args)
        if out_of_time:
            logger.info(
                f"stopped at step {counters.step}; continue with --resume_from_checkpoint latest"
            )
            break

    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        save_curves(output_dir / "log.jsonl", output_dir / "curves.png")
        if args.push_to_hub:
            push(output_dir, counters, args)
    for loader in loaders.values():
        loader.close()
    stopping.restore()
    accelerator.end_training()


def _discriminator_step(
    args: Any,
    discriminator: nn.Module,
    bare_discriminator: StyleDiscriminator,
    content: Tensor,
    real: Tensor,
    fake: Tensor,
    codes: Tensor,
    with_r1: bool,
) -> dict[str, Tensor]:
    """The discriminator's loss and accuracies on reals, fakes, reals with a wrong code, reals with a wrong view.

    content, fake: (F, 3, S, S); real: (B, 3, S, S) with B >= F; codes: (B, D) of another crop of each real.
    """
    number = len(fake)
    real, codes = real[:number], codes[:number]
    real_view = content_view(real)
    wrong = max(1, number // 4)
    candidates = torch.cat((real, fake, real[:wrong]))
    views = torch.cat((real_view, content_view(content), real_view[:wrong].roll(1, 0).flip(3)))
    pairs = torch.stack((codes, codes.roll(1, 0)), dim=1)  # (F, 2, D): right, wrong
    logits = discriminator(*augment(candidates, views), torch.cat((pairs, pairs, pairs[:wrong])))
    right_real = [scale[:number, :1] for scale in logits]
    on_fake = [scale[number : 2 * number, :1] for scale in logits]
    wrong_code = [scale[:number, 1:] for scale in logits]
    wrong_view = [scale[2 * number :, :1] for scale in logits]
    kind = args.gan_loss
    # Fakes of all kinds together weigh as much as the reals: else "always fake" is the discriminator's best first answer.
    fakes, weights = losses.discriminator_loss(on_fake, False, kind), 1.0
    if args.mismatched_weight > 0 and number > 1:
        fakes = fakes + args.mismatched_weight * (
            losses.discriminator_loss(wrong_code, False, kind)
            + 0.5 * losses.discriminator_loss(wrong_view, False, kind)
        )
        weights += 1.5 * args.mismatched_weight
    loss = losses.discriminator_loss(right_real, True, kind) + fakes / weights
    # How much higher paintings score with their own code than with another: the conditional part of the game.
    gaps = [(a - b).detach().mean() for a, b in zip(right_real, wrong_code, strict=True)]
    result = {
        "d_accuracy_real": _share(right_real, True),
        "d_accuracy_fake": _share(on_fake, False),
        "d_accuracy_mismatched": _share(wrong_code, False),
        "d_condition": torch.stack(gaps).mean(),
        "d_logit_size": torch.stack([scale.detach().abs().mean() for scale in logits]).mean(),
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
def _diversity(generator: StyleGenerator, content: Tensor, style: Tensor) -> dict[str, Tensor]:
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


def _read_config(path: str | None) -> dict[str, Any]:
    """Keyword arguments of the generator from a JSON file, for instance the config.json of another model."""
    if path is None:
        return {}
    config = json.loads(Path(path).read_text())
    known = inspect.signature(StyleGenerator.__init__).parameters.keys() - {"self"}
    return {key: value for key, value in config.items() if key in known}


def _hidden_and_others(generator: StyleGenerator) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Weights between hidden layers, and all other parameters: what sees pixels, makes pixels, or is a bias."""
    outer = (
        "encoder.trunk.stem.",
        "encoder.linear.",
        "encoder.mlp",
        "style1.",
        "paint.",
        "refine.",
    )
    hidden, others = [], []
    for name, parameter in generator.named_parameters():
        inner = parameter.ndim > 1 and not name.startswith(outer)
        (hidden if inner else others).append(parameter)
    return hidden, others


def _freeze_unused(generator: StyleGenerator) -> None:
    """Parameters that no forward pass uses would make DDP wait for their gradients."""
    if not generator.use_tokens:
        for module in (generator.attend_high, generator.attend_mid, generator.encoder.token):
            module.requires_grad_(False)


def _no_grad_features(
    network: nn.Module, layers: frozenset[str], **pictures: Tensor
) -> dict[str, Any]:
    """Features of several batches of the same shape in one pass without gradients."""
    with torch.no_grad():
        features = network(torch.cat(list(pictures.values())), layers)
    parts = {name: f.chunk(len(pictures)) for name, f in features.items()}
    return {who: {name: part[i] for name, part in parts.items()} for i, who in enumerate(pictures)}


def _resized(pictures: Tensor, side: int) -> Tensor:
    """(B, 3, S, S) -> (B, 3, side, side), averaging where it shrinks."""
    if side == pictures.shape[2]:
        return pictures
    return F.interpolate(
        pictures, (side, side), mode="bilinear", antialias=side < pictures.shape[2]
    )


def _loss_view(step: int, side: int, loss_side: int) -> Callable[[Tensor], Tensor]:
    """How the losses of this step look at pictures: reduced to `loss_side`, or at a window of that side.

    Contents and outputs have `side` px; styles and reals have `loss_side` px and are enlarged for a window.
    """
    if step % _CUT_EVERY:
        return lambda pictures: _channels_last(_resized(pictures, loss_side))
    top, left = (int(torch.randint(side - loss_side + 1, ())) for _ in range(2))

    def window(pictures: Tensor) -> Tensor:
        large = _resized(pictures, side)
        return _channels_last(large[..., top : top + loss_side, left : left + loss_side])

    return window


def _move(content: Tensor) -> tuple[Tensor, int, int]:
    """The contents moved down and right by 0 to half of `_MOVE_MARGIN` px, with noise; and these two numbers."""
    down, right = (int(torch.randint(_MOVE_MARGIN // 2 + 1, ())) for _ in range(2))
    padded = F.pad(content, (right, 0, down, 0), mode="reflect")
    moved = padded[..., : content.shape[2], : content.shape[3]]
    return (moved + _NOISE * torch.randn_like(moved)).clamp(0, 1), down, right


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _to_float(crops: Tensor, device: torch.device) -> Tensor:
    """uint8 (B, 3, S, S) -> float32 in [0, 1] on the device."""
    return _channels_last(crops.to(device, non_blocking=True)).float().div_(255)


def _permute_channels(crops: Tensor, share: float) -> Tensor:
    """Give a share of the paintings (B, K, 3, S, S) another palette: their colour channels in another order."""
    for i in torch.nonzero(torch.rand(len(crops)) < share).flatten().tolist():
        crops[i] = crops[i][:, torch.randperm(3, device=crops.device)]
    return crops


def _ema_update(decay: float) -> Any:
    """EMA with a ramp, min(decay, (1 + n) / (10 + n)), so that the first steps do not linger."""

    def update(averaged: list[Tensor], current: list[Tensor], n: Tensor | int) -> None:
        count = int(n)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + count) / (10 + count)))

    return update


def _scheduler(args: Any, optimizer: torch.optim.Optimizer, processes: int) -> Any:
    """diffusers' schedule where diffusers is installed; constant with warm-up does without it.

    A prepared scheduler steps `processes` times per call, so steps are counted accordingly.
    """
    warmup, total = args.lr_warmup_steps * processes, args.max_train_steps * processes
    try:
        from diffusers.optimization import get_scheduler
    except ImportError:
        if args.lr_scheduler not in ("constant", "constant_with_warmup"):
            raise ValueError(
                f"--lr_scheduler {args.lr_scheduler} needs the package diffusers; without it choose constant or "
                "constant_with_warmup"
            ) from None
        if args.lr_scheduler == "constant":
            warmup = 0
        return torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: step / warmup if step < warmup else 1.0
        )
    return get_scheduler(
        args.lr_scheduler, optimizer, num_warmup_steps=warmup, num_training_steps=total
    )


class _StopRequest:
    """SIGTERM and SIGINT ask the run to end with a checkpoint; a second one ends it at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before = {
            number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)
        }

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def _any_process(accelerator: Accelerator, flag: bool) -> bool:
    """True on every rank if it is true on one, so that all stop at the same step."""
    if accelerator.num_processes == 1:
        return flag
    value = torch.tensor([float(flag)], device=accelerator.device)
    return bool(accelerator.reduce(value, reduction="sum").item() > 0)


if __name__ == "__main__":
    import logging

    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, datefmt="%H:%M:%S")
    main(parse_args())
