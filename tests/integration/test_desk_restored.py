"""The database is set back to a backup while pages of the desk are open: they show what it holds now, not what it held."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import make_url

from tests.integration.console_filling import Console, console
from tests.integration.test_console_browser import Window, chromium

__all__ = ["chromium"]
pytestmark = pytest.mark.needs("chromium")


def file_of(running: Console) -> Path:
    return Path(make_url(running.block.config.database).database or "")


def back_up(file: Path, to: Path) -> None:
    with closing(sqlite3.connect(file)) as live, closing(sqlite3.connect(to)) as copy:
        live.backup(copy)


def restore(backup: Path, file: Path) -> None:
    """As somebody does while the engine is stopped."""
    for more in ("-wal", "-shm"):
        file.with_name(file.name + more).unlink(missing_ok=True)
    os.replace(backup, file)


def test_pages_that_are_open_follow_a_database_that_was_set_back(chromium: Browser, tmp_path: Path) -> None:
    with console(tmp_path) as running:
        context = chromium.new_context(locale="en-GB")
        feed = Window(context.new_page(), running.address)
        feed.log_in()
        kept = running.block.raise_alarm("gas-1")
        assert kept.case
        running.stop_the_engine()
        back_up(file_of(running), tmp_path / "backup.db")
        running.block.desk.accept(kept.case.id, actor="lin", at_ms=running.block.now_ms)
        lost = running.block.raise_alarm("gas-2")
        case = context.new_page()
        case.goto(f"{running.address}/cases/{kept.case.id}")
        expect(case.locator("[data-part=head]")).to_contain_text("林小梅")
        expect(feed.page.locator(f"#rows > li[data-id='{lost.id}']")).to_be_visible(timeout=5000)
        restore(tmp_path / "backup.db", file_of(running))
        expect(feed.page.locator(f"#rows > li[data-id='{lost.id}']")).to_have_count(0, timeout=5000)
        expect(feed.page.locator("#rows > li")).to_have_count(1)
        expect(case.locator("[data-part=head]")).not_to_contain_text("林小梅", timeout=5000)
        context.close()
