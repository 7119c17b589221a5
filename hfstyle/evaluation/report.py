"""Internal to `hfstyle.evaluation.evaluate`: what the measures are called, and reports as a table and as a page."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any, Final

from hfstyle.evaluation.measures import METRICS
from hfstyle.messages import table

if TYPE_CHECKING:
    from hfstyle.evaluation.evaluate import Evaluation

__all__ = ["format_report", "write_html"]

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
    """The means as a table, a column for each method, and what is absent and why."""
    results = report["results"]
    heads = [r["method"] for r in results]
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
        parts.append(f"<h2>{escape(result['method'])}</h2>{_pictures(evaluation, result)}")
    return "\n".join([*parts, "</body></html>\n"])


def _means(report: Mapping[str, Any]) -> str:
    heads = "".join(f"<th>{escape(r['method'])}</th>" for r in report["results"])
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
    shots, method = evaluation.thumbnails, result["method"]
    groups: dict[str, list[str]] = {}
    left = 0
    for pair in result["pairs"]:
        content, style = pair["content"], pair["style"]
        shot = shots.get(("output", content, style, method))
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


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"
