"""What follows when a count has changed (rules.engine.count): who asked is told."""

from rules.engine import own
from rules.engine.draft import Draft
from rules.engine.judgement import judge_by
from rules.engine.reports import speak
from rules.language.evaluation import Timer
from rules.language.rule import Rule


def ask_around(draft: Draft, now_ms: int) -> None:
    """Rules that ask about a neighbourhood that has changed judge anew."""
    asked, draft.asked = draft.asked, {}
    if not asked:
        return
    sites, questions = {site for site, _ in asked}, {question for _, question in asked}
    asking: dict[str, list[Rule]] = {}
    for rules in (*draft.facts.rules.values(), draft.facts.earlier.values()):
        for rule in rules:
            if any(one.key in questions for one in rule.questions):
                asking.setdefault(rule.kind, []).append(rule)
    for site in sites if asking.get(own.SITE) else ():
        speak(draft, site, own.site_device(site), own.site_announced(site), ())
    for teller in {**draft.facts.devices, **draft.devices}:
        device = draft.device(teller)
        if device is None or device.site not in sites or not asking.get(device.kind):
            continue
        names = {rule.id for rule in asking[device.kind]}
        for rule in draft.rules_of(device):
            if rule.id in names:
                judge_by(draft, device, rule, Timer(), now_ms)
