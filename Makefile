# Two commands: `make quickstart` does the set-up and runs the whole loop; `make test` does the
# set-up and runs the tests. Needs Python 3.11, make and a package index.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
INSTALLED := $(VENV)/installed

.PHONY: help setup system quickstart test malformed-test flink-test browser browser-test \
  loaders-test lerobot-test franka-test lint lock clean

help:
	@echo "make quickstart   set up, then run the whole loop once (2 to 3 minutes)"
	@echo "make test         set up, then run the tests"
	@echo "make flink-test   the pipelines on Apache Flink; needs Java 17 and Maven"
	@echo "make browser-test the live page in a real browser; installs Chromium if it can"
	@echo "make malformed-test damaged files and records, other ones than in the tests (long)"
	@echo "make loaders-test other people's loaders read an export (about 2 minutes)"
	@echo "make lerobot-test LeRobot reads an export; downloads 5 GB"
	@echo "make franka-test  the Franka driver and the whole loop against a simulated robot"
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

# The tests of a file stay together: they share what is expensive to make.
test: setup
	$(BIN)/python -m pytest tests --numprocesses 2 --dist loadfile

# `make test` has more than 20,000 malformed inputs, always the same; here are others.
ROUNDS ?= 10
malformed-test: setup
	$(BIN)/python -m pytest --hypothesis-profile=explore --malformed-rounds=$(ROUNDS) \
	  tests/pipelines/importing/test_malformed.py tests/pipelines/checks/test_malformed_records.py \
	  tests/pipelines/lerobot/test_malformed.py tests/datasets/test_untrusted.py

# Versions: tests/pipelines/portable/flink-job-server.xml; FLINK="flink=1.20 beam=2.70.0" changes them.
FLINK ?=
flink-test: setup
	classpath="$$($(BIN)/python tests/pipelines/portable/flink_job_server.py $(FLINK))" && \
	  SERLDS_FLINK_CLASSPATH="$$classpath" $(BIN)/python -m pytest tests/pipelines/portable -k flink

# The live page is tested in a real browser where there is one; `make test` skips that elsewhere.
browser:
	@if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends chromium chromium-driver; \
	else \
	  echo "The browser test needs chromium and chromedriver. On Debian run:"; \
	  echo "  sudo apt-get install chromium chromium-driver"; exit 2; \
	fi

browser-test: setup browser
	$(BIN)/python -m pytest -rs tests/training/test_watching.py

# Other people's loaders read what serlds exports, each in an environment of its own.
LOADERS ?= tfds forge
loaders-test: setup
	SERLDS_LOADERS=$(VENV)/loaders SERLDS_LOADER_NAMES="$(LOADERS)" \
	  $(BIN)/python -m pytest -rs tests/pipelines/loaders

# Downloads 5 GB; needs Python 3.12, e.g. `make lerobot-test LEROBOT_PYTHON=/path/to/python3.12`.
LEROBOT_PYTHON ?= 3.12
lerobot-test:
	SERLDS_LEROBOT_PYTHON="$(LEROBOT_PYTHON)" $(MAKE) loaders-test LOADERS=lerobot

franka-test: setup
	$(BIN)/uv pip install --quiet --python $(BIN)/python 'franky-control==2.0.0'
	SERLDS_FRANKA_SIM=$(VENV)/franky-sim $(BIN)/python -m pytest -rs \
	  tests/hardware/test_franka_driver.py tests/test_robot_loop.py -k franka

lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

# Hashes for every platform's files, no index addresses.
lock: $(INSTALLED)
	$(BIN)/uv pip compile pyproject.toml --extra test --universal --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) build *.egg-info
