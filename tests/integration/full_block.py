"""A block in which everything goes on at once, for pages that are judged or pictured: each level, each stage of a case, and all that may
lie over an alarm."""

from dataclasses import dataclass

from sqlalchemy import insert, select, update

from messages.settings import Text
from rules.records import Alarm
from rules.store import tables as db
from tests.console.block import SITE, Block

MINUTE_MS = 60_000
COVER = Text(zh="井盖移位", en="Manhole cover moved")
BIN = Text(zh="垃圾桶将满", en="Waste bin nearly full")
DOOR = Text(zh="门久未关", en="Door held open")
SOS = Text(zh="一键呼救", en="SOS pressed")
PONDING = Text(zh="道路积水", en="Road ponding")


@dataclass(frozen=True, slots=True)
class Filled:
    """Where the pages are that are about one thing."""

    sos: Alarm
    gas: Alarm
    cover: Alarm

    @property
    def paths(self) -> dict[str, str]:
        """Of pages about one alarm or one case."""
        assert self.sos.case
        assert self.gas.case
        assert self.cover.case
        return {
            "alarm": f"/alarms/{self.gas.id}",
            "case of an SOS": f"/cases/{self.sos.case.id}",
            "case of a cover": f"/cases/{self.cover.case.id}",
        }


def ago(minutes: float) -> int:
    """In milliseconds, and half a second more: a clock on a page then shows the same second for a while."""
    return round(minutes * MINUTE_MS) + 500


def fill(block: Block) -> Filled:
    """All of it, as of the block's time."""
    now_ms = block.now_ms
    block.put_edge("pi-1", last_reading_at_ms=now_ms - 2_000)
    block.put_edge("pi-2", online=False, last_reading_at_ms=now_ms - 95_000)
    block.fall_silent("smoke-9", edge="pi-1")
    for name, kind, edge in (
        ("gas-1", "gas_alarm", "pi-1"),
        ("smoke-9", "smoke_alarm", "pi-1"),
        ("cover-1", "manhole_cover", "pi-2"),
        ("bin-1", "waste_bin", "pi-2"),
    ):
        block.announce(name, kind=kind, edge=edge)
    sos = block.raise_alarm(
        "sos-301",
        kind="sos_button",
        rule="pressed",
        title=SOS,
        place="3号楼2单元301",
        evidence={"pressed": True},
        ago_ms=ago(0.3),
    )
    gas = block.raise_alarm(
        evidence={"gas_concentration": 23.4, "alarm_contact": True},
        limits={"gas_concentration": 10.0},
        advice=Text(
            zh="不要开关任何电器；到室外打电话；请楼上楼下住户撤离，等燃气公司关阀。",
            en="Touch no switch. Call from outdoors. Ask the neighbours to leave; wait for the gas company to close the valve.",
        ),
        ago_ms=ago(4),
    )
    steps = ((-30 * MINUTE_MS + n * 30_000, 2.0 + max(0, n - 44) * 1.6 + n % 3 * 0.2) for n in range(58))
    block.measure("gas-1", "gas_concentration", *((now_ms + at_ms, value) for at_ms, value in steps))
    _worked_on(block, gas)
    cover = block.raise_alarm(
        "cover-1", kind="manhole_cover", rule="moved", level="orange", title=COVER, place="军门巷东侧人行道", building="6",
        grid="grid-2", evidence={"tilt": 24.0}, owner="drainage", ago_ms=ago(35),
    )  # fmt: skip
    _told(block, cover)
    ponding = block.raise_alarm(
        "ponding-1", kind="road_ponding", rule="over_10", level="yellow", title=PONDING, place="津泰路口", building="",
        evidence={"water_depth": 0.13}, ago_ms=ago(12),
    )  # fmt: skip
    block.overlay(ponding, uncertain=("edge",))
    quiet = block.raise_alarm(
        "door-8", kind="door_access", rule="held_open", level="blue", title=DOOR, place="8号楼1单元", building="8",
        grid="grid-2", evidence={"door_open": True}, ago_ms=ago(50), latch=False,
    )  # fmt: skip
    until_ms = now_ms + 90 * MINUTE_MS
    block.desk.shelve(quiet.id, until_ms=until_ms, reason="搬家，门开着", actor="chen", at_ms=now_ms - MINUTE_MS)
    for number in range(3):
        bin_full = block.raise_alarm(
            f"bin-{number}", kind="waste_bin", rule="full", level="blue", title=BIN, place=f"{number + 1}号楼北垃圾点",
            building=str(number + 1), evidence={"fill": 84.0 + number}, ago_ms=ago(90 + number), latch=False,
        )  # fmt: skip
    block.overlay(bin_full, chattering=True)
    facts = {"red": 1, "orange": 1, "blue": 3, "waiting": 2, "shelved": 1}
    block.desk.hand_over(
        SITE, words="6号楼井盖已通知排水公司，等他们到场。\n8号楼搬家到下午两点，门磁已搁置。", facts=facts, actor="li",
        at_ms=now_ms - 8 * MINUTE_MS,
    )  # fmt: skip
    return Filled(block.alarm(sos.id), block.alarm(gas.id), block.alarm(cover.id))


def _worked_on(block: Block, alarm: Alarm) -> None:
    """Taken in time, and somebody is there."""
    assert alarm.case
    raised_ms, case = alarm.raised_at_ms, alarm.case.id
    block.desk.dispatch(case, actor="chen", to="lin", at_ms=raised_ms + 9_000)
    block.desk.accept(case, actor="lin", at_ms=raised_ms + 31_000)
    block.desk.arrive(case, actor="lin", at_ms=raised_ms + 3 * MINUTE_MS)
    block.desk.note(case, actor="lin", at_ms=raised_ms + 3 * MINUTE_MS + 20_000, words="已请楼上住户下楼")


def _told(block: Block, alarm: Alarm) -> None:
    """Sent to somebody whom one channel didn't reach."""
    assert alarm.case
    at_ms = alarm.raised_at_ms + 20_000
    block.desk.dispatch(alarm.case.id, actor="chen", to="chen", at_ms=at_ms)
    with block.database.writing() as connection:
        notice = connection.execute(select(db.notices).where(db.notices.c.case == alarm.case.id)).one()
        tries = (("wecom", "app:chen", "failed", "503 busy"), ("sms", "13800000002", "taken", ""))
        for number, (channel, receiver, outcome, answer) in enumerate(tries):
            row = {
                "id": number + 1,
                "notice": notice.key,
                "case": alarm.case.id,
                "channel": channel,
                "receiver": receiver,
                "person": "chen",
                "level": "orange",
                "more": 0,
                "begun_at_ms": at_ms + number * 2_000,
                "outcome": outcome,
                "answer": answer,
            }
            connection.execute(insert(db.sendings), row)
        connection.execute(update(db.notices).where(db.notices.c.key == notice.key).values(state="handed_over"))


def flood(block: Block) -> None:
    """More at once than its operators can read."""
    with block.database.writing() as connection:
        connection.execute(insert(db.floods), {"site": SITE, "since_ms": block.now_ms - 6 * MINUTE_MS})
