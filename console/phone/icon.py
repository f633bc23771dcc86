"""The icon of the installed pages, drawn by code: the mark of static/icon.svg as a PNG (PNG 3rd edition, RGB, no filter). Pure."""

import struct
import zlib
from functools import cache

GROUND, CELL, HOT, FRAME = (0x0F, 0x5F, 0x5A), (0x8F, 0xD0, 0xC6), (0xFF, 0xB0, 0x2E), (0xFF, 0xFF, 0xFF)
CELLS = (
    (7.0, 7.0, CELL),
    (13.5, 7.0, CELL),
    (20.0, 7.0, FRAME),
    (7.0, 13.5, CELL),
    (13.5, 13.5, CELL),
    (20.0, 13.5, HOT),
    (7.0, 20.0, CELL),
    (13.5, 20.0, CELL),
    (20.0, 20.0, CELL),
)
"""Left, top and colour of the squares of 5 in a field of 32: inside the circle that a launcher may cut out."""


@cache
def png(size: int) -> bytes:
    """The mark on its ground, without rounded corners: the launcher rounds them."""
    unit = size / 32
    rows = []
    for y in range(size):
        row = bytearray(bytes(GROUND) * size)
        for left, top, colour in CELLS:
            if top * unit <= y < (top + 5) * unit:
                begin, end = round(left * unit), round((left + 5) * unit)
                row[begin * 3 : end * 3] = bytes(colour) * (end - begin)
        rows.append(b"\0" + bytes(row))
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
