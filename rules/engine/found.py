"""What a work finds out, and what it is told of its sites."""

from dataclasses import dataclass

from messages.ids import DeviceId, SiteId
from rules.engine.memory.plant import Device
from rules.language.change import Change
from rules.language.rule import Rule


@dataclass(frozen=True, slots=True)
class Again:
    """What has raised a life-safety alarm was done again while that stands, as a button is pressed twice."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule found out about a device."""

    device: Device
    rule: Rule
    change: Change | Again


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A rule that nothing will feed any more: what it raised can't end by itself."""

    site: SiteId
    device: DeviceId
    rule: str
    why: str
    after: int
    """So many findings of its work came before it: what is found afterwards is not ended by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """How it stands with the calls of a site."""

    stuck: int = 0
    """How much stands still."""
    roster_old: bool = False
    """Its file can't be used: calls go by the last good one."""
    unstaffed: bool = False
    """Nobody is known there: every call goes to the desk."""
    disputed: int = 0
    """Of how many devices two edges say different things."""
