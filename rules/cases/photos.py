"""Photos of cases: files in a folder, named by their hash. The database holds a name, a size and a sort, never a picture.

A file is whole or not there; the same picture twice is one file. What is in it beside the picture (where a phone was) stays as it came.
"""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rules.cases.picture import NoPicture, measured, sort_of
from rules.records import Photo

MOST_BYTES = 8 * 2**20
"""More than any phone of today makes at the size that the pages ask for."""


class PhotoRefused(ValueError):
    """It is no picture that we keep; the word says why: "too-large", or one of `rules.cases.picture`."""


@dataclass(frozen=True, slots=True)
class PhotoFolder:
    """Where they lie."""

    folder: Path

    def keep(self, content: bytes) -> Photo:
        """Put a picture away, durably. Raises PhotoRefused, and OSError when there is no room."""
        photo = described(content)
        path = self._path(photo)
        if path.exists():
            return photo
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
        return photo

    def find(self, sha256: str) -> Photo | None:
        """The picture of that name. Raises PhotoRefused for what can be no name."""
        try:
            content = self._path(Photo(sha256, 0, "")).read_bytes()
            return Photo(sha256, len(content), sort_of(content))
        except NoPicture as error:
            raise PhotoRefused(str(error)) from error
        except FileNotFoundError:
            return None

    def content(self, photo: Photo) -> bytes | None:
        """None when it is no longer there, or no longer what it was."""
        try:
            found = self._path(photo).read_bytes()
        except FileNotFoundError:
            return None
        return found if hashlib.sha256(found).hexdigest() == photo.sha256 else None

    def remove(self, photo: Photo) -> None:
        """Also one that isn't there any more."""
        self._path(photo).unlink(missing_ok=True)

    def _path(self, photo: Photo) -> Path:
        if len(photo.sha256) != 64 or not set(photo.sha256) <= set("0123456789abcdef"):
            raise PhotoRefused("no-picture")
        return self.folder / photo.sha256[:2] / photo.sha256


def described(content: bytes) -> Photo:
    """What it is, by its own bytes and not by what somebody says. Raises PhotoRefused."""
    if len(content) > MOST_BYTES:
        raise PhotoRefused("too-large")
    try:
        media = sort_of(content)
        measured(content, media)
    except NoPicture as error:
        raise PhotoRefused(str(error)) from error
    return Photo(hashlib.sha256(content).hexdigest(), len(content), media)
