"""The process in which makers' codecs run: a message is a line on its standard input, what the codec says a line on its output.

JavaScript by quickjs-ng, in a fresh context for every message: what a hostile or broken codec does ends with its message. No
file, network, clock or timer is inside; `console` and `module` are stubs. Time, memory, stack and the length of what comes
out are limited. Source of the three forms: LoRa Alliance TS013-1.0.0 (decodeUplink), ChirpStack v3 (Decode), The Things
Network v2 (Decoder).

The engine looks at its own time limit between the steps of a script. Some of its built-in functions (join, reverse, indexOf
of something long) go on for hours without a look; so the kernel ends this process when a message has cost END_S of
processor time, also if whoever started it is gone. It is run by its path and imports nothing of Gridcall, to be small.
"""

import signal
import sys

import orjson
import quickjs

TIME_LIMIT_S = 0.25
END_S = 1.0
MEMORY_LIMIT_BYTES = 32 * 1024 * 1024
STACK_LIMIT_BYTES = 256 * 1024
RESULT_LIMIT = 64 * 1024
"""Characters."""

_BEFORE = """
"use strict";
globalThis.console = { log() {}, warn() {}, error() {}, info() {}, debug() {}, trace() {} };
globalThis.module = { exports: {} };
globalThis.exports = globalThis.module.exports;
"""
_CALL = """
(function (text, limit, stringify, parse) {
  const given = parse(text), said = module.exports || {};
  const form = (name) => typeof globalThis[name] === "function" ? globalThis[name] : typeof said[name] === "function" ? said[name] : null;
  let result;
  const uplink = form("decodeUplink"), three = form("Decode"), two = form("Decoder");
  if (uplink) result = uplink({ bytes: given.bytes, fPort: given.fPort, recvTime: new Date(given.at), variables: {} });
  else if (three) result = { data: three(given.fPort, given.bytes, {}) };
  else if (two) result = { data: two(given.bytes, given.fPort) };
  else throw new Error("it has no decodeUplink, Decode or Decoder");
  const answer = stringify(result);
  if (typeof answer !== "string") throw new Error("it returned nothing");
  if (answer.length > limit) throw new Error("it returned " + answer.length + " characters");
  return answer;
})
"""


def main() -> None:
    """Until its input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started it
    for line in sys.stdin.buffer:
        script, given = orjson.loads(line)
        signal.setitimer(signal.ITIMER_PROF, END_S)  # nobody catches its signal, so the kernel ends the process
        try:
            said = {"answer": answered(script, given)}
        except (quickjs.JSException, quickjs.StackOverflow, MemoryError, ValueError) as error:
            said = {"failure": _first_line(error)}
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.buffer.write(orjson.dumps(said) + b"\n")
        sys.stdout.buffer.flush()


def answered(script: str, given: str) -> str:
    """What the codec returns for a message, as JSON. Raises what quickjs does, MemoryError and ValueError."""
    context = quickjs.Context()
    context.set_memory_limit(MEMORY_LIMIT_BYTES)
    context.set_max_stack_size(STACK_LIMIT_BYTES)
    context.set_time_limit(TIME_LIMIT_S)
    # taken before the codec can put anything in their place
    stringify, parse = context.eval("JSON.stringify"), context.eval("JSON.parse")
    context.eval(_BEFORE)
    context.eval(script)
    answer = context.eval(_CALL)(given, RESULT_LIMIT, stringify, parse)
    if not isinstance(answer, str):
        raise ValueError("it returned nothing")
    return answer


def _first_line(error: BaseException) -> str:
    words = str(error).encode(errors="replace").decode().strip().splitlines()  # a codec may throw half characters
    return (words[0] if words and words[0] != "null" else "out of memory")[:200]


if __name__ == "__main__":
    main()
