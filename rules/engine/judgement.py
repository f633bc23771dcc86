"""What becomes of the state of one rule: at a word or a timer, under another version of the rule, when nothing feeds it any more."""

from messages.ids import DeviceId, SiteId
from messages.reading import Reading
from rules.engine import contested, count
from rules.engine.draft import Draft
from rules.engine.found import Abandoned, Again, Found
from rules.engine.memory.plant import Device
from rules.engine.memory.watch import MARK, Watch
from rules.engine.timers import StateKey
from rules.language.answering import name_of
from rules.language.change import Raised
from rules.language.evaluation import NOBODY, Timer, renewed, step
from rules.language.rule import Rule
from rules.language.seen import Seen
from rules.language.state import NEW, State, at_present, is_raised, is_running, present


def judge_by(draft: Draft, device: Device, rule: Rule, event: Reading | Timer, now_ms: int) -> None:
    """One rule hears of one thing; what it finds out, and what that changes for others, goes into the draft."""
    key = (device.site, device.id, rule.id)
    before, known_wake_ms, teller, _ = draft.watched(key)
    if is_running(before) and draft.is_anothers(device, teller):
        return
    if behind_ms := draft.behind_ms((device.site, device.edge)):
        rule = rule.lenient(behind_ms)
    answers = count.answers(draft, device, rule) if rule.questions else NOBODY
    state, changes, wake_at_ms = step(rule, before, event, now_ms, answers)
    if state is not before or wake_at_ms != known_wake_ms:
        draft.watches[key] = watched = (state, wake_at_ms, device.edge, rule.version)
        if rule.version in draft.facts.earlier and not is_running(state):  # its time is over
            current = (one for one in draft.facts.current_rules_of(device) if one.id == rule.id)
            successor = next(current, None)
            draft.watches[key] = renewed_watch(successor, Watch(*watched), now_ms) if successor else Watch()
    if rule.answers is not None:
        count.note(draft, device, rule.answers, counts=is_raised(state))
    else:
        draft.found += [Found(device, rule, change) for change in changes]
        if rule.life_safety and isinstance(event, Reading) and _came_again(rule, before, state, event):
            draft.found.append(Found(device, rule, Again(event.at_ms)))


def _came_again(rule: Rule, before: State, after: State, event: Reading) -> bool:
    """Whether an event, in its turn, says once more what is raised already."""
    if event.channel not in rule.events or event.value is not True or not is_raised(before):
        return False
    was, now = present(before), present(after)
    newest, word = was.seen.get(event.channel), Seen(*now.seen[event.channel])
    stands = now.raised_at_ms == was.raised_at_ms
    return stands and word.said_ms == event.at_ms and (newest is None or Seen(*newest).said_ms < event.at_ms)


def renewed_watch(rule: Rule, watch: Watch, now_ms: int) -> Watch:
    """A state goes over to another rule of its name."""
    if watch.version is None or is_running(watch.state):  # what raised it is not known any more
        return watch._replace(version=rule.version)
    state = renewed(rule, watch.state, now_ms)
    return Watch(state, present(state).look_at_ms, watch.edge, rule.version)


def look_again(draft: Draft, now_ms: int) -> None:
    """What looked too old to ring, of an edge whose clock is further behind ours than we knew: a timer looks at it at once, by what is
    known now. If its clock was set back, all it says is older than what it said before: then what stands in that past rings."""
    edges, draft.clearer = draft.clearer, set()
    for key in {**draft.facts.watches, **draft.watches}:
        watch = draft.watch(key)
        if watch.edge is None or (key[0], watch.edge) not in edges:
            continue
        if not is_running(watch.state) and watch.state[2].raised_at_ms is not None:
            _ring_of_the_past(draft, key, watch, now_ms)
        if not is_raised(watch.state):
            continue
        live = present(watch.state)
        if live.late:
            state = at_present(watch.state, live._replace(look_at_ms=now_ms))
            draft.watches[key] = watch._replace(state=state, wake_at_ms=now_ms)


def _ring_of_the_past(draft: Draft, key: StateKey, watch: Watch, now_ms: int) -> None:
    """What was thought to be long over, and is not as old as it looks; it counts as over when the present says so. Life safety has rung."""
    site, device_id, name = key
    if watch.edge is None or (device := draft.device((site, watch.edge, device_id))) is None:
        return
    seen, run, past, _ = watch.state
    rule = next((one for one in draft.rules_of(device) if one.id == name and not one.life_safety), None)
    at_ms, behind_ms = past.raised_at_ms, draft.behind_ms((site, watch.edge))
    if rule is None or at_ms is None or now_ms - at_ms > rule.lateness_ms + behind_ms:
        return
    draft.watches[key] = watch._replace(state=(seen, run, past, at_ms))
    evidence = {channel: word[1] for channel, word in past.seen.items() if word[1] is not None}
    draft.found.append(Found(device, rule, Raised(at_ms, evidence)))


def abandon(draft: Draft, before: Device, why: str) -> None:
    """The rules of what a device was, unless another edge still says that it is."""
    if all(device.kind != before.kind for device in draft.told(before.site, before.id)):
        current = (rule.id for rule in draft.facts.rules.get(before.kind, ()))
        for name in dict.fromkeys((*current, *draft.facts.bygone.get((before.site, before.id), ()))):
            for one in (name, contested.aside(name, before.kind)):
                if draft.watch((before.site, before.id, one)).state != NEW and contested.belongs(draft, before, one):
                    give_up(draft, before.site, before.id, one, why)


def give_up(draft: Draft, site: SiteId, device: DeviceId, rule: str, why: str) -> None:
    """Forget the state of one rule; what it raised stands until somebody sees to it."""
    draft.watches[site, device, rule] = Watch()
    if not rule.startswith("?"):
        draft.abandoned.append(Abandoned(site, device, rule, why, len(draft.found)))
        return
    for key in {**draft.facts.counted, **draft.counted}:
        answered = key[0] == site and rule.partition(MARK)[0] == name_of(key[1])
        if answered and device in (known := draft.counts_for(key)):
            draft.counted[key] = {other: place for other, place in known.items() if other != device}
            draft.asked[key] = None
