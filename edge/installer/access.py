"""Who may use a port or a folder: the service's own user, whoever asks. To root all is open, and it is not root who runs the agent."""

import os
import pwd
from pathlib import Path

SERVICE = "gridcall"
"""The user of deploy/systemd/gridcall@.service."""
SETTINGS = Path("/etc/gridcall")
"""Where that unit finds its configuration."""
_READ_WRITE = 0o6


def user_meant(asking: int, service: str = SERVICE, file: Path | None = None) -> str:
    """Whose rights count when the user `asking` asks: the service's if that is root and the service has one; empty: his own.

    Of a configuration in `file` they are his own, too, where it is neither the service's nor where its unit looks: a demo of root's, say.
    """
    if asking != 0:
        return ""
    try:
        its = pwd.getpwnam(service).pw_uid
    except KeyError:
        return ""
    elsewhere = file is not None and file.resolve().parent != SETTINGS and file.stat().st_uid != its
    return "" if elsewhere else service


def may_use(path: Path, user: str) -> bool:
    """Whether `user` may read and write what lies at `path`; without one, whoever runs this."""
    if not user:
        return os.access(path, os.R_OK | os.W_OK)
    try:
        found, who = path.stat(), pwd.getpwnam(user)
    except OSError:
        return False
    if found.st_uid == who.pw_uid:
        rights = found.st_mode >> 6
    elif found.st_gid in os.getgrouplist(user, who.pw_gid):
        rights = found.st_mode >> 3
    else:
        rights = found.st_mode
    return rights & _READ_WRITE == _READ_WRITE
