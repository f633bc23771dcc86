// A network that goes may cut an answer off anywhere, also within its head; a browser may then take an empty page for a whole one. And it may
// be that somebody else answers. What is not whole, or not ours, is as none at all: it neither takes the place of what is shown, nor of what was kept.

export async function wholePage(answer) {
  const words = await answer.text();
  if (!isWhole(words)) throw new TypeError("the page is cut off, or not ours");
  return words;
}

// Each page of ours says when it was made.
export const madeAt = (words) => Number(/<body[^>]* data-now="(\d+)"/.exec(words)?.[1] ?? NaN);
export const isWhole = (words) => words.trimEnd().endsWith("</html>") && madeAt(words) > 0;

export function again(body, answer) {
  return new Response(body, { status: answer.status, headers: answer.headers });
}

const SORTS = { js: "javascript", mjs: "javascript", css: "css", svg: "svg" };

export async function wholeFile(answer) {
  const body = await answer.blob();
  const said = answer.headers.get("Content-Length");
  const cut = said === null || answer.headers.has("Content-Encoding") ? body.size === 0 : Number(said) !== body.size;
  const ours = answer.ok && body.type.includes(SORTS[/\w+$/.exec(answer.url)[0]]);
  if (cut || !ours) throw new TypeError("the file is cut off, or not ours");
  return again(body, answer);
}
