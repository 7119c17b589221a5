"""What Gradio's components lack for keyboards and screen readers, as a script of the page."""

from __future__ import annotations

import json
from typing import Final

from hfstyle.examples import EXAMPLE_PHOTOS

# Example photos and pictures of galleries are buttons without a telling name, and the handle between before and after
# listens to mice and fingers only; what a page says about its result is to be read out. Pages are built when their tab is
# first opened, hence the observer.
EQUIP_PAGE: Final = r"""() => {
  if (window.pageIsEquipped) return;
  window.pageIsEquipped = true;
  const EXAMPLES = NAMES;
  const set = (element, name, value) => {
    if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
  };
  const steps = {
    ArrowLeft: -.05, ArrowDown: -.05, ArrowRight: .05, ArrowUp: .05,
    PageDown: -.25, PageUp: .25, Home: -1, End: 1,
  };
  const place = (handle) => new DOMMatrix(getComputedStyle(handle).transform).m41;
  const tell = (handle) => {
    const width = handle.parentElement.clientWidth;
    if (width) set(handle, "aria-valuenow", Math.round(100 * place(handle) / width));
  };
  const move = (event) => {
    const handle = event.currentTarget;
    if (!(event.key in steps)) return;
    event.preventDefault();
    const box = handle.parentElement.getBoundingClientRect();
    const x = Math.min(Math.max(place(handle) + steps[event.key] * box.width, 0), box.width);
    const mouse = {
      view: window, bubbles: true, cancelable: true, clientX: box.left + x, clientY: box.top + 1,
    };
    handle.dispatchEvent(new MouseEvent("mousedown", mouse));
    window.dispatchEvent(new MouseEvent("mouseup", mouse));
  };
  const equip = () => {
    document.querySelectorAll(".gallery > .gallery-item").forEach((button) => {
      const index = [...button.parentElement.children].indexOf(button);
      set(button, "aria-label", "Example photo: " + EXAMPLES[index]);
    });
    document.querySelectorAll(".thumbnail-item").forEach((button) => {
      const caption = button.querySelector(".caption-label");
      if (caption) set(button, "aria-label", caption.textContent.trim().replaceAll("\n", ", "));
    });
    document.querySelectorAll(".status").forEach((text) => {
      if (!text.parentElement.closest(".status")) set(text, "role", "status");
    });
    document.querySelectorAll(".empty[aria-label]").forEach((box) => set(box, "role", "img"));
    document.querySelectorAll(".compared [data-testid=slider]").forEach((handle) => {
      if (handle.getAttribute("role") === "slider") return;
      set(handle, "role", "slider");
      set(handle, "tabindex", 0);
      set(handle, "aria-label", "Before and after: percentage of the photo that is shown");
      set(handle, "aria-valuemin", 0);
      set(handle, "aria-valuemax", 100);
      tell(handle);
      handle.addEventListener("keydown", move);
      new MutationObserver(() => tell(handle)).observe(handle, {attributeFilter: ["style"]});
    });
  };
  let waiting = false;
  const soon = () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => { waiting = false; equip(); }, 50);
  };
  new MutationObserver(soon).observe(document.body, {
    childList: true, subtree: true, attributeFilter: ["aria-label"],
  });
  equip();
}""".replace("NAMES", json.dumps([text.split(",")[0] for text in EXAMPLE_PHOTOS.values()]))
