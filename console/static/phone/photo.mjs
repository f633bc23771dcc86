// A photo for the server: a JPEG, made small, without what the camera wrote beside it.

const MOST_PIXELS = 1600; // the longer side: a number plate across a street can be read
const LEAST_PIXELS = 400; // where less than this shows nothing any more
const QUALITY = 0.82;
const MOST_BYTES = 8 * 1024 * 1024;

// The file as it is where the browser can't draw it. null: nothing that can be sent.
export async function shrunk(file) {
  try {
    const small = await drawn(await createImageBitmap(file), MOST_PIXELS);
    if (small) return small;
  } catch {
    // drawn or not, it may be sent
  }
  return ["image/jpeg", "image/png", "image/webp"].includes(file.type) && file.size <= MOST_BYTES ? file : null;
}

// Half as wide and high, for a gateway that takes no more. null: it would show nothing any more.
export async function halved(photo) {
  const picture = await createImageBitmap(photo);
  const side = Math.max(picture.width, picture.height) / 2;
  return side < LEAST_PIXELS ? null : drawn(picture, side);
}

async function drawn(picture, mostPixels) {
  const scale = Math.min(1, mostPixels / Math.max(picture.width, picture.height));
  const canvas = blank(Math.round(picture.width * scale), Math.round(picture.height * scale));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  if (canvas.convertToBlob) return canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
}

// The browser's worker has no document, older browsers have no canvas outside of one.
function blank(width, height) {
  return globalThis.document ? Object.assign(document.createElement("canvas"), { width, height }) : new OffscreenCanvas(width, height);
}
