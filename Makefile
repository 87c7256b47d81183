# `make` lists what there is. Everything runs in .venv, which is made when it is missing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv

.DEFAULT_GOAL := help
.PHONY: help setup run test fuzz check fmt lint types lock docs histories clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(UV):
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv

$(VENV)/.local: $(UV) requirements/local.txt pyproject.toml
	@test -e $(VENV)/.dev || $(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/local.txt
	@test -e $(VENV)/.dev || $(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(UV) requirements/dev.txt pyproject.toml
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@ $(VENV)/.local

setup: $(VENV)/.dev ## Install everything for development

run: $(VENV)/.local ## Run the whole product on this machine; Ctrl-C stops it
	@exec $(BIN)/cuebook dev

test: $(VENV)/.dev ## Run all tests, on SQLite and on PostgreSQL
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

fuzz: $(VENV)/.dev ## Send the API far more than `make test` does; takes half an hour
	CUEBOOK_FUZZ_EXAMPLES=100 $(BIN)/python -m pytest --numprocesses 2 tests/reliability/test_schemathesis.py

check: $(VENV)/.dev ## Do all that CI does: format, lint, imports, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(MAKE) test

fmt: $(VENV)/.dev ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(UV) ## Resolve the requirements anew
	cd requirements && for name in base local dev; do \
	  ../$(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-header \
	    --quiet $$name.in --output-file $$name.txt || exit 1; \
	done

docs: $(VENV)/.dev ## Write the generated pages
	$(BIN)/python -m docs.generate
	$(BIN)/python -m docs.record

histories: $(VENV)/.dev ## Record the workflow histories that the tests replay
	$(BIN)/python -m tests.replay.record

clean: ## Forget the virtual environment and the databases of `make run`
	rm -rf $(VENV) .cuebook
