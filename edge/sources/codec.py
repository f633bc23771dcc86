"""A maker's own LoRaWAN codec, run unmodified in a sandbox: bytes and port in, plain data out.

The sandbox is a process of its own (codec_process.py) that the kernel ends when a codec takes too long; the next message gets
a new one. A codec can so stop or crash nothing but its message, whatever it finds in its engine.
"""

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from edge.protocols.json_paths import shown
from edge.protocols.lorawan import CodecError

PATIENCE_S = 30.0
"""The process ends itself by its processor time; on a machine that gives it none this is over first."""
TRIES = 2
"""Of a message whose process ended for no time of its own: a machine that is short of memory may have ended it."""
LONGEST_LINE = 1024 * 1024
"""Of an answer: 64 k characters, each perhaps six when it is written down."""
MOST_ERRORS = 3
"""Of those that a codec returns, as many are told."""

_PROCESS = Path(__file__).with_name("codec_process.py")


class Sandbox:
    """`async with Sandbox() as sandbox`: runs codecs, one message at a time. The process is started when it is needed."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    @property
    def pid(self) -> int | None:
        """Of the process; None where there is none just now."""
        return self._process.pid if self._process else None

    async def decode(self, script: str, payload: bytes, f_port: int, at_ms: int) -> Mapping[str, Any]:
        """Raises CodecError."""
        given = orjson.dumps({"bytes": list(payload), "fPort": f_port, "at": at_ms}).decode()
        question = orjson.dumps([script, given]) + b"\n"
        async with self._turn:
            for _ in range(TRIES):
                if line := await self._asked(question):
                    return _said(orjson.loads(line))
                if await self._end() == -signal.SIGPROF:
                    raise CodecError("the codec fails: it takes too long and was stopped")
        raise CodecError("the codec fails: its process ended")

    async def _asked(self, question: bytes) -> bytes:
        """The answer's line; b"" if the process ended over it, or doesn't end."""
        try:
            if self._process is None:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, "-I", str(_PROCESS), stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=LONGEST_LINE
                )
            assert self._process.stdin
            assert self._process.stdout
            async with asyncio.timeout(PATIENCE_S):
                self._process.stdin.write(question)
                await self._process.stdin.drain()
                line = await self._process.stdout.readline()
        except (OSError, TimeoutError):
            return b""
        except asyncio.CancelledError:
            await self._end()  # its answer would be taken for that to the next question
            raise
        return line if line.endswith(b"\n") else b""

    async def _end(self) -> int | None:
        """How the process ended; None if there was none."""
        process, self._process = self._process, None
        if process is None:
            return None
        if process.returncode is None and (process.stdout is None or not process.stdout.at_eof()):
            process.kill()
        return await process.wait()


def _said(reply: Mapping[str, str]) -> Mapping[str, Any]:
    if (failure := reply.get("failure")) is not None:
        raise CodecError(f"the codec fails: {failure}")
    try:
        result = orjson.loads(reply["answer"])
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
