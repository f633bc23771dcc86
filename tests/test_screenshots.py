"""Every picture in docs is made by `python -m tests.screenshots`, and every picture that the README shows is there."""

import re

from tests.screenshots import FOLDER, PICTURES, WORKER
from tests.services import ROOT


def test_every_picture_of_the_docs_is_made_by_the_one_program() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {one.file for one in PICTURES} | {WORKER}


def test_what_the_readme_shows_is_there() -> None:
    shown = set(re.findall(r"\(docs/screenshots/([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert shown == {one.file for one in PICTURES} | {WORKER}
