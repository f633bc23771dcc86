// Reads the label on an asset by the camera, where the browser can. Elsewhere the phone's own camera opens the link, or fingers type it.

const EVERY_MS = 150;
const LABEL = /(?:\/a\/|^)([0-9A-Za-z]{12})$/; // the server judges; this only tells a label from a poster

const dialog = document.getElementById("scan");
const video = dialog.querySelector("video");
const words = dialog.querySelector("[role=status]");
const say = document.body.dataset;

export async function canScan() {
  if (!("BarcodeDetector" in globalThis) || !navigator.mediaDevices?.getUserMedia) return false;
  return (await BarcodeDetector.getSupportedFormats()).includes("qr_code");
}

// The code, or null: stopped, or no camera (then the words stay until they are read).
export async function scanned() {
  words.textContent = say.sayScanHint;
  dialog.showModal();
  let stream = null;
  let failed = false;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    if (!dialog.open) return null;
    video.srcObject = stream;
    await video.play();
    return await firstLabel();
  } catch {
    failed = true;
    words.textContent = say.sayScanNone;
    return null;
  } finally {
    for (const track of stream?.getTracks() ?? []) track.stop();
    video.srcObject = null;
    if (!failed) dialog.close();
  }
}

async function firstLabel() {
  const detector = new BarcodeDetector({ formats: ["qr_code"] });
  while (dialog.open) {
    const found = (await detector.detect(video)).map((one) => one.rawValue.trim());
    const label = found.map((text) => LABEL.exec(text)?.[1]).find(Boolean);
    if (label) {
      navigator.vibrate?.(80);
      return label;
    }
    if (found.length) words.textContent = say.sayScanOther;
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
  return null;
}

dialog.querySelector("button").addEventListener("click", () => dialog.close());
