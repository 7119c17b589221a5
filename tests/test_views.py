"""What a training step looks at: moved photos, the views of the losses, batches drawn ahead."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
import torch

from training.game.batches import BatchesAhead
from training.game.generator_move import Painted, Perceptual, perceptual_terms
from training.game.losses import consistency_loss
from training.game.views import (
    BORDER,
    MOST_MOVED,
    coarse_view,
    loss_view,
    move,
    random_places,
    resized,
)
from training.run.arguments import parse_args


@pytest.mark.parametrize("multiple", [1, 4])
def test_photos_move_by_multiples_of_pixels_and_the_loss_moves_them_back(multiple: int) -> None:
    torch.manual_seed(0)
    photo = torch.rand(1, 3, 64, 64)
    seen = set()
    for _ in range(200):
        moved, down, right = move(photo, multiple)
        seen |= {down, right}
        assert moved.shape == photo.shape
        assert moved.amin() >= 0
        assert moved.amax() <= 1
        loss = consistency_loss(photo, moved, down, right)
        assert loss < 0.02, f"moved by {down}, {right}"  # the noise alone
    assert seen == set(range(0, MOST_MOVED + 1, multiple))


@pytest.mark.parametrize(("step", "side"), [(0, 160), (1, 128), (2, 80)])
def test_losses_see_three_views_in_turn(step: int, side: int) -> None:
    pictures = torch.rand(2, 3, 192, 192)
    assert loss_view(step, 128)(pictures).shape == (2, 3, side, side)
    assert loss_view(step + 3, 128)(pictures).shape == (2, 3, side, side)


@pytest.mark.parametrize("step", [0, 1, 2])
def test_losses_may_look_up_to_the_border(step: int) -> None:
    pictures = torch.zeros(1, 3, 192, 192)
    pictures[..., :4, :] = 1
    assert float(loss_view(step, 128)(pictures).max()) == 0
    assert float(loss_view(step, 128, border=0)(pictures).max()) > 0.9
    coarse, whole = coarse_view(step, border=0), loss_view(step, 128, border=0)
    if coarse is not None:
        assert coarse(pictures[..., ::2, ::2]).shape == whole(pictures).shape


def test_places_on_the_grain_are_whole_cells_or_none() -> None:
    torch.manual_seed(0)
    places = random_places(400, 0.5, torch.device("cpu"))
    without = (places < 0).all(1)
    assert 150 < int(without.sum()) < 250
    assert (places % 4 == 0).all()
    assert ((places < 0).all(1) | (places >= 0).all(1)).all()


@pytest.mark.parametrize("side", [64, 256])
def test_coarse_paintings_are_seen_as_finished_ones_are(side: int) -> None:
    torch.manual_seed(0)
    coarse = resized(torch.rand(2, 3, 8, 8), side // 2)
    finished = resized(coarse, side)
    assert coarse_view(0) is None
    assert coarse_view(1) is None
    look = coarse_view(2)
    assert look is not None
    seen = look(coarse)
    expected = loss_view(2, 64)(finished)
    assert seen.shape == expected.shape
    assert (seen - expected).abs().mean() < 0.02


def test_the_colour_term_does_not_see_the_border_that_style_and_content_do_not_see() -> None:
    args = SimpleNamespace(
        style_layers=("relu1_1",),
        content_layers=("relu1_1",),
        style_normalisation="pair",
        **{f"{name}_weight": 0.0 for name in ("content", "style", "texture", "coarse", "local")},
        **{f"{name}_weight": 0.0 for name in ("halo", "structure")},
        color_weight=1.0,
        unseen_border=BORDER,
    )
    perceptual = Perceptual(
        lambda pictures, layers: {"relu1_1": pictures},  # type: ignore[arg-type]
        frozenset({"relu1_1"}),
        {"relu1_1": 1.0},
        (),
    )
    output, content, style = torch.rand(3, 2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    batch = SimpleNamespace(
        content=content, style=style, full=2, own=0, again=0, strength=torch.ones(2)
    )

    def term(output: torch.Tensor) -> float:
        painted = Painted(output, output[:0], output[:0], output[:0], output[:0], output[:0])
        terms = perceptual_terms(args, perceptual, lambda x: x, None, batch, painted)  # type: ignore[arg-type]
        return float(terms["color"])

    framed, inside = output.clone(), output.clone()
    framed[..., :8] = 1
    inside[..., 8:16] = 1
    assert term(framed) == term(output)
    assert term(inside) != term(output)


_SMALL = "--content_data_dir a --style_data_dir b --resolution 64 --train_batch_size 4"


def test_batches_are_drawn_ahead_in_order_and_errors_come_through() -> None:
    drawn: list[int] = []

    def next_batch() -> torch.Tensor:
        if len(drawn) == 3:
            raise ValueError("no more pictures")
        drawn.append(len(drawn))
        return torch.full((4, 2, 3, 64, 64), 40 * drawn[-1], dtype=torch.uint8)

    loaders = {
        "content": SimpleNamespace(next_batch=next_batch),
        "style": SimpleNamespace(
            next_batch=lambda: torch.zeros(4, 2, 3, 64, 64, dtype=torch.uint8)
        ),
    }
    args = parse_args(_SMALL.split())
    batches = BatchesAhead(args, loaders, 0, torch.device("cpu"))
    seen = [float(batches.next().content.mean() * 255) for _ in range(3)]
    assert seen == pytest.approx([0, 40, 80])
    with pytest.raises(ValueError, match="no more pictures"):
        batches.next()
    batches.close()


def test_drawing_ahead_waits_and_ends_when_asked() -> None:
    count = 0

    def next_batch() -> torch.Tensor:
        nonlocal count
        count += 1
        return torch.zeros(4, 2, 3, 64, 64, dtype=torch.uint8)

    loaders = {name: SimpleNamespace(next_batch=next_batch) for name in ("content", "style")}
    args = parse_args(_SMALL.split())
    batches = BatchesAhead(args, loaders, 0, torch.device("cpu"), ahead=2)
    batches.next()
    time.sleep(0.5)
    assert count <= 2 * 4  # one taken, two that wait, one that waits to be put
    batches.close()
    ended = count
    time.sleep(0.1)
    assert count == ended
