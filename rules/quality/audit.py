"""The tables against the log: both must tell of the same alarms in the same states. Pure.

The log is append-only and numbered without a gap; what it says is rebuilt (rules.alarms.rebuild) and held against the rows.
"""

from collections.abc import Iterable, Iterator, Mapping

from messages.language import Phrase, phrase
from rules.alarms.rebuild import Rebuilt, Unreadable, after
from rules.records import LogEntry, Overlays


class Audit:
    """`read` every line, in order; then `against` the tables. `faults`: what the log itself can't be believed in."""

    def __init__(self) -> None:
        self.lines = 0
        self.alarms: dict[str, Rebuilt] = {}
        self.faults: list[Phrase] = []

    def read(self, line: LogEntry) -> None:
        self.lines += 1
        if line.seq != self.lines:
            self.faults.append(
                phrase("line {seq}: comes where line {wanted} should be", seq=line.seq, wanted=self.lines)
            )
            self.lines = line.seq
        if line.alarm is None or not line.event.startswith("alarm."):
            return
        try:
            self.alarms[line.alarm] = after(self.alarms.get(line.alarm, Rebuilt()), line)
        except Unreadable as error:
            self.faults.append(error.phrase)

    def against(self, rows: Iterable[tuple[str, Rebuilt]]) -> Iterator[Phrase]:
        """Every difference in words, `rows` being the alarms of the tables."""
        yield from self.faults
        missing = dict(self.alarms)
        for alarm, stands in rows:
            told = missing.pop(alarm, None)
            if told is None:
                yield phrase("alarm {alarm}: the log has never heard of it", alarm=alarm)
            else:
                for words in _differences(stands, told):
                    yield phrase("alarm {alarm}: {words}", alarm=alarm, words=words)
        for alarm in missing:
            yield phrase("alarm {alarm}: in the log, and in no table", alarm=alarm)


def _differences(stands: Rebuilt, told: Rebuilt) -> Iterator[Phrase]:
    if stands.state is not told.state:
        yield phrase("is {state}, by the log {told}", state=stands.state, told=told.state)
    here, there = _shown(stands.overlays), _shown(told.overlays)
    for name in here:
        if here[name] != there[name]:
            yield phrase(
                "{name} is {here}, by the log {there}", name=name, here=str(here[name]), there=str(there[name])
            )


def _shown(over: Overlays) -> Mapping[str, object]:
    return {name: getattr(over, name) for name in Overlays.__dataclass_fields__}
