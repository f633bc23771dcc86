"""Which worker takes which file of tests."""

from tests.turns import LONGEST, TESTS, Sort, place, sort_for, sort_of, taken

BROWSERS = ["tests/integration/test_phone_deceived.py", "tests/integration/test_phone_torn.py"]
PROGRAMS = ["tests/system/test_nothing_is_lost.py", "tests/integration/test_bus_tls.py"]
PURE = ["tests/messages/test_pack.py", "tests/rules/test_alarm.py", "tests/test_words.py"]
ROW = [*BROWSERS, *PROGRAMS, *PURE]


def test_a_file_is_of_one_sort_and_long_ones_with_real_programs_come_first() -> None:
    files = [TESTS.parent / name for name in ROW]
    assert [sort_of(file) for file in files] == [Sort.BROWSER] * 2 + [Sort.PROGRAMS] * 2 + [Sort.PURE] * 3
    files.sort(key=lambda file: file.stem)
    row = [file.stem for file in sorted(files, key=place)]
    assert row[:2] == ["test_phone_deceived", "test_nothing_is_lost"]
    assert set(row[2:4]) == {"test_phone_torn", "test_bus_tls"}


def test_of_three_workers_each_begins_with_his_own_sort_and_then_helps_from_the_other_end() -> None:
    assert [taken(ROW, sort_for(f"gw{number}", 3)) for number in range(3)] == [BROWSERS[0], PROGRAMS[0], PURE[0]]
    assert taken([*PROGRAMS, *PURE], Sort.BROWSER) == PURE[-1]


def test_of_two_workers_each_takes_what_comes() -> None:
    assert [taken(ROW, sort_for(f"gw{number}", 2)) for number in range(2)] == [ROW[0], ROW[0]]


def test_every_file_that_is_said_to_be_long_is_there() -> None:
    assert set(LONGEST) <= {file.stem for file in TESTS.rglob("test_*.py")}
