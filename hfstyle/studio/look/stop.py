"""Stop, in the first moments of what it ends, as a script of the page."""

from __future__ import annotations

from typing import Final

__all__ = ["STOPS", "STOP_PAGE"]

STOPS: Final = "stops"
"""Class of the buttons that end what their page computes."""

# Gradio's page can end only what the server has given a number, and forgets what it could not end: it would be computed to
# its end, and shown. So such a request waits for the number. What is still being gathered for the server, a drawing for
# instance, is nothing to Gradio yet: Stop is pressed again for the visitor until the page rests or something else is done.
STOP_PAGE: Final = """() => {
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
"""For a page when it is loaded."""
