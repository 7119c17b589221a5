"""A style learned from the visitor's own pictures, and quicker ways to a style file."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import gradio as gr

from hfstyle.images import Picture, resize
from hfstyle.images.arrays import as_float
from hfstyle.limits import OPTIONS
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.gpu import on_cpu_here
from hfstyle.studio.backend.jobs import PROGRESS, Line, job, mark
from hfstyle.studio.backend.refusals import LONGEST_NAME, friendly_steps, needed, refusal, within
from hfstyle.studio.backend.results import slug, write_png
from hfstyle.studio.backend.several import look_at_all, told_of
from hfstyle.studio.backend.stops import Stops
from hfstyle.studio.backend.uploads import (
    MAX_STYLE_FILE_BYTES,
    PicturesUpload,
    open_picture,
    still_here,
)
from hfstyle.studio.pages.chosen import ChosenStyle, use_style
from hfstyle.studio.pages.collect import CollectHandlers, collection_part
from hfstyle.studio.pages.encode import EncodeHandlers, encode_part
from hfstyle.studio.pages.parts import (
    EMPTIED,
    ON_CHANGE,
    QUIET,
    in_view,
    option_slider,
    picture_result,
)
from hfstyle.studio.pages.remember import remember_in_tab
from hfstyle.studio.pages.shared import Shared
from hfstyle.studio.pages.slots import given_name
from hfstyle.styles.learning import LearnedStyle

__all__ = ["LearnHandlers", "learn_page"]

MOST_PICTURES: Final = 50
LESSON_SECONDS: Final = 180
"""After which a lesson ends with the best so far: others learn on the same server."""

_STEPS: Final = OPTIONS["learning_steps"]
_SIZE: Final[int] = OPTIONS["learning_size"].default  # to which pictures and photos are reduced
_PICTURE_SIDE: Final = (
    1024  # short side in px to which pictures are reduced, twice what is looked at
)


class _Lesson:
    """One visitor's learning: how far it is, and whether it is to end with the best so far."""

    def __init__(self, ended: threading.Event) -> None:
        self.ended = ended
        self.in_time = True
        self._begun: float | None = None

    def step(self, done: int, total: int) -> None:
        """After each step; ends the learning as Ctrl-C does, which keeps the best so far."""
        now = time.monotonic()
        if self._begun is None:
            self._begun = now
        left = (now - self._begun) / max(1, done - 1) * (total - done)
        told = f", about {left:.0f} s are left" if done > 1 else ""
        mark(done / total, f"Learning: step {done} of {total}{told}")
        self.in_time = now - self._begun <= LESSON_SECONDS
        if self.ended.is_set() or not self.in_time:
            raise KeyboardInterrupt


class LearnHandlers:
    """The docstring of the public one is the API's documentation."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.stops = Stops()

    def learn(
        self,
        request: gr.Request,
        pictures: list[str] | None,
        name: str | None = "",
        steps: float = _STEPS.default,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """Learn a style from your own pictures, in a minute or a few; the style file works like any other.

        Args:
            pictures: from 1 to 50, such as drawings of one hand.
            name: what to call the style, at most 80 characters; by default "learned".
            steps: from 10 to 180; more take longer and help less and less. After three minutes it ends with the best so far.

        Returns:
            Photos before and after, a PNG file; how much it helped, and which pictures could not be used; the style file,
            which /stylize takes.
        """
        with self.stops.during(request) as ended:
            lesson = _Lesson(ended)
            yield from self._learned(lesson, pictures or [], given_name(name), steps, progress)

    def _learned(
        self, lesson: _Lesson, files: list[str], name: str, steps: float, progress: gr.Progress
    ) -> Iterator[Any]:
        if not files:
            raise refusal("Choose the pictures of the style first.")
        count = within(steps, "number of steps", *_STEPS.offered)
        if lesson.ended.is_set():
            raise refusal("It was stopped before it began.")

        left_out: list[str] = []

        def work() -> LearnedStyle:
            seen = look_at_all(files, _looked_at, left_out)
            mark(0.0, "Preparing the photos to learn on")
            return self.studio.pipe.learn_style(
                seen,
                steps=count,
                size=_SIZE,
                name=name,
                progress_callback=lesson.step,
            )

        # Nothing of an earlier lesson stays in view.
        yield None, "Looking at the pictures", None, None
        waiting, line = (gr.skip(), gr.skip(), gr.skip(), gr.skip()), Line()
        learned = yield from job(
            work, lambda doing: (gr.skip(), line.of(doing), gr.skip(), gr.skip()), progress
        )
        sheet = partial(write_png, learned.sheet, f"{slug(learned.code.name)}__learned", {})
        shown = yield from job(sheet, waiting)
        file = self.studio.save_style(learned.code)
        told = _told(learned, lesson)
        if left_out:
            told += f" {told_of(left_out, len(files))}"
        yield shown, told, file, file


def _looked_at(file: str) -> Picture:
    picture = open_picture(file, "style picture")
    if min(picture.size) <= _PICTURE_SIDE:
        return picture
    small = resize(as_float(picture.rgb), _PICTURE_SIDE).clamp(0, 1).mul(255).round().byte()
    return Picture(small, None, picture.name)


def _told(learned: LearnedStyle, lesson: _Lesson) -> str:
    """How much it helped, for somebody who has not read how it works."""
    steps = f"{learned.steps} step{'s' if learned.steps != 1 else ''}"
    if not lesson.in_time:
        ended = f"It ended after {LESSON_SECONDS // 60} minutes, the limit here, and {steps}; the best so far is kept."
    elif learned.interrupted:
        ended = f"You stopped it after {steps}; the best so far is kept."
    else:
        ended = f"Learned in {steps}."
    if learned.code is learned.before:
        return (
            f"Learning did not bring the style nearer to your pictures. So the style file holds what the network saw in them "
            f"at first. {ended}"
        )
    nearer = 1 - learned.distance / learned.distance_before
    more = learned.lost / max(learned.lost_before, 1e-6) - 1
    return (
        f"It helped: a photo that was not used for learning now looks {nearer:.0%} more like your pictures. The photo's "
        f"own light and dark are kept {abs(more):.0%} {'less' if more > 0 else 'more'}. {ended}"
    )


def learn_page(
    handlers: LearnHandlers,
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
        demo: whose loading brings back what was chosen.
        shared: photo and settings.
        chosen: the style of Stylize, which one that was learned may become.
    """
    studio = handlers.studio
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            gr.Markdown(
                "Give pictures that look alike, such as your drawings, posters, or works of one painter. hfstyle paints photos "
                "again and again until they look like your pictures. This takes one to three minutes."
                + on_cpu_here("styles are learned")
            )
            pictures = PicturesUpload(
                label=f"Pictures of the style, 1 to {MOST_PICTURES}",
                file_count="multiple",
                file_types=["image"],
                height=200,
            )
            pictures.most_pictures = MOST_PICTURES
            name = gr.Textbox("", label="Name of the style", max_length=LONGEST_NAME)
            steps = option_slider("learning_steps", "Steps", step=10)
            with gr.Row():
                go = gr.Button("Learn the style", variant="primary", scale=4)
                stop = gr.Button("Stop and keep", scale=3, min_width=120)
        with gr.Column(scale=3, min_width=320):
            told = gr.Textbox(
                "",
                label="How much it helped",
                placeholder="Nothing learned yet",
                lines=2,
                interactive=False,
                elem_id="learn-told",
                elem_classes="status",
            )
            sheet = picture_result("Before and after learning", "png", "photos before and after")
            use = gr.Button("Use this style on Stylize")
            file = gr.File(label="Style file", elem_classes="files")
            kept = gr.Textbox("", visible="hidden", label="learned style")
            kept_told = gr.Textbox("", visible="hidden", label="learned style, told")
    learned = gr.State()  # the path of the file
    alone: dict[str, Any] = {
        "concurrency_id": "learn",
        "concurrency_limit": 1,
    }  # others paint meanwhile
    go.click(None, js=in_view("#learn-told", "start"), api_visibility="private")
    go.click(None, None, told, js=EMPTIED, show_progress="hidden", api_visibility="private")
    go.click(handlers.stops.asked, **QUIET)
    done = go.click(
        friendly_steps(handlers.learn),
        [pictures, name, steps],
        [sheet, told, file, learned],
        show_progress="minimal",
        show_progress_on=told,
        api_name="learn",
        **alone,
    )
    stop.click(handlers.stops.press, **QUIET)

    def brought_back(path: str | None, words: str, known: str | None) -> Any:
        """What took minutes, after the page was loaded again."""
        found = still_here(path, MAX_STYLE_FILE_BYTES)
        return (gr.skip(),) * 3 if found in (None, known) else (found, found, words)

    def failed(path: str | None, words: str) -> Any:
        """The style that was learned before, if there is one."""
        found = still_here(path, MAX_STYLE_FILE_BYTES)
        return found, found, words if found else ""

    done.success(lambda *both: both, [learned, told], [kept, kept_told], **QUIET)
    done.failure(failed, [kept, kept_told], [file, learned, told], **QUIET)
    kept.change(brought_back, [kept, kept_told, learned], [file, learned, told], **ON_CHANGE)
    remember_in_tab(demo, "learn", [pictures, name, steps, kept_told, kept])

    def given(path: str | None) -> Iterator[Any]:
        yield needed(path, "style to learn")

    use_style(use, friendly_steps(given), [learned], chosen, private)
    encode_part(EncodeHandlers(studio), compute)
    collection_part(CollectHandlers(studio), shared.content, compute)
