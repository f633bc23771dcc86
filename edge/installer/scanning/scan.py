"""What a scan of a Modbus line asks, and what its answers mean. Pure; prober.py asks.

Every question is a read of one holding register: a device that has none answers with an exception, and is found all the
same. What comes back is judged by its CRC alone, since a scan wants to know of wrong units and doubled answers too.
Sources: MODBUS over Serial Line V1.02 section 2.5.1.2 (frame), Application Protocol V1.1b3 section 7 (exceptions).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Literal

from pymodbus.framer import FramerRTU

from messages.language import Language

Parity = Literal["N", "E", "O"]
COMMON_BAUDRATES = (9600, 19200, 4800, 115200, 38400, 57600, 2400)
"""Most common first: 9600 is what nearly all sensors are delivered with."""
UNITS = range(1, 248)
"""Section 2.2 of the serial line guide."""
REPEATS = 20
"""Questions to a device that was found, to learn how good its line is."""
PATIENT = 2
"""So many of them are listened after until the time-out: a second device with the same address may be slower."""
MANY_ERRORS = 0.05
READ_HOLDING = 3
_EXCEPTIONS: dict[Language, dict[int, str]] = {
    "zh": {1: "没有保持寄存器", 2: "没有寄存器 0", 4: "设备故障", 6: "忙"},
    "en": {1: "no holding registers", 2: "no register 0", 4: "device failure", 6: "busy"},
}
"""Answers that say: here I am (Application Protocol section 7)."""
_SHORTEST = 5  # unit, function, exception code, CRC


@dataclass(frozen=True, slots=True)
class Speed:
    """How a line may speak."""

    baudrate: int
    parity: Parity
    stop_bits: Literal[1, 2] = 1

    def __str__(self) -> str:
        return f"{self.baudrate} Bd 8{self.parity}{self.stop_bits}"


class Heard(StrEnum):
    """What came back to one question."""

    NOTHING = "nothing"
    ANSWER = "answer"
    """A whole frame of the unit that was asked: values or an exception."""
    TWICE = "two answers of the unit that was asked"
    OTHER = "another unit's answer"
    ECHO = "our own question"
    GARBLED = "garbled"


@dataclass(frozen=True, slots=True)
class Trial:
    """One question and what came back."""

    unit: int
    heard: Heard
    detail: str = ""
    refused: bool = False
    """It answered with an exception."""


@dataclass(frozen=True, slots=True)
class Found:
    """One unit of a line."""

    unit: int
    asked: int
    answered: int
    detail: str
    """What it said: "value 253", "exception 2"."""
    suspicions: tuple[str, ...]


def speeds(baudrates: Sequence[int], parities: Sequence[Parity]) -> Iterator[Speed]:
    """Each with the stop bits that its parity commonly has (serial line guide 2.5.1: 11 bits a character, or 8N1)."""
    for baudrate, parity in product(baudrates, parities):
        yield Speed(baudrate, parity)


def question(unit: int, address: int = 0) -> bytes:
    body = bytes((unit, READ_HOLDING)) + address.to_bytes(2, "big") + b"\0\1"
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


def judge(unit: int, asked: bytes, came: bytes, language: Language = "en") -> Trial:
    """What `came`, all that was heard after a question, says."""
    if not came:
        return Trial(unit, Heard.NOTHING)
    if came.startswith(asked):
        rest = judge(unit, asked, came[len(asked) :], language)
        return Trial(unit, Heard.ECHO) if rest.heard is Heard.NOTHING else rest
    if (length := _frame_bytes(came)) is None or not _is_whole(came[:length]):
        return Trial(unit, Heard.GARBLED, came[:16].hex(" "))
    if came[0] != unit:
        return Trial(unit, Heard.OTHER, f"unit {came[0]}")
    if _is_whole_answer(unit, came[length:]):
        return Trial(unit, Heard.TWICE)
    if length < len(came):
        return Trial(unit, Heard.GARBLED, f"{len(came) - length} bytes too many")
    zh = language == "zh"
    if came[1] & 0x80:
        name = _EXCEPTIONS[language].get(came[2])
        said = f"{'异常' if zh else 'exception'} {came[2]}"
        return Trial(unit, Heard.ANSWER, said + (f", {name}" if name else ""), refused=True)
    return Trial(
        unit, Heard.ANSWER, f"{'保持寄存器 0 为' if zh else 'holding register 0 is'} {int.from_bytes(came[3:5], 'big')}"
    )


def _is_whole_answer(unit: int, came: bytes) -> bool:
    length = _frame_bytes(came)
    return length is not None and came[0] == unit and _is_whole(came[:length])


def _frame_bytes(came: bytes) -> int | None:
    """How long the frame at the start says it is; None if it can't be the answer to our question."""
    if len(came) < _SHORTEST:
        return None
    if came[1] & 0x80:
        return _SHORTEST
    return _SHORTEST + came[2] if came[1] == READ_HOLDING else None


def _is_whole(frame: bytes) -> bool:
    return len(frame) >= _SHORTEST and FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big"))


def found(trials: Iterable[Trial], language: Language = "en") -> Found | None:
    """What all trials of one unit say of it; None if nobody is there."""
    trials = list(trials)
    heard = Counter(trial.heard for trial in trials)
    if not heard[Heard.ANSWER] and not heard[Heard.TWICE] and not heard[Heard.GARBLED]:
        return None  # an answer of another unit, that came too late, makes no device of this one
    answers = [trial for trial in trials if trial.heard is Heard.ANSWER]
    detail = Counter(trial.detail for trial in answers).most_common(1)[0][0] if answers else ""
    if not detail:
        detail = "内容无法识别" if language == "zh" else "nothing that can be read"
    return Found(trials[0].unit, len(trials), len(answers), detail, tuple(_suspicions(trials, heard, language)))


def _suspicions(trials: Sequence[Trial], heard: Counter[Heard], language: Language) -> Iterator[str]:
    zh = language == "zh"
    answered, garbled = heard[Heard.ANSWER], heard[Heard.GARBLED]
    if heard[Heard.TWICE]:
        yield (
            "一次询问收到两次应答：两台设备用同一个地址"
            if zh
            else "answers twice to one question: two devices with this address"
        )
    elif garbled >= len(trials) / 2:
        yield (
            "两台设备用同一个地址？应答互相重叠"
            if zh
            else "two devices with this address? their answers run into each other"
        )
    elif garbled + heard[Heard.NOTHING] > MANY_ERRORS * len(trials) and answered:
        lost = len(trials) - answered
        yield (
            f"{len(trials)} 次询问丢失 {lost} 次应答：检查终端电阻（两端各 120 欧）、偏置电阻、接线松动"
            if zh
            else f"{lost} of {len(trials)} answers lost: termination (120 ohm at both ends), bias, or a loose screw?"
        )
    if len({trial.refused for trial in trials if trial.heard is Heard.ANSWER}) > 1:
        yield (
            "时而回数值，时而回异常：两台设备用同一个地址？"
            if zh
            else "answers now with a value, now with an exception: two devices with this address?"
        )
    if heard[Heard.OTHER]:
        yield (
            "收到别的地址的应答：有设备比超时更慢？"
            if zh
            else "an answer of another unit came: a device that is slower than the time-out?"
        )


def of_line(trials: Sequence[Trial], idle: bytes, language: Language = "en") -> list[str]:
    """What the whole scan of one speed says of the line itself. `idle`: what was heard before anything was asked."""
    heard = Counter(trial.heard for trial in trials)
    said, zh = [], language == "zh"
    if heard[Heard.ECHO] and heard[Heard.ECHO] >= len(trials) / 2:
        said.append(
            "转换器会回送自己发出的数据；网关程序能识别并忽略"
            if zh
            else "the adapter echoes what it sends; the agent notices and passes it over"
        )
    if idle:
        said.append(
            f"没有询问时线上也有数据（{len(idle)} 字节）：还有别的主站？A、B 接反或缺偏置电阻？"
            if zh
            else f"the line speaks without being asked ({len(idle)} bytes): another master, or A and B swapped or without bias?"
        )
    if heard[Heard.GARBLED] >= len(trials) / 2 and not heard[Heard.ANSWER]:
        said.append(
            "有应答但无法识别：波特率或校验不对？A、B 接反？"
            if zh
            else "something answers, and nothing can be read: another speed or parity, or A and B swapped?"
        )
    return said
