"""Stop, in the first moments of what it ends, as a script of the page."""

from __future__ import annotations

import json
from typing import Final

__all__ = ["ENDS", "STOPS", "STOP_PAGE"]

ENDS: Final = "ends"
"""Class of all buttons that end something: they can be pressed only while there is something to end."""
_WORK: Final = "[data-testid=status-tracker]:not(.hide)"

STOPS: Final = "stops"
"""Class of the buttons that end what their page computes."""

# Gradio's page can end only what the server has given a number, and forgets what it could not end: it would be computed to
# its end, and shown. So such a request waits for the number. What is still being gathered for the server, a drawing for
# instance, is nothing to Gradio yet: Stop is pressed again for the visitor until the page rests or something else is done.
STOP_PAGE: Final = (
    """() => {
  if (window.stopIsHeard) return;
  window.stopIsHeard = true;
  const numbers = new Map();
  const plain = window.fetch;
  let ending = 0;
  const number = async (answer) => (await (await answer).clone().json()).event_id;
  const end = async (address, options) => {
    const asked = JSON.parse(options.body);
    asked.event_id ??= await numbers.get(asked.fn_index);
    return plain(address, {...options, body: JSON.stringify(asked)});
  };
  window.fetch = async (...given) => {
    const [address, options] = given;
    const route = String(address?.url ?? address).split("?")[0];
    if (route.endsWith("/queue/join")) {
      const answer = plain(...given);
      numbers.set(JSON.parse(options.body).fn_index, number(answer).catch(() => null));
      return answer;
    }
    if (!/[/](cancel|reset)$/.test(route)) return plain(...given);
    ending += 1;
    try {
      return await (route.endsWith("/cancel") ? end : plain)(...given);
    } finally {
      ending -= 1;
    }
  };
  const camera = (page) => page.querySelector('#camera [title="stop recording"]')?.checkVisibility();
  const works = (page) => camera(page) || [...page.querySelectorAll(WORK)].some((one) => !one.querySelector(".error"));
  const ready = () => document.querySelectorAll("button.ENDS").forEach((button) => {
    const page = button.closest("[role=tabpanel]");
    if (page) button.disabled = !works(page);
  });
  let waiting = false;
  const soon = () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => { waiting = false; ready(); }, 50);
  };
  new MutationObserver(soon).observe(document.body, {childList: true, subtree: true, attributeFilter: ["class"]});
  addEventListener("click", soon);
  ready();
  const busy = (tracker) => tracker.checkVisibility() && !tracker.querySelector(".error");
  document.addEventListener("click", async ({target, isTrusted}) => {
    const button = target.closest("button.STOPS");
    if (!button || !isTrusted) return;
    const page = button.closest("[role=tabpanel]");
    let wanted = true;
    for (const deed of ["pointerdown", "keydown"])
      addEventListener(deed, () => { wanted = false; }, {capture: true, once: true});
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      const trackers = [...page.querySelectorAll("[data-testid=status-tracker]:not(.hide)")];
      if (!wanted || !trackers.some(busy)) return;
      if (!ending) button.click();
    }
  });
}""".replace("STOPS", STOPS)
    .replace("ENDS", ENDS)
    .replace("WORK", json.dumps(_WORK))
)
"""For a page when it is loaded."""
