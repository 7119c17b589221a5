"""Train the conditional GAN: ``accelerate launch training/train.py --content_data_dir ... --style_data_dir ...``.

One step: the generator paints a batch of contents in the styles of a batch of paintings, each pair at its own
strength; the discriminator learns to tell paintings (seen with the code of another crop of themselves) from these
pictures, and from paintings with a wrong code or a wrong content view; then, with the discriminator frozen, the
generator follows the sum of the losses in ``losses.py``.

B pairs · S side of a crop · D style width
"""

from __future__ import annotations

import logging
import math
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import ProjectConfiguration, parse_flag_from_env, set_seed
from PIL import Image
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hfstyle.models.hub import unusable
from training.data.loaders import skipped_pictures
from training.data.open import open_loaders
from training.data.sources import PictureSource
from training.game.batches import BatchesAhead, draw_batch
from training.game.discriminator_move import discriminator_step, diversity
from training.game.generator_move import Painted, adversarial_term, perceptual_terms
from training.game.generator_step import GeneratorStep
from training.game.monitor import GameDegenerated, GameMonitor
from training.game.rehearsal import rehearsal_loss
from training.game.views import coarse_view, loss_view
from training.run.adapter import folded
from training.run.arguments import parse_args
from training.run.checkpoints import Counters, check_output_dir, resume, save_checkpoint
from training.run.dry_run import DRY_STEPS, told_cost, told_settings
from training.run.folder import make_output_dir
from training.run.launch import OfMainProcess, warn_of_launch
from training.run.muon import Muon
from training.run.networks import choose_what_learns, old_styles, open_networks, open_perceptual
from training.run.optimisation import (
    ema_update,
    hidden_and_others,
    make_scheduler,
    precision,
)
from training.run.own_art import bring_example_photos, save_before_and_after, save_own_styles
from training.run.pace import Pace
from training.run.report import Log, export, save_curves, save_styles, told_numbers
from training.run.stopping import StopRequest, TrainingBroken, any_process, run_told
from training.run.upload import check_upload, licence_of, push
from training.run.validation import pictures_to_show, save_grid

logger = OfMainProcess(logging.getLogger(__name__))


def main(args: Any) -> None:
    output_dir = Path(args.output_dir)
    # Accelerate joins processes on CPUs only when told that it is on CPUs.
    on_cpus = "RANK" in os.environ and not torch.accelerator.is_available()
    cpu = on_cpus or parse_flag_from_env("ACCELERATE_USE_CPU")
    accelerator = Accelerator(
        cpu=on_cpus,
        mixed_precision=precision(
            args.mixed_precision, "cuda" if not cpu and torch.cuda.is_available() else "cpu"
        ),
        gradient_accumulation_steps=args.gradient_accumulation_steps,
        log_with=args.report_to,
        project_config=ProjectConfiguration(
            project_dir=str(output_dir), logging_dir=str(output_dir / "logs")
        ),
    )
    warn_of_launch(accelerator.num_processes, accelerator.device, args.recipe)
    set_seed(args.seed, device_specific=True)
    torch.backends.cuda.matmul.allow_tf32 = True  # covariances of features
    device, rank = accelerator.device, accelerator.process_index
    # A dry run writes nothing there.
    scratch = tempfile.TemporaryDirectory(prefix="hfstyle-dry-run-") if args.dry_run else None
    output_dir = Path(scratch.name) if scratch else output_dir
    check_output_dir(output_dir, args.resume_from_checkpoint)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        make_output_dir(output_dir)
    if args.recipe or args.dry_run:
        logger.info(told_settings(args))
    if not (args.content_dataset_name or args.content_data_dir):
        args.content_data_dir = str(bring_example_photos(output_dir / "photos"))

    if accelerator.is_main_process:
        if args.push_to_hub:
            check_upload(args)
        args.card_licence = licence_of(args)

    generator, discriminator = open_networks(args)
    old = old_styles(args, generator)
    if old:
        old.to(device)
    choose_what_learns(args, generator)
    perceptual = open_perceptual(args, device)
    for module in (generator, discriminator):
        module.to(memory_format=torch.channels_last)
    ema = AveragedModel(
        generator, device=device, use_buffers=True, multi_avg_fn=ema_update(args.ema_decay)
    )

    size, side = args.train_batch_size, args.resolution
    held: dict[str, PictureSource | None] = {}
    whole: dict[str, Any] = {}
    loaders = open_loaders(args, device, rank, accelerator.num_processes, held, whole)

    # Optimisers. The discriminator learns faster than the generator (two time scales, Heusel et al. 2017).
    betas, decay = (args.adam_beta1, args.adam_beta2), args.adam_weight_decay
    adam: dict[str, Any] = {"betas": betas, "weight_decay": decay, "fused": True}
    step_module = GeneratorStep(generator, args.loss_resolution).to(device)
    if args.learn == "adapter":
        step_module.grain.requires_grad_(False)
    hidden, others = hidden_and_others(generator)
    others += [p for p in step_module.grain.parameters() if p.requires_grad]
    optimizer = (
        Muon(hidden, others, args.learning_rate, betas=betas, weight_decay=decay)
        if args.optimizer == "muon"
        else torch.optim.AdamW([*hidden, *others], args.learning_rate, **adam)
    )
    optimizer_d = torch.optim.AdamW(
        discriminator.parameters(), args.discriminator_learning_rate, **adam
    )
    scheduler = make_scheduler(args, optimizer, accelerator.num_processes)
    scheduler_d = make_scheduler(args, optimizer_d, accelerator.num_processes)
    step_module, discriminator, optimizer, optimizer_d, scheduler, scheduler_d = (
        accelerator.prepare(
            step_module, discriminator, optimizer, optimizer_d, scheduler, scheduler_d
        )
    )
    bare_discriminator = accelerator.unwrap_model(discriminator)
    monitor = GameMonitor(patience=args.monitor_patience)
    counters = Counters(loaders, monitor)
    accelerator.register_for_checkpointing(ema, counters)
    if checkpoint := resume(accelerator, output_dir, args.resume_from_checkpoint, ema):
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
    started, first_pair, first_step = time.monotonic(), counters.pairs, counters.step
    minutes_before = counters.minutes
    time_limit = math.inf if args.max_train_minutes is None else args.max_train_minutes
    bad_in_a_row = 0
    broken: Exception | None = None  # why the run cannot go on
    spoilt: Exception | None = None  # and that its weights are of no use
    contents: list[Image.Image] = []
    styles: list[Image.Image] = []
    if accelerator.is_main_process and args.validation_steps and not args.dry_run:
        contents, styles = (
            pictures_to_show(kind, whole[kind], held[kind]) for kind in ("content", "style")
        )
    own_art = whole["style"] if args.recipe == "own-art" and not args.streaming else None
    own: dict[str, Image.Image] = {}  # its pictures by the names of their presets
    logs = accelerator.is_main_process
    log = Log(output_dir / "log.jsonl", counters.step, counters.unlogged) if logs else None
    learning = sum(p.numel() for p in (*hidden, *others) if p.requires_grad)
    logger.info(
        f"{learning / 1e6:.2f} M numbers of the generator learn, {size} pairs of {side} px on each "
        f"of {accelerator.num_processes} process(es), from step {counters.step}"
    )

    shows = bool(contents and styles)
    if log and shows and counters.step == 0:
        file = output_dir / "validation" / f"step-{0:07d}.png"
        save_grid(folded(ema.module), contents, styles, file, side)
        logger.info(f"{file}: what it paints before the first step")

    def out_of_time() -> bool:
        return (time.monotonic() - started) / 60 >= time_limit

    pace = Pace(counters.step, args.max_train_steps, started + 60 * time_limit)
    # A CPU has nothing else to do meanwhile.
    ahead = BatchesAhead(args, loaders, counters.step, device) if device.type == "cuda" else None
    while counters.step < args.max_train_steps:
        batch = ahead.next() if ahead else draw_batch(args, loaders, counters.step, device)
        full = batch.full
        contrasting = args.contrast_weight > 0 and full > 1
        look = loss_view(counters.step, args.loss_resolution, args.unseen_border)
        adversarial_weight = args.adversarial_weight * min(
            1.0, max(0.0, (counters.step - args.adversarial_start) / max(1, args.adversarial_ramp))
        )
        playing = args.adversarial_weight > 0 and counters.step >= args.adversarial_start
        measured: dict[str, Tensor] = {}

        with accelerator.accumulate(step_module, discriminator):
            rehearsal = old.draw(batch.content) if old else None
            outputs, coarse, codes, output_codes, rehearsed = step_module(
                batch.all_content, batch.all_style, batch.strength, batch.grain, full if contrasting else 0,
                rehearsal and (rehearsal.photos, rehearsal.condition),
            )  # fmt: skip
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
                measured |= {"d_loss": d_loss, **judged}

            # 2. The generator's move, the discriminator frozen, as it was: so that batches that are accumulated all play
            # against the same one.
            bare_discriminator.requires_grad_(False)
            with accelerator.autocast():
                terms = perceptual_terms(
                    args,
                    perceptual,
                    look,
                    coarse_view(counters.step, args.unseen_border),
                    batch,
                    painted,
                )
                if rehearsal:
                    terms["old_styles"] = args.old_styles_weight * rehearsal_loss(
                        rehearsed, rehearsal.painted
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
                if playing:
                    measured["d_grad_norm"] = accelerator.clip_grad_norm_(
                        discriminator.parameters(), args.max_grad_norm
                    )
                    if finite := math.isfinite(measured["d_grad_norm"]):
                        optimizer_d.step()
                    scheduler_d.step()
                    optimizer_d.zero_grad()
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
            broken = TrainingBroken(
                f"{bad_in_a_row} steps in a row had non-finite gradients; the weights before them are in {output_dir}. "
                "Lower --learning_rate or use --mixed_precision no."
            )

        measured |= {f"loss_{name}": value for name, value in terms.items()}
        if counters.step % 10 == 0:
            with accelerator.autocast():
                measured |= diversity(generator, batch.content, batch.all_style[:size])
        # One transfer from the device for all numbers of a step.
        numbers = torch.stack([value.detach().float() for value in measured.values()]).tolist()
        step_row = dict(zip(measured, numbers, strict=True))
        try:
            for warning in monitor.update(step_row):
                logger.warning(f"step {counters.step}: {warning}")
        except GameDegenerated as error:
            broken = error
        # A run that ends early, for whatever reason, leaves a checkpoint and an export, on all processes at the same step.
        ends = any_process(
            accelerator,
            broken is not None or stopping.asked or out_of_time(),
        )
        last = ends or counters.step == args.max_train_steps
        if args.dry_run and counters.step - first_step == DRY_STEPS:
            break
        if log:
            log.add(step_row)
            if counters.step - first_step in (1, 10):  # at once that it works, and for how long
                told = pace.told(counters.step, with_steps=True)
                logger.info(f"{told}; numbers every {args.logging_steps} steps")
        if log and (counters.step % args.logging_steps == 0 or last):
            row = log.write({
                "step": counters.step, "pairs": counters.pairs, "minutes": counters.minutes,
                "pairs_per_second": (counters.pairs - first_pair) / pace.seconds,
                "learning_rate": scheduler.get_last_lr()[0], "adversarial_weight": adversarial_weight,
                "bad_steps": counters.bad_steps,
                "skipped_pictures": skipped_pictures(loaders.values()),
            })  # fmt: skip
            logger.info(told_numbers(pace.told(counters.step), row))
            if args.report_to:
                accelerator.log(row, step=counters.step)

        if counters.step % args.checkpointing_steps == 0 or last:
            averaged = {name: weight.half() for name, weight in ema.named_parameters()}
            if unusable(averaged) or unusable(dict(step_module.named_parameters())):
                # Not over a checkpoint that is whole.
                spoilt = broken = TrainingBroken(
                    f"the weights after step {counters.step} are not finite; {output_dir} is as of the checkpoint before, if "
                    "there is one. Lower --learning_rate."
                )
                break
            save_checkpoint(accelerator, counters, output_dir, args.checkpoints_total_limit)
            if accelerator.is_main_process:
                # What is built for this draws random numbers; a run that goes on from the checkpoint does not.
                with torch.random.fork_rng(devices=[]):
                    now = folded(ema.module)
                    export(now, bare_discriminator, output_dir, counters, args)
                    if own_art:
                        own = save_own_styles(args, now, own_art, output_dir)
                    elif args.init_from:
                        save_styles(args.init_from, now, output_dir, args.hub_token)
                    save_curves(output_dir / "log.jsonl", output_dir / "curves.png")
        # After the checkpoint: who asks a run to end may not wait for pictures.
        if log and shows and (last or counters.step % args.validation_steps == 0):
            file = output_dir / "validation" / f"step-{counters.step:07d}.png"
            with torch.random.fork_rng(devices=[]):
                save_grid(folded(ema.module), contents, styles, file, side)
            logger.info(f"{file}: what it paints now")
        if ends:
            why = f"{time_limit:g} minutes are over" if out_of_time() else "stopped"
            logger.info(
                f"{why} at step {counters.step}; the same command goes on with --resume_from_checkpoint latest"
            )
            break

    accelerator.wait_for_everyone()
    if accelerator.is_main_process and args.dry_run:
        logger.info(told_cost(args, time.monotonic() - started, device))
    elif accelerator.is_main_process:
        if own_art and not spoilt:
            save_before_and_after(args, folded(ema.module), own, contents, output_dir)
        elif not spoilt:
            logger.info(
                f"{output_dir} is the model. As in: hfstyle stylize photo.jpg --model {output_dir} --style painting.jpg -o out.png"
            )
        if args.push_to_hub and broken is None:
            push(output_dir, counters, args)
    if ahead:
        ahead.close()
    for loader in loaders.values():
        loader.close()
    if scratch:
        scratch.cleanup()
    stopping.restore()
    accelerator.end_training()
    if broken is not None:
        raise broken


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, datefmt="%H:%M:%S")
    logging.getLogger("accelerate").setLevel(
        logging.WARNING
    )  # a line for each file of a checkpoint
    run_told(main, parse_args())
