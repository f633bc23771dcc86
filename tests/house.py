"""The rules of the house that no linter knows: `python -m tests.house`, part of `make check`."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOSTS = re.compile(r"https?://(?!127\.0\.0\.1|localhost|www\.w3\.org/|www\.apache\.org/licenses)[\w.-]+")


def main() -> int:
    """Print what is against the rules; 1 if anything is."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    complaints = [
        complaint
        for name in files
        if name and (ROOT / name).is_file()
        for rule in (
            _locks_name_no_host,
            _pages_load_nothing_from_outside,
            _packages_have_an_init,
            _init_is_a_docstring,
        )
        for complaint in rule(name)
    ]
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


def _locks_name_no_host(name: str) -> list[str]:
    if not name.startswith("requirements/"):
        return []
    text = (ROOT / name).read_text()
    return [f"{name}: names a host: {found}" for found in re.findall(r"https?://\S+|--(?:extra-)?index-url.*", text)]


def _pages_load_nothing_from_outside(name: str) -> list[str]:
    if not name.startswith("console/") or Path(name).suffix not in {".html", ".mjs", ".css", ".js", ".svg"}:
        return []
    text = (ROOT / name).read_text(encoding="utf-8")
    outside = [f"{name}: names an address outside: {found}" for found in HOSTS.findall(text)]
    inline = re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|<style|\son\w+=", text) if name.endswith(".html") else None
    return outside + ([f"{name}: inline script or style, which the policy forbids: {inline[0]}"] if inline else [])


def _packages_have_an_init(name: str) -> list[str]:
    folder = Path(name).parent
    if not name.endswith(".py") or folder == Path() or folder.parts[0] == "tests":
        return []
    return [] if (ROOT / folder / "__init__.py").is_file() else [f"{folder}: a package without __init__.py"]


def _init_is_a_docstring(name: str) -> list[str]:
    if Path(name).name != "__init__.py":
        return []
    text = (ROOT / name).read_text(encoding="utf-8").strip()
    return (
        []
        if text.startswith('"""') and text.count('"""') == 2 and text.endswith('"""')
        else [f"{name}: more than a docstring"]
    )


if __name__ == "__main__":
    sys.exit(main())
