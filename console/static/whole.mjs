// A network that goes may cut an answer off anywhere, also within its head; a browser may then take an empty page for a whole one. What is
// not whole is as none at all: it neither takes the place of what is shown, nor of what was kept.

export async function wholePage(answer) {
  const words = await answer.text();
  if (!words.trimEnd().endsWith("</html>")) throw new TypeError("the page is cut off");
  return words;
}

export function again(body, answer) {
  return new Response(body, { status: answer.status, headers: answer.headers });
}

export async function wholeFile(answer) {
  const body = await answer.blob();
  const said = answer.headers.get("Content-Length");
  const cut = said === null || answer.headers.has("Content-Encoding") ? body.size === 0 : Number(said) !== body.size;
  if (cut) throw new TypeError("the file is cut off");
  return again(body, answer);
}
