"""The console as a process: its stream over real connections that break, its end, and what it says of wrong settings."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from console import server
from rules.records import Position
from tests import programs
from tests.console.block import PASSWORD, settings
from tests.console.browsing import hidden
from tests.integration.console_filling import NAME, Console, console
from tests.services import ROOT, free_port

STREAM = {"accept": "text/event-stream", "accept-language": "en"}
PATIENCE_S = 10


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Console]:
    with console(tmp_path) as started:
        yield started


@pytest.fixture
def browser(running: Console) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.address, timeout=PATIENCE_S) as client:
        token = hidden(client.get("/login").text, "token")
        client.post("/login", data={"token": token, "name": NAME, "password": PASSWORD})
        yield client


def messages(answer: httpx.Response) -> Iterator[tuple[str, Position | None, dict[str, Any]]]:
    """Event, number and content of each message. A line that never ends is no message."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields.get("event", "begin") not in ("begin", "end"):
            yield fields["event"], Position.parse(fields.get("id", "")), json.loads(fields["data"])
            fields = {}
        else:
            fields = {}


@contextlib.contextmanager
def stream(
    browser: httpx.Client, last: Position | None
) -> Iterator[Iterator[tuple[str, Position | None, dict[str, Any]]]]:
    headers = STREAM | ({"last-event-id": str(last)} if last is not None else {})
    with browser.stream("GET", "/feed", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield messages(answer)


def test_a_reader_whose_connection_breaks_again_and_again_misses_nothing_and_hears_nothing_twice(
    running: Console, browser: httpx.Client
) -> None:
    last: Position | None = running.block.desk.position()
    raised: list[str] = []
    heard: list[str] = []
    for round_ in range(5):
        with stream(browser, last) as feed:
            raised += [running.block.raise_alarm(f"live-{round_}-{number}").id for number in range(3)]
            while len(heard) < len(raised):
                event, number, content = next(feed)
                assert event in ("step", "beat")
                if event == "step":
                    heard += [entry["id"] for entry in content["now"]]
                    last = number
        raised.append(running.block.raise_alarm(f"gap-{round_}").id)
    with stream(browser, last) as feed:
        while len(heard) < len(raised):
            event, number, content = next(feed)
            if event == "step":
                heard += [entry["id"] for entry in content["now"]]
    assert sorted(heard) == sorted(raised)


def test_after_a_restart_of_the_console_the_reader_gets_the_whole_list(running: Console, browser: httpx.Client) -> None:
    before = running.block.raise_alarm("before")
    last = running.block.desk.position()
    running.service.kill()
    meanwhile = running.block.raise_alarm("meanwhile")
    running.service.start()
    with stream(browser, last) as feed:
        event, number, content = next(feed)
        while event == "beat":
            event, number, content = next(feed)
    entries = content["all"] if event == "list" else content["now"]
    assert {before.id, meanwhile.id} >= {entry["id"] for entry in entries} >= {meanwhile.id}
    assert number == running.block.desk.position()


def test_an_alarm_is_in_the_open_page_within_300_ms_of_its_commit(running: Console, browser: httpx.Client) -> None:
    delays_ms = []
    with stream(browser, running.block.desk.position()) as feed:
        next(feed)
        for number in range(10):
            running.block.raise_alarm(f"d-{number}")
            committed_s = time.monotonic()
            while next(feed)[0] != "step":
                pass
            delays_ms.append((time.monotonic() - committed_s) * 1000)
    assert sorted(delays_ms)[5] < 300, delays_ms


def test_a_beat_comes_every_second(running: Console, browser: httpx.Client) -> None:
    beats: list[int] = []
    with stream(browser, None) as feed:
        while len(beats) < 4:
            event, _, content = next(feed)
            if event == "beat":
                beats.append(content["beat_ms"])
    assert all(900 <= later - earlier <= 2000 for earlier, later in pairwise(beats[1:]))


def test_logging_out_elsewhere_ends_the_open_stream(running: Console, browser: httpx.Client) -> None:
    token = hidden(browser.get("/").text, "token")
    with stream(browser, None) as feed:
        next(feed)
        browser.post("/logout", data={"token": token})
        for _ in feed:
            pass
    assert browser.get("/feed", headers=STREAM).status_code == 401


def test_a_reader_that_reads_nothing_holds_up_nobody(running: Console, browser: httpx.Client) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    with contextlib.closing(socket.socket()) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", running.service.port))
        deaf.sendall(f"GET /feed HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\n\r\n".encode())
        with stream(browser, running.block.desk.position()) as feed:
            next(feed)
            for number in range(20):
                alarm = running.block.raise_alarm(f"d-{number}", place="很长的地址" * 30)
                assert any(event == "step" and content["now"][-1]["id"] == alarm.id for event, _, content in feed)


def test_an_answer_without_chunks_holds_messages_and_nothing_else(running: Console, browser: httpx.Client) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    with contextlib.closing(socket.create_connection(("127.0.0.1", running.service.port), PATIENCE_S)) as old:
        old.sendall(f"GET /feed HTTP/1.0\r\nHost: 127.0.0.1\r\nCookie: {cookies}\r\n\r\n".encode())
        lines = old.makefile("rb")
        while lines.readline() != b"\r\n":
            pass
        for _ in range(3):
            while (line := lines.readline()) != b"event: beat\n":
                assert line.partition(b": ")[0] in (b"retry", b"id", b"event", b"data", b"\n"), line


def test_a_page_that_reads_nothing_any_more_loses_its_connection(running: Console, browser: httpx.Client) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    process = running.service.process
    assert process
    with contextlib.closing(socket.socket()) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", running.service.port))
        deaf.sendall(f"GET /feed HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\n\r\n".encode())
        ours = deaf.getsockname()

        def connected() -> bool:
            return any(one.raddr == ours for one in psutil.Process(process.pid).net_connections("tcp"))

        until_s = time.monotonic() + 2 * server.DEAF_MS / 1000 + PATIENCE_S
        number = 0
        while connected():
            assert time.monotonic() < until_s, "what it does not read is kept for it"
            if number < 20:
                running.block.raise_alarm(f"d-{number}", place="很长的地址" * 30)
                number += 1
            else:
                time.sleep(0.1)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_with_a_page_open_it_stops_at_once_and_the_page_hears_the_end(
    running: Console, browser: httpx.Client, sign: int
) -> None:
    process = running.service.process
    assert process
    with stream(browser, None) as feed:
        next(feed)
        process.send_signal(sign)
        for _ in feed:  # ends without an error: the last chunk came
            pass
    assert process.wait(5) == 130
    assert "Traceback" not in running.service.log.read_text()


def test_without_its_database_it_waits_and_says_so_once(tmp_path: Path) -> None:
    path = settings(tmp_path, free_port())
    (tmp_path / "rules.db").mkdir()  # nothing that can be opened
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-m", "gridcall", "console", "run", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stderr
        assert "the rules' database is away" in process.stderr.readline()
        (tmp_path / "rules.db").rmdir()
        assert "the rules' database is there" in process.stderr.readline()
        assert "nobody may log in yet" in process.stderr.readline()
        assert "the console is open" in process.stderr.readline()
        process.terminate()
        process.wait(10)


def command(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return programs.run("console", *words, given=given)


def test_a_port_that_is_taken_ends_with_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = command("run", str(settings(tmp_path, port)))
    assert ended.returncode == 2
    assert ended.stderr == f"gridcall: listen: 127.0.0.1:{port}: Address already in use\n"


def test_accounts_are_made_listed_and_removed_by_command(tmp_path: Path) -> None:
    config = str(settings(tmp_path))
    (tmp_path / "secret").write_text("from a file, please\n")
    assert command("user", "add", config, "chen", "--password-file", str(tmp_path / "secret")).returncode == 0
    assert (
        command("user", "add", config, "王建国", "--role", "worker", given="typed it in\ntyped it in\n").returncode == 0
    )
    assert command("user", "list", config).stdout == "chen\toperator\teverywhere\n王建国\tworker\teverywhere\n"
    assert command("user", "remove", config, "chen").returncode == 0
    assert command("user", "list", config).stdout == "王建国\tworker\teverywhere\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("remove", "nobody"), "no account 'nobody'"),
        (("add", "chen", "--role", "king", "--password-file", "secret"), "--role: one of worker, operator,"),
        (("add", "chen", "--password-file", "nowhere"), "nowhere: no password can be read"),
        (("add", "chen", "--password-file", "short"), "a password has 10 to 200 characters"),
    ],
)
def test_a_wrong_account_ends_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    config = settings(tmp_path)
    (tmp_path / "secret").write_text("a good password\n")
    (tmp_path / "short").write_text("short\n")
    monkeypatch.chdir(tmp_path)
    ended = command("user", words[0], str(config), *words[1:])
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"gridcall: {message}")
    assert ended.stderr.count("\n") == 1
