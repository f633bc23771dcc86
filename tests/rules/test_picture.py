"""What a picture is by its own bytes: how many pixels it says it has, whether it is whole and stands still. None is unpacked."""

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.cases.photos import MOST_BYTES
from rules.cases.picture import MOST_PIXELS, MOST_SIDE, NoPicture, measured, sort_of
from tests.pictures import FOLDER, JPEG, PLAIN_JPEG, PLAIN_PNG, chunk, jpeg_of, png_of, riff, segment, webp_of

CANVASES = sorted(path.name for path in FOLDER.glob("canvas*"))


def judged(content: bytes) -> str:
    try:
        return "x".join(map(str, measured(content, sort_of(content))))
    except NoPicture as error:
        return str(error)


@pytest.mark.parametrize("name", CANVASES)
def test_what_a_browser_has_written_is_a_picture_and_its_size_is_read(name: str) -> None:
    assert judged((FOLDER / name).read_bytes()) == "64x48"


@pytest.mark.parametrize("name", CANVASES)
def test_one_that_ends_in_the_middle_is_not_taken_wherever_it_ends(name: str) -> None:
    whole = (FOLDER / name).read_bytes()
    assert {judged(whole[:cut]) for cut in range(12, len(whole))} == {"broken"}


def test_what_hangs_behind_a_picture_is_no_part_of_it() -> None:
    assert judged(JPEG) == judged(PLAIN_JPEG + b"<script>") == judged(PLAIN_PNG + b"PK\x03\x04") == "64x48"


@pytest.mark.parametrize("make", [jpeg_of, png_of, webp_of])
def test_a_bomb_is_refused_by_what_it_says_of_itself(make: object) -> None:
    assert callable(make)
    assert judged(make(8_000, 6_000)) == "8000x6000"
    most = MOST_PIXELS // MOST_SIDE
    for size, answer in (
        ((50_000, 50_000), "too-many-pixels"),
        ((MOST_SIDE + 1, 1), "too-many-pixels"),
        ((1, MOST_SIDE + 1), "too-many-pixels"),
        ((MOST_SIDE, most), f"{MOST_SIDE}x{most}"),
        ((MOST_SIDE, most + 1), "too-many-pixels"),
    ):
        assert judged(make(*size)) == answer


@pytest.mark.parametrize("size", [(0, 10), (10, 0)])
def test_one_without_any_pixel_is_none(size: tuple[int, int]) -> None:
    assert judged(jpeg_of(*size)) == judged(png_of(*size)) == "broken"


def test_what_moves_is_not_taken() -> None:
    assert judged(png_of(64, 48, chunk(b"acTL", b"\0\0\0\x09\0\0\0\0"))) == "moving"
    assert judged(webp_of(64, 48, (b"ANIM", bytes(6)))) == "moving"
    assert judged(riff((b"VP8X", b"\x02" + bytes(9)), (b"ANMF", bytes(24)))) == "moving"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<!doctype html><script>alert(1)</script>",
        b"GIF89a" + bytes(40),
        b"%PDF-1.7",
        b"\xef\xbb\xbf\xff\xd8\xff",
        b"RIFF\0\0\0\0AVI ",
    ],
)
def test_what_is_no_photo_is_called_so(content: bytes) -> None:
    assert judged(content) == "no-picture"


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff<script>alert(1)</script>",
        b"\xff\xd8" + segment(0xE0, b"JFIF\0") + b"\xff\xd9",  # no picture in it
        PLAIN_JPEG.replace(b"\xff\xc0", b"\xff\xc9"),  # arithmetic coding: no browser draws it
        PLAIN_JPEG[:2] + segment(0xC0, b"\x08\0\x30\0\x40\x03") + PLAIN_JPEG[2:],  # two sizes
        b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""),
        PLAIN_PNG[:20] + b"\x01" + PLAIN_PNG[21:],  # a head that its checksum does not fit
        PLAIN_PNG[:33] + PLAIN_PNG[8:],  # two heads
        webp_of(64, 48, (b"VP8 ", b"\0\0\0\x9d\x01\x2a\x40\0\x30\0")),  # two pictures
        webp_of(64, 48)[:30] + b"\xff\xff\xff\xff" + webp_of(64, 48)[34:],
    ],
)
def test_one_that_contradicts_itself_is_broken(content: bytes) -> None:
    assert judged(content) == "broken"


def test_a_jpeg_that_is_drawn_a_thousand_times_over_is_refused() -> None:
    at = PLAIN_JPEG.index(b"\xff\xda")
    assert judged(PLAIN_JPEG[:-2] + PLAIN_JPEG[at:-2] * 1000 + b"\xff\xd9") == "broken"


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8" + b"\xff" * (MOST_BYTES - 2),
        b"\xff\xd8" + b"\xff\x01" * (MOST_BYTES // 2 - 1),
        PLAIN_JPEG[:-2] + b"\xff\x00" * (MOST_BYTES // 2 - 1000),
        PLAIN_PNG[:33] + chunk(b"IDAT", b"") * (MOST_BYTES // 12 - 10),
        b"RIFF" + (MOST_BYTES - 8).to_bytes(4, "little") + b"WEBP" + bytes(MOST_BYTES - 12),
        png_of(50_000, 50_000),
    ],
)
def test_the_worst_file_costs_little_time_and_no_more_memory_than_it_has_bytes(content: bytes) -> None:
    began_s = time.process_time()
    assert judged(content) in ("broken", "too-many-pixels")
    assert time.process_time() - began_s < 5, "seconds of work, with room for a slow machine"
    tracemalloc.start()
    judged(content)
    assert tracemalloc.get_traced_memory()[1] < 2 * MOST_BYTES
    tracemalloc.stop()


@given(st.sampled_from(CANVASES), st.integers(0, 4000), st.binary(max_size=8))
def test_whatever_is_changed_in_a_picture_the_answer_is_a_size_or_a_word(name: str, at: int, junk: bytes) -> None:
    whole = (FOLDER / name).read_bytes()
    at %= len(whole)
    answer = judged(whole[:at] + junk + whole[at + len(junk) :])
    assert answer in ("no-picture", "broken", "moving", "too-many-pixels") or "x" in answer
