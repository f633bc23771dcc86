"""The developer's environment holds more than a Pi's or a server's: only the locks say what those will have."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
OURS = {"gridcall", "messages", "edge", "collector", "rules", "console", "simulators", "deploy"}
EXTRAS = {"osdp_sys", "quickjs", "gpiod"}
"""A Pi may lack them: what needs them says so."""
LOCKS = {
    "edge": ("messages", "edge", "deploy"),
    "server": ("messages", "collector", "rules", "console", "deploy"),
    "demo": ("messages", "edge", "collector", "rules", "console", "simulators", "deploy"),
}


@pytest.mark.parametrize("lock", LOCKS)
def test_what_a_program_imports_is_in_the_lock_that_a_user_installs(lock: str) -> None:
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / f"requirements/{lock}.txt").read_text(), re.MULTILINE))
    sources = packages_distributions()
    absent = {
        f"{module} ({path.relative_to(ROOT)})"
        for folder in LOCKS[lock]
        for path in (ROOT / folder).rglob("*.py")
        for module in _foreign(path)
        if not locked & {re.sub(r"[-_.]+", "-", name).lower() for name in sources.get(module, ())}
    }
    assert not absent


def _foreign(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        else:
            continue
        yield from {name.split(".")[0] for name in names} - OURS - EXTRAS - set(sys.stdlib_module_names)
