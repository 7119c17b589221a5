// The networks, in a thread of their own, so that the page answers while they work.
//
// Messages in:  {job, kind: "photo" | "encode", image}, {job, kind: "paint", code, settings}; images are ImageData.
// Messages out: {job, result} or {job, error}; {loading: bytes, of: bytes}; {running: "webgpu" | "wasm", threads}.

import { recolor } from "./color.js";
import {
  clamp, crop, fromImage, mapOf, pad, resize, restoreDetail, round, sizeAt, toBytes,
} from "./pixels.js";

const LONGEST_STYLE = 4; // long side in short sides; of a hand scroll the middle is looked at
const LOOKED_AT = 256; // short side in px at which faces are looked for
const FACE_MULTIPLE = 32;
const SEEN = 0.02; // of what a place is spared, at least
const MOST_THREADS = 8;
const LEAST = 64; // the least size of painting, to which even the smallest photos are enlarged
const SMALLEST = 512; // short side in px to which smaller photos are enlarged for painting, at most doubled

let ort = null;
let backend = null;
let facts = null; // of onnx.json
const sessions = {};
const weights = {};
let photo = null; // {map, reduced: Map of size -> map, found: Map of size -> where faces are}
let last = { key: "", painted: null }; // what the networks painted: colours are changed without them

const wished = new URL(self.location.href).searchParams.get("backend");

let turn = Promise.resolve(); // one message after the other: none finds the photo or a network changed under it

self.onmessage = ({ data }) => (turn = turn.then(() => answer(data)));

async function answer(data) {
  try {
    const result = await { photo: take, encode, paint }[data.kind](data);
    self.postMessage({ job: data.job, result }, result?.bytes ? [result.bytes.buffer] : []);
  } catch (error) {
    self.postMessage({ job: data.job, error: error.message || String(error) });
  }
}

async function take({ image }) {
  photo = { map: fromImage(image), reduced: new Map(), found: new Map() };
  last = { key: "", painted: null };
  return {};
}

async function encode({ image, size }) {
  const map = fromImage(image);
  const longest = LONGEST_STYLE * Math.min(map.height, map.width);
  const [height, width] = [Math.min(map.height, longest), Math.min(map.width, longest)];
  const top = Math.floor((map.height - height) / 2);
  const left = Math.floor((map.width - width) / 2);
  const middle = crop(map, top, left, height, width);
  const view = clamp(resize(middle, ...sizeAt(height, width, size)));
  const { vector, tokens } = await run("encoder", { style: view });
  return { vector: vector.data, tokens: tokens.data, count: tokens.dims[1], encoder: facts.encoder };
}

async function paint({ code, settings }) {
  await start();
  const started = performance.now();
  const { strength, color, faces, outlines } = settings;
  const { map } = photo;
  const short = Math.min(map.height, map.width);
  const size = Math.min(settings.size, Math.max(short, Math.min(SMALLEST, Math.max(LEAST, 2 * short))));
  const key = JSON.stringify([code.key, strength, faces, outlines, size]);
  if (last.key !== key) {
    last = { key, painted: strength === 0 ? map : await painted(code, settings, size) };
  }
  const bytes = toBytes(strength === 0 ? map : recolor(last.painted, map, color));
  const seconds = (performance.now() - started) / 1000;
  const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  return { bytes, width: map.width, height: map.height, seconds, loaded };
}

async function painted(code, { strength, faces, outlines }, size) {
  if (code.encoder !== facts.encoder) {
    throw new Error("This style was made by another model; only that one can paint it.");
  }
  const { map } = photo;
  const whole = size === Math.min(map.height, map.width);
  if (!photo.reduced.has(size)) {
    const reduced = whole ? map : clamp(resize(map, ...sizeAt(map.height, map.width, size)));
    photo.reduced.set(size, reduced);
  }
  const reduced = photo.reduced.get(size);
  const content = pad(reduced, facts.size_multiple, facts.minimum_size);
  const spared = await sparedOf(reduced, size, faces);
  const { painted: out } = await run("generator", {
    content,
    vector: { data: code.vector, dims: [1, code.vector.length] },
    tokens: { data: code.tokens, dims: [1, code.count, code.tokens.length / code.count] },
    strength: { data: Float32Array.of(strength), dims: [1] },
    spared: pad(spared, facts.size_multiple, facts.minimum_size),
    outlines: { data: Float32Array.of(outlines), dims: [1] },
  });
  const result = crop(mapOf(3, content.height, content.width, out.data), 0, 0, reduced.height, reduced.width);
  if (!result.data.every(Number.isFinite)) throw new Error("The network gave no colours.");
  return whole ? result : restoreDetail(result, reduced, map, strength * (2 - strength));
}

/** How far places of the photo are spared: a map of its size. */
async function sparedOf(reduced, size, faces) {
  const { height, width } = reduced;
  const nothing = mapOf(1, height, width);
  if (faces === 0) return nothing;
  if (!photo.found.has(size)) {
    const scale = Math.min(1, LOOKED_AT / Math.min(height, width));
    const [h, w] = [height, width].map((side) =>
      Math.max(FACE_MULTIPLE, round((side * scale) / FACE_MULTIPLE) * FACE_MULTIPLE),
    );
    const { found } = await run("faces", { picture: resize(reduced, h, w, "bilinear") });
    photo.found.set(size, mapOf(1, h / 4, w / 4, found.data));
  }
  const found = photo.found.get(size);
  const data = found.data.map((x) => faces * x);
  if (!data.some((x) => x > SEEN)) return nothing;
  return resize({ ...found, data }, height, width, "bilinear", false);
}

async function run(name, inputs) {
  await start();
  try {
    return await ran(name, inputs);
  } catch (error) {
    if (backend !== "webgpu" || wished === "webgpu") throw error;
    await load("wasm"); // what a graphics processor cannot do, the processor can
    return ran(name, inputs);
  }
}

async function ran(name, inputs) {
  sessions[name] ??= await ort.InferenceSession.create(weights[name], {
    executionProviders: [backend],
    enableMemPattern: false, // plans memory for one size, and ours changes
    logSeverityLevel: 3,
  });
  const feeds = {};
  for (const [key, { data, dims, channels, height, width }] of Object.entries(inputs)) {
    feeds[key] = new ort.Tensor("float32", data, dims ?? [1, channels, height, width]);
  }
  return sessions[name].run(feeds);
}

/** Loads what is needed for the first picture, once; after a failure, again. */
function start() {
  start.once ??= begin().catch((error) => {
    start.once = null;
    throw error;
  });
  return start.once;
}

async function begin() {
  facts = await (await fetched("graphs/onnx.json")).json();
  await load(wished ?? ((await hasGraphics()) ? "webgpu" : "wasm"));
  const names = ["encoder", "generator", "faces"];
  const answers = await Promise.all(names.map((name) => fetched(`graphs/${name}.onnx`)));
  const of = answers.reduce((sum, answer) => sum + Number(answer.headers.get("Content-Length")), 0);
  let loading = 0;
  for (const [index, name] of names.entries()) {
    const parts = [];
    for (const reader = answers[index].body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      loading += value.length;
      self.postMessage({ loading, of });
    }
    weights[name] = new Uint8Array(await new Blob(parts).arrayBuffer());
  }
}

async function load(chosen) {
  const file = chosen === "webgpu" ? "ort.webgpu.min.mjs" : "ort.wasm.min.mjs";
  ort = await import(`./ort/${file}`);
  const threads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
  ort.env.wasm.wasmPaths = new URL("./ort/", self.location.href).href;
  ort.env.wasm.numThreads = threads;
  for (const name of Object.keys(sessions)) delete sessions[name];
  backend = chosen;
  self.postMessage({ running: backend, threads });
}

/** Whether there is a graphics processor; one that is only imitated is slower than none. */
async function hasGraphics() {
  try {
    const adapter = await navigator.gpu?.requestAdapter();
    return Boolean(adapter) && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
  } catch {
    return false;
  }
}

async function fetched(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path} is missing on the server (${answer.status}).`);
  return answer;
}
