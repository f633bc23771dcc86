"""What people do to cases: every step of `rules.cases.steps` as an act of somebody at a time, in one transaction with its log lines.

Each act takes the actor, the server's time, when the actor did it by the clock of the phone (`device_at_ms`), and a `key` under which the
same act sent twice is once. Each raises ActionRefused, with a word of `rules.records.REFUSALS`.
"""

import secrets
from typing import TypedDict, Unpack

from sqlalchemy import Connection, select

from messages.alarm import Level
from rules.assets import register
from rules.assets.label import read
from rules.cases import acting, acts, asking, docket, forgetting
from rules.cases.acts import Act
from rules.cases.case import Situation
from rules.cases.forgetting import Forgotten
from rules.cases.photos import PhotoFolder
from rules.cases.practice import PLAIN, Practice
from rules.cases.presence import Spot, presence
from rules.cases.sayings import answer
from rules.escalation import timers
from rules.records import DONE, TAKEN, WAITING, ActionRefused, Case, CaseState, Photo
from rules.store import rows
from rules.store import tables as db
from rules.store.database import Database
from rules.store.words import written

MOST_WORDS = 500


class Asked(TypedDict, total=False):
    """When and under which key an act was asked for."""

    device_at_ms: int | None
    key: str | None


class Casework:
    """The acts of the desk. `photos` None: pictures can't be kept here."""

    def __init__(self, database: Database, practice: Practice = PLAIN, photos: PhotoFolder | None = None) -> None:
        self._database = database
        self._practice = practice
        self._photos = photos

    @property
    def practice(self) -> Practice:
        """What is promised here, and which days are worked."""
        return self._practice

    @property
    def database(self) -> Database:
        """For reads that are no desk's affair (`rules.plant`, `rules.quality`, `rules.duty.book`)."""
        return self._database

    def report(self, about: Situation, *, actor: str, at_ms: int, words: str = "", **asked: Unpack[Asked]) -> Case:
        """What a person saw (随手拍), or another system's ticket: it joins the case that is known nearby, or opens one.

        `about.origin` is "report" or "ticket". Of a report nobody knows how grave it is: it is yellow until somebody has looked.
        """
        if about.origin == "alarm":
            raise ValueError("an alarm finds its case by itself")
        line = rows.Line(
            "case.reported", None, None, actor, words[:MOST_WORDS], asked.get("device_at_ms"), asked.get("key")
        )
        case_id = f"r-{secrets.token_hex(10)}"
        with self._database.writing() as connection:
            return docket.report(connection, case_id, about, actor, at_ms, self._practice, line)

    def register(
        self, case_id: str, *, actor: str, at_ms: int, level: Level | None = None, **asked: Unpack[Asked]
    ) -> Case:
        """受理 of what was reported, as `level` or as it is."""
        return self._do(case_id, acts.Register(actor, level), at_ms, **asked)

    def dispatch(self, case_id: str, *, actor: str, at_ms: int, to: str, **asked: Unpack[Asked]) -> Case:
        """派遣 or 改派 to a person, who is called."""
        return self._do(case_id, acts.Dispatch(actor, to), at_ms, **asked)

    def accept(self, case_id: str, *, actor: str, at_ms: int, whose: str = "", **asked: Unpack[Asked]) -> Case:
        """`actor` takes the case, or writes down that `whose` does. Who owns it has seen it: its alarms are acknowledged too."""
        return self._do(case_id, acts.Accept(actor, whose), at_ms, **asked)

    def check_in(self, case_id: str, *, actor: str, at_ms: int, **asked: Unpack[Asked]) -> Case:
        """报到 of a department."""
        return self._do(case_id, acts.CheckIn(actor), at_ms, **asked)

    def arrive(
        self, case_id: str, *, actor: str, at_ms: int, spot: Spot | None = None, code: str = "", **asked: Unpack[Asked]
    ) -> Case:
        """`actor` is on the spot: so says the phone's position, the label on the asset, or he himself, which is marked. `code`: of the label,
        as it was scanned or typed."""
        with self._database.reading() as connection:
            label = register.find(connection, read(code)) if read(code) else None
        proof = presence(self._case(case_id), spot, code, label)
        return self._do(case_id, acts.Arrive(actor, proof.how, proof.doubt), at_ms, **asked)

    def handle(self, case_id: str, *, actor: str, at_ms: int, **asked: Unpack[Asked]) -> Case:
        """The work has begun 处置."""
        return self._do(case_id, acts.Handle(actor), at_ms, **asked)

    def finish(
        self, case_id: str, *, actor: str, at_ms: int, outcome: str, photo: Photo | None = None, **asked: Unpack[Asked]
    ) -> Case:
        """Done 反馈. `outcome`: one of `rules.cases.acts.OUTCOMES`, else ValueError. Where a sensor shows that all is well and the policy
        believes it, the case is closed by that."""
        return self._do(case_id, acts.Finish(actor, outcome, photo), at_ms, **asked)

    def safe(self, case_id: str, *, actor: str, at_ms: int, whose: str = "", **asked: Unpack[Asked]) -> Case:
        """报平安 of whoever was asked, or of `whose`, whom `actor` has telephoned. Where somebody is on the way all the same, it stands in the
        log for him."""
        case = self._case(case_id)
        if case.state in TAKEN or (case.state in WAITING and case.level == "red"):
            return self._remark("case.answered", case_id, actor, at_ms, answer(acts.SAFE, whose), **asked)
        return self._do(case_id, acts.Safe(actor, whose), at_ms, **asked)

    def help(self, case_id: str, *, actor: str, at_ms: int, whose: str = "", **asked: Unpack[Asked]) -> Case:
        """求助 of whoever was asked, or of `whose`, whom `actor` has telephoned: red, and called for at once. Of a case that was merged, in the
        one that goes on with it."""
        case = self._case(case_id)
        while case.state is CaseState.MERGED and case.parent is not None:
            case = self._case(case.parent)
        return self._do(case.id, acts.Help(actor, whose), at_ms, **asked)

    def no_answer(self, case_id: str, *, actor: str, at_ms: int, whose: str, **asked: Unpack[Asked]) -> Case:
        """`actor` has telephoned somebody who was asked, in vain. When that is so of all whom a step of the asking has called, nobody waits for
        them any longer: the next one is asked, or the worker called."""
        case = self._case(case_id)
        with self._database.writing() as connection:
            key = asked.get("key")
            if (known := _line_of(connection, key)) is not None:
                if known != ("case.no_answer", case_id, whose):
                    raise ActionRefused("key-used", case)
                return case
            line = rows.Line("case.no_answer", None, case_id, actor, whose, asked.get("device_at_ms"), key)
            rows.append(connection, [line], at_ms)
            rung = asking.in_vain(connection, case, whose)
            if rung is not None:
                timers.pass_over(connection, case_id, rung, at_ms, self._practice)
        return case

    def inspect(self, case_id: str, *, actor: str, at_ms: int, **asked: Unpack[Asked]) -> Case:
        """`actor` goes and checks 核查."""
        return self._do(case_id, acts.Inspect(actor), at_ms, **asked)

    def verify(
        self, case_id: str, *, actor: str, at_ms: int, passed: bool, reason: str = "", **asked: Unpack[Asked]
    ) -> Case:
        """Checked: closed 办结, or back to work 返工 for a reason. "still-active" as long as a condition holds."""
        return self._do(case_id, acts.Verify(actor, passed, _short(reason)), at_ms, **asked)

    def reject(self, case_id: str, *, actor: str, at_ms: int, reason: str, **asked: Unpack[Asked]) -> Case:
        """退单. No clock stops."""
        return self._do(case_id, acts.Reject(actor, _short(reason)), at_ms, **asked)

    def escalate(self, case_id: str, *, actor: str, at_ms: int, reason: str, **asked: Unpack[Asked]) -> Case:
        """升级 to the next rung, which is called at once."""
        return self._do(case_id, acts.Escalate(actor, _short(reason)), at_ms, **asked)

    def ask_extension(
        self, case_id: str, *, actor: str, at_ms: int, until_ms: int, reason: str, **asked: Unpack[Asked]
    ) -> Case:
        """延期, asked for."""
        return self._do(case_id, acts.AskExtension(actor, until_ms, _short(reason)), at_ms, **asked)

    def decide_extension(self, case_id: str, *, actor: str, at_ms: int, granted: bool, **asked: Unpack[Asked]) -> Case:
        """延期, granted or not, by somebody else."""
        return self._do(case_id, acts.DecideExtension(actor, granted), at_ms, **asked)

    def suspend(
        self, case_id: str, *, actor: str, at_ms: int, review_ms: int, reason: str, **asked: Unpack[Asked]
    ) -> Case:
        """挂账 until it is looked at again."""
        return self._do(case_id, acts.Suspend(actor, review_ms, _short(reason)), at_ms, **asked)

    def resume(self, case_id: str, *, actor: str, at_ms: int, **asked: Unpack[Asked]) -> Case:
        return self._do(case_id, acts.Resume(actor), at_ms, **asked)

    def cancel(self, case_id: str, *, actor: str, at_ms: int, reason: str, **asked: Unpack[Asked]) -> Case:
        """误报, 注销. `reason`: one of `rules.cases.acts.CANCELLATIONS`, else ValueError."""
        return self._do(case_id, acts.Cancel(actor, reason), at_ms, **asked)

    def reopen(self, case_id: str, *, actor: str, at_ms: int, reason: str, **asked: Unpack[Asked]) -> Case:
        """返工 of what was closed."""
        return self._do(case_id, acts.Reopen(actor, _short(reason)), at_ms, **asked)

    def merge(self, case_id: str, *, actor: str, at_ms: int, into: str, **asked: Unpack[Asked]) -> Case:
        """并案: two cases turn out to be one situation."""
        return self._do(case_id, acts.Merge(actor, into), at_ms, **asked)

    def note(self, case_id: str, *, actor: str, at_ms: int, words: str, **asked: Unpack[Asked]) -> Case:
        """A remark in the case's log."""
        return self._remark("case.note", case_id, actor, at_ms, words, **asked)

    def ask_reassignment(self, case_id: str, *, actor: str, at_ms: int, reason: str, **asked: Unpack[Asked]) -> Case:
        """改派, asked for: whoever dispatches reads it in the log. Nothing moves, and no clock stops."""
        case = self._case(case_id)
        if case.state not in WAITING | TAKEN:
            raise ActionRefused("done" if case.state in DONE else "closed", case)
        return self._remark("case.reassignment_asked", case_id, actor, at_ms, reason, **asked)

    def _remark(self, event: str, case_id: str, actor: str, at_ms: int, words: str, **asked: Unpack[Asked]) -> Case:
        case = self._case(case_id)
        if not words.strip():
            raise ActionRefused("reason-missing", case)
        with self._database.writing() as connection:
            key = asked.get("key")
            if (known := _line_of(connection, key)) is None:
                line = rows.Line(event, None, case_id, actor, _short(words), asked.get("device_at_ms"), key)
                rows.append(connection, [line], at_ms)
            elif known != (event, case_id, written(_short(words))):
                raise ActionRefused("key-used", case)
        return case

    def keep_photo(self, content: bytes) -> Photo:
        """Put a picture away, to be named by `finish`. Raises `PhotoRefused`."""
        if self._photos is None:
            raise ValueError("no folder for photos is configured")
        return self._photos.keep(content)

    def kept_photo(self, sha256: str) -> Photo | None:
        """A picture that was put away; None if there is none of that name. Raises `PhotoRefused`."""
        return self._photos.find(sha256) if self._photos else None

    def photo(self, photo: Photo) -> bytes | None:
        """None when it is no longer there."""
        return self._photos.content(photo) if self._photos else None

    def forget(self, before_ms: int) -> Forgotten:
        """Erase what is personal in cases that were over before a time."""
        return forgetting.forget(self._database, self._photos, before_ms)

    def _case(self, case_id: str) -> Case:
        with self._database.reading() as connection:
            if (case := rows.case(connection, case_id)) is None:
                raise ActionRefused("unknown", None)
            return case

    def _do(self, case_id: str, act: Act, at_ms: int, **asked: Unpack[Asked]) -> Case:
        with self._database.writing() as connection:
            return acting.do(connection, case_id, act, at_ms, self._practice, **asked)


def _line_of(connection: Connection, key: str | None) -> tuple[str, str | None, str] | None:
    """What was done under this key before: the event, the case, and what was said."""
    if key is None:
        return None
    query = select(db.log.c.event, db.log.c.case, db.log.c.detail).where(db.log.c.key == key)
    found = connection.execute(query).one_or_none()
    return None if found is None else (found.event, found.case, found.detail)


def _short(words: str) -> str:
    return words.strip()[:MOST_WORDS]
