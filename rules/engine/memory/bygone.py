"""What runs in an earlier version of its rule than the one in force, until it is over."""

from collections.abc import Mapping

from rules.engine.memory.plant import DeviceKey
from rules.engine.memory.watch import Watched
from rules.engine.timers import StateKey
from rules.language.rule import Rule, Rules
from rules.language.state import is_running

Bygone = dict[DeviceKey, dict[str, str]]
"""The versions in which rules of a device still run, by the rules' ids."""


def still_running(watches: Mapping[StateKey, Watched], rules: Rules, earlier: Mapping[str, Rule]) -> Bygone:
    """What runs in a version that is no longer among the rules in force. `earlier`: by their versions, those that are known."""
    current = {rule.version for some in rules.values() for rule in some}
    bygone: Bygone = {}
    for (site, device, rule), (state, _, _, version) in watches.items():
        if version is None or version in current or version not in earlier:
            continue
        if is_running(state):
            bygone.setdefault((site, device), {})[rule] = version
    return bygone


def let_go(bygone: Bygone, watches: Mapping[StateKey, Watched]) -> None:
    """Take away what ran in an earlier version, and does so no longer by these watches."""
    for key, (_, _, _, version) in watches.items():
        if (versions := bygone.get(key[:2])) and versions.get(key[2]) != version:
            versions.pop(key[2], None)
            if not versions:
                del bygone[key[:2]]
