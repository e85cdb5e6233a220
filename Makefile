# `make demo` shows the product on a real cluster, `make test` tests it there; `make help` says the rest.

# A Python of 3.11 or later: the distribution's if it is new enough.
PYTHON := $(shell for python in /usr/bin/python3 python3 python3.13 python3.12 python3.11; do \
	if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo "$$python"; break; fi; done)
# pip leaves nothing outside the cache either.
export PIP_CACHE_DIR := $(HOME)/.cache/kubectl-localize/pip
VENV := .venv
BIN := $(VENV)/bin
NODE := dev
# How many of the tests on the real cluster run at once: three on two processors, since most of their time is waiting.
WORKERS := $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores + 1 > 8 ? 8 : cores + 1)))
CLUSTER = $(or $(PYTHON),$(error Python 3.11 or later is needed)) -m tests.cluster
PYTEST = PYTHONPATH=$(CURDIR) $(BIN)/python -m pytest
# $(call timed,PART,COMMAND) runs a part, says how long it took, also if it failed, and passes its exit code on.
timed = @began=$$(date +%s); echo '$(strip $(1)): begins' >&2; { $(2); }; code=$$?; \
	took=$$(($$(date +%s) - began)); \
	echo "$(strip $(1)): $$((took / 60)) min $$((took % 60)) s, exit code $$code" >&2; exit $$code

.PHONY: help requirements cluster cluster-down demo demo-down check test test-krew test-macos unit real fuzz faults soak matrix bench \
	dist tlds upload clean

help:
	@echo 'make demo          a real cluster here, and its Services by their names    make demo-down     takes it all away'
	@echo 'make cluster       only the cluster                                        make cluster-down  takes it away'
	@echo 'make test          check, unit tests, and the tests on a real cluster      make unit          the quick ones'
	@echo 'make check         lint, format, types, import contracts                   make bench         the numbers'
	@echo 'make faults        half an hour: what breaks a link, a cluster or a process, and what is left of it'
	@echo 'make fuzz          five minutes: random events and inputs, far more of them than the unit tests have'
	@echo 'make soak          hours: 50 rounds of there and back, a kill at every call and at 200 random moments'
	@echo 'make dist          all that a release uploads, in dist/                make test-krew     installs it: krew, pipx, one file'
	@echo 'make tlds          the list of top-level domains anew, from SOURCE=FILE-OR-URL'
	@echo 'make matrix        half an hour: the core of it with every kubectl and Python, into docs/compatibility.md'
	@echo 'make test-macos    on a Mac: the quick ones, and those of its own parts'
	@echo 'make upload        what `make dist` made, to the release of this version (with gh, from a tag)'
	@echo 'make clean         deletes what make left in the checkout and in /var/tmp'

cluster:
	@$(CLUSTER) up $(NODE)

cluster-down:
	@$(CLUSTER) down $(NODE)

# The environment of the development tools. `packages` brings what a bare Debian lacks for that.
$(VENV)/stamp: setup.cfg
	@[ "$$(uname)" != Linux ] || $(CLUSTER) packages
	@echo 'making $(VENV), with the development tools' >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(VENV)/stamp
	@$(BIN)/python -m tests.demo up

demo-down: $(VENV)/stamp
	@$(BIN)/python -m tests.demo down

check: $(VENV)/stamp
	$(call timed, check, $(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy && $(BIN)/lint-imports)

unit: $(VENV)/stamp
	$(call timed, unit, $(PYTEST) tests/unit -n auto)

# What looks at the whole machine, disturbs the whole node, or measures what others would disturb, runs first and by
# itself. pytest's 5 means that a cluster which is not ours leaves no such test.
real: $(VENV)/stamp requirements
	$(call timed, real alone, $(PYTEST) tests/cluster tests/real -m 'alone and not faults' --durations=15 || [ $$? -eq 5 ])
	$(call timed, real parallel, $(PYTEST) tests/real -m 'not alone and not faults' -n $(WORKERS) --dist loadgroup --durations=15)

# Where the project lives, for Krew's manifest: make dist REPOSITORY=https://…
REPOSITORY :=
dist: $(VENV)/stamp
	@$(BIN)/python -m krew dist $(if $(REPOSITORY),--repository $(REPOSITORY))

# The top-level domains of public DNS: make tlds SOURCE=FILE-OR-URL, of IANA's list or the Public Suffix List.
SOURCE :=
tlds: $(VENV)/stamp
	@$(BIN)/python -m krew tlds $(or $(SOURCE),$(error SOURCE= names a file or URL of IANA's list of top-level domains))

# `real` runs these as well.
test-krew: $(VENV)/stamp requirements
	$(call timed, test-krew, $(PYTEST) $(wildcard tests/real/test_archive*.py tests/real/test_release*.py tests/real/test_krew*.py))

# Said before anything is installed or built.
requirements:
	@$(or $(PYTHON),$(error Python 3.11 or later is needed)) -m tests.requirements

test: requirements
	$(call timed, test, $(MAKE) --no-print-directory check unit real)

# Slow and rare faults, and loads, with their figures.
faults: $(VENV)/stamp requirements
	$(call timed, faults, $(PYTEST) tests/real/faults --timeout=1200 --durations=0)

# Other events and inputs each time; the first failure ends it. 124 says that its five minutes were over: none was found.
fuzz: export LOCALIZE_TEST_EXAMPLES=50
fuzz: $(VENV)/stamp
	$(call timed, fuzz, PYTHONPATH=$(CURDIR) timeout 300 $(BIN)/python -m pytest tests/unit/fuzz -n auto -x --timeout=300 || [ $$? -eq 124 ])

# Exposures, as often as it takes to believe in them.
soak: export LOCALIZE_TEST_ROUNDS=50
soak: export LOCALIZE_TEST_KILLS=200
soak: export LOCALIZE_TEST_MATRIX=all
soak: $(VENV)/stamp requirements
	$(call timed, soak alone, $(PYTEST) $(wildcard tests/real/test_expose*.py) -m alone --timeout=7200)
	$(call timed, soak parallel, $(PYTEST) $(wildcard tests/real/test_expose*.py) -m 'not alone' -n $(WORKERS) \
		--dist loadgroup --timeout=3600)

matrix: $(VENV)/stamp requirements
	@$(BIN)/python -m tests.matrix all

# Its parts for macOS are real there only; sudo is asked for a loopback address and the resolver.
test-macos:
	@[ "$$(uname)" = Darwin ] || { echo "error: test-macos needs a Mac; this is $$(uname)" >&2; exit 1; }
	@$(MAKE) --no-print-directory $(VENV)/stamp
	@sudo -v -p 'tests of the privileged helper need sudo; password for %p: '
	$(PYTEST) tests/unit -n auto
	$(PYTEST) tests/macos

# Single rows of the table, by their names in tests/bench/rows.py: make bench ROWS='start-10 ls-10'
ROWS :=
bench: $(VENV)/stamp
	@$(BIN)/python -m tests.environment make
	@$(BIN)/python -m tests.bench $(ROWS)

# Only from the tag of this very version; `gh` takes GH_TOKEN.
upload: $(VENV)/stamp
	@version="v$$($(BIN)/python -c 'from kubectl_localize import __version__; print(__version__)')"; \
	tag="$$(git describe --tags --exact-match 2>/dev/null)"; \
	[ "$$tag" = "$$version" ] || { echo "error: this is version $$version, and the tag here is $${tag:-none}" >&2; exit 1; }; \
	notes="$$(awk '/^## \[/ { on = index($$0, "['"$${version#v}"']") } on' CHANGELOG.md)"; \
	gh release create "$$tag" --verify-tag --title "$$tag" --notes "$$notes" dist/*

clean: $(VENV)/stamp
	@$(BIN)/python -m tests.environment remove
	rm -rf $(VENV) build dist krew/localize.yaml *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
