"""Scripts of the pages of motion: two films that play together, a camera that stops, a picture that is saved."""

from __future__ import annotations

from typing import Final

__all__ = ["PLAY_TOGETHER", "SAVE_PICTURE", "STOP_CAMERA"]

PLAY_TOGETHER: Final = """() => {
  if (window.filmsPlayTogether) return;
  window.filmsPlayTogether = true;
  const other = (film) => [...(film.closest?.(".films")?.querySelectorAll("video") ?? [])].find((one) => one !== film);
  const apart = (one, two) => Math.abs(one.currentTime - two.currentTime) > .15;
  const follow = (event) => {
    const film = event.target, beside = other(film);
    if (!beside || beside.readyState === 0) return;
    if (apart(film, beside)) beside.currentTime = Math.min(film.currentTime, beside.duration || 0);
    if (event.type === "play" && beside.paused) beside.play().catch(() => {});
    if (event.type === "pause" && !beside.paused && !film.ended) beside.pause();
    beside.playbackRate = film.playbackRate;
  };
  // These events do not bubble, but they are seen on their way down.
  for (const name of ["play", "pause", "seeked", "ratechange"]) document.addEventListener(name, follow, true);
}"""

SAVE_PICTURE: Final = """() => {
  const picture = document.querySelector("#live img");
  if (!picture) return;
  const link = document.createElement("a");
  link.href = picture.src;
  link.download = "hfstyle-" + new Date().toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-") + ".jpg";
  link.click();
}"""
"""Hand the painted picture that is shown to the visitor; nothing of it is stored on the server."""

STOP_CAMERA: Final = """() => {
  document.querySelector('#camera [title="stop recording"]')?.closest("button").click();
}"""
