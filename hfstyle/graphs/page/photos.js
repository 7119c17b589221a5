// Pictures as the browser reads them, as ImageData.

const MOST_PIXELS = 12_000_000; // larger photos are reduced: phones have little memory
const LEAST_SIDE = 16;

/** A picture file -> ImageData over white, upright. */
export async function read(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob);
  } catch {
    throw new Error("This file is not a picture that the browser can read.");
  }
  if (Math.min(bitmap.width, bitmap.height) < LEAST_SIDE) {
    throw new Error(`The picture is ${bitmap.width} × ${bitmap.height} px; it needs ${LEAST_SIDE} px a side.`);
  }
  const image = pixelsOf(bitmap, bitmap.width, bitmap.height);
  bitmap.close();
  return image;
}

/** What can be drawn, of that size -> ImageData over white, reduced if it has too many pixels. */
export function pixelsOf(source, width, height) {
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}
