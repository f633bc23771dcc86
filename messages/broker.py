"""Where a broker is and who we are to it, as configurations say it. Opens nothing but the files that it names."""

import ssl
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from messages.language import Phrase, Unfit, phrase, why
from messages.settings import ConfigError, Folder, Seconds, Settings, duration_s


class FileError(ConfigError):
    """A file that the table names can't be used; `field` is where it is named."""

    def __init__(self, field: str, what: Phrase) -> None:
        super().__init__(what)
        self.field = field


def _no_url(host: str) -> str:
    if "/" in host:
        raise Unfit("a name or an IP address is wanted, without `mqtt://`; the port has a line of its own")
    return host


class Broker(Settings):
    """Where the broker is and who we are to it: the `[broker]`, `[uplink]` or `[local]` table of a configuration."""

    host: Annotated[str, AfterValidator(_no_url)] = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=1883, ge=1, le=65535)
    username: str | None = None
    password: str | None = None
    password_file: Folder | None = None
    """A file whose first line is the password: keeps it out of the configuration."""
    ca_file: Folder | None = None
    """Turns TLS on and trusts these certificates only."""
    cert_file: Folder | None = None
    key_file: Folder | None = None
    protocol: Literal["5", "3.1.1"] = "5"
    keepalive_s: Seconds = Field(default=duration_s("30s"), alias="keepalive", ge=5, le=65535)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.password and self.password_file:
            raise Unfit("password and password_file exclude each other")
        if (self.password or self.password_file) and not self.username:
            raise Unfit("a password needs a username")
        if (self.cert_file is None) != (self.key_file is None):
            raise Unfit("cert_file and key_file belong together")
        if self.cert_file and not self.ca_file:
            raise Unfit("cert_file needs ca_file, which turns TLS on")
        return self

    def secret(self) -> str | None:
        """The password. Raises FileError if its file can't be read."""
        if self.password_file is None:
            return self.password
        try:
            password = self.password_file.read_text(encoding="utf-8").partition("\n")[0].strip()
        except OSError as error:
            raise self._unfit("password_file", phrase("no password can be read: {why}", why=why(error))) from error
        except UnicodeDecodeError as error:
            raise self._unfit("password_file", phrase("no password can be read: not UTF-8 text")) from error
        if not password:
            raise self._unfit("password_file", phrase("no password in its first line"))
        return password

    def tls(self) -> ssl.SSLContext | None:
        """Whom we trust and what we show; None without TLS. Raises FileError if a file can't be read."""
        if self.ca_file is None:
            return None
        blamed = "ca_file"
        try:
            for blamed in ("ca_file", "cert_file", "key_file"):
                if file := getattr(self, blamed):
                    file.open("rb").close()  # ssl doesn't say which of two files it can't read
            blamed = "ca_file"
            context = ssl.create_default_context(cafile=str(self.ca_file))
            if self.cert_file and self.key_file:
                blamed = "cert_file"
                context.load_cert_chain(self.cert_file, self.key_file)
        except ssl.SSLError as error:
            raise self._unfit(
                blamed, phrase("not a certificate (and its key): {why}", why=Phrase(str(error.reason or error)))
            ) from error
        except OSError as error:
            raise self._unfit(blamed, phrase("a certificate or key can't be read: {why}", why=why(error))) from error
        return context

    def _unfit(self, field: str, what: Phrase) -> FileError:
        return FileError(field, phrase("{file}: {what}", file=getattr(self, field), what=what))

    def check(self) -> None:
        """Raises ConfigError unless all files can be used."""
        self.secret()
        self.tls()

    def fingerprint(self) -> tuple[object, ...]:
        """Changes when one of the files does, whoever replaced it and however."""
        found: list[object] = []
        for path in (self.password_file, self.ca_file, self.cert_file, self.key_file):
            try:
                stat = path.stat() if path else None
            except OSError as error:
                found.append(error.errno)
            else:
                found.append(stat and (stat.st_ino, stat.st_mtime_ns, stat.st_size))
        return tuple(found)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"
