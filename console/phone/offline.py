"""What makes the pages installable and lets them open without a network: manifest, icons, and the worker of the browser."""

import hashlib
import re
from functools import cache
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from console.phone.icon import png
from console.visit import AnyVisit

router = APIRouter()

ICON_SIZES = (192, 512)
_STATIC = Path(str(files("console"))) / "static"


@router.get("/w/manifest.webmanifest")
def manifest(visit: AnyVisit) -> Response:
    """W3C Web Application Manifest. Nothing of it needs a login: browsers ask for it without cookies."""
    words = visit.words
    content = {
        "id": "/w/",
        "name": f"{words('brand')} {words('phone.title')}",
        "short_name": words("brand"),
        "lang": words.language,
        "start_url": "/w/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#f3f4f1",
        "theme_color": "#0f5f5a",
        "icons": [
            {"src": "/static/icon.svg", "sizes": "any", "type": "image/svg+xml"},
            *(
                {"src": f"/w/icon-{size}.png", "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}
                for size in ICON_SIZES
                for purpose in ("any", "maskable")
            ),
        ],
    }
    return JSONResponse(content, media_type="application/manifest+json")


@router.get("/w/icon-192.png")
def small_icon() -> Response:
    return Response(png(192), media_type="image/png")


@router.get("/w/icon-512.png")
def large_icon() -> Response:
    return Response(png(512), media_type="image/png")


@router.get("/w/worker.mjs")
def worker() -> Response:
    """It works for the pages of a login and for those of a link, each with a registration of its own."""
    return Response(_worker(), media_type="text/javascript", headers={"Service-Worker-Allowed": "/"})


@cache
def _worker() -> bytes:
    """With a mark of what it keeps: where that has changed, browsers see a new worker and put the whole set away anew, if it is that very set."""
    script = (_STATIC / "phone/worker.mjs").read_bytes()
    kept = re.findall(rb'^  "/static/([^"]+)",$', script, re.MULTILINE)
    mark = hashlib.sha256(b"".join((_STATIC / name.decode()).read_bytes() for name in kept)).hexdigest()
    return script + f'const MARK = "{mark}";\n'.encode()
