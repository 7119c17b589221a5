"""How the pages look: colours of enough contrast, a visible focus, and a phone's width."""

from __future__ import annotations

from typing import Final

import gradio as gr

_UNUSED: Final = {
    "many": ".photos",
    "learn": ".amounts, .brush",
    "animate": ".detail > *",
    "video": ".photos",
    "live": ".photos, .detail > *",
    "about": ".photos, .amounts, .brush",
}
"""By page, what stands above all pages and does nothing on this one. It keeps its place, so that the pages do not jump."""


def _only_useful(page: str, unused: str) -> str:
    is_open = f':has(#page-{page}):not(:has(.tabitem[style*="none"] #page-{page}))'
    return f".gradio-container{is_open} :is({unused}) {{ visibility: hidden; }}\n"


CSS: Final = """
.gradio-container { width: 100%; min-width: 0; max-width: 1280px !important; margin: 0 auto !important; }
.gradio-container > .main { padding: clamp(.5rem, 2.5vw, 2rem) !important; }
.dark { --color-accent: var(--primary-500); }
.dark button[role="tab"][aria-selected="true"] { color: var(--primary-400); }

/* The focus of the keyboard */
:focus-visible { outline: 2px solid var(--focus) !important; outline-offset: 1px; }
:root { --focus: var(--primary-600); }
.dark { --focus: var(--primary-300); }
input[type="range"]:focus-visible { outline-offset: 4px; }
.compared .icon-wrap { color: white; background-color: var(--primary-600); }
.drawing:not([data-filled]) canvas { visibility: hidden; }  /* white until it shows a photo, in the dark, too */
.dark .drawing .empty { color: var(--body-text-color-subdued); }
.compared [role="slider"]:focus-visible { outline: none !important; }
.compared [role="slider"]:focus-visible .icon-wrap { outline: 3px solid var(--focus); outline-offset: 2px; }
.thumbnail-item:focus-visible, .gallery-item:focus-visible { outline-offset: -2px; }
input[type="range"]::-webkit-slider-thumb { background: var(--slider-color); border: 2px solid white; }
.dark input[type="range"] { --neutral-200: var(--neutral-600); }  /* the part of a slider that is not filled */
input[type="range"]::-moz-range-thumb { background: var(--slider-color); border: 2px solid white; }

/* Labels and buttons stand above pictures, captions below them, whole */
.block:not(.photo, #camera):has(> label.float):has(img, video) { display: flex; flex-direction: column; }
.block:not(.photo, #camera):has(img, video) > label.float { position: static; flex: none; align-self: flex-start; }
.block:not(#camera):has(> label.float):has(img, video) > label.float ~ * { min-height: 0; }
.photo:has(img:not(.hide)) > label.float { clip-path: inset(50%); }  /* small, and what it is is plain */
.results :is(.grid-wrap, .image-container):has(> .top-panel button) { padding-top: 2.25rem; }
.grid-container .thumbnail-item {
  display: flex; flex-direction: column; height: 100%; aspect-ratio: auto;
}
.grid-container .thumbnail-item img {
  flex: none; height: auto; aspect-ratio: 1; border-radius: 0;
}
.grid-container .caption-label {
  position: static; flex: 1; max-width: none; padding: .25rem .4rem; border: 0; border-radius: 0;
  font-size: .75rem; line-height: 1.25; text-align: left; white-space: pre-line; overflow-wrap: anywhere;
  color: var(--body-text-color); opacity: 1 !important;
}
.strip .caption-label { text-align: center; }
.results .grid-container img { aspect-ratio: auto; max-height: 24rem; }
.results .grid-wrap { height: auto; min-height: 0; max-height: none; }
.results .grid-container, .presets .grid-container { padding-top: 0; grid-auto-rows: auto; }
.strip .grid-container { grid-template-columns: repeat(5, minmax(0, 1fr)) !important; }

/* The hint of a slider has a line of its own, so sliders beside each other are level */
.head:has(.info-text) { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 .5rem; align-items: center; }
.head:has(.info-text) > label { display: contents; }
.head .info-text { grid-area: 2 / 1 / auto / span 2; }

/* On Regions, each region and the rest have a strength and a colour of their own */
.gradio-container:has(#page-regions):not(:has(.tabitem[style*="none"] #page-regions)) .amounts .block:nth-child(-n+2) {
  display: none;
}

/* What is done with a picture stands below it on the first screen */
.result .compared img { max-height: min(440px, max(300px, 45vh)) !important; }

/* Nothing yet: a low box that says so, or none */
.compared .empty, .results .empty { min-height: 4.5rem; }
.compared .empty > *, .results .empty > * { display: none; }
.compared .empty::after, .results .empty::after {
  content: "Nothing painted yet"; font-size: .875rem; color: var(--body-text-color-subdued);
}
.found .empty::after { content: "Nothing found yet"; }
.compared:has(> [data-testid="status-tracker"]:not(.hide)) .empty::after, .compared:has(.generating) .empty::after,
.results:has(.generating) .empty::after { content: "At work …"; }
/* A file that is being made: once its handler has answered, Gradio's tracker says nothing any more */
.column:not(:has(.found .thumbnail-item)) > .found-hint { display: none; }
.files:has(.generating) .empty > * { display: none; }
.files:has(.generating) .empty::after {
  content: "At work …"; font-size: .875rem; color: var(--body-text-color-subdued);
}
.block.files:has(.empty):not(:has([data-testid="status-tracker"]:not(.hide))),
.icon-button-wrapper:not(:has(button, a)) { display: none; }

/* A painted camera fills its box; two films stand beside each other */
.films:not(:has(video, [data-testid="status-tracker"]:not(.hide))) { display: none; }
#live img { width: 100%; height: 100%; object-fit: contain; }
.films > * { flex: 1 1 0 !important; }
[title="grant webcam access"] button > .wrap::after {
  content: var(--no-camera, ""); max-width: 30rem; padding: 0 .5rem; font-size: .85rem; line-height: 1.3; color: var(--body-text-color);
}
/* Gradio says "Record", but nothing is recorded */
#camera .icon-with-text:has([title="start recording"]) { font-size: 0; }
#camera .icon-with-text:has([title="start recording"])::after { content: "Start"; font-size: var(--text-md); }

/* How long it takes, and the place in the queue: in the line that tells of the picture, not over the picture before */
:is(.compared, .results:has(img)) > [data-testid="status-tracker"]:not(:has(.error)) { visibility: hidden; }
.status .meta-text { background: var(--body-background-fill); padding: 0 0 0 .5rem; }
.status .progress-level, .status:has(textarea:not(:placeholder-shown)) .progress-text { display: none; }
.status .pending { opacity: 1 !important; }
.results:has(.meta-text) .empty::after { content: ""; }

/* Example photos fill their squares */
.gallery:has(> .gallery-item) { gap: .5rem; }
.gallery-item .container img { width: 100%; height: 100%; object-fit: cover; }

/* The photo and the settings of all pages in one line; then styles beside the result */
.beside { flex-wrap: nowrap !important; }
.beside > * { min-width: 0 !important; }
.gradio-container > .main { padding-top: .75rem !important; }
.contain > .column { gap: .75rem; }
h1 { font-size: 1.4rem !important; margin: 0 !important; }
.inner > .tab-wrapper button { font-size: .875rem; }
.bar .gallery:has(> .gallery-item) { flex-wrap: nowrap; gap: .35rem; }
.bar .gallery-item { width: auto; min-width: 0; }
.bar .gallery-item .container { width: 3.4rem; height: 3.4rem; min-width: 0; }
.bar .photo .wrap { min-height: 0; font-size: .85rem; line-height: 1.2; padding: 2rem .25rem 0; flex-wrap: wrap; }
.bar .photo .wrap > * { white-space: normal; }
.bar [data-testid="upload-icon"], .bar .icon-wrap { display: none; }
.groups .wrap { flex-wrap: wrap; gap: .35rem; }
.groups label { padding: .2rem .6rem; border-radius: 1rem; font-size: .85rem; }
.groups input { position: absolute; opacity: 0; width: 1px; height: 1px; margin: 0; }
.groups label > span { margin-left: 0 !important; }
.groups label:has(:focus-visible) { outline: 2px solid var(--focus); outline-offset: 1px; }

.icon-button-wrapper .icon-button, .icon-button-wrapper .download-link { min-width: 24px; min-height: 24px; }
.icon-button-wrapper .download-link { display: inline-flex; }
.icon-button-wrapper .download-link button { pointer-events: none; }  /* one target, not two over each other */
.lines textarea { font-family: var(--font-mono); font-size: .8rem; }

.dark input[role="combobox"] { color: var(--body-text-color) !important; }
input[role="combobox"] { text-overflow: ellipsis; padding-right: 2.5rem !important; }

@media (max-width: 640px) {
  h1 { font-size: 1.05rem !important; }
  .tab-container > button { padding: 0 .45rem; font-size: .85rem; }
  h1 + p { display: none; }
  .bar, .browse { gap: .5rem !important; }
  .photo { height: 80px !important; }
  .photo [data-testid="block-label"] { clip-path: inset(50%); }
  .bar .photo .wrap { padding: 0; }
  .bar, .bar > .column:has(.brush) { display: contents; }
  .brush { order: 1; }  /* below the pages */
  .bar .info-text, .bar [data-testid="reset-button"] { display: none; }
  .bar .head:has(.info-text) { display: flex; }
  .bar .head:has(.info-text) > label { display: block; }
  .row:has(> button.primary) { flex-wrap: nowrap; gap: .4rem; }
  .row:has(> button.primary) > button { min-width: 0 !important; padding: .4rem .5rem; font-size: .9rem; }
  .beside .block:has([type="range"]) { padding: .4rem .6rem; }
  .amounts { gap: .3rem; }
  .amounts .block:has([type="range"]) { padding: .3rem .4rem; }
  .amounts .head { gap: .15rem; }
  .amounts .head span { font-size: .8rem; }
  .beside.amounts .head input { width: 2.1rem; font-size: .8rem; }
  .beside .head { flex-wrap: nowrap; align-items: center; margin: 0; }
  .beside .head input { width: 3.2rem; padding: .1rem; }
  .tab-wrapper { height: 2.2rem !important; padding-bottom: 0 !important; }
  .tabitem { padding-top: .4rem !important; }
  .films { flex-direction: column; }
  .films > * { flex: none !important; width: 100%; }
  #page-discover .compared .empty { min-height: 29vh; }  /* the styles stay where they are when one is shown above them */
  .result .compared img { max-height: 29vh !important; }
  .browse { flex-direction: column; }
  .result-first { flex-direction: column-reverse; }
  /* The result, then the styles, then what is done with the result */
  .browse > .result { display: contents; }
  .result > * { order: 1; flex: none; width: 100%; }
  .result > .compared, .result > .live, .result > .status { order: -1; }
  .result > .live { height: 34vh !important; }
  #camera { height: 200px !important; }
  .browse > .styles { flex: none !important; width: 100%; }
  .styles .column { gap: .4rem; }
  .styles .column > .beside { order: 1; }
  .inner { margin-top: -1.1rem; }
  .browse { margin-top: -.7rem; }
  .styles .groups { margin-top: -.7rem; }
  .result > .status { font-size: .8rem; line-height: 1.2; min-height: 2.4em; }  /* two lines, so nothing jumps */
  .result > .status p { font-size: inherit; line-height: inherit; }
  .groups .wrap { flex-wrap: nowrap; overflow-x: auto; }
  .groups label { flex: none; }
  .gallery:has(> .gallery-item) { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); }
  .gallery-item .container { width: 100% !important; max-width: none !important; aspect-ratio: 1; }
  .gallery-item > span { display: block; }
  .presets, .presets .grid-wrap { height: auto !important; }
  .presets .grid-wrap { overflow: auto hidden; }
  .presets .grid-container { grid: auto / auto-flow 6.5rem; gap: .5rem; }
  .strip .grid-container, .results .grid-container { gap: .25rem; }
  .drawing { height: 380px !important; }
}
""" + "".join(_only_useful(*both) for both in _UNUSED.items())


def studio_theme() -> gr.themes.Base:
    """Fonts of the visitor's own system; text of a contrast of at least 4.5 to 1, borders of 3 to 1."""
    theme = gr.themes.Soft(
        primary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    return theme.set(
        body_background_fill="*neutral_50",
        color_accent="*primary_600",
        slider_color="*primary_600",
        slider_color_dark="*primary_500",
        checkbox_label_background_fill_selected="*primary_600",
        checkbox_border_color="*neutral_500",
        checkbox_border_color_dark="*neutral_400",
        block_label_text_color="*primary_800",
        block_title_text_color="*neutral_800",
        block_title_background_fill="transparent",
        block_title_background_fill_dark="transparent",
        block_title_padding="0",
        block_info_text_color="*neutral_600",
        body_text_color_subdued="*neutral_600",
        input_border_color="*neutral_500",
        input_border_color_dark="*neutral_400",
        input_border_width="1px",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_300",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
    )
