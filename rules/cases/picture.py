"""What a picture is by its own bytes: its parts, its sort and how many pixels it has, read from its head without unpacking any. Pure.

JPEG: ITU-T T.81 annex B. PNG: 3rd edition, sections 5 and 11. WebP: RFC 9649. Nothing here draws: a picture is only handed on to browsers,
and one that would cost them gigabytes (a few bytes that say 50,000 by 50,000), that moves or that ends in the middle is not taken. What follows
the end of a picture (a phone hangs a film there) is no part of it. Time and memory are bounded by the bytes that came.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MOST_PIXELS = 50_000_000
"""200 MB when drawn. Above what phones make at the size that fits into an upload."""
MOST_SIDE = 16_384
"""Pixels; browsers draw no more on a canvas."""
MOST_PARTS = 10_000
MOST_SCANS = 64
"""Of a progressive JPEG; ten are usual, and each is a walk over all pixels."""

_ALONE = (0x01, *range(0xD0, 0xD8))
"""JPEG markers without a length."""
_SCAN, _END = 0xDA, 0xD9
_MARKER = re.compile(rb"\xff+[^\xff]", re.DOTALL)
_FRAMES = (0xC0, 0xC1, 0xC2)
"""Baseline, extended and progressive: what browsers draw. The others (lossless, arithmetic) nobody's phone makes."""
_OTHER_FRAMES = (0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_AFTER_SCAN = re.compile(rb"\xff(?![\x00\x01\xd0-\xd7\xff])", re.DOTALL)


class NoPicture(ValueError):
    """Why it is none that we take: "no-picture", "broken", "moving", "too-many-pixels"."""


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a file, from `start` to `end`. `name`: a JPEG marker in hex, or the four letters of a chunk."""

    name: str
    start: int
    end: int


Walk = Callable[[bytes], Iterator[Part]]


def jpeg_parts(content: bytes) -> Iterator[Part]:
    """The segments between start and end of a JPEG; a scan holds its pixels. Raises NoPicture."""
    at = 2
    while True:
        if (head := _MARKER.match(content, at)) is None:
            raise NoPicture("broken")
        at = head.end() - 2  # what fills the room before a marker is no part
        marker = content[at + 1]
        if marker == _END:
            return
        end = at + 2
        if marker not in _ALONE:
            end += _length(content, at + 2, ">H", least=2)
        if marker == _SCAN:
            follows = _AFTER_SCAN.search(content, end)
            if follows is None:
                raise NoPicture("broken")
            end = follows.start()
        yield Part(f"{marker:02x}", at, end)
        at = end


def png_parts(content: bytes) -> Iterator[Part]:
    """The chunks of a PNG, IEND included. Raises NoPicture."""
    at = 8
    while True:
        end = at + 12 + _length(content, at, ">I")
        if end > len(content):
            raise NoPicture("broken")
        name = content[at + 4 : at + 8].decode("latin-1")
        yield Part(name, at, end)
        if name == "IEND":
            return
        at = end


def webp_parts(content: bytes) -> Iterator[Part]:
    """The chunks of a WebP. Raises NoPicture."""
    over, at = 8 + _length(content, 4, "<I"), 12
    if over > len(content):
        raise NoPicture("broken")
    while at < over:
        length = _length(content, at + 4, "<I")
        end = at + 8 + length + length % 2
        if end > over:
            raise NoPicture("broken")
        yield Part(content[at : at + 4].decode("latin-1"), at, end)
        at = end


def _length(content: bytes, at: int, form: str, *, least: int = 0) -> int:
    try:
        found: int = struct.unpack_from(form, content, at)[0]
    except struct.error as error:
        raise NoPicture("broken") from error
    if found < least:
        raise NoPicture("broken")
    return found


WALKS: dict[str, Walk] = {"image/jpeg": jpeg_parts, "image/png": png_parts, "image/webp": webp_parts}
_HEADS = (
    ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("image/webp", re.compile(rb"RIFF....WEBP", re.DOTALL)),
)


def sort_of(content: bytes) -> str:
    """The media type by the first bytes, not by what somebody says. Raises NoPicture."""
    for media, head in _HEADS:
        if head.match(content):
            return media
    raise NoPicture("no-picture")


def measured(content: bytes, media: str) -> tuple[int, int]:
    """Width and height in pixels of a whole picture that stands still and is small enough to be drawn. Raises NoPicture."""
    parts = []
    for part in WALKS[media](content):
        parts.append(part)
        if len(parts) > MOST_PARTS:
            raise NoPicture("broken")
    sizes = {"image/jpeg": _of_jpeg, "image/png": _of_png, "image/webp": _of_webp}[media](content, parts)
    for width, height in sizes:
        if not width or not height:
            raise NoPicture("broken")
        if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
            raise NoPicture("too-many-pixels")
    return sizes[0]


def _of_jpeg(content: bytes, parts: list[Part]) -> list[tuple[int, int]]:
    markers = [int(part.name, 16) for part in parts]
    frames = [part for part, marker in zip(parts, markers, strict=True) if marker in _FRAMES]
    scans = markers.count(_SCAN)
    if len(frames) != 1 or not 0 < scans <= MOST_SCANS or set(markers) & set(_OTHER_FRAMES):
        raise NoPicture("broken")
    frame = frames[0]
    if frame.end - frame.start < 10 or markers.index(_SCAN) < parts.index(frame):
        raise NoPicture("broken")
    height, width = struct.unpack_from(">HH", content, frame.start + 5)
    return [(width, height)]


def _of_png(content: bytes, parts: list[Part]) -> list[tuple[int, int]]:
    head, names = parts[0], [part.name for part in parts]
    if "acTL" in names:
        raise NoPicture("moving")
    if head.name != "IHDR" or head.end - head.start != 25 or names.count("IHDR") != 1 or "IDAT" not in names:
        raise NoPicture("broken")
    width, height, check = *struct.unpack_from(">II", content, head.start + 8), content[head.end - 4 : head.end]
    if zlib.crc32(content[head.start + 4 : head.end - 4]) != int.from_bytes(check, "big"):
        raise NoPicture("broken")
    return [(width, height)]


def _of_webp(content: bytes, parts: list[Part]) -> list[tuple[int, int]]:
    """The size of the canvas and of the picture on it."""
    sizes, pictures = [], 0
    for part in parts:
        data = content[part.start + 8 : part.end]
        if part.name in ("ANIM", "ANMF"):
            raise NoPicture("moving")
        if part.name == "VP8X" and len(data) >= 10:
            sizes.append((int.from_bytes(data[4:7], "little") + 1, int.from_bytes(data[7:10], "little") + 1))
        elif part.name == "VP8 " and data[3:6] == b"\x9d\x01\x2a" and len(data) >= 10:
            sizes.append((int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF))
            pictures += 1
        elif part.name == "VP8L" and data[:1] == b"\x2f" and len(data) >= 5:
            bits = int.from_bytes(data[1:5], "little")
            sizes.append(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
            pictures += 1
    if pictures != 1:
        raise NoPicture("broken")
    return sizes
