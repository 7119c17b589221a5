"""Thumbnails of the presets: one photo in the style of each, painted in the background."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Final

from hfstyle.examples import example_photo
from hfstyle.images import Picture, load_image, resize
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.results import slug, write_webp
from hfstyle.studio.backend.settings import Settings

_log = logging.getLogger(__name__)

_DELAY: Final = 5.0
_SIDE: Final = 192  # short side in pixels of a thumbnail
_QUALITY: Final = 75  # of its WebP


class Thumbnails:
    """The same cat in each preset style, in the order of the presets."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.kept: set[str] = set()
        """Files that are shown to everybody and not deleted with those of the visitors."""
        self._paths: list[str] = []
        self._done = threading.Event()

    def start(self) -> None:
        """Paint them in a thread, some seconds later: the server starts and answers first."""
        thread = threading.Timer(_DELAY, self.render)
        thread.name, thread.daemon = "thumbnails", True
        thread.start()

    def render(self) -> None:
        """Paint them."""
        studio = self._studio
        try:
            photo = load_image(example_photo("chelsea"))
            cat = Picture(resize(photo.rgb, _SIDE).clamp(0, 1), None, "chelsea")
            for name in studio.labels:
                painted = studio.paint_at_home(cat, studio.pipe.preset(name), Settings(), None)
                path = write_webp(painted, slug(name), quality=_QUALITY, keep=True)
                self.kept.add(path)
                self._paths.append(path)
                time.sleep(0.02)  # lets a visitor's request go first
        except Exception as error:  # the list of names does without
            _log.warning("no thumbnails of the presets: %s", error)
        finally:
            self._done.set()

    def shown(self, names: Sequence[str] | None = None) -> list[tuple[str, str]]:
        """(path, caption) of those painted so far, of all presets or of these."""
        captions = self._studio.captions
        painted = dict(zip(captions, list(self._paths), strict=False))
        wanted = captions if names is None else names
        return [(painted[name], captions[name]) for name in wanted if name in painted]

    def growing(self) -> Iterator[list[tuple[str, str]]]:
        """`shown`, again and again until all are there."""
        while True:
            done = self._done.wait(2.0)
            yield self.shown()
            if done:
                return
