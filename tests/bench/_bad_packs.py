"""Packs that are wrong in every way that validation names, each with the reason under which it must lie in quarantine."""

from collections.abc import Callable
from typing import Any

import orjson

from messages.pack import LIMIT_BYTES, RECORD_LIMIT, Fault
from tests.bench._mqtt_load import EDGE

DAY_MS = 86_400_000
Make = Callable[[int, int], bytes]
"""From the pack's number and a time of its own, UTC ms, that is good."""


def _pack(number: int, *records: Any, edge: str = EDGE) -> bytes:
    return orjson.dumps([{"bn": f"{edge}/", "n": "stream", "vs": "bad"}, {"n": "pack", "v": number}, *records])


def _gas(at_ms: float, **other: Any) -> dict[str, Any]:
    return {"bn": "gas-1/", "bt": at_ms / 1000, "n": "gas_concentration", "v": 1.5, "u": "%LEL"} | other


def _of(**other: Any) -> Make:
    return lambda number, at_ms: _pack(number, _gas(at_ms, **other))


def _without(label: str) -> Make:
    def make(number: int, at_ms: int) -> bytes:
        record = _gas(at_ms)
        del record[label]
        return _pack(number, record)

    return make


def _raw(spoil: Callable[[bytes], bytes]) -> Make:
    return lambda number, at_ms: spoil(_pack(number, _gas(at_ms)))


WAYS: dict[str, tuple[Fault, Make]] = {
    "no JSON": (Fault.MALFORMED, lambda number, _: b"no pack %d" % number),
    "torn": (Fault.MALFORMED, _raw(lambda whole: whole[:-9])),
    "no UTF-8": (Fault.MALFORMED, _raw(lambda whole: whole.replace(b"gas-1", b"gas\xff\xfe"))),
    "no array": (Fault.MALFORMED, lambda number, at_ms: orjson.dumps(_gas(at_ms) | {"t": number})),
    "deep": (Fault.MALFORMED, lambda number, _: b"[" * 50_000 + b"%d" % number),
    "not a number": (Fault.MALFORMED, _raw(lambda whole: whole.replace(b"1.5", b"NaN"))),
    "infinite": (Fault.MALFORMED, _raw(lambda whole: whole.replace(b"1.5", b"1e999"))),
    "no value": (Fault.MALFORMED, _without("v")),
    "two values": (Fault.MALFORMED, _of(vb=True)),
    "no name": (Fault.MALFORMED, _without("n")),
    "no time": (Fault.MALFORMED, _without("bt")),
    "relative time": (Fault.MALFORMED, lambda number, _: _pack(number, _gas(5_000))),
    "control characters": (Fault.MALFORMED, lambda number, at_ms: _pack(number, _text(at_ms, "\x1b[2J"))),
    "not understood": (Fault.MALFORMED, _of(bv=3)),
    "no pack number": (Fault.MALFORMED, lambda number, at_ms: _pack(-number, _gas(at_ms))),
    "too long": (Fault.OVERSIZED, _raw(lambda whole: whole + b" " * LIMIT_BYTES)),
    "too many": (
        Fault.OVERSIZED,
        lambda number, at_ms: _pack(number, *[{"n": "x", "v": 1}] * RECORD_LIMIT),
    ),
    "of another": (Fault.WRONG_EDGE, lambda number, at_ms: _pack(number, _gas(at_ms), edge="pi-2")),
    "unknown device": (Fault.UNKNOWN_DEVICE, _of(bn="nobody/")),
    "unknown channel": (Fault.UNKNOWN_CHANNEL, _of(n="wind")),
    "text for a number": (Fault.WRONG_TYPE, lambda number, at_ms: _pack(number, _text(at_ms))),
    "number for a contact": (Fault.WRONG_TYPE, _of(n="alarm_contact")),
    "wrong unit": (Fault.WRONG_UNIT, _of(u="ppm")),
    "too much": (Fault.OUT_OF_RANGE, _of(v=1000.5)),
    "too little": (Fault.OUT_OF_RANGE, _of(v=-11)),
    "of tomorrow": (Fault.IN_THE_FUTURE, lambda number, at_ms: _pack(number, _gas(at_ms + 2 * DAY_MS))),
    "of last year": (Fault.TOO_OLD, lambda number, at_ms: _pack(number, _gas(at_ms - 365 * DAY_MS))),
}


def _text(at_ms: int, text: str = "much") -> dict[str, Any]:
    record = _gas(at_ms) | {"vs": text}
    del record["v"], record["u"]
    return record
