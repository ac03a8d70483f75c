# Needs Python 3.11+ and make, nothing else. `make help` lists what there is.
# The system's own first: distributions build theirs with optimizations, and it answers with a fifth less of the processor
# than one that was compiled without. It counts only where it can make environments (Debian: python3.11-venv).
PYTHON ?= $(shell /usr/bin/python3.11 -c 'import ensurepip' 2>/dev/null && echo /usr/bin/python3.11 || command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=
DRILL_ARGS ?=
.DEFAULT_GOAL := help
.PHONY: help demo up test check generate gen-langgraph-json bench drill faults db-stop install install-dev

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## make .venv with the locked packages

install-dev: $(VENV)/.installed-dev ## the same with the tools for tests and checks

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

# The stamps hold the lock's digest: a checkout that only touched the file installs nothing.
$(VENV)/.installed: requirements.lock | $(VENV)/bin/python
	@$(call locked,$@,$<)

$(VENV)/.installed-dev: requirements-dev.lock | $(VENV)/bin/python
	@$(call locked,$@,$<)

define locked
digest=$$($(BIN)/python -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' $(2)); \
if [ "$$(cat $(1) 2>/dev/null)" = "$$digest" ]; then touch $(1); else \
echo "installing $(2)" && $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(2) \
&& echo "$$digest" > $(1); fi
endef

demo: install ## start everything, send real actions through it, keep serving until Ctrl-C
	@exec $(BIN)/python -m platform_site.up --demo --with-parent

up: install ## start everything and keep serving until Ctrl-C
	@exec $(BIN)/python -m platform_site.up --with-parent

# Suites that kill processes for minutes have commands of their own. Two test processes: each starts servers of its own,
# and four took longer on two cores.
SLOW := tests/faults tests/faults_traces tests/drill

test: install-dev ## every test but those of `make faults` and `make drill` (PYTEST_ARGS=… for more)
	@echo "left to make faults and make drill, for they kill processes for minutes: $(SLOW)"
	@exec $(BIN)/python -m pytest -n 2 --dist loadgroup $(SLOW:%=--ignore=%) $(PYTEST_ARGS)

check: install-dev ## lint, types, import arrows, migrations, generated files
	@exec $(BIN)/python -m platform_site.check

generate: install ## write the generated files that are committed
	@exec $(BIN)/python -m platform_site.check --write

gen-langgraph-json: install ## write fleet/langgraph.json from the registry (ARGS='--pool EMAIL' for one pool, to the screen)
	@exec $(BIN)/python manage.py gen_langgraph_json $(ARGS)

bench: install-dev ## measure, beside the peers that are there (PEERS=1 installs them below .data)
	@for file in bench/*_bench.py; do PEERS=$(PEERS) $(BIN)/python -m bench.$$(basename $$file .py) || exit 1; done

drill: install ## blast radius: kill, hang, fail and block one flooded pool, measure the others (DRILL_ARGS="--role all")
	@exec $(BIN)/python manage.py drill $(DRILL_ARGS)

# Clocks that jump and change are part of it, though `make test` runs them too: they take seconds.
FAULTS := tests/faults tests/faults_traces tests/campaigns/test_engine.py tests/campaigns/test_schedule.py

faults: install-dev ## kill real processes and count what was lost; plant faults and find them (FAULTS_KILLS=N, FAULT_TRACES=N, FAULTS=file for a slice)
	@FAULTS_KILLS=$${FAULTS_KILLS:-200} FAULT_TRACES=$${FAULT_TRACES:-100} CLEAN_TRACES=$${CLEAN_TRACES:-500} CLEAN_AT_DOOR=$${CLEAN_AT_DOOR:-10000} exec $(BIN)/python -m pytest $(FAULTS) $(PYTEST_ARGS)

db-stop: install ## stop the embedded PostgreSQL of this checkout
	@exec $(BIN)/python -m platform_site.pg stop
