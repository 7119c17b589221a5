// How a saved picture says that a trained model has painted it: the XMP packet that hfstyle writes, too.

const PNG_HEADER = 33; // bytes of the signature and the first chunk
const words = (text) => new TextEncoder().encode(text);

/** A file of a browser's making, PNG or JPEG -> the same with the packet, a string. */
export async function marked(blob, xmp) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const png = blob.type === "image/png";
  const place = png ? PNG_HEADER : afterJfif(bytes);
  const parts = [bytes.subarray(0, place), png ? chunk(xmp) : segment(xmp), bytes.subarray(place)];
  return new Blob(parts, { type: blob.type });
}

function chunk(xmp) {
  const body = words(`iTXtXML:com.adobe.xmp\0\0\0\0\0${xmp}`); // not compressed, in no language
  const out = new Uint8Array(body.length + 8);
  const view = new DataView(out.buffer);
  view.setUint32(0, body.length - 4);
  out.set(body, 4);
  view.setUint32(body.length + 4, checksum(body));
  return out;
}

function checksum(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}

function afterJfif(bytes) {
  const first = bytes[2] === 0xff && bytes[3] === 0xe0;
  return first ? 4 + (bytes[4] << 8) + bytes[5] : 2;
}

function segment(xmp) {
  const body = words(`http://ns.adobe.com/xap/1.0/\0${xmp}`);
  const out = new Uint8Array(body.length + 4);
  out.set([0xff, 0xe1, (body.length + 2) >> 8, (body.length + 2) & 255]);
  out.set(body, 4);
  return out;
}
