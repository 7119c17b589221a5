"""The editor of the page Regions: what Gradio's does with its photo, as scripts of the page."""

from __future__ import annotations

from typing import Final

__all__ = ["CLEAR_STROKES", "FILLED"]

FILLED: Final = """() => {
  document.querySelector("#regions").dataset.filled = "";
}"""
"""Once the editor has drawn a photo."""

# Gradio's button to clear takes the photo away as well, for good. Here it undoes every stroke, and each can be redone. Names of
# buttons are in the visitor's language, so they are found by their places: undo, redo, clear are the last.
CLEAR_STROKES: Final = """() => {
  if (window.strokesAreCleared) return;
  window.strokesAreCleared = true;
  document.addEventListener("click", async (event) => {
    const bar = event.target.closest("#regions .icon-button-wrapper");
    if (!bar) return;
    const buttons = [...bar.querySelectorAll("button")];
    if (event.target.closest("button") !== buttons.at(-1)) return;
    event.stopImmediatePropagation();
    const undo = buttons.at(-3);
    while (undo && !undo.disabled) {
      undo.click();
      await new Promise((resolve) => setTimeout(resolve));  // until the button knows whether there is more
    }
  }, {capture: true});
}"""
"""For a page when it is loaded."""
