"""Rules that nobody would write: drawn from all that the language of the rules has, for kinds that have channels of each sort."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import strategies as st

from messages.reading import Quality, Reading, Value
from rules.language.answering import with_answers
from rules.language.library import load_file, vocabulary
from rules.language.rule import Rules
from rules.language.sentence import Vocabulary
from tests.rules.course import KINDS, reading, write_rules

LIMITS: Mapping[str, tuple[float, float, float]] = {
    "tilt": (15.0, 45.0, 60.0),
    "water_level": (1.0, 2.5, 4.0),
    "gas_concentration": (10.0, 25.0, 50.0),
    "heart_rate": (50.0, 120.0, 180.0),
    "blood_oxygen": (60.0, 88.0, 95.0),
}
"""Where conditions on a channel turn."""
SWITCHES: Mapping[str, tuple[str, ...]] = {
    "manhole_cover": ("rim_switch",),
    "gas_alarm": ("alarm_contact", "tamper"),
    "bracelet": ("fall", "pressed", "worn"),
    "door_access": ("door_open", "forced"),
}
"""Of each kind that is tried, its channels that are true or false: `pressed` is an event."""
NUMBERS: Mapping[str, tuple[str, ...]] = {
    "manhole_cover": ("tilt", "water_level"),
    "gas_alarm": ("gas_concentration",),
    "bracelet": ("heart_rate", "blood_oxygen"),
    "door_access": (),
}
DEVICES = ("it", "other")
SETTINGS: Mapping[str, Mapping[str, Value]] = {"other": {"grave": True}}
"""What devices say of their place, by which an alarm of them may be graver."""
GAPS_S = (0.25, 0.5, 1.0, 3.0, 7.0, 11.0, 31.0, 61.0, 130.0)


@dataclass(frozen=True)
class Made:
    """Rules of a kind, as their file has them and as they were read."""

    kind: str
    text: str
    rules: Rules

    def __repr__(self) -> str:
        return f"{self.kind}:{self.text}"


@lru_cache
def _known() -> dict[str, Vocabulary]:
    return vocabulary(KINDS, ())


def read(kind: str, text: str) -> Made:
    with TemporaryDirectory() as folder:
        path = write_rules(Path(folder), kind, text)
        return Made(kind, text, with_answers({kind: load_file(path, KINDS, _known())}, KINDS))


@st.composite
def rules(draw: st.DrawFn, kind: str, *, asks: bool = True) -> Made:
    """One to three of a kind. `asks`: they may ask for silences, for the time of the day, and about other devices."""
    text = "[settings]\ngrave = { value = false }\nlimit = { value = 5.0 }\n"
    for number in range(draw(st.integers(1, 3))):
        raises = draw(conditions(kind, asks=asks, deep=draw(st.sampled_from([0, 1, 1, 2]))))
        clears = f"not ({raises})"
        if draw(st.integers(0, 3)) == 0:
            clears = draw(conditions(kind, asks=asks, deep=1))
        level = draw(st.sampled_from(["red", "red", "orange", "yellow"]))
        text += f'\n[rules.r{number}]\nlevel = "{level}"\ntitle = {{ zh = "甲", en = "A" }}\n'
        text += f"raise = '''{raises}'''\nclear = '''{clears}'''\n"
        graver = draw(st.sampled_from(["", "grave", "grave", *map(_plainly, NUMBERS[kind])]))
        if level != "red" and graver:
            text += f"levels = [{{ level = \"red\", when = '{graver}' }}]\n"
        text += f'raise_delay = "{draw(st.sampled_from([0, 0, 2, 5, 10, 30]))}s"\n'
        text += f'clear_delay = "{draw(st.sampled_from([0, 0, 3, 30]))}s"\n'
        text += f"raise_samples = {draw(st.sampled_from([1, 1, 1, 2, 3]))}\n"
        text += f"clear_samples = {draw(st.sampled_from([1, 1, 1, 2]))}\n"
        text += f'lateness = "{draw(st.sampled_from([5, 60, 600, 600]))}s"\n'
        guards = level == "red" and draw(st.integers(0, 3)) == 0
        text += f"latch = {_toml(guards or draw(st.integers(0, 3)) == 0)}\nlife_safety = {_toml(guards)}\n"
    return read(kind, text)


def _plainly(channel: str) -> str:
    return f"{channel} >= {LIMITS[channel][2]}"


def _toml(value: bool) -> str:
    return "true" if value else "false"


@st.composite
def conditions(draw: st.DrawFn, kind: str, *, asks: bool, deep: int) -> str:
    if deep and draw(st.integers(0, 2)):
        word = draw(st.sampled_from(["and", "or"]))
        first, second = (draw(conditions(kind, asks=asks, deep=deep - 1)) for _ in range(2))
        return f"({first} {word} {second})"
    if draw(st.integers(0, 3)) == 0:
        return f"not ({draw(conditions(kind, asks=asks, deep=0))})"
    if asks and draw(st.integers(0, 5)) == 0:
        return draw(st.sampled_from(_questions(kind)))
    return draw(st.sampled_from(_words(kind)))


def _words(kind: str) -> Sequence[str]:
    """That need nothing but the readings of the device itself."""
    words = []
    for name in NUMBERS[kind]:
        low, middle, high = LIMITS[name]
        words += [f"{name} >= {low}", f"{name} >= {middle}", f"{name} >= {high}", f"{name} < {low}"]
        words += [f"given({name}, 0) >= {middle}", f'max({name}, "1min") >= {middle}', f'min({name}, "30s") >= {low}']
        words += [f'avg({name}, "1min") >= {middle}', f'increase({name}, "1min") >= {low}', f"stuck_for({name}) >= 20"]
        words += [f'changed({name}, "1min")', f'count({name}, "30s") >= 3', f'rate({name}, "10s") > {low / 10}']
    for name in SWITCHES[kind]:
        words += [name, name, f"given({name}, false)", f'count({name}, "1min") >= 2', f'changed({name}, "30s")']
        words += [f"since({name}) >= 10", f"since({name}) < 5"]
    first, *others = (*SWITCHES[kind], *NUMBERS[kind])
    return [*words, *(f"0 <= before({first}, {other}) < limit" for other in others)]


def _questions(kind: str) -> Sequence[str]:
    """Whose answers hang on when they are asked."""
    names = (*SWITCHES[kind], *NUMBERS[kind])
    plain = [*SWITCHES[kind], *(f"{name} >= {LIMITS[name][1]}" for name in NUMBERS[kind])]
    silences = [f"silent_for({name}) >= {limit}" for name in names for limit in (20, 90)]
    counts = [f'count_devices("{kind}", "{one}", within="grid") >= {least}' for one in plain for least in (1, 2)]
    return [*silences, *counts, *counts, 'time_between("16:54", "16:56")']


@st.composite
def readings(draw: st.DrawFn, made: Made, gaps_s: Sequence[float] = GAPS_S, most: int = 20) -> list[Reading]:
    """Of one to three channels that its rules listen to, in their order, no two of one moment."""
    heard = sorted({channel for rule in made.rules[made.kind] for channel in rule.channels})
    names = draw(st.lists(st.sampled_from(heard or [*SWITCHES[made.kind]]), min_size=1, max_size=3, unique=True))
    at_s, found = 0.0, []
    for _ in range(draw(st.integers(8, most))):
        at_s += draw(st.sampled_from(gaps_s))
        name = draw(st.sampled_from(names))
        value = draw(st.booleans() if name in SWITCHES[made.kind] else st.sampled_from(around(name)))
        quality = draw(st.sampled_from([Quality.GOOD] * 9 + [Quality.BAD]))
        found.append(reading(at_s, name, value, device=draw(st.sampled_from(("it", "it", *DEVICES))), quality=quality))
    return found


def around(channel: str) -> list[Value]:
    """Values of a number where conditions on it turn, and beside."""
    low, middle, high = LIMITS[channel]
    return [0.0, low, middle, high]
