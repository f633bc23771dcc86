"""The bus over TLS, against a real Mosquitto with certificates of our own making."""

import asyncio
import ssl
from pathlib import Path

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from messages.broker import Broker
from messages.bus import Bus
from messages.settings import ConfigError
from tests import services

pytestmark = pytest.mark.needs("mosquitto", "openssl")

LIMIT_S = 20


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> services.Certificates:
    return services.certificates(tmp_path_factory.mktemp("ours"))


async def why_away(settings: Broker) -> str:
    """The first reason that the bus gives for not being connected."""
    with capture_logs() as logs:
        async with Bus(settings, "reader", subscribe=["local/#"]), asyncio.timeout(LIMIT_S):
            while not (reasons := [entry["why"] for entry in logs if entry["event"] == "broker is away"]):
                await asyncio.sleep(0.01)
    return str(reasons[0])


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_messages_of_all_sizes_travel(tmp_path: Path, ours: services.Certificates, protocol: str) -> None:
    with services.mosquitto(tmp_path, tls=ours) as broker:
        secure = {"ca_file": str(ours.authority), "protocol": protocol}
        async with (
            Bus(broker.settings("local", **secure), "reader", subscribe=["local/#"], window_bytes=20_000) as reader,
            Bus(broker.settings("devices", **secure), "writer") as writer,
        ):
            async with asyncio.timeout(LIMIT_S):
                await reader.up()
                await writer.up()
                await asyncio.gather(*(writer.publish(f"local/{number}", b"x" * 30) for number in range(2000)))
                for number in range(2000):
                    message = (await reader.some(1))[0]
                    assert message.topic == f"local/{number}"
                    message.ack()
                large = bytes(range(256)) * 3_900
                await writer.publish("local/large", large)
                assert (await reader.some(1))[0].payload == large


@pytest.mark.parametrize("window_bytes", [3_000, 10_000_000])
async def test_what_tls_has_decrypted_is_read_without_more_news_from_the_socket(
    ours: services.Certificates, window_bytes: int
) -> None:
    """Four hundred messages in one TLS record: once it is out of the socket, the socket has no more to tell."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (bytes([0x20, 3, 0, 0, 0]), bytes([0x90, 4, 0, 1, 0, 1])):
            await reader.read(4096)
            writer.write(answer)
        writer.write(b"".join(bytes([0x32, 8, 0, 1, 0x74, 0, 1, 0, 0x30, 0x30]) for _ in range(400)))
        while await reader.read(4096):
            pass
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ours.server, ours.server_key)
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        settings = Broker(port=server.sockets[0].getsockname()[1], ca_file=ours.authority)
        async with Bus(settings, "reader", subscribe=["t"], window_bytes=window_bytes) as reader:
            async with asyncio.timeout(5):
                for _ in range(400):
                    assert (await reader.some(1))[0].payload == b"00"


async def test_a_client_certificate_opens_a_broker_that_wants_one(tmp_path: Path, ours: services.Certificates) -> None:
    with services.mosquitto(tmp_path, tls=ours, client_certificate=True) as broker:
        trust = {"ca_file": str(ours.authority)}
        shown = {"cert_file": str(ours.client), "key_file": str(ours.client_key)}
        async with asyncio.timeout(LIMIT_S), Bus(broker.settings("local", **trust, **shown), "reader") as reader:
            await reader.up()
        why = await why_away(broker.settings("local", **trust))
        assert "tlsv13 alert certificate required" in why


async def test_a_broker_whose_certificate_another_signed_is_not_talked_to(
    tmp_path: Path, ours: services.Certificates
) -> None:
    theirs = services.certificates(tmp_path / "theirs")
    with services.mosquitto(tmp_path / "broker", tls=theirs) as broker:
        why = await why_away(broker.settings("local", ca_file=str(ours.authority)))
        assert "its certificate is not accepted" in why
        assert "as reader" not in broker.log.read_text()


async def test_a_certificate_for_another_host_is_not_accepted(tmp_path: Path, ours: services.Certificates) -> None:
    with services.mosquitto(tmp_path, tls=ours) as broker:
        why = await why_away(broker.settings("local", ca_file=str(ours.authority), host="localhost"))
        assert "Hostname mismatch, certificate is not valid for 'localhost'" in why


async def test_tls_to_a_plain_port_and_plain_to_a_tls_port_are_said(
    tmp_path: Path, ours: services.Certificates
) -> None:
    with services.mosquitto(tmp_path / "plain") as plain:
        why = await why_away(plain.settings("local", ca_file=str(ours.authority)))
        assert why.startswith(("TLS fails", "connection reset by peer"))
    with services.mosquitto(tmp_path / "secure", tls=ours) as secure:
        why = await why_away(secure.settings("local"))
        assert "before it let us in; are username, password and ca_file right?" in why


async def test_closing_during_the_handshake_leaves_nothing() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            greeted.set()
        ended.set()
        writer.close()

    greeted, ended = asyncio.Event(), asyncio.Event()
    authority = "/etc/ssl/certs/ca-certificates.crt"
    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        settings = Broker(port=server.sockets[0].getsockname()[1], ca_file=Path(authority))
        async with asyncio.timeout(LIMIT_S):
            async with Bus(settings, "reader"):
                await greeted.wait()
            await ended.wait()


async def test_files_that_can_not_be_used_end_the_program_before_it_starts(
    tmp_path: Path, ours: services.Certificates
) -> None:
    nothing, nonsense, empty = tmp_path / "nothing.pem", tmp_path / "nonsense.pem", tmp_path / "empty"
    nonsense.write_text("no certificate")
    empty.write_text("\n")
    (tmp_path / "latin").write_bytes(b"\xff\xfe")
    for settings, words in (
        ({"ca_file": nothing}, "nothing.pem: a certificate or key can't be read: No such file or directory"),
        ({"ca_file": nonsense}, "nonsense.pem: not a certificate"),
        ({"ca_file": ours.authority, "cert_file": ours.client, "key_file": ours.server_key}, "client.crt: "),
        ({"ca_file": ours.authority, "cert_file": nothing, "key_file": ours.client_key}, "nothing.pem: "),
        ({"username": "u", "password_file": nothing}, "nothing.pem: no password can be read: No such file"),
        ({"username": "u", "password_file": tmp_path}, "no password can be read: Is a directory"),
        ({"username": "u", "password_file": empty}, "empty: no password in its first line"),
        ({"username": "u", "password_file": tmp_path / "latin"}, "latin: no password can be read: not UTF-8 text"),
    ):
        with pytest.raises(ConfigError, match=words):
            async with Bus(Broker.model_validate(settings), "reader"):
                pass


def test_the_password_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("correct horse \nsecond line\n")
    assert Broker(username="u", password_file=tmp_path / "password").secret() == "correct horse"
    assert Broker(username="u", password="given").secret() == "given"
    assert Broker().secret() is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"username": "u", "password": "a", "password_file": "b"}, "password and password_file exclude each other"),
        ({"password": "a"}, "a password needs a username"),
        ({"ca_file": "a", "cert_file": "b"}, "cert_file and key_file belong together"),
        ({"cert_file": "b", "key_file": "c"}, "cert_file needs ca_file, which turns TLS on"),
        ({"host": ""}, "at least 1 character"),
        ({"port": 0}, "greater than or equal to 1"),
        ({"keepalive": "1s"}, "greater than or equal to 5"),
        ({"keepalive": "1d"}, "less than or equal to 65535"),
        ({"protocol": "4"}, "'5' or '3.1.1'"),
    ],
)
def test_settings_that_can_not_be_meant_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Broker.model_validate(settings)
