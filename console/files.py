"""What pages load, known to browsers by its content: a release whose files have the size and the time of the one before, as reproducible builds
have, is another one all the same."""

import hashlib
import os
from pathlib import Path

from fastapi.staticfiles import StaticFiles
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse
from starlette.types import Scope


class Files(StaticFiles):
    """A folder. No answer says when a file was made: nobody shall ask by that."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        tag = f'"{hashlib.sha256(Path(full_path).read_bytes()).hexdigest()[:32]}"'
        response = FileResponse(full_path, status_code, {"etag": tag}, stat_result=stat_result)
        del response.headers["last-modified"]
        asked = dict(scope["headers"]).get(b"if-none-match", b"").decode("latin-1")
        known = {one.strip().removeprefix("W/") for one in asked.split(",")}
        return NotModifiedResponse(response.headers) if tag in known else response
