"""Which commands may be carried out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.acting.order import AHEAD_MS, LONGEST_MS, refusal
from edge.models.base import Product
from messages import command as commands
from messages.command import Command, CommandError
from messages.kind import Kind
from messages.reading import LATEST_MS, Value

NOW_MS = 1_763_700_000_000
KIND = Kind.model_validate(
    {
        "name": {"zh": "阀", "en": "Valve"},
        "channels": {
            "closed": {"name": {"zh": "关", "en": "Closed"}, "meaning": "", "type": "boolean", "interval": "1min"}
        },
        "commands": {
            "close": {"name": {"zh": "关", "en": "Close"}, "meaning": ""},
            "sound": {"name": {"zh": "响", "en": "Sound"}, "meaning": "", "type": "boolean"},
            "turn": {
                "name": {"zh": "转", "en": "Turn"},
                "meaning": "",
                "type": "number",
                "unit": "%",
                "range": [0, 100],
            },
            "reopen": {"name": {"zh": "开", "en": "Reopen"}, "meaning": ""},
        },
    }
)
MODEL = Product.model_validate(
    {
        "name": "Acme",
        "source": "none",
        "kind": "valve",
        "channels": {"closed": {}},
        "commands": {"close": {}, "sound": {}, "turn": {}},
    }
)


def command(name: str = "close", value: Value | None = None, *, issued: int = -1000, expires: int = 60_000) -> Command:
    return Command(
        id="c1",
        actor="lin",
        command=name,
        value=value,
        issued_at_ms=NOW_MS + issued,
        expires_at_ms=NOW_MS + expires,
    )


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        (command(), None),
        (command("sound", True), None),
        (command("turn", 100), None),
        (command(expires=0), "expired 0 s ago"),
        (command(expires=-90_000, issued=-100_000), "expired 90 s ago"),
        (command(expires=LONGEST_MS + 1), "expires more than a day from now"),
        (
            command(issued=AHEAD_MS + 1000, expires=AHEAD_MS + 2000),
            "given 61 s in the future; one of the clocks is wrong",
        ),
        (command("colse"), "a valve can't be told to colse; did you mean `close`?"),
        (command("reopen"), "this model can't be told to reopen; known: close, sound, turn"),
        (command("close", True), "it takes no value"),
        (command("sound"), "it takes true or false"),
        (command("sound", 1.0), "it takes true or false"),
        (command("turn", True), "it takes a number"),
        (command("turn", 101.0), "101 is not in 0 to 100"),
    ],
)
def test_a_command_is_refused_with_the_reason(given_: Command, said: str | None) -> None:
    assert refusal(given_, KIND, MODEL, NOW_MS) == said


def test_a_command_survives_the_wire() -> None:
    assert commands.decode(commands.encode(command("turn", 12.5))) == command("turn", 12.5)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_comes_is_a_command_or_no_command(payload: bytes) -> None:
    for decode in (commands.decode, commands.decode_result):
        try:
            decode(payload)
        except CommandError:
            pass


def test_a_command_without_an_actor_is_none() -> None:
    with pytest.raises(CommandError, match="actor"):
        commands.decode(b'{"id": "c1", "command": "close", "issued_at_ms": 1, "expires_at_ms": 2}')


@pytest.mark.parametrize("at_ms", [LATEST_MS + 1, 1 << 63, 10**400, -1])
@pytest.mark.parametrize("field", ["issued_at_ms", "expires_at_ms"])
def test_a_command_of_a_time_that_nobody_means_is_none(field: str, at_ms: int) -> None:
    """No database takes such a number; it would have to be written down before it is refused."""
    said = {"id": "c1", "actor": "lin", "command": "close", "issued_at_ms": 1, "expires_at_ms": 2, field: at_ms}
    with pytest.raises(CommandError, match=field):
        commands.decode(json.dumps(said).encode())
