// Pictures as planes of numbers, with the arithmetic of hfstyle's `images` and `painting`: the same picture comes out.
//
// A map is {data: Float32Array, channels, height, width}: channel by channel, row by row, values in [0, 1].

const LUMA = [0.299, 0.587, 0.114];

/** To the nearest whole number, halves to the even one, as Python does. */
export function round(x) {
  const low = Math.floor(x);
  const rest = x - low;
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}

export function mapOf(channels, height, width, data = new Float32Array(channels * height * width)) {
  return { data, channels, height, width };
}

/** An ImageData that is opaque -> a map of 3 channels. */
export function fromImage({ data, width, height }) {
  const count = width * height;
  const map = mapOf(3, height, width);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) map.data[c * count + i] = data[4 * i + c] / 255;
  }
  return map;
}

/** A map of 3 channels -> the bytes of an ImageData. */
export function toBytes(map) {
  const count = map.width * map.height;
  const bytes = new Uint8ClampedArray(4 * count); // rounds
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) bytes[4 * i + c] = 255 * map.data[c * count + i];
    bytes[4 * i + 3] = 255;
  }
  return bytes;
}

export function crop(map, top, left, height, width) {
  const out = mapOf(map.channels, height, width);
  for (let c = 0; c < map.channels; c++) {
    for (let y = 0; y < height; y++) {
      const from = (c * map.height + top + y) * map.width + left;
      out.data.set(map.data.subarray(from, from + width), (c * height + y) * width);
    }
  }
  return out;
}

const FILTERS = {
  bilinear: { reach: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    reach: 2,
    at: (x) => {
      const d = Math.abs(x);
      if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
      return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
    },
  },
};

/** For each of `to` places on a line, the first of `from` that counts, and the weights from there on. */
function weightsOf(from, to, filter, antialias) {
  const { reach, at } = FILTERS[filter];
  const step = from / to;
  const wide = antialias ? Math.max(1, step) : 1;
  return Array.from({ length: to }, (_, i) => {
    const centre = step * (i + 0.5);
    const first = Math.max(0, Math.trunc(centre - reach * wide + 0.5));
    const stop = Math.min(from, Math.trunc(centre + reach * wide + 0.5));
    const weights = [];
    for (let j = first; j < stop; j++) weights.push(at((j - centre + 0.5) / wide));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((w) => w / sum) };
  });
}

/** To another size; antialiased as torch does. Values may leave [0, 1]: see `clamp`. */
export function resize(map, height, width, filter = "bicubic", antialias = true) {
  const { channels } = map;
  const across = weightsOf(map.width, width, filter, antialias);
  const wide = mapOf(channels, map.height, width);
  for (let row = 0; row < channels * map.height; row++) {
    const from = row * map.width;
    for (let x = 0; x < width; x++) {
      const { first, weights } = across[x];
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * map.data[from + first + k];
      wide.data[row * width + x] = sum;
    }
  }
  const down = weightsOf(map.height, height, filter, antialias);
  const out = mapOf(channels, height, width);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      const to = (c * height + y) * width;
      const { first, weights } = down[y];
      for (let k = 0; k < weights.length; k++) {
        const from = (c * map.height + first + k) * width;
        const weight = weights[k];
        for (let x = 0; x < width; x++) out.data[to + x] += weight * wide.data[from + x];
      }
    }
  }
  return out;
}

export function clamp(map) {
  const { data } = map;
  for (let i = 0; i < data.length; i++) data[i] = Math.min(1, Math.max(0, data[i]));
  return map;
}

/** [height, width] of the same proportions whose short side is `side`. */
export function sizeAt(height, width, side) {
  const scale = side / Math.min(height, width);
  return [round(height * scale), round(width * scale)];
}

/** Mirrored on the right and below until both sides are multiples, and at least the minimum. */
export function pad(map, multiple, minimum) {
  const [height, width] = [map.height, map.width].map(
    (side) => Math.ceil(Math.max(side, minimum) / multiple) * multiple,
  );
  const out = mapOf(map.channels, height, width);
  const columns = Int32Array.from({ length: width }, (_, x) => mirrored(x, map.width));
  for (let c = 0; c < map.channels; c++) {
    for (let y = 0; y < height; y++) {
      const from = (c * map.height + mirrored(y, map.height)) * map.width;
      const to = (c * height + y) * width;
      for (let x = 0; x < width; x++) out.data[to + x] = map.data[from + columns[x]];
    }
  }
  return out;
}

function mirrored(place, length) {
  if (length === 1) return 0;
  const step = place % (2 * (length - 1));
  return Math.min(step, 2 * (length - 1) - step);
}

function luminance(map) {
  const count = map.height * map.width;
  const out = mapOf(1, map.height, map.width);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) out.data[i] += LUMA[c] * map.data[c * count + i];
  }
  return out;
}

function zipped(f, ...maps) {
  const out = mapOf(maps[0].channels, maps[0].height, maps[0].width);
  const data = maps.map((map) => map.data);
  for (let i = 0; i < out.data.length; i++) out.data[i] = f(...data.map((d) => d[i]));
  return out;
}

const RADIUS = 4;
const EPS = 1e-3;

/** Mean over a square of 9 pixels a side; at the border, over its part inside the picture. */
function box(map) {
  const { height, width } = map;
  const out = mapOf(1, height, width);
  const sums = new Float64Array((height + 1) * (width + 1));
  for (let y = 0; y < height; y++) {
    let row = 0;
    for (let x = 0; x < width; x++) {
      row += map.data[y * width + x];
      sums[(y + 1) * (width + 1) + x + 1] = sums[y * (width + 1) + x + 1] + row;
    }
  }
  for (let y = 0; y < height; y++) {
    const [top, bottom] = [Math.max(0, y - RADIUS), Math.min(height, y + RADIUS + 1)];
    for (let x = 0; x < width; x++) {
      const [left, right] = [Math.max(0, x - RADIUS), Math.min(width, x + RADIUS + 1)];
      const sum =
        sums[bottom * (width + 1) + right] -
        sums[top * (width + 1) + right] -
        sums[bottom * (width + 1) + left] +
        sums[top * (width + 1) + left];
      out.data[y * width + x] = sum / ((bottom - top) * (right - left));
    }
  }
  return out;
}

/**
 * A painting of lower resolution at the size of the photo, with the photo's own fine detail in luminance.
 * As `hfstyle.painting.detail.restore_detail`, which says why.
 */
export function restoreDetail(painted, reduced, photo, thickness) {
  const { height, width } = photo;
  const guide = luminance(reduced);
  const target = luminance(painted);
  const [guideMean, targetMean] = [box(guide), box(target)];
  const product = (a, b) => a * b;
  const less = (both, a, b) => both - a * b;
  const covariance = zipped(less, box(zipped(product, guide, target)), guideMean, targetMean);
  const variance = zipped(less, box(zipped(product, guide, guide)), guideMean, guideMean);
  const slope = box(
    zipped((c, v) => Math.min(1, Math.max(-1, c / (v + EPS))), covariance, variance),
  );
  const out = resize(
    zipped((p, r) => p - (1 - thickness) * r, painted, reduced),
    height,
    width,
  );
  const coarse = resize(guide, height, width);
  const gain = resize(slope, height, width);
  const fine = luminance(photo);
  const count = height * width;
  for (let i = 0; i < count; i++) {
    const detail = thickness * gain.data[i] * (fine.data[i] - coarse.data[i]);
    for (let c = 0; c < 3; c++) {
      const at = c * count + i;
      const value = out.data[at] + detail + (1 - thickness) * photo.data[at];
      out.data[at] = Math.min(1, Math.max(0, value));
    }
  }
  return out;
}
