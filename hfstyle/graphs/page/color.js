// How far a painted picture leaves the palette of its photo: `hfstyle.painting.recolor` and `hfstyle.painting.clipping`,
// where the formulas are explained. Matrices are arrays of rows.

const LUMA = [0.299, 0.587, 0.114];
const PHOTO_CHROMA = 0.75;
const PHOTO_SHARES = [0, 0.25, 0.5, 0.75];
const SAMPLE = 1 << 16;
const LEAST_DEVIATION = 0.01;

const MEAN = 0.5 / 255;
const COVARIANCE = 1e-3;
const LEAST_COVARIANCE = 1e-5;
const ENOUGH = 0.5;
const STEPS = 9;
const HALVINGS = 4;
const DAMPING = 1e-6;

/**
 * The painting moved toward the palette of its photo.
 *
 * painted, photo: maps of 3 channels and one size. color: 1 returns the painting, 0 gives the photo's palette.
 */
export function recolor(painted, photo, color) {
  if (color === 1) return painted;
  const count = painted.height * painted.width;
  const [matrix, shift] = wholeMap(painted.data, photo.data, count);
  const out = { ...painted, data: new Float32Array(painted.data.length) };
  const both = new Float64Array(6);
  for (let i = 0; i < count; i++) {
    take(both, painted.data, photo.data, count, i);
    for (let c = 0; c < 3; c++) {
      let value = shift[c];
      for (let k = 0; k < 6; k++) value += matrix[c][k] * both[k];
      out.data[c * count + i] = both[c] + (1 - color) * (clip(value) - both[c]);
    }
  }
  return out;
}

function wholeMap(painted, photo, count) {
  const both = new Float64Array(6);
  const { mean, covariance } = moments(6, count, (i) => {
    take(both, painted, photo, count, i);
    return both;
  });
  const goalMean = mean.slice(3);
  const goal = covariance.slice(3).map((row) => row.slice(3));
  const stride = Math.ceil(count / SAMPLE);
  const places = Array.from({ length: Math.ceil(count / stride) }, (_, k) => k * stride);
  let chance = 1; // a regular step would follow regular patterns
  const sample = places.map((place) => {
    chance = (chance * 48271) % 2147483647;
    take(both, painted, photo, count, Math.min(count - 1, place + (chance % stride)));
    return Array.from(both);
  });
  for (const share of PHOTO_SHARES) {
    const [matrix, shift] = combination(mean, covariance, share);
    const mapped = (six) => matrix.map((row, c) => dot(row, six) + shift[c]);
    let affine = fitClipped(sample.map(mapped), goalMean, goal);
    if (affine === null) continue;
    if (sample.length < count) {
      const whole = new ClippedMoments(affine);
      for (let i = 0; i < count; i++) {
        take(both, painted, photo, count, i);
        whole.add(mapped(both));
      }
      affine = plus(affine, whole.step(goalMean, goal));
    }
    const linear = affine.map((row) => row.slice(0, 3));
    return [times(linear, matrix), linear.map((row, c) => dot(row, shift) + affine[c][3])];
  }
  return [identity(6).slice(3), [0, 0, 0]];
}

function take(six, painted, photo, count, i) {
  for (let c = 0; c < 3; c++) {
    six[c] = painted[c * count + i];
    six[3 + c] = photo[c * count + i];
  }
}

function moments(size, count, at) {
  const sum = new Float64Array(size);
  const square = Array.from({ length: size }, () => new Float64Array(size));
  for (let i = 0; i < count; i++) {
    const values = at(i);
    for (let a = 0; a < size; a++) {
      const value = values[a] - 0.5;
      sum[a] += value;
      for (let b = a; b < size; b++) square[a][b] += value * (values[b] - 0.5);
    }
  }
  const mean = Array.from(sum, (s) => s / count);
  const covariance = mean.map((m, a) =>
    mean.map((n, b) => square[Math.min(a, b)][Math.max(a, b)] / count - m * n),
  );
  return { mean: mean.map((m) => m + 0.5), covariance };
}

function combination(mean, covariance, share) {
  const block = (rows, columns) =>
    covariance.slice(rows, rows + 3).map((row) => row.slice(columns, columns + 3));
  const goal = block(3, 3);
  const transport = transportOf(block(0, 0), goal);
  const transported = transport.map((row) => [...row, 0, 0, 0]);
  const photo = identity(6).slice(3);
  const luminance = [LUMA, LUMA, LUMA];
  const chroma = identity(3).map((row, c) => row.map((x, k) => x - luminance[c][k]));
  const mixed = lerp(transported, photo, PHOTO_CHROMA);
  const kept = plus(times(luminance, transported), times(chroma, mixed));
  let matrix = lerp(kept, photo, share);
  const found = times(times(matrix, covariance), transposed(matrix));
  matrix = times(transportOf(found, goal), matrix);
  return [matrix, matrix.map((row, c) => mean[3 + c] - dot(row, mean))];
}

/** The symmetric matrix T with T found T = goal, which moves least. */
function transportOf(found, goal) {
  const { values, vectors } = eigen(found);
  const deviations = values.map((v) => Math.sqrt(Math.max(v, LEAST_DEVIATION ** 2)));
  const root = ofEigen(deviations, vectors);
  const inverse = ofEigen(deviations.map((d) => 1 / d), vectors);
  const inner = eigen(times(times(root, goal), root));
  const middle = ofEigen(inner.values.map((v) => Math.sqrt(Math.max(0, v))), inner.vectors);
  return times(times(inverse, middle), inverse);
}

class ClippedMoments {
  constructor(affine) {
    this.affine = affine;
    this.mass = 0;
    this.square = zeros(4, 4);
    this.slopes = [zeros(4, 4), zeros(4, 4), zeros(4, 4)];
  }

  add(color) {
    const y = [...color, 1];
    const c = [0, 0, 0, 1];
    for (let k = 0; k < 3; k++) c[k] = clip(dot(this.affine[k], y));
    for (let k = 0; k < 3; k++) {
      if (c[k] <= 0 || c[k] >= 1) continue;
      for (let p = 0; p < 4; p++) {
        for (let q = 0; q < 4; q++) this.slopes[k][p][q] += y[p] * c[q];
      }
    }
    for (let p = 0; p < 4; p++) {
      for (let q = 0; q < 4; q++) this.square[p][q] += (c[p] - 0.5) * (c[q] - 0.5);
    }
    this.mass += 1;
  }

  moments() {
    const square = this.square.map((row) => row.map((x) => x / this.mass));
    const about = [0, 1, 2].map((k) => 2 * square[k][3]);
    const covariance = about.map((m, i) => about.map((n, k) => square[i][k] - m * n));
    return { mean: about.map((m) => m + 0.5), covariance };
  }

  errors(mean, covariance) {
    const found = this.moments();
    const differences = [
      ...found.mean.map((m, c) => m - mean[c]),
      ...upper(found.covariance.map((row, i) => row.map((x, k) => x - covariance[i][k]))),
    ];
    const units = allowed(covariance);
    return differences.map((d, i) => d / units[i]);
  }

  step(mean, covariance) {
    const found = this.moments();
    const slopes = this.slopes.map((s) => s.map((row) => row.map((x) => x / this.mass)));
    const rows = [];
    for (let channel = 0; channel < 3; channel++) {
      const row = new Array(12).fill(0);
      for (let p = 0; p < 4; p++) row[4 * channel + p] = slopes[channel][p][3];
      rows.push(row);
    }
    for (const [i, k] of UPPER) {
      const row = new Array(12).fill(0);
      for (const [channel, other] of [[i, k], [k, i]]) {
        for (let p = 0; p < 4; p++) {
          const s = slopes[channel][p];
          row[4 * channel + p] += s[other] - s[3] * found.mean[other];
        }
      }
      rows.push(row);
    }
    const units = allowed(covariance);
    const jacobian = rows.map((row, i) => row.map((x) => x / units[i]));
    const normal = times(jacobian, transposed(jacobian));
    const most = Math.max(...normal.map((row, i) => row[i]));
    normal.forEach((row, i) => (row[i] += DAMPING * most + 1e-12));
    const weights = solve(normal, this.errors(mean, covariance));
    const change = transposed(jacobian).map((row) => -dot(row, weights));
    return [change.slice(0, 4), change.slice(4, 8), change.slice(8)];
  }
}

function fitClipped(colors, mean, covariance) {
  const look = (affine) => {
    const found = new ClippedMoments(affine);
    for (const color of colors) found.add(color);
    return found;
  };
  let looked = look([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]);
  let errors = looked.errors(mean, covariance);
  const worst = () => Math.max(...errors.map(Math.abs));
  for (let round = 0; round < STEPS && worst() > ENOUGH; round++) {
    const step = looked.step(mean, covariance);
    let better = null;
    for (let halving = 0; halving < HALVINGS && better === null; halving++) {
      const part = step.map((row) => row.map((x) => x / 2 ** halving));
      const tried = look(plus(looked.affine, part));
      if (norm(tried.errors(mean, covariance)) < norm(errors)) better = tried;
    }
    if (better === null) break;
    looked = better;
    errors = looked.errors(mean, covariance);
  }
  return worst() <= ENOUGH ? looked.affine : null;
}

const UPPER = [[0, 0], [0, 1], [0, 2], [1, 1], [1, 2], [2, 2]];

function upper(matrix) {
  return UPPER.map(([i, k]) => matrix[i][k]);
}

function allowed(covariance) {
  const deviations = covariance.map((row, i) => Math.sqrt(Math.max(0, row[i])));
  const units = UPPER.map(([i, k]) => 2 * MEAN * Math.sqrt(deviations[i] * deviations[k]));
  const within = units.map((x) => Math.min(COVARIANCE, Math.max(LEAST_COVARIANCE, x)));
  return [MEAN, MEAN, MEAN, ...within];
}

const clip = (x) => Math.min(1, Math.max(0, x));
const zeros = (rows, columns) => Array.from({ length: rows }, () => new Array(columns).fill(0));
const identity = (size) => zeros(size, size).map((row, i) => row.map((_, k) => (i === k ? 1 : 0)));
const transposed = (a) => a[0].map((_, k) => a.map((row) => row[k]));
const plus = (a, b) => a.map((row, i) => row.map((x, k) => x + b[i][k]));
const lerp = (a, b, t) => a.map((row, i) => row.map((x, k) => x + t * (b[i][k] - x)));
const norm = (a) => Math.hypot(...a);

function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function times(a, b) {
  const columns = transposed(b);
  return a.map((row) => columns.map((column) => dot(row, column)));
}

function ofEigen(values, vectors) {
  return times(vectors.map((row) => row.map((x, k) => x * values[k])), transposed(vectors));
}

/** Eigenvalues and vectors (as columns) of a symmetric matrix, by Jacobi's rotations. */
function eigen(matrix) {
  let a = matrix.map((row, i) => row.map((x, k) => (x + matrix[k][i]) / 2));
  let vectors = identity(a.length);
  for (let sweep = 0; sweep < 30; sweep++) {
    for (let p = 0; p < a.length; p++) {
      for (let q = p + 1; q < a.length; q++) {
        if (a[p][q] === 0) continue;
        const angle = 0.5 * Math.atan2(2 * a[p][q], a[q][q] - a[p][p]);
        const turn = identity(a.length);
        turn[p][p] = turn[q][q] = Math.cos(angle);
        turn[p][q] = Math.sin(angle);
        turn[q][p] = -turn[p][q];
        a = times(times(transposed(turn), a), turn);
        vectors = times(vectors, turn);
      }
    }
  }
  return { values: a.map((row, i) => row[i]), vectors };
}

/** x with a x = b, by elimination. */
function solve(a, b) {
  const rows = a.map((row, i) => [...row, b[i]]);
  const size = rows.length;
  for (let p = 0; p < size; p++) {
    let pivot = p;
    for (let i = p + 1; i < size; i++) {
      if (Math.abs(rows[i][p]) > Math.abs(rows[pivot][p])) pivot = i;
    }
    [rows[p], rows[pivot]] = [rows[pivot], rows[p]];
    for (let i = p + 1; i < size; i++) {
      const factor = rows[i][p] / rows[p][p];
      for (let k = p; k <= size; k++) rows[i][k] -= factor * rows[p][k];
    }
  }
  const x = new Array(size).fill(0);
  for (let p = size - 1; p >= 0; p--) {
    let value = rows[p][size];
    for (let k = p + 1; k < size; k++) value -= rows[p][k] * x[k];
    x[p] = value / rows[p][p];
  }
  return x;
}
