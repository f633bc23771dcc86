"""Who counts for the questions that rules ask about their neighbourhood (rules.engine.neighbourhood)."""

from rules.engine import own
from rules.engine.draft import Draft
from rules.engine.memory.plant import Device, where
from rules.engine.neighbourhood import around, largest
from rules.language.rule import Rule


def note(draft: Draft, device: Device, question: str, *, counts: bool) -> None:
    """Whether a device counts for a question."""
    key = (device.site, question)
    known = draft.counts_for(key)
    if counts == (device.id in known):
        return
    others = {other: place for other, place in known.items() if other != device.id}
    draft.counted[key] = {**others, device.id: where(device)} if counts else others
    draft.asked[key] = None


def move(draft: Draft, device: Device) -> None:
    """It may stand elsewhere now, or be something else."""
    for key in [key for key in {**draft.facts.counted, **draft.counted} if key[0] == device.site]:
        known = draft.counts_for(key)
        if device.id not in known:
            continue
        if any(rule.answers == key[1] for rule in draft.rules_of(device)):
            draft.counted[key] = {**known, device.id: where(device)}
        else:
            draft.counted[key] = {other: place for other, place in known.items() if other != device.id}
        draft.asked[key] = None


def answers(draft: Draft, device: Device, rule: Rule) -> dict[str, int]:
    """What the neighbourhood of a device, or its site as a whole, says to the rule's questions."""
    here = None if device.kind == own.SITE else where(device)
    answers = {}
    for question in rule.questions:
        counted = draft.counts_for((device.site, question.key))
        found = largest(counted, question.within) if here is None else around(counted, here, question.within)
        answers[question.key] = found
    return answers
