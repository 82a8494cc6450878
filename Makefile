# Two commands do all: `make demo` and `make test`. Both create the environment they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := $(shell find src fixtures/kansas -type f -not -name '*.pyc') hatch_build.py pyproject.toml README.md LICENSE

.PHONY: demo test test-slow test-full sanitize lint bench bench-full schema lock clean
.DEFAULT_GOAL := test

# What the tool itself needs, and what builds its wheel.
$(VENV)/.runtime: requirements/run.lock
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements/run.lock
	@touch $@

# The libraries of the tests write every format that there is: they are many.
$(VENV)/.locked: requirements/dev.lock $(VENV)/.runtime
	$(PIP) install --require-hashes -r requirements/dev.lock
	@touch $@

# Demo and tests run the built wheel, never the source tree.
$(VENV)/.wheel: $(VENV)/.runtime $(SOURCES)
	@rm -rf dist
	$(BIN)/python -m hatchling build -t wheel >/dev/null
	$(PIP) install --no-deps --force-reinstall dist/*.whl
	@touch $@

demo: $(VENV)/.wheel
	@rm -rf .kfm-demo
	@$(BIN)/kfm-repro demo .kfm-demo

# More workers than cores: a good part of a replay is waiting.
PYTEST := $(BIN)/python -m pytest -n 3 --dist worksteal

test: $(VENV)/.locked $(VENV)/.wheel
	$(PYTEST) -m "not slow and not full"

# What CI runs besides: rebuilt environments, containers, odd files and folders.
test-slow: $(VENV)/.locked $(VENV)/.wheel
	$(PYTEST) -m slow

test-full: $(VENV)/.locked $(VENV)/.wheel
	$(BIN)/python -m pytest -m "slow or full or not full" -s

# Part of `make test` as well.
sanitize: $(VENV)/.locked $(VENV)/.wheel
	$(BIN)/python -m pytest tests/unit/execute/perturb/test_sanitizers.py

lint: $(VENV)/.locked $(VENV)/.wheel
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

BENCH := $(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-columns=median,iqr,rounds

bench: $(VENV)/.locked $(VENV)/.wheel
	$(BENCH)

# Ten times as many runs, files and entries; takes about 16 GB of memory and disk.
bench-full: $(VENV)/.locked $(VENV)/.wheel
	KFM_BENCH_SCALE=10 $(BENCH)

schema: $(VENV)/.locked $(VENV)/.wheel
	$(BIN)/python docs/generate.py

COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

lock:
	$(COMPILE) --upgrade --group dev pyproject.toml -o requirements/dev.lock
	$(COMPILE) --group build -c requirements/dev.lock pyproject.toml -o requirements/run.lock

clean:
	rm -rf $(VENV) dist .kfm-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
