"""A picture without what its file says beside it: where a phone was, which one it was, what it looked like before. Pure.

JPEG: segments APP1 (Exif, XMP), APP13 (Photoshop) and comments go (ITU-T T.81 annex B). PNG: chunks eXIf, tEXt, zTXt, iTXt, tIME (PNG 3rd
edition, section 11). WebP: chunks EXIF and XMP (RFC 9649). What can't be read as its sort is answered as no picture at all.
"""

import struct
from collections.abc import Iterator

_JPEG_GONE = (0xE1, 0xED, 0xFE)
_PNG_GONE = (b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME")
_WEBP_GONE = (b"EXIF", b"XMP ")
_WEBP_FLAGS_GONE = 0b0000_1100
"""Bits of VP8X that announce Exif and XMP."""
_ALONE = (0x01, *range(0xD0, 0xD8))
"""JPEG markers without a length."""


def bare(content: bytes, media: str) -> bytes:
    """The same picture; empty when the file is broken before the picture begins."""
    try:
        return b"".join({"image/jpeg": _jpeg, "image/png": _png, "image/webp": _webp}[media](content))
    except (IndexError, KeyError, struct.error):
        return b""


def _jpeg(content: bytes) -> Iterator[bytes]:
    yield content[:2]
    at = 2
    while True:
        if content[at] != 0xFF:
            raise IndexError
        marker = content[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in _ALONE:
            yield content[at : at + 2]
            at += 2
            continue
        end = at + 2 + struct.unpack_from(">H", content, at + 2)[0]
        if marker == 0xDA:  # the picture itself; after it a phone may have hung a second one
            yield content[at : _end_of_scan(content, end)]
            yield b"\xff\xd9"
            return
        if marker not in _JPEG_GONE:
            yield content[at:end]
        at = end


def _end_of_scan(content: bytes, at: int) -> int:
    """Where the first picture's end marker stands; a progressive one has several scans, with tables between them."""
    while (at := content.find(b"\xff", at)) >= 0 and at + 1 < len(content):
        marker = content[at + 1]
        if marker == 0xD9:
            return at
        at += 2 if marker == 0 or marker in _ALONE or marker == 0xDA else 1
    return len(content)


def _png(content: bytes) -> Iterator[bytes]:
    yield content[:8]
    at = 8
    while at < len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if name not in _PNG_GONE:
            yield content[at:end]
        if name == b"IEND":
            return
        at = end


def _webp(content: bytes) -> Iterator[bytes]:
    kept, at = [b"WEBP"], 12
    while at < len(content):
        name, length = struct.unpack_from("<4sI", content, at)
        end = at + 8 + length + length % 2
        if name == b"VP8X":
            kept.append(content[at : at + 8] + bytes([content[at + 8] & ~_WEBP_FLAGS_GONE]) + content[at + 9 : end])
        elif name not in _WEBP_GONE:
            kept.append(content[at:end])
        at = end
    body = b"".join(kept)
    yield b"RIFF" + struct.pack("<I", len(body)) + body
