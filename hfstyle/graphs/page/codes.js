// Files of style codes, as hfstyle writes them: safetensors with the tensors "vector" and "tokens".

const SIZES = { F32: 4, F16: 2 };

/** ArrayBuffer -> {vector, tokens: Float32Array, count of tokens, encoder, name}; throws an Error with a sentence for people. */
export function readCode(buffer) {
  let header;
  try {
    const length = Number(new DataView(buffer).getBigUint64(0, true));
    header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
    const facts = header.__metadata__;
    if (facts.format !== "hfstyle.style_code") throw new Error("another format");
    const tensor = (name) => numbers(buffer, 8 + length, header[name]);
    return {
      vector: tensor("vector"),
      tokens: tensor("tokens"),
      count: header.tokens.shape[0],
      encoder: facts.encoder,
      name: facts.name,
    };
  } catch {
    throw new Error("This file is not a style of hfstyle, or it is damaged.");
  }
}

/** A code -> the bytes of its file. */
export function writeCode({ vector, tokens, count, encoder, name }) {
  const end = 4 * vector.length;
  const facts = { format: "hfstyle.style_code", format_version: "1", encoder, name, metadata: "{}" };
  const header = {
    __metadata__: facts,
    vector: { dtype: "F32", shape: [vector.length], data_offsets: [0, end] },
    tokens: {
      dtype: "F32",
      shape: [count, tokens.length / count],
      data_offsets: [end, end + 4 * tokens.length],
    },
  };
  let text = JSON.stringify(header);
  while (new TextEncoder().encode(text).length % 8) text += " ";
  const words = new TextEncoder().encode(text);
  const length = new ArrayBuffer(8);
  new DataView(length).setBigUint64(0, BigInt(words.length), true);
  return new Blob([length, words, vector, tokens]);
}

function numbers(buffer, start, { dtype, data_offsets: [first, stop] }) {
  const bytes = buffer.slice(start + first, start + stop);
  if (!(dtype in SIZES)) throw new Error(dtype);
  if (dtype === "F32") return new Float32Array(bytes);
  return Float32Array.from(new Uint16Array(bytes), halfOf);
}

function halfOf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
