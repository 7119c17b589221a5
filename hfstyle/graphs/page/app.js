// The page: what the visitor chooses goes to the worker, and what it paints is shown.

import { closeCamera, useCamera } from "./camera.js";
import { readCode, writeCode } from "./codes.js";
import { marked } from "./mark.js";
import { pixelsOf, read } from "./photos.js";

const PATIENCE = 250; // milliseconds that a slider must rest
const REST = [["strength", 100], ["color", 100], ["faces", 90], ["outlines", 0]];

const $ = (id) => document.getElementById(id);
const worker = new Worker(new URL("worker.js", import.meta.url).href + location.search, { type: "module" });
const state = { photo: null, name: "photo", code: null, engine: "", painted: false, paint: false };
const facts = fetch("styles.json").then((answer) => answer.json());
let kept = false;

// ---- The worker ----

const waiting = new Map();
let jobs = 0;

function ask(kind, content = {}) {
  return new Promise((resolve, reject) => {
    waiting.set(++jobs, { resolve, reject });
    worker.postMessage({ job: jobs, kind, ...content });
  });
}

worker.onmessage = ({ data }) => {
  if ("loading" in data) {
    $("loading").hidden = data.loading >= data.of;
    $("loading").value = data.loading / data.of;
  } else if ("running" in data) {
    const threads = data.threads > 1 ? `, ${data.threads} threads` : "";
    state.engine = data.running === "webgpu" ? "graphics processor" : `processor${threads}`;
  } else {
    const { resolve, reject } = waiting.get(data.job);
    waiting.delete(data.job);
    if (data.error) reject(new Error(data.error));
    else resolve(data.result);
  }
};
worker.onerror = () => tell("This browser cannot run the page's worker. A current browser can.", true);

// ---- What is said ----

function tell(text, wrong = false) {
  $("status").textContent = text;
  $("status").classList.toggle("wrong", wrong);
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    tell(error.message, true);
  }
}

// ---- Painting: one job at a time, the latest wish next ----

let busy = false;
let wished = false;
let timer = 0;

function soon(delay = 0) {
  clearTimeout(timer);
  timer = setTimeout(paint, delay);
}

async function paint() {
  if (!state.photo || !state.code) return;
  wished = true;
  if (busy) return;
  busy = true;
  document.body.setAttribute("aria-busy", "true");
  while (wished) {
    wished = false;
    await attempt(async () => {
      tell(state.engine ? "Painting …" : "Loading the network, then painting …");
      const { photo, code } = state;
      const settings = { size: Number($("size").value) };
      for (const [name] of REST) settings[name] = Number($(name).value) / 100;
      const result = await ask("paint", { code, settings });
      if (photo !== state.photo) return;
      state.paint = settings.strength > 0;
      draw($("after"), new ImageData(result.bytes, result.width, result.height));
      $("after").setAttribute("aria-label", `The painting, in the style of ${code.title}`);
      shown(true);
      const seconds = result.seconds.toFixed(1);
      keep(result.loaded);
      tell(`${result.width} × ${result.height} px painted in ${seconds} s on the ${state.engine || "processor"}.`);
    });
  }
  busy = false;
  document.body.removeAttribute("aria-busy");
}

/** What the worker loaded goes through the service worker once, which keeps it: the first visit began without one. */
async function keep(loaded) {
  if (kept || !navigator.serviceWorker?.controller) return;
  kept = true;
  for (const address of loaded) await fetch(address).catch(() => {});
}

function draw(canvas, image) {
  [canvas.width, canvas.height] = [image.width, image.height];
  canvas.style.setProperty("--aspect", image.width / image.height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  canvas.classList.add("drawn");
}

function shown(painted) {
  state.painted = painted;
  for (const id of ["save-png", "save-jpeg", "split"]) $(id).disabled = !painted;
  if (!painted) $("after").classList.remove("drawn");
  cut();
}

function cut() {
  const share = Number($("split").value);
  $("after").style.setProperty("--cut", `${share}%`);
  $("split").setAttribute("aria-valuetext", `${share} % photo`);
  const canvas = $("before");
  $("divider").hidden = !state.painted || share === 0 || share === 100;
  $("divider").style.left = `${canvas.offsetLeft + (canvas.offsetWidth * share) / 100}px`;
}

// ---- Photos ----

let photos = 0; // asked for so far: the one that was asked for last is shown, however long others take to read

/** What `reading` gives, an ImageData or a promise of one, becomes the photo. */
function takePhoto(reading, name) {
  const mine = ++photos;
  return attempt(async () => {
    let image;
    try {
      image = await reading();
    } catch (error) {
      if (mine === photos) throw error;
    }
    if (mine !== photos) return;
    state.photo = image;
    state.name = name.replace(/\.[^.]*$/, "") || "photo";
    draw($("before"), image);
    $("before").setAttribute("aria-label", `The photo ${state.name}`);
    $("empty").hidden = true;
    shown(false);
    await ask("photo", { image });
    if (state.code) soon();
    else tell("Now choose a style.");
  });
}

// ---- Styles ----

let styles = 0; // asked for so far
let owns = 0;

function addStyle(style, first = false) {
  const label = document.createElement("label");
  label.className = "style";
  const made = (tag, facts) => Object.assign(document.createElement(tag), facts);
  const input = made("input", { type: "radio", name: "style", value: style.name });
  const image = made("img", { src: style.thumbnail, alt: "", loading: "lazy", width: 96, height: 96 });
  const text = made("span");
  text.append(style.title, made("small", { textContent: style.artist }));
  label.append(input, image, text);
  label.dataset.words = `${style.title} ${style.artist}`.toLowerCase();
  input.addEventListener("change", () => {
    styles += 1;
    choose(style);
  });
  if (first) $("styles").prepend(label);
  else $("styles").append(label);
  return input;
}

/** Paints in a style, unless another was chosen before its code is there. */
function choose(style) {
  return attempt(async () => {
    if (!style.code) {
      const answer = await fetch(`styles/${style.name}.safetensors`);
      if (!answer.ok) throw new Error(`The style ${style.title} is missing on the server.`);
      style.code = readCode(await answer.arrayBuffer());
    }
    if (document.querySelector("[name=style]:checked")?.value !== style.name) return;
    state.code = { ...style.code, key: style.name, title: style.title };
    $("save-style").hidden = !style.name.startsWith("own ");
    if (state.photo) soon();
    else tell("Now choose a photo.");
  });
}

/** A picture or a style file becomes one of the styles, and is chosen unless another was asked for meanwhile. */
function takeStyle(blob) {
  const mine = ++styles;
  return attempt(async () => {
    const title = blob.name.replace(/(\.style)?\.[^.]*$/, "") || "own style";
    const isFile = blob.name.endsWith(".safetensors");
    tell("Looking at the style …");
    let code;
    if (isFile) {
      code = readCode(await blob.arrayBuffer());
    } else {
      const { style_size: size } = await facts;
      code = { ...(await ask("encode", { image: await read(blob), size })), name: title };
    }
    const thumbnail = isFile ? "icon.svg" : URL.createObjectURL(blob);
    const own = { name: `own ${++owns}`, title, artist: "your own", thumbnail, code };
    const input = addStyle(own, true);
    if (mine !== styles) return;
    input.checked = true;
    $("styles").scrollTo(0, 0);
    await choose(own);
  });
}

$("search").addEventListener("input", () => {
  const words = $("search").value.toLowerCase().split(/\s+/);
  let some = false;
  for (const label of $("styles").children) {
    label.hidden = !words.every((word) => label.dataset.words.includes(word));
    some ||= !label.hidden;
  }
  $("none").hidden = some;
});

// ---- Saving ----

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function savePicture(type, suffix) {
  const { paint, name } = state;
  $("after").toBlob(
    (blob) =>
      attempt(async () => {
        const { xmp } = await facts;
        save(paint ? await marked(blob, xmp) : blob, `${name} painted.${suffix}`);
      }),
    type,
    0.95,
  );
}

$("save-png").addEventListener("click", () => savePicture("image/png", "png"));
$("save-jpeg").addEventListener("click", () => savePicture("image/jpeg", "jpg"));
$("save-style").addEventListener("click", () =>
  save(writeCode({ ...state.code, name: state.code.title }), `${state.code.title}.style.safetensors`),
);

// ---- Choosing ----

function insteadOfCamera(reading, name) {
  closeCamera();
  cut();
  takePhoto(reading, name);
}

const takeFile = (blob) => blob && insteadOfCamera(() => read(blob), blob.name);

for (const [button, file, taken] of [
  ["choose-photo", "photo-file", takeFile],
  ["choose-style", "style-file", takeStyle],
]) {
  $(button).addEventListener("click", () => $(file).click());
  $(file).addEventListener("change", () => {
    const [blob] = $(file).files;
    $(file).value = ""; // the same file may be chosen again
    if (blob) taken(blob);
  });
}

$("example").addEventListener("click", () =>
  insteadOfCamera(async () => read(await (await fetch("photo.jpg")).blob()), "example"),
);

addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", () => document.body.classList.remove("dropping"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  takeFile(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => takeFile(event.clipboardData.files[0]));

useCamera(attempt, (film) => takePhoto(() => pixelsOf(film, film.videoWidth, film.videoHeight), "camera"), cut);

// ---- Settings ----

for (const [name, rest] of REST) {
  const tellValue = () => {
    document.querySelector(`output[for=${name}]`).value = `${$(name).value} %`;
    $(name).setAttribute("aria-valuetext", `${$(name).value} %`);
  };
  Object.assign($(name), { min: 0, max: 100, step: 5, value: rest });
  tellValue();
  $(name).addEventListener("input", () => {
    tellValue();
    soon(PATIENCE);
  });
}
$("size").addEventListener("change", () => soon());
$("split").addEventListener("input", cut);
addEventListener("resize", cut);
$("stage").addEventListener("pointermove", (event) => {
  if (!state.painted || !(event.buttons & 1)) return;
  const { left, width } = $("after").getBoundingClientRect();
  $("split").value = (100 * (event.clientX - left)) / width;
  cut();
});

// ---- The beginning ----

await attempt(async () => {
  (await facts).styles.forEach((style) => addStyle(style));
  tell("Choose a photo and a style.");
});
if ("serviceWorker" in navigator && isSecureContext) {
  navigator.serviceWorker.register("offline.js").catch(() => {}); // works without, too
}
