# Two commands: `make quickstart` does the set-up and runs the whole loop; `make test` does the
# set-up and runs the tests. Needs Python 3.11, make and a package index.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
INSTALLED := $(VENV)/installed

.PHONY: help setup system quickstart test lint lock clean

help:
	@echo "make quickstart   set up, then run the whole loop once (about 5 minutes)"
	@echo "make test         set up, then run the tests"
	@echo "make setup        install into $(VENV)/ only"
	@echo "make lint         style"
	@echo "make lock         refresh requirements.lock from pyproject.toml"

setup: system $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "serlds needs Python 3.11, found $$($(PYTHON) --version 2>&1); set PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirement requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

# Headless rendering needs an EGL library; a desktop or a GPU driver usually brings one.
system:
	@if ldconfig -p | grep -q 'libEGL\.so\.1' && ldconfig -p | grep -qE 'libEGL_(mesa|nvidia)\.so\.0'; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libegl1 libegl-mesa0 libgl1-mesa-dri; \
	else \
	  echo "Headless rendering needs libEGL. On Debian or Ubuntu run:"; \
	  echo "  sudo apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri"; exit 2; \
	fi

quickstart: setup
	$(BIN)/serlds quickstart

test: setup
	$(BIN)/python -m pytest tests

lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

# Hashes for every platform's files, no index addresses.
lock: $(INSTALLED)
	$(BIN)/uv pip compile pyproject.toml --extra test --universal --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) build *.egg-info
