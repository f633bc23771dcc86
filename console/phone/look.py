"""How the phone's pages look to one reader: large type, dark or light, kept in cookies. Pure."""

from typing import Any

from fastapi import Request

LOOK_COOKIES = {
    "letters": ("gridcall_letters", ("large", "plain")),
    "theme": ("gridcall_theme", ("dark", "light", "auto")),
}


def look_of(request: Request) -> dict[str, Any]:
    """`letters` and `theme` as they were chosen."""
    return {
        name: request.cookies.get(cookie, "") if request.cookies.get(cookie) in known else known[-1]
        for name, (cookie, known) in LOOK_COOKIES.items()
    }
