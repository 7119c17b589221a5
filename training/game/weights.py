"""What the generator minimises: the weight of each term, and what the term asks for. The formulas stand in `losses.py`.

A new term is a function there, an entry here, of which the trainer makes the option --NAME_weight, and a line in
`generator_move.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

__all__ = ["WEIGHTS", "Weight"]


class Weight(NamedTuple):
    """default: close to that of the bundled model's last training; 0 leaves the term out. about: for --help."""

    default: float
    about: str


WEIGHTS: Final[Mapping[str, Weight]] = MappingProxyType(
    {
        "content": Weight(0.3, "weight of the loss of what the photo shows; more keeps more of it"),
        "style": Weight(14.0, "weight of the loss of channel means and deviations"),
        "texture": Weight(4.0, "weight of the loss of channel covariances"),
        "coarse": Weight(
            0.3,
            "style and texture of the painting of the generator's coarser level, as a multiple of both: large strokes; in a "
            "third of the steps",
        ),
        "local": Weight(4.0, "weight of the loss of the nearest style features at every place"),
        "color": Weight(4.0, "weight of the loss of the pixels' mean and covariance"),
        "halo": Weight(
            40.0,
            "colour should not change where the photo does not: no halos along edges, no rainbows in skies",
        ),
        "structure": Weight(
            2.0, "what is dark beside what is light should stay so: eyes and mouths"
        ),
        "identity": Weight(8.0, "a picture styled by itself is itself"),
        "consistency": Weight(
            55.0,
            "a photo moved by a few pixels, with a little noise, is painted alike; long runs want 60 or more, or a lattice grows",
        ),
        "old_styles": Weight(
            0.0,
            "of the old styles' paintings, which are to stay: presets of --init_from, and points of its style space",
        ),
        "contrast": Weight(
            0.0, "the output's own code is nearest to its style's, of all in the batch"
        ),
        "adversarial": Weight(
            0.25, "weight of the adversarial loss; 0 trains without a discriminator"
        ),
    }
)
"""By name."""
