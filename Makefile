# Gridcall: `make demo` shows it, `make test` proves it, `make check` judges the code, `make bench` measures.
PYTHON ?= python3
BENCH ?= --list
# What is asked when tests have failed: docs/decisions/0096
AGAIN ?= false
export PYTHON
unexport PYTHONDONTWRITEBYTECODE # every start of every program would compile all of Gridcall again

.PHONY: demo test test-together test-alone check bench lock clean

demo:
	@deploy/prepare.sh demo
	@exec .venv/bin/gridcall demo

test: test-together test-alone

test-together:
	@deploy/prepare.sh dev
	@deploy/test-services.sh
	.venv/bin/pytest -n 3 --no-loadscope-reorder --durations 25 -m "not alone" || { [ $$? = 1 ] && $(AGAIN); }

test-alone:
	@deploy/prepare.sh dev
	@deploy/test-services.sh
	.venv/bin/pytest -m alone tests/system

check:
	@deploy/prepare.sh dev
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	.venv/bin/python -m tests.house

# make bench BENCH=spine; alone it lists them
bench:
	@deploy/prepare.sh dev
	@deploy/test-services.sh
	.venv/bin/python -m tests.bench $(BENCH)

# After a change of dependencies in pyproject.toml
lock:
	@deploy/prepare.sh dev
	.venv/bin/pip install --quiet uv
	for extra in edge server demo dev; do \
	  .venv/bin/uv pip compile --quiet pyproject.toml --extra $$extra --group build --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-annotate --upgrade --output-file requirements/$$extra.txt || exit 1; \
	done

clean:
	rm -rf .venv gridcall-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
