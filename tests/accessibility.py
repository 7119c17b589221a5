"""Measures of a page in a browser that WCAG 2.2 AA asks for: contrast as rendered, names, reach by keyboard.

Every function takes a Playwright page and returns one line for each failure.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

# Composes each text's colour over all backgrounds below it, with their opacities. Text over pictures and gradients has no
# one background: the pages have none but on a filled button, whose gradient's colours are taken one by one.
_CONTRAST = r"""() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const parse = (text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below, opacity) => {
    const a = top[3] * opacity;
    return [0, 1, 2].map((i) => top[i] * a + below[i] * (1 - a)).concat(1);
  };
  const linear = (v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const luminance = (c) => .2126 * linear(c[0]) + .7152 * linear(c[1]) + .0722 * linear(c[2]);
  const contrast = (a, b) => {
    const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (light + .05) / (dark + .05);
  };
  const backgrounds = (element) => {
    const chain = [];
    for (let e = element; e; e = e.parentElement) chain.unshift(getComputedStyle(e));
    let colors = [[255, 255, 255, 1]], opacity = 1;
    for (const style of chain) {
      opacity *= Number(style.opacity);
      colors = colors.map((below) => over(parse(style.backgroundColor), below, opacity));
      const stops = style.backgroundImage.match(/(rgba?|oklch|color)\([^)]*\)/g) || [];
      if (stops.length) {
        colors = colors.flatMap((below) => stops.map((stop) => over(parse(stop), below, opacity)));
      }
    }
    return [colors, opacity];
  };
  const failures = new Set();
  let texts = 0;
  const check = (element, style, text) => {
    texts += 1;
    const size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
    const needed = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
    const [below, opacity] = backgrounds(element);
    const worst = Math.min(...below.map((c) => contrast(over(parse(style.color), c, opacity), c)));
    if (worst < needed) {
      failures.add(`${worst.toFixed(2)} < ${needed}: "${text.trim().slice(0, 40)}" in ${element.tagName} ${element.className}`);
    }
  };
  const shown = (element) => element.checkVisibility({opacityProperty: true, visibilityProperty: true})
    && element.getClientRects().length > 0 && !element.closest("[disabled], [aria-disabled=true]");
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode, element = text.parentElement;
    if (!text.data.trim() || element.closest("script, style, noscript, svg") || !shown(element)) continue;
    check(element, getComputedStyle(element), text.data);
  }
  for (const field of document.querySelectorAll("input, textarea, select")) {
    if (!shown(field) || ["range", "file", "hidden", "radio", "checkbox"].includes(field.type)) continue;
    const style = getComputedStyle(field, field.value ? null : "::placeholder");
    const text = field.value || field.placeholder;
    if (text) check(field, style, text);
  }
  return [texts, [...failures]];
}"""

_INTERACTIVE = (
    "a[href], button, input, select, textarea, summary, [role=button], [role=slider], [role=tab],"
    " [role=checkbox], [role=radio], [role=switch], [role=combobox], [contenteditable=true]"
)

# Of a group of radio buttons, Tab reaches one, and arrows the others.
_WATCH_FOCUS = """() => {
  window.reached = new Set();
  document.addEventListener("focusin", (event) => {
    window.reached.add(event.target);
    if (event.target.type === "radio") {
      document.getElementsByName(event.target.name).forEach((e) => window.reached.add(e));
    }
  });
}"""

_MISSED = """(interactive) => [...document.querySelectorAll(interactive)].filter((e) =>
  !e.disabled && e.checkVisibility({visibilityProperty: true}) && e.getClientRects().length > 0
  && e.getAttribute("tabindex") !== "-1" && !window.reached.has(e)
).map((e) => e.outerHTML.slice(0, 160))"""

_NO_FOCUS_RING = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const ring = (s) => s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 1;
  const inner = [e, ...e.querySelectorAll("*")];
  return inner.some((x) => ring(getComputedStyle(x))) ? null : e.outerHTML.slice(0, 160);
}"""

_CONTROLS = {
    *("button", "textbox", "slider", "spinbutton", "combobox", "tab", "link", "radio", "checkbox"),
    *("searchbox", "switch", "listbox", "menuitem"),
}


# Looked at and measured at one time: what is being computed fades meanwhile.
_AT_REST = """() => document.querySelector("[data-testid=status-tracker]:not(.hide), .pending, .generating")
  ? null : (CONTRAST)()""".replace("CONTRAST", _CONTRAST)


def in_the_end(measure: Callable[[Any], list[str]], page: Any, seconds: float = 60) -> list[str]:
    """What a measure returns once there is no failure, else what it returned last: scripts equip a page after it is drawn."""
    until = time.monotonic() + seconds
    while (failures := measure(page)) and time.monotonic() < until:
        page.wait_for_timeout(200)
    return failures


def low_contrast(page: Any) -> list[str]:
    """Visible texts, entries and placeholders below 4.5 to 1, or below 3 to 1 where they are large, when nothing is computed."""
    texts, failures = page.wait_for_function(_AT_REST).json_value()
    assert texts > 5, "nothing to measure"
    return list(failures)


def nameless(page: Any) -> list[str]:
    """Controls to which the browser's accessibility tree gives no name."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    controls = [
        node
        for node in nodes
        if not node.get("ignored") and node.get("role", {}).get("value") in _CONTROLS
    ]
    assert len(controls) > 5, "nothing to measure"
    return [
        f"{node['role']['value']} {node.get('backendDOMNodeId')}"
        for node in controls
        if not str(node.get("name", {}).get("value", "")).strip()
    ]


def unreached(page: Any) -> list[str]:
    """Visible controls that Tab never reaches, and those whose focus cannot be seen."""
    page.evaluate(_WATCH_FOCUS)
    unseen, missed = set(), [""]
    for step in range(3 * page.locator(_INTERACTIVE).count()):  # Tab goes round and round
        page.keyboard.press("Tab")
        if hidden := page.evaluate(_NO_FOCUS_RING):
            unseen.add(f"no focus ring: {hidden}")
        if step % 20 == 19 and not (missed := page.evaluate(_MISSED, _INTERACTIVE)):
            break
    return missed + sorted(unseen)
