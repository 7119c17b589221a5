"""The drawing of the networks and losses in README.md, laid out by hand, with the numbers of given networks."""

from __future__ import annotations

from typing import Final

from torch import nn

from hfstyle.models.discriminator import StyleDiscriminator
from hfstyle.models.generator import StyleGenerator

__all__ = ["architecture"]

# Light, and dark where the reader's system is; the drawing has its own background, so text is legible on any page.
_STYLE: Final = """
text{font:13px system-ui,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}
.title{font-weight:600;font-size:15px}.dim{fill:#59636e;font-size:12px}.mid{text-anchor:middle}
.page{fill:#ffffff}.panel{fill:#f6f8fa;stroke:#d0d7de}
.data{fill:#fbefff;stroke:#8250df}.enc{fill:#ddf4ff;stroke:#0969da}.gen{fill:#dafbe1;stroke:#1a7f37}
.dis{fill:#fff1e5;stroke:#bc4c00}.code{fill:none;stroke:#8250df;stroke-dasharray:5 4}
.badge{fill:#8250df}.badgetext{fill:#ffffff;font-size:11px}
.line{fill:none;stroke:#59636e;stroke-width:1.4}.tip{fill:#59636e}.node{fill:#ffffff;stroke:#59636e;stroke-width:1.4}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}.dim{fill:#9198a1}.page{fill:#0d1117}.panel{fill:#151b23;stroke:#3d444d}
.data{fill:#2b1a45;stroke:#a371f7}.enc{fill:#0c2d48;stroke:#388bfd}.gen{fill:#12321e;stroke:#3fb950}
.dis{fill:#3d1f0b;stroke:#db6d28}.code{stroke:#a371f7}.badge{fill:#a371f7}.badgetext{fill:#0d1117}
.line{stroke:#9198a1}.tip{fill:#9198a1}.node{fill:#0d1117;stroke:#9198a1}}
"""


class _Drawing:
    """SVG elements in the order in which they are painted. Coordinates are pixels."""

    def __init__(self, width: int, height: int, description: str) -> None:
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            f'aria-label="{description}">',
            f"<style>{_STYLE}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto"><path class="tip" d="M0 0.5 8 4 0 7.5z"/></marker></defs>',
            f'<rect class="page" width="{width}" height="{height}" rx="10"/>',
        ]

    def text(self, x: float, y: float, text: str, kind: str = "") -> None:
        self.parts.append(f'<text class="{kind}" x="{x:g}" y="{y:g}">{text}</text>')

    def panel(self, x: float, y: float, w: float, h: float, title: str, note: str = "") -> None:
        self.parts.append(f'<rect class="panel" x="{x}" y="{y}" width="{w}" height="{h}" rx="8"/>')
        self.parts.append(
            f'<text x="{x + 16}" y="{y + 25}"><tspan class="title">{title}</tspan>'
            f'<tspan class="dim" dx="12">{note}</tspan></text>'
        )

    def box(
        self, kind: str, x: float, y: float, w: float, *lines: str, h: float = 44, badge: str = ""
    ) -> None:
        """One line of text, or a second dim one; a badge says which part of the style enters here."""
        self.parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{w}" height="{h}" rx="6"/>')
        for i, line in enumerate(lines):
            middle = y + h / 2 + 4.5 + (i - (len(lines) - 1) / 2) * 17
            self.text(x + w / 2, middle, line, "mid" if i == 0 else "mid dim")
        if badge:
            width = 7 * len(badge) + 12
            left = x + w - width - 8
            self.parts.append(
                f'<rect class="badge" x="{left}" y="{y - 13}" width="{width}" height="17" rx="8.5"/>'
            )
            self.text(left + width / 2, y - 0.5, badge, "mid badgetext")

    def arrow(self, *points: tuple[float, float], tip: bool = True) -> None:
        path = " ".join(f"{x:g} {y:g}" for x, y in points)
        end = ' marker-end="url(#tip)"' if tip else ""
        self.parts.append(f'<path class="line" d="M{path}"{end}/>')

    def plus(self, x: float, y: float) -> None:
        self.parts.append(f'<circle class="node" cx="{x}" cy="{y}" r="10"/>')
        self.arrow((x - 5, y), (x + 5, y), tip=False)
        self.arrow((x, y - 5), (x, y + 5), tip=False)

    def svg(self) -> str:
        return "\n".join([*self.parts, "</svg>", ""])


def architecture(generator: StyleGenerator, discriminator: StyleDiscriminator) -> str:
    """The three networks and the losses as an SVG, with the numbers of these networks."""
    drawing = _Drawing(1240, 868, "Style encoder, generator, discriminator and losses of hfstyle")
    _draw_encoder(drawing, generator)
    _draw_generator(drawing, generator)
    _draw_discriminator(drawing, discriminator)
    _draw_losses(drawing)
    return drawing.svg()


def _draw_encoder(d: _Drawing, generator: StyleGenerator) -> None:
    e = generator.encoder
    fine, low, mid, high = _trunk_widths(generator)
    learned, width = e.linear.out_features, e.token.out_channels
    d.panel(20, 18, 1200, 186, "Style encoder E", f"{_count(e)}; the first four boxes, its trunk, are shared with the generator")  # fmt: skip
    d.box("data", 40, 66, 120, "style picture y", "from 64 px")
    d.box("enc", 185, 66, 115, "conv", f"{fine} ch. · 1/2")
    d.box("enc", 325, 66, 115, "↓2, conv, res.", f"{low} ch. · 1/4")
    d.box("enc", 465, 66, 115, "↓2, conv", f"{mid} ch. · 1/8")
    d.box("enc", 605, 66, 115, "↓2, conv", f"{high} ch. · 1/16")
    for x in (160, 300, 440, 580):
        d.arrow((x, 88), (x + 25, 88))
    d.arrow((720, 88), (740, 88))
    d.box("enc", 740, 66, 140, "residual, 1×1 conv", f"averaged to {e.token_grid} × {e.token_grid}")
    for x in (242, 382, 522, 662):
        d.arrow((x, 110), (x, 138))
    d.box("enc", 185, 138, 535, "means and deviations of channels, covariance of colours")  # fmt: skip
    d.arrow((720, 160), (740, 160))
    d.box("enc", 740, 138, 140, "+ fully connected", f"{e.linear.in_features} → {learned}")
    d.box("code", 895, 36, 190, h=156)
    d.text(990, 54, "StyleCode", "mid dim")
    d.arrow((880, 88), (910, 88))
    d.box("data", 910, 66, 160, "tokens", f"{e.token_grid**2} × {width}: local look")
    d.arrow((880, 160), (910, 160))
    d.box("data", 910, 138, 160, "vector c", f"{e.vector_width}: global look")
    d.text(1100, 84, "save, load,")
    d.text(1100, 102, "mix, share")
    d.box("data", 1100, 138, 105, "strength s", "0 to 1")


def _draw_generator(d: _Drawing, g: StyleGenerator) -> None:
    fine, low, mid, high = _trunk_widths(g)
    head = g.head.detail.out_channels
    own = sum(p.numel() for p in g.parameters()) - sum(p.numel() for p in g.encoder.parameters())
    note = (
        f"{own / 1e6:.2f} M parameters without the trunk; lightness is painted at H × W, colour at 1/4"
        "; in training, grain before the modulated blocks"
    )
    d.panel(20, 216, 1200, 350, "Generator G(x, c, s)", note)
    rows = {"H × W": 254, "1/2": 317, "1/4": 380, "1/8": 443, "1/16": 506}
    for label, y in rows.items():
        d.text(40, y + 26, label, "dim")
    y1, y2, y4, y8, y16 = rows.values()
    attend, badge = "attention, ", "tokens · c, s"
    d.box("data", 95, y1, 130, "content photo x", "any size from 16 px")
    d.arrow((225, y1 + 22), (270, y1 + 22))
    d.box("gen", 270, y1, 190, "x in the style’s colours", "mean and covariance of y", badge="c")
    d.arrow((460, y1 + 22), (500, y1 + 22))
    d.box("gen", 500, y1, 150, "averaged over 4 px", "nothing else of x")
    d.arrow((115, y1 + 44), (115, y2 + 22), (145, y2 + 22))
    d.box("enc", 145, y2, 110, "conv", f"{fine} channels")
    d.arrow((165, y2 + 44), (165, y4 + 22), (195, y4 + 22))
    d.box("enc", 195, y4, 110, "↓2, conv, res.", f"{low} channels")
    d.arrow((215, y4 + 44), (215, y8 + 22), (245, y8 + 22))
    d.box("enc", 245, y8, 110, "↓2, conv", f"{mid} channels")
    d.arrow((265, y8 + 44), (265, y16 + 22), (295, y16 + 22))
    d.box("enc", 295, y16, 125, "↓2, conv", f"{high} channels")
    d.arrow((420, y16 + 22), (450, y16 + 22))
    d.box("gen", 450, y16, 90, "AdaIN", badge="c, s")
    d.arrow((540, y16 + 22), (565, y16 + 22))
    d.box(
        "gen", 565, y16, 215, f"{attend}{_blocks(g.blocks_high)}", f"{high} channels", badge=badge
    )
    d.arrow((780, y16 + 22), (800, y16 + 22), (800, y8 + 32))
    d.arrow((355, y8 + 22), (450, y8 + 22))
    d.box("gen", 450, y8, 90, "AdaIN", badge="c, s")
    d.arrow((540, y8 + 22), (790, y8 + 22))
    d.plus(800, y8 + 22)
    d.arrow((810, y8 + 22), (830, y8 + 22))
    d.box("gen", 830, y8, 200, f"{attend}{_blocks(g.blocks_mid)}", f"{mid} channels", badge=badge)
    d.arrow((1030, y8 + 22), (1045, y8 + 22), (1045, y4 + 32))
    d.arrow((305, y4 + 22), (450, y4 + 22))
    d.box("gen", 450, y4, 90, "AdaIN", badge="c, s")
    d.arrow((540, y4 + 22), (1035, y4 + 22))
    d.plus(1045, y4 + 22)
    d.arrow((1055, y4 + 22), (1070, y4 + 22))
    d.box("gen", 1070, y4, 144, _blocks(g.blocks_low), f"{low} channels", badge="c, s")
    d.arrow((1138, y4), (1138, y2 + 22), (1075, y2 + 22))
    d.arrow((255, y2 + 30), (450, y2 + 30))
    d.box("gen", 450, y2, 90, "AdaIN", badge="c, s")
    d.arrow((540, y2 + 30), (780, y2 + 30))
    d.arrow((600, y1 + 44), (600, y2 + 12), (780, y2 + 12))
    d.box("gen", 780, y2, 295, "joined, modulated conv, conv",
          f"{g.spread.out_channels} + 3 + {fine} → {head} → {g.head.refine.out_channels} channels", badge="c, s")  # fmt: skip
    d.arrow((850, y2), (850, y1 + 44))
    d.arrow((650, y1 + 22), (740, y1 + 22))
    d.box("gen", 740, y1, 180, "colours + lightness", "p, x drawn under it", badge="c")
    d.arrow((920, y1 + 22), (950, y1 + 22))
    d.box("gen", 950, y1, 120, "x + s (p − x)", "s = 0 is x exactly", badge="s")
    d.arrow((1070, y1 + 22), (1100, y1 + 22))
    d.box("data", 1100, y1, 105, "painted photo", "H × W")
    d.text(828, y16 + 10, "From coarse to fine: all this first paints x at half its size.")
    d.text(828, y16 + 28, "That painting, doubled, with the detail of x laid over it,", "dim")
    d.text(
        828, y16 + 45, "is painted again at full size, then without the rows 1/8 and 1/16.", "dim"
    )


def _trunk_widths(generator: StyleGenerator) -> tuple[int, int, int, int]:
    """Channels at 1/2, 1/4, 1/8 and 1/16 of the resolution."""
    trunk = generator.encoder.trunk
    return (
        trunk.stem.out_channels,
        trunk.down0.out_channels,
        trunk.down1.out_channels,
        trunk.down2.out_channels,
    )


def _blocks(blocks: nn.ModuleList) -> str:
    return "modulated block" if len(blocks) == 1 else f"{len(blocks)} modulated blocks"


def _draw_discriminator(d: _Drawing, network: StyleDiscriminator) -> None:
    one, two, three, four = (
        layer.out_channels for layer in (network.conv1, network.conv2, network.conv3, network.conv4)
    )
    d.panel(20, 578, 800, 272, "Discriminator D (training only)", f"{_count(network)}, no normalisation layers")  # fmt: skip
    d.box("data", 40, 616, 130, "candidate", "picture")
    d.box("dis", 195, 616, 88, "conv", f"{one} · 1/2")
    d.box("dis", 308, 616, 88, "conv ↓2", f"{two} · 1/4")
    d.box("dis", 421, 616, 88, "conv ↓2", f"{three} · 1/8")
    for x in (170, 283, 396):
        d.arrow((x, 638), (x + 25, 638))
    d.arrow((509, 630), (540, 630))
    d.box("dis", 540, 616, 100, "conv", f"{three} · 1/8")
    d.arrow((590, 660), (590, 680))
    d.box("dis", 540, 680, 100, "2 × conv", f"{four} · 1/16")
    d.box("data", 40, 680, 130, "content view", "luminance at 1/8")
    d.arrow((170, 702), (195, 702))
    d.arrow((435, 660), (435, 670), (295, 670), (295, 680))
    d.box("dis", 195, 680, 201, "both, 2 × conv", f"{network.match1.out_channels} · 1/8")
    d.arrow((396, 702), (421, 702))
    d.box("dis", 421, 680, 88, "patch logits", "content, 1/8")
    d.box("data", 40, 744, 130, "vector c", "of the style")
    d.arrow((170, 766), (195, 766))
    d.box("dis", 195, 744, 201, "normalised, fully connected", "projection on the features")
    d.arrow((640, 638), (670, 638))
    d.arrow((640, 702), (670, 702))
    d.box("dis", 670, 616, 105, "patch logits", "1/8")
    d.box("dis", 670, 680, 105, "patch logits", "1/16")
    d.arrow((396, 766), (797, 766), (797, 638), (775, 638))
    d.arrow((797, 702), (775, 702))
    d.text(40, 815, "real: a painting with the code of another crop of it · the content view: its own, in other tones")  # fmt: skip
    d.text(40, 835, "fake: G(x, c, 1) · a painting with a wrong code · the content view: that of another picture")  # fmt: skip


def _draw_losses(d: _Drawing) -> None:
    d.panel(832, 578, 388, 272, "Losses", "perceptual network: frozen VGG-19")
    terms = {
        "content": "deep features of x, normalised",
        "style": "means and deviations of y’s features",
        "texture": "covariances of y’s features",
        "coarse": "both, of what the coarse level paints",
        "local": "each place like some place of y",
        "colour": "mean and covariance of y’s pixels",
        "halo": "colour changes where x changes",
        "structure": "dark beside light in x stays so",
        "identity": "a picture in its own style is itself",
        "consistency": "x moved, with noise, is painted alike",
        "contrast": "the output’s code is nearest to c",
        "adversarial": "D takes the output for a painting",
        "D’s own": "hinge on real and fake, R1 on reals",
    }
    for i, (name, meaning) in enumerate(terms.items()):
        d.text(848, 620 + 16.2 * i, name)
        d.text(932, 620 + 16.2 * i, meaning, "dim")
    d.text(848, 835, "style, texture: the target moves from x to y with s", "dim")


def _count(network: nn.Module) -> str:
    return f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f} M parameters"
