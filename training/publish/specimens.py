"""Specimens of techniques of which the training art has no free work: drawn here, by code, as styles to encode.

    python training/publish/specimens.py --out specimens/

writes them as pictures. Each is a function that draws (HEIGHT, WIDTH) px, the same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from hfstyle.parser import Parser

__all__ = ["SPECIMENS", "comic", "stained_glass"]

WIDTH, HEIGHT = 640, 800
_SCALE = 2  # drawn larger, then reduced, so that edges are smooth

_Rgb = tuple[int, int, int]


def stained_glass() -> Image.Image:
    """A window: the sun over hills, a river and a tree, in panes of streaked glass between strips of lead."""
    random = np.random.default_rng(7)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    u, v = x / WIDTH, y / HEIGHT  # in [0, 1], rightward and downward
    region = np.zeros((HEIGHT, WIDTH), np.int32)  # sky
    sun = np.hypot(x - 0.66 * WIDTH, y - 0.27 * HEIGHT)
    angle = np.arctan2(y - 0.27 * HEIGHT, x - 0.66 * WIDTH)
    rays = np.floor((angle + np.pi) / (2 * np.pi) * 18).astype(np.int32)
    region[sun < 190] = 2  # the sun's rays
    region[sun < 82] = 1  # the sun
    region[v > 0.52 + 0.06 * np.sin(5.2 * u + 0.6)] = 3  # far hills
    region[v > 0.62 + 0.07 * np.sin(4.1 * u + 2.6)] = 4  # near hills
    bank = 0.5 + 0.16 * np.sin(7 * v + 0.4)
    region[(v > 0.66) & (np.abs(u - bank) < 0.05 + 0.55 * (v - 0.62))] = 5  # river
    crown = np.hypot((u - 0.2) * 1.25, v - 0.42) < 0.17 + 0.018 * np.sin(
        9 * np.arctan2(v - 0.42, u - 0.2)
    )
    region[(np.abs(u - 0.2 - 0.02 * np.sin(9 * v)) < 0.025) & (v > 0.5) & (v < 0.9)] = 7  # trunk
    region[crown] = 6
    region[v > 0.9] = 8  # flowers in the foreground
    border = np.minimum(np.minimum(x, WIDTH - 1 - x), np.minimum(y, HEIGHT - 1 - y))
    region[border < 46] = 9
    region[border < 18] = 10

    # Panes: cells around scattered points, cut by the outlines of the regions and by the rays.
    cells = _cells(random, spacing=62)
    panes = region * 4096 + cells
    panes = np.where(region == 2, 2 * 4096 + rays, panes)
    panes = np.where(region == 1, 4096, panes)
    along = np.where(np.minimum(x, WIDTH - 1 - x) < np.minimum(y, HEIGHT - 1 - y), y, x)
    panes = np.where(region >= 9, region * 4096 + (along // 58).astype(np.int32) * 4, panes)
    panes = np.where(region >= 9, panes + (x > WIDTH / 2) + 2 * (y > HEIGHT / 2), panes)

    palette: dict[int, list[_Rgb]] = {
        0: [(28, 74, 168), (44, 108, 200), (70, 140, 214), (24, 54, 128)],
        1: [(252, 214, 66)],
        2: [(246, 158, 40), (232, 92, 30), (250, 190, 70)],
        3: [(86, 60, 140), (120, 84, 168), (70, 84, 160)],
        4: [(30, 120, 62), (64, 150, 60), (24, 92, 66)],
        5: [(40, 160, 190), (98, 200, 214), (28, 112, 170)],
        6: [(36, 138, 50), (104, 172, 44), (18, 98, 58), (160, 190, 60)],
        7: [(112, 62, 28), (84, 46, 26)],
        8: [(206, 30, 52), (232, 88, 120), (40, 130, 60), (150, 24, 70), (242, 170, 60)],
        9: [(150, 20, 36), (182, 36, 40)],
        10: [(232, 186, 74), (206, 150, 50)],
    }
    codes, index = np.unique(panes, return_inverse=True)
    index = index.reshape(panes.shape)
    colours = np.empty((len(codes), 3), np.float32)
    for number, code in enumerate(codes):
        choices = palette[int(code) // 4096]
        shade = random.normal(1, 0.13)
        colours[number] = np.array(choices[random.integers(len(choices))]) * shade
    glass = colours[index]  # (H, W, 3)

    # Glass is streaked and of uneven thickness, and glows in the middle of a pane.
    streaks = _noise(random, (6, 60)) * 0.55 + _noise(random, (70, 70)) * 0.45
    glass = glass * (1 + 0.26 * streaks[..., None])
    lead = _edges(index)
    inside = np.asarray(lead.filter(ImageFilter.GaussianBlur(9)), np.float32) / 255
    glass = glass * (1.18 - 1.1 * inside.clip(0, 0.5))[..., None] + 10
    wide = lead.filter(ImageFilter.MaxFilter(7)).filter(ImageFilter.GaussianBlur(1.0))
    ridge = lead.filter(ImageFilter.GaussianBlur(1.2))
    metal = 20 + 70 * np.asarray(ridge, np.float32)[..., None] / 255 * np.array([0.9, 0.95, 1.0])
    cover = np.asarray(wide, np.float32)[..., None] / 255
    return _picture(glass * (1 - cover) + metal * cover)


def comic() -> Image.Image:
    """A page of four panels: ink lines of changing width, flat colours, and shades of printed dots."""
    size = (WIDTH * _SCALE, HEIGHT * _SCALE)
    page = Image.new("RGB", size, (246, 236, 212))
    panels = [(24, 24, 616, 286), (24, 304, 300, 776), (318, 304, 616, 520), (318, 538, 616, 776)]
    for number, box in enumerate(panels):
        wide = tuple(side * _SCALE for side in box)
        panel = _panel(number, (wide[2] - wide[0], wide[3] - wide[1]))
        page.paste(panel, wide[:2])
        ImageDraw.Draw(page).rectangle(wide, outline=(18, 16, 24), width=5 * _SCALE)
    page = page.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    grain = np.random.default_rng(3).normal(0, 3, (HEIGHT, WIDTH, 1))
    return _picture(np.asarray(page, np.float32) + grain)


def _panel(number: int, size: tuple[int, int]) -> Image.Image:
    """One panel of the comic, drawn in units of its width and height."""
    ink = (18, 16, 24)
    skies: list[_Rgb] = [(250, 204, 58), (58, 140, 208), (226, 58, 50), (28, 42, 96)]
    shades: list[_Rgb] = [(238, 110, 44), (250, 236, 190), (250, 190, 60), (90, 60, 150)]
    panel = Image.new("RGB", size, skies[number])
    width, height = size
    draw = ImageDraw.Draw(panel)
    _dots(panel, shades[number], step=15, grow=(0.0, 0.62) if number % 2 else (0.62, 0.05))
    random = np.random.default_rng(20 + number)
    if number == 0:  # a town under a burst of light
        _burst(
            draw, (0.7 * width, 0.42 * height), 0.62 * height, 0.34 * height, 13, (255, 250, 232)
        )
        _burst(draw, (0.7 * width, 0.42 * height), 0.4 * height, 0.2 * height, 11, (226, 58, 50))
        _houses(draw, size, random, (46, 74, 150), ink)
    elif number == 1:  # a tower with a window, seen from below
        draw.polygon(
            [(0.2 * width, height), (0.42 * width, 0.08 * height), (0.66 * width, 0.08 * height),
             (0.9 * width, height)], fill=(214, 66, 52), outline=ink, width=7 * _SCALE)  # fmt: skip
        for row in range(6):
            y = (0.16 + 0.12 * row) * height
            half = (0.03 + 0.009 * row) * width
            for column in (-1.6, 0.0, 1.6):
                x = 0.545 * width + column * half * 1.6
                draw.rectangle((x - half, y, x + half, y + 0.06 * height), fill=(250, 222, 96),
                               outline=ink, width=4 * _SCALE)  # fmt: skip
    elif number == 2:  # a face in profile
        _face(draw, size, ink)
    else:  # a rocket at night
        for _ in range(26):
            x, y, r = random.random() * width, random.random() * height, random.random() * 4 + 2
            draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 246, 214))
        _rocket(draw, size, ink)
    return panel


def _houses(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    random: np.random.Generator,
    fill: _Rgb,
    ink: _Rgb,
) -> None:
    width, height = size
    left = -10.0
    while left < width:
        wide = (0.07 + 0.07 * random.random()) * width
        top = (0.4 + 0.35 * random.random()) * height
        draw.rectangle(
            (left, top, left + wide, height + 20), fill=fill, outline=ink, width=6 * _SCALE
        )
        draw.rectangle((left + 0.68 * wide, top, left + wide, height), fill=ink)
        for y in np.arange(top + 24, height, 42):
            for x in np.arange(left + 18, left + 0.6 * wide, 36):
                if random.random() < 0.6:
                    draw.rectangle((x, y, x + 16, y + 22), fill=(250, 222, 96))
        left += wide


def _face(draw: ImageDraw.ImageDraw, size: tuple[int, int], ink: _Rgb) -> None:
    width, height = size

    def at(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(x * width, y * height) for x, y in points]

    line = 7 * _SCALE
    profile = at([(0.3, 1.05), (0.33, 0.8), (0.2, 0.62), (0.2, 0.3), (0.36, 0.1), (0.6, 0.08),
                  (0.68, 0.26), (0.67, 0.36), (0.76, 0.52), (0.68, 0.56), (0.7, 0.64), (0.67, 0.68),
                  (0.68, 0.78), (0.6, 0.86), (0.52, 0.85), (0.56, 1.05)])  # fmt: skip
    draw.polygon(profile, fill=(252, 208, 168), outline=ink, width=line)
    hair = at([(0.1, 0.75), (0.1, 0.25), (0.3, 0.0), (0.62, 0.0), (0.72, 0.2), (0.52, 0.18),
               (0.44, 0.36), (0.36, 0.36), (0.34, 0.66), (0.24, 0.82)])  # fmt: skip
    draw.polygon(hair, fill=(34, 48, 110), outline=ink, width=line)
    for step in range(6):
        start = at([(0.16 + 0.05 * step, 0.7 - 0.06 * step), (0.24 + 0.07 * step, 0.12)])
        draw.line(start, fill=(88, 130, 210), width=4 * _SCALE)
    draw.line(at([(0.54, 0.31), (0.66, 0.29)]), fill=ink, width=line)
    draw.ellipse((0.57 * width, 0.35 * height, 0.63 * width, 0.42 * height), fill=ink)
    draw.polygon(at([(0.6, 0.66), (0.7, 0.64), (0.62, 0.72)]), fill=(200, 30, 46))


def _rocket(draw: ImageDraw.ImageDraw, size: tuple[int, int], ink: _Rgb) -> None:
    width, height = size
    centre = np.array([0.56 * width, 0.44 * height])
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])  # of a rocket that points up, to the right

    def at(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        return [tuple((turn.T @ np.array(p) * 0.4 * height + centre).tolist()) for p in points]

    flame = at(
        [(-0.3, 0.7), (-0.18, 1.1), (-0.05, 0.95), (0.02, 1.5), (0.1, 0.95), (0.2, 1.2), (0.3, 0.7)]
    )
    draw.polygon(flame, fill=(250, 170, 50), outline=ink, width=6 * _SCALE)
    for side in (-1, 1):
        fin = at([(side * 0.25, 0.25), (side * 0.62, 0.95), (side * 0.2, 0.72)])
        draw.polygon(fin, fill=(226, 58, 50), outline=ink, width=6 * _SCALE)
    arc = [(0.34 * np.cos(t), -np.sin(t)) for t in np.linspace(0, np.pi, 24)]
    body = at([*arc, (-0.3, 0.72), (0.3, 0.72)])
    draw.polygon(body, fill=(236, 238, 242), outline=ink, width=7 * _SCALE)
    draw.polygon(at([(0.14, -0.6), (0.33, 0.1), (0.3, 0.72), (0.1, 0.72)]), fill=(150, 160, 190))
    x, y = at([(0.0, -0.2)])[0]
    r = 0.075 * height
    draw.ellipse((x - r, y - r, x + r, y + r), fill=(58, 140, 208), outline=ink, width=6 * _SCALE)


def _burst(
    draw: ImageDraw.ImageDraw,
    centre: tuple[float, float],
    outer: float,
    inner: float,
    points: int,
    fill: _Rgb,
) -> None:
    """A star with many points."""
    corners = []
    for step in range(2 * points):
        radius = outer * (1 + 0.16 * (step % 3)) if step % 2 == 0 else inner
        angle = np.pi * step / points
        corners.append(
            (centre[0] + 1.5 * radius * np.cos(angle), centre[1] + radius * np.sin(angle))
        )
    draw.polygon(corners, fill=fill, outline=(18, 16, 24), width=6 * _SCALE)


def _dots(panel: Image.Image, colour: _Rgb, step: int, grow: tuple[float, float]) -> None:
    """Dots on a slanted grid, whose radius changes from top to bottom, in steps of the grid."""
    draw = ImageDraw.Draw(panel)
    for row, y in enumerate(range(0, panel.height + step, step)):
        share = y / panel.height
        radius = step * (grow[0] * (1 - share) + grow[1] * share)
        for x in range((row % 2) * step, panel.width + step, 2 * step):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _cells(random: np.random.Generator, spacing: int) -> np.ndarray:
    """The nearest of scattered points, by number: (HEIGHT, WIDTH) int."""
    rows, columns = HEIGHT // spacing + 2, WIDTH // spacing + 2
    points = np.mgrid[0:rows, 0:columns].reshape(2, -1).T * spacing
    points = points + random.uniform(-0.42, 0.42, points.shape) * spacing
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    best = np.full((HEIGHT, WIDTH), np.inf, np.float32)
    index = np.zeros((HEIGHT, WIDTH), np.int32)
    for number, (py, px) in enumerate(points.astype(np.float32)):
        distance = (y - py) ** 2 + (x - px) ** 2
        nearer = distance < best
        best[nearer], index[nearer] = distance[nearer], number
    return index


def _edges(index: np.ndarray) -> Image.Image:
    """White where a pane meets another."""
    edge = np.zeros(index.shape, bool)
    edge[1:] |= index[1:] != index[:-1]
    edge[:, 1:] |= index[:, 1:] != index[:, :-1]
    return Image.fromarray(edge.astype(np.uint8) * 255)


def _noise(random: np.random.Generator, cells: tuple[int, int]) -> np.ndarray:
    """Smooth noise of about unit deviation: (HEIGHT, WIDTH) float32, `cells` (down, across)."""
    coarse = Image.fromarray(random.normal(0, 1, cells).astype(np.float32))
    return np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


def _picture(rgb: np.ndarray) -> Image.Image:
    return Image.fromarray(rgb.clip(0, 255).round().astype(np.uint8))


SPECIMENS: dict[str, Callable[[], Image.Image]] = {"stained_glass": stained_glass, "comic": comic}
"""By name; training/publish/presets.csv says which are presets."""


def main(argv: Sequence[str] | None = None) -> None:
    """Write all specimens as PNG."""
    parser = Parser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path("specimens"), help="folder")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, draw in SPECIMENS.items():
        draw().save(args.out / f"{name}.png")


if __name__ == "__main__":
    main()
