"""A film of the visitor's, painted: a part of it is chosen, its first frame is seen, then all of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import gradio as gr
from gradio.utils import get_upload_folder

from hfstyle import StyleCode
from hfstyle.studio.backend.films import (
    DEFAULT_FILM_SIZE,
    FILM_SIZES,
    LIMITS,
    MAX_BEGIN,
    MAX_FILM_SECONDS,
    FilmPart,
    Films,
    FilmUpload,
    example_film,
)
from hfstyle.studio.backend.gpu import on_cpu_here
from hfstyle.studio.backend.jobs import PROGRESS, Line, job
from hfstyle.studio.backend.refusals import (
    friendly,
    friendly_steps,
    needed,
    number,
    refusal,
    within,
)
from hfstyle.studio.backend.settings import DEFAULTS, Settings, with_settings
from hfstyle.studio.backend.stops import Stops
from hfstyle.studio.backend.wishes import Wishes
from hfstyle.studio.look.players import PLAY_TOGETHER
from hfstyle.studio.pages.chosen import ChosenStyle, style_here
from hfstyle.studio.pages.parts import (
    EMPTIED,
    ON_CHANGE,
    QUIET,
    before_after_slider,
    begin_and_stop,
    in_view,
    wish_of,
)
from hfstyle.studio.pages.remember import remember_in_tab
from hfstyle.studio.pages.shared import Shared

__all__ = ["VideoHandlers", "video_page"]

_DEFAULT_SECONDS: Final = 4.0
_LEAST_SECONDS: Final = 0.2
_NO_STYLE: Final = "Choose a style first."


class VideoHandlers:
    """What the components call. The docstring of the public one is the API's documentation."""

    def __init__(self, films: Films) -> None:
        self.films, self.studio = films, films.studio
        self.stops = Stops()

    @with_settings()
    def preview(
        self,
        film: str | None,
        preset: str | None,
        style: str | None,
        style_file: str | None,
        settings: Settings,
        begin: float,
        seconds: float,
        size: float,
    ) -> Iterator[tuple[Any, Any]]:
        """The first frame of the part before and after, and what there is to say about the film."""

        def work() -> tuple[Any, str]:
            if film is None:
                return None, "Choose a film, or take the example."
            code = self.studio.style(style, style_file, preset, settings.style_size)
            part = self._part(film, begin, seconds, size)
            told = self.films.told(part)
            if code is None:
                return None, f"{told} {_NO_STYLE}"
            key = style or style_file or preset
            return self.films.painted_frame(part, code, key, settings), told

        yield (yield from job(work, (gr.skip(), gr.skip())))

    @with_settings()
    def video(
        self,
        film: str | None,
        preset: str | None = None,
        style: str | None = None,
        style_file: str | None = None,
        settings: Settings = DEFAULTS,
        begin: float = 0.0,
        seconds: float = _DEFAULT_SECONDS,
        size: float = DEFAULT_FILM_SIZE,
        request: gr.Request | None = None,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[tuple[Any, Any, Any]]:
        """Paint a part of a film in a style, with its sound, so that nothing flickers.

        Args:
            film: the film, at most 60 MB.
            preset: name of a style of the gallery; used if there is no style picture and no style file.
            style: a picture whose style is taken.
            style_file: a style file that /encode or /mix made; used if there is no style picture.
            settings: as of the sliders.
            begin: in seconds, where the part begins.
            seconds: how long the part is, at most 20.
            size: short side of the painted film in pixels, 128 to 480, at most that of the film.

        Returns:
            The painted film, an MP4 with sound; the same part as it was; and what was done in a sentence.
        """
        waiting = gr.skip(), gr.skip(), gr.skip()
        with self.stops.during(request) as stop:
            path = needed(film, "film")

            def begun() -> tuple[FilmPart, StyleCode]:
                code = self.studio.style(style, style_file, preset, settings.style_size)
                if code is None:
                    raise refusal(_NO_STYLE)
                return self._part(path, begin, seconds, size), code

            yield None, None, "Reading the film"  # nothing of an earlier one stays in view
            part, code = yield from job(begun, waiting)
            work = partial(self.films.paint, part, code, settings, stop.is_set)
            line = Line()
            done = yield from job(work, lambda doing: (*waiting[:2], line.of(doing)), progress)
            yield done.painted, done.original, done.told

    def _part(self, film: str, begin: float, seconds: float, size: float) -> FilmPart:
        return self.films.part(
            film,
            number(begin, "beginning", 0, MAX_BEGIN),
            number(seconds, "length of the part", _LEAST_SECONDS, MAX_FILM_SECONDS),
            within(size, "size of the film", *FILM_SIZES),
        )

    def chosen(self, film: str | None) -> tuple[Any, Any]:
        """The sliders of the part, as long as a new film."""
        if film is None:
            return gr.skip(), gr.skip()
        seconds = self.films.length(film)
        if seconds is None:
            return gr.update(value=0, maximum=MAX_BEGIN), gr.skip()
        longest = max(_LEAST_SECONDS, min(MAX_FILM_SECONDS, seconds))
        return (
            gr.update(value=0, maximum=max(0.1, round(seconds - _LEAST_SECONDS, 1))),
            gr.update(value=min(_DEFAULT_SECONDS, longest)),
        )


def video_page(
    handlers: VideoHandlers,
    private: dict[str, Any],
    demo: gr.Blocks,
    shared: Shared,
    chosen: ChosenStyle,
) -> None:
    """Build the page.

    Args:
        handlers: what its components call.
        private: options of events that paint one picture.
        demo: whose loading lets both films play together.
        shared: settings; its photo does not count.
        chosen: the style.
    """
    with gr.Row(elem_classes="browse"):
        with gr.Column(scale=2, min_width=320):
            film = FilmUpload(
                label="Your film",
                file_types=["video", ".mkv", ".avi", ".gif", ".webp"],
                height=150,
                elem_classes="film",
            )
            gr.Markdown(LIMITS + on_cpu_here("films are painted"))
            example = gr.Button("Take the example: a slow zoom over a cup of coffee", size="sm")
            style_here(handlers.studio, chosen, shared.wakes["video"])
            begin = gr.Slider(
                0,
                MAX_BEGIN,
                value=0,
                step=0.1,
                label="Start",
                info="seconds into the film; the frame there is shown",
            )
            with gr.Row(elem_classes="beside"):
                seconds = gr.Slider(
                    _LEAST_SECONDS,
                    MAX_FILM_SECONDS,
                    value=_DEFAULT_SECONDS,
                    step=0.1,
                    label="Length",
                    info="seconds to paint",
                    min_width=140,
                )
                size = gr.Slider(
                    *FILM_SIZES,
                    value=DEFAULT_FILM_SIZE,
                    step=8,
                    label="Size",
                    info="short side in pixels",
                    min_width=140,
                )
            go, stop = begin_and_stop("Paint the film", keeps=True)
        with gr.Column(scale=3, min_width=320, elem_classes="result"):
            frame = before_after_slider()
            status = gr.Markdown("Choose a film, or take the example.", elem_classes="status")
            told = gr.Textbox(
                "",
                label="What was done",
                placeholder="Nothing painted yet",
                lines=1,
                interactive=False,
                elem_id="film-told",
                elem_classes="status",
            )
            with gr.Row(elem_classes=["beside", "films"]):
                original, painted = _player("Original"), _player("Painted")
    part: list[Any] = [begin, seconds, size]
    inputs: list[Any] = [film, *chosen.components, *shared.settings, *part]
    wishes = Wishes()
    changes = [
        film.change,
        *(slider.change for slider in part),
        shared.wakes["video"].change,
    ]
    example.click(lambda: example_film(get_upload_folder()), None, film, **QUIET)
    film.change(friendly(handlers.chosen), film, [begin, seconds], **ON_CHANGE)
    wish_of(wishes, changes, inputs)
    shown = gr.on(
        changes,
        wishes.newest(friendly_steps(handlers.preview)),
        inputs,
        [frame, status],
        trigger_mode="always_last",
        show_progress="minimal",
        **private,
    )
    go.click(None, js=in_view("#film-told", "start"), api_visibility="private")
    go.click(None, None, told, js=EMPTIED, show_progress="hidden", api_visibility="private")
    go.click(handlers.stops.asked, None, None, **QUIET)
    made = go.click(
        friendly_steps(handlers.video),
        inputs,
        [painted, original, told],
        api_name="video",
        concurrency_id="film",
        concurrency_limit=1,
        show_progress="minimal",
        show_progress_on=told,
    )
    made.failure(lambda: "", None, told, **QUIET)
    stop.click(handlers.stops.press, None, None, cancels=[shown], **QUIET)
    demo.load(None, js=PLAY_TOGETHER, api_visibility="private")
    remember_in_tab(demo, "video", [film, size])


def _player(label: str) -> gr.Video:
    return gr.Video(label=label, interactive=False, buttons=["download"], min_width=140, loop=True)
