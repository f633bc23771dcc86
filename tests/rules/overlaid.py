"""A room with alarms that something may lie over: doors held open, shafts that fill; how one is shelved, and what was said of it."""

from pathlib import Path

from rules.records import Alarm
from tests.rules.course import at, reading
from tests.rules.room import Room

HOUR = 3600.0


def furnished(folder: Path) -> Room:
    room = Room(folder)
    room.status(0, online=True)
    room.announce("gas-1", "gas_alarm")
    room.announce("cover-1", "manhole_cover")
    room.announce("sewer-1", "sewer_level", depth=2.0)
    room.announce("door-1", "door_access")
    return room


def hold_door(room: Room, from_s: float = 0, device: str = "door-1") -> None:
    """Held open for longer than a door may."""
    room.hear(reading(from_s, "door_open", True, device=device))
    room.pass_time(from_s + 60)


def let_go(room: Room, at_s: float, device: str = "door-1") -> None:
    room.hear(reading(at_s, "door_open", False, device=device))
    room.pass_time(at_s + 5)


def still(room: Room, at_s: float, device: str = "door-1") -> None:
    """It says that it is as it was: else its alarms would be in doubt."""
    room.hear(reading(at_s, "door_open", True, device=device))


def of(room: Room, device: str) -> Alarm:
    """Its latest alarm."""
    found = [alarm for alarm in room.desk.alarms(open_only=False) if alarm.device == device]
    return max(found, key=lambda alarm: alarm.known_at_ms)


def shelve(room: Room, device: str, at_s: float, hours: float = 1, **more: bool) -> Alarm:
    until_ms = at(at_s + hours * HOUR)
    return room.desk.shelve(of(room, device).id, until_ms=until_ms, reason="dust", actor="li", at_ms=at(at_s), **more)


def said(room: Room, alarm: Alarm) -> list[str]:
    return [f"{entry.event} {entry.actor}" for entry in room.desk.log_of(alarm.id) if entry.alarm]


def flood_shafts(room: Room, count: int = 6, from_s: float = 0) -> None:
    for number in range(count):
        room.announce(f"shaft-{number}", "sewer_level", depth=2.0, lat=26.07 + number * 6e-4, lon=119.3)
    for second in (from_s, from_s + 11):
        for number in range(count):
            room.hear(reading(second + number, "water_level", 1.9, device=f"shaft-{number}"))
    room.pass_time(from_s + 30)
