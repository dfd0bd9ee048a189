# The project's commands. `make help` prints them.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
HOME_DIR ?= build/home
ROWS   ?= 1000000

.DEFAULT_GOAL := help
.PHONY: help setup run up down test test-slow test-all quick check lint types layers reference describe pictures changelog bench bench-growth demo-data lock clean

help:  ## print the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 14

setup: $(STAMP)  ## make .venv with everything in requirements.lock

# pip's lines become a few that count: minutes without a word look like a fault.
PACKAGES = $(shell grep -c '^[a-z0-9]' requirements.lock)
$(STAMP): SHELL := bash
$(STAMP): requirements.lock pyproject.toml
	@echo "Setting up $(VENV), once: $(PACKAGES) packages, some minutes, 1.6 GB of disk"
	@$(PYTHON) -m venv $(VENV)
	@set -o pipefail; $(BIN)/python -u -m pip install --disable-pip-version-check --progress-bar off --require-hashes --no-deps \
	  -r requirements.lock | awk -v all=$(PACKAGES) ' \
	    /^(Collecting|Processing) / && ++n % 10 == 0 {print "  " n " of " all " packages fetched"; fflush()} \
	    /^Installing collected/ {print "  all fetched; unpacking"; fflush()}'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
	@echo "Ready: $(BIN)/chengxin"

# Through an Airflow of its own, whose pages stay up until Ctrl-C. ONCE=1: end when published. ASK=1: approve in the pages
# yourself. AIRFLOW=0: the same work by the command line alone.
AIRFLOW ?= 1
run: setup  ## the main job: demo deliveries of all departments -> published snapshot; ONCE=1, ASK=1, AIRFLOW=0
ifeq ($(AIRFLOW),0)
	$(BIN)/chengxin --home $(HOME_DIR) demo
else
	$(BIN)/chengxin --home $(HOME_DIR) demo --airflow $(if $(filter-out 0,$(ONCE)),--once) $(if $(filter-out 0,$(ASK)),--ask)
endif

up:  ## the stack of docker-compose.yml: build, start, wait until healthy
	deploy/stack up

down:  ## stop the stack; its volumes stay
	deploy/stack down

demo-data: setup  ## only make the demo deliveries
	$(BIN)/chengxin --home $(HOME_DIR) demo-data

PYTEST = $(BIN)/python -m pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder
TESTERS ?= 3
test: setup  ## promises that two CPU seconds show, and one of each other sort: ten to fifteen minutes on two cores; TESTERS=n
	$(PYTEST)

test-slow: setup  ## the tests that `make test` leaves out: kills, soaks, more cases, the stack as processes, the whole walk
	$(PYTEST) -m slow

test-all: test test-slow  ## both

# The layers of a change: what differs from BASE below plugins/chengxin/ or tests/, where tests of that name exist.
BASE ?= HEAD
CHANGED = $(shell git diff --name-only $(BASE) -- plugins/chengxin tests | sed -nE 's,^(plugins/chengxin|tests)/([a-z_]+)/.*,\2,p' | sort -u)
UNIT    = $(filter-out tests/end_to_end tests/architecture,$(wildcard $(CHANGED:%=tests/%)))
quick: setup lint types layers  ## lint, types, layers and the unit tests of changed layers; BASE=commit
	$(if $(UNIT),$(PYTEST) -m 'not slow and not server and not airflow' $(UNIT),@echo "no unit tests of a changed layer")

check: setup lint types layers reference test  ## what CI runs first

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

layers:
	$(BIN)/lint-imports

DESCRIBED = contracts connectors
reference: setup  ## generated reference pages are up to date
	@for layer in $(DESCRIBED); do $(BIN)/python -m chengxin.$$layer.describe --check || exit 1; done

describe: setup  ## write the generated reference pages
	@for layer in $(DESCRIBED); do $(BIN)/python -m chengxin.$$layer.describe || exit 1; done

pictures: setup  ## take the pictures of the documents anew: the demo under Airflow in a browser, some minutes
	$(BIN)/python bench/pictures.py

changelog:  ## print the section of the next release, from changelog.d/
	@for type in added changed deprecated removed fixed security; do \
	  files=$$(ls changelog.d/*.$$type.md 2>/dev/null) || continue; \
	  printf '### %s\n\n' "$$(echo $$type | sed 's/./\U&/')"; cat $$files; echo; \
	done

bench: setup  ## ratios measured side by side; ROWS=n
	$(BIN)/python bench/run.py --rows $(ROWS)

BATCHES ?= 30000
SUBJECTS ?= 1000000
bench-growth: setup  ## whether a small batch costs more on a home that has grown; BATCHES=n, SUBJECTS=n
	$(BIN)/python bench/growth.py --batches $(BATCHES) --subjects $(SUBJECTS)

lock:  ## resolve pyproject.toml again; no index address is ever written
	uv pip compile pyproject.toml --extra dev --generate-hashes --no-header --no-annotate --python-version 3.11 --no-emit-index-url --no-emit-find-links -o requirements.lock

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache
