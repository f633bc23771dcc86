// What the phone sees and knows: a photo, made small and without what the camera wrote beside it; and where it is.

const MOST_PIXELS = 1600; // the longer side: a number plate across a street can be read
const QUALITY = 0.82;
const MOST_BYTES = 8 * 1024 * 1024;
const PLACE_AGE_MS = 20_000;

// A JPEG; the file as it is where the browser can't draw it. null: nothing that can be sent.
export async function shrunk(file) {
  try {
    const picture = await createImageBitmap(file);
    const scale = Math.min(1, MOST_PIXELS / Math.max(picture.width, picture.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(picture.width * scale);
    canvas.height = Math.round(picture.height * scale);
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    picture.close();
    const small = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
    if (small) return small;
  } catch {
    // drawn or not, it may be sent
  }
  return ["image/jpeg", "image/png", "image/webp"].includes(file.type) && file.size <= MOST_BYTES ? file : null;
}

// Fields of `arrive`; none where the phone doesn't know, or may not say.
export function place(withinMs) {
  return new Promise((resolve) => {
    if (!navigator.geolocation) resolve({});
    navigator.geolocation?.getCurrentPosition(
      ({ coords }) => resolve({ lat: coords.latitude, lon: coords.longitude, error_m: coords.accuracy }),
      () => resolve({}),
      { enableHighAccuracy: true, timeout: withinMs, maximumAge: PLACE_AGE_MS },
    );
    setTimeout(() => resolve({}), withinMs + 1000); // a question that nobody answers
  });
}
