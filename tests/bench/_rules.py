"""Rules and readings for the benches of the engine: bins whose fill says one thing or another."""

import gc
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from messages.announcement import Place
from messages.ids import DeviceId, EdgeId, SiteId
from messages.kind import load_kinds
from messages.reading import Reading
from rules.engine.memory.facts import Facts
from rules.engine.memory.plant import Device
from rules.language.answering import with_answers
from rules.language.library import load_rules
from rules.language.rule import Rule, Rules

KINDS = load_kinds()
SITE, EDGE = SiteId("junmen"), EdgeId("pi-1")
T0 = 1_760_000_000_000


def rules(*bodies: str) -> Rules:
    """Of bins alone; each body is what stands under a rule's name."""
    text = "".join(
        f'[rules.r{number}]\nlevel = "blue"\ntitle = {{ zh = "满", en = "Full" }}\n{body}\n'
        for number, body in enumerate(bodies)
    )
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "waste_bin.toml").write_text(text, encoding="utf-8")
        made = with_answers(load_rules(KINDS, Path(name)), KINDS)
    return {"waste_bin": made["waste_bin"]}


def one_rule(body: str) -> Rule:
    return rules(body)["waste_bin"][0]


def bins(count: int) -> list[DeviceId]:
    return [DeviceId(f"bin-{number}") for number in range(count)]


def facts(known: Rules, devices: list[DeviceId]) -> Facts:
    place = Place(grid="g1", text="1号楼")
    told = {
        (SITE, EDGE, device): Device(
            site=SITE, edge=EDGE, id=device, kind="waste_bin", model="m", place=place, settings={}
        )
        for device in devices
    }
    return Facts(KINDS, known, devices=told)


def fills(devices: list[DeviceId], at_s: float, chance: random.Random, low: float, high: float) -> list[Reading]:
    at_ms = T0 + round(at_s * 1000)
    return [
        Reading(device=device, channel="fill", at_ms=at_ms, value=chance.uniform(low, high), unit="%")
        for device in devices
    ]


def said(device: DeviceId, at_ms: int, value: float) -> Reading:
    return Reading(device=device, channel="fill", at_ms=at_ms, value=value, unit="%")


def cpu_s(act: Callable[[], object]) -> float:
    """Seconds of one core that `act` takes, whoever else uses the machine. The collector of garbage is put off until it is done, as
    the states are no garbage."""
    gc.collect()
    gc.disable()
    try:
        began_s = time.process_time()
        act()
        return time.process_time() - began_s
    finally:
        gc.enable()
