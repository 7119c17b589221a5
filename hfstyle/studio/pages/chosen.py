"""The style of the page Stylize, as other pages may set it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from hfstyle import StyleCode
from hfstyle.limits import DEFAULT_STYLE_SIZE
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.refusals import display_name, friendly, plain, refusal, whole
from hfstyle.studio.backend.style_names import shown_name
from hfstyle.studio.backend.uploads import PhotoUpload, StyleUpload
from hfstyle.studio.pages.parts import ON_CHANGE, QUIET, TO_THE_TOP, preset_list

__all__ = [
    "AS_ON_STYLIZE",
    "STYLIZE_FIRST",
    "ChosenStyle",
    "OnStylize",
    "name_on_stylize",
    "own_name",
    "style_here",
    "use_style",
]


AS_ON_STYLIZE: Final = ":stylize"
"""The choice of other pages that stands for the style of Stylize, whatever that is."""
STYLIZE_FIRST: Final = ("the style of Stylize", AS_ON_STYLIZE)
_SAME: Final = "the same as on Stylize; bring a picture of your own there"
_UNLESS: Final = "the style of Stylize is used, unless you choose another one here"
_OWN: Final = ":own"  # the choice that stands for the picture or style file of Stylize


@dataclass(frozen=True)
class ChosenStyle:
    """One of the three is set.

    preset: name of a style of the gallery.
    style: the visitor's own picture.
    style_file: a file that this app made.
    origin: how a style file was made, as of `hfstyle.studio.backend.origin`, or that a link cannot carry it; empty of a preset.
    gallery: shows the presets; what it has marked is the preset.
    tabs: with the names of the pages that show it, outermost first.
    """

    preset: gr.Dropdown
    style: PhotoUpload
    style_file: StyleUpload
    origin: gr.Textbox
    gallery: gr.Gallery
    tabs: Sequence[tuple[gr.Tabs, str]]

    @property
    def components(self) -> list[Any]:
        return [self.preset, self.style, self.style_file]


@dataclass(frozen=True)
class OnStylize:
    """What is chosen on Stylize, for a handler of another page: values of `ChosenStyle.components`, and the size of the brush."""

    preset: str | None = None
    style: str | None = None
    style_file: str | None = None
    style_size: float = DEFAULT_STYLE_SIZE

    def code(self, studio: Studio) -> StyleCode:
        """Its style.

        Raises:
            gr.Error: there is none, as where a program asks.
        """
        size = whole(self.style_size, "style size")
        code = studio.style(self.style, self.style_file, self.preset, size)
        if code is None:
            raise refusal("Choose a style on Stylize first, or another one here.")
        return code

    def label_of(self, studio: Studio) -> str:
        """What to call it: a preset by its title, artist and year."""
        is_preset = self.preset and not self.style and not self.style_file
        return studio.labels[self.preset or ""] if is_preset else shown_name(self.code(studio))


def style_here(studio: Studio, chosen: ChosenStyle, wake: gr.Number | None = None) -> gr.Dropdown:
    """A list on another page that chooses the style of Stylize, and shows which preset that is.

    wake: of the page, which is to paint when the style was chosen here. A page must not paint on changes of the style
        itself, on which Stylize does: see `ON_CHANGE`.
    """
    here = preset_list(studio, "Style", _SAME)
    presets = list(here.choices)

    def pick(preset: str | None) -> Any:
        return (gr.skip(),) * 3 if preset == _OWN else (preset, None, None)

    picked = here.input(pick, here, [chosen.preset, chosen.style, chosen.style_file], **QUIET)
    if wake is not None:
        picked.then(lambda count: (count or 0) + 1, wake, wake, **QUIET)

    def shown(preset: str | None, style: str | None, style_file: str | None) -> Any:
        """The style of Stylize, under the name that people know."""
        own = style or style_file
        if not own:
            return gr.update(choices=presets, value=preset, info=_SAME)
        name = own_name(studio, style, style_file)
        return gr.update(choices=[(name, _OWN), *presets], value=_OWN, info=_UNLESS)

    _on_another_style(chosen, shown, here)
    return here


def name_on_stylize(studio: Studio, chosen: ChosenStyle) -> gr.Markdown:
    """A line that says what is chosen on Stylize, for pages that offer it among other styles."""

    def told(preset: str | None, style: str | None, style_file: str | None) -> str:
        own = own_name(studio, style, style_file) if style or style_file else ""
        name = own or studio.labels.get(preset or "")
        return f"On Stylize: {plain(name)}" if name else ""

    line = gr.Markdown("")
    _on_another_style(chosen, told, line)
    return line


def _on_another_style(
    chosen: ChosenStyle, show: Callable[[str | None, str | None, str | None], Any], place: Any
) -> None:
    """Whenever another style is chosen on Stylize, `place` becomes what `show` says of preset, picture and style file."""
    gr.on(
        [component.change for component in chosen.components],
        friendly(show),
        chosen.components,
        place,
        **ON_CHANGE,
    )


def own_name(studio: Studio, style: str | None, style_file: str | None) -> str:
    """What to call a picture or a style file of Stylize, of which one is given."""
    code = None if style else studio.style(None, style_file, None, 0)
    return shown_name(code) if code else f"your picture {display_name(style or '')}"


def use_style(
    button: gr.Button,
    save: Callable[..., Any],
    inputs: Sequence[Any],
    chosen: ChosenStyle,
    private: dict[str, Any],
    after: Any = None,
) -> None:
    """Let a button make a style that was found or mixed that of the page Stylize, and show that page.

    Args:
        button: is pressed.
        save: writes the style file, and yields its path.
        inputs: of `save`.
        chosen: the style of Stylize.
        private: options of events that compute.
        after: an event of the button that comes first, if there is one.
    """
    pressed = button.click if after is None else after.success
    saved = pressed(save, list(inputs), chosen.style_file, show_progress="minimal", **private)
    tabs = [tab for tab, _ in chosen.tabs]
    saved.success(None, js=TO_THE_TOP, api_visibility="private")
    saved.success(
        lambda: (
            None,
            None,
            *(gr.update(selected=name) for _, name in chosen.tabs),
        ),
        None,
        [chosen.preset, chosen.style, *tabs],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
