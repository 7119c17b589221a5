"""New styles: by words, and by chance."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import gradio as gr

from hfstyle import StyleCode
from hfstyle.limits import OPTIONS
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.jobs import PROGRESS, job
from hfstyle.studio.backend.origin import seed_line, with_origin, words_line
from hfstyle.studio.backend.refusals import friendly_steps, needed, plain, refusal, whole
from hfstyle.studio.backend.settings import DEFAULTS, Settings, with_settings
from hfstyle.studio.backend.style_names import caption_of, facts_of, shown_name
from hfstyle.studio.backend.wishes import Wishes
from hfstyle.studio.pages.chosen import ChosenStyle, use_style
from hfstyle.studio.pages.parts import (
    IN_VIEW,
    before_after_slider,
    files_of_wish,
    in_view,
    option_slider,
    results_gallery,
    stop_button,
    wish_of,
)
from hfstyle.studio.pages.remember import remember_in_tab
from hfstyle.studio.pages.shared import Shared

SHOWN: Final = 6
"""Styles that are offered at a time."""
MAX_SEED: Final = 2**31 - 1
LONGEST_QUERY: Final = 200
"""Letters of a search."""

_OFFER_RESOLUTION: Final = 256  # of the pictures to choose from


@dataclass(frozen=True)
class Found:
    """How a style was found, from which it can be found again: a visitor's page keeps no more."""

    text: str = ""
    index: int = 0
    seed: int = 0
    variety: float = 1.0


class DiscoverHandlers:
    """The docstrings of the public ones are the API's documentation."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    @with_settings("style_size")
    def offer_random(
        self, content: str | None, seed: float, variety: float, settings: Settings
    ) -> Iterator[tuple[Any, Any, Any]]:
        """Pictures in styles by chance, as they come; what they are; the first as the chosen one."""
        first = _seed(seed)
        seeds = [(first + step) % MAX_SEED for step in range(SHOWN)]
        offers = [(Found(seed=one, variety=float(variety)), f"seed {one}") for one in seeds]
        yield from self._offer(content, offers, settings)

    @with_settings("style_size")
    def offer_words(
        self, content: str | None, text: str, settings: Settings
    ) -> Iterator[tuple[Any, Any, Any]]:
        """The same, in styles that words describe."""
        text = _words(text)
        matches = yield from job(
            partial(self.studio.pipe.find_styles, text, SHOWN), (gr.skip(), gr.skip(), gr.skip())
        )
        offers = []
        for index, match in enumerate(matches):
            words = ", ".join(dict.fromkeys(match.matched.values()))
            told = caption_of(match.code)
            offers.append((Found(text, index), f"{told}\n{words}" if words else told))
        yield from self._offer(content, offers, settings)

    def _offer(
        self, content: str | None, offers: list[tuple[Found, str]], settings: Settings
    ) -> Iterator[tuple[Any, Any, Any]]:
        shown = content or self.studio.first_photo
        if shown is None:
            raise refusal("Choose a photo first.")
        pictures: list[tuple[str, str]] = []
        small = replace(settings, resolution=_OFFER_RESOLUTION)

        def paint(found: Found) -> str:
            return self.studio.painted_preview(shown, self._code(found), found, small)

        for found, label in offers:
            path = yield from job(partial(paint, found), (gr.skip(), gr.skip(), gr.skip()))
            pictures.append((path, label))
            if len(pictures) == 1:  # from now on a visitor may choose another one
                first = gr.update(value=list(pictures), selected_index=0)
                yield first, [found for found, _ in offers], found
            else:
                yield list(pictures), gr.skip(), gr.skip()

    @with_settings("style_size")
    def render(
        self, content: str | None, found: Found | None, settings: Settings
    ) -> Iterator[tuple[Any, Any]]:
        """Before and after of the chosen style, status."""
        work = partial(self._rendered, content, found, settings)
        yield (yield from job(work, (gr.skip(), gr.skip())))

    def _rendered(
        self, content: str | None, found: Found | None, settings: Settings
    ) -> tuple[Any, str]:
        shown = content or self.studio.first_photo
        if shown is None or found is None:
            return gr.skip(), "Find a style by words, or press **Surprise me**."
        code = self._code(found)
        original = self.studio.original_preview(shown, settings.resolution)
        painted = self.studio.painted_preview(shown, code, found, settings)
        return (original, painted), plain(shown_name(code))

    @with_settings("style_size")
    def keep(
        self,
        content: str | None,
        found: Found | None,
        settings: Settings,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """Full-size picture and style file of the chosen style."""
        yield from self._kept(content or self.studio.first_photo, found, settings, progress)

    def _kept(
        self, photo: str | None, found: Found | None, settings: Settings, progress: gr.Progress
    ) -> Iterator[Any]:
        if photo is None or found is None:
            raise refusal("Find a style first.")

        def work() -> tuple[str, str]:
            code = self._code(found)
            return self.studio.full_size(photo, code, settings), self.studio.save_style(code)

        yield (yield from job(work, (gr.skip(), gr.skip()), progress))

    def save_found(self, found: Found | None) -> Iterator[Any]:
        """The style file of the chosen style."""
        if found is None:
            raise refusal("Find a style first.")
        yield (yield from job(lambda: self.studio.save_style(self._code(found)), gr.skip()))

    @with_settings("style_size")
    def sample(
        self,
        content: str | None,
        seed: float = 0,
        variety: float = OPTIONS["temperature"].default,
        settings: Settings = DEFAULTS,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """Paint a photo in a style by chance, drawn from the styles of the training art, at the photo's full size.

        Args:
            content: the photo.
            seed: a whole number from 0; the same one gives the same style.
            variety: from 0, the mean of all styles, over 1, as various as the training art, to 2.
            settings: as of the sliders.

        Returns:
            The painted photo, a PNG file; and the style file, which /stylize takes.
        """
        found = Found(seed=_seed(seed), variety=float(variety))
        photo = needed(content, "photo")
        yield from self._kept(photo, found, settings, progress)

    def find(self, text: str, count: float = 5) -> Iterator[tuple[Any, Any]]:
        """Find styles by words, among the presets and the training art.

        Args:
            text: such as "soft watercolour of a misty lake": movements, artists, techniques, colours, textures.
            count: how many, from 1 to 6.

        Returns:
            Name, title as the page shows it, artist and year where they are known, score from 0 to 1 and the words that
            matched, best first; and their style files, which /stylize takes.
        """
        count = whole(count, "number of styles")
        if not 1 <= count <= SHOWN:
            raise refusal(f"{count} styles; give a number from 1 to {SHOWN}.")
        words = _words(text)

        def work() -> tuple[list[dict[str, Any]], list[str]]:
            matches = self.studio.pipe.find_styles(words, count)
            told = [
                {
                    "name": match.name,
                    **facts_of(match.code),
                    "score": round(match.score, 4),
                    "matched": dict(match.matched),
                }
                for match in matches
            ]
            return told, [self.studio.save_style(match.code) for match in matches]

        yield (yield from job(work, (gr.skip(), gr.skip())))

    def _code(self, found: Found) -> StyleCode:
        pipe = self.studio.pipe
        if found.text:
            code = pipe.find_styles(found.text, SHOWN)[found.index].code
            return with_origin(code, words_line(found.text, found.index))
        code = pipe.sample_style(found.seed, found.variety)
        return with_origin(code, seed_line(found.seed, found.variety))


def _seed(value: float | None) -> int:
    seed = whole(value or 0, "seed")
    if not 0 <= seed <= MAX_SEED:
        raise refusal(f"The seed is {seed}; give a whole number from 0 to {MAX_SEED}.")
    return seed


def _words(text: str | None) -> str:
    text = (text or "").strip()
    if not text:
        raise refusal("Type a few words, such as: blue woodcut waves.")
    return text[:LONGEST_QUERY]


_DICE: Final = 100_000  # seeds that are easy to read and type again


def discover_page(
    handlers: DiscoverHandlers,
    compute: dict[str, Any],
    private: dict[str, Any],
    demo: gr.Blocks,
    shared: Shared,
    chosen_style: ChosenStyle,
) -> None:
    """Build the page.

    Args:
        handlers: what its components call.
        compute: options of events that paint.
        private: the same, for events that are no endpoints.
        demo: whose loading brings back what was looked for.
        shared: photo and settings.
        chosen_style: the style of the page Stylize, which one that was found may become.
    """
    content = shared.content
    offers, chosen = gr.State([]), gr.State(None)
    with gr.Row(elem_classes="browse"):
        with gr.Column(scale=2, min_width=320, elem_classes="styles"):
            text = gr.Textbox(
                label="Styles by words",
                placeholder="blue woodcut waves",
                info="movements, artists, techniques, colours, textures",
                max_length=LONGEST_QUERY,
            )
            search = gr.Button("Find styles", variant="primary")
            dice = gr.Button("Surprise me", variant="primary")
            with gr.Accordion("Seed and variety", open=False):
                seed = gr.Number(
                    0,
                    precision=0,
                    minimum=0,
                    maximum=MAX_SEED,
                    label="Seed",
                    info="the same seed gives the same style",
                )
                variety = option_slider("temperature", "Variety", step=0.1)
            hint = gr.Markdown(
                "**Choose one** of the styles that were found.",
                elem_classes=["found-hint", "status"],
            )
            shown = results_gallery(
                "Found styles",
                object_fit="cover",
                elem_classes=["results", "found"],
                allow_preview=False,
                buttons=[],
            )
        with gr.Column(scale=3, min_width=320, elem_classes="result"):
            before_after = before_after_slider()
            status = gr.Markdown("", elem_classes="status")
            with gr.Row():
                keep = gr.Button("Full-size picture and style file", variant="primary", scale=4)
                use = gr.Button("Use this style on Stylize", scale=3)
                stop = stop_button()
            file = gr.File(label="Full-size PNG", elem_classes="files")
            style_file = gr.File(label="Style file", elem_classes="files")
    settings = shared.settings_without("style_size")
    found_out, quiet = [shown, offers, chosen], {"show_progress": "minimal", **private}
    finds: dict[str, Any] = {"show_progress_on": [shown, hint], **quiet}
    # On a phone the picture and the first of the styles are then seen together.
    gr.on(
        [search.click, text.submit, dice.click],
        None,
        js=in_view("#page-discover .compared", "start"),
        api_visibility="private",
    )
    searched = gr.on(
        [search.click, text.submit],
        friendly_steps(handlers.offer_words),
        [content, text, *settings],
        found_out,
        **finds,
    )
    seeded = dice.click(
        lambda: secrets.randbelow(_DICE),
        None,
        seed,
        api_visibility="private",
        queue=False,
    )
    draw = friendly_steps(handlers.offer_random)
    by_chance = [content, seed, variety, *settings]
    surprised = seeded.then(draw, by_chance, found_out, **finds)
    drawn = gr.on([seed.submit, variety.release], draw, by_chance, found_out, **finds)

    def choose(offered: list[Found], event: gr.SelectData) -> Found:
        return offered[int(event.index)]

    shown.select(None, js=IN_VIEW, api_visibility="private")
    # In the queue: what is changed outside of it fires no event of the change.
    shown.select(choose, offers, chosen, api_visibility="private", show_progress="hidden")
    changes = [chosen.change, shared.wakes["discover"].change]
    wishes = Wishes()
    wish_of(wishes, changes, [content, chosen, *settings], [file, style_file])
    gr.on(
        changes,
        wishes.newest(friendly_steps(handlers.render)),
        [content, chosen, *settings],
        [before_after, status],
        trigger_mode="always_last",
        **quiet,
    )
    files_of_wish(wishes, keep, [content, chosen, *settings])
    kept = keep.click(
        wishes.files(friendly_steps(handlers.keep), 2 + len(settings), 2),
        [content, chosen, *settings],
        [file, style_file],
        **private,
    )
    use_style(use, friendly_steps(handlers.save_found), [chosen], chosen_style, private)
    stop.click(None, cancels=[searched, surprised, drawn, kept])
    remember_in_tab(demo, "discover", [text, seed, variety])

    # The endpoints: what the page needs several steps for, programs do in one.
    matches = gr.JSON(label="Matches", visible=False)
    files = gr.File(label="Style files", file_count="multiple", visible=False)
    count = gr.Number(5, precision=0, visible=False, label="count")
    endpoint: list[Any] = [content, seed, variety, *settings]
    never = gr.Button(visible=False)
    never.click(
        friendly_steps(handlers.sample), endpoint, [file, style_file], api_name="sample", **compute
    )
    never.click(
        friendly_steps(handlers.find), [text, count], [matches, files], api_name="find", **compute
    )
