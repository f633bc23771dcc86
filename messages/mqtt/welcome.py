"""What a broker says of itself when it lets us in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """The answers to CONNECT and SUBSCRIBE (MQTT 5 sections 3.2.2 and 3.9.3). With 3.1.1 a broker says no more than
    `session_present` and `granted_qos`: the rest is then what MQTT 5 takes silence for, no limit."""

    session_present: bool
    """It still knew us, with all that it kept for us."""
    session_expiry_s: int | None = None
    """How long it will remember us after we have gone, where that is not what we asked for."""
    receive_maximum: int = 65535
    """How many messages of ours may be without its answer."""
    packet_bytes: int | None = None
    """The largest packet that it takes."""
    highest_qos: int = 2
    granted_qos: int | None = None
    """The lowest that it granted to any of our subscriptions; None while we have none."""
    retains: bool = True
    wildcards: bool = True
    shared_subscriptions: bool = True
    topic_aliases: int = 0
    """Nothing of ours uses any."""
