# Every target sets up what it needs: the first one on a fresh clone makes .venv from the lock.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.from-lock

.DEFAULT_GOAL := help
.PHONY: help env report example docs proof validation test notebooks mutants lab lint types check-slow bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP) ## make the environment in .venv

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "simlib needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make env PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "$(PYTHON) has no venv module. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

report: env ## write reports/fix-impact-busy-team.html
	$(BIN)/simlib report busy-team

example: env ## write reports/example.html, which is committed, again
	$(BIN)/simlib report busy-team --replicates 40 --out reports/example.html

docs: env ## build the documentation into build/site
	$(BIN)/mkdocs build --strict

proof: env ## write reports/interleavings.html
	$(BIN)/simlib interleave --as report

validation: env ## write reports/validation.html
	$(BIN)/simlib validate --report

test: env ## run the tests
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadfile

check-slow: notebooks ## run the longer checks too
	$(BIN)/python -m pytest -m slow --numprocesses=auto --dist=loadfile

notebooks: env ## run every notebook as a reader does who changes nothing
	$(BIN)/simlib sweep small --out notebooks/sweep-small
	$(BIN)/python -m pytest --nbmake --nbmake-timeout=3600 --numprocesses=auto notebooks

mutants: env ## try wrong lines of a MODULE on its tests (TESTS, COUNT=40, SEED=1)
	$(BIN)/python tests/support/mutants.py $(MODULE) $(if $(TESTS),--tests $(TESTS)) --count $(or $(COUNT),40) --seed $(or $(SEED),1)

lab: env ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab notebooks --LabApp.default_url=/lab/tree/contents.ipynb

lint: env ## ruff, and no import that runs up through the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: env ## mypy --strict
	$(BIN)/mypy --strict simlib

bench: env ## measure speed, as ratios within one run
	$(BIN)/python -m benchmarks $(BENCH)

lock: ## renew requirements.lock (needs uv)
	uv pip compile pyproject.toml --extra dev --extra docs --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links --upgrade --quiet -o requirements.lock

clean: ## remove what the targets made
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache $(filter-out reports/example.html,$(wildcard reports/*.html)) reports/*.ipynb
