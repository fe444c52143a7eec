# Everything a contributor runs. It needs make and python3 >= 3.11; all else is installed into .venv.

.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := $(wildcard engine sim benchmarks tests proto/generate.py)
BASELINE := proto/baseline.binpb

# An environment is bound to the directory that it was made in: one that was moved or copied is made anew.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

.PHONY: help install demo test check lint types contract tidy proto baseline lock sim bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(STAMP) ## Create .venv with the locked dependencies and this checkout
	@:

demo: install ## See a cluster sell through a partition
	@$(BIN)/tally demo

test: install ## Run the whole test suite; the core must be covered to 95%
	@$(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report term

check: lint types contract tidy ## Lint, types, contract, generated code, tidiness

lint: install ## Ruff: rules and format
	@echo "ruff check"; $(BIN)/ruff check --quiet $(SOURCES)
	@echo "ruff format --check"; $(BIN)/ruff format --quiet --check $(SOURCES) || { \
		$(BIN)/ruff format --check $(SOURCES) | grep 'Would reformat'; \
		echo "mend it with: $(BIN)/ruff format $(SOURCES)"; exit 1; }

types: install ## Mypy, strict
	@echo "mypy --strict"; $(BIN)/mypy --no-error-summary $(SOURCES)

contract: install ## The protobuf contract: style, breaking changes, generated code
	@echo "buf lint"; $(BIN)/buf lint
	@echo "buf breaking"; $(BIN)/buf breaking --against $(BASELINE)
	@echo "generated code"; $(BIN)/python proto/generate.py --check

tidy: install ## The shape of the code: layers, sizes, dead modules, links
	@echo "tidiness"; $(BIN)/python -m pytest -q --no-header tests/test_tidiness.py

proto: install ## Regenerate engine/tallystick/v1 from proto/
	@$(BIN)/python proto/generate.py

baseline: install ## Record the contract of a release, for `buf breaking`
	@$(BIN)/buf build --exclude-source-info -o $(BASELINE)
	@echo "wrote $(BASELINE)"

lock: install ## Write requirements.lock from pyproject.toml (LOCKFLAGS=--upgrade for newer versions)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--all-extras --group dev --no-config --custom-compile-command "make lock" $(LOCKFLAGS) \
		--output-file requirements.lock pyproject.toml
	@echo "wrote requirements.lock"

sim: install ## Simulate 5,000 clusters and all that can go wrong; walk every interleaving of small worlds
	@$(BIN)/tally sim run --seeds 5000
	@$(BIN)/tally sim exhaustive --large

bench: install ## Run the benchmarks
	@$(BIN)/python -m benchmarks

clean: ## Remove .venv, caches and build output
	@rm -rf $(VENV) build dist htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find engine sim tests benchmarks proto -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(STAMP): pyproject.toml requirements.lock
	@python=; for candidate in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
		if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			python=$$candidate; break; \
		fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "Tallystick needs Python 3.11 or newer; python3 here is: $$(python3 --version 2>&1)."; \
		echo "Install one, or name it: make install PYTHON=/path/to/python3.11"; exit 1; \
	fi; \
	if [ "$$(cat $@ 2>/dev/null)" != "$(CURDIR)" ]; then \
		echo "Installing the locked dependencies into $(VENV) with $$($$python --version): about a minute."; \
		$$python -m venv --clear $(VENV) || { \
			echo "Python's venv module is missing or broken (Debian, Ubuntu: apt install python3-venv)."; exit 1; }; \
	else \
		echo "pyproject.toml or requirements.lock changed: updating $(VENV), a few seconds."; \
	fi; \
	{ $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . ; \
	} > $(VENV)/install.log 2>&1 || { \
		tail -n 20 $(VENV)/install.log; echo "Installing failed; all of the output is in $(VENV)/install.log."; exit 1; }
	@printf '%s\n' "$(CURDIR)" > $@
	@echo "Installed."
