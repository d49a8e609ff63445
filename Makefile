# Lotwise: two commands do everything on a fresh machine (Python 3.11, git, make and a package index):
#   make demo   sets up and tells the main story on embedded servers
#   make test   sets up and runs the tests
PYTHON ?= $(shell command -v python3.11 || command -v python3)
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
CODE := edge core dashboards simulators lotwise tests

# compiled modules are kept, whatever the environment says: every command starts three times as fast
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-full check format sparkplug migrations lock clean

help:  ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## Put everything into .venv, as locked

# uv takes the locked files from the public index; where only pip knows the way to an index, pip takes the same versions
$(STAMP): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit("Lotwise needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv sync --quiet --frozen --inexact --compile-bytecode || { \
	  echo "setup: uv could not reach the public index, trying pip's"; \
	  $(BIN)/uv export --quiet --frozen --no-emit-project -o $(VENV)/locked.txt && \
	  $(BIN)/python -m pip install --quiet -r $(VENV)/locked.txt && \
	  $(BIN)/python -m pip install --quiet --no-deps --editable . ; }
	@touch $@

demo: setup  ## The main job on embedded servers and real protocols; stays up until Ctrl-C
	@$(BIN)/lotwise demo

# whole files, the longest first (tests/conftest.py): what a file makes for its tests is made once
TOGETHER := -n 3 --dist loadfile --no-loadscope-reorder

test: setup  ## The tests, three at a time: on two cores one of them waits
	$(BIN)/pytest $(TOGETHER) -q

test-full: setup  ## The tests with their heavy parts in the large form
	LOTWISE_TEST_HEAVY=1 $(BIN)/pytest $(TOGETHER) -q --timeout=1800

check: setup  ## The linters: ruff, mypy, the rooms, the dashboards' JSON
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports
	$(BIN)/python -m dashboards.build --check
	$(BIN)/python -m lotwise.lifecycles --check
	$(BIN)/python -m lotwise.reference --check

format: setup  ## Format and mend what ruff can
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

sparkplug: setup  ## Generate the Sparkplug B code from its .proto
	$(BIN)/python -m grpc_tools.protoc -I core/telemetry/sparkplug --python_out=core/telemetry/sparkplug \
	  --pyi_out=core/telemetry/sparkplug core/telemetry/sparkplug/sparkplug_b.proto
	sed -i '1i # ruff: noqa: A002, I001, RUF023, UP007, UP045' core/telemetry/sparkplug/sparkplug_b_pb2.pyi
	$(BIN)/ruff format core/telemetry/sparkplug/sparkplug_b_pb2.pyi

migrations: setup  ## Write the first migration anew from the tables (until the first release)
	$(BIN)/python -m tests.services.migrations_write

lock: setup  ## Lock the newest versions that pyproject.toml allows
	$(BIN)/uv lock --upgrade --default-index https://pypi.org/simple

clean:  ## Remove what setup and the demo made
	rm -rf $(VENV) .lotwise .mypy_cache .ruff_cache .pytest_cache .hypothesis
