"""Where deliveries are judged and put away: the good into the store, the rest into quarantine. No MQTT, no waiting.

Two steps, so that the second can be repeated while a database is away: `judge` decides once, `put_away` makes it last
and may be called again with the same deliveries. What it returns may be receipted. All of it blocks: one thread.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from collector.intake.delivery import Announced, Delivery, Fate, Said, batches, fates
from collector.intake.devices import Devices
from collector.intake.judge import (
    Accepted,
    DeviceKey,
    PackId,
    Reason,
    Refused,
    grouped,
    judge,
    refused,
    row,
)
from collector.intake.plain_pack import PlainPacks
from collector.quarantine.kept import ALL, Entry, Quarantine, Which
from collector.stores.base import Batch, PackRow, Point, Store, StoreRefused
from messages import announcement as announcements
from messages import status as statuses
from messages import topics
from messages.announcement import AnnouncementError
from messages.ids import DeviceId
from messages.kind import Kinds
from messages.pack import Fault
from messages.status import EdgeStatus, StatusError

ANNOUNCEMENT_LIMIT_BYTES = 16 * 1024
TAKEN_AGAIN_AT_ONCE = 100
"""Messages of the quarantine that are in memory together."""

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Desk:
    """The store, the quarantine, the announced devices, and what a reading may be."""

    store: Store
    quarantine: Quarantine
    devices: Devices
    kinds: Kinds
    retention_ms: int | None = None
    _plain: PlainPacks = field(init=False)

    def __post_init__(self) -> None:
        self._plain = PlainPacks(self.devices, self.kinds)

    def open(self) -> None:
        """Make what is not there yet, and remember the devices. Raises StoreAway."""
        self.quarantine.settle([])
        self.devices.load()
        self.store.write([])

    def close(self) -> None:
        self.store.close()
        self.quarantine.close()
        self.devices.close()

    def judge(self, topic: str, payload: bytes, received_at_ms: int) -> Delivery:
        """Decide about one message. An announcement counts at once, for the messages behind it."""
        origin = topics.origin(topic)
        try:
            verdict = self._verdict(origin, payload, received_at_ms)
        except Exception as error:  # noqa: BLE001 (a mistake of ours shall cost one message, not the collector for good)
            verdict = refused(Fault.MALFORMED, f"the collector fails to judge it: {error!r}")
        if isinstance(verdict, Announced):
            self.devices.hear(verdict)
        return Delivery(topic, payload, received_at_ms, origin, verdict)

    def put_away(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Durably, or StoreAway: then once more. What the store itself refuses joins the quarantine.

        The deliveries as they ended, in the same order. It is `remember`, `store` and `keep`, one after the other.
        """
        self.remember(deliveries)
        settled = self.store_all(deliveries)
        self.keep(settled)
        return settled

    def remember(self, deliveries: Sequence[Delivery]) -> None:
        """The devices that are announced among them."""
        if announced := [one.verdict for one in deliveries if isinstance(one.verdict, Announced)]:
            self.devices.save(announced)

    def keep(self, settled: Sequence[Delivery]) -> None:
        """In quarantine, those that have reasons to be there."""
        if bad := [delivery for delivery in settled if delivery.reasons]:
            self.quarantine.settle(bad)

    def take_again(self, devices: Sequence[DeviceKey], now_ms: int) -> list[Fate]:
        """What waited in quarantine for these devices to be announced. Raises StoreAway."""
        found: list[Fate] = []
        for device in devices:
            found += self._take_again(partial(self.quarantine.waiting, device), now_ms)
        return found

    def take_all_again(self, now_ms: int, which: Which = ALL) -> list[Fate]:
        """Every whole pack among them, by the kinds, the devices and the time of now. Raises StoreAway.

        By the time of now: what a clock that ran ahead had dated is taken once its time has come, and what has grown older
        than the retention is too old.
        """
        return self._take_again(partial(self.quarantine.entries, which=which), now_ms)

    def _take_again(self, entries_after: Callable[[int, int], list[Entry]], now_ms: int) -> list[Fate]:
        found: list[Fate] = []
        last = 0
        while entries := entries_after(last, TAKEN_AGAIN_AT_ONCE):
            last = entries[-1].id
            settled = self.store_all(
                [
                    self.judge(entry.topic, entry.payload, now_ms)
                    for entry in entries
                    if entry.whole and _is_pack(entry.topic)  # an announcement that lay here is overtaken
                ]
            )
            self.quarantine.settle(settled)
            found += fates(settled)
        return found

    def _verdict(
        self, origin: topics.Origin | None, payload: bytes, now_ms: int
    ) -> Accepted | Refused | Announced | Said:
        if origin is None:
            return refused(Fault.MALFORMED, "the topic is no edge's")
        if origin.leaf == "status":
            return _said(payload)
        if origin.device is None:
            retention_ms = self.retention_ms
            return self._plain.judge(payload, origin, now_ms, retention_ms=retention_ms) or judge(
                payload, origin, self.devices.known, self.kinds, now_ms, retention_ms=retention_ms
            )
        return self._announced((origin.site, origin.edge, origin.device), payload)

    def _announced(self, device: DeviceKey, payload: bytes) -> Announced | Refused:
        if not payload:
            return Announced(device, None)
        if len(payload) > ANNOUNCEMENT_LIMIT_BYTES:
            return refused(Fault.OVERSIZED, f"{len(payload)} bytes, more than {ANNOUNCEMENT_LIMIT_BYTES}")
        if not self.devices.room_for(device):
            return refused(Fault.OVERSIZED, "too many devices are announced already")
        try:
            return Announced(device, announcements.decode(payload))
        except AnnouncementError as error:
            return refused(Fault.MALFORMED, str(error))

    def store_all(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """The deliveries as they are after the store has had its say. As many threads at once as it takes writers."""

        def write(some: Sequence[Delivery]) -> None:
            if found := batches(some):
                self.store.write(found)

        return [
            delivery if words is None else self._store_in_part(delivery)
            for delivery, words in zip(deliveries, refusals(deliveries, write), strict=True)
        ]

    def _store_in_part(self, delivery: Delivery) -> Delivery:
        """A pack that the store refused, once more, reading by reading: a bad one costs itself, not its pack."""
        verdict, origin = delivery.verdict, delivery.origin
        assert isinstance(verdict, Accepted)
        assert origin is not None

        def write(points: Sequence[Point], packs: Sequence[PackRow] = ()) -> None:
            self.store.write([Batch(site=origin.site, edge=origin.edge, points=points, packs=packs)])

        judged = list(zip(verdict.points, refusals(verdict.points, write), strict=True))
        good = [point for point, words in judged if words is None]
        reasons = [*verdict.reasons]
        reasons += [_by_store(words, point.reading.device) for point, words in judged if words is not None]
        identity = PackId(verdict.pack.stream, verdict.pack.number) if verdict.pack else None
        note = row(identity, good) if identity and good else None
        if note and (words := refusals([note], lambda packs: write((), packs))[0]):
            return delivery._replace(verdict=Refused(reasons=grouped([*reasons, _by_store(words)]), pack=identity))
        if not good:
            return delivery._replace(verdict=Refused(reasons=grouped(reasons), pack=identity))
        return delivery._replace(verdict=Accepted(points=good, pack=note, reasons=grouped(reasons)))


def refusals(things: Sequence[T], write: Callable[[Sequence[T]], None]) -> list[str | None]:
    """Write `things`, halving where the store refuses: for each its words, or None if it is written."""
    try:
        write(things)
    except StoreRefused as error:
        if len(things) == 1:
            return [str(error)]
        half = len(things) // 2
        return refusals(things[:half], write) + refusals(things[half:], write)
    return [None] * len(things)


def _by_store(words: str, device: DeviceId | None = None) -> Reason:
    return Reason(Fault.REFUSED_BY_STORE, words, device)


def _said(payload: bytes) -> Said | Refused:
    if not payload:  # a retained status that somebody has removed
        return Said(EdgeStatus(online=False))
    try:
        return Said(statuses.decode(payload))
    except StatusError as error:
        return refused(Fault.MALFORMED, str(error))


def _is_pack(topic: str) -> bool:
    origin = topics.origin(topic)
    return origin is not None and origin.leaf == "readings"
