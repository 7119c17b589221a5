"""Train the conditional GAN: ``accelerate launch training/train.py --content_data_dir ... --style_data_dir ...``.

One step: the generator paints a batch of contents in the styles of a batch of paintings, each pair at its own
strength; the discriminator learns to tell paintings (seen with the code of another crop of themselves) from these
pictures, and from paintings with a wrong code or a wrong content view; then, with the discriminator frozen, the
generator follows the sum of the losses in ``losses.py``.

B pairs · S side of a crop · D style width
"""

from __future__ import annotations

import json
import math
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
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
from training.data import BatchLoader, DeviceLoader, DevicePictures, make_stream, open_pictures
from training.monitor import GameMonitor
from training.perceptual import load_perceptual
from training.report import export, save_curves, save_grid

logger = get_logger(__name__)


class GeneratorStep(nn.Module):
    """Everything the generator does in one step as one forward pass, which is what DDP wants to see."""

    def __init__(self, generator: StyleGenerator) -> None:
        super().__init__()
        self.generator = generator

    def forward(
        self, content: Tensor, style: Tensor, strength: Tensor, full: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Paint (B, 3, S, S); also the styles' code vectors (B, D) and those of the first `full` outputs."""
        condition = self.generator.encode(style)
        output = self.generator(content, condition, strength)
        return output, condition.vector, self.generator.encode(output[:full]).vector


class Counters:
    """What a run must remember besides weights: steps, pairs, minutes, and where the data streams are."""

    def __init__(self, loaders: dict[str, Any], monitor: GameMonitor) -> None:
        self.step = self.pairs = self.bad_steps = 0
        self.minutes = 0.0
        self.loaders, self.monitor = loaders, monitor

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "pairs": self.pairs,
            "bad_steps": self.bad_steps,
            "minutes": self.minutes,
            "data": {name: loader.state_dict() for name, loader in self.loaders.items()},
            "monitor": self.monitor.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self.pairs, self.minutes = state["step"], state["pairs"], state["minutes"]
        self.bad_steps = state["bad_steps"]
        for name, loader in self.loaders.items():
            loader.load_state_dict(state["data"][name])
        self.monitor.load_state_dict(state["monitor"])


def main(args: Any) -> None:
    output_dir = Path(args.output_dir)
    accelerator = Accelerator(
        mixed_precision=args.mixed_precision,
        gradient_accumulation_steps=args.gradient_accumulation_steps,
        log_with=args.report_to,
        project_config=ProjectConfiguration(
            project_dir=str(output_dir), logging_dir=str(output_dir / "logs")
        ),
    )
    set_seed(args.seed, device_specific=True)
    device, rank = accelerator.device, accelerator.process_index
    if accelerator.is_main_process:
        output_dir.mkdir(parents=True, exist_ok=True)

    # Networks: strictly loaded from an earlier run, or new. All ranks start alike because prepare() broadcasts.
    generator = (
        StyleGenerator.from_pretrained(args.init_from)
        if args.init_from
        else StyleGenerator(use_tokens=not args.no_tokens)
    )
    judge_from = args.init_discriminator_from
    if judge_from is None and args.init_from and (Path(args.init_from) / "discriminator").is_dir():
        judge_from = str(Path(args.init_from) / "discriminator")
    discriminator = (
        StyleDiscriminator.from_pretrained(judge_from) if judge_from else StyleDiscriminator()
    )
    generator.float().train()
    discriminator.float().train()
    perceptual = load_perceptual(args.perceptual_model, cache_dir=args.cache_dir, reflect=False).to(
        device
    )
    for module in (generator, discriminator, perceptual):
        module.to(memory_format=torch.channels_last)
    layers = frozenset(args.content_layers + args.style_layers + args.local_layers)
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
            DevicePictures(source, device=device)
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
    common: dict[str, Any] = {"seed": args.seed, "rank": rank}
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
        "content": make_loader(mix, batch, side, zoom=tuple(args.content_zoom), **common),
        "style": make_loader(
            streams["style"], batch, side, crops=2, zoom=tuple(args.style_zoom), **common
        ),
    }

    # Optimisers. The discriminator learns faster than the generator (two time scales, Heusel et al. 2017).
    betas, decay = (args.adam_beta1, args.adam_beta2), args.adam_weight_decay
    adam: dict[str, Any] = {"betas": betas, "weight_decay": decay, "fused": True}
    optimizer = torch.optim.AdamW(generator.parameters(), args.learning_rate, **adam)
    optimizer_d = torch.optim.AdamW(
        discriminator.parameters(), args.discriminator_learning_rate, **adam
    )
    scheduler = _scheduler(args, optimizer, accelerator.num_processes)
    scheduler_d = _scheduler(args, optimizer_d, accelerator.num_processes)
    step_module = GeneratorStep(generator)
    step_module, discriminator, optimizer, optimizer_d, scheduler, scheduler_d = (
        accelerator.prepare(
            step_module, discriminator, optimizer, optimizer_d, scheduler, scheduler_d
        )
    )
    bare_discriminator = accelerator.unwrap_model(discriminator)
    monitor = GameMonitor(patience=args.monitor_patience)
    counters = Counters(loaders, monitor)
    accelerator.register_for_checkpointing(ema, counters)
    _resume(args, accelerator, output_dir)
    if args.report_to:
        accelerator.init_trackers("hfstyle", config={k: str(v) for k, v in vars(args).items()})

    stopping = _StopRequest()
    started, first_pair = time.monotonic(), counters.pairs
    minutes_before = counters.minutes
    sums: dict[str, float] = {}
    counted = 0
    bad_in_a_row = 0
    validation: tuple[Tensor, Tensor] | None = None
    log_file = (output_dir / "log.jsonl").open("a") if accelerator.is_main_process else None
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

        # The first `full` pairs are painted at strength 1; the last `own` extra ones are pictures styled by themselves.
        full = max(1, round(batch * args.full_strength_share))
        own = max(1, batch // 8) if args.identity_weight > 0 else 0
        strength = torch.ones(batch + 2 * own, device=device)
        strength[full:batch] = torch.rand(batch - full, device=device)
        all_content = torch.cat((content, content[:own], style[:own])) if own else content
        all_style = torch.cat((style, content[:own], style[:own])) if own else style
        adversarial_weight = args.adversarial_weight * min(
            1.0, max(0.0, (counters.step - args.adversarial_start) / max(1, args.adversarial_ramp))
        )
        playing = args.adversarial_weight > 0 and counters.step >= args.adversarial_start
        terms: dict[str, Tensor] = {}
        measured: dict[str, float] = {}

        with accelerator.accumulate(step_module, discriminator):
            painted, codes, output_codes = step_module(all_content, all_style, strength, full)
            output, identity = painted[:batch], painted[batch:]
            codes = codes[:batch]

            # 1. The discriminator's move.
            if playing:
                judged = _discriminator_step(
                    args, discriminator, bare_discriminator, content[:full], real, output[:full].detach(),
                    codes.detach(), with_r1=counters.step % args.r1_interval == 0,
                )  # fmt: skip
                d_loss = judged.pop("loss")
                accelerator.backward(d_loss)
                if accelerator.sync_gradients:
                    measured["d_grad_norm"] = float(
                        accelerator.clip_grad_norm_(discriminator.parameters(), args.max_grad_norm)
                    )
                    if math.isfinite(measured["d_grad_norm"]):
                        optimizer_d.step()
                    scheduler_d.step()
                    optimizer_d.zero_grad()
                measured["d_loss"] = float(d_loss)
                measured |= {name: float(value) for name, value in judged.items()}

            # 2. The generator's move, the discriminator frozen.
            with accelerator.autocast():
                seen = {
                    "output": perceptual(output, layers),
                    **_no_grad_features(perceptual, layers, content=content, style=style),
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
            if own:
                terms["identity"] = args.identity_weight * losses.identity_loss(
                    identity, all_content[batch:]
                )
            if args.contrast_weight > 0 and full > 1:
                terms["contrast"] = args.contrast_weight * losses.contrast_loss(
                    output_codes, codes[:full]
                )
            if playing and adversarial_weight > 0:
                bare_discriminator.requires_grad_(False)
                view = content_view(content[:full])
                with accelerator.autocast():
                    fake = bare_discriminator(
                        *augment(output[:full], view), codes[:full, None].detach()
                    )
                terms["adversarial"] = adversarial_weight * losses.adversarial_loss(
                    fake, args.gan_loss
                )
            loss = torch.stack(list(terms.values())).sum()
            accelerator.backward(loss)
            bare_discriminator.requires_grad_(True)
            if accelerator.sync_gradients:
                norm = float(
                    accelerator.clip_grad_norm_(step_module.parameters(), args.max_grad_norm)
                )
                measured["g_grad_norm"] = norm
                if math.isfinite(norm):
                    optimizer.step()
                    ema.update_parameters(generator)
                    bad_in_a_row = 0
                else:
                    bad_in_a_row += 1
                    counters.bad_steps += 1
                    logger.warning(
                        f"step {counters.step}: gradient norm {norm}; step skipped ({counters.bad_steps} so far)"
                    )
                scheduler.step()
                optimizer.zero_grad()

        counters.pairs += batch * accelerator.num_processes
        if not accelerator.sync_gradients:
            continue
        counters.step += 1
        counters.minutes = minutes_before + (time.monotonic() - started) / 60
        if bad_in_a_row >= args.max_bad_steps:
            raise RuntimeError(
                f"{bad_in_a_row} steps in a row had non-finite gradients; the last good checkpoint is in {output_dir}. "
                "Lower --learning_rate or use --mixed_precision no."
            )

        measured |= {f"loss_{name}": float(value) for name, value in terms.items()}
        if counters.step % 10 == 0:
            measured |= _diversity(output[:full].detach(), style[:full], codes.detach())
        for warning in monitor.update(measured):
            logger.warning(f"step {counters.step}: {warning}")
        for name, value in measured.items():
            sums[name] = sums.get(name, 0.0) + value
        counted += 1
        if counters.step % args.logging_steps == 0:
            row = {
                name: value / (counted if name not in _DIVERSITY else max(1, counted // 10))
                for name, value in sums.items()
            }
            elapsed = time.monotonic() - started
            row |= {"step": counters.step, "pairs": counters.pairs, "minutes": round(counters.minutes, 2),
                    "pairs_per_second": (counters.pairs - first_pair) / elapsed,
                    "learning_rate": scheduler.get_last_lr()[0], "adversarial_weight": adversarial_weight,
                    "skipped_pictures": sum(loader.skipped for loader in loaders.values())}  # fmt: skip
            sums, counted = {}, 0
            if log_file:
                log_file.write(json.dumps({k: round(v, 6) for k, v in row.items()}) + "\n")
                log_file.flush()
                logger.info("  ".join(f"{k} {v:.4g}" for k, v in row.items()))
            if args.report_to:
                accelerator.log(row, step=counters.step)

        if (
            accelerator.is_main_process
            and args.validation_steps
            and counters.step % args.validation_steps == 0
        ):
            if validation is None:
                validation = content[:4].clone(), style[:4].clone()
            save_grid(
                ema.module, *validation, output_dir / "validation" / f"step-{counters.step:07d}.png"
            )
        out_of_time = (
            args.max_train_minutes is not None
            and elapsed_minutes(started) >= args.max_train_minutes
        )
        out_of_time = _any_process(accelerator, out_of_time or stopping.asked)
        if counters.step % args.checkpointing_steps == 0 or out_of_time:
            _save_checkpoint(args, accelerator, output_dir, counters.step)
            if accelerator.is_main_process:
                export(ema.module, bare_discriminator, output_dir, counters, args)
        if out_of_time:
            break

    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        export(ema.module, bare_discriminator, output_dir, counters, args)
        save_curves(output_dir / "log.jsonl", output_dir / "curves.png")
        if args.push_to_hub:
            ema.module.push_to_hub(
                args.hub_model_id, token=args.hub_token, commit_message=f"Step {counters.step}"
            )
    for loader in loaders.values():
        loader.close()
    accelerator.end_training()


def _discriminator_step(
    args: Any,
    discriminator: nn.Module,
    bare_discriminator: nn.Module,
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
    result = {
        "d_accuracy_real": _share(right_real, True),
        "d_accuracy_fake": _share(on_fake, False),
        "d_accuracy_mismatched": _share(wrong_code, False),
        "d_logit_size": torch.stack([scale.detach().abs().mean() for scale in logits]).mean(),
    }
    if with_r1 and args.r1_gamma > 0:
        sample = real[: max(1, number // 2)].detach().requires_grad_(True)
        with torch.autocast(sample.device.type, enabled=False):
            clean = bare_discriminator(sample, real_view[: len(sample)], codes[: len(sample), None])
            penalty = losses.r1_penalty(clean, sample)
        loss = loss + 0.5 * args.r1_gamma * args.r1_interval * penalty
        result["r1"] = penalty.detach()
    return {"loss": loss, **result}


def _share(logits: list[Tensor], positive: bool) -> Tensor:
    return torch.stack([((scale > 0) == positive).float().mean() for scale in logits]).mean()


_DIVERSITY = ("diversity", "code_spread")


def _diversity(output: Tensor, style: Tensor, codes: Tensor) -> dict[str, float]:
    """How different outputs are, against how different their styles are (colours on a coarse grid); spread of codes."""

    def spread(pictures: Tensor) -> Tensor:
        small = torch.nn.functional.adaptive_avg_pool2d(pictures.float(), 4).flatten(1)
        small = torch.cat((small, pictures.float().std((2, 3))), dim=1)
        return torch.pdist(small).mean() if len(small) > 1 else small.new_ones(())

    return {
        "diversity": float(spread(output) / spread(style).clamp(min=1e-6)),
        "code_spread": float(codes.std(0).norm() / codes.norm(dim=1).mean().clamp(min=1e-6)),
    }


def _no_grad_features(
    network: nn.Module, layers: frozenset[str], **pictures: Tensor
) -> dict[str, Any]:
    """Features of several batches of the same shape in one pass without gradients."""
    with torch.no_grad():
        features = network(torch.cat(list(pictures.values())), layers)
    parts = {name: f.chunk(len(pictures)) for name, f in features.items()}
    return {who: {name: part[i] for name, part in parts.items()} for i, who in enumerate(pictures)}


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
            optimizer, lambda step: min(1.0, (step + 1) / (warmup + 1))
        )
    return get_scheduler(
        args.lr_scheduler, optimizer, num_warmup_steps=warmup, num_training_steps=total
    )


class _StopRequest:
    """SIGTERM and SIGINT ask the run to end with a checkpoint; a second one ends it at once."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def elapsed_minutes(started: float) -> float:
    return (time.monotonic() - started) / 60


def _any_process(accelerator: Accelerator, flag: bool) -> bool:
    """True on every rank if it is true on one, so that all stop at the same step."""
    if accelerator.num_processes == 1:
        return flag
    value = torch.tensor([float(flag)], device=accelerator.device)
    return bool(accelerator.reduce(value, reduction="sum").item() > 0)


def _checkpoints(output_dir: Path) -> list[Path]:
    """Whole checkpoints, oldest first."""
    found = [p for p in output_dir.glob("checkpoint-*") if p.name.split("-")[1].isdigit()]
    return sorted(found, key=lambda p: int(p.name.split("-")[1]))


def _save_checkpoint(args: Any, accelerator: Accelerator, output_dir: Path, step: int) -> None:
    """Write checkpoint-STEP under another name first, so that a killed run leaves no half of one."""
    partial, final = output_dir / "partial-checkpoint", output_dir / f"checkpoint-{step}"
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(partial))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        for old in _checkpoints(output_dir)[: -args.checkpoints_total_limit]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()


def _resume(args: Any, accelerator: Accelerator, output_dir: Path) -> None:
    """Continue from a checkpoint: step, weights, both optimisers, EMA, random states and data position."""
    if not args.resume_from_checkpoint:
        return
    if args.resume_from_checkpoint == "latest":
        found = _checkpoints(output_dir)
        if not found:
            logger.warning(f"no checkpoint in {output_dir}; starting anew")
            return
        path = found[-1]
    else:
        path = Path(args.resume_from_checkpoint)
        if not path.is_dir():
            raise ValueError(
                f"--resume_from_checkpoint {path}: no such folder; give a checkpoint-N folder or `latest`"
            )
    accelerator.load_state(str(path))
    logger.info(f"resumed from {path}")


if __name__ == "__main__":
    import logging

    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, datefmt="%H:%M:%S")
    main(parse_args())
