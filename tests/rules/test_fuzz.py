"""Whatever people, devices and disks hand in: an answer, or one of the named errors, and soon."""

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from messages import announcement
from messages.announcement import AnnouncementError
from messages.ids import DeviceId
from messages.kind import Channel
from messages.reading import Value
from rules.checking.faults import faults
from rules.checking.report import with_line
from rules.engine.intake import take
from rules.engine.memory.facts import Facts
from rules.engine.work import Work
from rules.language.answering import with_answers
from rules.language.calendar import CHINA
from rules.language.evaluation import Timer, step
from rules.language.library import SHIPPED as LIBRARY
from rules.language.library import read_file, vocabulary
from rules.language.making import Mistaken, made, rewritten
from rules.language.rule_text import RuleText
from rules.language.sentence import SentenceError, parse
from rules.language.state import NEW, from_json, to_json
from tests.rules.course import ALL_RULES, KINDS, RULES, at, reading, run
from tests.rules.room import EDGE, SITE, announced

EVERY = [rule for some in RULES.values() for rule in some]
SHIPPED = {path.stem: path for path in LIBRARY.glob("*.toml")}
WORDS = sorted(
    {word for rule in EVERY for word in rule.raise_when.source.replace("(", " ( ").replace(")", " ) ").split()}
)


@settings(deadline=10_000)
@given(
    st.lists(
        st.sampled_from([*WORDS, "and", "or", "not", "-", "1e999", '"12h"', "silent_for", "[", "lambda:", "\n"]),
        max_size=40,
    )
)
def test_words_of_the_library_in_any_order_are_a_sentence_or_a_mistake_with_a_place(words: list[str]) -> None:
    channels = {name: channel for kind in KINDS.values() for name, channel in kind.channels.items()}
    source = " ".join(words)
    error = _refusal(source, channels)
    assert error is None or (1 <= error.line <= source.count("\n") + 2 and error.column >= 1)


@settings(deadline=10_000)
@example("smoke # the panel's", "not smoke # nor this")
@given(
    *[
        st.lists(st.sampled_from([*WORDS, "and", "or", "not", "true", "# x", "\n"]), min_size=1, max_size=12).map(
            " ".join
        )
    ]
    * 2
)
def test_faults_are_found_in_whatever_can_be_read(raises: str, clears: str) -> None:
    channels = {name: channel for kind in KINDS.values() for name, channel in kind.channels.items()}
    kind = KINDS["smoke_alarm"].model_copy(update={"channels": channels})
    content = {"level": "red", "title": {"zh": "烟", "en": "Smoke"}, "raise": raises, "clear": clears}
    try:
        rule = made(kind, "smoke_alarm", "it", RuleText.model_validate(content), {}, vocabulary_of_all, CHINA)
    except Mistaken:
        return
    assert all(str(fault.why) for fault in faults([rule], retention_s=86_400.0, calendar=CHINA, year=2026))


def _refusal(source: str, channels: dict[str, Channel]) -> SentenceError | None:
    try:
        parse(source, channels, {}, kinds=vocabulary_of_all)
    except SentenceError as error:
        return error
    return None


vocabulary_of_all = vocabulary(KINDS, ())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@settings(deadline=10_000, max_examples=150)
@given(st.sampled_from(sorted(SHIPPED)), st.data())
def test_a_rule_file_in_which_something_is_broken_is_read_or_named(
    folder: Path, kind: str, data: st.DataObject
) -> None:
    """A piece of a good file is taken away, doubled, moved or replaced."""
    text = SHIPPED[kind].read_text(encoding="utf-8")
    begin = data.draw(st.integers(0, len(text)))
    end = min(begin + data.draw(st.integers(0, 40)), len(text))
    piece = data.draw(st.sampled_from(["", text[begin:end] * 2, "true", "{", "'", '"""', "nan", "\\", "é", "\x00"]))
    path = folder / f"{kind}.toml"
    path.write_text(text[:begin] + piece + text[end:], encoding="utf-8")
    _, mistakes = read_file(path, KINDS, vocabulary_of_all)
    for mistake in mistakes:
        assert str(mistake).startswith(str(path))
        assert len(with_line(mistake, "zh").splitlines()) in (1, 3)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(string.printable, max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(string.ascii_lowercase, max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_JSON)
def test_anything_for_a_state_is_one_or_a_value_error(content: Any) -> None:
    for damaged in (content, {"version": 3, "live": content, "past": {}, "open_since_ms": None}):
        try:
            found = from_json(damaged)
        except ValueError:
            continue
        assert from_json(to_json(found)) == found


@settings(max_examples=200)
@given(st.sampled_from([rule for rule in EVERY if rule.channels]), st.data())
def test_a_state_in_which_something_is_broken_is_refused_or_judged(rule: Any, data: st.DataObject) -> None:
    state, _ = run(rule, [reading(second, rule.channels[0], 1.0) for second in range(3)])
    content = to_json(state)
    lane = content["live"]
    key = data.draw(st.sampled_from(sorted(lane)))
    if data.draw(st.booleans()):
        lane[key] = data.draw(_JSON)
    else:
        del lane[key]
    try:
        found = from_json(content)
    except ValueError:
        return
    step(rule, found, Timer(), at(10))
    step(rule, found, reading(5, rule.channels[0], 1.0), at(10))


@settings(max_examples=200)
@example("bracelet", {"joins_within": 1e306})
@given(
    st.sampled_from(sorted(RULES)),
    st.dictionaries(
        st.sampled_from(["depth", "installed_tilt", "lat", "lon", "circuit", "patience", "reads_cards", "limit"]),
        st.floats(allow_nan=False, allow_infinity=False)
        | st.booleans()
        | st.text(max_size=300)
        | st.integers(-(2**70), 2**70),
    ),
)
def test_no_setting_that_a_device_announces_stops_the_engine(kind: str, said: dict[str, Any]) -> None:
    work = Work(Facts(KINDS, ALL_RULES))
    try:
        one = announcement.decode(json.dumps({**announced(kind).model_dump(), "settings": said}).encode())
    except AnnouncementError:
        return
    work.announce(SITE, EDGE, DeviceId("it"), one, at(0))
    values: dict[str, Value] = {"number": 50.0, "boolean": True, "text": "x"}
    work.hear(
        SITE,
        EDGE,
        [
            reading(at_s, name, values[channel.type])
            for at_s in (0, 70)
            for name, channel in KINDS[kind].channels.items()
        ],
        at(100),
    )
    for found in work.found:
        found.rule.told({}, found.device.place, found.device.id)
        found.rule.limits()


@given(st.binary(max_size=200) | _JSON.map(lambda content: __import__("json").dumps(content).encode()))
def test_no_announcement_stops_the_engine(payload: bytes) -> None:
    work = Work(Facts(KINDS, ALL_RULES))
    take(work, f"gridcall/1/{SITE}/{EDGE}/devices/it", payload, at(0))


@given(_JSON)
def test_a_kept_rule_that_is_damaged_is_a_value_error(content: Any) -> None:
    for damaged in (content, {"text": content, "settings": {}, "channels": {}}, {"text": {}, "settings": content}):
        with pytest.raises(ValueError):  # noqa: PT011
            rewritten("waste_bin", "full", damaged, known={})


def test_what_was_never_broken_is_read(folder: Path) -> None:
    assert from_json(to_json(NEW)) == NEW


@pytest.mark.parametrize("condition", [f"{'not ' * 40}alarm_contact", "alarm_contact # the panel's", "(alarm_contact"])
def test_a_condition_of_neighbours_is_refused_when_it_is_read_or_can_be_asked(folder: Path, condition: str) -> None:
    # one that was read and could not be negated stopped the engine when it was to watch for it
    path = folder / "gas_alarm.toml"
    asks = f'count_devices("gas_alarm", "{condition}", within="grid") >= 2'
    path.write_text(
        f"""[rules.many]
level = "yellow"
title = {{ zh = "多处", en = "Many" }}
raise = '''{asks}'''
clear = '''not ({asks})'''
""",
        encoding="utf-8",
    )
    rules, mistakes = read_file(path, KINDS, vocabulary_of_all)
    with_answers({"gas_alarm": tuple(rules)}, KINDS)
    assert bool(mistakes) != bool(rules)
