"""A device of which two edges say that it is of different kinds. Rules of one name that both kinds have are kept apart: what the one has raised
must not swallow what the other would raise, and a word of the one not end a delay of the other.

The name belongs to the kind whose state runs under it, else to the first by its own name. The other kind's rule of that name has a state and an
alarm of its own, `leak@gas_well`, until that is over. No file can give a rule such a name.
"""

import hashlib
from typing import TYPE_CHECKING

from messages.ids import LONGEST
from rules.engine.memory.plant import Device
from rules.engine.memory.watch import MARK, Watch
from rules.language.rule import Rule
from rules.language.state import is_running

if TYPE_CHECKING:
    from rules.engine.draft import Draft

_MARK_CHARACTERS = 8


def aside(rule: str, kind: str) -> str:
    """The name of a kind's rule beside another kind's of that name."""
    name = f"{rule}{MARK}{kind}"
    if len(name) <= LONGEST:
        return name
    digest = hashlib.blake2b(name.encode(), digest_size=_MARK_CHARACTERS // 2).hexdigest()
    return f"{name[: LONGEST - _MARK_CHARACTERS]}{digest}"


def rules_of(draft: "Draft", device: Device) -> tuple[Rule, ...]:
    """The rules that judge it as what its edge says it is, each by the name of its state."""
    rules = draft.facts.rules_of(device, draft.watches)
    bygone = {rule.id for rule in rules if MARK in rule.id}
    named = ((rule, _name(draft, device, rule.id)) for rule in rules if rule.id not in bygone)
    mine = [draft.facts.variants.named(rule, name) for rule, name in named if name not in bygone]
    return (*mine, *(rule for rule in rules if rule.id in bygone))


def belongs(draft: "Draft", device: Device, rule: str) -> bool:
    """Whether the state under a name of what a device was is its own, and not another kind's."""
    return not draft.is_anothers(device, draft.watch((device.site, device.id, rule)).edge)


def _name(draft: "Draft", device: Device, rule: str) -> str:
    other = aside(rule, device.kind)
    if _lasts(draft.watch((device.site, device.id, other))):
        return other
    told = {one.kind for one in draft.told(device.site, device.id)}
    rivals = {kind for kind in told - {device.kind} if draft.facts.has_rule(kind, rule)}
    if not rivals:
        return rule
    watch = draft.watch((device.site, device.id, rule))
    speaker = None if watch.edge is None else draft.device((device.site, watch.edge, device.id))
    if _lasts(watch) and speaker is not None and speaker.kind in {*rivals, device.kind}:
        return rule if speaker.kind == device.kind else other
    return rule if device.kind == min(*rivals, device.kind) else other


def _lasts(watch: Watch) -> bool:
    """Something runs in it that must not change its name."""
    return is_running(watch.state) or watch.wake_at_ms is not None
