"""A picture without what its file says beside it: where a phone was, which one it was, what it looked like before. Pure.

Only the parts stay that are needed to draw it: whatever else hides in a file (a page, a script, a second picture) goes to nobody's browser. What can't
be read as its sort is answered as no picture at all.
"""

import struct
from collections.abc import Iterator

from rules.cases.picture import WALKS, NoPicture, Part

_PNG_STAY = frozenset(["IHDR", "PLTE", "IDAT", "IEND", "tRNS", "gAMA", "cHRM", "sRGB", "iCCP", "cICP", "sBIT", "pHYS"])
_WEBP_STAY = frozenset(("VP8X", "VP8 ", "VP8L", "ALPH", "ICCP"))
_WEBP_FLAGS_GONE = 0b0000_1100
"""Bits of VP8X that announce Exif and XMP."""
_JPEG_SAID = range(0xE0, 0xF0)
"""Markers by which programs say what they like; three of them are needed for the colours."""
_JPEG_STAY = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
_JPEG_COMMENT = 0xFE


def bare(content: bytes, media: str) -> bytes:
    """The same picture; empty when the file is broken."""
    try:
        return b"".join({"image/jpeg": _jpeg, "image/png": _png, "image/webp": _webp}[media](content))
    except (KeyError, NoPicture):
        return b""


def _jpeg(content: bytes) -> Iterator[bytes]:
    yield content[:2]
    for part in WALKS["image/jpeg"](content):
        marker = int(part.name, 16)
        said = _JPEG_STAY.get(marker)
        if marker == _JPEG_COMMENT or (
            marker in _JPEG_SAID and not (said and content.startswith(said, part.start + 4))
        ):
            continue
        yield _of(content, part)
    yield b"\xff\xd9"


def _png(content: bytes) -> Iterator[bytes]:
    yield content[:8]
    yield from (_of(content, part) for part in WALKS["image/png"](content) if part.name in _PNG_STAY)


def _webp(content: bytes) -> Iterator[bytes]:
    kept = [b"WEBP"]
    for part in WALKS["image/webp"](content):
        found = _of(content, part)
        if part.name == "VP8X" and len(found) > 8:
            found = found[:8] + bytes([found[8] & ~_WEBP_FLAGS_GONE]) + found[9:]
        if part.name in _WEBP_STAY:
            kept.append(found)
    body = b"".join(kept)
    yield b"RIFF" + struct.pack("<I", len(body)) + body


def _of(content: bytes, part: Part) -> bytes:
    return content[part.start : part.end]
