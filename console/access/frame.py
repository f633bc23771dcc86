"""The frame around the pages of access: the freshness in its place, red alarms that call, and the way to the other pages."""

from fastapi.responses import HTMLResponse

from console.rights import Right
from console.routes import calling_alarms
from console.visit import Visit

WAYS: tuple[tuple[str, str, Right], ...] = (
    ("own", "/account", "see"),
    ("accounts", "/accounts", "accounts"),
    ("journal", "/accounts/journal", "audit"),
)
"""Word, path, and who may go there."""


def show(
    visit: Visit, template: str, status: int = 200, *, here: str = "", complaint: str = "", **values: object
) -> HTMLResponse:
    """A template of `pages/access` as the answer."""
    position = visit.parts.desk.position()  # before the alarms: what comes in between is told once more by the feed
    return visit.page(
        f"access/{template}",
        status,
        seq=position,
        alarms=calling_alarms(visit),
        complaint=complaint,
        ways=[(name, path) for name, path, right in WAYS if visit.user.may(right)],
        here=here,
        **values,
    )


def program_in_words(agent: str) -> str:
    """What a browser calls itself, as a person would say it: "Chrome · Android"; empty if it is none that we know."""
    browsers = {
        "MicroMessenger": "WeChat 微信",
        "HuaweiBrowser": "Huawei",
        "Edg": "Edge",
        "Firefox": "Firefox",
        "Chrome": "Chrome",
        "Safari": "Safari",
    }
    systems = {
        "HarmonyOS": "HarmonyOS",
        "Android": "Android",
        "iPhone": "iPhone",
        "iPad": "iPad",
        "Windows": "Windows",
        "Mac OS": "macOS",
        "Linux": "Linux",
    }
    found = (next((name for sign, name in signs.items() if sign in agent), "") for signs in (browsers, systems))
    return " · ".join(name for name in found if name)
