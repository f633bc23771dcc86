"""A LoRaWAN product: its maker's codec, and its channels in what that decodes."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr

from edge.models.base import ChannelName, Product
from edge.models.message import JsonChannel
from messages.language import Phrase, phrase, why
from messages.settings import ConfigError, shaped

MOST_CODEC_BYTES = 512 * 1024


class LorawanModel(Product):
    """A device behind a LoRaWAN network server. Without a codec the server itself must decode."""

    reached_by: ClassVar[tuple[str, ...]] = ("dev_eui",)
    way: ClassVar[Phrase] = phrase("is known to its network server by a DevEUI")

    protocol: Literal["lorawan"]
    codec: (
        Annotated[str, shaped(r"[\w.-]+\.js", phrase("should be the name of a file beside this one that ends in .js"))]
        | None
    ) = None
    """The maker's own JavaScript file, unmodified, beside this file: `decodeUplink`, or the older `Decode` or `Decoder`."""
    f_ports: list[Annotated[int, Field(ge=1, le=223)]] | None = None
    """The ports whose messages are measurements; without it all are (LoRaWAN 1.0.4 section 4.3.2)."""
    channels: dict[ChannelName, JsonChannel] = Field(min_length=1)

    _script: str | None = PrivateAttr(default=None)

    @property
    def script(self) -> str | None:
        """What stands in the codec's file."""
        return self._script

    def located(self, folder: Path) -> Self:
        if self.codec is None:
            return self
        path = folder / self.codec
        try:
            content = path.read_bytes()
            if len(content) > MOST_CODEC_BYTES:
                raise ConfigError(
                    "{path}: {n} bytes, more than {most}", path=path, n=len(content), most=MOST_CODEC_BYTES
                )
            self._script = content.decode("utf-8-sig")
        except OSError as error:
            raise ConfigError("{path}: the codec can't be read: {why}", path=path, why=why(error)) from error
        except UnicodeDecodeError as error:
            raise ConfigError("{path}: the codec is no UTF-8 text", path=path) from error
        return self
