"""Whose a file is: who meets one that he may not open is told whom to ask, or to become."""

import os
import pwd
from pathlib import Path


def other_owner(path: Path) -> str:
    """Who else has it, or the nearest folder above it that may be looked at; empty if it is this user's own, or nobody's by name."""
    for each in (path.absolute(), *path.absolute().parents):
        try:
            owner = each.stat().st_uid
        except OSError:
            continue
        try:
            return "" if owner == os.geteuid() else pwd.getpwuid(owner).pw_name
        except KeyError:
            return ""
    return ""
