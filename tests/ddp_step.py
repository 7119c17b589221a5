"""One step of both players on four pairs: two processes with two each, or one that accumulates two batches (test_distributed.py)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from accelerate import Accelerator
from small_model import SMALL_GENERATOR

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hfstyle.models.discriminator import StyleDiscriminator
from hfstyle.models.generator import StyleGenerator
from hfstyle.models.style_encoder import Condition
from training.game.discriminator_move import discriminator_step
from training.game.generator_move import adversarial_term
from training.game.generator_step import GeneratorStep
from training.run.muon import Muon
from training.run.optimisation import hidden_and_others

torch.manual_seed(0)
torch.set_num_threads(1)
generator = StyleGenerator(**SMALL_GENERATOR).train()
drawn = torch.Generator().manual_seed(1)
content, style, goal = (torch.rand(4, 3, 64, 64, generator=drawn) for _ in range(3))
strength, places = torch.tensor([1, 1, 0.5, 0.3]), torch.tensor([[0, 8], [16, 0], [-4, -4], [8, 8]])
with torch.no_grad():
    old = generator.encode(style.flip(2))

judge = StyleDiscriminator(widths=(8, 8, 8, 8), style_width=generator.encoder.vector_width)
args = SimpleNamespace(gan_loss="hinge", mismatched_weight=0.5, r1_gamma=0.1, r1_interval=16)

parts = int(os.environ.get("WORLD_SIZE", "1"))
accelerator = Accelerator(cpu=True, gradient_accumulation_steps=1 if parts == 2 else 2)
step = GeneratorStep(generator, 64)
hidden, others = hidden_and_others(generator)
muon = Muon(hidden, [*others, *step.grain.parameters()], 1e-2, betas=(0.9, 0.99), weight_decay=0.0)
sgd = torch.optim.SGD(judge.parameters(), 1e-2)
step, discriminator, optimizer, optimizer_d = accelerator.prepare(step, judge, muon, sgd)
batches = [[0, 1], [2, 3]]
for rows in batches if parts == 1 else [batches[accelerator.process_index]]:
    torch.manual_seed(rows[0])  # of what is shifted and dropped before the discriminator sees it
    with accelerator.accumulate(step, discriminator):
        rehearsed = (content[rows], Condition(old.vector[rows], old.tokens[rows]))
        out = step(content[rows], style[rows], strength[rows], places[rows], 1, rehearsed)
        judged = discriminator_step(
            args, discriminator, judge, content[rows], style[rows], out.output.detach(), out.codes.detach(), with_r1=True
        )  # fmt: skip
        accelerator.backward(judged["loss"])
        judge.requires_grad_(False)
        loss = (out.output - goal[rows]).square().mean() + out.coarse.square().mean()
        loss = loss + out.output_codes.square().mean() + out.rehearsed[0].square().mean()
        loss = loss + adversarial_term(args, judge, content[rows], out.output, out.codes, 1.0)
        accelerator.backward(loss)
        judge.requires_grad_(True)
        if accelerator.sync_gradients:
            for player in (step, discriminator):
                accelerator.clip_grad_norm_(player.parameters(), 1.0)
        for player in (optimizer_d, optimizer):
            player.step()
            player.zero_grad()
if accelerator.is_main_process:
    both = {"generator": generator, "discriminator": judge}
    torch.save({name: player.state_dict() for name, player in both.items()}, sys.argv[1])
accelerator.end_training()
