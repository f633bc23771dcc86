"""The `[channels.NAME]` tables of rules.toml: what each way to reach people needs, checked before anything is opened.

What sends by a way is loaded with the settings that name it: clients for HTTP and mail are a twentieth of a start, and when somebody is to be called is no time to load them.
"""

import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from messages.alarm import Level
from messages.ids import IDENTIFIER
from messages.language import Unfit, why
from messages.settings import ConfigError, Folder, Seconds, Settings
from rules.notices import signing
from rules.notices.channels.base import TIMEOUT_S, Channel
from rules.notices.limits import Limit, limit

if TYPE_CHECKING:
    from rules.notices.channels.http import Http

ChannelName = Annotated[str, StringConstraints(pattern=IDENTIFIER)]
ALL_LEVELS: tuple[Level, ...] = ("red", "orange", "yellow", "blue")


def _limit(text: str) -> str:
    limit(text)
    return text


def _http(text: str) -> str:
    if urlsplit(re.sub(r"\$\w+", "x", text)).scheme not in ("http", "https"):
        raise Unfit('an address such as "https://…" is wanted')
    return text.rstrip("/")


def _template(text: str) -> str:
    from rules.notices.channels.gateway import wrong_template

    if wrong := wrong_template(text):
        raise Unfit(wrong)
    return text


_Limits = list[Annotated[str, AfterValidator(_limit)]]
_Url = Annotated[str, AfterValidator(_http)]
_Template = Annotated[str, AfterValidator(_template)]


class _Any(Settings):
    """What every channel may say."""

    model_config = ConfigDict(defer_build=True)
    """All of them are made ready once, within the file's model, and not each by itself before."""

    levels: Annotated[list[Level], Field(min_length=1)] = Field(default_factory=lambda: list(ALL_LEVELS))
    """What it is used for: a voice call wakes people, so its levels are usually ["red"]."""
    limits: _Limits = Field(default_factory=list)
    """Of the channel as a whole, "20/1min"; a quarter of each is kept for red."""
    receiver_limits: _Limits = Field(default_factory=list)
    """The same for each receiver."""
    timeout_s: Annotated[Seconds, Field(gt=0, le=10)] = Field(default=TIMEOUT_S, alias="timeout")
    secret: str | None = None
    secret_file: Folder | None = None
    """Its first line is the secret: better than a secret in this file."""


class _Provider(_Any):
    """A channel that asks somebody outside."""

    @abstractmethod
    def made(self, base: Path) -> Channel:
        """The channel; relative files start at `base`. Raises ValueError."""

    def _secret(self, base: Path, field: str = "secret", *, needed: bool = True) -> str:
        written, file = getattr(self, field), getattr(self, f"{field}_file")
        if written is None and file is None:
            if needed:
                raise Unfit("{field}_file is missing", field=field)
            return ""
        return str(written) if written is not None else _first_line(base / file)

    @property
    def http(self) -> "Http":
        from rules.notices.channels.http import Http

        return Http(self.timeout_s)


class WecomRobotText(_Provider):
    """A robot of a WeCom group; the secret is the key of its address."""

    sort: Literal["wecom-robot"]
    base: _Url = "https://qyapi.weixin.qq.com"
    limits: _Limits = Field(default_factory=lambda: ["20/1min"])
    """Section 5 of the field notes."""

    def made(self, base: Path) -> Channel:
        from rules.notices.channels.robots import WecomRobot

        return WecomRobot(self._secret(base), self.base, self.http)


class WecomAppText(_Provider):
    """An app of a WeCom corporation: it reaches a member's own phone."""

    sort: Literal["wecom-app"]
    corporation: str
    agent: int
    base: _Url = "https://qyapi.weixin.qq.com"
    receiver_limits: _Limits = Field(default_factory=lambda: ["30/1min"])

    def made(self, base: Path) -> Channel:
        from rules.notices.channels.robots import WecomApp

        return WecomApp(self.corporation, self.agent, self._secret(base), self.base, self.http)


class DingtalkRobotText(_Provider):
    """A robot of a DingTalk group; the secret is that of its signature, if it has one."""

    sort: Literal["dingtalk-robot"]
    token: str | None = None
    token_file: Folder | None = None
    base: _Url = "https://oapi.dingtalk.com"
    limits: _Limits = Field(default_factory=lambda: ["20/1min"])
    """Beyond it the robot is blocked for ten minutes."""

    def made(self, base: Path) -> Channel:
        from rules.notices.channels.robots import DingtalkRobot

        token, secret = self._secret(base, "token"), self._secret(base, needed=False)
        return DingtalkRobot(token, secret, self.base, self.http)


class FeishuRobotText(_Provider):
    """A robot of a Feishu group; the secret is that of its signature, if it has one."""

    sort: Literal["feishu-robot"]
    hook: str | None = None
    hook_file: Folder | None = None
    base: _Url = "https://open.feishu.cn"
    limits: _Limits = Field(default_factory=lambda: ["100/1min", "5/1s"])

    def made(self, base: Path) -> Channel:
        from rules.notices.channels.robots import FeishuRobot

        hook, secret = self._secret(base, "hook"), self._secret(base, needed=False)
        return FeishuRobot(hook, secret, self.base, self.http)


class GatewayText(_Provider):
    """SMS or voice by a provider's HTTP interface."""

    sort: Literal["http"]
    url: _Template
    method: Literal["POST", "PUT", "GET"] = "POST"
    content_type: Literal["application/json", "application/x-www-form-urlencoded"] = "application/json"
    body: _Template = ""
    headers: dict[str, _Template] = Field(default_factory=dict)
    ok_field: str = ""
    ok_values: list[str | int] = [0, "0", "OK"]  # noqa: RUF012 pydantic copies it
    throttled_values: list[str | int] = Field(default_factory=list)
    again_values: list[str | int] = Field(default_factory=list)
    id_field: str = ""

    def made(self, base: Path) -> Channel:
        from rules.notices.channels.gateway import Gateway

        secret = self._secret(base, needed=False)
        if "$secret" in "".join((self.url, self.body, *self.headers.values())) and not secret:
            raise Unfit("a template uses $secret, and secret_file is missing")
        return Gateway(
            url=self.url,
            method=self.method,
            content_type=self.content_type,
            body=self.body,
            headers=self.headers,
            secret=secret,
            ok_field=self.ok_field,
            ok_values=tuple(self.ok_values),
            throttled_values=tuple(self.throttled_values),
            again_values=tuple(self.again_values),
            id_field=self.id_field,
            http=self.http,
        )


class NtfyText(_Provider):
    """An ntfy server; the secret is an access token, if it wants one."""

    sort: Literal["ntfy"]
    url: _Url

    def made(self, base: Path) -> Channel:
        from rules.notices.channels.others import Ntfy

        return Ntfy(self.url, self._secret(base, needed=False), self.http)


class MailText(_Provider):
    """A mail server; the secret is the password."""

    sort: Literal["mail"]
    host: str
    port: Annotated[int, Field(gt=0, lt=65536)] = 587
    sender: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")]
    username: str = ""
    tls: bool = True
    ca_file: Folder | None = None

    def made(self, base: Path) -> Channel:
        from rules.notices.channels.others import Mail

        return Mail(
            host=self.host,
            port=self.port,
            sender=self.sender,
            username=self.username,
            password=self._secret(base, needed=bool(self.username)),
            tls=self.tls,
            ca_file=str(base / self.ca_file) if self.ca_file else None,
            timeout_s=self.timeout_s,
        )


class WebhookText(_Provider):
    """Any system that takes signed JSON; the secret is the key of the signature, base64."""

    sort: Literal["webhook"]
    url: _Url

    def made(self, base: Path) -> Channel:
        from rules.notices.channels.others import Webhook

        return Webhook(self.url, signing.secret(self._secret(base)), self.http)


class AppriseText(_Provider):
    """Any of Apprise's services; the secret is its whole address."""

    sort: Literal["apprise"]

    def made(self, base: Path) -> Channel:
        from rules.notices.channels.others import ByApprise

        return ByApprise(self._secret(base))


class MqttText(_Any):
    """The broker that the engine is connected to: a message on gridcall/1/<site>/notices/<receiver>."""

    sort: Literal["mqtt"]


ChannelText = Annotated[
    WecomRobotText
    | WecomAppText
    | DingtalkRobotText
    | FeishuRobotText
    | GatewayText
    | NtfyText
    | MailText
    | WebhookText
    | AppriseText
    | MqttText,
    Field(discriminator="sort"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A channel with what is allowed on it."""

    name: str
    channel: Channel | None
    """None: the engine's own broker."""
    levels: frozenset[Level]
    limits: tuple[Limit, ...]
    receiver_limits: tuple[Limit, ...]


def ways(written: Mapping[str, ChannelText], base: Path) -> dict[str, Way]:
    """The channels, ready to be used; opens nothing but files of secrets. Raises ConfigError that names the channel."""
    found = {}
    for name, text in written.items():
        try:
            channel = None if isinstance(text, MqttText) else text.made(base)
        except ValueError as error:
            raise ConfigError("channels.{name}: {why}", name=name, why=why(error)) from error
        found[name] = Way(
            name=name,
            channel=channel,
            levels=frozenset(text.levels),
            limits=tuple(map(limit, text.limits)),
            receiver_limits=tuple(map(limit, text.receiver_limits)),
        )
    return found


def _first_line(path: Path) -> str:
    try:
        line = path.read_text(encoding="utf-8").partition("\n")[0].strip()
    except OSError as error:
        raise Unfit("{path}: {why}", path=path, why=why(error)) from error
    if not line:
        raise Unfit("{path}: its first line is empty", path=path)
    return line
