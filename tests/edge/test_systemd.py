"""What a service manager hears."""

import os
import socket
from pathlib import Path

import gridcall
from edge.systemd import ServiceManager


def test_it_hears_ready_reloading_alive_and_stopping(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        manager = ServiceManager.of({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"})
        manager.starting(60)
        manager.ready("3 devices")
        manager.reloading(42)
        manager.alive()
        manager.stopping()
        words = [heard.recv(200).decode() for _ in range(5)]
    assert words.pop(0) == "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=opening the outbox"
    assert words == ["READY=1\nSTATUS=3 devices", "RELOADING=1\nMONOTONIC_USEC=42", "WATCHDOG=1", "STOPPING=1"]
    assert manager.watchdog_s == 30


def test_a_name_that_begins_with_an_at_is_an_abstract_one() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0gridcall-test-{os.getpid()}")
        ServiceManager.of({"NOTIFY_SOCKET": f"@gridcall-test-{os.getpid()}"}).alive()
        assert heard.recv(200) == b"WATCHDOG=1"


def test_without_systemd_nothing_happens() -> None:
    for environment in ({}, {"NOTIFY_SOCKET": "/nowhere/at/all"}, {"WATCHDOG_USEC": "soon"}):
        manager = ServiceManager.of(environment)
        manager.ready("")
        assert manager.watchdog_s is None


def test_a_watchdog_of_another_process_is_none_of_ours() -> None:
    assert ServiceManager.of({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).watchdog_s is None


def test_a_stop_is_no_failure_and_a_wrong_setting_no_reason_to_start_again() -> None:
    unit = (Path(gridcall.__file__).parent / "deploy/systemd/gridcall@.service").read_text()
    assert f"\nSuccessExitStatus={gridcall.INTERRUPTED}\n" in unit
    assert f"\nRestartPreventExitStatus={gridcall.WRONG_SETTING}\n" in unit
