# Two commands on a fresh machine: make demo, make test. Everything lives in .venv; nothing is installed globally.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
SHARE  ?= 1

.PHONY: help demo test check format bench soak figures clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    set up, then run the main job against the built-in local server"
	@echo "make test    set up, then run the tests"
	@echo "make check   formatting, lint, types, import contracts"
	@echo "make format  rewrite the code in the house's format"
	@echo "make bench   the figures of the README, measured here (about 25 minutes)"
	@echo "make soak    the long sizes: simulated histories, crash tests, damage, pace (hours; HISTORIES=n, SHARE=0.1 for a"
	@echo "             tenth of the crash tests, SEEDS=n); make figures puts what was counted into docs/guarantees.md"
	@echo "make clean   remove what the others made"

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "bulkops needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "The module venv is missing. Install it, then call make again:"; \
	  echo "  sudo apt-get install -y python3-venv"; exit 1; }
	@echo "setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-warn-script-location --editable '.[emulator,parquet,report,webhook]' --group dev
	@touch $@

demo: $(READY)
	@$(BIN)/python jobs/demo.py

test: $(READY)
	@$(BIN)/python -m pytest --numprocesses auto --dist worksteal

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)
	$(BIN)/python benchmarks/run.py

# The figures are printed also when something failed.
soak: $(READY)
	@rm -f build/figures.jsonl
	@SOAK=$(SHARE) $(BIN)/python -m tests.simulation --histories $(or $(HISTORIES),1000000)
	@SOAK=$(SHARE) BULKOPS_PACE_SEEDS=$(or $(SEEDS),20) \
	  $(BIN)/python -m pytest --numprocesses auto --dist worksteal --timeout 0 tests/crash tests/security tests/checkpoint tests/e2e/test_e2e_disks.py \
	  tests/e2e/test_e2e_browser.py tests/e2e/test_e2e_undo.py tests/e2e/test_e2e_migrating.py tests/e2e/test_e2e_replace.py \
	  tests/e2e/test_e2e_language_killed.py tests/e2e/test_e2e_listen_killed.py tests/pace/test_pace_figures.py \
	  && SOAK=$(SHARE) $(BIN)/python -m pytest --numprocesses auto --dist worksteal --timeout 0 -m hypothesis; code=$$?; \
	  $(BIN)/python -m tests.crash.crash_figures; exit $$code

# What was counted last, into the page that tells of it.
figures: $(READY)
	@$(BIN)/python -m tests.crash.crash_figures docs/guarantees.md

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache demo
