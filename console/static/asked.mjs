// A question to the server, and the answer to this very question: the server sends its number back. What a network gives in its stead (the page
// of a Wi-Fi that wants a login, or of a gateway; an old answer that a proxy has kept) is no answer, however well it looks.

export class NotOurs extends TypeError {
  constructor(status) {
    super(`answered by somebody else: ${status}`);
    this.status = status;
  }
}

// As `fetch`. Raises NotOurs.
export async function ask(address, { headers, ...more }) {
  const number = Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("");
  const answer = await fetch(address, { cache: "no-store", ...more, headers: { ...headers, "X-Asked": number } });
  if (answer.headers.get("X-Asked") !== number) throw new NotOurs(answer.status);
  return answer;
}
