"""What a broker says of itself, and what of it is too small."""

from dataclasses import replace
from typing import Any

import pytest

from collector.watch.broker_limits import too_small
from collector.watch.queue_probe import MESSAGES, too_little
from messages.bus import SESSION_EXPIRY_S, Welcome

ROOMY = Welcome(session_present=False, granted_qos=1)


def test_a_broker_that_names_no_limit_is_large_enough() -> None:
    assert too_small(ROOMY, shares=True) == []
    assert too_small(replace(ROOMY, session_expiry_s=SESSION_EXPIRY_S, packet_bytes=10**6), shares=True) == []


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"highest_qos": 0}, "QoS 0 only"),
        ({"granted_qos": 0}, "QoS 0 only"),
        ({"session_expiry_s": 0}, "forgets us 0 s after we have gone"),
        ({"session_expiry_s": 2 * 86400}, "forgets us 2 days after we have gone"),
        ({"packet_bytes": 65536}, "packets of 65536 bytes at most; a pack may need 263168"),
        ({"receive_maximum": 1}, "1 unanswered messages"),
        ({"retains": False}, "retains nothing"),
        ({"wildcards": False}, "no wildcards"),
        ({"shared_subscriptions": False}, "no shared subscriptions"),
    ],
)
def test_each_limit_that_is_too_small_is_said(limit: dict[str, Any], words: str) -> None:
    (remark,) = too_small(replace(ROOMY, **limit), shares=True)
    assert words in remark


def test_shared_subscriptions_are_missed_by_a_group_alone() -> None:
    assert too_small(replace(ROOMY, shared_subscriptions=False), shares=False) == []


def test_a_queue_that_ends_is_said_with_its_length() -> None:
    assert too_little(MESSAGES) is None
    assert "keeps 1000 messages" in str(too_little(1000))
