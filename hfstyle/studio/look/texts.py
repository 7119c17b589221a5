"""What the pages say about themselves."""

from __future__ import annotations

from typing import Final

INTRO: Final = """
# hfstyle · any photo in any style
Choose a photo and a style, then drag **Strength**. Each painting takes about a second.
"""

ABOUT: Final = """
## What this is
A *conditional generative adversarial network*: a generator receives your photo and a small numeric description of the
style picture (its *style code*), and paints the photo in that style in one pass. It was trained against a
discriminator that sees the picture, a reduced view of the photo and the style code, and has to tell the generator's
paintings from real ones. The style may be any picture; the painters' names in the gallery are examples.

**Model:** `{model}`, {parameters:.1f} million parameters, hfstyle {version}.

## What it was trained on
Photos and paintings that are in the public domain or under free licences (CC0, CC-BY, MIT). The model card names them.

## Licence
The code is under the Apache License 2.0; the licence of the weights is in the model card. Your pictures remain yours.

## Your pictures
They are used to compute what you see and deleted after about an hour; pictures of a camera are not stored at all.
Nobody else gets to see them, and nothing is trained on them.

## Limits
It takes colours, strokes and textures from the style picture, not the objects in it. It works best with photos that have clear
shapes. Small text becomes hard to read at full strength. A picture may have up to {megapixels} megapixels and {megabytes} MB.

## For programs
"Use via API" at the foot of the page shows how programs call the endpoints `/stylize`, `/regions`, `/sample`, `/find`, `/mix`, `/path`,
`/collect`, `/encode`, `/learn`, `/compare`, `/video` and `/explain`.
"""
