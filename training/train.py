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

from hfstyle.models.discriminator import StyleDiscriminator
from hfstyle.models.generator import StyleGenerator
from training.arguments import parse_args
from training.batches import BatchesAhead, draw_batch
from training.checkpoints import Counters, check_output_dir, resume, save_checkpoint
from training.judging import discriminator_step, diversity
from training.loaders import open_loaders
from training.monitor import GameMonitor
from training.muon import Muon
from training.objective import Painted, Perceptual, adversarial_term, perceptual_terms
from training.optimisation import (
    ema_update,
    freeze_unused,
    hidden_and_others,
    make_scheduler,
    read_config,
)
from training.perceptual import in_all, load_perceptuals, weights_in_all
from training.report import Log, export, push, save_curves, save_grid
from training.stopping import StopRequest, any_process
from training.views import coarse_view, loss_view, resized

logger = get_logger(__name__)


class GeneratorStep(nn.Module):
    """Everything the generator does in one step as one forward pass, which is what DDP wants to see."""

    def __init__(self, generator: StyleGenerator, loss_resolution: int) -> None:
        super().__init__()
        self.generator = generator
        self.loss_resolution = loss_resolution

    def forward(
        self, content: Tensor, style: Tensor, strength: Tensor, grain: Tensor, encoded: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Paint (B, 3, S, S); also the coarser level's (B, 3, S/2, S/2), and code vectors (B, D) of the styles and of `encoded` outputs.

        Of a generator with one level, the coarser paintings are (0, 3, S, S).
        """
        condition = self.generator.encode(style)
        coarser: list[Tensor] = []
        output = self.generator(content, condition, strength, grain=grain, coarser=coarser)
        coarse = coarser[-1] if coarser else output[:0]
        if not encoded:
            return output, coarse, condition.vector, condition.vector[:0]
        painted = resized(output[:encoded], self.loss_resolution)
        return output, coarse, condition.vector, self.generator.encode(painted).vector


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
    torch.backends.cuda.matmul.allow_tf32 = True  # covariances of features
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
            **{
                "use_tokens": not args.no_tokens,
                "underdrawing": True,
                "later_stages": 2,
                **read_config(args.generator_config),
            }
        )
    )
    freeze_unused(generator)
    generator.on_photo = False  # strokes are to suit any place on the grid
    generator.goes_beyond = False
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
    perceptual = open_perceptual(args, device)
    for module in (generator, discriminator):
        module.to(memory_format=torch.channels_last)
    ema = AveragedModel(
        generator, device=device, use_buffers=True, multi_avg_fn=ema_update(args.ema_decay)
    )

    size, side = args.train_batch_size, args.resolution
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
        f"{sum(p.numel() for p in generator.parameters()) / 1e6:.2f} M parameters, {size} pairs of {side} px on each "
        f"of {accelerator.num_processes} process(es), from step {counters.step}"
    )

    # A CPU has nothing else to do meanwhile.
    ahead = BatchesAhead(args, loaders, counters.step, device) if device.type == "cuda" else None
    while counters.step < args.max_train_steps:
        batch = ahead.next() if ahead else draw_batch(args, loaders, counters.step, device)
        full = batch.full
        contrasting = args.contrast_weight > 0 and full > 1
        look = loss_view(counters.step, args.loss_resolution)
        adversarial_weight = args.adversarial_weight * min(
            1.0, max(0.0, (counters.step - args.adversarial_start) / max(1, args.adversarial_ramp))
        )
        playing = args.adversarial_weight > 0 and counters.step >= args.adversarial_start
        measured: dict[str, Tensor] = {}

        with accelerator.accumulate(step_module, discriminator):
            outputs, coarse, codes, output_codes = step_module(
                batch.all_content,
                batch.all_style,
                batch.strength,
                batch.grain,
                full if contrasting else 0,
            )
            codes = codes[:size]
            painted = Painted(*batch.split(outputs), coarse[:size], codes, output_codes)
            seen_content, seen_output = look(batch.content[:full]), look(painted.output[:full])
            finite = True

            # 1. The discriminator's move.
            if playing:
                judged = discriminator_step(
                    args, discriminator, bare_discriminator, seen_content, look(batch.real),
                    seen_output.detach(), codes.detach(), with_r1=counters.step % args.r1_interval == 0,
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
            bare_discriminator.requires_grad_(False)
            with accelerator.autocast():
                terms = perceptual_terms(
                    args, perceptual, look, coarse_view(counters.step), batch, painted
                )
                if playing and adversarial_weight > 0:
                    terms["adversarial"] = adversarial_term(
                        args, bare_discriminator, seen_content, seen_output, codes[:full],
                        adversarial_weight,
                    )  # fmt: skip
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

        counters.pairs += size * accelerator.num_processes
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
                measured |= diversity(generator, batch.content, batch.all_style[:size])
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
                validation = batch.content[:4].clone(), batch.style[:4].clone()
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
    if ahead:
        ahead.close()
    for loader in loaders.values():
        loader.close()
    stopping.restore()
    accelerator.end_training()


if __name__ == "__main__":
    import logging

    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, datefmt="%H:%M:%S")
    main(parse_args())
