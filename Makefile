# `make test` in a fresh clone is enough: the first target that needs it makes $(VENV).
# With a fresh $(VENV)/.stamp nothing here touches the network.

PYTHON ?= python3
VENV ?= .venv
EXTRAS := database,oidc,otel-otlp,redis,shell,ui,validation
PYTEST_ARGS ?=

EXAMPLE := $(wildcard examples/plugin/pyproject.toml)
NAMES := $(wildcard docs/examples/recipes/pyproject.toml)
STAMP := $(VENV)/.stamp
BORN := $(VENV)/.born
RUN := $(VENV)/bin/python
INSTALL := -c constraints.txt --group test -e '.[$(EXTRAS)]' $(if $(EXAMPLE),-e examples/plugin) \
  $(if $(NAMES),./docs/examples/recipes)

# What an environment is bound to: its interpreter, and the folder it was made in.
HERE := $(shell $(PYTHON) -c 'import os, sys; print(os.path.realpath(sys.executable), \
  "%d.%d" % sys.version_info[:2])' 2>/dev/null) in $(CURDIR)

.DEFAULT_GOAL := help
.PHONY: help run test check coverage bench bench-rivals fuzz soak manifests docs clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

ifneq ($(HERE),$(shell cat $(BORN) 2>/dev/null))
.PHONY: $(STAMP)
endif

$(STAMP): pyproject.toml constraints.txt $(EXAMPLE) $(NAMES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "error: $(PYTHON) is no Python 3.11 or newer; name one: make PYTHON=python3.12" >&2; \
	    exit 2; }
	@set -e; begin=$$(date +%s); \
	if test -f $(VENV)/pyvenv.cfg && test "$$(cat $(BORN) 2>/dev/null)" != '$(HERE)'; then \
	  echo "$(VENV) is of another Python or folder: making it anew"; rm -rf $(VENV); \
	fi; \
	if command -v uv >/dev/null 2>&1; then \
	  echo "making $(VENV) with uv, $$($(PYTHON) --version)"; \
	  uv venv --quiet --allow-existing --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV); \
	  uv pip install --quiet --python $(RUN) $(INSTALL); \
	else \
	  echo "making $(VENV) with venv and pip, $$($(PYTHON) --version)"; \
	  $(PYTHON) -m venv $(VENV); \
	  $(RUN) -m pip install --quiet --disable-pip-version-check 'pip>=25.1'; \
	  $(RUN) -m pip install --quiet --disable-pip-version-check $(INSTALL); \
	fi; \
	echo '$(HERE)' >$(BORN); touch $@; echo "$(VENV) is ready after $$(( $$(date +%s) - begin )) s"

run: $(STAMP) manifests  ## run the demonstration
	@$(RUN) main.py

test: $(STAMP) manifests  ## run the whole suite
	@$(RUN) -m pytest $(PYTEST_ARGS)

check: $(STAMP)  ## lint, format, types, architecture
	@set -e; \
	step() { echo "$$1"; begin=$$(date +%s); shift; "$$@"; \
	  echo "  done in $$(( $$(date +%s) - begin )) s"; }; \
	step 'ruff check' $(RUN) -m ruff check --quiet .; \
	step 'ruff format --check' $(RUN) -m ruff format --quiet --check .; \
	step 'mypy --strict' $(RUN) -m mypy; \
	step 'architecture tests' $(RUN) -m pytest tests/architecture

coverage: $(STAMP)  ## tell what of the recipes the tests of their room run
	@mkdir -p build/coverage
	@$(RUN) -m coverage run -m pytest $(PYTEST_ARGS) tests/recipes \
	  tests/acceptance/test_recipes_brief.py
	@$(RUN) -m coverage combine --quiet
	@$(RUN) -m coverage report

bench: $(STAMP)  ## measure, and compare with the floors of the same run
	@$(RUN) -m tests.benchmarks.run

bench-rivals: $(STAMP)  ## measure beside other engines, installed apart; needs a network
	@$(RUN) -m tests.benchmarks.rivals

fuzz: $(STAMP)  ## let a fuzzer look for faults, installed apart; needs a network
	@$(RUN) -m tests.fuzz.run

soak: $(STAMP)  ## run the long forms of the tests
	@$(RUN) -m pytest -m soak --timeout=1800

manifests: $(STAMP)  ## sign our own manifests into build/manifests
	@$(RUN) -m manifests.publish

docs: $(STAMP)  ## write the reference pages anew
	@$(RUN) -m tests.docs.reference

clean:  ## remove what was made here, but no state
	@rm -rf .venv .venv-* build dist .hypothesis
	@find . -type d '(' -name __pycache__ -o -name .pytest_cache -o -name .mypy_cache \
	  -o -name .ruff_cache ')' -prune -exec rm -rf {} +
	@echo "removed environments, builds and caches"
	@test ! -e .oneiric_cache || echo "kept .oneiric_cache: it is state, such as selections of swaps"
