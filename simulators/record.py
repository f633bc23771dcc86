"""The truth written down: what the block has served, one JSON object a line, so that a test can compare the store.

`{"at_ms", "device", "channel", "value"}` for every value in a sound answer or a confirmed message, as the wire says
it; `{"at_ms", "mark"}` for what happened. A line is with the operating system before the next answer: killing the
simulator loses none.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from messages.ids import DeviceId
from messages.settings import ConfigError
from simulators.block import Level


class Record:
    """Appends to `path`; with None it keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        try:
            self._file = path.open("a", encoding="utf-8") if path else None
        except OSError as error:
            raise ConfigError(f"{path}: no record can be written: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()

    def values(self, at_ms: int, device: DeviceId, values: Mapping[str, Level]) -> None:
        self._write(
            {"at_ms": at_ms, "device": device, "channel": channel, "value": value} for channel, value in values.items()
        )

    def mark(self, at_ms: int, mark: str) -> None:
        self._write([{"at_ms": at_ms, "mark": mark}])

    def _write(self, rows: Iterable[Mapping[str, object]]) -> None:
        if self._file:
            self._file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            self._file.flush()
