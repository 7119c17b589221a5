"""How the pages look: colours of enough contrast, and a phone's width."""

from __future__ import annotations

import json
from typing import Final

import gradio as gr

from hfstyle.examples import EXAMPLE_PHOTOS

CSS: Final = """
.gradio-container { width: 100%; min-width: 0; max-width: 1280px !important; margin: 0 auto !important; }
.presets .caption-label, .results .caption-label {
  font-size: .75rem; line-height: 1.25; inset: auto 0 0 0; max-width: none; padding: .2rem .4rem 0;
  max-height: calc(2.5em + .2rem); overflow: hidden;
  border: 0; border-radius: 0; text-align: left;
  white-space: normal; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2;
}
.strip .caption-label { text-align: center; }
input[role="listbox"] { text-overflow: ellipsis; padding-right: 2rem; }
.results .grid-wrap { height: auto; min-height: 0; max-height: none; }
.results .grid-container, .presets .grid-container { padding-top: 0; }
.dark button[role="tab"][aria-selected="true"] { color: var(--primary-400); }
.strip .grid-container { grid-template-columns: repeat(5, minmax(0, 1fr)) !important; }
.block.files:has(.empty) { display: none; }
@media (max-width: 640px) {
  .gradio-container > .main { padding: .5rem !important; }
  .strip .grid-container { gap: .25rem; }
}
"""

# Gradio's example pictures are buttons without a name for screen readers.
NAME_EXAMPLES: Final = """() => setTimeout(() => {
  const names = NAMES;
  document.querySelectorAll(".gallery-item").forEach((button) => {
    const index = [...button.parentElement.children].indexOf(button);
    button.setAttribute("aria-label", "Example photo: " + names[index]);
  });
}, 500)""".replace("NAMES", json.dumps([text.split(",")[0] for text in EXAMPLE_PHOTOS.values()]))


def studio_theme() -> gr.themes.Base:
    """Fonts of the visitor's own system, and colours of a contrast of at least 4.5 to 1."""
    theme = gr.themes.Soft(
        primary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    return theme.set(
        body_background_fill="*neutral_50",
        color_accent="*primary_600",
        checkbox_label_background_fill_selected="*primary_600",
        block_label_text_color="*primary_800",
        block_title_text_color="*primary_800",
        block_info_text_color="*neutral_600",
        body_text_color_subdued="*neutral_600",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
    )
