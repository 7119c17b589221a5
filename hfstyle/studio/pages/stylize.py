"""The first page: one photo, one style."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import gradio as gr

from hfstyle.studio.backend.drawing import DRAWN
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.gallery import Thumbnails
from hfstyle.studio.backend.jobs import PROGRESS, job
from hfstyle.studio.backend.refusals import friendly_steps, needed, plain, refusal
from hfstyle.studio.backend.results import AS_PHOTO, DEFAULT_QUALITY, file_format
from hfstyle.studio.backend.settings import DEFAULTS, Settings, with_settings
from hfstyle.studio.backend.style_names import shown_name
from hfstyle.studio.backend.wishes import Wishes
from hfstyle.studio.pages.chosen import ChosenStyle
from hfstyle.studio.pages.keep import keep_part, link_button
from hfstyle.studio.pages.parts import (
    IN_VIEW,
    NOTHING_MARKED,
    ON_CHANGE,
    QUIET,
    before_after_slider,
    files_of_wish,
    first_status,
    format_choice,
    quality_slider,
    results_gallery,
    sheet_choice,
    stop_button,
    wish_of,
)
from hfstyle.studio.pages.shared import Shared
from hfstyle.studio.pages.style_part import style_part
from hfstyle.studio.pages.wipe import WipeHandlers, wipe_part, wipe_results

STRIP: Final = (0.0, 0.25, 0.5, 0.75, 1.0)


class StylizeHandlers:
    """What the components call. The docstrings of the public ones are the API's documentation."""

    def __init__(self, studio: Studio, thumbnails: Thumbnails) -> None:
        self.studio, self.thumbnails = studio, thumbnails

    @with_settings()
    def render(
        self,
        content: str | None,
        preset: str | None,
        style: str | None,
        style_file: str | None,
        settings: Settings,
    ) -> Iterator[tuple[Any, Any, Any]]:
        """Before and after, side by side, status."""
        work = partial(self._rendered, content, preset, style, style_file, settings)
        yield (yield from job(work, (gr.skip(), gr.skip(), gr.skip())))

    def _rendered(
        self,
        content: str | None,
        preset: str | None,
        style: str | None,
        style_file: str | None,
        settings: Settings,
    ) -> tuple[Any, Any, str]:
        studio = self.studio
        code = studio.style(style, style_file, preset, settings.style_size)
        shown = content or studio.first_photo
        if shown is None:
            return None, None, "Choose a photo to begin."
        original = studio.original_preview(shown, settings.resolution)
        if code is None:
            return (original, original), None, "Choose a style."
        key = style or style_file or preset
        painted = studio.painted_preview(shown, code, key, settings)
        by_preset = preset if not style and not style_file else None
        label = studio.labels.get(by_preset or "") or shown_name(code)
        seen = studio.swatch(style) if style else studio.drawing(code, key)
        beside = [
            (original, "Photo"),
            (seen, "Style" if style else DRAWN),
            (painted, f"Painted, strength {settings.strength:g}"),
        ]
        height, width = studio.preview(shown, settings.resolution).size
        status = f"{plain(label)}: {width} × {height} px"
        if content:
            status += studio.told_full_size(content, (width, height), settings)
        if not content:
            status += " (an example photo)"
        return (original, painted), beside, status

    @with_settings()
    def strip(
        self,
        content: str | None,
        preset: str | None,
        style: str | None,
        style_file: str | None,
        settings: Settings,
    ) -> Iterator[Any]:
        """The same picture at strengths from 0 to 1, all at once; whoever moves a slider meanwhile need not wait."""
        studio = self.studio
        find = partial(studio.style, style, style_file, preset, settings.style_size)
        code = yield from job(find, gr.skip())
        shown = content or studio.first_photo
        if shown is None or code is None:
            yield None
            return
        pictures = []
        for amount in STRIP:
            at = replace(settings, strength=amount)
            key = style or style_file or preset
            paint = partial(studio.small_painted_preview, shown, code, key, at)
            pictures.append(((yield from job(paint, gr.skip())), f"{amount:g}"))
        amount = settings.strength
        place = STRIP.index(amount) if amount in STRIP else NOTHING_MARKED
        yield gr.update(value=pictures, selected_index=place)

    @with_settings()
    def stylize(
        self,
        content: str | None,
        preset: str | None = None,
        style: str | None = None,
        style_file: str | None = None,
        settings: Settings = DEFAULTS,
        format: str = "png",
        quality: float = DEFAULT_QUALITY,
        print_size: str = AS_PHOTO,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """Paint a photo in a style, at the photo's full size.

        Args:
            content: the photo.
            preset: name of a style of the gallery; used if there is no style picture and no style file.
            style: a picture whose style is taken.
            style_file: a style file that /encode or /mix made; used if there is no style picture.
            settings: as of the sliders.
            format: of the file: "png", "jpeg" or "webp".
            quality: of JPEG and WebP, from 1 to 100.
            print_size: on what the file says that it prints: "10x15" cm, "A5", "A4" or "A3"; "photo" is as of the photo.

        Returns:
            The painted photo, a file with the settings in its name and, as PNG, in its metadata.
        """
        studio, photo = self.studio, needed(content, "photo")
        ending = file_format(format, quality, print_size)

        def work() -> str:
            code = studio.style(style, style_file, preset, settings.style_size)
            if code is None:
                raise refusal("Choose a style first: a preset, a style picture or a style file.")
            return studio.full_size(photo, code, settings, ending=ending)

        yield (yield from job(work, gr.skip(), progress))


def stylize_page(
    handlers: StylizeHandlers,
    compute: dict[str, Any],
    private: dict[str, Any],
    demo: gr.Blocks,
    shared: Shared,
    tabs: Sequence[tuple[gr.Tabs, str]],
) -> ChosenStyle:
    """Build the page; returns its style, which other pages may set.

    Args:
        handlers: what its components call.
        compute: options of events that paint.
        private: the same, for events that are no endpoints.
        demo: whose loading chooses the first style, or what the page's address says.
        shared: photo and settings.
        tabs: of the page, outermost first.
    """
    studio = handlers.studio
    with gr.Row(elem_classes="browse"):
        with gr.Column(scale=2, min_width=320, elem_classes="styles"):
            chosen = style_part(handlers.thumbnails, studio, demo, tabs)
        with gr.Column(scale=3, min_width=320, elem_classes="result"):
            before_after = before_after_slider()
            status = gr.Markdown(first_status(studio), elem_id="status", elem_classes="status")
            with gr.Row():
                download = gr.Button("Full-size picture", variant="primary", scale=4)
                link_button(studio, [chosen.preset, chosen.origin, *shared.settings])
                stop = stop_button()
            file = gr.File(label="Full-size picture: press ⇣ to save it", elem_classes="files")
            with gr.Accordion("File format and print size", open=False):
                with gr.Row():
                    format = format_choice()
                    quality = quality_slider()
                sheet = sheet_choice()
                printed = gr.Markdown("", elem_classes="status")
            kept = gr.Column()
            beside = results_gallery("Side by side")
            gr.Markdown("**Strength from 0 to 1**: choose one to set the slider")
            strip = results_gallery(
                "Strength from 0 to 1",
                len(STRIP),
                elem_classes=["results", "strip"],
                allow_preview=False,
            )

    for tiles in (chosen.gallery, strip):  # first: a page waits for one event before the next
        tiles.select(None, js=IN_VIEW, api_visibility="private")
    inputs: list[Any] = [shared.content, *chosen.components, *shared.settings]
    changes = [component.change for component in chosen.components]
    changes.append(shared.wakes["stylize"].change)
    # In this order: a page waits for one event before it begins the next.
    wishes = Wishes()
    moving = wipe_results()
    wish_of(wishes, changes, inputs, [file, *moving])
    shown = gr.on(
        changes,
        wishes.newest(friendly_steps(handlers.render)),
        inputs,
        [before_after, beside, status],
        trigger_mode="always_last",
        show_progress="minimal",
        **private,
    )
    strengths = shown.then(
        wishes.afterwards(friendly_steps(handlers.strip)),
        inputs,
        strip,
        show_progress="minimal",
        **private,
    )
    gr.on(  # what is shown is of the format before
        [format.input, quality.release, sheet.input], lambda: None, None, file, **QUIET
    )
    files_of_wish(wishes, download, inputs)
    run = download.click(
        wishes.files(friendly_steps(handlers.stylize), len(inputs)),
        [*inputs, format, quality, sheet],
        file,
        api_name="stylize",
        **compute,
    )
    stop.click(None, cancels=[run, shown, strengths])
    gr.on(
        [shared.content.change, sheet.change],
        studio.told_print,
        [shared.content, sheet],
        printed,
        **ON_CHANGE,
    )
    with kept:
        wipe_part(WipeHandlers(studio), inputs, moving, wishes, private)
        keep_part(studio, shown, inputs, shared, chosen, demo)

    def strength_of(event: gr.SelectData) -> float:
        return STRIP[int(event.index)]

    strip.select(
        strength_of,
        None,
        shared.strength,
        **QUIET,
    )
    return chosen
