"""People and their shifts as one sheet that a community desk opens in a spreadsheet: CSV, out and in. Pure.

One line per person and shift; a person without a shift has a line with empty columns for it. UTF-8 with a mark, as
spreadsheets want it. Headings may be Chinese or English; what comes in is checked as a site's file is, by line and column.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from pydantic import ValidationError

from messages.complaint import complaint
from messages.language import Phrase, Unfit, phrase, why
from messages.suggestion import suggest
from messages.wording import complaints
from rules.duty.site import Person, Post, Shift, Site

COLUMNS = {
    "person": "编号",
    "name": "姓名",
    "language": "语言",
    "phone": "电话",
    "reach": "通知方式",
    "login": "账号",
    "post": "岗位",
    "role": "角色",
    "department": "部门",
    "grids": "网格",
    "buildings": "楼栋",
    "order": "次序",
    "days": "日期",
    "from": "上班",
    "until": "下班",
    "rotate_days": "轮换天数",
    "since": "起始日",
    "to": "截止日",
}
MARK = "\ufeff"
MOST_BYTES, MOST_LINES = 4 * 1024 * 1024, 20_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would compute."""


class SheetError(Unfit):
    """The sheet can't be taken; says line, column and why."""

    def __init__(self, line: int, column: str, why: Phrase) -> None:
        where = f", {COLUMNS[column]} {column}" if column in COLUMNS else f", {column}" if column else ""
        super().__init__(phrase("line {line}{where}: {why}", line=line, where=where, why=why))
        self.why = why
        self.line = line
        self.column = column


def sheet(site: Site, *, chinese: bool = True) -> str:
    """The people of a site with their shifts."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS.values() if chinese else COLUMNS)
    lines = list(_shift_lines(site))
    busy = {line["person"] for line in lines}
    lines += [_person_cells(name, person) for name, person in site.people.items() if name not in busy]
    for line in lines:
        writer.writerow([_safe(line.get(column, "")) for column in COLUMNS])
    return MARK + out.getvalue()


def _shift_lines(site: Site) -> Iterator[dict[str, str]]:
    for post_name, post in site.posts.items():
        for index, shift in enumerate(post.shifts, start=1):
            for name in shift.people:
                yield {
                    **_person_cells(name, site.people[name]),
                    "post": post_name,
                    "role": post.role,
                    "department": post.department or "",
                    "grids": " ".join(post.grids),
                    "buildings": " ".join(post.buildings),
                    "order": str(index),
                    "days": shift.days if isinstance(shift.days, str) else " ".join(shift.days),
                    "from": shift.from_,
                    "until": shift.until,
                    "rotate_days": str(shift.rotate_days or ""),
                    "since": shift.since.isoformat() if shift.since else "",
                    "to": shift.to.isoformat() if shift.to else "",
                }


def _person_cells(name: str, person: Person) -> dict[str, str]:
    return {
        "person": name,
        "name": person.name,
        "language": person.language,
        "phone": person.phone or "",
        "reach": " ".join(person.reach),
        "login": person.login or "",
    }


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def from_sheet(text: str, site: Site) -> Site:
    """The site with the people and posts of the sheet in the place of its own. Raises SheetError."""
    if len(text.encode()) > MOST_BYTES:
        raise SheetError(1, "", phrase("more than {n} MiB", n=MOST_BYTES // 1024 // 1024))
    people: dict[str, dict[str, Any]] = {}
    posts: dict[str, dict[str, Any]] = {}
    shifts: dict[tuple[str, str], dict[str, Any]] = {}
    for line, cells in _lines(text):
        person = cells["person"]
        known = people.setdefault(person, said := _person(cells, line))
        if known != said:
            raise SheetError(
                line, "person", phrase("`{person}` stands in another line with other words", person=person)
            )
        if not cells["post"]:
            continue
        post = {key: value for key, value in _post(cells).items() if value}
        if posts.setdefault(cells["post"], post) != post:
            raise SheetError(
                line, "post", phrase("`{post}` stands in another line with another role or area", post=cells["post"])
            )
        key = (cells["post"], cells["order"] or "1")
        shift = _shift(cells, line)
        before = shifts.setdefault(key, {**shift, "people": []})
        if {**before, "people": []} != {**shift, "people": []}:
            raise SheetError(
                line,
                "order",
                phrase("shift {n} of `{post}` stands in another line with other times", n=key[1], post=key[0]),
            )
        before["people"].append(person)
    for (post_name, _), shift in sorted(shifts.items(), key=lambda one: _number(one[0][1])):
        posts[post_name].setdefault("shifts", []).append(shift)
    return _checked(site, people, posts)


def _checked(site: Site, people: Mapping[str, Any], posts: Mapping[str, Any]) -> Site:
    for grid in (grid for post in posts.values() for grid in post.get("grids", ())):
        if grid not in site.grids:
            raise SheetError(
                1,
                "grids",
                phrase("no {what} `{name}`{near}", what=phrase("grid"), name=grid, near=suggest(grid, site.grids)),
            )
    for building in (one for post in posts.values() for one in post.get("buildings", ())):
        if building not in site.buildings:
            raise SheetError(
                1,
                "buildings",
                phrase(
                    "no {what} `{name}`{near}",
                    what=phrase("building"),
                    name=building,
                    near=suggest(building, site.buildings),
                ),
            )
    for name, owner in site.owners.items():
        for person in owner.people:
            if person not in people:
                raise SheetError(
                    1,
                    "person",
                    phrase("`{person}` answers for {name} and is not in the sheet", person=person, name=name),
                )
    for route in site.routes:
        for word in (*route.first, *route.second, *route.third):
            if word.startswith("person:") and word.removeprefix("person:") not in people:
                raise SheetError(1, "person", phrase("a route calls `{word}`, who is not in the sheet", word=word))
    try:
        return site.model_copy(
            update={
                "people": {name: Person.model_validate(one) for name, one in people.items()},
                "posts": {
                    name: Post.model_validate({**one, "shifts": [Shift.model_validate(s) for s in one["shifts"]]})
                    for name, one in posts.items()
                },
            }
        )
    except ValidationError as error:
        raise SheetError(1, "", Phrase(complaint(error))) from error


def _lines(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line's number and its cells by column."""
    reader = csv.reader(io.StringIO(text.removeprefix(MARK)), strict=True)
    names = {zh: en for en, zh in COLUMNS.items()} | {name: name for name in COLUMNS}
    try:
        head = [cell.strip() for cell in next(reader, [])]
        columns = []
        for cell in head:
            if cell not in names:
                raise SheetError(1, cell or "(empty)", phrase("no such column{near}", near=suggest(cell, names)))
            columns.append(names[cell])
        for needed in ("person", "name"):
            if needed not in columns:
                raise SheetError(1, needed, phrase("the column is missing"))
        for row in reader:
            if reader.line_num > MOST_LINES:
                raise SheetError(reader.line_num, "", phrase("more than {n} lines", n=MOST_LINES))
            cells = [cell.strip().removeprefix("'") for cell in row]
            if not any(cells):
                continue
            if len(cells) > len(columns):
                raise SheetError(
                    reader.line_num, "", phrase("{n} cells for {columns} columns", n=len(cells), columns=len(columns))
                )
            yield reader.line_num, dict.fromkeys(COLUMNS, "") | dict(zip(columns, cells, strict=False))
    except csv.Error as error:
        raise SheetError(reader.line_num, "", phrase("no CSV: {why}", why=why(error))) from error


def _person(cells: Mapping[str, str], line: int) -> dict[str, Any]:
    said = {
        "name": cells["name"],
        "language": cells["language"] or "zh",
        "phone": cells["phone"] or None,
        "reach": cells["reach"].split(),
        "login": cells["login"] or None,
    }
    if not cells["person"]:
        raise SheetError(line, "person", phrase("who is it? An id such as `lin` is missing"))
    _valid(Person, said, line)
    return said


def _post(cells: Mapping[str, str]) -> dict[str, Any]:
    return {
        "role": cells["role"],
        "department": cells["department"],
        "grids": cells["grids"].split(),
        "buildings": cells["buildings"].split(),
    }


def _shift(cells: Mapping[str, str], line: int) -> dict[str, Any]:
    days = cells["days"].split() or ["daily"]
    said: dict[str, Any] = {
        "people": [cells["person"]],
        "days": days[0] if len(days) == 1 else days,
        "from": cells["from"] or "00:00",
        "until": cells["until"] or "24:00",
        "rotate_days": _number(cells["rotate_days"]) or None,
        "since": _day(cells["since"], "since", line),
        "to": _day(cells["to"], "to", line),
    }
    _valid(Post, {**{key: value for key, value in _post(cells).items() if value}, "shifts": [said]}, line)
    return said


def _day(text: str, column: str, line: int) -> date | None:
    try:
        return date.fromisoformat(text.replace("/", "-")) if text else None
    except ValueError as error:
        raise SheetError(
            line, column, phrase("a day such as 2026-10-01 is wanted, not {text!r}", text=text[:20])
        ) from error


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0


def _valid(model: type[Person] | type[Post], said: Any, line: int) -> None:
    try:
        model.model_validate(said)
    except ValidationError as error:
        first = complaints(error, said, model)[0]
        column = next(
            (str(part) for part in reversed(first.where) if part in COLUMNS),
            str(first.where[-1]) if first.where else "",
        )
        raise SheetError(line, column, first.what) from error
