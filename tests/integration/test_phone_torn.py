"""A phone in a stairwell: its network goes in the midst of an answer. What it had kept stays."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.integration.console_filling import Console
from tests.integration.phones import case_of, opened, phone, running

__all__ = ["running"]
pytestmark = pytest.mark.needs("chromium")

WHERE = {"within the head": 300, "within the page": 2_000}
"""So many bytes of an answer come through. A browser takes a head that is cut off for an answer without a page."""


class Stairwell:
    """Passes connections to `behind`, and, while it is `deep`, no more than the first `most` bytes of what comes back."""

    def __init__(self, behind: int, most: int) -> None:
        self.deep = threading.Event()
        self.torn = 0
        self._behind = behind
        self._most = most
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._behind))
                threading.Thread(target=self._join, args=(near, far), daemon=True).start()

    def _join(self, near: socket.socket, far: socket.socket) -> None:
        back = threading.Thread(target=self._pass, args=(far, near, True), daemon=True)
        back.start()
        self._pass(near, far, False)
        back.join()
        near.close()
        far.close()

    def _pass(self, one: socket.socket, other: socket.socket, back: bool) -> None:
        left = self._most
        with contextlib.suppress(OSError):
            while piece := one.recv(65536):
                if back and self.deep.is_set():
                    other.sendall(piece[:left])
                    left -= len(piece)
                    if left <= 0:
                        self.torn += 1
                        break
                else:
                    other.sendall(piece)
        for sock in (one, other):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


@pytest.fixture(params=WHERE)
def stairwell(request: pytest.FixtureRequest, running: Console) -> Iterator[Stairwell]:
    made = Stairwell(int(running.address.rpartition(":")[2]), WHERE[request.param])
    yield made
    made.close()


def test_a_page_that_was_kept_outlives_an_answer_that_is_cut_off(
    chromium: Browser, running: Console, stairwell: Stairwell
) -> None:
    case = case_of(running)
    context = phone(chromium, running)  # a login's cookie is the host's, on all its ports
    page = opened(context, f"http://127.0.0.1:{stairwell.port}/w/cases/{case.id}")
    stairwell.deep.set()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # a look at the phone: it asks at once
    expect(page.locator("#offline")).to_contain_text("没有网络", timeout=30_000)
    page.reload()
    expect(page.get_by_text(case.place.text, exact=True)).to_be_visible()
    torn = stairwell.torn
    assert torn >= 2, "the look and the reload"
    context.set_offline(True)
    page.reload()
    expect(page.locator("#offline")).to_contain_text("没有网络")
    expect(page.get_by_text(case.place.text, exact=True)).to_be_visible()
    context.close()
