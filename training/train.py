"""Train the conditional GAN: ``accelerate launch training/train.py --content_data_dir ... --style_data_dir ...``.

One step: the generator paints a batch of contents in the styles of a batch of paintings, each pair at its own
strength; the discriminator learns to tell paintings (seen with the code of another crop of themselves) from these
pictures, and from paintings with a wrong code or a wrong content view; then, with the discriminator frozen, the
generator follows the sum of the losses in ``losses.py``.

B pairs · S side of a crop · D style width
"""

from __future__ import annotations

import math
import os
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
from training.checkpoints import Counters, check_output_dir, resume, save_checkpoint
from training.judging import discriminator_step, diversity
from training.loaders import open_loaders
from training.monitor import GameMonitor
from training.muon import Muon
from training.optimisation import (
    ema_update,
    freeze_unused,
    hidden_and_others,
    make_scheduler,
    read_config,
)
from training.perceptual import load_perceptual
from training.report import Log, export, push, save_curves, save_grid
from training.stopping import StopRequest, any_process
from training.variation import vary_colors, vary_patterns
from training.views import (
    MOVE_MARGIN,
    channels_last,
    loss_view,
    move,
    moved_places,
    no_grad_features,
    random_places,
    resized,
    to_float,
)

logger = get_logger(__name__)


class GeneratorStep(nn.Module):
    """Everything the generator does in one step as one forward pass, which is what DDP wants to see."""

    def __init__(self, generator: StyleGenerator, loss_resolution: int) -> None:
        super().__init__()
        self.generator = generator
        self.loss_resolution = loss_resolution

    def forward(
        self, content: Tensor, style: Tensor, strength: Tensor, grain: Tensor, encoded: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Paint (B, 3, S, S); also the styles' code vectors (B, D) and those of the first `encoded` outputs."""
        condition = self.generator.encode(style)
        output = self.generator(content, condition, strength, grain=grain)
        if not encoded:
            return output, condition.vector, condition.vector[:0]
        painted = resized(output[:encoded], self.loss_resolution)
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
            **{"use_tokens": not args.no_tokens, **read_config(args.generator_config)}
        )
    )
    freeze_unused(generator)
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
    layer_weights = dict(zip(args.style_layers, args.style_layer_weights, strict=True))
    layers = frozenset(args.content_layers + args.style_layers + args.local_layers)
    if unknown := sorted(layers - set(perceptual.layers)):
        raise ValueError(
            f"{args.perceptual_model} has no {', '.join(unknown)}; its layers are {', '.join(perceptual.layers)}: choose "
            "--content_layers, --style_layers and --local_layers among them"
        )
    ema = AveragedModel(
        generator, device=device, use_buffers=True, multi_avg_fn=ema_update(args.ema_decay)
    )

    batch, side = args.train_batch_size, args.resolution
    loaders = open_loaders(args, device, rank, accelerator.num_processes)

    # Optimisers. The discriminator learns faster than the generator (two time scales, Heusel et al. 2017).
    betas, decay = (args.adam_beta1, args.adam_beta2), args.adam_weight_decay
    adam: dict[str, Any] = {"betas": betas, "weight_decay": decay, "fused": True}
    optimizer = (
        Muon(*hidden_and_others(generator), args.learning_rate, betas=betas, weight_decay=decay)
        if args.optimizer == "muon"
        else torch.optim.AdamW(generator.parameters(), args.learning_rate, **adam)
    )
    optimizer_d = torch.optim.AdamW(
        discriminator.parameters(), args.discriminator_learning_rate, **adam
    )
    scheduler = make_scheduler(args, optimizer, accelerator.num_processes)
    scheduler_d = make_scheduler(args, optimizer_d, accelerator.num_processes)
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

    stopping = StopRequest()
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
        content = to_float(loaders["content"].next_batch()[:, 0], device)  # (B, 3, S, S)
        crops = to_float(loaders["style"].next_batch().flatten(0, 1), device).unflatten(
            0, (batch, 2)
        )
        crops = vary_patterns(vary_colors(crops, args.color_jitter), args.pattern_share)
        style, real = (
            channels_last(crops[:, 0]),
            channels_last(crops[:, 1]),
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
        themselves = content[:own] if counters.step % 2 else style[:own]
        moved, down, right = move(content[:again])
        grain = random_places(len(strength), args.grain_share, device)
        if again:
            grain[-again:] = moved_places(grain[:again], down, right)
        all_content = channels_last(torch.cat((content, themselves, moved)))
        all_style = channels_last(
            resized(torch.cat((style, themselves, style[:again])), args.loss_resolution)
        )
        look = loss_view(counters.step, args.loss_resolution)
        adversarial_weight = args.adversarial_weight * min(
            1.0, max(0.0, (counters.step - args.adversarial_start) / max(1, args.adversarial_ramp))
        )
        playing = args.adversarial_weight > 0 and counters.step >= args.adversarial_start
        terms: dict[str, Tensor] = {}
        measured: dict[str, Tensor] = {}

        with accelerator.accumulate(step_module, discriminator):
            painted, codes, output_codes = step_module(
                all_content, all_style, strength, grain, full if contrasting else 0
            )
            output, identity, repeated = painted.split((batch, own, again))
            codes = codes[:batch]
            finite = True
            # What the losses and the discriminator look at, each (B, 3, L, L).
            seen_output, seen_content = look(output), look(content)
            seen_style, seen_real = look(style), look(real)

            # 1. The discriminator's move.
            if playing:
                judged = discriminator_step(
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
                    **no_grad_features(perceptual, layers, content=seen_content, style=seen_style),
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
                stats["output"], target, stats["content"], stats["style"], args.style_normalisation,
                layer_weights,
            )  # fmt: skip
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
                    output, content, style, strength[:batch]
                )
            if args.halo_weight > 0:
                terms["halo"] = args.halo_weight * losses.halo_loss(output, content)
            if own:
                terms["identity"] = args.identity_weight * losses.identity_loss(
                    identity, themselves
                )
            if again:
                terms["consistency"] = args.consistency_weight * losses.consistency_loss(
                    output[:again], repeated, down, right, MOVE_MARGIN
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

        out_of_time = any_process(
            accelerator, stopping.asked or (time.monotonic() - started) / 60 >= time_limit
        )
        last = out_of_time or counters.step == args.max_train_steps
        measured |= {f"loss_{name}": value for name, value in terms.items()}
        if counters.step % 10 == 0:
            with accelerator.autocast():
                measured |= diversity(generator, content, all_style[:batch])
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
                validation = content[:4].clone(), style[:4].clone()
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


if __name__ == "__main__":
    import logging

    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, datefmt="%H:%M:%S")
    main(parse_args())
