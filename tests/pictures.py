"""Pictures for tests: those of tests/golden/pictures, and what can be made of them."""

import struct
import zlib

from tests.services import ROOT

FOLDER = ROOT / "tests/golden/pictures"
EXIF = b"Exif\0\0MM\0*GPS 26.08 119.30"


def segment(marker: int, content: bytes) -> bytes:
    """Of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def chunk(name: bytes, content: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP."""
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2) for name, content in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


PLAIN_JPEG = (FOLDER / "canvas.jpg").read_bytes()
JPEG = PLAIN_JPEG[:2] + segment(0xE1, EXIF) + PLAIN_JPEG[2:] + b"after"
"""As a phone writes it: where it was, and a second picture behind the first."""
PLAIN_PNG = (FOLDER / "canvas.png").read_bytes()


def jpeg_of(width: int, height: int) -> bytes:
    """A JPEG that says it is so large, with the pixels of a small one."""
    at = PLAIN_JPEG.index(b"\xff\xc0") + 5
    return PLAIN_JPEG[:at] + struct.pack(">HH", height, width) + PLAIN_JPEG[at + 4 :]


def png_of(width: int, height: int, *more: bytes, pixels: bytes = bytes(10_000_000)) -> bytes:
    """A PNG that says it is so large, of `pixels` that pack well. `more`: chunks between head and pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    ends = chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + b"".join((*more, *ends))


def webp_of(width: int, height: int, *more: tuple[bytes, bytes]) -> bytes:
    """An extended WebP whose canvas is so large."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    small = b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 64, 48) + b"pixels"
    return riff((b"VP8X", bytes(4) + size), *more, (b"VP8 ", small))
