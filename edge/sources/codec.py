"""A maker's own LoRaWAN codec, run unmodified in a sandbox: bytes and port in, plain data out.

JavaScript by quickjs-ng, in a fresh context for every message: what a hostile or broken codec does ends with its message. No
file, network, clock or timer is inside; `console` and `module` are stubs. Time, memory, stack and the length of
what comes out are limited. Source of the three forms: LoRa Alliance TS013-1.0.0 (decodeUplink), ChirpStack v3 (Decode),
The Things Network v2 (Decoder).
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import quickjs

from edge.protocols.json_paths import shown
from edge.protocols.lorawan import CodecError

TIME_LIMIT_S = 0.25
MEMORY_LIMIT_BYTES = 32 * 1024 * 1024
STACK_LIMIT_BYTES = 256 * 1024
RESULT_LIMIT = 64 * 1024
"""Characters."""
MOST_ERRORS = 3
"""Of those that a codec returns, as many are told."""

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


class Sandbox:
    """Runs codecs on a thread of its own, one message at a time."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="codec")

    async def decode(self, script: str, payload: bytes, f_port: int, at_ms: int) -> Mapping[str, Any]:
        """Raises CodecError."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, decode, script, payload, f_port, at_ms)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def decode(script: str, payload: bytes, f_port: int, at_ms: int) -> Mapping[str, Any]:
    """What `script` makes of one message. Blocks for TIME_LIMIT_S at most. Raises CodecError."""
    given = orjson.dumps({"bytes": list(payload), "fPort": f_port, "at": at_ms}).decode()
    try:
        context = quickjs.Context()
        context.set_memory_limit(MEMORY_LIMIT_BYTES)
        context.set_max_stack_size(STACK_LIMIT_BYTES)
        context.set_time_limit(TIME_LIMIT_S)
        # taken before the codec can put anything in their place
        stringify, parse = context.eval("JSON.stringify"), context.eval("JSON.parse")
        context.eval(_BEFORE)
        context.eval(script)
        answer = context.eval(_CALL)(given, RESULT_LIMIT, stringify, parse)
    except (quickjs.JSException, quickjs.StackOverflow, MemoryError, ValueError) as error:
        raise CodecError(f"the codec fails: {_first_line(error)}") from error
    return _content(answer)


def _content(answer: object) -> Mapping[str, Any]:
    try:
        result = orjson.loads(answer if isinstance(answer, str) else b"")
    except orjson.JSONDecodeError as error:
        raise CodecError("the codec returned no data") from error
    if not isinstance(result, dict):
        raise CodecError("the codec returned no data")
    if errors := result.get("errors"):
        said = errors if isinstance(errors, list) else [errors]
        raise CodecError(f"the codec says: {', '.join(map(shown, said[:MOST_ERRORS]))}")
    if not isinstance(data := result.get("data"), dict):
        raise CodecError("the codec returned no data")
    return data


def _first_line(error: BaseException) -> str:
    words = str(error).strip().splitlines()
    return (words[0] if words and words[0] != "null" else "out of memory")[:200]
