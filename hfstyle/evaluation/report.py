"""Internal to `hfstyle.evaluate`: what the measures are called, and reports as a table and as a page."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hfstyle._terminal import table

if TYPE_CHECKING:
    from hfstyle.evaluate import Evaluation

__all__ = ["METRICS", "Metric", "format_report", "write_html"]


class Metric(NamedTuple):
    """label: in tables; better: "lower" or "higher"; about: one sentence."""

    label: str
    better: str
    about: str


METRICS: Final[Mapping[str, Metric]] = {
    "lpips": Metric(
        "LPIPS (squeeze)",
        "lower",
        "perceptual distance from the content, LPIPS 0.1 with SqueezeNet",
    ),
    "ssim": Metric("SSIM", "higher", "structural similarity of luminance to the content"),
    "psnr": Metric("PSNR, dB", "higher", "against the content; none where pictures are equal"),
    "content_distance": Metric(
        "content distance",
        "lower",
        "relative difference of VGG-19 features from the content's, at relu4_1, or relu3_1 where the network ends",
    ),
    "cfsd": Metric(
        "CFSD",
        "lower",
        "content feature structural distance (Chung et al., 2024), of squares; with another VGG-19 than the original not "
        "comparable with published ones",
    ),
    "style_distance": Metric(
        "style distance",
        "lower",
        "of means and deviations of Inception-v3 features from the style's; 1 is the content's distance",
    ),
    "palette": Metric(
        "palette",
        "lower",
        "sliced Wasserstein distance from the style's colours; 1 is the content's distance",
    ),
    "fid": Metric(
        "FID", "lower", "Frechet distance from the styles at pool3 of FID's Inception-v3"
    ),
    "frechet_pool3": Metric(
        "Frechet distance, pool3",
        "lower",
        "as FID, but with another Inception-v3: not comparable with published FIDs",
    ),
    "frechet_mixed_8": Metric(
        "Frechet distance, mixed_8",
        "lower",
        "as FID, but at an earlier layer, four crops of each picture: not comparable with published FIDs",
    ),
    "frechet_relative": Metric(
        "Frechet distance, relative",
        "lower",
        "from the styles at mixed_8, in 64 leading directions; 1 is the contents' distance",
    ),
    "artfid": Metric(
        "ArtFID",
        "lower",
        "(1 + LPIPS)(1 + FID); published ones use an Inception trained on paintings and AlexNet's LPIPS",
    ),
    "artfid_pool3": Metric(
        "(1 + LPIPS)(1 + Frechet, pool3)", "lower", "as ArtFID, but with another Inception-v3"
    ),
    "artfid_mixed_8": Metric(
        "(1 + LPIPS)(1 + Frechet, mixed_8)", "lower", "as ArtFID, but at an earlier layer"
    ),
}

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #8886; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.pairs { display: flex; flex-wrap: wrap; gap: 1rem; align-items: start; }
figure { margin: 0; max-width: 16rem; }
figure img { max-width: 100%; display: block; }
figure img.style { max-width: 5rem; max-height: 5rem; margin-top: .25rem; }
figcaption { font-size: .8rem; overflow-wrap: anywhere; }
"""


def format_report(report: Mapping[str, Any]) -> str:
    """The means as a table, a column for each strength, and what is absent and why."""
    results = report["results"]
    heads = [_level(r["strength"]) for r in results]
    rows = [["MEASURE", "BETTER", *heads]]
    for key, label in report["labels"].items():
        values = [_number(r["metrics"].get(key)) for r in results]
        rows.append([label, METRICS[key].better, *values])
    lines = [table(rows, right=range(2, 2 + len(heads)))]
    lines.append(f"\n{report['pairs']} pairs, compared at {report['size']} px")
    for key, reason in report["absent"].items():
        lines.append(f"absent: {METRICS[key].label}: {reason}")
    return "\n".join(lines)


def write_html(evaluation: Evaluation) -> str:
    """One page without anything outside of it: the table, what judged, and the small pictures with their numbers."""
    report = evaluation.report
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Evaluation of stylised pictures</title><style>{_STYLE}</style></head><body>",
        "<h1>Evaluation of stylised pictures</h1>",
        f"<p>{report['pairs']} pairs, compared at {report['size']} px of the short side, "
        f"by hfstyle {escape(report['hfstyle'])}.</p>",
        _means(report),
    ]
    if report["absent"]:
        absent = (
            f"<li>{escape(METRICS[k].label)}: {escape(reason)}</li>"
            for k, reason in report["absent"].items()
        )
        parts.append(f"<h2>Not measured</h2><ul>{''.join(absent)}</ul>")
    used = (
        f"<li>{escape(n['architecture'])}: {escape(n['source'])}</li>"
        for n in report["networks"].values()
        if n is not None
    )
    if any(report["networks"].values()):
        parts.append(f"<h2>Networks that judged</h2><ul>{''.join(used)}</ul>")
    if report["missing"]:
        names = "".join(f"<li>{escape(name)}</li>" for name in report["missing"])
        parts.append(f"<h2>Outputs that were not found</h2><ul>{names}</ul>")
    for result in report["results"]:
        title = "Pictures" if result["strength"] is None else f"Strength {result['strength']:g}"
        parts.append(f"<h2>{title}</h2>{_pictures(evaluation, result)}")
    return "\n".join([*parts, "</body></html>\n"])


def _means(report: Mapping[str, Any]) -> str:
    heads = "".join(f"<th>{_level(r['strength'])}</th>" for r in report["results"])
    rows = []
    for key, label in report["labels"].items():
        numbers = "".join(
            f'<td class="number">{_number(r["metrics"].get(key))}</td>' for r in report["results"]
        )
        metric = METRICS[key]
        rows.append(
            f"<tr><td>{escape(label)}</td>{numbers}<td>{metric.better} is better; "
            f"{escape(metric.about)}</td></tr>"
        )
    return f"<table><tr><th>measure</th>{heads}<th></th></tr>{''.join(rows)}</table>"


def _pictures(evaluation: Evaluation, result: Mapping[str, Any]) -> str:
    shots, strength = evaluation.thumbnails, result["strength"]
    groups: dict[str, list[str]] = {}
    left = 0
    for pair in result["pairs"]:
        content, style = pair["content"], pair["style"]
        shot = shots.get(("output", content, style, strength))
        if shot is None:
            left += 1
            continue
        numbers = ", ".join(
            f"{escape(METRICS[key].label)} {_number(pair[key])}" for key in METRICS if key in pair
        )
        groups.setdefault(content, []).append(
            f"<figure>{_image(shot, f'{content} in the style of {style}')}"
            f"{_image(shots['style', style], style, 'style')}"
            f"<figcaption><b>{escape(style)}</b><br>{numbers}</figcaption></figure>"
        )
    parts = [
        f"<h3>{escape(content)}</h3><div class=pairs>"
        f"<figure>{_image(shots['content', content], content)}<figcaption>content</figcaption>"
        f"</figure>{''.join(figures)}</div>"
        for content, figures in groups.items()
    ]
    if left:
        parts.append(f"<p>{left} more pictures are not shown.</p>")
    return "".join(parts)


def _image(jpeg: bytes, alt: str, kind: str = "picture") -> str:
    data = base64.b64encode(jpeg).decode("ascii")
    return f'<img class="{kind}" alt="{escape(alt)}" src="data:image/jpeg;base64,{data}">'


def _level(strength: float | None) -> str:
    return "MEAN" if strength is None else f"strength {strength:g}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"
