"""The scenario file: what happens in the block, when.

`[[steps]]` move a channel, `[[faults]]` make a device misbehave on the wire, `[[cuts]]` take the uplink away.
A step names a device, or a kind: then every device of that kind, or the one with that `number`. What a block does
not have of a kind is left out, so that a shipped scenario suits any block; a name that is wrong is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from edge.models.modbus import ModbusModel
from messages.ids import Identifier
from messages.settings import ConfigError, Seconds, Settings, duration_s, read
from messages.suggestion import suggest
from simulators.block import Block, Device, Level, complaint

SHIPPED = Path(str(files("simulators"))) / "scenarios"

FaultName = Literal["silent", "exception", "bad_crc", "wrong_unit", "late"]
Positive = Annotated[float, Field(gt=0)]
At = Annotated[Seconds, Field(alias="at", ge=0)]


def _level_or_word(value: object) -> object:
    if not isinstance(value, bool | int | float) and value not in ("normal", "not_available"):
        raise ValueError('a number, true, false, "normal" or "not_available" is wanted')
    return value


Target = Annotated[float | bool | Literal["normal", "not_available"], BeforeValidator(_level_or_word)]


class Sine(Settings):
    """A swing about the level."""

    amplitude: Positive
    period_s: Seconds = Field(alias="period", gt=0)


class Pulse(Settings):
    """Every `period` the channel says `to` for `width`, and its level for the rest."""

    to: Level
    width_s: Seconds = Field(alias="width", gt=0)
    period_s: Seconds = Field(alias="period", gt=0)


class _Targeted(Settings):
    at_s: At
    device: Identifier | None = None
    kind: Identifier | None = None
    number: int | None = Field(default=None, ge=1)
    """1 is the first device of `kind` in the block file."""
    say: str = ""
    """What to tell whoever watches; empty: nothing."""

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.device is None) == (self.kind is None):
            raise ValueError("exactly one of device, kind is wanted")
        if self.number is not None and self.kind is None:
            raise ValueError("`number` belongs to `kind`")
        return self


class Step(_Targeted):
    """From `at` on a channel has a new signal. The noise stays until a step gives another one."""

    channel: str
    to: Target | None = None
    """The new level; None: where it is at that moment. "not_available": the device says that it has no value."""
    over_s: Seconds = Field(alias="over", default=duration_s("0s"))
    """Seconds that the way to the new level takes."""
    noise: float | None = Field(default=None, ge=0)
    """At most this much above or below, different in every answer."""
    sine: Sine | None = None
    pulse: Pulse | None = None
    alternate: Level | None = None
    """In every answer on the other side of the level, by 60 to 100 % of this; `true` for a boolean."""
    marks: list[float] = Field(default_factory=list)
    """Levels whose crossing is marked in the record."""

    @model_validator(mode="after")
    def _one_signal(self) -> Self:
        if sum(signal is not None for signal in (self.sine, self.pulse, self.alternate)) > 1:
            raise ValueError("at most one of sine, pulse, alternate is wanted")
        return self


class Fault(_Targeted):
    """How a device misbehaves on the wire, from `at` for `for`."""

    fault: FaultName
    for_s: Seconds = Field(alias="for", gt=0)
    late_by_s: Seconds = Field(alias="late_by", default=duration_s("1500ms"))


class Cut(Settings):
    """The uplink is away."""

    at_s: At
    for_s: Seconds = Field(alias="for", gt=0)


class _ScenarioFile(Settings):
    summary: str
    repeat: bool = False
    period_s: Seconds | None = Field(alias="period", default=None, gt=0)
    steps: list[Step] = Field(default_factory=list)
    faults: list[Fault] = Field(default_factory=list)
    cuts: list[Cut] = Field(default_factory=list)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.repeat != (self.period_s is not None):
            raise ValueError("`repeat = true` and `period` belong together")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A scenario in one block: every step and fault with the device that it is for, in order of time."""

    name: str
    summary: str
    period_s: float | None
    """After this it starts again; None: it stays as it ended."""
    steps: tuple[tuple[Device, Step], ...]
    faults: tuple[tuple[Device, Fault], ...]
    cuts: tuple[Cut, ...]


def shipped() -> dict[str, str]:
    """Names and summaries of the shipped scenarios."""
    return {path.stem: read(path, _ScenarioFile).summary for path in sorted(SHIPPED.glob("*.toml"))}


def scenario_path(name: str) -> Path:
    """The file of a shipped scenario, or `name` itself if it is a path. Raises ConfigError."""
    if name.endswith(".toml"):
        return Path(name)
    if (path := SHIPPED / f"{name}.toml").is_file():
        return path
    raise ConfigError(f"no scenario `{name}`{suggest(name, (path.stem for path in SHIPPED.glob('*.toml')))}")


def load_scenario(path: Path, block: Block) -> Scenario:
    """The scenario in `path` as `block` plays it. Raises ConfigError("file:line: field: what is wrong")."""
    file = read(path, _ScenarioFile)
    _check_times(path, file)
    if file.cuts and block.uplink is None:
        raise complaint(path, ("cuts", 0), "the block file has no [uplink] to cut")
    steps, faults = [], []
    for number, step in enumerate(file.steps):
        for device in _devices(path, ("steps", number), step, block):
            if wrong := _misfit(step, device):
                raise complaint(path, ("steps", number, wrong[0]), wrong[1])
            if step.channel in device.normal:
                steps.append((device, step))
    for number, fault in enumerate(file.faults):
        for device in _devices(path, ("faults", number), fault, block):
            if fault.fault != "silent" and not isinstance(device.model, ModbusModel):
                raise complaint(path, ("faults", number, "fault"), f"`{device.id}` publishes: it can only be silent")
            faults.append((device, fault))
    return Scenario(
        name=path.stem,
        summary=file.summary,
        period_s=file.period_s,
        steps=tuple(sorted(steps, key=lambda item: item[1].at_s)),
        faults=tuple(sorted(faults, key=lambda item: item[1].at_s)),
        cuts=tuple(sorted(file.cuts, key=lambda cut: cut.at_s)),
    )


def _check_times(path: Path, file: _ScenarioFile) -> None:
    if file.period_s is None:
        return
    for table, ends in (
        ("steps", [step.at_s + step.over_s for step in file.steps]),
        ("faults", [fault.at_s + fault.for_s for fault in file.faults]),
        ("cuts", [cut.at_s + cut.for_s for cut in file.cuts]),
    ):
        for number, end_s in enumerate(ends):
            if end_s >= file.period_s:
                raise complaint(
                    path, (table, number, "at"), f"lasts to {end_s:g} s, and the period is {file.period_s:g} s"
                )


def _devices(path: Path, where: tuple[str, int], target: _Targeted, block: Block) -> Iterator[Device]:
    if target.device is not None:
        ids = {str(device.id): device for device in block.devices}
        if target.device not in ids:
            raise complaint(path, (*where, "device"), f"no `{target.device}` in the block{suggest(target.device, ids)}")
        yield ids[target.device]
        return
    assert target.kind is not None
    if target.kind not in block.kinds:
        raise complaint(path, (*where, "kind"), f"no kind `{target.kind}`{suggest(target.kind, block.kinds)}")
    alike = [device for device in block.devices if device.model.kind == target.kind]
    yield from alike if target.number is None else alike[target.number - 1 : target.number]


def _misfit(step: Step, device: Device) -> tuple[str, str] | None:
    """Which field of `step` can't be meant for `device`, and why."""
    known = device.kind.channels if step.kind else device.normal
    if step.channel not in known:
        return "channel", f"`{device.id}` has no `{step.channel}`{suggest(step.channel, known)}"
    if step.channel not in device.normal:
        return None
    wrong = _misfit_switch(step) if isinstance(device.normal[step.channel], bool) else _misfit_number(step)
    if wrong:
        return wrong
    if not isinstance(device.model, ModbusModel):
        if sampled := [field for field in ("noise", "alternate") if field in step.model_fields_set]:
            return sampled[0], f"`{device.id}` publishes its changes: nobody asks it for samples; use pulse"
    elif step.to == "not_available" and device.model.channels[step.channel].not_available is None:
        return "to", f"the model of `{device.id}` has no not_available code for `{step.channel}`"
    return None


def _misfit_switch(step: Step) -> tuple[str, str] | None:
    for field, value in (("to", step.to), ("pulse", step.pulse and step.pulse.to), ("alternate", step.alternate)):
        if isinstance(value, float | int) and not isinstance(value, bool):
            return field, f"`{step.channel}` is a boolean: true or false is wanted, not {value!r}"
    for field, name in (("over_s", "over"), ("noise", "noise"), ("sine", "sine"), ("marks", "marks")):
        if field in step.model_fields_set:
            return name, f"`{step.channel}` is a boolean and has none"
    return None


def _misfit_number(step: Step) -> tuple[str, str] | None:
    for field, value in (("to", step.to), ("pulse", step.pulse and step.pulse.to), ("alternate", step.alternate)):
        if isinstance(value, bool):
            return field, f"`{step.channel}` is a number, and {str(value).lower()} is none"
    return None
