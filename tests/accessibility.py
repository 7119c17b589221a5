"""Whether everybody can use a page in a browser: the rules of axe-core, and reach by keyboard, which it cannot see.

Every function takes a Playwright page and returns one line for each failure.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from app_server import AT_REST
from axe_playwright_python.sync_playwright import Axe

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

_STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_OF_GRADIO = {"target-size", "nested-interactive"}
"""Rules that the button for uploads in Gradio's lists of files breaks, with a field inside; style sheets cannot change that."""
_LEAST_RULES = 3  # that had something to look at


def in_the_end(measure: Callable[[Any], list[str]], page: Any, seconds: float = 60) -> list[str]:
    """What a measure returns once there is no failure, else what it returned last: scripts equip a page after it is drawn."""
    until = time.monotonic() + seconds
    while (failures := measure(page)) and time.monotonic() < until:
        page.wait_for_timeout(200)
    return failures


def violations(page: Any) -> list[str]:
    """What axe-core finds against WCAG 2.2 A and AA when nothing is computed, which fades meanwhile."""
    page.wait_for_function(AT_REST)
    found = Axe().run(page, options={"runOnly": _STANDARD}).response
    assert len(found["passes"]) > _LEAST_RULES, "nothing to look at"
    return [
        f"{rule['id']}: {node['html'][:120]} {node['failureSummary'][:160]}"
        for rule in found["violations"]
        for node in rule["nodes"]
        if not (
            rule["id"] in _OF_GRADIO and re.search("icon-button|upload-container", node["html"])
        )
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
