"""Faults of rules that can be read: each is named with its place, and what is claimed is true."""

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from messages.kind import load_kinds
from messages.settings import ConfigError
from rules.checking.condition import Words, condition, implies
from rules.checking.faults import Fault, faults
from rules.checking.trial import both_true
from rules.commands import app
from rules.language.calendar import CHINA
from rules.language.library import load_file, load_rules
from rules.language.seen import NEVER, Seen
from rules.language.sentence import Setting, parse
from tests.rules.course import KINDS, write_rules

TAP = """name = { zh = "水表", en = "Tap" }
[channels.flow]
name = { zh = "流量", en = "Flow" }
meaning = "m"
type = "number"
unit = "l/s"
range = [0, 100]
interval = "1min"
[channels.tilt]
name = { zh = "倾角", en = "Tilt" }
meaning = "m"
type = "number"
unit = "deg"
range = [-180, 180]
interval = "1min"
[channels.open]
name = { zh = "开", en = "Open" }
meaning = "m"
type = "boolean"
interval = "1min"
[channels.shut]
name = { zh = "关", en = "Shut" }
meaning = "m"
type = "boolean"
interval = "1min"
[channels.mode]
name = { zh = "模式", en = "Mode" }
meaning = "m"
type = "text"
interval = "1min"
"""
ENTRY = """[rules.{name}]
level = "{level}"
title = {{ zh = "x", en = "x" }}
raise = '{raises}'
clear = '{clears}'
{more}
"""


class Tap:
    """Rules of one kind, by what they say."""

    def __init__(self, folder: Path) -> None:
        (folder / "kinds").mkdir()
        (folder / "kinds" / "tap.toml").write_text(TAP, encoding="utf-8")
        self.kinds = load_kinds(folder / "kinds")
        self.folder = folder

    def write(self, *entries: str, head: str = "") -> Path:
        return write_rules(self.folder / "rules", "tap", head + "\n".join(entries))

    def faults(self, *entries: str, head: str = "", retention_s: float | None = None, year: int = 2026) -> list[Fault]:
        rules = load_file(self.write(*entries, head=head), self.kinds)
        return list(faults(rules, retention_s=retention_s, calendar=CHINA, year=year))

    def words(self) -> Words:
        return Words(self.kinds["tap"].channels, {})


@pytest.fixture(scope="module")
def tap(tmp_path_factory: pytest.TempPathFactory) -> Tap:
    return Tap(tmp_path_factory.mktemp("tap"))


def entry(raises: str, clears: str, *, name: str = "it", level: str = "yellow", more: str = "") -> str:
    return ENTRY.format(name=name, level=level, raises=raises, clears=clears, more=more)


@pytest.mark.parametrize(
    ("raises", "why"),
    [
        ("flow > 100", "it can never raise: `flow` can't be more than 100: it is 0 to 100"),
        ("flow < 0 or flow >= 100.5", "`flow` can't be less than 0: it is 0 to 100; `flow` can't be at least 100.5: "),
        ("flow > 60 and flow < 50", "`flow` can't be more than 60 and less than 50 at once"),
        ("50 < flow <= 50", "`flow` can't be more than 50 and at most 50 at once"),
        ("open and not open", "`open` can't be true and false at once"),
        ('mode == "a" and mode != "a"', "can't be true and false at once"),
        ("abs(tilt) > 180", "`abs(tilt)` can't be more than 180: it is 0 to 180"),
        ("flow * 2 + 1 > 201", "`flow * 2 + 1` can't be more than 201: it is 1 to 201"),
        ("min(flow, 10) > 10", "`min(flow, 10)` can't be more than 10: it is 0 to 10"),
        ('avg(flow, "1h") > 100', "can't be more than 100: it is 0 to 100"),
        ('count(open, "1h") < 0', "can't be less than 0: it is at least 0"),
        ("weekday() > 7", "`weekday()` can't be more than 7: it is 1 to 7"),
        ('time_between("22:00", "06:00") and not time_between("22:00", "06:00")', "at once"),
        ("flow > flow / 2 + 101", "can't be more than 0: it is -151 to -1"),
        ("not (flow >= 0)", "`flow` can't be less than 0"),
        ("1 > 2", "it is written so"),
        ("false", "it is written so"),
    ],
)
def test_a_rule_that_can_never_raise_is_an_error(tap: Tap, raises: str, why: str) -> None:
    (fault,) = tap.faults(entry(raises, "flow < 1 and open"))
    assert (fault.grade, fault.field) == ("error", ("raise",))
    assert why in str(fault.why)


def test_one_that_can_never_clear_is_an_error_unless_a_person_is_to_end_it(tap: Tap) -> None:
    (fault,) = tap.faults(entry("flow > 50", "flow < 20 and flow > 30"))
    assert (fault.grade, fault.field) == ("error", ("clear",))
    assert "`flow` can't be less than 20 and more than 30 at once" in str(fault.why)
    assert tap.faults(entry("flow > 50", "false"))
    assert not tap.faults(entry("flow > 50", "false", more="latch = true"))


@pytest.mark.parametrize(
    ("raises", "clears", "shown"),
    [
        ("flow >= 50", "flow < 60", "flow = 50; let it leave out what raises, e.g. `flow < 50`"),
        ("flow < 5", "flow > 3", "let it leave out what raises, e.g. `flow > 5`"),
        ("abs(tilt) >= 15", "tilt < 20", "tilt = "),
        ("open", "open or flow < 1", "open = true"),
        ("flow >= 50 and open", "flow < 60 and open", "open = true"),
        ("0.8 * flow >= 50", "flow < 70", "flow = "),
    ],
)
def test_a_clear_that_can_be_true_while_the_raise_is_is_an_error_with_a_witness(
    tap: Tap, raises: str, clears: str, shown: str
) -> None:
    (fault,) = tap.faults(entry(raises, clears))
    assert (fault.grade, fault.field) == ("error", ("clear",))
    assert "it can be true while `raise` is: " in str(fault.why)
    assert shown in str(fault.why)


@pytest.mark.parametrize(
    ("raises", "clears"),
    [
        ("flow >= 50", "flow < 50"),
        ("abs(tilt) >= 15", "abs(tilt) < 5"),
        ("flow >= 50 or open", "flow < 30"),  # an open one stays raised, since raise wins
        ("15 <= abs(tilt) < 45", "abs(tilt) < 5"),
        ('increase(flow, "1h") < 1', 'increase(flow, "1h") >= 1'),
        ('flow >= 60 or rate(flow, "10min") * 600 >= 10', "flow < 45"),
        ('min(flow, "1h") > 50', 'avg(flow, "1h") < 50'),  # no mean lies below the lowest
    ],
)
def test_a_clear_that_leaves_out_what_raises_is_none(tap: Tap, raises: str, clears: str) -> None:
    assert tap.faults(entry(raises, clears)) == []


def test_what_depends_on_a_setting_is_a_warning_and_a_switch_stands_for_both(tap: Tap) -> None:
    head = "[settings]\nmost = { value = 200.0 }\nwanted = { value = false }\nlimit = { value = 0.0 }\n"
    (fault,) = tap.faults(entry("flow > most", "flow < 10"), head=head)
    assert fault.grade == "warning"
    assert not tap.faults(entry("wanted and flow > 50", "flow < 10"), head=head)
    assert not tap.faults(entry("limit > 0 and flow < limit", "flow > 10"), head=head)  # off, unless a device wants it


def test_a_window_longer_than_readings_are_kept_is_a_warning(tap: Tap) -> None:
    rule = entry('increase(flow, "48h") < 1', 'increase(flow, "48h") >= 1')
    assert not tap.faults(rule)
    assert not tap.faults(rule, retention_s=48 * 3600)
    (first, second) = tap.faults(rule, retention_s=47 * 3600)
    assert "the window of `flow` spans 2d, and readings are kept for 1d23h" in str(first.why)
    assert (first.field, second.field) == (("raise",), ("clear",))
    usual = entry("off_by(flow) > 3", "off_by(flow) < 2")
    assert "usual course" in str(tap.faults(usual, retention_s=14 * 86400)[0].why)


def test_a_rule_that_another_one_says_already_is_a_warning(tap: Tap) -> None:
    low, high = entry("flow > 50", "flow < 40", name="low"), entry("flow > 80", "flow < 40", name="high")
    (fault,) = tap.faults(low, high)
    assert (fault.grade, fault.rule.id) == ("warning", "high")
    assert "`low` has raised as gravely" in str(fault.why)
    assert not tap.faults(low, entry("flow > 80", "flow < 40", name="high", level="orange"))
    assert not tap.faults(low, entry("flow > 80", "flow < 40", name="high", more="shadow = true"))
    slow = entry("flow > 50", "flow < 40", name="low", more='raise_delay = "1min"')
    assert not tap.faults(slow, high)
    banded = entry("50 < flow <= 80", "flow < 40", name="low")
    assert not tap.faults(banded, high)
    three = [entry(f"flow > {limit}", "flow < 40", name=f"above_{limit}") for limit in (50, 60, 70)]
    assert [fault.rule.id for fault in tap.faults(*three)] == ["above_60", "above_70"]  # each is said once
    (twin,) = tap.faults(low, entry("flow > 50", "flow < 40", name="twin"))
    assert twin.rule.id == "twin"


def test_a_level_that_is_never_reached_is_named(tap: Tap) -> None:
    levels = 'levels = [{ level = "red", when = "flow > 60" }, { level = "orange", when = "flow > 80" }]'
    (fault,) = tap.faults(entry("flow > 50", "flow < 40", more=levels))
    assert "it is never orange: whenever this is true, it is red already" in str(fault.why)
    levels = 'levels = [{ level = "red", when = "flow > 160" }]'
    (fault,) = tap.faults(entry("flow > 50", "flow < 40", more=levels))
    assert "it can never be red" in str(fault.why)


def test_a_year_without_known_holidays_is_said_where_a_rule_asks_for_them(tap: Tap) -> None:
    rule = entry("flow > 50 and holiday()", "flow < 40")
    assert not tap.faults(rule)
    assert "no public holidays of 2031" in str(tap.faults(rule, year=2031)[0].why)


def test_the_shipped_library_has_no_fault() -> None:
    found = [fault for rules in load_rules(KINDS).values() for fault in faults(rules, calendar=CHINA, year=2026)]
    assert [f"{fault.rule.kind}.{fault.rule.id}: {fault.why}" for fault in found] == []


CHECK = CliRunner()


def test_check_says_each_fault_with_its_line_beneath_it_and_how_grave_it_is(tap: Tap) -> None:
    path = tap.write(entry("flow > 150", "flow < 40"), entry("flow > 50", "flow < 60", name="other"))
    found = CHECK.invoke(app, ["check", str(path), "--kinds", str(tap.folder / "kinds")])
    assert found.exit_code == 1
    assert (
        f"""error: {path}:4:10: rules.it.raise: it can never raise: `flow` can't be more than 150: it is 0 to 100; mend the sentence, or take the rule out
    raise = 'flow > 150'
             ^
"""
        in found.output
    )
    assert f"error: {path}:12:10: rules.other.clear: " in found.output


def test_check_names_all_that_can_not_be_read_at_once(tap: Tap) -> None:
    path = tap.write(entry("flwo > 50", "flow < 40"), entry("flow > 50", "flow < 40 and tilt > flow", name="other"))
    found = CHECK.invoke(app, ["check", str(path), "--kinds", str(tap.folder / "kinds")])
    assert isinstance(found.exception, ConfigError)  # gridcall.py prints it and ends with 2
    assert f"{path}:4:10: rules.it.raise: no channel or setting `flwo`; did you mean `flow`?" in str(found.exception)
    assert f"{path}:12:24: rules.other.clear: deg can't be compared with l/s: give both in one unit" in str(
        found.exception
    )
    assert "\n    raise = 'flwo > 50'\n             ^" in str(found.exception)


def test_check_knows_the_engines_own_settings(tap: Tap, tmp_path: Path) -> None:
    tap.write(entry('increase(flow, "10d") < 1', 'increase(flow, "10d") >= 1'))
    config = tmp_path / "rules.toml"
    config.write_text(
        f"""name = "r"
database = "sqlite:///r.db"
store = "sqlite:h.db"
kinds = ["{tap.folder}/kinds"]
rules = ["{tap.folder}/rules"]
retention = "7d"
[broker]
""",
        encoding="utf-8",
    )
    found = CHECK.invoke(app, ["check", "--config", str(config)])
    assert found.exit_code == 0
    assert any("readings are kept for 7d" in line for line in _of_tap(found.output))
    longer = CHECK.invoke(app, ["check", "--config", str(config), "--retention", "10d"]).output
    assert not any("readings are kept" in line for line in _of_tap(longer))


def _of_tap(output: str) -> list[str]:
    """Shipped rules that learn what is usual want longer than this."""
    return [line for line in output.splitlines() if "tap.toml" in line]


def test_a_sentence_over_several_lines_is_pointed_into(tap: Tap) -> None:
    text = entry("x", "flow < 40").replace("raise = 'x'", "raise = '''\nflow > 50\n  and opn'''")
    path = tap.write(text)
    with pytest.raises(ConfigError, match=rf"{path}:6:7: rules.it.raise: no channel or setting `opn`"):
        load_file(path, tap.kinds)


# What is claimed is true: sentences of a few words, tried with all values that matter.

_LIMITS = st.sampled_from([-1, 0, 20, 50, 99, 100, 101])
_ATOMS = st.one_of(
    st.builds(
        "{} {} {}".format,
        st.sampled_from(["flow", "abs(flow - 50)", "2 * flow", "-flow", "flow / 2"]),
        st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
        _LIMITS,
    ),
    st.builds("{} <= flow < {}".format, _LIMITS, _LIMITS),
    st.sampled_from(["open", "shut", "true", "false", "not open", "open == shut", "mode == 'a'", "mode != 'b'"]),
)
_SENTENCES = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=6,
)
_VALUES = [
    {
        "flow": Seen(0, flow, 0, 0),
        "open": Seen(0, is_open, 0, 0),
        "shut": Seen(0, is_shut, 0, 0),
        "mode": Seen(0, mode, 0, 0),
    }
    for flow in (0.0, 0.5, 10.0, 20.0, 25.0, 49.5, 50.0, 50.5, 70.0, 99.0, 99.5, 100.0)
    for is_open in (True, False)
    for is_shut in (True, False)
    for mode in ("a", "b")
]


@settings(max_examples=300)
@given(_SENTENCES, _SENTENCES)
def test_what_is_called_impossible_is_and_what_is_implied_follows(tap: Tap, one: str, other: str) -> None:
    channels = tap.kinds["tap"].channels
    first, second = condition(one, tap.words()), condition(other, tap.words())
    assume(first is not None and second is not None)
    assert first
    assert second
    holds = [parse(source, channels, {}).bound({}) for source in (one, other)]
    for seen in _VALUES:
        this, that = (hold(seen, NEVER) for hold in holds)
        assert not (first.clash and this)
        assert not (this and not that and implies(first, second))


@settings(max_examples=50)
@given(_SENTENCES, _SENTENCES)
def test_a_witness_is_one(tap: Tap, one: str, other: str) -> None:
    channels = tap.kinds["tap"].channels
    if (found := both_true(one, other, channels, {})) is not None:
        seen = {name: Seen(0, value, 0, 0) for name, value in found.items()}
        assert all(parse(source, channels, {}).bound({})(seen, NEVER) for source in (one, other))


_CALLS = st.sampled_from(
    [
        'avg(flow, "1h") > 5',
        "silent_for(open) > 60",
        "holiday()",
        'time_between("1:00", "2:00")',
        "since(open) < 9",
        "k > 2",
        'count_devices("waste_bin", "fill > 3", within="site") > 2',
        "before(open, shut) > 3",
        "off_by(flow) > k",
        "s",
    ]
)


@settings(max_examples=50, deadline=2000)
@given(st.lists(st.one_of(_CALLS, _SENTENCES), min_size=1, max_size=12), st.lists(_CALLS, min_size=1, max_size=12))
def test_no_rule_makes_the_check_fail_or_take_long(tap: Tap, raises: list[str], clears: list[str]) -> None:
    text = entry(" and ".join(raises).replace("'", '"'), " or ".join(clears))
    assume(max(len(line) for line in text.splitlines()) < 500)
    tap.faults(text, head="[settings]\nk = { value = 1.0 }\ns = { value = true }\n", retention_s=1.0)


def test_settings_are_what_the_file_says() -> None:
    channels = KINDS["waste_bin"].channels
    assert parse("fill > limit", channels, {"limit": Setting(3.0)}).settings == ("limit",)
