"""`python -m tests.bench NAME …`: measure, one JSON object a line. `--list` names what can be measured.

A bench is a module of this folder with a docstring and `run() -> Iterator[Figure]`. Machines are noisy: compare
ratios within one run, and medians of several.
"""

import importlib
import json
import sys
from pathlib import Path

import structlog

HERE = Path(__file__).parent


def main(words: list[str]) -> int:
    names = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_") and path.stem != "figure")
    if not words or words == ["--list"]:
        for name in names:
            summary = (importlib.import_module(f"tests.bench.{name}").__doc__ or "").split("\n")[0]
            print(f"{name:<12} {summary}")
        return 0
    if unknown := [word for word in words if word not in names]:
        print(f"no bench {unknown[0]}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    for name in words:
        for figure in importlib.import_module(f"tests.bench.{name}").run():
            print(json.dumps({"bench": name, **figure.row()}, ensure_ascii=False), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
