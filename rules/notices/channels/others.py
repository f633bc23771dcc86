"""Channels that need no account with a provider of messages: ntfy, e-mail, signed webhooks; and whatever Apprise knows."""

import smtplib
import socket
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate

import orjson

from messages.alarm import Level
from rules.notices import signing
from rules.notices.channels.base import TIMEOUT_S, Failed, Message, Outcome, Taken
from rules.notices.channels.exchange import Exchange, hold
from rules.notices.channels.http import Http, as_object

_NTFY_PRIORITY: dict[Level, int] = {"red": 5, "orange": 4, "yellow": 3, "blue": 2}


@dataclass(slots=True)
class Ntfy:
    """An ntfy server (docs.ntfy.sh, "publish as JSON"). `to`: the topic; a secret one, it is all that protects it."""

    base: str
    token: str = ""
    http: Http = field(default_factory=Http)

    def send(self, message: Message, to: str) -> Outcome:
        content = {
            "topic": to,
            "title": message.title,
            "message": message.text,
            "priority": _NTFY_PRIORITY[message.level],
            **({"click": message.link} if message.link else {}),
        }
        said = self.http.ask_json(self.base, content, {"authorization": f"Bearer {self.token}"} if self.token else None)
        return said if isinstance(said, Failed) else Taken(str(said.get("id", "")))


@dataclass(slots=True, kw_only=True)
class Mail:
    """E-mail by SMTP. `to`: the address."""

    host: str
    port: int
    sender: str
    username: str = ""
    password: str = ""
    tls: bool = True
    """From the first byte on port 465, by STARTTLS elsewhere."""
    ca_file: str | None = None
    timeout_s: float = TIMEOUT_S
    """For the whole conversation."""

    def send(self, message: Message, to: str) -> Outcome:
        mail = EmailMessage()
        mail["From"], mail["To"] = self.sender, to
        mail["Subject"] = " ".join(f"{message.title} {message.place}".split())  # a line break would end the header
        mail["Date"] = formatdate(message.at_ms / 1000, localtime=False)
        mail["Message-ID"] = f"<{message.key.replace('/', '.')}@{self.sender.rpartition('@')[2]}>"
        mail.set_content(message.whole())
        with Exchange(self.timeout_s):
            failed = self._handed_over(mail)
        return failed or Taken(str(mail["Message-ID"]))

    def _handed_over(self, mail: EmailMessage) -> Failed | None:
        try:
            with self._connected() as server:
                server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            code, words = next(iter(error.recipients.values()))
            return Failed(f"{code} {words.decode(errors='replace')}", for_good=code >= 500)
        except smtplib.SMTPResponseException as error:
            return Failed(f"{error.smtp_code} {error.smtp_error!r}"[:200], for_good=error.smtp_code >= 500)
        except (smtplib.SMTPException, OSError) as error:
            return Failed(f"{type(error).__name__}: {error}"[:200])
        return None

    def _connected(self) -> smtplib.SMTP:
        context = ssl.create_default_context(cafile=self.ca_file) if self.tls else None
        server: smtplib.SMTP
        if context and self.port == 465:
            server = _HeldSmtpTls(self.host, self.port, timeout=self.timeout_s, context=context)
        else:
            server = _HeldSmtp(self.host, self.port, timeout=self.timeout_s)
            if context:
                server.starttls(context=context)
        if self.username:
            server.login(self.username, self.password)
        return server


class _HeldSmtp(smtplib.SMTP):
    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        found: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        hold(found)
        return found


class _HeldSmtpTls(smtplib.SMTP_SSL, _HeldSmtp):
    """`SMTP_SSL` connects by way of `_HeldSmtp`."""


@dataclass(slots=True)
class Webhook:
    """Any system that takes JSON by POST, signed by the Standard Webhooks specification. `to`: passed on in the body."""

    url: str
    key: bytes
    http: Http = field(default_factory=Http)

    def send(self, message: Message, to: str) -> Outcome:
        content = {
            "type": "notice",
            "timestamp_ms": message.at_ms,
            "to": to,
            "person": message.person,
            "site": message.site,
            "case": message.case,
            "level": message.level,
            "title": message.title,
            "place": message.place,
            "left": message.left,
            "text": message.text,
            "link": message.link,
            "language": message.language,
        }
        body = orjson.dumps(content)
        headers = signing.headers(self.key, message.key, message.at_ms // 1000, body)
        said = self.http.ask("POST", self.url, body, {"content-type": "application/json", **headers})
        if isinstance(said, Failed):
            return said
        answer = as_object(said) if said else {}
        return Taken(str(answer.get("id", "")) if isinstance(answer, dict) else "")


@dataclass(slots=True)
class ByApprise:
    """Any of Apprise's services. `address`: its URL, with {to} where the receiver stands in it, if he does."""

    address: str

    def send(self, message: Message, to: str) -> Outcome:
        import apprise  # a fifth of a second: only where it is used

        # One object a send: Apprise holds back the second message on one for seconds (libraries of the field notes).
        service = apprise.Apprise.instantiate(self.address.replace("{to}", to))
        if service is None:
            return Failed("Apprise knows no such address", for_good=True)
        title = f"{message.title} {message.place}"
        return (
            Taken() if service.notify(title=title, body=message.whole()) else Failed("Apprise could not hand it over")
        )
