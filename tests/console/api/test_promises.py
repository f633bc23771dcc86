"""Whatever is asked of the interface, it answers as its own description says, and never with a defect of ours.

schemathesis makes the requests from the description, half of them wrong, against the whole console over a real database.
"""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from console.tokens import RIGHTS, Tokens
from rules.desk import Desk
from tests.console.block import block

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 6
"""Of each operation in each mode: seconds, not minutes."""


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_answer_is_one_that_is_described(tmp_path: Path, mode: GenerationMode) -> None:
    assert len(set(asked(tmp_path, mode))) >= 16


@pytest.mark.parametrize(("method", "of"), [("cases_for", "GET /cases"), ("ticket", "GET /tickets/{reference}")])
def test_a_defect_of_ours_and_an_answer_that_is_not_described_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, of: str
) -> None:
    """Else the test above would be none."""

    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(Desk, method, broken)
    with pytest.raises((ZeroDivisionError, FailureGroup)):
        asked(tmp_path, GenerationMode.POSITIVE, only=of)


def asked(folder: Path, mode: GenerationMode, only: str = "") -> list[str]:
    """Asks for everything that is described, or for one operation. The names of what was asked for."""
    with block(folder) as junmen:
        for name in ("gas-1", "gas-2"):
            alarm = junmen.raise_alarm(name)
        assert alarm.case
        secret = Tokens(junmen.config.accounts).add("tester", RIGHTS, junmen.now_ms, days=1)
        headers = {"authorization": f"Bearer {secret}"}
        schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", junmen.console(), headers=headers)
        known, tried = {"case_id": alarm.case.id, "alarm_id": alarm.id}, list[str]()
        for found in schema.get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()
            if operation.path == "/changes/stream" or only not in ("", operation.label):
                continue  # the stream ends after minutes; test_out reads it

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: schemathesis.Case[Any]) -> None:
                for name in known.keys() & (case.path_parameters or {}).keys():
                    if len(tried) % 2:  # else hardly anything would be about a case that there is
                        case.path_parameters[name] = known[name]
                tried.append(case.operation.label)
                case.call_and_validate(headers=headers, checks=CHECKS)

            ask()
        return tried
