import pytest

from messages.settings import ConfigError
from messages.terminal import language_of


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "zh"),
        ({}, "en"),
    ],
)
def test_the_terminal_says_which_language_is_spoken(environment: dict[str, str], said: str) -> None:
    assert language_of("", environment) == said


def test_a_wish_counts_before_the_terminal_and_a_third_language_is_none() -> None:
    assert language_of("en", {"LANG": "zh_CN.UTF-8"}) == "en"
    with pytest.raises(ConfigError, match="--language: zh or en is wanted, not 'de'"):
        language_of("de", {})
