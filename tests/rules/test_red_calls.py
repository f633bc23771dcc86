"""A red alarm keeps calling, whoever can't be reached, and whatever became of its case before."""

from pathlib import Path

import pytest

from rules.notices.channels.base import Failed, Taken
from tests.rules.test_telling import Street


@pytest.fixture
def street(tmp_path: Path) -> Street:
    return Street(tmp_path)


def test_one_who_can_not_be_reached_takes_no_call_from_the_others_and_starts_no_storm(street: Street) -> None:
    street.answers = lambda name, _: Failed("no such number", for_good=True) if name == "voice" else Taken()
    street.leak(0)
    street.run(0, 900)
    to_lin = [at_s for at_s, _, to in street.whom() if to in ("LinXiaoMei", "13800000001")]
    assert to_lin == [0, 20, 40, *range(240, 901, 60)]


def test_a_colleague_without_a_phone_takes_no_call_from_the_others(street: Street) -> None:
    street.answers = lambda _, message: Failed("gone", for_good=True) if message.person == "chen" else Taken()
    street.leak(0)
    street.run(0, 59)
    assert [at_s for at_s, _, to in street.whom() if to in ("LinXiaoMei", "13800000001")] == [0, 20, 40]
