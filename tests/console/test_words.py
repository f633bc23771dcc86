"""Both languages say the same things, and times, spans and values read as people write them."""

import re
from zoneinfo import ZoneInfo

import pytest

from console.routes import REASONS
from console.words import LANGUAGES, countdown, load_words, plain, preferred, texts
from messages.kind import Channel
from messages.language import Language
from messages.settings import Text
from rules.cases.acts import CANCELLATIONS, OUTCOMES
from rules.records import AlarmState, CaseState
from tests.console.block import NOON_MS

WORDS = load_words(ZoneInfo("Asia/Shanghai"))
SLOT = re.compile(r"\{\w*\}")


def test_both_languages_have_exactly_the_same_keys() -> None:
    assert texts("zh").keys() == texts("en").keys()


def test_both_languages_fill_the_same_slots() -> None:
    zh, en = texts("zh"), texts("en")
    assert {key: sorted(SLOT.findall(zh[key])) for key in zh} == {key: sorted(SLOT.findall(en[key])) for key in en}


@pytest.mark.parametrize("language", LANGUAGES)
def test_whatever_the_rules_can_say_has_words(language: Language) -> None:
    wanted = [f"state.{state}" for state in AlarmState] + [f"case.{state}" for state in CaseState]
    wanted += [f"outcome.{outcome}" for outcome in (*OUTCOMES, *CANCELLATIONS)] + [
        f"refused.{reason}" for reason in REASONS
    ]
    wanted += [f"event.{name}" for name in ("alarm.raised", "alarm.latched", "alarm.cleared", "alarm.acknowledged")]
    wanted += [f"event.{name}" for name in ("alarm.reset", *(f"case.{state}" for state in CaseState))]
    assert [key for key in wanted if key not in WORDS[language]] == []


def test_an_event_without_words_keeps_its_name() -> None:
    assert WORDS["en"].event("device.tamper") == "device.tamper"


def test_times_are_those_of_the_site_with_the_date_when_it_is_another_day() -> None:
    assert WORDS["zh"].time(NOON_MS, NOON_MS + 1000) == "12:00:00"
    assert WORDS["zh"].time(NOON_MS - 86_400_000, NOON_MS) == "2026-11-20 12:00:00"


@pytest.mark.parametrize(
    ("ms", "zh", "en"),
    [
        (-5_000, "0 秒", "0 s"),
        (59_999, "59 秒", "59 s"),
        (60_000, "1 分钟", "1 min"),
        (3_725_000, "1 小时 2 分", "1 h 2 min"),
        (90_000_000, "1 天 1 小时", "1 d 1 h"),
    ],
)
def test_a_span_is_said_in_plain_words(ms: int, zh: str, en: str) -> None:
    assert (WORDS["zh"].span(ms), WORDS["en"].span(ms)) == (zh, en)


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "0:00"), (42_900, "0:42"), (-65_000, "1:05"), (3_725_000, "1:02:05"), (600_000, "10:00")]
)
def test_a_countdown_reads_like_a_clock(ms: int, text: str) -> None:
    assert countdown(ms) == text
    assert [words.countdown(ms) for words in WORDS.values()] == [text] * len(WORDS)


def test_a_countdown_of_days_is_said_in_words() -> None:
    said = [(words.countdown(172_799_999), words.countdown(-340_199_000)) for words in WORDS.values()]
    assert said == [("47:59:59", "3 天 22 小时"), ("47:59:59", "3 d 22 h")]


@pytest.mark.parametrize(
    ("number", "text"), [(23.44, "23.4"), (0.123456, "0.123"), (1e9, "1000000000"), (-0.0001, "0"), (47.0, "47")]
)
def test_a_number_has_no_more_digits_than_a_person_reads(number: float, text: str) -> None:
    assert plain(number) == text


def test_a_value_has_its_unit_as_people_write_it_and_a_boolean_its_word() -> None:
    name = Text(zh="温度", en="Temperature")
    common = {"name": name, "meaning": "", "interval": "60s"}
    warm = Channel.model_validate(common | {"type": "number", "unit": "Cel"})
    said = {"when_true": Text(zh="开", en="open"), "when_false": Text(zh="关", en="closed")}
    door = Channel.model_validate(common | {"type": "boolean"} | said)
    plain_door = Channel.model_validate(common | {"type": "boolean"})
    assert WORDS["zh"].value(24.5, warm) == "24.5 °C"
    assert WORDS["zh"].value(True, door) == "开"
    assert WORDS["en"].value(False, plain_door) == "no"
    assert WORDS["en"].value(3.0, None) == "3"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9", "en"),
        ("fr,en;q=0.5,zh;q=0.4", "en"),
        ("en;q=0.1,zh", "zh"),
        ("fr", "zh"),
        ("en;q=x", "en"),
        ("," * 10_000, "zh"),
    ],
)
def test_the_browser_is_asked_which_language_it_wants_and_chinese_comes_first(header: str, language: str) -> None:
    assert preferred(header) == language
