"""Many rules of one channel, which are asked together: they find what each finds by itself, however the readings come."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from messages.announcement import Announcement, Place
from messages.ids import DeviceId, EdgeId
from rules.engine.found import Again
from rules.engine.memory.audience import MANY
from rules.engine.memory.facts import Facts
from rules.engine.work import Work
from rules.language.change import Raised
from rules.language.evaluation import step
from rules.language.library import load_file
from rules.language.rule import Rule
from rules.language.state import NEW, State
from tests.rules.course import KINDS, at, reading, write_rules
from tests.rules.room import EDGE, SITE

OTHER_EDGE = EdgeId("pi-2")
DEVICE = DeviceId("it")
LIMITS = range(50, 50 + MANY + 4)


def rules(folder: Path) -> tuple[Rule, ...]:
    lines = 'level = "blue"\ntitle = { zh = "满", en = "Full" }\n'
    alone = "".join(
        f'[rules.r{limit}]\n{lines}raise = "fill > {limit}"\nclear = "fill < {limit - 3}"\n' for limit in LIMITS
    )
    text = f'{alone}[rules.both]\n{lines}raise = "fill > 70 and temperature > 50"\nclear = "fill < 60"\n'
    return load_file(write_rules(folder, "waste_bin", text), KINDS)


with TemporaryDirectory() as _folder:
    RULES = rules(Path(_folder))

_SAID = st.tuples(
    st.sampled_from([("fill", value) for value in (0.0, 48.0, 51.5, 55.5, 80.0)] + [("temperature", 60.0)]),
    st.sampled_from([EDGE, EDGE, EDGE, OTHER_EDGE]),
    st.sampled_from([1, 1, 1, 1, -3, 0]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(_SAID, max_size=12), max_size=6))
def test_rules_that_are_asked_together_find_what_each_finds_alone(
    turns: list[list[tuple[tuple[str, float], EdgeId, int]]],
) -> None:
    known = RULES
    facts = Facts(KINDS, {"waste_bin": known})
    work = Work(facts)
    for edge in (EDGE, OTHER_EDGE):
        work.announce(
            SITE, edge, DEVICE, Announcement(kind="waste_bin", model="m", place=Place(grid="g", text="1")), at(0)
        )
    facts.adopt(work)
    states: dict[str, State] = {rule.id: NEW for rule in known}
    expected: list[tuple[str, object]] = []
    found: list[tuple[str, object]] = []
    second = 100
    for turn in turns:
        said = []
        for (channel, value), edge, by_s in turn:
            second += by_s
            said.append((edge, reading(second, channel, value)))
        now_ms = at(second + 50)
        work = Work(facts)
        for edge, one in said:
            work.collect(SITE, edge, [one])
        work.settle(now_ms)
        facts.adopt(work)
        found += [(one.rule.id, one.change) for one in work.found]
        for _, one in sorted(said, key=lambda pair: pair[1].at_ms):
            for rule in known:
                states[rule.id], changes, _ = step(rule, states[rule.id], one, now_ms)
                expected += [(rule.id, change) for change in changes]
        for rule in known:
            watch = facts.watches.get((SITE, DEVICE, rule.id))
            assert (watch[0] if watch else NEW) == states[rule.id], rule.id
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_a_button_that_is_pressed_again_is_heard_again_where_the_last_value_alone_decides(tmp_path: Path) -> None:
    lines = 'level = "red"\nlife_safety = true\nlatch = true\ntitle = { zh = "呼救", en = "Call" }\nraise = "pressed"\nclear = "not pressed"\n'
    (rule,) = load_file(write_rules(tmp_path, "sos_button", f"[rules.called]\n{lines}"), KINDS)
    assert rule.plain
    facts = Facts(KINDS, {"sos_button": (rule,)})
    work = Work(facts)
    work.announce(
        SITE, EDGE, DEVICE, Announcement(kind="sos_button", model="m", place=Place(grid="g", text="1")), at(0)
    )
    found: list[object] = []
    for second in (1, 20, 40):
        facts.adopt(work)
        work = Work(facts)
        work.collect(SITE, EDGE, [reading(second, "pressed", True)])
        work.settle(at(second))
        found += [type(one.change) for one in work.found]
    assert found == [Raised, Again, Again]
