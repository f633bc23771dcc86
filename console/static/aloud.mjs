// What a screen reader says by itself of alarms that are new: the red ones at once, each once; of the others only when it has finished what it
// says, and in a flood, when there are more than anybody can listen to, not at all. How fresh the page is, the banner says.

const said = new Set(); // a list that comes again after a lost connection says nothing twice; an alarm that calls again is said again

export function say(fresh) {
  const call = ({ id, calls }) => `${id} ${calls}`;
  const unsaid = fresh.filter((entry) => !said.has(call(entry)));
  for (const entry of unsaid) said.add(call(entry));
  const red = unsaid.filter(({ level }) => level === "red");
  const others = document.body.classList.contains("flooded") ? [] : unsaid.filter(({ level }) => level !== "red");
  put("aloud", red);
  put("softly", others);
}

// As a line of its own each time, so that the same words about another alarm are said too.
function put(id, entries) {
  if (!entries.length) return;
  const line = document.createElement("span");
  line.textContent = entries.map((entry) => entry.say).join(" ");
  document.getElementById(id).replaceChildren(line);
}
