"""What the terminal says of a dry run, in Chinese and in English, and how wide it is there. Pure."""

import unicodedata
from dataclasses import dataclass

from messages.language import Language
from messages.settings import duration_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Those of one language. Names in braces are filled in."""

    courses: dict[str, str]
    levels: dict[str, str]
    heads: dict[str, str]
    sentences: dict[str, str]

    def course(self, name: str) -> str:
        return self.courses.get(name, name)

    def level(self, name: str) -> str:
        return self.levels.get(name, name)

    def head(self, name: str) -> str:
        return self.heads[name]

    def say(self, sentence: str, **parts: object) -> str:
        return self.sentences[sentence].format(**parts)


ENGLISH = Words(
    courses={},
    levels={},
    heads={name: name for name in ("rule", "all", "grid", "a day", "stands")},
    sentences={
        "judged": "{time}, {count} readings judged",
        "not_judged": "; {count} not: of devices that nobody announces now, or not true for their kind",
        "stopped": "Stopped before the end: what follows is of this time alone.",
        "progress": "{share:4.0%}, {count} readings",
        "difference": "{before} -> {after}: {same} the same, {gone} gone, {new} new",
        "most": "{count} max",
        "more": "and {count} more",
        "flapping": "{course}, flapping (the most within an hour):",
        "standing": "{course}, standing for more than a day:",
        "chart": "Alarms by day",
    },
)

CHINESE = Words(
    courses={"was": "实际", "rules now": "现行规则", "changed": "修改后", "shadow": "试运行"},
    levels={"red": "红", "orange": "橙", "yellow": "黄", "blue": "蓝"},
    heads={"rule": "规则", "all": "合计", "grid": "网格", "a day": "每天", "stands": "未恢复"},
    sentences={
        "judged": "{time}，已判断读数 {count} 条",
        "not_judged": "；另有 {count} 条未判断：设备目前无人通告，或数值与设备类型不符",
        "stopped": "提前停止：以下只包括已判断的这段时间。",
        "progress": "{share:4.0%}，读数 {count} 条",
        "difference": "{before} -> {after}：相同 {same}，减少 {gone}，新增 {new}",
        "most": "最多 {count}",
        "more": "另有 {count} 条",
        "flapping": "{course}，反复报警（一小时内最多次数）：",
        "standing": "{course}，持续超过一天：",
        "chart": "每日报警数",
    },
)

WORDS: dict[Language, Words] = {"zh": CHINESE, "en": ENGLISH}


def time_words(days: float) -> str:
    return duration_words(round(days * 86_400))


def left(text: str, width: int) -> str:
    """At the left of a column so many cells wide; a Chinese character takes two."""
    return text + " " * (width - cells(text))


def right(text: str, width: int) -> str:
    return " " * (width - cells(text)) + text


def cells(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
