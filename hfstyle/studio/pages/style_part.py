"""Where a style is chosen: the gallery in groups, with a search and favourites; a picture; a style file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.gallery import Thumbnails
from hfstyle.studio.backend.groups import ALL, FAVOURITES, GROUPS, chosen_styles, groups_of
from hfstyle.studio.backend.origin import carried_origin, own_line
from hfstyle.studio.backend.refusals import friendly, in_hint
from hfstyle.studio.backend.results import slug
from hfstyle.studio.backend.uploads import PhotoUpload, StyleUpload
from hfstyle.studio.pages.chosen import ChosenStyle, own_name
from hfstyle.studio.pages.parts import NOTHING_MARKED, ON_CHANGE, QUIET, preset_list

__all__ = ["style_part"]

_LONGEST_SEARCH = 80


def style_part(
    thumbnails: Thumbnails, studio: Studio, demo: gr.Blocks, tabs: Sequence[tuple[gr.Tabs, str]]
) -> ChosenStyle:
    """Build it.

    Args:
        thumbnails: of the presets.
        studio: whose presets.
        demo: whose loading fills the gallery.
        tabs: of the page, for other pages that choose its style.
    """
    styles = {name: studio.pipe.preset(name) for name in studio.labels}
    used = {group for code in styles.values() for group in groups_of(code)}
    groups = [group for group in GROUPS if group in (ALL, FAVOURITES) or group in used]
    with gr.Tabs():
        with gr.Tab("Gallery"):
            group = gr.Radio(
                groups,
                value=ALL,
                show_label=False,
                label="Group of styles",
                container=False,
                visible=bool(styles),
                elem_classes="groups",
            )
            with gr.Row(elem_classes="beside"):
                search = gr.Textbox(
                    "",
                    show_label=False,
                    label="Search the styles",
                    placeholder="Title, painter, technique",
                    max_length=_LONGEST_SEARCH,
                    container=False,
                    visible=bool(styles),
                    scale=3,
                    min_width=150,
                )
                heart = gr.Button(
                    "♡ Add to favourites", size="sm", scale=2, min_width=120, visible=bool(styles)
                )
            gallery = gr.Gallery(
                label="Paintings, each shown by the same cat in its style",
                show_label=False,
                columns=4,
                fit_columns=False,
                height=420,
                object_fit="cover",
                allow_preview=False,
                interactive=False,
                buttons=[],
                visible=bool(styles),
                elem_classes="presets",
            )
            gallery.keep_in_cache = thumbnails.kept
            preset = preset_list(studio, "Style by name")
        with gr.Tab("My picture"):
            style = PhotoUpload(label="Style picture", height=260, format="png")
        with gr.Tab("Style file"):
            style_file = StyleUpload(
                label="Style file, saved on Mix, Discover or Learn",
                file_types=[".safetensors"],
            )
    origin = gr.Textbox("", visible="hidden", label="origin")
    chosen = ChosenStyle(preset, style, style_file, origin, gallery, tabs)

    def named(preset: str | None, style: str | None, style_file: str | None) -> tuple[Any, str]:
        """What the list of names says of a style that is not in it; and how that was made."""
        if not style and not style_file:
            return gr.update(info=None), ""
        name = in_hint(own_name(studio, style, style_file))
        info = f"none of these is used, but {name}"
        code = None if style else studio.style(None, style_file, None, 0)
        if code is None or style_file is None:
            return gr.update(info=info), own_line(style or "")
        return gr.update(info=info), carried_origin(studio.pipe, code, style_file)

    gr.on(
        [component.change for component in chosen.components],
        friendly(named),
        chosen.components,
        [preset, origin],
        **ON_CHANGE,
    )
    if not styles:
        return chosen

    kept = gr.BrowserState([], storage_key="hfstyle-favourites", secret="not secret")
    filters: list[Any] = [group, search, kept]
    by_file = {slug(name): name for name in styles}

    def shown(group: str, text: str, favourites: list[str] | None) -> list[str]:
        return chosen_styles(styles, group, text or "", favourites or [])

    def place(preset: str | None, pictures: list[tuple[str, str]]) -> int | str:
        names = [by_file[Path(path).stem] for path, _ in pictures]
        return names.index(preset) if preset in names else NOTHING_MARKED

    def filtered(preset: str | None, *filters: Any) -> Any:
        pictures = thumbnails.shown(shown(*filters))
        return gr.update(value=pictures, selected_index=place(preset, pictures))

    def pick(event: gr.SelectData) -> tuple[Any, None, None]:
        """By the name of its picture: the gallery may have grown or been searched since."""
        return by_file[Path(event.value["image"]["path"]).stem], None, None

    def marked(preset: str | None, *filters: Any) -> Any:
        """However it was chosen: here, on another page, by a link."""
        return gr.update(selected_index=place(preset, thumbnails.shown(shown(*filters))))

    def heart_of(preset: str | None, favourites: list[str] | None) -> Any:
        kept = preset in (favourites or [])
        return gr.update(
            value="♥ In your favourites" if kept else "♡ Add to favourites",
            interactive=preset is not None,
        )

    def keep(preset: str | None, favourites: list[str] | None) -> list[str]:
        names = [name for name in favourites or [] if name in styles]
        if preset in names:
            return [name for name in names if name != preset]
        return [*names, preset] if preset else names

    gallery.select(pick, None, [preset, style, style_file], **QUIET)
    preset.input(lambda: (None, None), None, [style, style_file], **QUIET)
    style.input(lambda: (None, None), None, [preset, style_file], **QUIET)
    style_file.upload(lambda: (None, None), None, [preset, style], **QUIET)
    preset.change(marked, [preset, *filters], gallery, **ON_CHANGE)
    grown = demo.load(
        thumbnails.growing,
        None,
        gallery,
        api_visibility="private",
        concurrency_limit=None,
        show_progress="hidden",
    )
    grown.then(marked, [preset, *filters], gallery, **QUIET)
    # What grows would soon be shown whole again.
    gr.on(
        [group.input, search.change],
        filtered,
        [preset, *filters],
        gallery,
        trigger_mode="always_last",
        cancels=[grown],
        **QUIET,
    )
    pressed = heart.click(keep, [preset, kept], kept, **QUIET)
    pressed.then(heart_of, [preset, kept], heart, **QUIET)
    preset.change(heart_of, [preset, kept], heart, **ON_CHANGE)
    return chosen
