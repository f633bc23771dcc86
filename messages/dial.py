"""Opening a TCP or TLS connection without a thread, and saying in plain words why it did not open.

It knows nothing of MQTT. The socket that comes back is connected, does not block and belongs to the caller; a
dial that fails or is cancelled leaves none behind.
"""

import asyncio
import os
import socket
import ssl

TIME_LIMIT_S = 10.0
"""For a name, for each of its addresses, and for the handshake."""
_ESTABLISHED = 1  # TCP_ESTABLISHED of linux/tcp_states.h, the first byte of struct tcp_info


async def dial(host: str, port: int, tls: ssl.SSLContext | None, *, silent_s: float) -> socket.socket:
    """A connection to the first address of `host` that takes one. Raises ConnectionError.

    `silent_s`: TCP gives up a peer that has acknowledged nothing for so long, whether or not anybody reads.
    """
    try:
        sock = await _first(await _addresses(host, port))
        _tune(sock, silent_s)
        return await _wrapped(sock, tls, host) if tls else sock
    except (OSError, UnicodeError) as error:
        raise ConnectionError(plain_words(error)) from error


def peer_left(sock: socket.socket) -> bool:
    """Whether the other end has hung up, though what it sent before may still be unread. Always False but on Linux."""
    return hasattr(socket, "TCP_INFO") and sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED


def plain_words(error: Exception) -> str:
    """What a network error says to somebody who has to mend it."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not accepted: {error.verify_message}"
        case ssl.SSLEOFError():
            return "the connection ended in the middle of TLS"
        case ssl.SSLError(reason=reason) if reason:
            hint = "; does this port speak TLS?" if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE") else ""
            return f"TLS fails: {reason.lower().replace('_', ' ')}{hint}"
        case socket.gaierror():
            return f"no address for this name: {error.strerror}"
        case UnicodeError():
            return "this can't be the name of a host"
        case TimeoutError():
            return f"no answer within {TIME_LIMIT_S:.0f} s"
        case OSError(errno=int(number)):
            return os.strerror(number).lower()
    return str(error)


async def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    try:  # a literal address needs no resolver, hence no thread
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        async with asyncio.timeout(TIME_LIMIT_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, (str(address[0]), int(address[1]))) for family, _, _, _, address in found]


async def _first(addresses: list[tuple[socket.AddressFamily, tuple[str, int]]]) -> socket.socket:
    failure = OSError("no address")
    for family, address in addresses:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(TIME_LIMIT_S):
                await asyncio.get_running_loop().sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def _tune(sock: socket.socket, silent_s: float) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # an alarm does not wait for the last packet's ACK
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(silent_s * 1000))


async def _wrapped(sock: socket.socket, tls: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    secured = None
    try:
        secured = tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        async with asyncio.timeout(TIME_LIMIT_S):
            await _handshake(secured)
    except BaseException:
        (secured or sock).close()
        raise
    return secured


async def _handshake(sock: ssl.SSLSocket) -> None:
    while True:
        try:
            return sock.do_handshake()
        except ssl.SSLWantReadError:
            await _ready(sock, for_writing=False)
        except ssl.SSLWantWriteError:
            await _ready(sock, for_writing=True)


async def _ready(sock: socket.socket, *, for_writing: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    watch, unwatch = (loop.add_writer, loop.remove_writer) if for_writing else (loop.add_reader, loop.remove_reader)
    watch(sock, tell)
    try:
        await ready
    finally:
        unwatch(sock)
