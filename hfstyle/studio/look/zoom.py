"""Photo and painting in the whole window: beside each other, at any size, moved together by mouse, fingers or keys."""

from __future__ import annotations

from typing import Final

ZOOM_CSS: Final = """
.compared { position: relative; }
.zoom-open {
  position: absolute; right: .5rem; bottom: .5rem; z-index: 60; min-height: 28px; padding: .1rem .7rem; border-radius: 1rem;
  font-size: .8rem; color: white; background: rgb(30 41 59 / .85); border: 1px solid #94a3b8;
}
.compared:not(:has(img)) .zoom-open { display: none; }
.zoom { inset: 0; width: 100%; height: 100dvh; max-width: none; max-height: none; margin: 0; padding: 0; border: 0; color: white; background: #0f172a; }
.zoom[open] { display: flex; flex-direction: column; }
.zoom .panes { flex: 1; display: flex; gap: 2px; min-height: 0; touch-action: none; cursor: grab; }
.zoom .pane { position: relative; flex: 1; overflow: hidden; background: black; }
.zoom .pane img { position: absolute; left: 0; top: 0; max-width: none; transform-origin: 0 0; user-select: none; pointer-events: none; }
.zoom .pane span { position: absolute; left: .5rem; top: .5rem; padding: .1rem .5rem; font-size: .8rem; background: rgb(15 23 42 / .8); }
.zoom .bar-of-zoom { display: flex; flex-wrap: wrap; gap: .4rem; align-items: center; padding: .5rem; }
.zoom button { min-width: 2.4rem; min-height: 2.2rem; padding: 0 .7rem; border: 1px solid #94a3b8; border-radius: .4rem; color: white; background: #1e293b; }
.zoom output { min-width: 4rem; text-align: center; }
.zoom .close { margin-left: auto; }
.zoom .panes.tall { flex-direction: column; }
html:has(.zoom[open]) { overflow: hidden; }
"""

# The painting is the full-size file, where the page has one of these settings; the photo is enlarged to its size.
ZOOM_PAGE: Final = r"""() => {
  if (window.zoomIsThere) return;
  window.zoomIsThere = true;
  const box = document.createElement("dialog");
  box.className = "zoom";
  box.setAttribute("aria-label", "Photo and painting, enlarged");
  box.innerHTML = `<div class="panes" tabindex="0" role="group"
      aria-label="Photo and painting: arrow keys move, plus and minus zoom, 0 fits, 1 shows 100 %">
      <div class="pane"><img alt="the photo"><span>Photo</span></div>
      <div class="pane"><img alt="the painting"><span>Painting</span></div></div>
    <div class="bar-of-zoom"><button data-do="fit">Fit</button><button data-do="full">100 %</button>
      <button data-do="out" aria-label="Smaller">−</button><output aria-live="polite"></output>
      <button data-do="in" aria-label="Larger">+</button><button class="close" data-do="close">Close</button></div>`;
  document.body.append(box);
  const panes = box.querySelector(".panes"), told = box.querySelector("output");
  const [photo, painting] = box.querySelectorAll("img");
  let scale = 1, x = 0, y = 0;
  const wide = () => painting.naturalWidth || 1, high = () => painting.naturalHeight || 1;
  const pixel = () => 1 / devicePixelRatio;
  const room = () => painting.parentElement.getBoundingClientRect();
  const fitting = () => Math.min(room().width / wide(), room().height / high());
  const draw = () => {
    panes.classList.toggle("tall", innerHeight > innerWidth);
    const {width, height} = room();
    const bound = (at, side, space) => side < space ? (space - side) / 2 : Math.min(0, Math.max(space - side, at));
    x = bound(x, wide() * scale, width);
    y = bound(y, high() * scale, height);
    for (const image of [photo, painting]) {
      image.style.width = wide() + "px";
      image.style.height = high() + "px";
      image.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    }
    told.textContent = Math.round(100 * scale / pixel()) + " %";
  };
  const zoom = (to, atX = room().width / 2, atY = room().height / 2) => {
    to = Math.min(8 * pixel(), Math.max(Math.min(fitting(), pixel()), to));
    x = atX - (atX - x) * to / scale;
    y = atY - (atY - y) * to / scale;
    scale = to;
    draw();
  };
  const fit = () => { draw(); scale = fitting(); draw(); };
  const deeds = {
    fit, full: () => zoom(pixel()), in: () => zoom(scale * 1.5), out: () => zoom(scale / 1.5), close: () => box.close(),
  };
  box.addEventListener("click", (event) => deeds[event.target.dataset.do]?.());
  box.addEventListener("keydown", (event) => {
    const step = 80;
    const moves = {ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step]};
    const named = {"+": "in", "=": "in", "-": "out", 0: "fit", 1: "full"};
    if (event.key in moves) { x += moves[event.key][0]; y += moves[event.key][1]; draw(); }
    else if (event.key in named) deeds[named[event.key]]();
    else return;
    event.preventDefault();
  });
  const at = (event) => {  // in the pane that is touched: both show the same place there
    const pane = [...panes.children].find((one) => {
      const {left, right, top, bottom} = one.getBoundingClientRect();
      return event.clientX >= left && event.clientX <= right && event.clientY >= top && event.clientY <= bottom;
    }) || panes.children[0];
    const {left, top} = pane.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };
  panes.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(scale * Math.exp(-event.deltaY / 400), ...at(event));
  }, {passive: false});
  panes.addEventListener("dblclick", (event) => scale < pixel() ? zoom(pixel(), ...at(event)) : fit());
  const fingers = new Map();
  panes.addEventListener("pointerdown", (event) => {
    panes.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event);
  });
  panes.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const other = [...fingers.values()].find((one) => one.pointerId !== event.pointerId);
    if (other) {
      const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      const [ax, ay] = at(event), [bx, by] = at(other);
      zoom(scale * apart(event) / Math.max(1, apart(before)), (ax + bx) / 2, (ay + by) / 2);
    } else {
      x += event.clientX - before.clientX;
      y += event.clientY - before.clientY;
      draw();
    }
    fingers.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel"])
    panes.addEventListener(name, (event) => fingers.delete(event.pointerId));
  addEventListener("resize", () => box.open && draw());
  const open = (compared) => {
    const images = [...compared.querySelectorAll("img")];
    const painted = images.find((one) => one.classList.contains("fixed")) || images[0];
    const before = images.find((one) => one !== painted) || painted;
    const column = compared.closest(".result, .column");
    const file = column?.querySelector(".files a[download]")?.href || "";
    photo.src = before.src;
    painting.onload = fit;
    painting.src = /\.(png|jpe?g|webp)$/i.test(file) ? file : painted.src;
    box.showModal();
    panes.focus();
    if (painting.complete) fit();
  };
  const equip = () => document.querySelectorAll(".compared:not(:has(.zoom-open))").forEach((compared) => {
    const button = document.createElement("button");
    button.className = "zoom-open";
    button.textContent = "Zoom";
    button.addEventListener("click", () => open(compared));
    compared.append(button);
  });
  let waiting = false;
  new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => { waiting = false; equip(); }, 50);
  }).observe(document.body, {childList: true, subtree: true});
  equip();
}"""
"""For a page when it is loaded."""
