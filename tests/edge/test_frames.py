"""Streams of instruments and stations: torn, cut, doubled, full of garbage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.configuration.config import Device
from edge.models.frame import LONGEST, FrameModel
from edge.models.hj212 import Hj212Model
from edge.models.product import load_models
from edge.protocols import hj212
from edge.protocols.decimals import plain_decimal
from edge.protocols.frame import FrameDecoder
from edge.protocols.hj212 import Assembly, Decoder, Packet
from edge.sources.ears import Hj212Ear
from messages.announcement import Announcement, Place
from messages.ids import DeviceId
from messages.kind import load_kinds
from messages.reading import Quality

KINDS = load_kinds()
MODELS = load_models(KINDS)
NOW_MS = 1_763_700_000_000  # 2025-11-21 12:40:00 in China


def bin_frame(mm: int) -> bytes:
    body = b"\xff" + mm.to_bytes(2, "big")
    return body + bytes((sum(body) & 0xFF,))


def heard(model_name: str, *pieces: bytes) -> tuple[list[float], int]:
    model = MODELS[model_name]
    assert isinstance(model, FrameModel)
    decoder = FrameDecoder(model)
    values = [measured.value for piece in pieces for frame in decoder.feed(piece) for measured in frame]
    return values, decoder.damaged


STREAM = b"\x00\x17" + bin_frame(600) + b"\xff\x01\x02" + bin_frame(300) + bin_frame(600)[:2]


@pytest.mark.parametrize("size", [1, 2, 3, 64])
def test_frames_do_not_depend_on_how_the_stream_is_cut_and_one_inside_garbage_is_found(size: int) -> None:
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    values, damaged = heard("frame-bin-dfrobot-a02yyuw", *pieces)
    assert values == pytest.approx([50.0, 75.0])
    assert damaged == 1


def test_a_code_for_no_value_makes_none_and_an_impossible_one_is_bad() -> None:
    assert heard("frame-bin-dfrobot-a02yyuw", bin_frame(0))[0] == []
    assert heard("frame-level-maxbotix-mb7389", b"R5000\r")[0] == []


@pytest.mark.parametrize("line", [b"R\r", b"Rnan\r", b"R1_000\r", b"R1e9\r", b"X1139\r", b"R11.3.9\r", b"\xff\xfe\r"])
def test_a_line_that_is_no_number_is_counted(line: bytes) -> None:
    values, damaged = heard("frame-level-maxbotix-mb7389", line, b"R1139\r")
    assert values == pytest.approx([1.861])
    assert damaged == 1


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_whatever_comes_the_next_good_frame_is_read(pieces: list[bytes]) -> None:
    for name, good in (("frame-bin-dfrobot-a02yyuw", bin_frame(600)), ("frame-level-maxbotix-mb7389", b"\rR1139\r")):
        values, _ = heard(name, *pieces, bytes(8), good)
        assert values[-1] == pytest.approx({"frame-bin-dfrobot-a02yyuw": 50.0}.get(name, 1.861))


_CHANNELS = {"level": {"field": 0}, "spare": {"field": 1}}
ANY_LINES = st.fixed_dictionaries(
    {"terminator": st.sampled_from(["\r", "\n", "\r\n"])},
    optional={
        "prefix": st.sampled_from(["R", "$A,"]),
        "separator": st.sampled_from([",", " "]),
        "length": st.integers(1, 9),
    },
).map(lambda lines: {"lines": lines, "channels": _CHANNELS if "separator" in lines else {"level": {"field": 0}}})
ANY_BYTES = st.builds(
    lambda start, check, type_, order: {
        "bytes": {"start": start, "length": 8, "check": check},
        "channels": {"level": {"offset": 2, "type": type_, "byte_order": order, "scale": 0.1, "valid": [0, 9]}},
    },
    st.sampled_from(["FF", "42 4D", "00 00 00", "AA AA"]),
    st.sampled_from(["sum8", "xor8", "sum16", "crc16-modbus", "none"]),
    st.sampled_from(["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32"]),
    st.sampled_from(["big", "little"]),
)


@given(ANY_LINES | ANY_BYTES, st.lists(st.binary(max_size=12) | st.sampled_from([b"R1,2\r\n", b"\xff" * 7, b"\0" * 9])))
def test_whatever_a_product_file_says_of_frames_any_stream_is_read_to_its_end(
    how: dict[str, object], pieces: list[bytes]
) -> None:
    model = FrameModel.model_validate({"protocol": "frame", "name": "", "source": "", "kind": "sewer_level", **how})
    decoder = FrameDecoder(model)
    decoder.begin()
    for piece in pieces:
        for measured in (each for frame in decoder.feed(piece) for each in frame):
            assert measured.channel in model.channels
            assert abs(measured.value) < float("inf")
        assert len(decoder._held) <= LONGEST


@pytest.mark.parametrize("text", ["+-5", "--5", "5e3", "1_0", "nan", "", ".", "+", "5.5.5", "٣", "1" * 17])
def test_what_is_no_plain_decimal_is_none_and_breaks_nothing(text: str) -> None:
    assert plain_decimal(text) is None


@given(st.text(alphabet="+-.0123456789eE_ nax", max_size=20))
def test_any_text_is_a_number_or_none(text: str) -> None:
    found = plain_decimal(text)
    assert found is None or found == float(text)


def test_a_line_that_lost_or_doubled_a_digit_is_none_and_a_half_line_is_never_completed_by_another() -> None:
    values, damaged = heard("frame-level-maxbotix-mb7389", b"R139\rR11139\rR1139\r")
    assert (values, damaged) == ([1.861], 2)
    model = MODELS["frame-level-maxbotix-mb7389"]
    assert isinstance(model, FrameModel)
    assert model.lines
    bare = model.model_copy(update={"lines": model.lines.model_copy(update={"prefix": "", "length": None})})
    decoder = FrameDecoder(bare)
    decoder.begin()
    assert list(decoder.feed(b"39\r")) == [], "the end of a line whose beginning nobody heard"
    assert len(list(decoder.feed(b"1139\r15"))) == 1
    decoder.begin()  # the plug was pulled
    assert list(decoder.feed(b"2\r")) == []
    assert len(list(decoder.feed(b"1139\r"))) == 1
    assert list(decoder.feed(b"x" * 600)) == []
    assert list(decoder.feed(b"7\r")) == [], "the end of a line that was too long"
    assert len(list(decoder.feed(b"1139\r"))) == 1


def packet(segment: str) -> bytes:
    data = segment.encode()
    return b"##" + f"{len(data):04}".encode() + data + f"{hj212.crc(data):04X}".encode() + b"\r\n"


MN = "010000A8900016F000169DC0"
REAL_TIME = packet(
    f"QN=20251121124000000;ST=32;CN=2011;PW=123456;MN={MN};Flag=5;CP=&&DataTime=20251121123900;"
    "w00000-Rtd=12.5,w00000-Flag=N;w01018-Rtd=35.2,w01018-Flag=D;w01001-Rtd=7.10,w01001-Flag=M&&"
)


def ear() -> Hj212Ear:
    model = MODELS["hj212-sewer-monitor"]
    assert isinstance(model, Hj212Model)
    announcement = Announcement(kind=model.kind, model="m", place=Place(grid="grid-1", text=""))
    return Hj212Ear(
        [Device(id=DeviceId("outlet"), kind=KINDS[model.kind], model=model, announcement=announcement, line="a", mn=MN)]
    )


@pytest.mark.parametrize("size", [1, 7, 200])
def test_a_station_is_read_with_its_own_time_and_its_flags_and_answered(size: int) -> None:
    listening, readings, answers = ear(), [], b""
    stream = b"##00x" + REAL_TIME[:30] + REAL_TIME
    for at in range(0, len(stream), size):
        found, _, answer = listening.hear(stream[at : at + size], NOW_MS)
        readings += found
        answers += answer
    assert {reading.channel: (reading.value, reading.quality) for reading in readings} == {
        "flow": (12.5, Quality.GOOD),
        "ph": (7.1, Quality.UNCERTAIN),
        "cod": (35.2, Quality.BAD),
    }
    assert {reading.at_ms for reading in readings} == {NOW_MS - 60_000}
    (answered,) = Decoder().feed(answers)
    assert (answered.command, answered.asked_at, answered.station) == (9014, "20251121124000000", MN)
    assert b"123456" not in answers


def test_another_station_is_counted_and_makes_nothing() -> None:
    listening = ear()
    assert listening.hear(packet("CN=2011;MN=OTHER;CP=&&w00000-Rtd=1&&"), NOW_MS) == ([], set(), b"")
    assert listening.damaged == 1


def part(number: int, of: int, **items: str) -> Packet:
    return Packet(MN, 2011, "20251121124000000", 4, (number, of), items)


def test_parts_come_together_in_order_and_an_unfinished_one_gives_way() -> None:
    assembly = Assembly()
    assert assembly.add(part(2, 2, b="2")) is None
    whole = assembly.add(part(1, 2, a="1"))
    assert whole
    assert list(whole.items.items()) == [("a", "1"), ("b", "2")]
    assert assembly.add(part(1, 3)) is None
    assert assembly.add(part(1, 1, c="3")) is not None
    assert assembly.add(part(7, 3)) is None
    assert assembly.add(part(1, 10**6)) is None


@given(st.lists(st.binary(max_size=60) | st.just(REAL_TIME[:50]) | st.just(b"##0005abcde"), max_size=10))
def test_whatever_comes_the_next_good_packet_is_read(pieces: list[bytes]) -> None:
    decoder = Decoder()
    for piece in pieces:
        list(decoder.feed(piece))
    list(decoder.feed(bytes(1100)))
    assert [found.station for found in decoder.feed(REAL_TIME)] == [MN]
    assert len(decoder._held) < 8


_FIELDS = [
    "QN",
    "ST",
    "CN",
    "PW",
    "MN",
    "Flag",
    "PNUM",
    "PNO",
    "CP",
    "DataTime",
    "w00000-Rtd",
    "w00000-Flag",
    "w01018-Rtd",
]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(_FIELDS),
            st.text(st.characters(max_codepoint=126), max_size=24) | st.sampled_from([MN, "2011", "&&", "9" * 24]),
        )
        | st.just(("MN", MN)),
        max_size=12,
    ),
    st.booleans(),
)
def test_whatever_a_sound_packet_says_it_is_read_or_counted(fields: list[tuple[str, str]], flagged: bool) -> None:
    """A check that fits says nothing of what stands in it: whoever reaches the port can reckon one."""
    listening = ear()
    segment = ";".join(f"{name}={value}" for name, value in fields).replace("CP=", "CP=&&") + ";Flag=1" * flagged
    readings, spoke, answers = listening.hear(packet(segment), NOW_MS)
    assert all(reading.device == "outlet" and abs(float(reading.value)) < 1e20 for reading in readings)
    assert bool(answers) <= bool(spoke)
    assert len(list(Decoder().feed(answers))) == bool(answers), answers
