"""Mixtures of styles."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import gradio as gr

from hfstyle import StyleCode
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.jobs import PROGRESS, job
from hfstyle.studio.backend.origin import with_origin
from hfstyle.studio.backend.refusals import (
    friendly,
    friendly_steps,
    needed,
    plain,
    refusal,
    whole,
)
from hfstyle.studio.backend.settings import DEFAULTS, Settings, with_settings
from hfstyle.studio.backend.wishes import Wishes
from hfstyle.studio.pages.chosen import ChosenStyle, OnStylize, name_on_stylize, use_style
from hfstyle.studio.pages.parts import (
    QUIET,
    before_after_slider,
    files_of_wish,
    first_status,
    stop_button,
    wish_of,
)
from hfstyle.studio.pages.remember import remember_in_tab
from hfstyle.studio.pages.shared import Shared
from hfstyle.studio.pages.slots import (
    ORDINALS,
    STYLE_SLOTS,
    Files,
    Slots,
    as_it_was,
    begin_with_two,
    slot_styles,
    slots_line,
    style_slot,
    with_slots,
)

_WEIGHTS: Final = (1.0, 1.0, 0.0, 0.0)
_NONE: Final = "Choose at least one style and give it a weight above 0."
_SLOTS: Final = 3 * STYLE_SLOTS  # values
_FILES: Final = _SLOTS + STYLE_SLOTS
_SHARE: Final = "share of the {ordinal} style, from 0 to 1; shares are divided by their sum"


class MixHandlers:
    """What the components call. The docstrings of the public ones are the API's documentation."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def _mixture(
        self, style_size: int, slots: Slots, files: Files, on_stylize: OnStylize
    ) -> StyleCode | None:
        codes, weights = slot_styles(self.studio, style_size, slots, files, on_stylize)
        if not codes:
            return None
        line = slots_line(self.studio, slots, files, on_stylize)
        return with_origin(StyleCode.mix(codes, weights), line)

    @with_slots(_WEIGHTS, _SHARE)
    @with_settings()
    def render_mix(
        self,
        content: str | None,
        settings: Settings,
        slots: Slots,
        files: Files,
        preset: str | None,
        style: str | None,
        style_file: str | None,
    ) -> Iterator[tuple[Any, Any]]:
        """Before and after, status."""
        on_stylize = OnStylize(preset, style, style_file, settings.style_size)
        work = partial(self._rendered_mix, content, settings, slots, files, on_stylize)
        yield (yield from job(work, (gr.skip(), gr.skip())))

    def _rendered_mix(
        self,
        content: str | None,
        settings: Settings,
        slots: Slots,
        files: Files,
        on_stylize: OnStylize,
    ) -> tuple[Any, str]:
        shown = content or self.studio.first_photo
        if shown is None:
            return None, "Choose a photo to begin."
        original = self.studio.original_preview(shown, settings.resolution)
        code = self._mixture(settings.style_size, slots, files, on_stylize)
        if code is None:
            return (original, original), "Choose styles and give them weights."
        key = slots, files, on_stylize
        painted = self.studio.painted_preview(shown, code, key, settings)
        return (original, painted), plain(code.name)

    def save_mixture(self, style_size: float, *values: Any) -> Iterator[Any]:
        """The style file of a mixture; values: slots, files, and what is chosen on Stylize."""
        slots, files = values[:_SLOTS], values[_SLOTS:_FILES]
        preset, style, style_file = values[_FILES:] or (None, None, None)

        def work() -> str:
            size = whole(style_size, "style size")
            on_stylize = OnStylize(preset, style, style_file, size)
            code = self._mixture(size, slots, files, on_stylize)
            if code is None:
                raise refusal(_NONE)
            return self.studio.save_style(code)

        yield (yield from job(work, gr.skip()))

    @with_slots(_WEIGHTS, _SHARE)
    @with_settings()
    def mix(
        self,
        content: str | None,
        settings: Settings = DEFAULTS,
        slots: Slots = (),
        files: Files = (),
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """Paint a photo in a mixture of up to four styles, and save the mixture as a style file.

        Args:
            content: the photo.
            settings: as of the sliders.
            slots: preset, picture and weight of each style.
            files: style file of each style.

        Returns:
            The painted photo, a PNG file; and the style file, which /stylize takes.
        """
        yield from self._mixed(content, settings, slots, files, OnStylize(), progress)

    @with_slots(_WEIGHTS, _SHARE)
    @with_settings()
    def mix_here(
        self,
        content: str | None,
        settings: Settings,
        slots: Slots,
        files: Files,
        preset: str | None,
        style: str | None,
        style_file: str | None,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """The same, where the style of Stylize may be among them."""
        on_stylize = OnStylize(preset, style, style_file, settings.style_size)
        yield from self._mixed(content, settings, slots, files, on_stylize, progress)

    def _mixed(
        self,
        content: str | None,
        settings: Settings,
        slots: Slots,
        files: Files,
        on_stylize: OnStylize,
        progress: gr.Progress,
    ) -> Iterator[Any]:
        studio, photo = self.studio, needed(content, "photo")

        def work() -> tuple[str, str]:
            code = self._mixture(settings.style_size, slots, files, on_stylize)
            if code is None:
                raise refusal(_NONE)
            return studio.full_size(photo, code, settings), studio.save_style(code)

        yield (yield from job(work, (gr.skip(), gr.skip()), progress))


def mix_page(
    handlers: MixHandlers,
    compute: dict[str, Any],
    private: dict[str, Any],
    demo: gr.Blocks,
    shared: Shared,
    chosen: ChosenStyle,
) -> None:
    """Build the page.

    Args:
        handlers: what its components call.
        compute: options of events that paint.
        private: the same, for events that are no endpoints.
        demo: whose loading chooses the first styles.
        shared: photo and settings.
        chosen: the style of the page Stylize, which a mixture may become.
    """
    studio = handlers.studio
    content, style_size = shared.content, shared.style_size
    slots: list[Any] = []
    files: list[Any] = []
    with gr.Row(elem_classes="result-first"):
        with gr.Column(scale=2, min_width=320):
            gr.Markdown("Choose styles, and how much of each is in the mixture.")
            name_on_stylize(studio, chosen)
            for index, ordinal in enumerate(ORDINALS):
                with gr.Accordion(f"{ordinal.title()} style", open=index < 2):
                    *choice, own = style_slot(studio, str(index + 1))
                    weight = gr.Slider(
                        0, 1, value=_WEIGHTS[index], step=0.05, label=f"Weight {index + 1}"
                    )
                    slots += [*choice, weight]
                    files.append(own)
        with gr.Column(scale=3, min_width=320):
            before_after = before_after_slider()
            status = gr.Markdown(first_status(studio), elem_classes="status")
            with gr.Row():
                save = gr.Button("Full-size picture and style file", variant="primary", scale=4)
                use = gr.Button("Use this style on Stylize", scale=3)
                stop = stop_button()
            file = gr.File(label="Full-size PNG", elem_classes="files")
            style_file = gr.File(label="Style file", elem_classes="files")
    inputs = [content, *shared.settings, *slots, *files, *chosen.components]
    changes = [c.input if isinstance(c, gr.Dropdown) else c.change for c in [*slots, *files]]
    changes.append(shared.wakes["mix"].change)
    wishes = Wishes()
    render = wishes.newest(friendly_steps(handlers.render_mix))
    # A style that is chosen counts; where its weight is 0, that would not be seen.
    for preset, style, weight, own in zip(slots[::3], slots[1::3], slots[2::3], files, strict=True):
        gr.on(
            [preset.input, style.upload, own.upload],
            lambda amount: amount or 1.0,
            weight,
            weight,
            **QUIET,
        )
    wish_of(wishes, changes, inputs, [file, style_file])
    shown = gr.on(
        changes,
        render,
        inputs,
        [before_after, status],
        trigger_mode="always_last",
        show_progress="minimal",
        **private,
    )
    files_of_wish(wishes, save, inputs)
    run = save.click(
        wishes.files(friendly_steps(handlers.mix_here), len(inputs), 2),
        inputs,
        [file, style_file],
        **private,
    )
    gr.Button(visible=False).click(
        friendly_steps(handlers.mix),
        [content, *shared.settings, *slots, *files],
        [file, style_file],
        api_name="mix",
        **compute,
    )
    first = begin_with_two(studio, demo, slots, chosen)
    here = [*slots, *files]
    remember_in_tab(demo, "mix", here, first)

    def kept(*values: Any) -> list[Any]:
        """Before the mixture becomes the style of Stylize, and the mixture a mixture of itself."""
        slots, files = as_it_was(values[:_SLOTS], values[_SLOTS:_FILES], *values[_FILES:])
        pairs = zip((*slots, *files), values[:_FILES], strict=True)
        return [gr.skip() if new == old else new for new, old in pairs]

    before = use.click(friendly(kept), [*here, *chosen.components], here, **QUIET)
    mixture = [style_size, *here, *chosen.components]
    use_style(use, friendly_steps(handlers.save_mixture), mixture, chosen, private, before)

    stop.click(None, cancels=[run, shown])
