"""Robots of groups in WeCom 企业微信, DingTalk 钉钉 and Feishu 飞书, and WeCom's messages to one member.

Sources: WeCom developer documentation 91770 (group robot), 90236 (messages of an app), 91039 (access token); DingTalk "custom robot" (sign, errors
130101 and 410100: too often, blocked for ten minutes); Feishu "custom bot" (sign over "timestamp\\nkey" with an empty body; 9499, 11232: too often).
"""

import base64
import hashlib
import hmac
import threading
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote_plus, urlencode

from rules.notices.channels.base import Failed, Message, Outcome, Taken
from rules.notices.channels.http import Http

MOST_BYTES = 2_000
"""A WeCom robot takes 2048 bytes of text and cuts no word by itself; the others take more."""


@dataclass(slots=True)
class WecomRobot:
    """A group's robot. `to`: a mobile number or member id that is mentioned, or "all"."""

    key: str
    base: str = "https://qyapi.weixin.qq.com"
    http: Http = field(default_factory=Http)

    def send(self, message: Message, to: str) -> Outcome:
        mention = {
            "mentioned_mobile_list" if to.lstrip("+").isdecimal() else "mentioned_list": [_everybody(to, "@all")]
        }
        content = {
            "msgtype": "text",
            "text": {"content": cut(plain(message).whole(), MOST_BYTES), **(mention if to else {})},
        }
        return _judged(self.http.ask_json(f"{self.base}/cgi-bin/webhook/send?key={quote_plus(self.key)}", content))


@dataclass(slots=True)
class WecomApp:
    """An app's message to one member: it reaches his own phone. `to`: the member's id."""

    corporation: str
    agent: int
    secret: str
    base: str = "https://qyapi.weixin.qq.com"
    http: Http = field(default_factory=Http)
    _token: str = ""
    _until_ms: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, message: Message, to: str) -> Outcome:
        for again in (True, False):
            token = self._access_token(message.at_ms)
            if isinstance(token, Failed):
                return token
            said = self.http.ask_json(
                f"{self.base}/cgi-bin/message/send?access_token={quote_plus(token)}",
                {"touser": to, "msgtype": "textcard", "agentid": self.agent, "textcard": _card(message)}
                if message.link
                else {"touser": to, "msgtype": "text", "agentid": self.agent, "text": {"content": plain(message).text}},
            )
            if isinstance(said, dict) and said.get("errcode") in (40014, 42001) and again:
                self._token = ""  # revoked before its time
                continue
            if isinstance(said, dict) and said.get("errcode") == 0:
                for word, why in (("invaliduser", "no such member"), ("unlicenseduser", "no licence for this member")):
                    if said.get(word):
                        return Failed(f"{why}: {to}", for_good=True)
            return _judged(said)
        raise AssertionError("the second answer was returned")

    def _access_token(self, now_ms: int) -> str | Failed:
        with self._lock:
            if self._token and now_ms < self._until_ms:
                return self._token
            asked = urlencode({"corpid": self.corporation, "corpsecret": self.secret})
            said = self.http.ask_json(f"{self.base}/cgi-bin/gettoken?{asked}", {})
            if isinstance(said, Failed):
                return said
            if said.get("errcode", 0) != 0:
                refused = _refusal(said)
                return replace(refused, why=f"no token: {refused.why}")
            try:
                token, lasts_s = str(said["access_token"]), int(said["expires_in"])
            except (KeyError, TypeError, ValueError, OverflowError):
                return Failed("no token: none in the answer")
            self._token, self._until_ms = token, now_ms + lasts_s * 1000 - 300_000
            return self._token


@dataclass(slots=True)
class DingtalkRobot:
    """A group's robot. `to`: a mobile number that is mentioned, or "all"."""

    token: str
    secret: str = ""
    base: str = "https://oapi.dingtalk.com"
    http: Http = field(default_factory=Http)

    def send(self, message: Message, to: str) -> Outcome:
        words = {"access_token": self.token}
        if self.secret:
            words |= {"timestamp": str(message.at_ms), "sign": dingtalk_sign(self.secret, message.at_ms)}
        mention = {"isAtAll": True} if to == "all" else {"atMobiles": [to] if to else []}
        content = {"msgtype": "text", "text": {"content": message.whole()}, "at": mention}
        return _judged(self.http.ask_json(f"{self.base}/robot/send?{urlencode(words)}", content))


@dataclass(slots=True)
class FeishuRobot:
    """A group's robot. `to`: an open id that is mentioned, or "all"."""

    hook: str
    secret: str = ""
    base: str = "https://open.feishu.cn"
    http: Http = field(default_factory=Http)

    def send(self, message: Message, to: str) -> Outcome:
        mention = f'<at user_id="{to}"></at> ' if to.replace("_", "").isalnum() else ""
        content: dict[str, Any] = {"msg_type": "text", "content": {"text": mention + plain(message).whole()}}
        if self.secret:
            at_s = message.at_ms // 1000
            content |= {"timestamp": str(at_s), "sign": feishu_sign(self.secret, at_s)}
        return _judged(self.http.ask_json(f"{self.base}/open-apis/bot/v2/hook/{quote_plus(self.hook)}", content))


def dingtalk_sign(secret: str, at_ms: int) -> str:
    return _sign(secret.encode(), f"{at_ms}\n{secret}".encode())


def feishu_sign(secret: str, at_s: int) -> str:
    return _sign(f"{at_s}\n{secret}".encode(), b"")


def _sign(key: bytes, text: bytes) -> str:
    return base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


_TOO_OFTEN = {45009: 60.0, 45033: 60.0, 130101: 600.0, 130102: 600.0, 410100: 600.0, 9499: 60.0, 11232: 60.0}
"""Error codes that say so, and for how long (seconds) we then keep away: DingTalk blocks for ten minutes."""
_BUSY = {-1, 1006}
"""The provider's own trouble: try again."""


def _judged(said: dict[str, Any] | Failed) -> Outcome:
    """What a robot's answer means: an HTTP 200 says nothing by itself."""
    if isinstance(said, Failed):
        return said
    return Taken(str(said.get("msgid", ""))) if _code(said) == 0 else _refusal(said)


def _code(said: dict[str, Any]) -> Any:
    code = said.get("errcode", said.get("code", said.get("StatusCode")))
    return None if isinstance(code, bool) else code


def _refusal(said: dict[str, Any]) -> Failed:
    code = _code(said)
    why = f"{code} {said.get('errmsg') or said.get('msg') or ''}"[:200]
    if code in _TOO_OFTEN:
        return Failed(why, throttled_s=_TOO_OFTEN[code])
    return Failed(why, for_good=code not in _BUSY and code is not None)


def plain(message: Message) -> Message:
    """As words alone. WeCom makes links and tags, Feishu links and mentions of what looks so, and a title may be any resident's."""
    title, text = (
        words.replace("<", "＜").replace(">", "＞").replace("](", "] (") for words in (message.title, message.text)
    )
    return replace(message, title=title, text=text)


def _card(message: Message) -> dict[str, str]:
    message = plain(message)
    return {
        "title": cut(message.title, 128),
        "description": cut(message.text, 512),
        "url": message.link,
        "btntxt": "打开" if message.language == "zh" else "Open",
    }


def _everybody(to: str, word: str) -> str:
    return word if to == "all" else to


def cut(text: str, most_bytes: int) -> str:
    """The text, or its beginning with a mark, in at most so many bytes of UTF-8; no character is torn."""
    encoded = text.encode()
    if len(encoded) <= most_bytes:
        return text
    return encoded[: most_bytes - 3].decode(errors="ignore") + "…"
